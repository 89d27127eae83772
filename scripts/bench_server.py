#!/usr/bin/env python3
"""Measures Keepwatch's server, and SecureVision's events API in FastAPI and SQLModel beside it.

Both have the same events in their stores (`crates/core/examples/event_flood.rs`, and
`bench_server_twin.py`), want the same token, and have to give the same answer to
`GET /events?limit=100`. wrk asks for it as fast as answers come, over as many connections as it takes;
then this program does at half of that rate, with requests that are due at fixed times whether or not
earlier ones were answered: latency counts from when a request was due. uvicorn has one worker or two,
whichever serves more. Servers and those who ask share two cores.

Then Keepwatch alone, on the same store: from an event that another process has stored until a client
of each stream has it; from a frame of a camera until a browser shows it (`bench_live.py`); and what the
server takes while it has no camera and nobody asks.

`--events 10000 --seconds 3` is a quick run to see that it works; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import math
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import uvloop
from websockets.sync.client import connect

import bench_live
from bench import KEEPWATCH, machine, say, table
from bench_programs import (
    CORES, EXAMPLES, Aim, Program, cpu_seconds, keepwatch_version, memory_mb, percent, prepare, running,
)

SCRIPTS = Path(__file__).parent
FLOOD = EXAMPLES / "event_flood"
PAGE = "/events?limit=100"
# 2026-01-01. Fixed, so that a store that is kept fits.
FIRST_MS = 1_767_225_600_000
CONNECTIONS = (1, 4, 16, 64)
HALF_LOAD_CONNECTIONS = 64
# The names that only SecureVision's documents have, and not its program; Keepwatch gives both.
DOCUMENTED = {"person_name", "plate_text", "confidence", "list_match", "region"}
TOKEN = secrets.token_hex(16)
EVERY_MS = 60

LOOPBACK = """\
schema_version = 1

[server]
listen = ["127.0.0.1:0"]
"""
SETTINGS = f"""\
{LOOPBACK}\
auth_token = "{TOKEN}"
requests_per_second = 1000000
requests_burst = 1000000
"""


# --- Servers -------------------------------------------------------------------------------------


@dataclass
class Served:
    """A server that runs, on this machine."""

    program: Program
    port: int
    # What it says of itself when it is ready.
    ready: dict

    def get(self, path: str, headers: dict[str, str] | None = None) -> bytes:
        return self.ask("GET", path, headers or {"Authorization": f"Bearer {TOKEN}"})[1]

    def ask(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> tuple[dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            self.program.fail(f"answers {path} with {answer.status} {content[:200]!r}")
        connection.close()
        return dict(answer.headers), content

    def log_in(self) -> dict[str, str]:
        """Makes the first user, and gives the headers of the session."""
        body = {"code": self.ready["setup_code"], "user": "bench", "password": secrets.token_hex(16)}
        headers, _ = self.ask(
            "POST", "/api/v1/setup", {"Content-Type": "application/json"}, json.dumps(body).encode()
        )
        return {"Cookie": headers["set-cookie"].split(";")[0]}


@contextmanager
def keepwatch(store: Path, key: Path, work: Path, settings: str) -> Iterator[Served]:
    config = work / "keepwatch.toml"
    config.write_text(settings)
    words = [KEEPWATCH, "serve", "--store", store, "--key-file", key, "--config", config, "--json"]
    with running(words, work / "keepwatch.log", subprocess.PIPE) as program:
        line = program.process.stdout.readline()
        if not line:
            program.process.wait()
            program.fail("does not say where it is")
        ready = json.loads(line)
        yield Served(program, int(ready["urls"][0].rstrip("/").rsplit(":", 1)[1]), ready)
        program.stop()


@contextmanager
def twin(work: Path, workers: int) -> Iterator[Served]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [
        sys.executable, "-m", "uvicorn", "--app-dir", SCRIPTS, "bench_server_twin:app", "--port", port,
        "--workers", workers, "--no-access-log", "--log-level", "warning", "--timeout-keep-alive", 60,
    ]
    with running(words, work / "twin.log") as program:
        deadline = time.monotonic() + 60
        while True:
            program.still_runs()
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    program.fail("does not listen")
                time.sleep(0.1)
        yield Served(program, port, {})
        program.stop()


def fill(work: Path, events: int) -> tuple[Path, Path]:
    """Both stores; gives Keepwatch's, and its key."""
    store, key = work / "store", work / "key"
    key.write_bytes(secrets.token_bytes(32))
    key.chmod(0o600)
    os.environ |= {"TWIN_DATABASE": str(work / "twin.db"), "TWIN_TOKEN": TOKEN}
    for words in (
        [FLOOD, "fill", store, key, events, FIRST_MS],
        [sys.executable, SCRIPTS / "bench_server_twin.py", events, FIRST_MS],
    ):
        start = time.monotonic()
        words = [str(word) for word in words]
        say(" ".join(words))
        subprocess.run(words, check=True)
        say(f"took {time.monotonic() - start:.0f} s")
    return store, key


