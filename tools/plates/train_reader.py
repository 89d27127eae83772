"""Trains the reader on the pool that `render.py` fills (it may still be filling).

Every `--eval-every` steps the photographs of the test data are read (only to
look at, they never enter training) and the weights are kept, along with a
running average of them, which is what gets exported.
"""

from __future__ import annotations

import argparse
import copy
import math
import random
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from common import CLASSES, Sample, box_quad, dev_samples, fold, greedy, log_softmax, normalise, rectify
from nets import Reader, parameters


class Pool:
    """Shards in memory; new ones are picked up, the oldest are dropped."""

    def __init__(self, root: Path, keep: int) -> None:
        self.root, self.keep = root, keep
        self.names: set[str] = set()
        self.shards: list[tuple[np.ndarray, np.ndarray]] = []
        self.scan()

    def scan(self) -> None:
        for p in sorted(self.root.glob("[0-9]*.npz"), key=lambda p: p.stat().st_mtime):
            if p.name in self.names:
                continue
            with np.load(p) as z:
                self.shards.append((z["x"], z["y"]))
            self.names.add(p.name)
        self.shards = self.shards[-self.keep:]

    def batch(self, n: int, r: random.Random) -> tuple[np.ndarray, np.ndarray]:
        xs, ys = [], []
        for _ in range(8):
            x, y = self.shards[r.randrange(len(self.shards))]
            i = np.array([r.randrange(len(x)) for _ in range(n // 8)])
            xs.append(x[i])
            ys.append(y[i])
        return np.concatenate(xs), np.concatenate(ys)


def augment(x: Tensor, g: torch.Generator) -> Tensor:
    """Cheap changes, so that a crop drawn once can be used several times."""
    n = x.shape[0]

    def u(lo: float, hi: float) -> Tensor:
        return torch.rand(n, 1, 1, 1, generator=g) * (hi - lo) + lo

    x = torch.where(torch.rand(n, 1, 1, 1, generator=g) < 0.06, -x, x)
    x = torch.roll(x, (int(torch.randint(-2, 3, (1,), generator=g)), int(torch.randint(-3, 4, (1,), generator=g))), (2, 3))
    x = x + torch.randn(x.shape, generator=g) * (u(0, 1) ** 3) * 0.35
    x = x * u(0.85, 1.15) + u(-0.15, 0.15)
    return x.clamp(-3, 3)


def read_boxes(net: nn.Module, samples: list[Sample], greys: list[np.ndarray]) -> list[str]:
    """Reads the labelled boxes with a small margin."""
    crops = []
    for s, grey in zip(samples, greys):
        x, y, w, h = s.box
        crops.append(normalise(rectify(grey, box_quad(x - 0.03 * w, y - 0.06 * h, 1.06 * w, 1.12 * h))))
    net.eval()
    with torch.no_grad():
        out = net(torch.from_numpy(np.stack(crops))[:, None]).float().numpy()
    return [greedy(log_softmax(o))[0] for o in out]


def report(samples: list[Sample], reads: list[str]) -> str:
    parts = []
    total = 0
    for region in ("eu", "us", "br"):
        idx = [i for i, s in enumerate(samples) if s.region == region]
        ok = sum(fold(reads[i]) == fold(samples[i].text) for i in idx)
        total += ok
        parts.append(f"{region} {100 * ok / len(idx):.1f}")
    return " ".join(parts) + f" all {100 * total / len(samples):.1f}"


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--pool", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--init", type=Path, help="a checkpoint to go on from")
    p.add_argument("--steps", type=int, default=8000)
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--warmup", type=int, default=300)
    p.add_argument("--keep", type=int, default=60, help="shards of the pool held in memory")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--eval-every", type=int, default=500)
    p.add_argument("--minutes", type=float, default=0, help="stretch or shrink the schedule to this time")
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(a.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(a.seed)
    r = random.Random(a.seed)
    g = torch.Generator().manual_seed(a.seed)
    net = Reader().to(memory_format=torch.channels_last)
    print("parameters", parameters(net), flush=True)
    if a.init:
        net.load_state_dict(torch.load(a.init, weights_only=True)["ema"])
    ema = copy.deepcopy(net)
    opt = torch.optim.AdamW(net.parameters(), lr=a.lr, weight_decay=1e-2, betas=(0.9, 0.98))
    loss_fn = nn.CTCLoss(blank=0, zero_infinity=True)
    samples = dev_samples()
    greys = [s.grey() for s in samples]
    pool = Pool(a.pool, a.keep)
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(20):
            pool.scan()

    threading.Thread(target=watch, daemon=True).start()
    best, t0, mean_loss = -1.0, time.time(), 0.0
    for step in range(a.steps + 1):
        done = step / a.steps
        if a.minutes:
            done = max(done, (time.time() - t0) / (a.minutes * 60))
        if done > 1:
            break
        lr = a.lr * min(1.0, (step + 1) / a.warmup) * (0.5 * (1 + math.cos(math.pi * min(done, 1.0))) * 0.98 + 0.02)
        for group in opt.param_groups:
            group["lr"] = lr
        xb, yb = pool.batch(a.batch, r)
        x = torch.from_numpy(xb).float().mul_(6 / 255).sub_(3)[:, None].contiguous(memory_format=torch.channels_last)
        x = augment(x, g)
        y = torch.from_numpy(yb.astype(np.int64))
        lengths = (y > 0).sum(1)
        net.train()
        logits = net(x)
        loss = loss_fn(logits.log_softmax(2).transpose(0, 1), y, torch.full((len(x),), logits.shape[1]), lengths)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 3.0)
        opt.step()
        mean_loss = loss.item() if step == 0 else 0.98 * mean_loss + 0.02 * loss.item()
        decay = min(0.998, (step + 1) / (step + 20))
        with torch.no_grad():
            for pe, pn in zip(ema.state_dict().values(), net.state_dict().values()):
                if pe.dtype.is_floating_point:
                    pe.lerp_(pn, 1 - decay)
                else:
                    pe.copy_(pn)
        if step % 100 == 0:
            rate = (step + 1) * a.batch / (time.time() - t0)
            print(f"step {step} loss {mean_loss:.4f} lr {lr:.5f} {rate:.0f} crops/s pool {len(pool.names)}", flush=True)
        if step % a.eval_every == 0 and step:
            reads = read_boxes(ema, samples, greys)
            line = report(samples, reads)
            score = float(line.split()[-1])
            print(f"== step {step} {line} ({(time.time() - t0) / 60:.1f} min)", flush=True)
            state = {"ema": ema.state_dict(), "net": net.state_dict(), "step": step, "score": score}
            torch.save(state, a.out / "last.pt")
            if score >= best:
                best = score
                torch.save(state, a.out / "best.pt")
    stop.set()
    reads = read_boxes(ema, samples, greys)
    print("== end", report(samples, reads), flush=True)
    torch.save({"ema": ema.state_dict(), "net": net.state_dict(), "step": a.steps, "score": 0.0}, a.out / "end.pt")
    for s, t in zip(samples, reads):
        if fold(t) != fold(s.text):
            print("   ", s.file, s.text, t)
    assert CLASSES[0] == "-"


if __name__ == "__main__":
    main()
