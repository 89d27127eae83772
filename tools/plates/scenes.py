"""Scenes for the finder: plates on cars in front of photographs or made-up backgrounds.

`python scenes.py --photos DIR --out DIR --shards N` fills a pool for
`train_finder.py`; `--sheet out.png` draws a sheet. The photographs come from
Debian packages with wallpapers (see README); none shows a car close by.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from pathlib import Path

import cv2
import numpy as np

import texts
from cars import car_canvas
from degrade import blur, codec, exposure, lighting, soft_noise
from glyphs import SMALL_FONTS
from layouts import draw_plate, paste_text, pick_kind
from render import Canvas, random_view, surround

SCENE_W, SCENE_H = 320, 256
MAX_PLATES = 4


def load_photos(root: Path | None, limit: int = 1500) -> list[np.ndarray]:
    out = []
    if root:
        for p in sorted(root.rglob("*")):
            if p.suffix.lower() in (".jpg", ".png", ".webp", ".jpeg") and p.stat().st_size > 100_000:
                im = cv2.imread(str(p), cv2.IMREAD_REDUCED_GRAYSCALE_2)
                if im is None or min(im.shape) < 400:
                    continue
                f = limit / max(im.shape)
                out.append(cv2.resize(im, None, fx=f, fy=f, interpolation=cv2.INTER_AREA) if f < 1 else im)
    return out


def photo_crop(photos: list[np.ndarray], r: random.Random, w: int, h: int) -> np.ndarray | None:
    if not photos:
        return None
    im = r.choice(photos)
    f = r.uniform(0.25, 1.0)
    cw, ch = int(im.shape[1] * f), int(im.shape[1] * f * h / w)
    if ch > im.shape[0]:
        ch = im.shape[0]
        cw = min(im.shape[1], int(ch * w / h))
    x, y = r.randint(0, im.shape[1] - cw), r.randint(0, im.shape[0] - ch)
    out = cv2.resize(im[y:y + ch, x:x + cw], (w, h), interpolation=cv2.INTER_AREA)
    return out[:, ::-1] if r.random() < 0.5 else out


def background(photos: list[np.ndarray], r: random.Random, g: np.random.Generator, w: int, h: int) -> np.ndarray:
    photo = photo_crop(photos, r, w, h) if r.random() < 0.6 else None
    if photo is not None:
        img = photo.astype(np.float32)
    else:
        img = np.full((h, w), r.uniform(20, 230), np.float32)
        for cells in (2, 6, 20, 60):
            img += soft_noise(g, h, w, cells) * r.uniform(0, 22)
    if r.random() < 0.5:  # a road
        y = int(h * r.uniform(0.2, 0.8))
        road = r.uniform(60, 190) + soft_noise(g, h - y, w, r.choice([3, 40, 100])) * r.uniform(2, 12)
        img[y:] += (road - img[y:]) * r.uniform(0.6, 1)
    for _ in range(r.randint(0, 9)):  # kerbs, fences, posts, markings
        v = r.uniform(0, 255)
        x, y = r.uniform(0, w), r.uniform(0, h)
        k = r.random()
        if k < 0.35:
            a = r.uniform(0, np.pi)
            d = r.uniform(20, 300)
            cv2.line(img, (int(x), int(y)), (int(x + d * np.cos(a)), int(y + d * np.sin(a))), v, r.randint(1, 7), cv2.LINE_AA)
        elif k < 0.6:
            cv2.rectangle(img, (int(x), int(y)), (int(x + r.uniform(4, 120)), int(y + r.uniform(4, 90))), v, r.choice([-1, -1, 1, 2]))
        elif k < 0.75:
            n, p = r.randint(4, 20), r.uniform(4, 12)
            hh = r.uniform(15, 120)
            for i in range(n):
                cv2.line(img, (int(x + i * p), int(y)), (int(x + i * p), int(y + hh)), v, r.choice([1, 1, 2]))
        elif k < 0.82:  # a railing right across
            p, hh, t = r.uniform(5, 22), r.uniform(20, 140), r.choice([1, 2, 3])
            for i in range(int(w / p) + 1):
                cv2.line(img, (int(i * p), int(y)), (int(i * p), int(y + hh)), v, t)
            for dy in (0.1, 0.9):
                cv2.line(img, (0, int(y + hh * dy)), (w, int(y + hh * dy)), v, t)
        else:
            cv2.ellipse(img, (int(x), int(y)), (r.randint(2, 40), r.randint(2, 30)), r.uniform(0, 180), 0, 360, v, r.choice([-1, -1, 2]),
                        cv2.LINE_AA)
    return img


def decoy(img: np.ndarray, r: random.Random) -> None:
    """Things of the shape of a plate that are none."""
    h, w = img.shape
    dw = float(np.exp(r.uniform(np.log(16), np.log(150))))
    dh = dw / r.uniform(1.2, 6)
    x, y = r.uniform(0, w - dw * 0.5), r.uniform(0, h - dh)
    x0, y0, x1, y1 = int(x), int(y), int(x + dw), int(y + dh)
    k = r.random()
    v = r.uniform(0, 255)
    if k < 0.4:  # a sign or an advert in ordinary letters
        if r.random() < 0.7:
            img[y0:y1, x0:x1] = v
        ink = v + 130 if v < 125 else v - 130
        rows = r.choice([1, 2, 2, 3, 4])
        for i in range(rows):
            t = texts.advert(r)
            t = t.lower() if r.random() < 0.3 else t.title() if r.random() < 0.4 else t
            paste_text(img, t, (x0 + dw * r.uniform(0.03, 0.2), y0 + dh * (i + 0.15) / rows, x1 - dw * 0.05, y0 + dh * (i + 0.8) / rows), ink, r,
                       font=r.choice(SMALL_FONTS))
    elif k < 0.55:  # bars
        part = img[y0:y1, x0:x1]
        if part.size:
            widths = np.array([r.random() < 0.5 for _ in range(part.shape[1])])
            part[:] = np.where(widths, v, 255 - v)[None, :]
    elif k < 0.75:  # an empty panel
        img[y0:y1, x0:x1] = v
        if r.random() < 0.5:
            cv2.rectangle(img, (x0, y0), (x1, y1), 255 - v, r.choice([1, 2]))
    elif k < 0.9:  # a camera's time stamp
        t = f"{r.randint(2005, 2020)}-{r.randint(1, 12):02d}-{r.randint(1, 28):02d} {r.randint(0, 23):02d}:{r.randint(0, 59):02d}"
        hh = r.uniform(5, 12)
        yy = r.choice([2, h - 14])
        if r.random() < 0.5:
            img[yy:yy + int(hh) + 2, :r.choice([100, w])] = 0
        paste_text(img, t, (r.uniform(0, 120), yy + 1, w, yy + hh), r.choice([255, 255, 0]), r)
    else:  # a vent
        p = max(2, int(dh / r.uniform(2, 6)))
        for i in range(y0, y1, p):
            cv2.line(img, (x0, i), (x1, i), v, max(1, p // 2))


def paste_vehicle(img: np.ndarray, photos: list[np.ndarray], r: random.Random, g: np.random.Generator,
                  taken: list[np.ndarray]) -> tuple[np.ndarray, str] | None:
    """Puts a car with a plate (or only the plate) into the scene; gives the plate's corners and text."""
    h, w = img.shape
    kind = pick_kind(r, (4, 5, 2, 1))
    pw = float(np.exp(r.uniform(np.log(20 if kind != "br" else 26), np.log(250))))
    scale = 1.0 if pw > 120 else 1.6
    plate = draw_plate(r, kind, max(pw * scale, 72.0))
    canvas: Canvas = surround(plate, r, g)
    k = plate.img.shape[1] / pw
    # The car's canvas, in the plate's drawing scale.
    ph = plate.img.shape[0]
    pwc = plate.img.shape[1]
    real = {"eu": 520, "us": 305, "br": 400, "generic": 400}[plate.region]
    carw = pwc * r.uniform(1500, 2000) / real
    carh = carw * r.uniform(0.6, 0.95)
    if r.random() < 0.85:
        cx, cy = 0.5 + r.gauss(0, 0.03), r.uniform(0.5, 0.9)
        if r.random() < 0.1:
            cx = r.uniform(0.25, 0.75)
        # Not more than the scene can hold.
        lw, lh = min(carw, w * k * 1.3), min(carh, h * k * 1.3)
        size = (int(lw), int(lh))
        ox, oy = min(carw - lw, max(0.0, carw * cx - lw / 2)), min(carh - lh, max(0.0, carh * cy - lh / 2))
        px, py = carw * cx - pwc / 2 - ox, carh * cy - ph / 2 - oy
        photo = photo_crop(photos, r, 200, 160)
        flat, mask = car_canvas(size, (px, py, px + pwc, py + ph), (-ox, -oy, carw - ox, carh - oy), photo, r, g)
        x0, y0 = int(px), int(py)
        # The plate, with or without the bit of surroundings that the crops for the reader have.
        mx, my = (r.uniform(0.02, 0.12), r.uniform(0.05, 0.3)) if r.random() < 0.45 else (0.0, 0.0)
        dx, dy = int(mx * pwc), int(my * ph)
        gx, gy = int(canvas.plate[0]) - dx, int(canvas.plate[1]) - dy
        patch = canvas.img[gy:gy + ph + 2 * dy, gx:gx + pwc + 2 * dx]
        if r.random() < 0.4:  # in the shade or burnt out, unlike the rest of the car
            patch = exposure(patch, r)
        ax, ay = max(0, x0 - dx), max(0, y0 - dy)
        bx, by = min(size[0], x0 - dx + patch.shape[1]), min(size[1], y0 - dy + patch.shape[0])
        if ax >= bx or ay >= by:
            return None
        flat[ay:by, ax:bx] = patch[ay - (y0 - dy):by - (y0 - dy), ax - (x0 - dx):bx - (x0 - dx)]
        mask[ay:by, ax:bx] = 1
        box = (x0, y0, x0 + pwc, y0 + ph)
    else:
        flat, mask = canvas.img, np.ones(canvas.img.shape, np.float32)
        box = tuple(int(v) for v in canvas.plate)  # type: ignore[assignment]
    flat = lighting(flat, r, g)
    q = random_view(r, pw, pw * ph / pwc)
    half = (q.max(0) - q.min(0)) / 2
    lo, hi = half * 0.9, np.array([w, h]) - half * 0.9
    if (lo >= hi).any():
        lo, hi = np.array([w * 0.45, h * 0.45]), np.array([w * 0.55, h * 0.55])
    q = q + np.array([r.uniform(lo[0], hi[0]), r.uniform(lo[1], hi[1])])
    for t in taken:
        if (q.min(0) < t.max(0) + 4).all() and (q.max(0) > t.min(0) - 4).all():
            return None
    src = np.array([[box[0], box[1]], [box[2], box[1]], [box[2], box[3]], [box[0], box[3]]], np.float32)
    m = cv2.getPerspectiveTransform(src, q.astype(np.float32))
    if k > 1.2:
        flat = cv2.GaussianBlur(flat, (0, 0), 0.42 * k)
    layer = cv2.warpPerspective(flat, m, (w, h), flags=cv2.INTER_LINEAR)
    alpha = cv2.warpPerspective(mask, m, (w, h), flags=cv2.INTER_LINEAR)
    if any((alpha[np.clip(t[:, 1], 0, h - 1).astype(int), np.clip(t[:, 0], 0, w - 1).astype(int)] > 0.02).any() for t in taken):
        return None  # it would hide a plate that is already there
    if r.random() < 0.5 and k < 3:
        shade = cv2.GaussianBlur(alpha, (0, 0), r.uniform(2, 8))
        img *= 1 - 0.5 * np.roll(shade, 4, 0)
    img += (layer - img) * alpha
    return q.astype(np.float32), plate.text


