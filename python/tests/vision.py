"""What the tests of cameras share: real videos, and a real RTSP camera on the loopback interface."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

#: 377 frames of 768x432 in 30 seconds; three times cars pass.
CARS = "video/car-detection.mp4"


def film(name: str = CARS) -> Path:
    """A video of the test data."""
    data = os.environ.get("KEEPWATCH_TESTDATA")
    if data is None or not Path(data).is_dir():
        pytest.skip("KEEPWATCH_TESTDATA names no directory: there are no videos to test with")
    return Path(data) / name


def _program() -> Path:
    target = Path(os.environ.get("CARGO_TARGET_DIR", "target"))
    default = target / "debug" / "examples" / "rtsp_camera"
    program = Path(os.environ.get("KEEPWATCH_RTSP_CAMERA", default))
    if not program.is_file():
        raise FileNotFoundError(
            f"{program} is not there: cargo build -p keepwatch-vision --example rtsp_camera, "
            "or say where it is with KEEPWATCH_RTSP_CAMERA"
        )
    return program


class RtspCamera:
    """A camera of its own process, at a free port unless one is given."""

    def __init__(self, *options: str, port: int = 0) -> None:
        arguments = ["--size", "320x180", "--fps", "25", "--gop", "12", "--seconds", "2", *options]
        self._process = subprocess.Popen(
            [_program(), *arguments, "--port", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url.startswith("rtsp://127.0.0.1:"), self.url
        self.port = int(self.url.split(":")[2].split("/")[0])

    def stop(self) -> None:
        """Ends it, as a camera that loses its power."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def rtsp_camera(*options: str) -> Iterator[RtspCamera]:
    """One that is there as long as the block runs."""
    camera = RtspCamera(*options)
    try:
        yield camera
    finally:
        camera.stop()
