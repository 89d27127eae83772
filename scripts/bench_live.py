"""How long it takes from a camera's frame until a browser shows it.

A camera of 1080p, 25 frames/s and 6 Mbit/s (`crates/vision/examples/rtsp_camera.rs --tell`) says when
it sends the first frame in which something bright is at its left edge; Chromium, in which the page of
the camera is open, says when the first picture with that is shown. Both go by the clock of this machine,
and share its two cores with the server. Something appears every few seconds (`LOOP`): a picture that is
later than that is taken for one that is not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE

from playwright.sync_api import Page, sync_playwright

from bench import say
from bench_programs import EXAMPLES, cpu_seconds, running

CAMERA = EXAMPLES / "rtsp_camera"
SIZE, FPS, KBIT = "1920x1080", 25, 6000
# Something passes once in so many seconds.
LOOP = 4
# So long a page may take until it shows something, and then until it has settled.
PATIENCE_MS, SETTLED = 60_000, 10

# Notes when the left edge becomes bright, in milliseconds since 1970. A video says when it shows a
# frame; of a picture it is looked at as often as the page is painted.
WATCH = """(seen) => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 });
    const paper = canvas.getContext('2d', { willReadFrequently: true });
    window.appeared = [];
    let before = 255;
    const look = (width, height, at) => {
        paper.drawImage(seen, width / 64, height * 0.4, width / 32, height * 0.1, 0, 0, 1, 1);
        const [light] = paper.getImageData(0, 0, 1, 1).data;
        if (before < 170 && light >= 170) window.appeared.push(performance.timeOrigin + at);
        before = light;
    };
    if (seen instanceof HTMLVideoElement) {
        const frame = (_, { width, height, expectedDisplayTime }) => {
            look(width, height, expectedDisplayTime);
            seen.requestVideoFrameCallback(frame);
        };
        seen.requestVideoFrameCallback(frame);
    } else {
        const paint = (at) => {
            if (seen.naturalWidth > 0) look(seen.naturalWidth, seen.naturalHeight, at);
            requestAnimationFrame(paint);
        };
        requestAnimationFrame(paint);
    }
}"""
# A browser that does not play fragments gets pictures.
WITHOUT_VIDEO = "delete window.MediaSource; delete window.ManagedMediaSource;"
VIDEO, PICTURES = "video, as it is sent", "pictures (MJPEG)"


@dataclass
class Delays:
    """Milliseconds, sorted; and what the server took of a core meanwhile."""

    times: list[float]
    cpu: float


@contextmanager
def camera(log: Path) -> Iterator[tuple[str, Callable[[], list[float]]]]:
    """Its address, and what gives when something has appeared so far, in seconds since 1970."""
    told = log.with_suffix(".told")
    words = [CAMERA, "--size", SIZE, "--fps", FPS, "--gop", 2 * FPS, "--kbit", KBIT, "--seconds", LOOP, "--noise", "--tell"]
    with running(words, log, told) as program:
        deadline = time.monotonic() + 60
        while not (said := told.read_text().splitlines()):
            program.still_runs()
            if time.monotonic() > deadline:
                program.fail("does not say where it is")
            time.sleep(0.1)

        def appeared() -> list[float]:
            lines = told.read_text().splitlines()
            return [float(line.split()[1]) for line in lines if line.startswith("appeared ")]

        yield said[0], appeared


def matched(sent: list[float], shown: list[float]) -> list[float]:
    """What was shown belongs to what was last sent before; both in milliseconds. None is left out."""
    return sorted(at - max(one for one in sent if one <= at) for at in shown)


def look(page: Page, url: str, selector: str, seconds: float) -> list[float]:
    page.goto(f"{url}/ui/#/camera/door")
    seen = page.locator(selector)
    seen.wait_for(timeout=PATIENCE_MS)
    time.sleep(SETTLED)
    seen.evaluate(WATCH)
    time.sleep(seconds)
    return page.evaluate("window.appeared")


def delays(port: int, pid: int, session: dict[str, str], appeared: Callable[[], list[float]], seconds: float) -> dict[str, Delays]:
    """For video and for pictures, of one page that is open for so long."""
    found = {}
    url = f"http://127.0.0.1:{port}"
    name, value = session["Cookie"].split("=", 1)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for what, selector, script in ((VIDEO, ".view video", ""), (PICTURES, ".view img", WITHOUT_VIDEO)):
            say(f"live, {what}: {seconds:.0f} s")
            context = browser.new_context(viewport={"width": 1280, "height": 800})
            context.add_cookies([{"name": name, "value": value, "url": url}])
            if script:
                context.add_init_script(script)
            cpu, start = cpu_seconds(pid), time.monotonic()
            shown = look(context.new_page(), url, selector, seconds)
            cpu = (cpu_seconds(pid) - cpu) / (time.monotonic() - start)
            found[what] = Delays(matched([1e3 * at for at in appeared()], shown), cpu)
            context.close()
        browser.close()
    return found
