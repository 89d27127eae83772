"""Crops for the reader: plates on a bit of car, seen by a bad camera.

`python render.py --out DIR --shards N` fills a pool of .npz files (each 4000
crops) for `train_reader.py`; `python render.py --sheet out.png` draws a sheet.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

import texts
from common import CLASSES, READER_H, READER_W, Quad, box_quad, normalise, rectify
from degrade import blur, codec, exposure, lighting, soft_noise
from layouts import Plate, draw_plate, paste_text, pick_kind
from glyphs import SMALL_FONTS

MAX_TEXT = 10
# Narrower plates than this cannot be read even by people.
NARROWEST = {"eu": 66, "us": 50, "br": 85, "generic": 70}


@dataclass
class Canvas:
    """A plate on its surroundings, still flat."""

    img: np.ndarray
    plate: tuple[float, float, float, float]
    chars: tuple[float, float, float, float]
    text: str
    region: str


def surround(plate: Plate, r: random.Random, g: np.random.Generator) -> Canvas:
    """Car body, bumper edges, a holder with the dealer's name."""
    ph, pw = plate.img.shape
    mx, my = round(pw * 0.42), round(ph * 0.6)
    h, w = ph + 2 * my, pw + 2 * mx
    body = r.uniform(10, 240)
    img = np.full((h, w), body, np.float32)
    img += soft_noise(g, h, w, r.choice([2, 3, 5])) * r.uniform(0, 25)
    for _ in range(r.choice([0, 1, 2, 3, 4])):
        v = r.uniform(0, 255)
        if r.random() < 0.7:  # panel gaps and bumper edges
            y = round(r.uniform(0, h))
            t = round(r.uniform(1, ph * 0.3))
            img[y:y + t] += (v - img[y:y + t]) * r.uniform(0.3, 1.0)
        else:
            x = round(r.uniform(0, w))
            t = round(r.uniform(1, pw * 0.2))
            img[:, x:x + t] += (v - img[:, x:x + t]) * r.uniform(0.3, 1.0)
    if plate.region != "us" and r.random() < 0.6:
        # Holder around the plate, often with an advert below.
        f = r.uniform(0.02, 0.09) * ph
        below = r.uniform(0.06, 0.28) * ph if r.random() < 0.6 else f
        above = r.uniform(0.05, 0.2) * ph if r.random() < 0.1 else f
        v = r.uniform(0, 80) if r.random() < 0.8 else r.uniform(80, 255)
        x0, y0, x1, y1 = mx - f, my - above, mx + pw + f, my + ph + below
        img[round(y0):round(y1), round(x0):round(x1)] = v
        tv = v + 150 if v < 100 else v - 90
        if below > 0.1 * ph and r.random() < 0.85:
            half = pw * r.uniform(0.2, 0.48)
            if r.random() < 0.3:
                img[round(my + ph):round(y1), round(mx + pw / 2 - half):round(mx + pw / 2 + half)] = r.uniform(120, 250)
                tv = r.uniform(0, 90)
            paste_text(img, texts.advert(r), (mx + pw / 2 - half, my + ph + below * 0.15, mx + pw / 2 + half,
                                              my + ph + below * 0.8), tv, r)
    elif r.random() < 0.5:
        # A shadow line under the edge of the plate.
        k = max(1, round(ph * r.uniform(0.02, 0.07)))
        img[my - k:my + ph + k, mx - k:mx + pw + k] *= r.uniform(0.2, 0.9)
    roi = img[my:my + ph, mx:mx + pw]
    if plate.region in ("us", "br") and r.random() < 0.7:
        # Rounded corners let the body show.
        m = np.zeros((ph, pw), np.float32)
        rad = int(ph * r.uniform(0.03, 0.09))
        cv2.rectangle(m, (rad, 0), (pw - 1 - rad, ph - 1), 1.0, -1)
        cv2.rectangle(m, (0, rad), (pw - 1, ph - 1 - rad), 1.0, -1)
        for cx in (rad, pw - 1 - rad):
            for cy in (rad, ph - 1 - rad):
                cv2.circle(m, (cx, cy), rad, 1.0, -1, cv2.LINE_AA)
        roi += (plate.img - roi) * m
    else:
        roi[:] = plate.img
    x0, y0, x1, y1 = plate.chars
    return Canvas(img, (mx, my, mx + pw, my + ph), (mx + x0, my + y0, mx + x1, my + y1), plate.text, plate.region)