def make_scene(photos: list[np.ndarray], r: random.Random, g: np.random.Generator, w: int = SCENE_W,
               h: int = SCENE_H) -> tuple[np.ndarray, list[np.ndarray]]:
    img = background(photos, r, g, w, h)
    for _ in range(r.choice([0, 0, 1, 2, 3])):
        decoy(img, r)
    quads: list[np.ndarray] = []
    for _ in range(r.choices([0, 1, 2, 3], [1.5, 6, 3, 1])[0]):
        done = paste_vehicle(img, photos, r, g, quads)
        if done:
            quads.append(done[0])
    if r.random() < 0.35:
        before = img.copy()
        decoy(img, r)
        changed = np.abs(img - before) > 1
        for q in quads:
            p0, p1 = np.clip(q.min(0), 0, None).astype(int), q.max(0).astype(int) + 1
            if changed[p0[1]:p1[1], p0[0]:p1[0]].any():
                img = before
                break
    if r.random() < 0.3:
        img = lighting(img, r, g)
    img = exposure(img, r, 4.0)
    img = blur(img, r, 60.0)
    img = codec(img, r, g, 120.0)
    return np.round(img).astype(np.uint8), quads


def make_shard(photos: list[np.ndarray], seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    cv2.setNumThreads(1)
    r, g = random.Random(seed), np.random.default_rng(seed)
    xs = np.zeros((n, SCENE_H, SCENE_W), np.uint8)
    qs = np.full((n, MAX_PLATES, 4, 2), np.nan, np.float32)
    for i in range(n):
        xs[i], quads = make_scene(photos, r, g)
        for j, q in enumerate(quads[:MAX_PLATES]):
            qs[i, j] = q
    return xs, qs


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--photos", type=Path)
    p.add_argument("--out", type=Path)
    p.add_argument("--shards", type=int, default=10)
    p.add_argument("--size", type=int, default=500)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--sheet", type=Path)
    a = p.parse_args()
    photos = load_photos(a.photos)
    print(len(photos), "photographs", flush=True)
    if a.sheet:
        xs, qs = make_shard(photos, a.seed, 20)
        for x, q in zip(xs, qs):
            for c in q:
                if not np.isnan(c).any():
                    cv2.polylines(x, [np.round(c).astype(np.int32).reshape(-1, 1, 2)], True, 255, 1)
        cv2.imwrite(str(a.sheet), np.vstack([np.hstack(list(xs[i:i + 4])) for i in range(0, 20, 4)]))
        return
    a.out.mkdir(parents=True, exist_ok=True)
    for s in range(a.seed, a.seed + a.shards):
        t = time.time()
        xs, qs = make_shard(photos, s, a.size)
        tmp = a.out / f".{s:05d}.npz"
        np.savez(tmp, x=xs, q=qs)
        os.replace(tmp, a.out / f"{s:05d}.npz")
        print(f"shard {s}: {a.size / (time.time() - t):.0f} scenes/s", flush=True)


if __name__ == "__main__":
    main()
