"""What training, evaluation and the Rust side have to do alike.

Rectifying, normalising and decoding are written out here plainly; the README
repeats them as the contract of the two networks.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

READER_W, READER_H = 144, 48
CLASSES = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # class 0 is the CTC blank
FOLD = str.maketrans("OI", "01")

Quad = np.ndarray  # 4x2 float32: top left, top right, bottom right, bottom left


def box_quad(x: float, y: float, w: float, h: float) -> Quad:
    return np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float32)


def rectify(grey: np.ndarray, quad: Quad, width: int = READER_W, height: int = READER_H) -> np.ndarray:
    """Samples the quad into a width x height picture, float32 0..255.

    Pixel centres are at half-integers: target pixel (i, j) covers the square
    from (i, j) to (i+1, j+1) of a plane whose corners map to the quad. Each
    target pixel is the mean of nx x ny bilinear samples, evenly spread, where nx
    is the quad's longer horizontal side over `width`, rounded up (1 to 8), and ny
    likewise. Outside the picture the nearest edge pixel counts.
    """
    q = quad.astype(np.float64)
    nx = int(np.clip(np.ceil(max(np.hypot(*(q[1] - q[0])), np.hypot(*(q[2] - q[3]))) / width), 1, 8))
    ny = int(np.clip(np.ceil(max(np.hypot(*(q[3] - q[0])), np.hypot(*(q[2] - q[1]))) / height), 1, 8))
    w, h = width * nx, height * ny
    src = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
    m = cv2.getPerspectiveTransform(src, quad.astype(np.float32))
    # OpenCV puts pixel centres at integers; the shifts by one half turn that into ours.
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    back = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    m = back @ m @ half
    # The smallest part of the picture that is needed: float conversion of all of it would dominate.
    x0, y0 = np.floor(q.min(0) - 2).astype(int)
    x1, y1 = np.ceil(q.max(0) + 3).astype(int)
    hh, ww = grey.shape
    x0, y0 = int(np.clip(x0, 0, ww - 1)), int(np.clip(y0, 0, hh - 1))
    x1, y1 = int(np.clip(x1, x0 + 1, ww)), int(np.clip(y1, y0 + 1, hh))
    m = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1]]) @ m
    part = grey[y0:y1, x0:x1].astype(np.float32)
    fine = cv2.warpPerspective(part, m, (w, h), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                               borderMode=cv2.BORDER_REPLICATE)
    return fine.reshape(height, ny, width, nx).mean((1, 3))


def normalise(crop: np.ndarray) -> np.ndarray:
    """Mean 0 and deviation 1 per crop (deviation at least 2 grey levels), clamped to -3..3."""
    mean, dev = float(crop.mean()), float(crop.std())
    return np.clip((crop - mean) / max(dev, 2.0), -3.0, 3.0).astype(np.float32)


def log_softmax(x: np.ndarray) -> np.ndarray:
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def greedy(logp: np.ndarray) -> tuple[str, float]:
    """Best path of one crop (steps x classes): text and confidence.

    A character's confidence is the largest probability among its steps; the
    confidence of the text is the geometric mean over its characters, 0 for no text.
    """
    best = logp.argmax(1)
    out: list[str] = []
    conf: list[float] = []
    last = 0
    for t, c in enumerate(best):
        if c != 0:
            p = float(logp[t, c])
            if c != last:
                out.append(CLASSES[c])
                conf.append(p)
            else:
                conf[-1] = max(conf[-1], p)
        last = c
    return "".join(out), float(np.exp(np.mean(conf))) if out else 0.0


def fold(text: str) -> str:
    return text.translate(FOLD)


@dataclass
class Sample:
    file: str
    region: str
    box: tuple[float, float, float, float]
    text: str
    path: Path

    def grey(self) -> np.ndarray:
        im = cv2.imread(str(self.path), cv2.IMREAD_COLOR)
        assert im is not None, self.path
        return cv2.cvtColor(im, cv2.COLOR_BGR2GRAY)


def dev_samples() -> list[Sample]:
    """The labelled photographs, with the two wrong labels put right."""
    root = Path(os.environ["KEEPWATCH_TESTDATA"]) / "plates" / "dev"
    notes: dict[str, str] = {}
    with open(root / "label_notes.csv", newline="") as f:
        for r in csv.DictReader(f):
            notes[r["file"]] = r["seen_in_picture"]
    out = []
    with open(root / "groundtruth.csv", newline="") as f:
        for r in csv.DictReader(f):
            box = (float(r["x"]), float(r["y"]), float(r["w"]), float(r["h"]))
            out.append(Sample(r["file"], r["region"], box, notes.get(r["file"], r["text"]), root / r["file"]))
    return out
