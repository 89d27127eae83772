"""Something like the front or back of a car around a plate, drawn flat in grey.

It need not fool anyone: the finder only has to learn that grilles, lamps,
windows, badges and bumpers are not plates, and what a plate looks like among them.
"""

from __future__ import annotations

import random

import cv2
import numpy as np

import texts
from degrade import soft_noise
from layouts import paste_text

_BADGES = ["VOLVO", "TOYOTA", "FORD", "Fabia", "OCTAVIA", "1.9 TDI", "HONDA", "Corolla", "GT", "4x4", "TURBO", "V6",
           "CHEVROLET", "IMPALA", "HYBRID", "SPORT", "LX", "DODGE", "OPEL", "Golf", "KIA", "FIAT", "JEEP"]


def _poly(img: np.ndarray, pts: list[tuple[float, float]], v: float, alpha: float = 1.0) -> None:
    p = np.array(pts, np.float64)
    if alpha >= 1:
        cv2.fillPoly(img, [(p * 8).astype(np.int32)], v, cv2.LINE_AA, 3)
    else:
        layer = img.copy()
        cv2.fillPoly(layer, [(p * 8).astype(np.int32)], v, cv2.LINE_AA, 3)
        img += (layer - img) * alpha


def _stripes(img: np.ndarray, box: tuple[float, float, float, float], r: random.Random) -> None:
    x0, y0, x1, y1 = (int(v) for v in box)
    part = img[max(0, y0):max(0, y1), max(0, x0):max(0, x1)]
    if part.size == 0:
        return
    a, b = r.uniform(0, 90), r.uniform(60, 230)
    period = max(2.5, (y1 - y0) / r.uniform(2, 9))
    if r.random() < 0.7:
        wave = (np.arange(part.shape[0]) % period < period * r.uniform(0.3, 0.7))[:, None]
    elif r.random() < 0.5:
        wave = (np.arange(part.shape[1]) % period < period * r.uniform(0.3, 0.7))[None, :]
    else:  # a mesh
        wave = ((np.arange(part.shape[0]) % period < period * 0.4)[:, None]
                | (np.arange(part.shape[1]) % period < period * 0.4)[None, :])
    part[:] = np.where(wave, b, a)


