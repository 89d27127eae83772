"""What every other test here builds upon."""

import requests


def test_a_token_may_what_it_was_made_for(server):
    api = server.api("cameras:read")
    assert [c["name"] for c in api.get(f"{server.url}/api/v1/cameras", timeout=30).json()["cameras"]] == ["demo"]
    assert api.get(f"{server.url}/api/v1/events", timeout=30).status_code == 403
    assert requests.get(f"{server.url}/api/v1/cameras", timeout=30).status_code == 401


def test_the_setup_code_is_good_for_one(server):
    body = {"code": server.setup_code, "user": "eve", "password": "twelve dirty windows"}
    assert requests.post(f"{server.url}/api/v1/setup", json=body, timeout=30).status_code == 401
