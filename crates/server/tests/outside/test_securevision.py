"""Programs that were written for SecureVision: its paths, its fields, its token, its stream."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import websockets
from served import Server, serving

TOKEN = "a-token-of-some-length"
FIELDS = {"id", "type", "ts_ms", "frame_source_id", "created_at", "payload"}
PERSON = {"person_name", "similarity", "bbox"}
PLATE = {"plate_text", "confidence", "region", "list_match", "bbox"}
# A program of Node, with nothing from npm.
NODE = """
const [url, token] = process.argv.slice(1);
const asked = new URL('/events', url);
asked.search = new URLSearchParams({ type: 'face_match', since: Date.now() - 600000, limit: 5 });
const answer = await fetch(asked, { headers: { Authorization: `Bearer ${token}` } });
console.log(JSON.stringify(await answer.json()));
"""


def flood(*args: object) -> subprocess.Popen:
    """Another process that has something to do with the store: `examples/event_flood.rs`."""
    program = Path(os.environ["KEEPWATCH_BIN"]).parent / "examples" / "event_flood"
    return subprocess.Popen([program, *map(str, args)], stdout=subprocess.PIPE, text=True)


def made(place: Path, count: int) -> Path:
    """A store with so many recognised faces and plates, the last of them now."""
    key = place / "key"
    key.write_bytes(bytes(range(32)))
    first = int((time.time() - count) * 1000)
    with flood("fill", place / "store", key, count, first) as filling:
        assert filling.wait(60) == 0
    return key


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("securevision")


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[Server]:
    key = made(store, 200)
    config = f'[server]\nauth_token = "{TOKEN}"\n'
    with serving(store, config=config, key_file=key) as running:
        yield running


@pytest.fixture(scope="module")
def http() -> requests.Session:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {TOKEN}"
    return session


def test_what_anybody_may_see(server: Server) -> None:
    about = requests.get(f"{server.url}/", timeout=30).json()
    assert about["auth_enabled"] is True
    assert about["ws_enabled"] is True
    health = requests.get(f"{server.url}/health", timeout=30).json()
    assert health["ok"] is True
    recent = health["recent_events"]
    assert recent["total"] == recent["face_matches"] + recent["plate_reads"] > 0
    assert health["event_rate"]["events_per_second"] > 0


def test_events_have_its_fields(server: Server, http: requests.Session) -> None:
    events = http.get(f"{server.url}/events", timeout=30).json()
    assert len(events) == 100
    assert all(FIELDS <= event.keys() for event in events)
    assert all(isinstance(event["id"], int) for event in events)
    for kind, fields in (("face_match", PERSON), ("plate_read", PLATE)):
        one = http.get(f"{server.url}/events", params={"type": kind, "limit": 3}, timeout=30).json()
        assert [event["type"] for event in one] == [kind] * 3
        assert fields <= one[0]["payload"].keys()
        path = {"face_match": "faces", "plate_read": "plates"}[kind]
        assert http.get(f"{server.url}/{path}/{one[0]['id']}", timeout=30).json() == one[0]
        other = {"faces": "plates", "plates": "faces"}[path]
        wrong = http.get(f"{server.url}/{other}/{one[0]['id']}", timeout=30)
        assert wrong.status_code == 404
        assert isinstance(wrong.json()["detail"], str)


def test_since_is_in_milliseconds(server: Server, http: requests.Session) -> None:
    events = http.get(f"{server.url}/events", params={"limit": 1000}, timeout=30).json()
    times = sorted(event["ts_ms"] for event in events)
    middle = times[len(times) // 2]
    later = http.get(f"{server.url}/events", params={"since": middle, "limit": 1000}, timeout=30).json()
    assert sorted(event["ts_ms"] for event in later) == [at for at in times if at >= middle]


def test_the_token_is_needed(server: Server) -> None:
    for headers in ({}, {"Authorization": "Bearer another-token-of-some-length"}):
        answer = requests.get(f"{server.url}/events", headers=headers, timeout=30)
        assert answer.status_code == 401
        assert answer.json() == {"detail": answer.json()["detail"]}


def test_cleanup_says_what_it_did(server: Server, http: requests.Session) -> None:
    done = http.post(f"{server.url}/cleanup", timeout=60).json()
    assert done["deleted"] == 0
    assert "retention_days" in done


def test_a_program_of_node(server: Server) -> None:
    command = ["node", "--input-type=module", "--eval", NODE, server.url, TOKEN]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    events = json.loads(said)
    assert events
    assert all(PERSON <= event["payload"].keys() for event in events)


def test_the_stream_tells_what_another_process_stores(server: Server, store: Path) -> None:
    async def listen() -> list[dict]:
        url = f"ws{server.url.removeprefix('http')}/stream"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with websockets.connect(url, additional_headers=headers) as socket:
            await socket.send("ping")
            assert json.loads(await socket.recv()) == {"type": "pong", "data": "ping"}
            with flood("append", store / "store", store / "key", 4, 10) as appending:
                told = [json.loads(await socket.recv()) for _ in range(4)]
                assert appending.wait(60) == 0
        return told

    told = asyncio.run(asyncio.wait_for(listen(), 60))
    assert [event["type"] for event in told] == ["face_match", "plate_read"] * 2
    assert all(FIELDS - {"created_at"} <= event.keys() for event in told)


def test_a_stream_without_the_token_is_refused(server: Server) -> None:
    async def listen() -> None:
        async with websockets.connect(f"ws{server.url.removeprefix('http')}/stream"):
            pass

    with pytest.raises(websockets.InvalidStatus, match="401"):
        asyncio.run(listen())


def test_without_authentication_it_is_as_open_as_it_was(tmp_path: Path) -> None:
    key = made(tmp_path, 10)
    with serving(tmp_path, config='[server]\nauthentication = "none"\n', key_file=key) as server:
        assert len(requests.get(f"{server.url}/events", timeout=30).json()) == 10

        async def listen() -> dict:
            async with websockets.connect(f"ws{server.url.removeprefix('http')}/stream") as socket:
                with flood("append", tmp_path / "store", key, 1, 1):
                    return json.loads(await socket.recv())

        assert asyncio.run(asyncio.wait_for(listen(), 60))["type"] == "face_match"
