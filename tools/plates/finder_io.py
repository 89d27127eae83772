"""Decoding of the finder's maps, as the Rust side has to do it, and letterboxing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from common import Quad, box_quad, rectify

STRIDES = (8, 32)
NET_W, NET_H = 640, 384
Run = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass
class Found:
    quad: Quad
    score: float


Cell = tuple[float, int, np.ndarray]  # score, which map, corners


def cells_of(small: np.ndarray, large: np.ndarray, threshold: float) -> list[Cell]:
    """Every cell above the threshold, with its corners in pixels of the network's input."""
    cells: list[Cell] = []
    for level, (m, stride) in enumerate(zip((small, large), STRIDES)):
        score = 1 / (1 + np.exp(-m[0]))
        for row, col in zip(*np.nonzero(score > threshold)):
            mid = np.array([col + 0.5, row + 0.5], np.float32)
            cells.append((float(score[row, col]), level, (mid + m[1:9, row, col].reshape(4, 2)) * stride))
    return cells


def merge(cells: list[Cell], keep: int) -> list[Found]:
    """Plates from cells, best first.

    A cell whose box overlaps a better one by more than 0.3 (intersection over
    union) belongs to it and is dropped, but if it overlaps by more than 0.6 and
    comes from the same map its corners count in the average, weighted by the
    score squared.
    """
    cells = sorted(cells, key=lambda c: -c[0])
    groups: list[tuple[float, int, np.ndarray, list[tuple[float, np.ndarray]]]] = []
    for score, level, quad in cells[:600]:
        for g in groups:
            o = overlap(g[2], quad)
            if o > 0.3:
                if o > 0.6 and g[1] == level:
                    g[3].append((score * score, quad))
                break
        else:
            if len(groups) < keep:
                groups.append((score, level, quad, [(score * score, quad)]))
    out = []
    for score, _, _, members in groups:
        weight = sum(w for w, _ in members)
        out.append(Found((sum(w * q for w, q in members) / weight).astype(np.float32), score))  # type: ignore[union-attr]
    return out


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of the upright boxes around two quads."""
    a0, a1, b0, b1 = a.min(0), a.max(0), b.min(0), b.max(0)
    i = np.clip(np.minimum(a1, b1) - np.maximum(a0, b0), 0, None).prod()
    return float(i / ((a1 - a0).prod() + (b1 - b0).prod() - i + 1e-9))


def to_input(grey: np.ndarray) -> np.ndarray:
    return (grey.astype(np.float32) / 255 - 0.5) / 0.5


def letterbox(grey: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture at the top left, scaled so that it just fits; the rest is 0 (mid grey).

    Also gives how many pixels of the picture one pixel of the input is, in x and y.
    """
    h, w = grey.shape
    f = min(width / w, height / h)
    tw, th = max(1, round(w * f)), max(1, round(h * f))
    net = np.zeros((height, width), np.float32)
    net[:th, :tw] = to_input(rectify(grey, box_quad(0, 0, w, h), tw, th))
    return net, np.array([w / tw, h / th], np.float32)


def find(grey: np.ndarray, run: Run, threshold: float, keep: int, refine: bool) -> list[Found]:
    """The whole picture, once more at half that size, then each candidate from nearby.

    Plates that are wider than half of the picture are found in the smaller one.
    """
    net, scale = letterbox(grey, NET_W, NET_H)
    half = net.reshape(NET_H // 2, 2, NET_W // 2, 2).mean((1, 3))
    cells: list[Cell] = []
    for level, (x, k) in enumerate(((net, 1.0), (half, 2.0))):
        cells += [(s, m + 2 * level, q * scale * k) for s, m, q in cells_of(*run(x), threshold)]
    found = merge(cells, keep)
    if not refine:
        return found
    out: list[Found] = []
    for c in sorted((look_closer(grey, run, c, threshold) for c in found), key=lambda c: -c.score):
        # Two candidates may turn out to be the same plate.
        if all(overlap(c.quad, o.quad) <= 0.3 for o in out):
            out.append(c)
    return out


CLOSE_W, CLOSE_H = 192, 96


def look_closer(grey: np.ndarray, run: Run, c: Found, threshold: float) -> Found:
    """Runs the finder on the candidate's surroundings, with the plate 96 pixels wide.

    Small plates are only a few pixels wide in the letterboxed picture; their
    corners come out much better this way.
    """
    q = c.quad
    width = max(8.0, float((np.hypot(*(q[1] - q[0])) + np.hypot(*(q[2] - q[3]))) / 2))
    mid = q.mean(0)
    zoom = width / 96
    bw, bh = CLOSE_W * zoom, CLOSE_H * zoom
    box = box_quad(float(mid[0]) - bw / 2, float(mid[1]) - bh / 2, bw, bh)
    best = None
    for d in merge(cells_of(*run(to_input(rectify(grey, box, CLOSE_W, CLOSE_H))), threshold), 3):
        quad = (d.quad * zoom + box[0]).astype(np.float32)
        if overlap(quad, q) > 0.3 and (best is None or d.score > best.score):
            best = Found(quad, d.score)
    if best is None:
        return c
    return Found(best.quad, max(c.score, best.score))
