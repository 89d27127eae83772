"""Cameras, and their frames as NumPy arrays."""

from __future__ import annotations

import base64
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from vision import RtspCamera, film, rtsp_camera

import keepwatch
from keepwatch import (
    Camera,
    CameraError,
    ClosedError,
    EventStore,
    InvalidValueError,
    Pipeline,
)

PASSWORD = "the-secret"


def test_every_frame_of_a_file_comes_once_and_in_order() -> None:
    before = datetime.now(timezone.utc)
    with Camera(film(), name="drive") as camera:
        frames = list(camera)
        assert camera.read() is None
        assert next(camera, None) is None
        status = camera.status()
    assert len(frames) == 377
    assert [round(frame.pts * 12.5) for frame in frames] == list(range(377))
    first, last = frames[0], frames[-1]
    assert first.time.tzinfo is not None
    assert before <= first.time <= datetime.now(timezone.utc)
    assert abs(last.time - first.time - timedelta(seconds=376 / 12.5)) < timedelta(seconds=0.01)
    assert {(frame.width, frame.height, frame.color, frame.camera) for frame in frames} == {
        (768, 432, "luma", "drive")
    }
    assert (status.state, status.camera, status.frames) == ("ended", "drive", 377)
    assert (status.codec, status.dropped, status.problem) == ("H.264", 0, None)


@pytest.mark.parametrize("color", ["luma", "rgb"])
def test_an_image_is_a_view_that_outlives_frame_and_camera(color: Literal["luma", "rgb"]) -> None:
    with Camera(film(), color=color) as camera:
        frame = camera.read()
        assert frame is not None
        image = frame.image
    assert image.dtype == np.uint8
    assert image.shape == ((432, 768) if color == "luma" else (432, 768, 3))
    assert not image.flags.writeable
    with pytest.raises(ValueError):
        image[0, 0] = 0
    assert not image.flags.owndata
    assert np.shares_memory(image, frame.image)
    assert np.shares_memory(image, np.asarray(frame))
    copy = image.copy()
    del frame, camera
    gc.collect()
    # What would overwrite the memory if it were free.
    with Camera(film(), color=color) as other:
        for _ in zip(range(100), other):
            pass
    assert np.array_equal(image, copy)
    assert image.std() > 5


def test_colours_are_red_green_and_blue_in_this_order() -> None:
    for index, pattern in enumerate(["red", "green", "blue"]):
        with Camera(f"test:{pattern}", color="rgb") as camera:
            frame = camera.read(timeout=30)
            assert frame is not None
            red_green_blue = frame.image.mean(axis=(0, 1))
        assert red_green_blue.argmax() == index
        assert red_green_blue[index] > 220
        assert np.delete(red_green_blue, index).max() < 40


def test_fewer_frames_a_second() -> None:
    with Camera(film(), fps=2.5) as camera:
        times = [frame.pts for frame in camera]
    assert 75 <= len(times) <= 77
    assert all(abs(apart - 0.4) < 0.1 for apart in np.diff(times))


def test_an_rtsp_camera_sends_frames_as_it_takes_them() -> None:
    with rtsp_camera() as server, Camera(server.url) as camera:
        frames = [frame for frame, _ in zip(camera, range(26))]
        assert camera.status().state == "live"
    assert abs(frames[-1].pts - 1.0) < 0.5
    assert frames[0].image.shape == (180, 320)
    assert abs(frames[-1].time - datetime.now(timezone.utc)) < timedelta(seconds=30)


def test_a_camera_that_comes_back_goes_on() -> None:
    server = RtspCamera()
    try:
        with Camera(server.url, read_timeout=1, reconnect=60) as camera:
            first = camera.read(timeout=30)
            assert first is not None
            server.stop()
            server = RtspCamera(port=server.port)
            last = first.pts
            while camera.status().reconnects == 0 or camera.status().state != "live":
                frame = camera.read(timeout=30)
                assert frame is not None
                assert frame.pts >= last
                last = frame.pts
            assert camera.read(timeout=30) is not None
    finally:
        server.stop()


def test_a_camera_that_stays_away_is_an_error_again_and_again() -> None:
    with rtsp_camera() as server:
        camera = Camera(server.url, read_timeout=1, reconnect=1)
        assert camera.read(timeout=30) is not None
    with camera:
        for _ in range(2):
            with pytest.raises(CameraError, match="the camera "):
                for _ in camera:
                    pass
        assert camera.status().state == "ended"
        assert "the camera" in (camera.status().problem or "")


