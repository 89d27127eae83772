"""Measures the exported networks on the photographs of KEEPWATCH_TESTDATA.

Prints one table: reads of the labelled boxes, reads of shaken boxes, what the
finder finds, and the whole chain, each exact after folding O to 0 and I to 1
(and strictly in brackets).
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort

from common import Quad, Sample, box_quad, dev_samples, fold, greedy, log_softmax, normalise, rectify
from finder_io import NET_H, NET_W, Found, find, letterbox, overlap
from patterns import constrained

MODELS = Path(__file__).resolve().parents[2] / "crates" / "recognition" / "models"
REGIONS = ("eu", "us", "br")
THRESHOLD = 0.2
CANDIDATES = 8


def session(path: Path) -> ort.InferenceSession:
    o = ort.SessionOptions()
    o.intra_op_num_threads = 1
    o.inter_op_num_threads = 1
    return ort.InferenceSession(str(path), o)


class Chain:
    """Finder and reader together, as shipped."""

    def __init__(self, reader: Path, finder: Path | None) -> None:
        self.reader = session(reader)
        self.finder = session(finder) if finder else None

    def run(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert self.finder
        small, large = self.finder.run(None, {"picture": x[None, None].astype(np.float32)})
        return small[0], large[0]

    def logits(self, grey: np.ndarray, quads: list[Quad]) -> np.ndarray:
        crops = np.stack([normalise(rectify(grey, q)) for q in quads])[:, None]
        return log_softmax(self.reader.run(None, {"crop": crops})[0])

    def find(self, grey: np.ndarray, refine: bool = True) -> list[Found]:
        return find(grey, self.run, THRESHOLD, CANDIDATES, refine)


def grow(q: Quad, mx: float, my: float) -> Quad:
    """The quad with a margin of mx of its width and my of its height on every side."""
    u, v = (q[1] - q[0] + q[2] - q[3]) / 2 * mx, (q[3] - q[0] + q[2] - q[1]) / 2 * my
    return np.array([q[0] - u - v, q[1] + u - v, q[2] + u + v, q[3] - u + v], np.float32)


@dataclass
class Read:
    text: str
    confidence: float
    score: float
    quad: Quad
    logp: np.ndarray


FIRST_MARGIN = (0.04, 0.08)
# The other crops of a good candidate; together with the first they vote.
MORE_MARGINS = ((0.0, 0.0), (0.02, 0.18), (0.08, 0.05), (0.1, 0.2))
GOOD = 2


def rank(r: Read) -> float:
    """Confidence counts more than the finder's score; fewer than four characters are seldom a plate."""
    return r.confidence ** 2 * r.score * (1.0 if len(r.text) >= 4 else 0.3)


def vote(logp: np.ndarray) -> tuple[str, float, int]:
    """The text that most crops agree on, weighted by confidence squared.

    Its confidence is the weight's share, at most the best crop's confidence.
    Also gives the crop that reads it most confidently.
    """
    reads = [greedy(o) for o in logp]
    weight: dict[str, float] = {}
    for text, conf in reads:
        weight[text] = weight.get(text, 0.0) + conf * conf
    best = max(weight, key=lambda t: weight[t])
    conf, k = max((c, i) for i, (t, c) in enumerate(reads) if t == best)
    return best, conf * (weight[best] / max(sum(weight.values()), 1e-6)) ** 0.5, k


def read_found(chain: Chain, grey: np.ndarray, found: list[Found]) -> list[Read]:
    """Every candidate with one crop, then the good ones with several; best first."""
    if not found:
        return []
    logp = chain.logits(grey, [grow(f.quad, *FIRST_MARGIN) for f in found])
    out = [Read(*greedy(o), f.score, f.quad, o) for f, o in zip(found, logp)]
    out.sort(key=rank, reverse=True)
    for r in out[:GOOD]:
        more = chain.logits(grey, [grow(r.quad, *m) for m in MORE_MARGINS])
        every = np.concatenate([r.logp[None], more])
        r.text, r.confidence, k = vote(every)
        r.logp = every[k]
    out[:GOOD] = sorted(out[:GOOD], key=rank, reverse=True)
    return out


def row(name: str, samples: list[Sample], reads: list[str]) -> str:
    cells = []
    for region in REGIONS:
        idx = [i for i, s in enumerate(samples) if s.region == region]
        folded = sum(fold(reads[i]) == fold(samples[i].text) for i in idx)
        strict = sum(reads[i] == samples[i].text for i in idx)
        cells.append(f"{100 * folded / len(idx):5.1f} ({100 * strict / len(idx):4.1f})")
    folded = sum(fold(t) == fold(s.text) for s, t in zip(samples, reads))
    return f"{name:34} " + " | ".join(cells) + f" | all {100 * folded / len(samples):5.1f}"


def shaken(box: tuple[float, float, float, float], r: random.Random) -> Quad:
    """A sloppy box: -3 to +18 % of margin on every side."""
    x, y, w, h = box
    a, b, c, d = (r.uniform(-0.03, 0.18) for _ in range(4))
    return box_quad(x - a * w * 0.6, y - b * h, w * (1 + 0.6 * (a + c)), h * (1 + b + d))


def failures(path: Path, items: list[tuple[Sample, str, Quad, np.ndarray]]) -> None:
    tiles = []
    for s, text, quad, grey in items:
        u = rectify(grey, quad, 216, 72).astype(np.uint8)
        x, y, w, h = s.box
        v = rectify(grey, box_quad(x - 0.1 * w, y - 0.2 * h, 1.2 * w, 1.4 * h), 216, 90).astype(np.uint8)
        t = np.vstack([u, v, np.zeros((16, 216), np.uint8)])
        cv2.putText(t, f"{s.text} > {text}", (2, t.shape[0] - 4), 0, 0.45, 255, 1)
        tiles.append(t)
    while len(tiles) % 5:
        tiles.append(np.zeros_like(tiles[0]))
    if tiles:
        cv2.imwrite(str(path), np.vstack([np.hstack(tiles[i:i + 5]) for i in range(0, len(tiles), 5)]))


