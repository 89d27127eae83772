"""From a clean drawing to what a camera makes of it (grey, float32 0..255)."""

from __future__ import annotations

import random

import cv2
import numpy as np


def soft_noise(rng: np.random.Generator, h: int, w: int, cells: int) -> np.ndarray:
    """Smooth noise of mean 0 with about `cells` bumps across."""
    ch = max(2, int(cells * h / max(w, 1)) + 1)
    n = rng.standard_normal((ch, max(2, cells))).astype(np.float32)
    return cv2.resize(n, (w, h), interpolation=cv2.INTER_CUBIC)


def lighting(img: np.ndarray, r: random.Random, g: np.random.Generator) -> np.ndarray:
    """Shadows, gradients, glare and dirt in the plane of the plate."""
    h, w = img.shape
    if r.random() < 0.6:
        a, b = r.uniform(-0.3, 0.3), r.uniform(-0.3, 0.3)
        gx = np.linspace(-a, a, w, dtype=np.float32)[None]
        gy = np.linspace(-b, b, h, dtype=np.float32)[:, None]
        img = img * (1 + gx + gy)
    if r.random() < 0.22:
        # The edge of a shadow: half of the plate darker.
        k = r.uniform(0.3, 0.8)
        m = np.ones((h, w), np.float32)
        x = r.uniform(0, w)
        tilt = r.uniform(-1.5, 1.5) * h
        if r.random() < 0.5:
            p = np.array([[-w, -h], [x - tilt, -h], [x + tilt, 2 * h], [-w, 2 * h]])
        else:
            y = r.uniform(0.2 * h, 0.8 * h)
            t = r.uniform(-0.3, 0.3) * h
            p = np.array([[-w, -h], [2 * w, -h], [2 * w, y + t], [-w, y - t]])
        cv2.fillPoly(m, [p.astype(np.int32)], k)
        s = r.choice([1, 3, 7])
        img = img * cv2.blur(m, (s, s))
    if r.random() < 0.12:
        x, y = r.uniform(0, w), r.uniform(0, h)
        sx, sy = r.uniform(0.05, 0.3) * w, r.uniform(0.1, 0.5) * h
        gx = np.exp(-((np.arange(w, dtype=np.float32) - x) / sx) ** 2)
        gy = np.exp(-((np.arange(h, dtype=np.float32) - y) / sy) ** 2)
        img = img + r.uniform(30, 150) * gy[:, None] * gx[None]
    if r.random() < 0.45:
        img = img + soft_noise(g, h, w, r.choice([4, 8, 20, 40])) * r.uniform(2, 16)
    return img


def exposure(img: np.ndarray, r: random.Random, rare: float = 1.0) -> np.ndarray:
    """Contrast, gamma, and now and then a very dark or washed-out picture (less often for `rare` above 1)."""
    x = np.clip(img, 0, 300) / 255
    x = x ** r.uniform(0.7, 1.5)
    k = r.random() * rare
    if k < 0.25:  # dark
        hi = r.uniform(20, 110)
        lo = r.uniform(0, hi * 0.7)
    elif k < 0.4:  # flat
        lo = r.uniform(30, 170)
        hi = lo + r.uniform(20, 80)
    elif k < 0.5:  # burnt out
        lo, hi = r.uniform(0, 90), r.uniform(255, 380)
    else:
        lo, hi = r.uniform(0, 60), r.uniform(150, 265)
    return lo + (hi - lo) * x


def blur(img: np.ndarray, r: random.Random, width: float, top: float = 1.0) -> np.ndarray:
    """Out of focus or in motion; `width` is the plate's, the blur grows with it."""
    k = r.random()
    unit = width / 100.0
    if k < 0.6:
        s = min(abs(r.gauss(0, 0.5)), 1.25) * max(unit, 0.6) * top + 0.2
        img = cv2.GaussianBlur(img, (0, 0), s * r.uniform(0.8, 1.3), sigmaY=s)
    elif k < 0.72:
        n = 2 + int(r.uniform(0, 2.8) * max(unit, 0.5) * top)
        kern = np.zeros((2 * n + 1, 2 * n + 1), np.float32)
        a = r.gauss(0, 0.4) if r.random() < 0.7 else r.uniform(0, np.pi)
        dx, dy = np.cos(a) * n / 2, np.sin(a) * n / 2
        cv2.line(kern, (round(n - dx), round(n - dy)), (round(n + dx), round(n + dy)), 1.0)
        img = cv2.filter2D(img, -1, kern / kern.sum())
    return img


def blocks(img: np.ndarray, r: random.Random, g: np.random.Generator) -> np.ndarray:
    """Some square blocks lose their detail, as a video codec short of bits does it."""
    h, w = img.shape
    n = r.choice([4, 8, 8, 16])
    bh, bw = -(-h // n), -(-w // n)
    padded = np.pad(img, ((0, bh * n - h), (0, bw * n - w)), mode="edge")
    mean = padded.reshape(bh, n, bw, n).mean((1, 3))
    share = (g.random((bh, bw)) < r.uniform(0.1, 0.8)) * r.uniform(0.2, 0.75 if n == 4 else 0.55)
    grid = np.repeat(np.repeat(np.stack([mean, share], 2), n, 0), n, 1)[:h, :w].astype(np.float32)
    return img + (grid[..., 0] - img) * grid[..., 1]


def codec(img: np.ndarray, r: random.Random, g: np.random.Generator, width: float) -> np.ndarray:
    """Noise, compression, scaling up, sharpening: what happens after the lens."""
    # A picture of little contrast has little noise and is compressed less, or nothing would be left to read.
    contrast = float(img.std())
    calm = min(1.0, max(0.12, contrast / 38))
    if r.random() < 0.7:
        img = img + g.standard_normal(img.shape, dtype=np.float32) * (0.4 + r.uniform(0.2, 7) * calm)
    h, w = img.shape
    floor = 10 + (1 - calm) * 55 + max(0.0, 90 - width) * 0.25
    if r.random() < 0.22:
        # Compressed at a smaller size, then scaled up: blocks larger than eight pixels.
        f = max(r.uniform(0.55, 1.0), min(1.0, 46.0 / width))
        fx = f * r.uniform(0.85, 1.0)
        img = cv2.resize(img, (max(8, int(w * fx)), max(8, int(h * f))), interpolation=cv2.INTER_AREA)
        img = jpeg(img, min(95, int(floor + r.uniform(5, 60))))
        img = cv2.resize(img, (w, h), interpolation=r.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
    if r.random() < 0.12:
        img = blocks(img, r, g)
    if r.random() < 0.3:
        s = r.uniform(0.6, 1.4)
        img = img + (img - cv2.GaussianBlur(img, (0, 0), s)) * r.uniform(0.3, 1.7)
    if r.random() < 0.75:
        img = jpeg(img, min(96, int(floor + r.uniform(0, 45))) if r.random() < 0.5 else r.randint(60, 96))
    return np.clip(img, 0, 255)


def jpeg(img: np.ndarray, quality: int) -> np.ndarray:
    ok, buf = cv2.imencode(".jpg", np.clip(img, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert ok
    return cv2.imdecode(buf, cv2.IMREAD_GRAYSCALE).astype(np.float32)