def comparable(page: bytes) -> list[dict]:
    """What both servers say of events; the numbers are their own."""
    events = json.loads(page)
    for event in events:
        del event["id"]
        event["payload"] = {name: value for name, value in event["payload"].items() if name not in DOCUMENTED}
    return events


# --- Load ----------------------------------------------------------------------------------------


@dataclass
class Load:
    connections: int
    rate: float
    p50_ms: float
    p99_ms: float
    # Of one core, of the server alone.
    cpu: float


MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


def cpu_while(served: Served, work: Callable[[], object]) -> tuple[object, float]:
    """What comes of it, and what the server takes of a core meanwhile."""
    before, start = cpu_seconds(served.program.pid), time.monotonic()
    result = work()
    return result, (cpu_seconds(served.program.pid) - before) / (time.monotonic() - start)


def full_load(served: Served, seconds: float, connections: int) -> Load:
    """As often as answers come. Any answer but 200 ends everything."""
    words = ["wrk", "--latency", "--threads", "1", "--connections", str(connections), "--timeout", "30s"]
    words += ["--duration", f"{max(1, round(seconds))}s", "--header", f"Authorization: Bearer {TOKEN}"]
    words.append(f"http://127.0.0.1:{served.port}{PAGE}")
    run, cpu = cpu_while(served, lambda: subprocess.run(words, capture_output=True, text=True, check=True))
    said = run.stdout
    if "Non-2xx" in said or "Socket errors" in said:
        served.program.fail(f"does not serve: {said}")

    def late(share: str) -> float:
        # There is none when no answer came in time.
        found = re.search(rf"^\s+{share}%\s+([\d.]+)(us|ms|s|m)$", said, re.MULTILINE)
        return float(found.group(1)) * MILLISECONDS[found.group(2)] if found else math.inf

    p50, p99 = late("50"), late("99")
    return Load(connections, float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1)), p50, p99, cpu)


async def at_rate(port: int, seconds: float, rate: float) -> list[float]:
    """Milliseconds from when each of the requests was due until its answer was there, sorted."""
    request = f"GET {PAGE} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    times: list[float] = []
    start = asyncio.get_running_loop().time() + 0.1
    dues = iter(start + index / rate for index in range(round(seconds * rate)))

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        clock = asyncio.get_running_loop().time
        for due in dues:
            await asyncio.sleep(max(0, due - clock()))
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"\r\ncontent-length: (\d+)", head.lower())
            if not head.startswith(b"HTTP/1.1 200") or not length:
                raise RuntimeError(f"the answer begins {head[:300]!r}")
            await reader.readexactly(int(length.group(1)))
            times.append((clock() - due) * 1e3)
        writer.close()

    await asyncio.gather(*(client() for _ in range(HALF_LOAD_CONNECTIONS)))
    return sorted(times)


