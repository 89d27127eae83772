"""A stroke font of our own.

Most plates in the USA, Brazil and older ones elsewhere are pressed with dies
that no free font resembles: narrow, of one stroke width, with boxy rounded
corners. They are drawn here from centre lines, so that width, corner radius
and small habits (a foot under the 1, an open 4) can differ from plate to plate.
"""

from __future__ import annotations

import random

import cv2
import numpy as np

# A vertex is (x, y, r): x and y in the unit box with y down, and how much of
# the corner radius this corner takes.
Vertex = tuple[float, float, float]
Stroke = tuple[list[Vertex], bool]


def _s(*pts: tuple[float, ...], closed: bool = False) -> Stroke:
    return [(p[0], p[1], p[2] if len(p) > 2 else 0.0) for p in pts], closed


def glyph_strokes(char: str, rng: random.Random) -> list[Stroke]:
    """The centre lines of a character; `rng` picks among the usual variants."""
    flip = rng.random
    waist = rng.uniform(0.44, 0.53)
    cut = rng.uniform(0.22, 0.32)
    ring = _s((0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1), closed=True)
    if char == "0":
        if flip() < 0.06:
            return [ring, _s((0.15, 0.8), (0.85, 0.2))]
        return [ring]
    if char == "O":
        return [ring]
    if char == "Q":
        return [ring, _s((0.55, 0.72), (1.05, 1.04))]
    if char == "A":
        top = rng.choice([0.0, 0.0, 0.08, 0.15])
        bar = rng.uniform(0.6, 0.75)
        legs = _s((0, 1), (0.5 - top, 0), (0.5 + top, 0), (1, 1)) if top else _s((0, 1), (0.5, 0), (1, 1))
        return [legs, _s((0.5 - bar * 0.5, bar), (0.5 + bar * 0.5, bar))]
    if char == "B":
        return [
            _s((0, waist), (0, 0), (0.95, 0, 1), (0.95, waist, 1), (0, waist)),
            _s((0, waist), (1, waist, 1), (1, 1, 1), (0, 1), (0, waist)),
        ]
    if char == "C":
        return [_s((1, cut), (1, 0, 1), (0, 0, 1), (0, 1, 1), (1, 1, 1), (1, 1 - cut))]
    if char == "D":
        out = [_s((0, 0), (1, 0, 1), (1, 1, 1), (0, 1), (0, 0))]
        if flip() < 0.3:  # feet, to tell it from O
            out += [_s((-0.12, 0), (0, 0)), _s((-0.12, 1), (0, 1))]
        return out
    if char == "E":
        return [_s((1, 0), (0, 0), (0, 1), (1, 1)), _s((0, waist), (rng.uniform(0.75, 0.95), waist))]
    if char == "F":
        return [_s((1, 0), (0, 0), (0, 1)), _s((0, waist), (rng.uniform(0.75, 0.95), waist))]
    if char == "G":
        arm = rng.uniform(0.4, 0.6)
        end = [(1, 1, 1), (1, 0.53), (arm, 0.53)]
        return [_s((1, cut), (1, 0, 1), (0, 0, 1), (0, 1, 1), *end)]
    if char == "H":
        return [_s((0, 0), (0, 1)), _s((1, 0), (1, 1)), _s((0, waist), (1, waist))]
    if char == "I":
        out = [_s((0.5, 0), (0.5, 1))]
        if flip() < 0.6:
            out += [_s((0.12, 0), (0.88, 0)), _s((0.12, 1), (0.88, 1))]
        return out
    if char == "J":
        out = [_s((1, 0), (1, 1, 1), (0, 1, 1), (0, rng.uniform(0.65, 0.78)))]
        if flip() < 0.25:
            out.append(_s((0.45, 0), (1, 0)))
        return out
    if char == "K":
        y = rng.uniform(0.55, 0.68)
        x = rng.uniform(0.25, 0.42)
        return [_s((0, 0), (0, 1)), _s((1, 0), (0, y)), _s((x, y * (1 - x)), (1, 1))]
    if char == "L":
        return [_s((0, 0), (0, 1), (1, 1))]
    if char == "M":
        return [_s((0, 1), (0, 0), (0.5, rng.choice([0.4, 0.5, 0.6, 0.75, 1.0])), (1, 0), (1, 1))]
    if char == "N":
        return [_s((0, 1), (0, 0), (1, 1), (1, 0))]
    if char in "PR":
        w = rng.uniform(0.48, 0.58)
        out = [_s((0, 1), (0, 0), (1, 0, 1), (1, w, 1), (0, w))]
        if char == "R":
            out.append(_s((rng.uniform(0.3, 0.55), w), (1, 1)))
        return out
    if char == "S":
        a, b = (waist, waist) if flip() < 0.5 else (waist - 0.08, waist + 0.1)
        return [_s((1, cut), (1, 0, 1), (0, 0, 1), (0, a, 1), (1, b, 1), (1, 1, 1), (0, 1, 1), (0, 1 - cut))]
    if char == "T":
        return [_s((0, 0), (1, 0)), _s((0.5, 0), (0.5, 1))]
    if char == "U":
        return [_s((0, 0), (0, 1, 1), (1, 1, 1), (1, 0))]
    if char == "V":
        return [_s((0, 0), (0.5, 1), (1, 0))]
    if char == "W":
        peak = rng.choice([0.0, 0.25, 0.4])
        if flip() < 0.6:
            lean = rng.choice([0.0, 0.05, 0.1])
            return [_s((0, 0), (lean, 1), (0.5, max(peak, 0.3)), (1 - lean, 1), (1, 0))]
        return [_s((0, 0), (0.25, 1), (0.5, peak), (0.75, 1), (1, 0))]
    if char == "X":
        return [_s((0, 0), (1, 1)), _s((1, 0), (0, 1))]
    if char == "Y":
        return [_s((0, 0), (0.5, waist), (1, 0)), _s((0.5, waist), (0.5, 1))]
    if char == "Z":
        return [_s((0, 0), (1, 0), (0, 1), (1, 1))]
    if char == "1":
        out = [_s((0.5, 0), (0.5, 1))]
        if flip() < 0.8:
            out.append(_s((0.5, 0), (rng.uniform(0.05, 0.25), rng.uniform(0.12, 0.26))))
        if flip() < 0.45:
            out.append(_s((0.1, 1), (0.9, 1)))
        return out
    if char == "2":
        return [_s((0, cut), (0, 0, 1), (1, 0, 1), (1, rng.uniform(0.38, 0.5), 0.7), (0, 1), (1, 1))]
    if char == "3":
        x = rng.uniform(0.3, 0.55)
        if flip() < 0.2:
            return [_s((0, 0), (1, 0), (x, 0.4), (1, 0.42, 1), (1, 1, 1), (0, 1, 1), (0, 1 - cut))]
        return [
            _s((0, cut), (0, 0, 1), (0.97, 0, 1), (0.97, waist, 1), (x, waist)),
            _s((x, waist), (1, waist, 1), (1, 1, 1), (0, 1, 1), (0, 1 - cut)),
        ]
    if char == "4":
        y = rng.uniform(0.66, 0.8)
        if flip() < 0.15:
            return [_s((0.15, 0), (0, y), (1, y)), _s((0.75, 0.35), (0.75, 1))]
        x = rng.uniform(0.68, 0.9)
        apex = x - rng.choice([0.0, 0.0, 0.1, 0.25])
        return [_s((x, 1), (x, 0), (apex, 0), (0, y), (1, y)) if apex < x else _s((x, 1), (x, 0), (0, y), (1, y))]
    if char == "5":
        y = rng.uniform(0.4, 0.48)
        return [_s((0.95, 0), (0.06, 0), (0.03, y), (1, y - 0.03, 1), (1, 1, 1), (0, 1, 1), (0, 1 - cut))]
    if char in "69":
        y = rng.uniform(0.4, 0.5)
        out = [_s((0, y, 1), (1, y, 1), (1, 1, 1), (0, 1, 1), closed=True)]
        if flip() < 0.25:
            out.append(_s((0.7, 0), (0.02, 0.68)))
        else:
            out.append(_s((1, cut), (1, 0, 1), (0, 0, 1), (0, 0.7)))
        if char == "9":
            out = [([(1 - x, 1 - yy, r) for x, yy, r in pts], c) for pts, c in out]
        return out
    if char == "7":
        out = [_s((0, 0), (1, 0), (rng.uniform(0.25, 0.5), 1))]
        if flip() < 0.1:
            out.append(_s((0, 0), (0, 0.15)))
        return out
    if char == "8":
        return [
            _s((0.04, 0, 1), (0.96, 0, 1), (0.96, waist, 1), (0.04, waist, 1), closed=True),
            _s((0, waist, 1), (1, waist, 1), (1, 1, 1), (0, 1, 1), closed=True),
        ]
    raise ValueError(char)