def random_view(r: random.Random, w: float, h: float, hard: float = 1.0) -> np.ndarray:
    """Where the corners of a w x h plate go: rotation, shear and perspective, around 0."""
    q = np.array([[-w, -h], [w, -h], [w, h], [-w, h]], np.float64) / 2
    a = np.radians(np.clip(r.gauss(0, 4.5), -15, 15)) * hard
    sx, sy = r.gauss(0, 0.09) * hard, r.gauss(0, 0.05) * hard
    m = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) @ np.array([[1, sx], [sy, 1]])
    m = m @ np.diag([r.uniform(0.82, 1.03) if r.random() < 0.6 else 1.0, r.uniform(0.85, 1.1)])
    q = q @ m.T
    k = 1 + np.array([r.gauss(0, 0.045), r.gauss(0, 0.07)]) @ (np.array([[-1, 1, 1, -1], [-1, -1, 1, 1]]) * 0.5) * hard
    return q * k[:, None]


def view_of(canvas: Canvas, r: random.Random, width: float) -> tuple[np.ndarray, np.ndarray]:
    """The homography from the canvas to a small picture and that picture's size."""
    x0, y0, x1, y1 = canvas.plate
    q = random_view(r, width, width * (y1 - y0) / (x1 - x0))
    span = q.max(0) - q.min(0)
    size = np.ceil(span * np.array([1.75, 1.95])).astype(int) + 4
    q = q - (q.max(0) + q.min(0)) / 2 + size / 2 + np.array([r.uniform(-3, 3), r.uniform(-3, 3)])
    src = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
    return cv2.getPerspectiveTransform(src, q.astype(np.float32)), size


def crop_quad(plate: Quad, chars: Quad, r: random.Random) -> Quad:
    """What a localiser might hand over: tight or sloppy, rectified or upright."""
    def jitter(q: Quad, s: float) -> Quad:
        wv, hv = q[1] - q[0], q[3] - q[0]
        d = [wv * r.gauss(0, s) * 0.6 + hv * r.gauss(0, s * 1.4) for _ in range(4)]
        return (q + np.array(d)).astype(np.float32)

    def grow(q: Quad, l: float, t: float, rt: float, b: float) -> Quad:
        u, v = (q[1] - q[0] + q[2] - q[3]) / 2, (q[3] - q[0] + q[2] - q[1]) / 2
        return np.array([q[0] - u * l - v * t, q[1] + u * rt - v * t, q[2] + u * rt + v * b, q[3] - u * l + v * b], np.float32)

    k = r.random()
    if k < 0.42:  # corners from a detector
        m = r.uniform(0, 0.07)
        return jitter(grow(plate, m * 0.7, m, m * 0.7, m), r.choice([0.015, 0.03, 0.05]))
    base = chars if k > 0.84 else plate
    if r.random() < 0.25:
        q = base
    else:
        p0, p1 = base.min(0), base.max(0)
        q = box_quad(p0[0], p0[1], p1[0] - p0[0], p1[1] - p0[1])
    if k > 0.84:
        return grow(q, *(r.uniform(0.02, 0.2) for _ in range(4)))
    side = [min(0.28, max(-0.05, abs(r.gauss(0.02, 0.09)) - 0.02)) for _ in range(4)]
    return grow(q, side[0] * 0.8, side[1], side[2] * 0.8, side[3])


def make_crop(r: random.Random, g: np.random.Generator) -> tuple[np.ndarray, str]:
    negative = r.random() < 0.07
    if negative and r.random() < 0.6:
        return background_crop(r, g)
    kind = pick_kind(r)
    width = float(np.exp(r.uniform(np.log(NARROWEST[kind]), np.log(220))))
    plate = draw_plate(r, kind, float(np.clip(width * r.uniform(1.1, 1.7), 120, 300)))
    canvas = surround(plate, r, g)
    img = lighting(canvas.img, r, g)
    m, size = view_of(canvas, r, width)
    img = cv2.warpPerspective(img, m, tuple(int(v) for v in size), flags=cv2.INTER_LINEAR,
                              borderMode=cv2.BORDER_REPLICATE)
    img = exposure(img, r)
    img = blur(img, r, width)
    img = codec(img, r, g, width)
    u8 = np.round(img).astype(np.uint8)
    x0, y0, x1, y1 = canvas.plate
    quads = []
    for bx in (canvas.plate, canvas.chars):
        pts = np.array([[[bx[0], bx[1]], [bx[2], bx[1]], [bx[2], bx[3]], [bx[0], bx[3]]]], np.float32)
        quads.append(cv2.perspectiveTransform(pts, m)[0])
    q = crop_quad(quads[0], quads[1], r)
    text = canvas.text
    if negative:
        # Only a part of the plate: nothing that should be read with confidence.
        u, v = q[1] - q[0], q[3] - q[0]
        if r.random() < 0.5:
            q = q + u * r.choice([-1, 1]) * r.uniform(0.45, 0.8)
        else:
            q = q + v * r.choice([-1, 1]) * r.uniform(0.5, 0.9)
        text = ""
    return rectify(u8, q.astype(np.float32)), text


