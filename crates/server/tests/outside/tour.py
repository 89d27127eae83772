"""What tours of the dashboard have in common: films, waiting, and whether something is shown."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator

from served import Server


def film(place: Path) -> Path:
    """A film in H.264: cars on a street, or where those are not to be had a ball."""
    cars = Path(os.environ.get("KEEPWATCH_TESTDATA", "")) / "video/car-detection.mp4"
    if cars.is_file():
        return cars
    made = place / "film.mp4"
    pipeline = (
        "videotestsrc pattern=ball num-buffers=600 ! video/x-raw,width=768,height=432,framerate=15/1 "
        f"! x264enc key-int-max=15 ! mp4mux ! filesink location={made}"
    )
    subprocess.run(["gst-launch-1.0", "--quiet", *pipeline.split()], check=True)
    return made


def restart(server: Server, camera: str) -> None:
    """Has a camera begin anew, which ends what it was recording."""
    http = server.http
    address = f"{server.url}/api/v1/cameras/{camera}"
    before = http.get(address, timeout=30).json()["settings"]["post_roll"]
    answer = http.patch(address, json={"post_roll": "4s" if before != "4s" else "5s"}, timeout=30)
    answer.raise_for_status()


def eventually(what: str, found: Callable[[], object], within: float = 60) -> object:
    """What `found` gives, as soon as it is something."""
    end = time.monotonic() + within
    while not (it := found()):
        assert time.monotonic() < end, f"there was no {what} within {within} s"
        time.sleep(0.1)
    return it


def plays(video: Locator) -> None:
    """Whether a video goes on: its time runs, and it has pictures.

    A live one that stands for four seconds begins anew; that counts as going on.
    """
    video.evaluate(
        """(v) => new Promise((done, fail) => {
            const from = v.currentTime;
            const look = setInterval(() => {
                if (v.videoWidth > 0 && v.currentTime > from + 0.5) { clearInterval(look); done(); }
            }, 50);
            setTimeout(() => {
                clearInterval(look);
                const held = Array.from({ length: v.buffered.length }, (_, i) => [v.buffered.start(i), v.buffered.end(i)]);
                fail(new Error(`it ${v.paused ? 'is paused' : v.seeking ? 'seeks' : 'stands'} at ${v.currentTime}, ready ${v.readyState}, holds ${JSON.stringify(held)}, ${v.error?.message}`));
            }, 20000);
        })"""
    )


def changes(picture: Locator) -> None:
    """Whether a picture is another one after a while."""
    picture.evaluate(
        """(img) => new Promise((done, fail) => {
            const canvas = new OffscreenCanvas(64, 36);
            const of = () => {
                const c = canvas.getContext('2d', { willReadFrequently: true });
                c.drawImage(img, 0, 0, 64, 36);
                return c.getImageData(0, 0, 64, 36).data.join();
            };
            let before = null;
            const look = setInterval(() => {
                if (!img.complete || !img.naturalWidth) return;
                const now = of();
                if (before !== null && now !== before) { clearInterval(look); done(); }
                before = now;
            }, 100);
            setTimeout(() => { clearInterval(look); fail(new Error('it stays the same')); }, 15000);
        })"""
    )
