"""Drawing of plates, flat and clean, in grey.

Everything downstream works on grey pictures, so colours are chosen as
luminances right here. Each function returns a `Plate`; lengths are in
millimetres times `u` (pixels per millimetre).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import cv2
import numpy as np

import texts
from glyphs import CAP, SMALL_FONTS, Face, blend_glyph, faces, glyph_aspect, small_text


@dataclass
class Plate:
    img: np.ndarray  # float32, 0..255
    text: str
    chars: tuple[float, float, float, float]  # box of the characters in the plate
    region: str


@dataclass
class Ink:
    paper: float
    ink: float


def _ink(rng: random.Random, dark_share: float) -> Ink:
    if rng.random() < dark_share:
        return Ink(rng.uniform(5, 110), rng.uniform(150, 255))
    paper = rng.uniform(150, 255)
    return Ink(paper, rng.uniform(0, 70) if rng.random() < 0.75 else rng.uniform(60, paper - 70))


def _face(rng: random.Random, din: float, wide: float, skeleton: float) -> Face:
    kind = rng.choices(["din", "wide", "skeleton"], [din, wide, skeleton])[0]
    return rng.choice(faces()[kind])


def paste_text(img: np.ndarray, text: str, box: tuple[float, float, float, float], value: float,
               rng: random.Random, fit: str = "height", font: str | None = None) -> None:
    """Small print into a box: as high as the box, squeezed when it would be too long."""
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    if w < 3 or h < 2:
        return
    a = small_text(text, font or rng.choice(SMALL_FONTS), 24)
    tw = w if fit == "both" else min(w, a.shape[1] * h / a.shape[0])
    size = (max(1, int(tw)), max(1, int(h)))
    a = cv2.resize(a, size, interpolation=cv2.INTER_AREA if size[1] < a.shape[0] else cv2.INTER_LINEAR)
    px, py = int(x0 + (w - size[0]) / 2), int(y0)
    hh, ww = img.shape
    px, py = max(0, min(px, ww - 1)), max(0, min(py, hh - 1))
    a = a[:hh - py, :ww - px]
    part = img[py:py + a.shape[0], px:px + a.shape[1]]
    part += (value - part) * a


def _disc(img: np.ndarray, x: float, y: float, r: float, value: float, thick: int = -1) -> None:
    s = 16
    cv2.circle(img, (int(x * s), int(y * s)), max(1, int(r * s)), value, thick, cv2.LINE_AA, 4)


def _rect(img: np.ndarray, x0: float, y0: float, x1: float, y1: float, value: float) -> None:
    img[max(0, round(y0)):max(0, round(y1)), max(0, round(x0)):max(0, round(x1))] = value


def _sticker(img: np.ndarray, x: float, y: float, r: float, rng: random.Random, ink: Ink) -> None:
    """A round or shield-shaped emblem: some contrast, no letters worth reading."""
    v = rng.uniform(60, 230)
    kind = rng.random()
    if kind < 0.5:
        _disc(img, x, y, r, v)
        if rng.random() < 0.5:
            _disc(img, x, y, r * rng.uniform(0.4, 0.8), rng.uniform(30, 255))
        if rng.random() < 0.4:
            _disc(img, x, y, r, rng.uniform(0, 120), 1)
    elif kind < 0.85:
        p = np.array([[x - r, y - r], [x + r, y - r], [x + r, y + r * 0.3], [x, y + r * 1.3], [x - r, y + r * 0.3]])
        cv2.fillPoly(img, [(p * 16).astype(np.int32)], v, cv2.LINE_AA, 4)
        if rng.random() < 0.6:
            _rect(img, x - r * 0.2, y - r * 0.6, x + r * 0.2, y + r * 0.6, rng.uniform(0, 255))
    else:
        n = rng.choice([4, 5, 6, 7])
        ang = np.linspace(0, 2 * np.pi, 2 * n, endpoint=False) + rng.random()
        rad = np.where(np.arange(2 * n) % 2 == 0, r, r * rng.uniform(0.4, 0.9))
        p = np.stack([x + rad * np.cos(ang), y + rad * np.sin(ang)], 1)
        cv2.fillPoly(img, [(p * 16).astype(np.int32)], ink.ink if rng.random() < 0.5 else v, cv2.LINE_AA, 4)


def draw_chars(img: np.ndarray, text: str, box: tuple[float, float, float, float], face: Face, ink: Ink,
               rng: random.Random, gap: float, sep_draw: str, cell: float, u: float, bold: float,
               emboss: float) -> tuple[float, float, float, float]:
    """Lays out groups and separators inside `box`; returns the box really used.

    `cell` is the width of a character relative to the cap height; narrow
    characters keep their own proportion. Too long texts are squeezed.
    """
    x0, y0, x1, y1 = box
    cap = y1 - y0
    spacing = cap * rng.uniform(0.08, 0.24)
    base = glyph_aspect(face, "H")
    items: list[tuple[str, float]] = []
    for c in text:
        if c in " -·":
            items.append((c, gap * cap))
        else:
            a = min(max(glyph_aspect(face, c) / base, 0.25), 1.35)
            items.append((c, cell * cap * a))
    total = sum(w for _, w in items) + spacing * (len(items) - 1)
    k = min(1.0, (x1 - x0) / total)
    x = x0 + (x1 - x0 - total * k) * rng.choice([0.5, 0.5, 0.5, rng.random()])
    left = x
    mask = np.zeros(img.shape, np.float32)
    marks: list[tuple[float, float]] = []
    mono = rng.random() < 0.5
    for c, w in items:
        w *= k
        if c in " -·":
            cx = x + w / 2
            if c == "-" or (c == " " and sep_draw == "dash"):
                d = min(w * 0.4, cap * 0.12)
                _rect(mask, cx - d, y0 + cap * 0.46, cx + d, y0 + cap * 0.56, 1.0)
            elif c == "·" or (c == " " and sep_draw == "dot"):
                _disc(mask, cx, y0 + cap * rng.uniform(0.5, 0.6), cap * rng.uniform(0.05, 0.09), 1.0)
            else:
                marks.append((cx, w))
        else:
            # A fixed pitch: narrow characters stand in the middle of their cell.
            blend_glyph(mask, face, c, x, y0 + rng.uniform(-0.4, 0.4) * (0.01 * cap), w, cap, bold)
        x += w + spacing * k * (1.0 if not (mono and c in "1I") else 1.6)
    right = x - spacing * k
    for cx, w in marks:
        r = min(w * 0.42, cap * 0.17)
        if sep_draw == "stickers":
            for dy in (0.3, 0.72) if rng.random() < 0.7 else (0.5,):
                if rng.random() < 0.92:
                    _sticker(img, cx + rng.uniform(-0.1, 0.1) * w, y0 + cap * (dy + rng.uniform(-0.05, 0.05)), r, rng, ink)
            if rng.random() < 0.35:
                _rect(mask, cx - r * 0.7, y0 + cap * 0.47, cx + r * 0.7, y0 + cap * 0.55, 1.0)
        elif sep_draw == "emblem":
            if rng.random() < 0.3:
                # The outline of a state or a fruit: as tall as a character, but faint or ragged.
                n = rng.randint(5, 11)
                ang = np.sort([rng.uniform(0, 2 * np.pi) for _ in range(n)])
                rad = np.array([rng.uniform(0.4, 1.0) for _ in range(n)])
                ex, ey = w * rng.uniform(0.35, 0.6), cap * rng.uniform(0.25, 0.5)
                p = np.stack([cx + ex * rad * np.cos(ang), y0 + cap * 0.5 + ey * rad * np.sin(ang)], 1)
                v = ink.paper + (ink.ink - ink.paper) * rng.uniform(0.1, 0.7)
                cv2.fillPoly(img, [(p * 16).astype(np.int32)], v, cv2.LINE_AA, 4)
                _disc(img, cx + rng.uniform(-0.2, 0.2) * w, y0 + cap * rng.uniform(0.3, 0.7), cap * rng.uniform(0.05, 0.15),
                      rng.uniform(60, 255))
            elif rng.random() < 0.5:
                _sticker(img, cx, y0 + cap * rng.uniform(0.4, 0.6), min(w * 0.5, cap * 0.3), rng, ink)
            else:
                hw, hh = w * rng.uniform(0.3, 0.55), cap * rng.uniform(0.18, 0.42)
                cy = y0 + cap * rng.uniform(0.4, 0.6)
                _rect(img, cx - hw, cy - hh, cx + hw, cy + hh, rng.uniform(30, 240))
                paste_text(img, rng.choice(["11", "12", "09", "JUN", "MAR"]), (cx - hw, cy - hh * 0.7, cx + hw, cy + hh * 0.2),
                           rng.uniform(0, 255), rng)
    shade = rng.uniform(0.7, 1.0) if rng.random() < 0.25 else 1.0
    np.multiply(mask, shade, out=mask)
    if emboss > 0:
        dy = 1 if rng.random() < 0.85 else -1
        edge = np.zeros_like(mask)
        edge[1:, 1:] = mask[1:, 1:] - mask[:-1, :-1]
        img += edge * (emboss * dy)
    img += (ink.ink - img) * mask
    return left, y0, right, y1


def eu_plate(rng: random.Random, u: float) -> Plate:
    code, text = texts.eu_text(rng)
    wmm, hmm = rng.choices([(520, 110), (520, 114), (440, 110), (360, 110), (480, 120), (340, 110)], [14, 5, 2, 1, 1, 0.5])[0]
    w, h = round(wmm * u), round(hmm * u)
    ink = _ink(rng, 0.12)
    img = np.full((h, w), ink.paper, np.float32)
    left = 8.0
    r = rng.random()
    old_sk = code == "SK" and rng.random() < 0.6
    if old_sk or r < 0.1:
        # The older kind: a coat of arms over the country's letters, no band.
        _sticker(img, 26 * u, 38 * u, rng.uniform(10, 15) * u, rng, ink)
        paste_text(img, code, (12 * u, 70 * u, 40 * u, 92 * u), ink.ink, rng)
        left = 46
    elif r < 0.75:
        v = rng.uniform(30, 130)
        _rect(img, 0, 0, 44 * u, h, v)
        if rng.random() < 0.7:
            for i in range(12):
                a = i * np.pi / 6
                _disc(img, (22 + 13 * np.cos(a)) * u, (34 + 13 * np.sin(a)) * u, 2.2 * u, rng.uniform(180, 240))
        paste_text(img, code, (8 * u, 68 * u, 36 * u, 96 * u), rng.uniform(190, 255), rng)
        left = 48
    right = 512.0 / 520 * wmm
    if code in ("I", "F") and rng.random() < 0.6:
        _rect(img, w - 40 * u, 0, w, h, rng.uniform(30, 130))
        right = wmm - 44
    face = _face(rng, 5, 1.2, 4)
    cap = rng.uniform(70, 84) * u
    y0 = (h - cap) / 2 + rng.uniform(-3, 5) * u
    sep = rng.choices(["gap", "dash", "dot", "stickers"], [3, 3, 0.7, 5])[0]
    n = len(texts.plain(text))
    room = (right - left - 8) * u
    cell = min(rng.uniform(0.44, 0.62), room / cap / (n + 1.2)) if rng.random() < 0.9 else room / cap / (n + 1)
    gap = rng.uniform(0.25, 0.6)
    box = draw_chars(img, text, ((left + 4) * u, y0, (right - 4) * u, y0 + cap), face, ink, rng, gap, sep, cell, u,
                     rng.uniform(-0.8, 1.2), rng.uniform(0, 60))
    if rng.random() < 0.7:
        t = max(1, round(rng.uniform(2, 4) * u))
        cv2.rectangle(img, (t // 2, t // 2), (w - 1 - t // 2, h - 1 - t // 2), ink.ink, t)
    return Plate(img, texts.plain(text), box, "eu")


def _picture_background(img: np.ndarray, rng: random.Random, ink: Ink, strength: float) -> None:
    """A soft landscape or gradient, as on many plates of the USA."""
    h, w = img.shape
    cols, rows = rng.choice([2, 3, 5]), rng.choice([2, 3])
    n = np.array([[rng.uniform(-1, 1) for _ in range(cols)] for _ in range(rows)], np.float32)
    img += cv2.resize(n, (w, h), interpolation=cv2.INTER_CUBIC) * strength
    if rng.random() < 0.5:
        xs = np.linspace(0, w, 9)
        base = rng.uniform(0.1, 0.35) if rng.random() < 0.5 else rng.uniform(0.75, 0.95)
        ys = [h * (base + rng.uniform(-0.08, 0.08)) for _ in xs]
        edge = 0 if base < 0.5 else h
        p = np.array([[0, edge], *zip(xs, ys), [w, edge]])
        layer = img.copy()
        cv2.fillPoly(layer, [p.astype(np.int32)], ink.paper + rng.uniform(-2.2, 0.3) * strength)
        img += (layer - img) * rng.uniform(0.3, 1.0)


def us_plate(rng: random.Random, u: float) -> Plate:
    wmm, hmm = 305.0, rng.choice([152.0, 152.0, 150.0, 160.0])
    w, h = round(wmm * u), round(hmm * u)
    ink = _ink(rng, 0.1)
    img = np.full((h, w), ink.paper, np.float32)
    if rng.random() < 0.5:
        _picture_background(img, rng, ink, rng.uniform(5, 55))
    text = texts.fill(rng.choice(texts.US), rng)
    face = _face(rng, 1.5, 1.0, 7)
    cap = rng.uniform(58, 78) * u
    cy = h * rng.uniform(0.48, 0.6)
    small = ink.ink if rng.random() < 0.5 else rng.uniform(0, 160)
    top = cy - cap / 2
    if rng.random() < 0.93:
        hh = rng.uniform(13, 28) * u
        y = min(rng.uniform(5, 14) * u, top - hh - 2 * u)
        if rng.random() < 0.3:  # large script that touches the characters
            hh = rng.uniform(20, 32) * u
            y = top - hh - rng.uniform(-2.5, 2) * u
        if y > -6 * u:
            half = rng.uniform(35, 95) * u
            paste_text(img, rng.choice(texts.US_HEADERS), (w / 2 - half, y, w / 2 + half, y + hh), small, rng)
    if rng.random() < 0.7:
        hh = rng.uniform(6, 16) * u
        y = h - hh - rng.uniform(4, 14) * u
        if y > cy + cap / 2 + 2 * u:
            half = rng.uniform(30, 100) * u
            paste_text(img, rng.choice(texts.SLOGANS), (w / 2 - half, y, w / 2 + half, y + hh), small, rng)
    for side in (0, 1):
        if rng.random() < 0.5:  # month and year stickers in the upper corners
            sw, sh = rng.uniform(24, 42) * u, rng.uniform(18, 28) * u
            sx = rng.uniform(4, 22) * u if side == 0 else w - sw - rng.uniform(4, 22) * u
            sy = rng.uniform(3, 12) * u
            v = rng.uniform(20, 255)
            _rect(img, sx, sy, sx + sw, sy + sh, v)
            paste_text(img, rng.choice(["11", "12", "10", "2009", "JUN", "MAR", "DEC", "13"]),
                       (sx, sy + sh * 0.2, sx + sw, sy + sh * 0.8), v + (120 if v < 128 else -120), rng)
    pad = rng.uniform(6, 22)
    room = (wmm - 2 * pad) * u
    n = len(texts.plain(text))
    cell = min(rng.uniform(0.42, 0.62), room / cap / (n * 0.98 + 0.5)) if rng.random() < 0.4 else room / cap / (n * 1.12 + 0.5)
    cell = min(max(cell, 0.34), 0.75)
    sep = rng.choices(["gap", "emblem", "dash", "dot"], [3, 6, 1, 1])[0]
    lx = pad * u
    if rng.random() < 0.08 and n <= 6:  # a pictogram or stacked letters before the characters
        s = rng.uniform(16, 26) * u
        _rect(img, lx, cy - s, lx + 2 * s, cy + s, rng.uniform(20, 200))
        _disc(img, lx + s, cy, s * 0.6, rng.uniform(180, 255), 2)
        lx += 2 * s + 6 * u
    bold = rng.uniform(-1.3, 1.6)
    box = draw_chars(img, text, (lx, top, w - pad * u, top + cap), face, ink, rng, rng.uniform(0.3, 0.9), sep, cell, u,
                     bold, rng.uniform(-30, 70))
    for bx in (0.2, 0.8):
        for by in (0.09, 0.91):
            if rng.random() < 0.4:
                _disc(img, w * bx, h * by, rng.uniform(3, 6) * u, rng.uniform(0, 255))
    if rng.random() < 0.35:
        t = max(1, round(rng.uniform(1.5, 4) * u))
        cv2.rectangle(img, (t, t), (w - 1 - t, h - 1 - t), small, t)
    # A dealer's frame lies over the edges and often over half the small print.
    if rng.random() < 0.55:
        v = rng.uniform(0, 90) if rng.random() < 0.65 else rng.uniform(120, 235)
        side = rng.uniform(3, 10) * u
        th = min(rng.uniform(5, 32) * u, top - 2 * u)
        bh = min(rng.uniform(5, 34) * u, h - top - cap - 2 * u)
        _rect(img, 0, 0, side, h, v), _rect(img, w - side, 0, w, h, v)
        tv = v + (rng.uniform(90, 200) if v < 110 else -rng.uniform(80, 200))
        for y0, y1 in ((0.0, th), (h - bh, float(h))):
            if y1 - y0 > 2:
                _rect(img, 0, y0, w, y1, v)
                if y1 - y0 > 9 * u and rng.random() < 0.8:
                    half = w * rng.uniform(0.25, 0.46)
                    m = (y1 - y0) * rng.uniform(0.1, 0.25)
                    paste_text(img, texts.advert(rng), (w / 2 - half, y0 + m, w / 2 + half, y1 - m), tv, rng)
    return Plate(img, texts.plain(text), box, "us")


def br_plate(rng: random.Random, u: float) -> Plate:
    w, h = round(400 * u), round(130 * u)
    if rng.random() < 0.72:
        ink = _ink(rng, 0.2)
        if rng.random() < 0.5:
            ink = Ink(rng.uniform(110, 200), rng.uniform(0, 50))
        img = np.full((h, w), ink.paper, np.float32)
        text = texts.fill(rng.choice(texts.BR_OLD), rng)
        cap = rng.uniform(58, 68) * u
        top = h - cap - rng.uniform(10, 22) * u
        strip = rng.uniform(10, 16) * u
        y = rng.uniform(12, 20) * u
        half = rng.uniform(40, 95) * u
        if rng.random() < 0.5:
            t = max(1, round(u * 1.5))
            cv2.rectangle(img, (round(60 * u), round(8 * u)), (round(340 * u), round(36 * u)), ink.paper - 30, t)
        paste_text(img, rng.choice(texts.BR_CITIES), (w / 2 - half, y, w / 2 + half, y + strip), ink.ink, rng)
        face = _face(rng, 2, 1.5, 6)
        cell, gap = rng.uniform(0.5, 0.72), rng.uniform(0.2, 0.4)
        if rng.random() < 0.4:
            _disc(img, rng.uniform(40, 70) * u, rng.uniform(14, 26) * u, rng.uniform(5, 9) * u, rng.uniform(60, 220))
    else:
        ink = Ink(rng.uniform(190, 255), rng.uniform(0, 90))
        img = np.full((h, w), ink.paper, np.float32)
        text = texts.fill(rng.choice(texts.BR_NEW), rng)
        _rect(img, 0, 0, w, 30 * u, rng.uniform(40, 110))
        paste_text(img, "BRASIL", (w * 0.35, 8 * u, w * 0.65, 23 * u), 245, rng)
        cap = rng.uniform(62, 70) * u
        top = h - cap - rng.uniform(14, 24) * u
        face = _face(rng, 3, 3, 3)
        cell, gap = rng.uniform(0.5, 0.68), 0.2
    box = draw_chars(img, text, (12 * u, top, w - 12 * u, top + cap), face, ink, rng, gap, "dot", cell, u,
                     rng.uniform(-0.3, 2.2), rng.uniform(-20, 80))
    for bx in (0.3, 0.7):
        for by in (0.08, 0.95):
            if rng.random() < 0.5:
                _disc(img, w * (bx + rng.uniform(-0.04, 0.04)), h * by, rng.uniform(3, 7) * u, rng.uniform(0, 120))
    t = max(1, round(rng.uniform(2, 4) * u))
    if rng.random() < 0.6:
        cv2.rectangle(img, (t, t), (w - 1 - t, h - 1 - t), ink.paper - rng.uniform(20, 90), t)
    return Plate(img, texts.plain(text), box, "br")


def generic_plate(rng: random.Random, u: float) -> Plate:
    """Any shape and any text, so that the reader does not lean on patterns."""
    aspect = rng.uniform(1.9, 5.2)
    hmm = 120.0
    w, h = round(hmm * aspect * u), round(hmm * u)
    ink = _ink(rng, 0.25)
    img = np.full((h, w), ink.paper, np.float32)
    if rng.random() < 0.3:
        _picture_background(img, rng, ink, rng.uniform(5, 40))
    text = texts.fill(rng.choice(texts.GENERIC), rng)
    n = len(texts.plain(text))
    cap = min(rng.uniform(0.4, 0.85) * h, (w / n) / 0.4)
    top = rng.uniform(0.3, 0.7) * (h - cap)
    face = _face(rng, 2, 2, 4)
    cell = min(rng.uniform(0.36, 0.75), w / cap / (n + 1))
    box = draw_chars(img, text, (0.04 * w, top, 0.96 * w, top + cap), face, ink, rng, rng.uniform(0.2, 0.6),
                     rng.choice(["gap", "dash", "dot", "stickers", "emblem"]), cell, u, rng.uniform(-0.8, 2.0),
                     rng.uniform(-40, 70))
    if rng.random() < 0.5:
        t = max(1, round(rng.uniform(2, 4) * u))
        cv2.rectangle(img, (t, t), (w - 1 - t, h - 1 - t), ink.ink, t)
    return Plate(img, texts.plain(text), box, "generic")


# with the usual width in millimetres
_KINDS = {"eu": (eu_plate, 520), "us": (us_plate, 305), "br": (br_plate, 400), "generic": (generic_plate, 400)}


def pick_kind(rng: random.Random, weights: tuple[float, ...] = (3.5, 5.5, 2, 1)) -> str:
    return rng.choices(list(_KINDS), weights)[0]


def draw_plate(rng: random.Random, kind: str, width: float) -> Plate:
    """A plate of one kind, drawn about `width` pixels wide."""
    draw, mm = _KINDS[kind]
    plate = draw(rng, width / mm)
    np.clip(plate.img, 0, 255, out=plate.img)
    return plate


__all__ = ["CAP", "Plate", "draw_plate", "paste_text", "pick_kind"]