def background_crop(r: random.Random, g: np.random.Generator) -> tuple[np.ndarray, str]:
    """Grilles, bars, noise and lettering that is not a plate."""
    h, w = r.randint(30, 90), r.randint(80, 220)
    img = np.full((h, w), r.uniform(10, 240), np.float32) + soft_noise(g, h, w, r.choice([2, 4, 8, 16])) * r.uniform(3, 60)
    k = r.random()
    if k < 0.3:  # grilles and vents
        p = r.uniform(3, 14)
        upright = r.random() < 0.4
        wave = np.sin(np.arange(w if upright else h) * 2 * np.pi / p)
        wave = np.sign(wave) if r.random() < 0.6 else wave
        img += (wave[None, :] if upright else wave[:, None]) * r.uniform(20, 90)
    elif k < 0.75:  # lettering
        if r.random() < 0.5:
            img[:] = r.uniform(150, 250)
        for _ in range(r.choice([1, 1, 2, 3])):
            y = r.uniform(0, h * 0.7)
            t = texts.advert(r)
            if r.random() < 0.6:
                t = t.lower() if r.random() < 0.5 else t.title()
            paste_text(img, t, (r.uniform(0, w * 0.3), y, r.uniform(w * 0.6, w), y + h * r.uniform(0.12, 0.3)),
                       r.uniform(0, 255), r, font=r.choice(SMALL_FONTS))
    else:
        for _ in range(r.randint(1, 10)):
            a, b = (r.randint(-20, w + 20), r.randint(-20, h + 20)), (r.randint(-20, w + 20), r.randint(-20, h + 20))
            if r.random() < 0.5:
                cv2.line(img, a, b, r.uniform(0, 255), r.randint(1, 9), cv2.LINE_AA)
            else:
                cv2.ellipse(img, a, (r.randint(2, 50), r.randint(2, 30)), r.uniform(0, 180), 0, 360, r.uniform(0, 255), r.choice([-1, 2, 4]))
    img = codec(blur(exposure(lighting(img, r, g), r), r, w), r, g, w)
    m = r.uniform(0, 0.1)
    return rectify(np.round(img).astype(np.uint8), box_quad(w * m, h * m, w * (1 - 2 * m), h * (1 - 2 * m))), ""


def to_u8(crop: np.ndarray) -> np.ndarray:
    """Normalised crops, -3..3 spread over a byte, so that the pool fits into memory."""
    return np.round((normalise(crop) + 3) * (255 / 6)).astype(np.uint8)


def encode(text: str) -> list[int]:
    codes = [CLASSES.index(c) for c in text]
    assert len(codes) <= MAX_TEXT, text
    return codes + [0] * (MAX_TEXT - len(codes))


def make_shard(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    cv2.setNumThreads(1)
    r, g = random.Random(seed), np.random.default_rng(seed)
    xs = np.zeros((n, READER_H, READER_W), np.uint8)
    ys = np.zeros((n, MAX_TEXT), np.uint8)
    for i in range(n):
        crop, text = make_crop(r, g)
        xs[i], ys[i] = to_u8(crop), encode(text)
    return xs, ys


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--out", type=Path)
    p.add_argument("--shards", type=int, default=10)
    p.add_argument("--size", type=int, default=4000)
    p.add_argument("--seed", type=int, default=1, help="the first shard's seed; they count up")
    p.add_argument("--sheet", type=Path)
    a = p.parse_args()
    if a.sheet:
        xs, ys = make_shard(a.seed, 96)
        rows = []
        for i in range(0, 96, 8):
            tiles = []
            for x, y in zip(xs[i:i + 8], ys[i:i + 8]):
                t = np.vstack([x, np.zeros((12, READER_W), np.uint8)])
                cv2.putText(t, "".join(CLASSES[c] for c in y if c), (2, READER_H + 10), 0, 0.4, 255, 1)
                tiles.append(t)
            rows.append(np.hstack(tiles))
        cv2.imwrite(str(a.sheet), np.vstack(rows))
        return
    a.out.mkdir(parents=True, exist_ok=True)
    for s in range(a.seed, a.seed + a.shards):
        t = time.time()
        xs, ys = make_shard(s, a.size)
        tmp = a.out / f".{s:05d}.npz"
        np.savez(tmp, x=xs, y=ys)
        os.replace(tmp, a.out / f"{s:05d}.npz")
        print(f"shard {s}: {a.size / (time.time() - t):.0f} crops/s", flush=True)


if __name__ == "__main__":
    main()
