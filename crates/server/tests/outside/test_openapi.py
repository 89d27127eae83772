"""The API answers as its description says, whatever it is asked: schemathesis asks."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest
import requests
import schemathesis
from served import Server
from schemathesis.specs.openapi.checks import (
    ensure_resource_availability,
    ignored_auth,
    negative_data_rejection,
    positive_data_acceptance,
    use_after_free,
)

# Other documents say more of these than OpenAPI can: they do not end, are no HTTP any more, or end
# the session that asks.
ELSEWHERE = [
    "/api/v1/cameras/{name}/live",
    "/api/v1/cameras/{name}/mjpeg",
    "/api/v1/events/stream",
    "/api/v1/events/ws",
    "/stream",
]
ENDS_THE_SESSION = ["/api/v1/session", "/api/v1/sessions/{id}"]

UNCHECKED = [
    # What is right by its form may still be wrong.
    positive_data_acceptance,
    # A value that is empty in the query is none, as forms send it.
    negative_data_rejection,
    # Nothing is made to be asked for again.
    ensure_resource_availability,
    use_after_free,
    # The session's cookie is in every request. A test of the server goes through all routes with every
    # kind of credential, and without.
    ignored_auth,
]
EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "20"))


@pytest.fixture(scope="module")
def server_config() -> str:
    return """
        [server]
        requests_per_second = 100000
        requests_burst = 100000
        max_connections_per_address = 500
    """


@pytest.fixture(scope="module")
def admin(server: Server) -> requests.Session:
    return server.login()


# The one that is served, as a test of the server says.
DESCRIBED = Path(__file__).parents[4] / "docs" / "openapi.json"
schema = schemathesis.openapi.from_path(DESCRIBED)
# Who asks is known by the session of each call.
schema.config.generation.update(with_security_parameters=False)
schema = schema.exclude(path=ELSEWHERE).exclude(path=ENDS_THE_SESSION, method="DELETE")
# It says that it is not implemented, as SecureVision does.
schema = schema.exclude(path="/events", method="POST")


@schema.parametrize()
@hypothesis.settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
def test_it_answers_as_it_says(
    case: schemathesis.Case, server: Server, admin: requests.Session
) -> None:
    case.call_and_validate(base_url=server.url, session=admin, excluded_checks=UNCHECKED, timeout=30)
