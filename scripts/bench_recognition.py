"""Measures the face networks from Python with onnxruntime, and from Rust, in one run.

    bench_recognition.py MODELS PHOTO FACE_RATE [PLATE_RATE PICTURE]

The same network, on the same input, on one thread. Prints a table of milliseconds.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

RUNS = 200


def python_ms(model: Path, side: int) -> tuple[float, float]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, ["CPUExecutionProvider"])
    value = {"input": np.random.default_rng(1).uniform(0, 255, (1, 3, side, side)).astype(np.float32)}
    session.run(None, value)
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        session.run(None, value)
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times), min(times)


def library() -> str:
    folder = Path(onnxruntime.__file__).parent / "capi"
    return str(max(folder.glob("libonnxruntime.so*")))


def main() -> None:
    models, photo, binary, *plates = sys.argv[1:]
    environment = {**os.environ, "ORT_DYLIB_PATH": library()}
    rows = []
    # One after the other, twice: the machine may be quicker at one time than at another.
    for turn in (1, 2):
        for side in (320, 640):
            median, least = python_ms(Path(models) / f"yunet_n_{side}_{side}.onnx", side)
            rows.append((f"yunet {side}: network, onnxruntime from Python, run {turn}", median, least))
        for command in ([binary, models, photo], plates):
            if not command:
                continue
            run = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            for line in run.stdout.splitlines():
                row = json.loads(line)
                rows.append((f"{row['what']}, run {turn}", row["median_ms"], row["min_ms"]))
    width = max(len(what) for what, _, _ in rows)
    print(f"{'':{width}}  median ms   least ms")
    for what, median, least in sorted(rows):
        print(f"{what:{width}}  {median:9.3f}  {least:9.3f}")


if __name__ == "__main__":
    main()