def measure_time(chain: Chain, grey: np.ndarray) -> None:
    """CPU time, one thread, of the steps for one picture (drawing it from disk not counted)."""
    def spent(f: Callable[[], object], n: int) -> float:
        f()
        t = time.process_time()
        for _ in range(n):
            f()
        return (time.process_time() - t) / n * 1000

    net = letterbox(grey, NET_W, NET_H)[0]
    found = chain.find(grey)
    print(f"finder 640x384 {spent(lambda: chain.run(net), 10):.1f} ms, 320x192 {spent(lambda: chain.run(net[:192, :320]), 20):.1f} ms, "
          f"192x96 {spent(lambda: chain.run(net[:96, :192]), 40):.1f} ms")
    print(f"letterboxing {spent(lambda: letterbox(grey, NET_W, NET_H), 10):.1f} ms")
    print(f"reader, one crop {spent(lambda: chain.logits(grey, [found[0].quad]), 40):.1f} ms with rectifying")
    print(f"whole chain {spent(lambda: read_found(chain, grey, chain.find(grey)), 10):.1f} ms with {len(found)} candidates")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--reader", type=Path, default=MODELS / "plate_reader.onnx")
    p.add_argument("--finder", type=Path, default=MODELS / "plate_finder.onnx")
    p.add_argument("--no-finder", action="store_true")
    p.add_argument("--failures", type=Path, help="a contact sheet of what the chain reads wrongly")
    p.add_argument("--time", action="store_true", help="only measure the time for a picture of 1920 x 1080")
    p.add_argument("--list", action="store_true", help="name what the chain reads wrongly")
    a = p.parse_args()
    cv2.setNumThreads(1)
    chain = Chain(a.reader, None if a.no_finder else a.finder)
    samples = dev_samples()
    if a.time:
        measure_time(chain, cv2.resize(max((s.grey() for s in samples[:40]), key=lambda g: g.shape[1]), (1920, 1080)))
        return
    greys = [s.grey() for s in samples]
    print(f"{'exact, folded (strict), per cent':34} " + " | ".join(f"{r:12}" for r in REGIONS))
    boxes = [grow(box_quad(*s.box), 0.03, 0.06) for s in samples]
    logp = [chain.logits(g, [q])[0] for g, q in zip(greys, boxes)]
    print(row("labelled boxes", samples, [greedy(o)[0] for o in logp]))
    r = random.Random(5)
    many = [[greedy(chain.logits(g, [shaken(s.box, r)])[0])[0] for g, s in zip(greys, samples)] for _ in range(4)]
    print(row("shaken boxes (4 of each)", samples * 4, [t for m in many for t in m]))
    if a.no_finder:
        return
    for refine in (False, True):
        hits: dict[str, list[bool]] = {k: [] for k in REGIONS}
        overlaps, false = [], 0
        tops: list[Read | None] = []
        anywhere: list[str] = []
        sure_false = 0
        t0 = time.process_time()
        for s, g in zip(samples, greys):
            x, y, w, h = s.box
            ref = np.array([[x, y], [x + w, y + h]], np.float32)
            reads = read_found(chain, g, chain.find(g, refine))
            best = max((overlap(f.quad, ref) for f in reads), default=0.0)
            hits[s.region].append(best > 0.4)
            overlaps.append(best)
            away = [f for f in reads if overlap(f.quad, ref) < 0.1]
            false += len(away)
            sure_false += sum(f.confidence > 0.8 and len(f.text) >= 4 for f in away)
            tops.append(reads[0] if reads else None)
            anywhere.append(s.text if any(fold(f.text) == fold(s.text) for f in reads) else "")
        spent = (time.process_time() - t0) / len(samples) * 1000
        name = "chain, looking twice" if refine else "chain, looking once"
        found = " | ".join(f"{100 * np.mean(hits[k]):5.1f}       " for k in REGIONS)
        print(f"{name + ': found':34} {found} | all {100 * np.mean(sum(hits.values(), [])):5.1f}  mean overlap {np.mean(overlaps):.3f}, "
              f"false per picture {false / len(samples):.2f}, read with confidence {sure_false / len(samples):.2f}, {spent:.0f} ms of CPU")
        texts = [t.text if t else "" for t in tops]
        print(row(name + ": best read", samples, texts))
        print(row(name + ": any read", samples, anywhere))
        for least in (0.6, 0.8, 0.9):
            sure = [(t, s) for t, s in zip(tops, samples) if t and t.confidence >= least]
            right = sum(fold(t.text) == fold(s.text) for t, s in sure)
            print(f"  best reads with confidence of at least {least}: {100 * len(sure) / len(samples):.1f} per cent, "
                  f"of which exact {100 * right / max(len(sure), 1):.1f} per cent")
        hinted = [constrained(t.logp, s.region) if t else "" for t, s in zip(tops, samples)]
        print(row(name + ": patterns of the region", samples, hinted))
    wrong = [(s, t, f.quad if f else box_quad(*s.box), g) for s, t, f, g in zip(samples, texts, tops, greys) if fold(t) != fold(s.text)]
    if a.list:
        for s, t, _, _ in wrong:
            print(f"  {s.file:28} {s.text:9} {t}")
    if a.failures:
        failures(a.failures, wrong)


if __name__ == "__main__":
    main()