def car_canvas(size: tuple[int, int], plate_box: tuple[float, float, float, float], full: tuple[float, float, float, float],
               photo: np.ndarray | None, r: random.Random, g: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws the car. `full` is the box of the car in the canvas, which may be cut off.

    Returns the picture and the mask of what belongs to the car.
    """
    w, h = size
    X0, Y0, X1, Y1 = full
    W, H = X1 - X0, Y1 - Y0

    def at(x: float, y: float) -> tuple[float, float]:
        return X0 + x * W, Y0 + y * H

    body = r.choice([r.uniform(5, 60), r.uniform(60, 180), r.uniform(170, 250)])
    img = np.full((h, w), body, np.float32)
    img += np.linspace(r.uniform(0, 35), r.uniform(-35, 0), h, dtype=np.float32)[:, None]
    img += soft_noise(g, h, w, r.choice([2, 3, 5, 9])) * r.uniform(0, 22)
    mask = np.zeros((h, w), np.float32)
    roof = r.uniform(0.06, 0.22)
    shape = [at(roof, 0), at(1 - roof, 0), at(1.0, r.uniform(0.3, 0.5)), at(1.0, 0.9), at(0.93, 1), at(0.07, 1), at(0.0, 0.9),
             at(0.0, r.uniform(0.3, 0.5))]
    _poly(mask, shape, 1.0)
    # Window with what it reflects.
    t, b = r.uniform(0.04, 0.1), r.uniform(0.3, 0.44)
    glass = np.zeros((h, w), np.float32)
    _poly(glass, [at(roof + 0.04, t), at(0.96 - roof, t), at(0.9, b), at(0.1, b)], 1.0)
    fill: np.ndarray | float = r.uniform(10, 130)
    if photo is not None and r.random() < 0.7:
        fill = cv2.resize(photo, (w, h)).astype(np.float32) * r.uniform(0.2, 0.8)
    img += (fill - img) * glass
    if r.random() < 0.5:  # seats and heads behind the glass
        shapes = np.zeros((h, w), np.float32)
        for _ in range(r.randint(1, 5)):
            c = at(r.uniform(0.15, 0.85), r.uniform(b - 0.2, b))
            cv2.ellipse(shapes, (int(c[0]), int(c[1])), (max(1, int(W * r.uniform(0.03, 0.1))), max(1, int(H * r.uniform(0.04, 0.15)))),
                        0, 0, 360, 1.0, -1)
        img += (r.uniform(0, 200) - img) * (shapes * glass * r.uniform(0.3, 1.0))
    # Lines of panels.
    for _ in range(r.randint(2, 9)):
        y = r.uniform(0.4, 1.0)
        d = r.uniform(-0.02, 0.02)
        v = body + r.choice([-1, 1]) * r.uniform(15, 110)
        p, q = at(r.uniform(0, 0.4), y), at(r.uniform(0.6, 1), y + d)
        cv2.line(img, (int(p[0]), int(p[1])), (int(q[0]), int(q[1])), v, max(1, int(r.uniform(0.003, 0.03) * H)), cv2.LINE_AA)
    if r.random() < 0.7:  # bumper
        y0 = r.uniform(0.6, 0.85)
        y1 = y0 + r.uniform(0.05, 0.25)
        _poly(img, [at(0, y0), at(1, y0), at(1, y1), at(0, y1)], r.uniform(5, 235), r.uniform(0.4, 1))
    # Lamps.
    ly, lw, lh = r.uniform(0.42, 0.62), r.uniform(0.08, 0.24), r.uniform(0.06, 0.2)
    lv, slant = r.uniform(40, 255), r.uniform(-0.05, 0.05)
    for s in (0, 1):
        def lx(x: float, s: int = s) -> float:
            return x if s == 0 else 1 - x
        _poly(img, [at(lx(0.02), ly), at(lx(0.02 + lw), ly + slant), at(lx(0.02 + lw * 0.9), ly + lh), at(lx(0.03), ly + lh)], lv)
        if r.random() < 0.45:  # ribs in the glass: a finder takes them for characters otherwise
            a, c = at(lx(0.03), ly + lh * 0.1), at(lx(0.02 + lw * 0.9), ly + lh * 0.95)
            x0, x1, y0, y1 = int(min(a[0], c[0])), int(max(a[0], c[0])), int(a[1]), int(c[1])
            part = img[max(0, y0):max(0, y1), max(0, x0):max(0, x1)]
            if part.size:
                period = r.uniform(3, 12)
                part += np.sin(np.arange(part.shape[1]) * 2 * np.pi / period)[None] * r.uniform(10, 60)
                part += soft_noise(g, part.shape[0], part.shape[1], r.choice([3, 6, 12])) * r.uniform(0, 40)
        for _ in range(r.choice([0, 1, 2, 3])):
            c = at(lx(0.02 + lw * r.uniform(0.2, 0.8)), ly + lh * r.uniform(0.2, 0.8))
            cv2.circle(img, (int(c[0]), int(c[1])), max(1, int(W * r.uniform(0.01, 0.04))), r.uniform(0, 320), -1, cv2.LINE_AA)
    # Grilles and vents.
    for _ in range(r.choice([0, 1, 1, 2])):
        gw, gh = r.uniform(0.2, 0.6), r.uniform(0.05, 0.16)
        cx, cy = r.choice([0.5, 0.5, r.uniform(0.2, 0.8)]), r.uniform(0.45, 0.92)
        a, c = at(cx - gw / 2, cy - gh / 2), at(cx + gw / 2, cy + gh / 2)
        _stripes(img, (a[0], a[1], c[0], c[1]), r)
    # Badges and stickers.
    for _ in range(r.choice([0, 1, 2, 3, 4])):
        x, y = r.uniform(0.05, 0.8), r.uniform(0.4, 0.9)
        bw, bh = r.uniform(0.06, 0.25), r.uniform(0.02, 0.06)
        a, c = at(x, y), at(x + bw, y + bh)
        if r.random() < 0.25:
            _poly(img, [a, (c[0], a[1]), c, (a[0], c[1])], r.uniform(0, 255))
        text = r.choice(_BADGES) if r.random() < 0.7 else texts.advert(r)
        paste_text(img, text, (a[0], a[1], c[0], c[1]), r.uniform(0, 255), r)
    if r.random() < 0.6:
        c = at(0.5 + r.uniform(-0.02, 0.02), r.uniform(0.42, 0.6))
        rad = max(1, int(W * r.uniform(0.015, 0.05)))
        cv2.circle(img, (int(c[0]), int(c[1])), rad, r.uniform(100, 255), max(1, rad // 4), cv2.LINE_AA)
    # The recess that the plate sits in.
    px0, py0, px1, py1 = plate_box
    pw, ph = px1 - px0, py1 - py0
    if r.random() < 0.5:
        m = [r.uniform(0.03, 0.5) for _ in range(4)]
        _poly(img, [(px0 - m[0] * pw, py0 - m[1] * ph), (px1 + m[0] * pw, py0 - m[1] * ph), (px1 + m[2] * pw, py1 + m[3] * ph),
                    (px0 - m[2] * pw, py1 + m[3] * ph)], body * r.uniform(0.1, 1.2), r.uniform(0.5, 1))
    if r.random() < 0.35:
        k = r.uniform(0.05, 0.3) * ph
        _poly(img, [(px0 - pw * 0.2, py0 - k), (px1 + pw * 0.2, py0 - k), (px1 + pw * 0.2, py0), (px0 - pw * 0.2, py0)],
              r.uniform(0, 255), r.uniform(0.4, 1))
    return img, mask
