#!/usr/bin/env python3
"""Measures the Python package beside the command line and the `cryptography` package.

    python scripts/bench_python.py --binary PATH [--megabytes 700] [--runs 5] [--folder DIR]

Run it with an environment that has the release wheel (`make wheel`) and `cryptography`; --folder
should be on a disk or in memory that is fast enough not to be what is measured. Runs of what is
compared take turns, and the medians are printed.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import timeit
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import keepwatch

PASSPHRASE = "a passphrase for measuring"
#: What both sides hand over at once: keepwatch's batches have this size too.
CHUNK = 512 << 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, required=True, help="the release command line")
    parser.add_argument("--megabytes", type=int, default=700)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=None)
    arguments = parser.parse_args()
    os.environ["KEEPWATCH_PASSWORD"] = PASSPHRASE
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        place = Path(folder)
        overhead(place)
        source = make_file(place, arguments.megabytes)
        sealing(place, source, arguments.binary, arguments.runs)
        backup(place, source, arguments.binary, arguments.runs)
        interrupting(place, source)


def make_file(place: Path, megabytes: int) -> Path:
    source = place / "source"
    with source.open("wb") as file:
        for _ in range(megabytes):
            file.write(os.urandom(1_000_000))
    return source


def overhead(place: Path) -> None:
    """What a call costs that does next to nothing."""
    sealed = place / "small.kw"
    with keepwatch.SealedWriter(sealed, key_file=bytes(32)) as writer:
        writer.write(b"x" * 1_000_000)
    reader = keepwatch.SealedReader(sealed, key_file=bytes(32))
    for name, call in (
        ("reader.tell()", reader.tell),
        ("reader.read(1)", lambda: reader.read(1)),
        ("reader.closed", lambda: reader.closed),
    ):
        count = 200_000
        seconds = min(timeit.repeat(call, number=count, repeat=5)) / count
        print(f"call overhead, {name}: {seconds * 1e6:.2f} µs")


def compare(
    what: str,
    runs: int,
    sides: dict[str, Callable[[], object]],
    prepare: Callable[[], object] = lambda: None,
) -> None:
    """Times the sides in turns, each after `prepare`; prints the medians, and their ratio to the
    first."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(runs):
        for name, side in sides.items():
            prepare()
            begin = time.perf_counter()
            side()
            times[name].append(time.perf_counter() - begin)
    medians = {name: statistics.median(values) for name, values in times.items()}
    first = next(iter(medians.values()))
    for name, median in medians.items():
        print(f"{what}, {name}: {median:.3f} s ({median / first:.3f} of the first)")


def sealing(place: Path, source: Path, binary: Path, runs: int) -> None:
    """With a key and no passphrase: nobody's key derivation is measured."""
    target, key = place / "sealed", place / "key"
    key.write_bytes(os.urandom(32))

    def python() -> None:
        keepwatch.encrypt_file(source, target, key_file=key, overwrite=True)

    def command() -> None:
        run(binary, "encrypt", "--key-file", key, "--force", "--output", target, source)

    def cryptography() -> None:
        aes_gcm_in_chunks(source, target)

    sides = {"Python": python, "command line": command, "cryptography": cryptography}
    compare(f"sealing {source.stat().st_size >> 20} MiB", runs, sides)
    target.unlink()


def aes_gcm_in_chunks(source: Path, target: Path) -> None:
    """AES-256-GCM as the package is used for files that do not fit into memory: chunk by chunk, on
    two threads, and durable at the end, as keepwatch's are."""
    cipher = AESGCM(os.urandom(32))

    def seal(numbered: tuple[int, bytes]) -> bytes:
        number, chunk = numbered
        return cipher.encrypt(number.to_bytes(12, "big"), chunk, None)

    with source.open("rb") as reader, target.open("wb") as writer, ThreadPoolExecutor(2) as pool:
        number = 0
        while chunks := [chunk for _ in range(8) if (chunk := reader.read(CHUNK))]:
            for sealed in pool.map(seal, enumerate(chunks, number)):
                writer.write(sealed)
            number += len(chunks)
        writer.flush()
        os.fsync(writer.fileno())


def backup(place: Path, source: Path, binary: Path, runs: int) -> None:
    """Into a new repository, from opening it to closing it."""
    where, cache = place / "repository", place / "cache"

    def prepare() -> None:
        subprocess.run(["rm", "-rf", where, cache], check=True)
        keepwatch.Repository.init(where, passphrase=PASSPHRASE, cache_dir=cache).close()

    def python() -> None:
        with keepwatch.Repository.open(where, passphrase=PASSPHRASE, cache_dir=cache) as opened:
            opened.backup(source)

    def command() -> None:
        run(binary, "--repo", where, "--cache-dir", cache, "backup", source)

    compare("first backup", runs, {"Python": python, "command line": command}, prepare)


def interrupting(place: Path, source: Path) -> None:
    """How long Ctrl-C takes to come out of a long call."""
    delays = []
    for _ in range(5):
        sent = []

        def send(sent: list[float] = sent) -> None:
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)

        timer = threading.Timer(0.2, send)
        timer.start()
        try:
            keepwatch.encrypt_file(source, place / "interrupted", passphrase=PASSPHRASE)
        except KeyboardInterrupt:
            delays.append(time.perf_counter() - sent[0])
        timer.join()
        (place / "interrupted").unlink(missing_ok=True)
    print(f"Ctrl-C, until it comes out: {max(delays) * 1e3:.0f} ms at most")


def run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
