"""A server for each module, a browser for all, and windows of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from served import Server, serving
from visitor import PATIENCE, Visitor

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def server_config() -> str | None:
    """The configuration file of `server`; a module that wants one has its own fixture of this name."""
    return None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, server_config: str | None) -> Iterator[Server]:
    """A server with the demo camera and its first admin; one for each module."""
    place = tmp_path_factory.mktemp("server")
    with serving(place, "--demo-camera", config=server_config) as running:
        running.make_admin()
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium, without a screen."""
    with sync_playwright() as play:
        running = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Callable[..., Visitor]]:
    """Opens windows, and after the test says what was not right in any."""
    windows = []

    def open_window(**how: bool) -> Visitor:
        windows.append(Visitor(browser, server, **how))
        return windows[-1]

    yield open_window
    problems = []
    for window in windows:
        try:
            window.close()
        except AssertionError as error:
            problems.append(str(error))
    assert not problems, "\n".join(problems)


@pytest.fixture
def admin(visit: Callable[..., Visitor]) -> Visitor:
    """An admin at a desk, in the light."""
    return visit().login()