def _round_path(pts: np.ndarray, radii: np.ndarray, closed: bool) -> np.ndarray:
    """Replaces each corner by a quadratic curve that starts `radius` before it."""
    n = len(pts)
    out: list[np.ndarray] = []
    for i in range(n):
        p, r = pts[i], float(radii[i])
        if (not closed and i in (0, n - 1)) or r <= 0:
            out.append(p)
            continue
        a, b = pts[i - 1] - p, pts[(i + 1) % n] - p
        la, lb = float(np.hypot(*a)), float(np.hypot(*b))
        d = min(r, la * 0.5, lb * 0.5)
        p0, p1 = p + a / max(la, 1e-6) * d, p + b / max(lb, 1e-6) * d
        for t in np.linspace(0, 1, 7):
            # Pulled a little towards the corner: nearer to a circle than a parabola is.
            c = p + (p - (p0 + p1) / 2) * 0.1
            out.append((1 - t) ** 2 * p0 + 2 * t * (1 - t) * c + t * t * p1)
    return np.array(out)


def stroke_sdf(char: str, aspect: float, radius: float, rng: random.Random, cap: int, pad: int) -> np.ndarray:
    """Distance to the centre line in pixels, negated: larger is nearer.

    The box of the centre lines is `cap` high and `aspect * cap` wide (narrower
    for I and 1), with `pad` pixels around it.
    """
    strokes = glyph_strokes(char, rng)
    width = aspect * cap
    if char in "I1":
        width *= rng.uniform(0.5, 0.75)
    if char in "MW":
        width *= rng.uniform(0.92, 1.2)
    h, w = cap + 2 * pad, int(round(width)) + 2 * pad
    canvas = np.full((h * 2, w * 2), 255, np.uint8)
    for pts, closed in strokes:
        xy = np.array([(x * width + pad, y * cap + pad) for x, y, _ in pts])
        rounded = _round_path(xy, np.array([r for _, _, r in pts]) * radius * width, closed)
        q = np.round(rounded * 2 * 16).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(canvas, [q], closed, 0, 1, cv2.LINE_8, 4)
    dist = cv2.distanceTransform(canvas, cv2.DIST_L2, 5) / 2
    return -cv2.resize(dist, (w, h), interpolation=cv2.INTER_AREA).astype(np.float32)
