"""Somebody with a browser, who notices whatever is not right."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response

from served import Server, User

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
# So long a page may take for what it is waited for, in milliseconds: machines that test are busy.
PATIENCE = 20_000


def axe() -> str:
    """The program that looks at a page as people see it who do not see well."""
    if not (path := os.environ.get("AXE")):
        pytest.fail("AXE must name the file of axe-core: `make test-outside` does")
    return Path(path).read_text()


# Without what it loads by itself, and without asking how long what plays by itself is: live video never
# says that, and no video here has a sound.
AXE_RUN = """async () => {
    const rules = { 'no-autoplay-audio': { enabled: false } };
    const { violations } = await axe.run(document, { resultTypes: ['violations'], preload: false, rules });
    return violations.map((v) => `${v.impact} ${v.id}: ${v.help}\\n` + v.nodes.map((n) => `    ${n.target.join(' ')}: ${n.failureSummary}`).join('\\n'));
}"""

# What sticks out at the side, if the page can be moved sideways.
WIDER = """() => {
    const wide = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= wide) return [];
    return [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > wide + 1)
        .map((e) => `${e.tagName}.${e.className}`).slice(0, 8);
}"""


class Visitor:
    """One window, and what went wrong in it."""

    def __init__(self, browser: Browser, server: Server, *, phone: bool = False, dark: bool = False) -> None:
        self.server = server
        self.context: BrowserContext = browser.new_context(
            viewport=PHONE if phone else DESKTOP,
            has_touch=phone,
            is_mobile=phone,
            device_scale_factor=2 if phone else 1,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            accept_downloads=True,
        )
        self.context.set_default_timeout(PATIENCE)
        self.marks = ("phone-" if phone else "") + ("dark-" if dark else "")
        self.problems: list[str] = []
        self._expected: list[tuple[int, str]] = []
        # Chromium says so of each answer that is an error; those are looked at for themselves.
        self.context.on("console", self._console)
        self.context.on("weberror", lambda error: self.problems.append(f"exception: {error.error}"))
        self.context.on("request", self._request)
        self.context.on("response", self._response)
        self.context.on("requestfailed", self._failed)
        self.page: Page = self.context.new_page()
        self.page.on("websocket", lambda socket: self._own(socket.url))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource: the server responded"):
            self.problems.append(f"console: {message.text}")

    def _own(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("blob", "data") and parts.netloc != urlsplit(self.server.url).netloc:
            self.problems.append(f"a request to somebody else: {url}")

    def _request(self, request: Request) -> None:
        self._own(request.url)

    def _response(self, response: Response) -> None:
        if response.status < 400:
            return
        path = urlsplit(response.url).path
        for i, (status, part) in enumerate(self._expected):
            if status == response.status and re.search(part, path):
                del self._expected[i]
                return
        self.problems.append(f"{response.request.method} {path} gave {response.status}")

    def _failed(self, request: Request) -> None:
        # A page that is left lets go of pictures and streams.
        if request.failure != "net::ERR_ABORTED":
            self.problems.append(f"{request.method} {request.url} failed: {request.failure}")

    @contextmanager
    def expecting(self, status: int, path: str) -> Iterator[None]:
        """Within it there is just one answer with this status from an address like this."""
        self._expected.append((status, path))
        yield
        assert (status, path) not in self._expected, f"there was no {status} of {path}"

    def login(self, user: User | None = None) -> Visitor:
        """Comes in by the cookie of a session, past the page where one logs in."""
        session = self.server.login(user)
        self.context.add_cookies(
            [{"name": c.name, "value": c.value, "url": self.server.url} for c in session.cookies]
        )
        return self

    def go(self, place: str, heading: str | re.Pattern | None = None) -> Page:
        """Opens a page of the dashboard, by `#/place`, and waits for its heading."""
        self.page.goto(f"{self.server.url}/ui/#/{place}")
        if heading is not None:
            self.page.get_by_role("heading", name=heading, level=1).wait_for()
        self.settle()
        return self.page

    def settle(self) -> None:
        """Waits until nothing is being loaded any more."""
        self.page.wait_for_function("() => !document.querySelector('.loading')")
        # Pictures that can be seen are there, or have been found missing.
        self.page.wait_for_function(
            "() => [...document.images].every((i) => i.complete || i.getBoundingClientRect().top > innerHeight)"
        )

    def look(self, name: str) -> None:
        """Takes a picture of what is shown, and looks whether everybody can use it."""
        self.settle()
        folder = Path(os.environ.get("TOUR", "tour"))
        folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=folder / f"{self.marks}{name}.png")
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(axe())
        for violation in self.page.evaluate(AXE_RUN):
            self.problems.append(f"{self.marks}{name}: {violation}")
        if wider := self.page.evaluate(WIDER):
            self.problems.append(f"{self.marks}{name} can be moved sideways, for {', '.join(wider)}")

    def close(self) -> None:
        """Closes the window, and says what was not right."""
        self.context.close()
        assert not self.problems, "\n".join(self.problems)
