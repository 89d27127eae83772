"""Trains the finder on the pool that `scenes.py` fills (it may still be filling)."""

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
from torch.nn import functional as F

from common import dev_samples
from finder_io import STRIDES, find, overlap
from nets import Finder, parameters

# Which plates (by their width in pixels) each map has to find; they overlap.
RANGES = ((10.0, 110.0), (80.0, 340.0))


class Pool:
    def __init__(self, root: Path, keep: int) -> None:
        self.root, self.keep = root, keep
        self.names: set[str] = set()
        self.shards: list[tuple[np.ndarray, np.ndarray]] = []
        self.scan()

    def scan(self) -> None:
        for p in sorted(self.root.glob("[0-9]*.npz"), key=lambda p: p.stat().st_mtime):
            if p.name not in self.names:
                with np.load(p) as z:
                    self.shards.append((z["x"], z["q"]))
                self.names.add(p.name)
        self.shards = self.shards[-self.keep:]

    def batch(self, n: int, r: random.Random) -> tuple[np.ndarray, np.ndarray]:
        pick = [self.shards[r.randrange(len(self.shards))] for _ in range(n)]
        idx = [r.randrange(len(x)) for x, _ in pick]
        return np.stack([s[0][i] for s, i in zip(pick, idx)]), np.stack([s[1][i] for s, i in zip(pick, idx)])