def test_no_password_is_shown(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("right-secret\n")
    with rtsp_camera("--user", "admin", "--password-file", str(password)) as server:
        place = server.url.removeprefix("rtsp://")
        with Camera(f"rtsp://admin:right-secret@{place}") as camera:
            assert camera.read(timeout=30) is not None
            shown = f"{camera!r} {camera.url} {camera.name} {camera.status()!r}"
            assert f"rtsp://***@{place}" in shown
        with Camera(f"rtsp://admin:wrong-secret@{place}", name="yard") as camera:
            with pytest.raises(CameraError, match="refuses user or password") as caught:
                camera.read(timeout=30)
            shown += f"{caught.value!r} {camera!r} {camera.status()!r}"
    assert "yard" in shown
    assert "secret" not in shown


class Mjpeg(BaseHTTPRequestHandler):
    """Sends one JPEG again and again, to whom knows the password."""

    picture = b""

    def do_GET(self) -> None:
        pair = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
        if self.headers["Authorization"] != f"Basic {pair}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(self.picture)}\r\n\r\n"
        try:
            while True:
                self.wfile.write(head.encode() + self.picture + b"\r\n")
                time.sleep(0.02)
        except OSError:
            pass

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


def test_pictures_over_http(tmp_path: Path) -> None:
    with Pipeline({"drive": film()}, store=tmp_path / "store", passphrase="x") as pipeline:
        for _ in pipeline:
            pass
    store = EventStore.open(tmp_path / "store", passphrase="x")
    picture = store.export(store.query()[0].id, tmp_path / "picture.jpg", part="snapshot").file
    Mjpeg.picture = picture.read_bytes()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mjpeg)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    place = f"127.0.0.1:{server.server_port}/video"
    try:
        with Camera(f"http://admin:{PASSWORD}@{place}", color="rgb") as camera:
            frames = [camera.read(timeout=30) for _ in range(5)]
            assert camera.status().codec == "JPEG"
        images = [frame.image for frame in frames if frame is not None]
        assert len(images) == 5
        assert images[0].shape == (432, 768, 3)
        assert all(np.array_equal(image, images[0]) for image in images)
        with Camera(f"http://admin:wrong@{place}") as camera:
            with pytest.raises(CameraError, match="refuses user or password"):
                camera.read(timeout=30)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_what_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Camera(tmp_path / "none.mp4")
    text = tmp_path / "text.mp4"
    text.write_text("no video at all\n" * 1000)
    with Camera(text) as camera, pytest.raises(CameraError):
        camera.read()
    began = time.monotonic()
    with Camera("rtsp://127.0.0.1:9/none", reconnect=None) as camera:
        with pytest.raises(CameraError, match="cannot be reached"):
            camera.read()
    assert time.monotonic() - began < 10


def test_wrong_arguments_are_named() -> None:
    wrong: list[tuple[str, dict[str, object]]] = [
        ("url", {"url": "ftp://somewhere/"}),
        ("color", {"color": "cmyk"}),
        ("fps", {"fps": 0}),
        ("transport", {"transport": "pigeon"}),
        ("read_timeout", {"read_timeout": -1}),
        ("read_timeout", {"read_timeout": 0.01}),
        ("reconnect", {"reconnect": float("nan")}),
        ("tls_sha256", {"tls_sha256": "12"}),
        ("tls", {"tls_sha256": "00" * 32}),
        ("tls_sha256", {"tls_sha256": "00" * 32, "tls_ca_file": "ca.pem"}),
    ]
    for name, arguments in wrong:
        with pytest.raises(InvalidValueError, match=f"^{name}: "):
            Camera(**{"url": film(), **arguments})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="url"):
        Camera(5)  # type: ignore[arg-type]


def test_a_closed_camera_is_not_used() -> None:
    with Camera(film()) as camera:
        pass
    camera.close()
    assert "closed" in repr(camera)
    uses: list[Callable[[], object]] = [camera.read, camera.status, lambda: next(camera)]
    for use in uses:
        with pytest.raises(ClosedError):
            use()


def test_closing_it_ends_a_read_in_another_thread() -> None:
    with rtsp_camera() as server:
        camera = Camera(server.url, reconnect=None)
        assert camera.read(timeout=30) is not None
    # It is tried to be reached for ever.
    raised: list[BaseException] = []

    def read() -> None:
        try:
            while True:
                camera.read()
        except ClosedError as error:
            raised.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    camera.close()
    reader.join(timeout=30)
    assert not reader.is_alive()
    assert len(raised) == 1


def test_reading_lets_other_threads_run() -> None:
    with rtsp_camera() as server, Camera(server.url) as camera:
        assert camera.read(timeout=30) is not None
        count = 0
        done = threading.Event()

        def work() -> None:
            nonlocal count
            while not done.is_set():
                count += 1
                time.sleep(0.001)

        worker = threading.Thread(target=work)
        worker.start()
        for _ in zip(range(10), camera):
            pass
        done.set()
        worker.join()
    # Ten frames take 0.4 seconds.
    assert count > 50


def test_a_timeout_is_kept() -> None:
    with Camera("test:") as camera:
        assert camera.read(timeout=30) is not None
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            while True:
                camera.read(timeout=0)
        assert time.monotonic() - began < 10


def test_ctrl_c_interrupts_a_read_within_a_second() -> None:
    code = """
import sys, time
from keepwatch import Camera
camera = Camera(sys.argv[1], reconnect=None)
camera.read(timeout=30)
try:
    print("reading", flush=True)
    while True:
        camera.read()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    camera.close()
"""
    with rtsp_camera() as server:
        process = subprocess.Popen(
            [sys.executable, "-c", code, server.url],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(keepwatch.__file__).parent.parent)},
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "interrupted\n"
    assert time.monotonic() - began < 1
    process.stdout.close()
    assert process.wait(timeout=30) == 0


@pytest.mark.parametrize("url", ["file", "test:"])
def test_a_program_that_closes_nothing_ends_all_the_same(url: str) -> None:
    code = """
import sys
from keepwatch import Camera
camera = Camera(sys.argv[1])
frame = camera.read()
image = frame.image
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(film()) if url == "file" else url],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(keepwatch.__file__).parent.parent)},
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_without_numpy_everything_but_images_works(monkeypatch: pytest.MonkeyPatch) -> None:
    with Camera(film()) as camera:
        frame = camera.read()
    assert frame is not None
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert frame.width == 768
    with pytest.raises(ImportError, match=r"pip install numpy"):
        _ = frame.image
