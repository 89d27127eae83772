"""What the benchmarks of running programs share: starting and stopping them, and what they use."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import KEEPWATCH, say

MB = 1_000_000
CORES = 2
EXAMPLES = Path(os.environ.get("CARGO_TARGET_DIR", Path.home() / ".cache/keepwatch/target"), "release/examples")

LIBC = ctypes.CDLL(None)


# --- Programs ------------------------------------------------------------------------------------


def die_with_parent() -> None:
    """Asks Linux to kill this process when the one that started it is gone, however it went."""
    LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Program:
    """A program that runs until it is told to stop."""

    def __init__(self, words: list[str | Path], log: Path, output: int | Path = subprocess.DEVNULL) -> None:
        self.words = [str(word) for word in words]
        self.log = log
        say(" ".join(self.words))
        with log.open("wb") as errors, open(os.devnull if isinstance(output, int) else output, "wb") as file:
            self.process = subprocess.Popen(
                self.words,
                stdin=subprocess.PIPE,
                stdout=output if isinstance(output, int) else file,
                stderr=errors,
                preexec_fn=die_with_parent,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def fail(self, problem: str) -> None:
        """Ends everything, for a figure from half a run is none."""
        text = self.log.read_text(errors="replace")
        sys.exit(f"{self.words} {problem}:\n{text[-2000:]}")

    def still_runs(self) -> None:
        if self.process.poll() is not None:
            self.fail(f"ended too early, with {self.process.returncode}")

    def stop(self) -> None:
        """As Ctrl-C does; after a while less kindly."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.fail("did not stop when told to")
        finally:
            self.kill()

    def kill(self) -> None:
        """What is left of it."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()


@contextmanager
def running(words: list[str | Path], log: Path, output: int | Path = subprocess.DEVNULL) -> Iterator[Program]:
    program = Program(words, log, output)
    try:
        yield program
    finally:
        program.kill()


# --- Measuring -----------------------------------------------------------------------------------


@dataclass
class Use:
    """What a program used of one core, from 0 to 1 and beyond, and of memory."""

    cpu: float
    peak_mb: float
    pss_mb: float


def tree(pid: int) -> list[int]:
    """A process and the processes it started."""
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            found += tree(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, to the nanosecond: clock_getcpuclockid(3), as in linux/posix-timers.h."""
    return sum(time.clock_gettime((~one << 3) | 2) for one in tree(pid))


def memory_mb(pid: int, file: str, name: str) -> float:
    kilobytes = 0
    for one in tree(pid):
        found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{one}/{file}").read_text(), re.MULTILINE)
        kilobytes += int(found.group(1)) if found else 0
    return kilobytes * 1024 / MB


def use_of(programs: list[Program], warm_up: float, seconds: float) -> list[Use]:
    """What running programs use, all in the same time."""
    time.sleep(warm_up)
    for program in programs:
        program.still_runs()
    start = time.monotonic()
    before = [cpu_seconds(program.pid) for program in programs]
    time.sleep(seconds)
    for program in programs:
        program.still_runs()
    spent = [cpu_seconds(program.pid) - cpu for program, cpu in zip(programs, before)]
    wall = time.monotonic() - start
    return [
        Use(
            cpu / wall,
            memory_mb(program.pid, "status", "VmHWM"),
            memory_mb(program.pid, "smaps_rollup", "Pss"),
        )
        for program, cpu in zip(programs, spent)
    ]


def keepwatch_version() -> str:
    return subprocess.run([KEEPWATCH, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]


def prepare() -> None:
    """Two cores and as many files as are allowed, for this and all it starts; a signal ends it tidily."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))


# --- Report ----------------------------------------------------------------------------------------


def percent(cpu: float) -> str:
    return f"{100 * cpu:.1f}" if cpu >= 0.1 else f"{100 * cpu:.2f}"


@dataclass
class Aim:
    text: str
    reached: float
    limit: float
    unit: str = ""
    at_least: bool = False

    def row(self) -> list[str]:
        met = self.reached >= self.limit if self.at_least else self.reached <= self.limit
        digits = 2 if self.limit < 10 else 0
        return [self.text, f"{self.reached:.{digits}f}{self.unit}" + ("" if met else ": **missed**")]
