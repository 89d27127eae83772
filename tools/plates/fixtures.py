"""Small made-up scenes with what the exported networks make of them.

For tests of the Rust side: its pre- and post-processing must come to nearly the
same corners, scores and texts. No photographs in them, only our own drawing.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import cv2
import numpy as np

from common import fold, greedy, normalise, rectify
from degrade import blur
from evaluate import CANDIDATES, FIRST_MARGIN, MODELS, THRESHOLD, Chain, grow, read_found
from finder_io import NET_H, NET_W, find, letterbox
from scenes import background, decoy, paste_vehicle

W, H = 448, 288


def draw(seed: int, with_plate: bool) -> tuple[np.ndarray, np.ndarray | None, str]:
    r, g = random.Random(seed), np.random.default_rng(seed)
    img = background([], r, g, W, H)
    for _ in range(3):
        decoy(img, r)
    done = None
    while with_plate and done is None:
        done = paste_vehicle(img, [], r, g, [])
    img = cv2.GaussianBlur(blur(img, r, 60.0), (0, 0), 0.5)
    grey = np.clip(img, 0, 255).round().astype(np.uint8)
    return grey, done[0] if done else None, done[1] if done else ""


def rounded(a: np.ndarray, digits: int = 2) -> list[object]:
    out: list[object] = np.round(a.astype(float), digits).tolist()
    return out


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--out", type=Path, default=MODELS.parent / "tests" / "data" / "plates")
    p.add_argument("--seed", type=int, default=300)
    p.add_argument("--count", type=int, default=7)
    a = p.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    chain = Chain(MODELS / "plate_reader.onnx", MODELS / "plate_finder.onnx")
    entries: list[dict[str, object]] = []
    seed = a.seed
    while len(entries) < a.count + 1:
        seed += 1
        with_plate = len(entries) < a.count
        grey, quad, text = draw(seed, with_plate)
        ok, buf = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 78])
        grey = cv2.imdecode(buf, cv2.IMREAD_GRAYSCALE)
        once = find(grey, chain.run, THRESHOLD, CANDIDATES, False)
        twice = chain.find(grey)
        reads = read_found(chain, grey, twice)
        if with_plate:
            assert quad is not None
            width = float(np.hypot(*(quad[1] - quad[0])))
            inside = (quad.min(0) > 2).all() and quad[:, 0].max() < W - 2 and quad[:, 1].max() < H - 2
            # Only scenes that are read rightly are of use as a test; large and small ones take turns.
            wide = width > 110
            if not inside or wide != bool(len(entries) % 2) or not reads or fold(reads[0].text) != fold(text) or reads[0].confidence < 0.8:
                continue
        elif any(r.confidence * r.score > 0.25 for r in reads):
            continue
        name = f"scene{len(entries)}.jpg"
        (a.out / name).write_bytes(buf.tobytes())
        entry: dict[str, object] = {
            "file": name, "text": text, "corners": rounded(quad) if quad is not None else None,
            "found": [{"score": round(f.score, 4), "corners": rounded(f.quad)} for f in once],
            "closer": [{"score": round(f.score, 4), "corners": rounded(f.quad)} for f in twice],
            "reads": [{"text": r.text, "confidence": round(r.confidence, 4), "score": round(r.score, 4)} for r in reads],
        }
        if quad is not None:
            crop = rectify(grey, grow(quad, *FIRST_MARGIN))
            given = greedy(chain.logits(grey, [grow(quad, *FIRST_MARGIN)])[0])
            small, _ = chain.run(letterbox(grey, NET_W, NET_H)[0])
            entry["at_true_corners"] = {
                "text": given[0], "confidence": round(given[1], 4), "mean": round(float(crop.mean()), 3),
                "deviation": round(float(crop.std()), 3), "crop_row_24_every_12th": rounded(normalise(crop)[24, ::12], 3)}
            entry["highest_small_logit_640x384"] = round(float(small[0].max()), 3)
        entries.append(entry)
        print(name, seed, text, [r.text for r in reads][:2], len(buf))
    note = ("Corners: top left, top right, bottom right, bottom left, in pixels of the picture with pixel centres at "
            "half-integers. 'found': whole picture; 'closer': after the second look; 'reads': best first, with votes. "
            "A JPEG decoder may differ by a grey level, so compare with tolerance.")
    (a.out / "expected.json").write_text(json.dumps({"note": note, "threshold": THRESHOLD, "scenes": entries}, indent=1) + "\n")


if __name__ == "__main__":
    main()
