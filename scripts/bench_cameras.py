#!/usr/bin/env python3
"""Measures keepwatch, motion and ffmpeg on the same camera, one after the other.

The camera is an example of keepwatch-vision: 1080p, 25 frames a second, H.264 over RTSP and TCP
from this machine, a loop encoded beforehand; nothing moves in it, and it has the noise of a sensor.
Each program gets time to start, then CPU time, user and system of the program and its children, is
counted for a while. Memory is the largest resident set of the program's life, and its proportional
set at the end. Everything runs on two cores. The result is Markdown.

Then keepwatch alone: how many such cameras two cores carry, each at another place of the loop; how
long it takes from the first changed frame until its event is stored and told; and how fast motion
analysis and the event store are.

`--seconds 5 --cameras 4` is a quick run to see that it works; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import re
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench import KEEPWATCH, machine, say, table
from bench_programs import (
    CORES, EXAMPLES, MB, Aim, Program, Use, die_with_parent, keepwatch_version, percent, prepare, running, use_of,
)

# Places of the loop. It has four groups of frames, of which no two places are the same apart.
STREAMS = 15
SIZE, FPS, GOP, KBIT = (1920, 1080), 25, 50, 4000
COUNTS = (2, 4, 8, 16, 24, 32, 48, 64, 96, 128)
# Of many cameras on average; and of each, for in the one second that is looked at a frame may be late.
ENOUGH_FPS, LEAST_FPS = 24.5, 22.0

# Not a multiple of anything, so that things appear at all distances to the frames that are analysed.
LATENCY_LOOP = 127
# How long an event may take before it counts as missed: it has to come before the next thing does.
LATENCY_LIMIT = 3.0


@contextmanager
def camera(work: Path, *options: str) -> Iterator[tuple[Program, str]]:
    """A camera and its address. It encodes its loop before it says so."""
    words = [
        EXAMPLES / "rtsp_camera", "--size", f"{SIZE[0]}x{SIZE[1]}", "--fps", str(FPS), "--gop", str(GOP),
        "--kbit", str(KBIT), *options,
    ]
    with running(words, work / "camera.log", subprocess.PIPE) as program:
        address = program.process.stdout.readline().decode().strip()
        if not address.startswith("rtsp://"):
            program.process.wait()
            program.fail("does not say where it is")
        yield program, address


# --- One camera ----------------------------------------------------------------------------------


MOTION_SETTINGS = """\
daemon off
setup_mode off
log_level 6
netcam_url {address}
width {width}
height {height}
framerate {framerate}
picture_output off
movie_output off
webcontrol_port 0
stream_port 0
target_dir {work}
"""

# Its default, which is compared with, and that of the camera, which its manual asks for.
MOTION_FRAMERATES = (15, FPS)
MOTION_NOTE = (
    "motion takes the stream over TCP in full size, makes no pictures, films or pages, and has its defaults otherwise."
)

FFMPEG_INPUT = ["-rtsp_transport", "tcp", "-i", "{address}"]

# As Frigate does by default, with its preset for RTSP cameras; motion detection comes on top of it.
FRIGATE_INPUT = [
    "-threads", "2", "-avoid_negative_ts", "make_zero", "-fflags", "+genpts+discardcorrupt",
    "-rtsp_transport", "tcp", "-timeout", "10000000", "-use_wallclock_as_timestamps", "1", "-i", "{address}",
]
FRIGATE_DETECT = [
    "-r", "5", "-vf", "fps=5,scale=640:360", "-threads", "2", "-f", "rawvideo", "-pix_fmt", "yuv420p", "pipe:1",
]
# As long as keepwatch's.
SEGMENTS = [
    "-c", "copy", "-an", "-f", "segment", "-segment_time", "60", "-segment_format", "mp4", "-reset_timestamps", "1",
    "{work}/segment-%d.mp4",
]

FFMPEG = {
    "ffmpeg, all frames to 640x360 at 5 fps, as Frigate": [*FRIGATE_INPUT, *FRIGATE_DETECT],
    "ffmpeg, all frames decoded": [*FFMPEG_INPUT, "-an", "-f", "null", "-"],
    "ffmpeg, key frames decoded": ["-skip_frame", "nokey", *FFMPEG_INPUT, "-an", "-f", "null", "-"],
    "ffmpeg, -c copy to MP4 segments": [*FFMPEG_INPUT, *SEGMENTS],
}
FFMPEG_COPY = "ffmpeg, -c copy to MP4 segments"


@dataclass
class Watching:
    """How keepwatch watches, in words of its configuration."""

    decode: str
    record: str
    more: str = ""

    def name(self) -> str:
        what = {"events": "clips of events", "continuous": "records everything", "off": "pictures only"}
        return f"keepwatch, decode={self.decode}, {what[self.record]}"


ADAPTIVE = Watching("adaptive", "events")
ALL = Watching("all", "events")
KEY_FRAMES = Watching("keyframes", "events")
RECORDING = Watching("none", "continuous", 'pre_roll = "0s"\n')
KEEPWATCH_WAYS = [ADAPTIVE, ALL, KEY_FRAMES, RECORDING]


def motion_name(framerate: int) -> str:
    return f"motion, framerate {framerate}"


def motion_version() -> str:
    found = re.search(r"Version (\S+?),?\s", subprocess.run(["motion", "-h"], capture_output=True, text=True).stdout)
    return found.group(1) if found else "?"


def ffmpeg_version() -> str:
    shown = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True).stdout.split()
    return shown[2] if len(shown) > 2 else "?"


def run_motion(address: str, framerate: int, work: Path, warm_up: float, seconds: float) -> Use:
    settings = work / "motion.conf"
    settings.write_text(
        MOTION_SETTINGS.format(address=address, width=SIZE[0], height=SIZE[1], framerate=framerate, work=work)
    )
    with running(["motion", "-n", "-c", settings], work / "motion.log") as program:
        (use,) = use_of([program], warm_up, seconds)
        log = program.log.read_text(errors="replace")
        if "connected" not in log or re.search("lost|[Uu]nable to", log):
            program.fail("did not get the camera's pictures")
        program.stop()
    return use


def run_ffmpeg(address: str, options: list[str], work: Path, warm_up: float, seconds: float) -> Use:
    """Fails if fewer frames came out than ought to."""
    words = [word.format(address=address, work=work) for word in options]
    progress = work / "progress"
    common = ["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "warning", "-nostats"]
    with running([*common, "-progress", progress, "-stats_period", "1", *words], work / "ffmpeg.log") as program:
        (use,) = use_of([program], warm_up, seconds)
        frames = re.findall(r"^frame=\s*(\d+)", progress.read_text(), re.MULTILINE)
        rate = 5 if "-r" in words else FPS / GOP if "-skip_frame" in words else FPS
        if not frames or int(frames[-1]) < 0.8 * rate * seconds:
            program.fail(f"did not get the camera's pictures, or not in time: {frames[-1:]} frames")
        program.stop()
    return use


@dataclass
class Seen:
    """What keepwatch says of its cameras at its end, and for how long it was measured."""

    cameras: list[dict]
    seconds: float

    def problems(self) -> list[str]:
        """Why this was not watching as it should be."""
        found = []
        for name, is_bad in (
            ("not live", lambda one: one["state"] != "live"),
            ("dropped frames", lambda one: one["dropped"] > 0),
            ("reconnected", lambda one: one["reconnects"] > 0),
            (f"below {LEAST_FPS:.0f} fps", lambda one: one["fps_in"] < LEAST_FPS),
            ("not there from the beginning", lambda one: one["frames"] < ENOUGH_FPS * self.seconds),
        ):
            bad = [one for one in self.cameras if is_bad(one)]
            if bad:
                found.append(f"{len(bad)} {name}")
        if len(self.cameras) >= 8 and self.fps() < ENOUGH_FPS:
            found.append(f"{self.fps():.1f} fps on average")
        return found

    def fps(self) -> float:
        """In the last second, on average."""
        return statistics.mean(one["fps_in"] for one in self.cameras)


def watch_words(address: str, way: Watching, cameras: int, work: Path) -> list[str | Path]:
    key, settings = work / "key", work / "keepwatch.toml"
    key.write_bytes(secrets.token_bytes(32))
    key.chmod(0o600)
    text = "schema_version = 1\n"
    for number in range(cameras):
        url = address + str(number % STREAMS or "") if cameras > 1 else address
        text += f'\n[cameras.c{number}]\nurl = "{url}"\ndecode = "{way.decode}"\nrecord = "{way.record}"\n'
        text += way.more or 'pre_roll = "10s"\n'
    settings.write_text(text)
    # A key file, for the memory that a passphrase takes to be tried is not that of watching.
    return [KEEPWATCH, "watch", "--config", settings, "--store", work / "store", "--key-file", key, "--json"]


def run_keepwatch(
    address: str, way: Watching, cameras: int, work: Path, warm_up: float, seconds: float, beside: list[Program]
) -> tuple[list[Use], Seen]:
    """What keepwatch uses, and what the programs beside it use meanwhile."""
    output = work / "watched.json"
    with running(watch_words(address, way, cameras, work), work / "keepwatch.log", output) as program:
        uses = use_of([program, *beside], warm_up, seconds)
        program.stop()
        if program.process.returncode not in (0, 3):
            program.fail(f"gave {program.process.returncode}")
        lines = output.read_text().splitlines()
        if not lines or "cameras" not in json.loads(lines[-1]):
            program.fail("does not say how its cameras did")
    return uses, Seen(json.loads(lines[-1])["cameras"], seconds)


def in_folder(work: Path, step: Callable[[Path], object]) -> object:
    """Runs a step in a directory of its own, which is removed after it."""
    place = Path(tempfile.mkdtemp(dir=work))
    try:
        return step(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def one_camera(address: str, work: Path, warm_up: float, seconds: float) -> tuple[dict[str, Use], dict[str, Seen]]:
    uses: dict[str, Use] = {}
    seen: dict[str, Seen] = {}
    for rate in MOTION_FRAMERATES:
        name = motion_name(rate)
        uses[name] = in_folder(work, lambda place: run_motion(address, rate, place, warm_up, seconds))
    for name, options in FFMPEG.items():
        uses[name] = in_folder(work, lambda place: run_ffmpeg(address, options, place, warm_up, seconds))
    for way in KEEPWATCH_WAYS:
        name = way.name()
        (uses[name],), seen[name] = in_folder(
            work, lambda place: run_keepwatch(address, way, 1, place, warm_up, seconds, [])
        )
        if problems := seen[name].problems():
            sys.exit(f"{name}: {', '.join(problems)}; a busy machine measures nothing")
    return uses, seen


# --- Many cameras --------------------------------------------------------------------------------


@dataclass
class Step:
    cameras: int
    keepwatch: Use
    server: Use
    fps: float
    slowest_fps: float
    problems: list[str] = field(default_factory=list)


def many_cameras(
    program: Program, address: str, most: int, work: Path, warm_up: float, seconds: float
) -> list[Step]:
    """More and more of them, until they are too many."""
    steps = []
    for count in (count for count in COUNTS if count <= most and (count >= 8 or most < 8)):
        (use, server), seen = in_folder(
            work, lambda place: run_keepwatch(address, ADAPTIVE, count, place, warm_up, seconds, [program])
        )
        slowest = min(one["fps_in"] for one in seen.cameras)
        step = Step(count, use, server, seen.fps(), slowest, seen.problems())
        steps.append(step)
        if step.problems:
            break
    return steps


def slope(points: list[tuple[float, float]]) -> float:
    """Of the straight line that is nearest to the points."""
    return statistics.linear_regression(*zip(*points)).slope


# --- From light to event -------------------------------------------------------------------------


@dataclass
class Latency:
    name: str
    times: list[float]
    missed: int

    def ms(self, share: float) -> float:
        ordered = sorted(self.times)
        return 1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)]


LATENCIES = {
    "default settings (fps_target 10, min_duration 75 ms)": 'pre_roll = "10s"\n',
    "fps_target 25, min_duration 0": 'pre_roll = "10s"\nfps_target = 25\nmotion.min_duration = "0s"\n',
}


# See motion/gate.rs and `due_after` in analysis.rs.
LATENCY_NOTE = (
    "A frame is analysed each 1/fps_target on average, and motion counts when it was seen in two of them that are "
    "min_duration apart."
)


def listen(name: str, pipe, heard: queue.Queue) -> None:
    for line in iter(pipe.readline, b""):
        heard.put((name, time.time(), line))


def run_latency(name: str, more: str, events: int, work: Path, warm_up: float) -> Latency:
    """Something appears, and keepwatch says so: the time between, of so many events."""
    times: list[float] = []
    ids: set[str] = set()
    appeared: float | None = None
    missed = 0
    heard: queue.Queue = queue.Queue()
    with camera(work, "--noise", "--tell", "--frames", str(LATENCY_LOOP)) as (source, address):
        words = watch_words(address, Watching("all", "events", more), 1, work)
        with running(words, work / "keepwatch.log", subprocess.PIPE) as program:
            ready = time.time() + warm_up
            for one, who in ((source, "camera"), (program, "keepwatch")):
                threading.Thread(target=listen, args=(who, one.process.stdout, heard), daemon=True).start()
            while len(times) + missed < events:
                try:
                    who, at, line = heard.get(timeout=LATENCY_LOOP / FPS * 3)
                except queue.Empty:
                    program.fail("and the camera say nothing any more")
                if who == "camera":
                    missed += appeared is not None
                    shown = float(line.split()[1])
                    appeared = shown if shown > ready else None
                    continue
                event = json.loads(line)
                if event.get("kind") != "motion" or event["id"] in ids:
                    continue
                ids.add(event["id"])
                if appeared is not None and at - appeared < LATENCY_LIMIT:
                    times.append(at - appeared)
                    appeared = None
            program.stop()
    if missed > events // 10:
        sys.exit(f"{name}: {missed} of {events} events did not come in time; a busy machine measures nothing")
    return Latency(name, times, missed)


# --- Rates ---------------------------------------------------------------------------------------


def numbers(words: list[str | Path]) -> str:
    """What a program prints that ends by itself."""
    say(" ".join(str(word) for word in words))
    ran = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
    if ran.returncode != 0:
        sys.exit(f"{words} gave {ran.returncode}:\n{ran.stderr[-2000:]}")
    return ran.stdout


def analysis_times() -> dict[str, tuple[float, float]]:
    """Milliseconds, median and p95, of analysing a frame; the video is left out where it is missing."""
    has_video = Path(os.environ.get("KEEPWATCH_TESTDATA", ""), "video/car-detection.mp4").is_file()
    if not has_video:
        say("no test data at KEEPWATCH_TESTDATA: frames that are made up only")
    times, film = {}, ""
    for line in numbers([EXAMPLES / "motion_rate", "car-detection" if has_video else "none"]).splitlines():
        if found := re.match(r"  (.+): median ([\d.]+) ms, p95 ([\d.]+) ms", line):
            times[f"{found.group(1)}, {film}"] = (float(found.group(2)), float(found.group(3)))
        else:
            film = line.split(":")[0]
    return times


def store_rates(work: Path) -> dict[str, float]:
    rates = {}
    for line in numbers([EXAMPLES / "event_store_rate", work]).splitlines():
        if found := re.match(r"(.+):\s+(\d+) (\S+)", line):
            rates[f"{found.group(1)}, {found.group(3).replace('/s', ' per second').strip()}"] = float(found.group(2))
    return rates


# --- Report --------------------------------------------------------------------------------------


def uses_table(uses: dict[str, Use], motion: Use) -> str:
    rows = [
        [name, percent(use.cpu), f"{use.cpu / motion.cpu:.2f}", f"{use.peak_mb:.0f}", f"{use.pss_mb:.0f}"]
        for name, use in uses.items()
    ]
    return table(["", "CPU, % of a core", "of motion's", "peak memory, MB", "proportional, MB"], rows)


def steps_table(steps: list[Step]) -> str:
    rows = [
        [
            str(step.cameras), percent(step.keepwatch.cpu), percent(step.server.cpu), f"{step.keepwatch.peak_mb:.0f}",
            f"{step.keepwatch.pss_mb:.0f}", f"{step.fps:.1f}", f"{step.slowest_fps:.1f}",
            "; ".join(step.problems) or "none",
        ]
        for step in steps
    ]
    header = [
        "cameras", "keepwatch, % of a core", "the cameras' server, % of a core", "peak memory, MB", "proportional, MB",
        "fps, last second", "slowest camera", "problems",
    ]
    return table(header, rows)


def latency_table(latencies: list[Latency]) -> str:
    rows = [
        [one.name, str(len(one.times)), *(f"{one.ms(share):.0f}" for share in (0, 0.5, 0.95, 1)), str(one.missed)]
        for one in latencies
    ]
    return table(["", "events", "least, ms", "median, ms", "p95, ms", "most, ms", "missed"], rows)


def one_camera_aims(uses: dict[str, Use], motion: Use) -> list[Aim]:
    def of(way: Watching) -> float:
        return uses[way.name()].cpu

    return [
        Aim("idle, decode=adaptive: at most a sixth of motion's CPU time", of(ADAPTIVE) / motion.cpu, 1 / 6),
        Aim("decode=all: at most 0.8 of motion's", of(ALL) / motion.cpu, 0.8),
        Aim(
            "recording alone: at most 1.5 × ffmpeg -c copy",
            of(RECORDING) / uses[FFMPEG_COPY].cpu, 1.5,
        ),
    ]


def rate_aims(times: dict[str, tuple[float, float]], rates: dict[str, float]) -> list[Aim]:
    def rate(beginning: str) -> float:
        return next(value for name, value in rates.items() if name.startswith(beginning))

    def slowest(beginning: str) -> float:
        return max(median for name, (median, _) in times.items() if name.startswith(beginning))

    return [
        Aim("analysis of 640x360 below 0.6 ms", slowest("analysis"), 0.6, " ms"),
        Aim("with scaling from 1080p below 1.5 ms", slowest("both"), 1.5, " ms"),
        Aim("20 000 events a second in batches", rate("batches"), 20_000, at_least=True),
        Aim(
            "2 000 single durable events a second, or as many as the disk can sync",
            rate("single"), min(2000, rate("fdatasync")), at_least=True,
        ),
    ]


# --- The run -------------------------------------------------------------------------------------


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(tempfile.gettempdir())
    parser.add_argument("--dir", type=Path, default=default, help="where recordings go (%(default)s)")
    parser.add_argument("--seconds", type=float, default=40, help="how long each program is measured (%(default)s)")
    parser.add_argument("--warm-up", type=float, default=10, help="how long it runs before that (%(default)s)")
    parser.add_argument("--cameras", type=int, default=128, help="stop at so many (%(default)s)")
    parser.add_argument("--events", type=int, help="for the latency; three for four seconds measured if not given")
    parser.add_argument("--quiet-picture", action="store_true", help="a camera without noise, which no sensor is")
    parser.add_argument("--what", nargs="+", choices=PARTS, default=PARTS, help="these parts only")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    return parser.parse_args()


PARTS = ["one", "many", "latency", "rates"]


def check_programs(parts: list[str]) -> None:
    needed = [KEEPWATCH, EXAMPLES / "rtsp_camera"]
    needed += ["motion", "ffmpeg"] if "one" in parts else []
    needed += [EXAMPLES / "motion_rate", EXAMPLES / "event_store_rate"] if "rates" in parts else []
    missing = [str(program) for program in needed if not shutil.which(program)]
    if missing:
        sys.exit(f"missing: {', '.join(missing)}; scripts/bench-cameras builds and installs them")


def cameras_part(arguments: argparse.Namespace, work: Path, figures: dict) -> list[Aim]:
    """What needs the camera in which nothing moves."""
    options = ["--still", "--streams", str(STREAMS), *([] if arguments.quiet_picture else ["--noise"])]
    aims: list[Aim] = []
    with camera(work, *options) as (program, address):
        if "one" in arguments.what:
            uses, seen = one_camera(address, work, arguments.warm_up, arguments.seconds)
            motion = uses[motion_name(MOTION_FRAMERATES[0])]
            rate = seen[ALL.name()].cameras[0]
            mbit = 8 * rate["bytes"] / rate["frames"] * FPS / MB
            print(f"One camera, {SIZE[0]}x{SIZE[1]}, {FPS} fps, {mbit:.1f} Mbit/s, a key frame in {GOP}:\n")
            print(uses_table(uses, motion), end="\n\n")
            print(MOTION_NOTE, end="\n\n", flush=True)
            aims += one_camera_aims(uses, motion)
            figures["one"] = {name: asdict(use) for name, use in uses.items()}
        if "many" in arguments.what:
            steps = many_cameras(program, address, arguments.cameras, work, arguments.warm_up, arguments.seconds)
            good = [step for step in steps if not step.problems]
            print(f"Many cameras in one process, decode=adaptive, {CORES} cores for them and for their server:\n")
            print(steps_table(steps), end="\n\n")
            carried = str(good[-1].cameras) if good else "none"
            print(f"Carried: {carried}" + (" or more.\n" if good == steps else ".\n"), flush=True)
            if len(good) > 1:
                each = slope([(step.cameras, step.keepwatch.pss_mb) for step in good])
                aims.append(Aim("memory for each idle camera below 60 MB", each, 60, " MB"))
            figures["many"] = [asdict(step) for step in steps]
    return aims


def latency_part(arguments: argparse.Namespace, work: Path, figures: dict) -> list[Aim]:
    events = arguments.events or max(3, round(arguments.seconds * 3 / 4))
    latencies = [
        in_folder(work, lambda place: run_latency(name, more, events, place, arguments.warm_up))
        for name, more in LATENCIES.items()
    ]
    print("From the first changed frame, as it is sent, until its event is stored and told, decode=all:\n")
    print(latency_table(latencies), end="\n\n")
    print(LATENCY_NOTE, end="\n\n", flush=True)
    figures["latency"] = [asdict(one) for one in latencies]
    limit = 250 + 1000 / FPS
    return [Aim(f"event after {limit:.0f} ms in 95 %, {one.name}", one.ms(0.95), limit, " ms") for one in latencies]


def rates_part(work: Path, figures: dict) -> list[Aim]:
    times, rates = analysis_times(), store_rates(work)
    rows = [[name, f"{median:.3f}", f"{p95:.3f}"] for name, (median, p95) in times.items()]
    print(table(["motion, one thread", "median, ms", "p95, ms"], rows), end="\n\n")
    print(table(["event store", ""], [[name, f"{rate:.0f}"] for name, rate in rates.items()]), end="\n\n", flush=True)
    figures["rates"] = {"analysis": times, "store": rates}
    return rate_aims(times, rates)


def main() -> None:
    arguments = parse_arguments()
    check_programs(arguments.what)
    prepare()
    arguments.dir.mkdir(parents=True, exist_ok=True)
    print(f"Machine: {machine()}; {CORES} cores are used.")
    if "one" in arguments.what:
        print(f"Versions: keepwatch {keepwatch_version()}, motion {motion_version()}, ffmpeg {ffmpeg_version()}.\n")
    figures: dict = {}
    aims: list[Aim] = []
    with tempfile.TemporaryDirectory(dir=arguments.dir, prefix="keepwatch-cameras-") as folder:
        work = Path(folder).resolve()
        if {"one", "many"} & set(arguments.what):
            aims += cameras_part(arguments, work, figures)
        if "latency" in arguments.what:
            aims += latency_part(arguments, work, figures)
        if "rates" in arguments.what:
            aims += rates_part(work, figures)
    print(table(["aim", "reached"], [aim.row() for aim in aims]))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