def half_load(served: Served, seconds: float, rate: float) -> Load:
    times, cpu = cpu_while(served, lambda: uvloop.run(at_rate(served.port, seconds, rate)))
    return Load(HALF_LOAD_CONNECTIONS, rate, share_of(times, 0.5), share_of(times, 0.99), cpu)


@dataclass
class Loads:
    peak: Load
    half: Load
    # Resident after that, with all processes that belong to it.
    rss_mb: float


def loads(served: Served, seconds: float) -> Loads:
    """The peak over all numbers of connections, then half of it."""
    full_load(served, seconds / 4, CONNECTIONS[1])
    peak = max((full_load(served, seconds, connections) for connections in CONNECTIONS), key=lambda one: one.rate)
    half = half_load(served, seconds * 2, peak.rate / 2)
    return Loads(peak, half, memory_mb(served.program.pid, "status", "VmRSS"))


# --- Latency -------------------------------------------------------------------------------------


def websocket(port: int, path: str, headers: dict[str, str]) -> Iterator[tuple[int, bytes]]:
    """Messages, and when they came; the first is empty, when there is a connection."""
    with connect(f"ws://127.0.0.1:{port}{path}", additional_headers=headers) as socket:
        yield 0, b""
        for message in socket:
            yield time.time_ns(), message