def targets(quads: np.ndarray, h: int, w: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Per map: wanted score, its weight, and corners (8 x rows x columns), for a batch of scenes.

    Cells in the middle of a plate are wanted; the rest of the plate may answer
    as it likes, and so may a map when the plate is just out of its range.
    """
    out = []
    n = len(quads)
    for stride, (lo, hi) in zip(STRIDES, RANGES):
        rows, cols = h // stride, w // stride
        want = np.zeros((n, rows, cols), np.float32)
        weight = np.ones((n, rows, cols), np.float32)
        corners = np.zeros((n, 8, rows, cols), np.float32)
        cx, cy = np.meshgrid(np.arange(cols) + 0.5, np.arange(rows) + 0.5)
        for i in range(n):
            for q in quads[i]:
                if np.isnan(q).any():
                    continue
                c = q / stride
                width = float(np.hypot(*(q[1] - q[0])) + np.hypot(*(q[2] - q[3]))) / 2
                mid = c.mean(0)
                pw, ph = c.max(0) - c.min(0)
                dx, dy = np.abs(cx - mid[0]), np.abs(cy - mid[1])
                inside = (dx < pw * 0.5 + 0.5) & (dy < ph * 0.5 + 0.5)
                weight[i][inside & (want[i] == 0)] = 0
                if not lo <= width <= hi:
                    continue
                core = (dx <= max(pw * 0.14, 0.5)) & (dy <= max(ph * 0.2, 0.5))
                core |= (dx + dy) == (dx + dy).min()
                want[i][core] = 1
                weight[i][core] = 1
                for k in range(4):
                    corners[i, 2 * k][core] = (c[k, 0] - cx)[core]
                    corners[i, 2 * k + 1][core] = (c[k, 1] - cy)[core]
        out.append((want, weight, corners))
    return out


def loss_of(maps: tuple[Tensor, Tensor], goal: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> tuple[Tensor, Tensor]:
    score_loss = torch.zeros(())
    corner_loss = torch.zeros(())
    for m, (want_, weight_, corners_) in zip(maps, goal):
        want, weight, corners = torch.from_numpy(want_), torch.from_numpy(weight_), torch.from_numpy(corners_)
        logit = m[:, 0]
        p = torch.sigmoid(logit)
        pt = torch.where(want > 0, p, 1 - p)
        alpha = torch.where(want > 0, 0.6, 0.4)
        focal = alpha * (1 - pt) ** 2 * F.binary_cross_entropy_with_logits(logit, want, reduction="none") * weight
        score_loss = score_loss + focal.sum() / want.sum().clamp(min=8)
        on = want > 0
        if on.any():
            got = m[:, 1:].permute(0, 2, 3, 1)[on]
            ref = corners.permute(0, 2, 3, 1)[on]
            # Relative to the plate's size, or large plates would count for everything.
            size = ((ref[:, 2] - ref[:, 0]).abs() * (ref[:, 7] - ref[:, 1]).abs()).clamp(min=0.05).sqrt()[:, None]
            corner_loss = corner_loss + F.smooth_l1_loss(got / size, ref / size, beta=0.05, reduction="none").mean()
    return score_loss, corner_loss


def check(net: nn.Module) -> str:
    """Recall on the photographs (upright boxes, overlap above 0.4) and false alarms."""
    net.eval()

    def run(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            s, lg = net(torch.from_numpy(x)[None, None].contiguous(memory_format=torch.channels_last))
        return s[0].numpy(), lg[0].numpy()

    hit: dict[str, list[int]] = {"eu": [], "us": [], "br": []}
    false, overlaps = 0, []
    for s in dev_samples():
        x, y, w, h = s.box
        ref = np.array([[x, y], [x + w, y + h]], np.float32)
        found = find(s.grey(), run, 0.2, 12, False)
        best = max((overlap(f.quad, ref) for f in found), default=0.0)
        overlaps.append(best)
        hit[s.region].append(int(best > 0.4))
        false += sum(1 for f in found if overlap(f.quad, ref) < 0.1)
    n = sum(len(v) for v in hit.values())
    return " ".join(f"{k} {100 * np.mean(v):.1f}" for k, v in hit.items()) + (
        f" false/picture {false / n:.2f} mean overlap {np.mean(overlaps):.3f} all {100 * sum(map(sum, hit.values())) / n:.1f}")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--pool", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--init", type=Path)
    p.add_argument("--steps", type=int, default=8000)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--lr", type=float, default=1.5e-3)
    p.add_argument("--warmup", type=int, default=200)
    p.add_argument("--keep", type=int, default=80)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--eval-every", type=int, default=1000)
    p.add_argument("--minutes", type=float, default=0)
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(a.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(a.seed)
    r = random.Random(a.seed)
    net = Finder().to(memory_format=torch.channels_last)
    print("parameters", parameters(net), flush=True)
    if a.init:
        net.load_state_dict(torch.load(a.init, weights_only=True)["ema"])
    ema = copy.deepcopy(net)
    opt = torch.optim.AdamW(net.parameters(), lr=a.lr, weight_decay=1e-2, betas=(0.9, 0.98))
    pool = Pool(a.pool, a.keep)
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(20):
            pool.scan()

    threading.Thread(target=watch, daemon=True).start()
    best, t0, ms, mc = -1.0, time.time(), 0.0, 0.0
    for step in range(a.steps + 1):
        done = step / a.steps
        if a.minutes:
            done = max(done, (time.time() - t0) / (a.minutes * 60))
        if done > 1:
            break
        for group in opt.param_groups:
            group["lr"] = a.lr * min(1.0, (step + 1) / a.warmup) * (0.49 * (1 + math.cos(math.pi * done)) + 0.02)
        xb, qb = pool.batch(a.batch, r)
        x = torch.from_numpy(xb).float().div_(127.5).sub_(1)[:, None].contiguous(memory_format=torch.channels_last)
        n = len(x)
        x = x * (torch.rand(n, 1, 1, 1) * 0.5 + 0.7) + (torch.rand(n, 1, 1, 1) - 0.5) * 0.3
        x = x + torch.randn_like(x) * (torch.rand(n, 1, 1, 1) ** 3) * 0.1
        net.train()
        score, corner = loss_of(net(x.clamp(-1, 1)), targets(qb, xb.shape[1], xb.shape[2]))
        loss = score + corner
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        opt.step()
        ms = score.item() if step == 0 else 0.98 * ms + 0.02 * score.item()
        mc = corner.item() if step == 0 else 0.98 * mc + 0.02 * corner.item()
        decay = min(0.998, (step + 1) / (step + 20))
        with torch.no_grad():
            for pe, pn in zip(ema.state_dict().values(), net.state_dict().values()):
                if pe.dtype.is_floating_point:
                    pe.lerp_(pn, 1 - decay)
                else:
                    pe.copy_(pn)
        if step % 100 == 0:
            rate = (step + 1) * a.batch / (time.time() - t0)
            print(f"step {step} score {ms:.4f} corners {mc:.4f} {rate:.0f} scenes/s pool {len(pool.names)}", flush=True)
        if step % a.eval_every == 0 and step:
            line = check(ema)
            value = float(line.split()[-1])
            print(f"== step {step} {line} ({(time.time() - t0) / 60:.1f} min)", flush=True)
            state = {"ema": ema.state_dict(), "net": net.state_dict(), "step": step}
            torch.save(state, a.out / "last.pt")
            if value >= best:
                best = value
                torch.save(state, a.out / "best.pt")
    stop.set()
    print("== end", check(ema), flush=True)
    torch.save({"ema": ema.state_dict(), "net": net.state_dict(), "step": a.steps}, a.out / "end.pt")


if __name__ == "__main__":
    main()
