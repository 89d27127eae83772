"""Glyph atlases: every character as a signed distance field.

A distance field can be scaled and made bolder or thinner at no cost, so one
atlas per font gives all the weights and widths that plates have.
"""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from skeleton import stroke_sdf

CHARS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CAP = 56  # height of a capital in an atlas
PAD = 10  # room around it for bold weights

# Fonts for the characters of the plate, by what they resemble, and for the
# small print. All come with Debian packages under free licences (see README).
_DIN = ["opendin/OSP-DIN.ttf", "roboto/hinted/RobotoCondensed-Medium.ttf", "roboto/hinted/RobotoCondensed-Regular.ttf",
        "roboto/hinted/RobotoCondensed-Bold.ttf", "routed-gothic/routed-gothic-narrow.ttf",
        "routed-gothic/routed-gothic.ttf", "BebasNeue-Regular.otf", "BebasNeue-Book.otf", "BebasNeue-Bold.otf"]
_WIDE = ["dejavu/DejaVuSansCondensed-Bold.ttf", "dejavu/DejaVuSans-Bold.ttf", "dejavu/DejaVuSansMono-Bold.ttf",
         "liberation/LiberationSansNarrow-Bold.ttf", "liberation/LiberationSans-Bold.ttf",
         "liberation/LiberationMono-Bold.ttf", "freefont/FreeSansBold.ttf", "roboto/hinted/Roboto-Medium.ttf",
         "lato/Lato-Bold.ttf", "Cantarell-Bold.otf", "texgyreheroscn-bold.otf", "texgyreheros-bold.otf",
         "routed-gothic/routed-gothic-wide.ttf", "texgyrecursor-bold.otf", "lato/Lato-Medium.ttf"]
SMALL_FONTS = _DIN + _WIDE + [
    "dejavu/DejaVuSerif-Bold.ttf", "liberation/LiberationSerif-Bold.ttf", "liberation/LiberationSerif-BoldItalic.ttf",
    "freefont/FreeSerifBoldItalic.ttf", "texgyrechorus-mediumitalic.otf", "texgyreschola-bold.otf",
    "texgyrebonum-bold.otf", "lato/Lato-BoldItalic.ttf", "texgyreadventor-bold.otf", "lato/Lato-Black.ttf"]
_ROOTS = ["/usr/share/fonts/truetype", "/usr/share/fonts/opentype", "/usr/share/texmf/fonts/opentype"]


@functools.lru_cache(maxsize=None)
def font_path(name: str) -> str | None:
    for root in _ROOTS:
        direct = Path(root) / name
        if direct.exists():
            return str(direct)
        found = sorted(Path(root).rglob(name)) if "/" not in name else []
        if found:
            return str(found[0])
    return None


@dataclass
class Face:
    """One style of characters. `sdf[c]` is positive inside the shape."""

    sdf: dict[str, np.ndarray]
    stroke: float  # half the usual stroke width, to be added for skeleton fonts
    kind: str


def _outline_face(path: str, kind: str) -> Face:
    scale = 3
    probe = ImageFont.truetype(path, 300)
    box = probe.getbbox("H")
    font = ImageFont.truetype(path, int(round(300 * CAP * scale / (box[3] - box[1]))))
    top = font.getbbox("H")[1]
    sdf: dict[str, np.ndarray] = {}
    for c in CHARS:
        b = font.getbbox(c)
        w, h = b[2] - b[0] + 2 * PAD * scale, (CAP + 2 * PAD) * scale
        im = Image.new("L", (w, h), 0)
        ImageDraw.Draw(im).text((PAD * scale - b[0], PAD * scale - top), c, fill=255, font=font)
        a = (np.asarray(im) > 127).astype(np.uint8)
        d = cv2.distanceTransform(a, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - a, cv2.DIST_L2, 5)
        sdf[c] = cv2.resize(d / scale, (round(w / scale), CAP + 2 * PAD), interpolation=cv2.INTER_AREA).astype(np.float32)
    return Face(sdf, 0.0, kind)


def _skeleton_face(rng: random.Random) -> Face:
    aspect = rng.uniform(0.30, 0.58)
    radius = rng.choice([0.25, 0.35, 0.42, 0.5, 0.5, 0.6])
    sdf = {}
    for c in CHARS:
        # The same dies make O and 0 on many plates.
        sdf[c] = stroke_sdf(c, aspect, radius, rng, CAP - 8, PAD + 4)
    return Face(sdf, 4.0, "skeleton")


@functools.lru_cache(maxsize=1)
def faces() -> dict[str, list[Face]]:
    """All faces by kind; made once per process, always the same."""
    rng = random.Random(20)
    out: dict[str, list[Face]] = {"din": [], "wide": [], "skeleton": []}
    for kind, names in (("din", _DIN), ("wide", _WIDE)):
        for name in names:
            path = font_path(name)
            if path:
                out[kind].append(_outline_face(path, kind))
    out["skeleton"] = [_skeleton_face(rng) for _ in range(70)]
    return out


def blend_glyph(mask: np.ndarray, face: Face, char: str, x: float, y: float, w: float, h: float, bold: float) -> None:
    """Draws a glyph into an alpha mask: cap box at (x, y), w by h pixels.

    `bold` is in atlas pixels, added to the half width of the strokes.
    """
    src = face.sdf[char]
    sx, sy = w / (src.shape[1] - 2 * PAD), h / CAP
    # The affine map keeps sub-pixel positions: rounding them would make the
    # spacing of small characters too regular.
    x0, y0 = x - PAD * sx, y - PAD * sy
    ix, iy = int(np.floor(x0)), int(np.floor(y0))
    pw, ph = int(np.ceil(src.shape[1] * sx)) + 1, int(np.ceil(src.shape[0] * sy)) + 1
    m = np.array([[sx, 0, x0 - ix], [0, sy, y0 - iy]], np.float64)
    scaled = cv2.warpAffine(src, m, (pw, ph), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=-40)
    s = min(1.0, (sx * sy) ** 0.5)
    alpha = np.clip((scaled + face.stroke + bold) * max(s, 0.15) + 0.5, 0, 1)
    hh, ww = mask.shape
    ax, ay, bx, by = max(ix, 0), max(iy, 0), min(ix + pw, ww), min(iy + ph, hh)
    if ax >= bx or ay >= by:
        return
    part = mask[ay:by, ax:bx]
    np.maximum(part, alpha[ay - iy:by - iy, ax - ix:bx - ix], out=part)


def glyph_aspect(face: Face, char: str) -> float:
    return (face.sdf[char].shape[1] - 2 * PAD) / CAP


@functools.lru_cache(maxsize=20000)
def small_text(text: str, font: str, size: int) -> np.ndarray:
    """An alpha mask of some small print, trimmed to its ink."""
    path = font_path(font)
    f = ImageFont.truetype(path, size) if path else ImageFont.load_default()
    b = f.getbbox(text)
    im = Image.new("L", (max(1, b[2] - b[0]), max(1, b[3] - b[1])), 0)
    ImageDraw.Draw(im).text((-b[0], -b[1]), text, fill=255, font=f)
    return np.asarray(im, np.float32) / 255
