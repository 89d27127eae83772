#!/usr/bin/env python3
"""Measures how fast frames of a video come to NumPy: keepwatch beside cv2.VideoCapture.

The video is 1080p H.264, made from a real one of the test data with gst-launch-1.0 unless `--video`
names another. Each way reads all of it several times, in turns so that whatever else the machine
does reaches all of them; the best time and the median count. Each frame is touched as a NumPy array.
CPU time is of all threads. The result is Markdown.

It needs keepwatch with cameras, and `pip install opencv-python-headless`.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2

from keepwatch import Camera


@dataclass
class Way:
    """A way to read frames, and how long it took."""

    name: str
    read: Callable[[Path], int]
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def keepwatch(color: str) -> Callable[[Path], int]:
    def read(video: Path) -> int:
        frames = 0
        with Camera(video, color=color) as camera:
            for frame in camera:
                assert frame.image[-1, -1].size in (1, 3)
                frames += 1
        return frames

    return read


def opencv(convert: bool) -> Callable[[Path], int]:
    def read(video: Path) -> int:
        frames = 0
        capture = cv2.VideoCapture(str(video))
        while True:
            ok, image = capture.read()
            if not ok:
                break
            if convert:
                image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
            assert image[-1, -1].size in (1, 3)
            frames += 1
        capture.release()
        return frames

    return read


def make_video(target: Path) -> None:
    """1080p of the test data, as a camera sends it: no frames out of order, a key frame every 4 s."""
    data = Path(os.environ["KEEPWATCH_TESTDATA"], "video/car-detection.mp4")
    text = (
        f"filesrc location={data} ! decodebin ! videoconvert ! videoscale ! "
        "video/x-raw,width=1920,height=1080,format=I420 ! "
        "x264enc speed-preset=veryfast bframes=0 bitrate=6000 key-int-max=50 ! "
        f"video/x-h264,profile=high ! h264parse ! mp4mux ! filesink location={target}"
    )
    subprocess.run(["gst-launch-1.0", "-q", *text.split()], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", type=Path, help="the file to read")
    parser.add_argument("--rounds", type=int, default=5, help="how often each way reads it")
    arguments = parser.parse_args()
    ways = [
        Way("keepwatch, luma", keepwatch("luma")),
        Way("keepwatch, RGB", keepwatch("rgb")),
        Way("OpenCV, BGR", opencv(convert=False)),
        Way("OpenCV, BGR to gray", opencv(convert=True)),
    ]
    with tempfile.TemporaryDirectory() as directory:
        video = arguments.video
        if video is None:
            video = Path(directory, "1080p.mp4")
            make_video(video)
        counts = {way.read(video) for way in ways}
        if len(counts) != 1 or 0 in counts:
            raise SystemExit(f"not all ways see the same frames: {sorted(counts)}")
        frames = counts.pop()
        for _ in range(arguments.rounds):
            for way in ways:
                began, cpu = time.perf_counter(), time.process_time()
                way.read(video)
                way.seconds.append(time.perf_counter() - began)
                way.cpu.append(time.process_time() - cpu)
    versions = [
        f"{name} {importlib.metadata.version(name)}"
        for name in ("opencv-python-headless", "numpy")
    ]
    print(f"{frames} frames, {arguments.rounds} rounds, {os.cpu_count()} cores, {', '.join(versions)}\n")
    print("| | frames/s, best | frames/s, median | CPU ms a frame |\n| --- | ---: | ---: | ---: |")
    for way in ways:
        best, median = frames / min(way.seconds), frames / statistics.median(way.seconds)
        cpu = 1000 * min(way.cpu) / frames
        print(f"| {way.name} | {best:.0f} | {median:.0f} | {cpu:.2f} |")


if __name__ == "__main__":
    main()