def server_sent(port: int, path: str, headers: dict[str, str]) -> Iterator[tuple[int, bytes]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    yield 0, b""
    for line in iter(answer.readline, b""):
        came = time.time_ns()
        if line.startswith(b"data:"):
            yield came, line[5:]


Stream = Callable[[int, str, dict[str, str]], Iterator[tuple[int, bytes]]]
# How it is followed, where, whether with a session, and where a message has the number of the event.
STREAMS: dict[str, tuple[Stream, str, bool, Callable[[dict], int]]] = {
    "`WS /stream`": (websocket, "/stream", False, lambda told: told["payload"]["track_id"]),
    "`WS /api/v1/events/ws`": (
        websocket, "/api/v1/events/ws", True, lambda told: told["event"]["observations"][0]["track"],
    ),
    "`GET /api/v1/events/stream`": (
        server_sent, "/api/v1/events/stream", True, lambda told: told["observations"][0]["track"],
    ),
}


def latencies(served: Served, store: Path, key: Path, events: int) -> dict[str, list[float]]:
    """For each stream, milliseconds from when the event was stored until the client has it."""
    session = served.log_in()
    came: dict[str, dict[int, int]] = {}
    ready = threading.Barrier(len(STREAMS) + 1)

    def follow(name: str) -> None:
        stream, path, with_session, number = STREAMS[name]
        headers = session if with_session else {"Authorization": f"Bearer {TOKEN}"}
        times: dict[int, int] = {}
        for at, message in stream(served.port, path, headers):
            if not message:
                ready.wait(30)
                continue
            times[number(json.loads(message))] = at
            if len(times) == events:
                break
        came[name] = times

    threads = [threading.Thread(target=follow, args=[name], daemon=True) for name in STREAMS]
    for thread in threads:
        thread.start()
    ready.wait(30)
    words = [str(word) for word in (FLOOD, "append", store, key, events, EVERY_MS)]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    stored = {int(number): int(at) for number, at in map(str.split, said.splitlines())}
    for thread in threads:
        thread.join(30)
    if missing := [name for name in STREAMS if set(came.get(name, {})) != set(stored)]:
        served.program.fail(f"did not tell of all {events} events: {', '.join(missing)}")
    # An event may be told before the one who stores it hears that it is stored.
    return {name: sorted(max(0, came[name][one] - at) / 1e6 for one, at in stored.items()) for name in STREAMS}


def share_of(times: list[float], share: float) -> float:
    return times[min(len(times) - 1, int(share * len(times)))]


# --- Idle ----------------------------------------------------------------------------------------


@dataclass
class Idle:
    rss_mb: float
    pss_mb: float
    cpu: float


def idle(work: Path, seconds: float) -> Idle:
    """A new store, no camera; after a login and a round through the dashboard's pages."""
    key = work / "idle-key"
    key.write_bytes(secrets.token_bytes(32))
    key.chmod(0o600)
    with keepwatch(work / "idle", key, work, LOOPBACK) as served:
        session = served.log_in()
        for path in (
            "/ui/", "/api/v1/session", "/api/v1/cameras", "/api/v1/events", "/api/v1/events/summary",
            "/api/v1/events/timeline", "/api/v1/faces", "/api/v1/plates", "/api/v1/openapi.json", "/health",
        ):
            served.get(path, session)
        time.sleep(5)
        before, start = cpu_seconds(served.program.pid), time.monotonic()
        time.sleep(seconds)
        cpu = (cpu_seconds(served.program.pid) - before) / (time.monotonic() - start)
        pid = served.program.pid
        return Idle(memory_mb(pid, "status", "VmRSS"), memory_mb(pid, "smaps_rollup", "Pss"), cpu)


# --- The run -------------------------------------------------------------------------------------


def load_part(arguments: argparse.Namespace, store: Path, key: Path, work: Path, figures: dict) -> list[Aim]:
    found: dict[str, Loads] = {}
    pages = []
    for workers in (1, 2):
        with twin(work, workers) as served:
            pages.append(comparable(served.get(PAGE)))
            found[f"FastAPI and SQLModel, {workers} worker{'s' * (workers > 1)}"] = loads(served, arguments.seconds)
    with keepwatch(store, key, work, SETTINGS) as served:
        pages.append(comparable(served.get(PAGE)))
        own = found["keepwatch"] = loads(served, arguments.seconds)
    if any(page != pages[0] for page in pages):
        sys.exit("the servers do not give the same answer")
    rows = [
        [
            name, f"{one.peak.rate:.0f}", str(one.peak.connections), f"{one.peak.p99_ms:.1f}", percent(one.peak.cpu),
            f"{one.half.rate:.0f}", f"{one.half.p50_ms:.1f}", f"{one.half.p99_ms:.1f}", f"{one.rss_mb:.0f}",
        ]
        for name, one in found.items()
    ]
    header = [
        "", "peak, requests/s", "connections", "p99 there, ms", "CPU, % of a core", "half load, requests/s",
        "median, ms", "p99, ms", "memory, MB",
    ]
    print(f"`GET {PAGE}` of {arguments.events} events, {CORES} cores for servers and clients:\n")
    print(table(header, rows), end="\n\n", flush=True)
    figures["load"] = {name: asdict(one) for name, one in found.items()}
    best = max(one.peak.rate for name, one in found.items() if name != "keepwatch")
    return [
        Aim(f"`{PAGE}`: at least 20 × the twin's throughput", own.peak.rate / best, 20, " ×", at_least=True),
        Aim("p99 at half load below 20 ms", own.half.p99_ms, 20, " ms"),
    ]


def latency_part(arguments: argparse.Namespace, store: Path, key: Path, work: Path, figures: dict) -> list[Aim]:
    with keepwatch(store, key, work, SETTINGS) as served:
        found = latencies(served, store, key, arguments.told)
    rows = [
        [name, *(f"{share_of(times, share):.1f}" for share in (0.5, 0.95, 0.99)), f"{times[-1]:.1f}"]
        for name, times in found.items()
    ]
    print(f"From an event that another process has stored until a client has it, {arguments.told} events:\n")
    print(table(["", "median, ms", "p95, ms", "p99, ms", "most, ms"], rows), end="\n\n", flush=True)
    figures["latency"] = found
    return [
        Aim(f"event to client below 20 ms at p95, {name}", share_of(times, 0.95), 20, " ms")
        for name, times in found.items()
    ]


def live_part(arguments: argparse.Namespace, work: Path, figures: dict) -> list[Aim]:
    key = work / "live-key"
    key.write_bytes(secrets.token_bytes(32))
    key.chmod(0o600)
    with bench_live.camera(work / "camera.log") as (address, appeared):
        settings = f'{LOOPBACK}\n[cameras.door]\nurl = "{address}"\n'
        with keepwatch(work / "live", key, work, settings) as served:
            found = bench_live.delays(served.port, served.program.pid, served.log_in(), appeared, arguments.live)
    if empty := [name for name, one in found.items() if not one.times]:
        sys.exit(f"nothing appeared in the browser: {', '.join(empty)}")
    rows = [
        [
            name, str(len(one.times)), *(f"{share_of(one.times, share):.0f}" for share in (0.5, 0.95)),
            f"{one.times[-1]:.0f}", percent(one.cpu),
        ]
        for name, one in found.items()
    ]
    print(f"From a frame of a camera ({bench_live.SIZE}, {bench_live.FPS} frames/s) until Chromium shows it:\n")
    header = ["", "times", "median, ms", "p95, ms", "most, ms", "the server, % of a core"]
    print(table(header, rows), end="\n\n", flush=True)
    figures["live"] = {name: asdict(one) for name, one in found.items()}
    video = found[bench_live.VIDEO].times
    return [Aim("live video of 1080p less than a second late, p95", share_of(video, 0.95), 1000, " ms")]


def idle_part(arguments: argparse.Namespace, work: Path, figures: dict) -> list[Aim]:
    found = idle(work, arguments.idle)
    print(f"Idle, without cameras, {arguments.idle:.0f} s:\n")
    row = ["keepwatch", f"{found.rss_mb:.1f}", f"{found.pss_mb:.1f}", percent(found.cpu)]
    print(table(["", "resident, MB", "proportional, MB", "of a core, %"], [row]), end="\n\n", flush=True)
    figures["idle"] = asdict(found)
    return [
        Aim("idle below 40 MB", found.rss_mb, 40, " MB"),
        Aim("idle below 1 % of a core", 100 * found.cpu, 1, " %"),
    ]


PARTS = ["load", "latency", "live", "idle"]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(tempfile.gettempdir())
    parser.add_argument("--dir", type=Path, default=default, help="where the stores go (%(default)s)")
    parser.add_argument("--events", type=int, default=1_000_000, help="in the stores (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10, help="of each load; half load takes twice (%(default)s)")
    parser.add_argument("--told", type=int, default=500, help="events for the latency (%(default)s)")
    parser.add_argument("--live", type=float, default=120, help="seconds of looking at a camera (%(default)s)")
    parser.add_argument("--idle", type=float, default=60, help="seconds of being idle (%(default)s)")
    parser.add_argument("--what", nargs="+", choices=PARTS, default=PARTS, help="these parts only")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    programs = (KEEPWATCH, FLOOD, bench_live.CAMERA, "wrk", "chromium")
    missing = [str(program) for program in programs if not shutil.which(program)]
    if missing:
        sys.exit(f"missing: {', '.join(missing)}; scripts/bench-server builds and installs them")
    prepare()
    arguments.dir.mkdir(parents=True, exist_ok=True)
    print(f"Machine: {machine()}; {CORES} cores are used. Load average before: {os.getloadavg()[0]:.1f}.")
    versions = [f"{name} {version(name)}" for name in ("fastapi", "sqlmodel", "uvicorn")]
    print(f"Versions: keepwatch {keepwatch_version()}, {', '.join(versions)}, Python {sys.version.split()[0]}.\n")
    figures: dict = {}
    aims: list[Aim] = []
    with tempfile.TemporaryDirectory(dir=arguments.dir, prefix="keepwatch-server-") as folder:
        work = Path(folder).resolve()
        if {"load", "latency"} & set(arguments.what):
            store, key = fill(work, arguments.events)
            if "load" in arguments.what:
                aims += load_part(arguments, store, key, work, figures)
            if "latency" in arguments.what:
                aims += latency_part(arguments, store, key, work, figures)
        if "live" in arguments.what:
            aims += live_part(arguments, work, figures)
        if "idle" in arguments.what:
            aims += idle_part(arguments, work, figures)
    print(table(["aim", "reached"], [aim.row() for aim in aims]))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
