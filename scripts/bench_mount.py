#!/usr/bin/env python3
"""Measures reading one large file of a snapshot through a mount, for Keepwatch and restic.

Both back the same file up and mount their repository. The file is read from its beginning to its end, in
pieces of 1 MiB, each time through a new mount, so that nothing is left in the kernel's cache or the
program's; the repositories are in the kernel's cache. Then come reads of 64 KiB at random places, the same
ones for both. What is read is compared with the file. The median of all runs counts.

`--megabytes 50 --runs 1` is a quick run to see that it works; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import PASSPHRASE, machine, say, table, write_noise
from bench_programs import EXAMPLES, MB, running

PIECE = 1 << 20
RANDOM_READS = 300
RANDOM_PIECE = 64 << 10


@contextmanager
def mounted(name: str, data: Path, work: Path, run: int) -> Iterator[Path]:
    """Gives the path of the file in a new mount."""
    point = work / "mnt"
    point.mkdir(exist_ok=True)
    log = work / f"{name}.log"
    if name == "keepwatch":
        # A new repository each time: the program makes one and mounts it.
        words = [EXAMPLES / "mount_folder", data, work / f"keepwatch-{run}", point]
    else:
        words = ["restic", "--no-cache", "--repo", work / "restic", "mount", point]
    with running(words, log) as program:
        while not os.path.ismount(point):
            program.still_runs()
            time.sleep(0.05)
        latest = point / ("latest" if name == "keepwatch" else "snapshots/latest")
        yield latest / data.relative_to("/")
        subprocess.run(["umount", point], check=True)
        program.process.wait(60)


def read_whole(path: Path, expected: str) -> float:
    """MB/s."""
    digest, size = hashlib.blake2b(), 0
    spent = 0.0
    with path.open("rb", buffering=0) as file:
        while True:
            begin = time.perf_counter()
            piece = file.read(PIECE)
            spent += time.perf_counter() - begin
            if not piece:
                break
            size += len(piece)
            # Not part of what is measured, although it gives both time to read ahead: so it is short.
            if size % (16 * PIECE) == len(piece):
                digest.update(piece)
    if digest.hexdigest() != expected:
        sys.exit(f"{path} is not what was backed up")
    return size / MB / spent


def sample(path: Path) -> str:
    """What `read_whole` compares with."""
    digest, size = hashlib.blake2b(), 0
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            size += len(piece)
            if size % (16 * PIECE) == len(piece):
                digest.update(piece)
    return digest.hexdigest()


def read_randomly(path: Path, data: Path) -> float:
    """Reads a second."""
    places = random.Random(7)
    size = data.stat().st_size
    with path.open("rb", buffering=0) as file, data.open("rb") as original:
        spent = 0.0
        for _ in range(RANDOM_READS):
            at = places.randrange(size - RANDOM_PIECE)
            begin = time.perf_counter()
            piece = os.pread(file.fileno(), RANDOM_PIECE, at)
            spent += time.perf_counter() - begin
            if piece != os.pread(original.fileno(), RANDOM_PIECE, at):
                sys.exit(f"{path} differs from what was backed up at {at}")
    return RANDOM_READS / spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=700, help="the size of the file")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-mount-") as folder:
        work = Path(folder)
        data = work / "data" / "large"
        data.parent.mkdir()
        write_noise(data, arguments.megabytes * MB, seed=1)
        expected = sample(data)
        os.environ["RESTIC_PASSWORD"] = PASSPHRASE
        for words in (["init"], ["backup", str(data)]):
            command = ["restic", "--quiet", "--no-cache", "--repo", str(work / "restic"), *words]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        figures: dict[str, dict[str, list[float]]] = {}
        for run in range(arguments.runs):
            for name in ("keepwatch", "restic"):
                own = figures.setdefault(name, {"whole_mb_s": [], "random_per_s": []})
                with mounted(name, data, work, run) as path:
                    own["whole_mb_s"].append(read_whole(path, expected))
                with mounted(name, data, work, arguments.runs + run) as path:
                    own["random_per_s"].append(read_randomly(path, data))
                say(f"{name}: {own}")
    print(machine())
    rows = [
        [name, f"{statistics.median(own['whole_mb_s']):.0f}", f"{statistics.median(own['random_per_s']):.0f}"]
        for name, own in figures.items()
    ]
    print(table(["", "whole file, MB/s", "64 KiB at random, reads/s"], rows))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
