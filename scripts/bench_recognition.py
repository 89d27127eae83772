"""Measures faces and plates: Keepwatch beside onnxruntime from Python, OpenCV and Tesseract's program.

    bench_recognition.py --examples FOLDER

FOLDER has the examples `face_rate` and `plate_rate`; KEEPWATCH_TESTDATA names the test data, and
ORT_DYLIB_PATH the library of ONNX Runtime that both use. All of it runs on one thread, in turns, twice;
the table has the better of both medians, in milliseconds.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

RUNS = 200


def measure(run: Callable[[], object], runs: int = RUNS) -> float:
    run()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def network(model: Path, side: int) -> float:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, ["CPUExecutionProvider"])
    value = {"input": np.random.default_rng(1).uniform(0, 255, (1, 3, side, side)).astype(np.float32)}
    return measure(lambda: session.run(None, value))


def opencv(model: Path, side: int) -> float:
    detector = cv2.FaceDetectorYN.create(str(model), "", (side, side), 0.6, 0.3)
    picture = np.random.default_rng(1).integers(0, 255, (side, side, 3), dtype=np.uint8)
    return measure(lambda: detector.detect(picture))


def tesseract(plates: Path) -> float:
    """A process for each plate, on its labelled box, as programs do that call it."""
    with (plates / "groundtruth.csv").open() as table:
        row = next(row for row in csv.DictReader(table) if row["region"] == "br")
    x, y, w, h = (int(row[key]) for key in "xywh")
    ok, png = cv2.imencode(".png", cv2.imread(str(plates / row["file"]))[y : y + h, x : x + w])
    assert ok
    command = ["tesseract", "-", "-", "--psm", "7", "-l", "eng"]
    return measure(lambda: subprocess.run(command, input=png.tobytes(), capture_output=True, check=True), 20)


def rates(*command: object) -> dict[str, float]:
    run = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    return {row["what"]: row["median_ms"] for row in rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=Path, required=True)
    examples = parser.parse_args().examples
    testdata = Path(os.environ["KEEPWATCH_TESTDATA"])
    models, plates = testdata / "models", testdata / "plates/dev"
    cv2.setNumThreads(1)
    best: dict[str, float] = {}
    # The machine may be quicker at one time than at another.
    for _ in range(2):
        turn = {}
        for side in (320, 640):
            model = models / f"yunet_n_{side}_{side}.onnx"
            turn[f"yunet {side}: network, onnxruntime {onnxruntime.__version__} from Python"] = network(model, side)
            turn[f"yunet {side}: all of it, OpenCV {cv2.__version__}"] = opencv(model, side)
        turn |= rates(examples / "face_rate", models, testdata / "faces/dev/multi/group_a.jpg")
        turn |= rates(examples / "plate_rate", plates / "br")
        turn["one labelled plate, a process of Tesseract"] = tesseract(plates)
        for what, median in turn.items():
            best[what] = min(median, best.get(what, median))
    print("| | ms |\n|---|--:|")
    for what, median in sorted(best.items()):
        print(f"| {what} | {median:.3f} |")


if __name__ == "__main__":
    main()
