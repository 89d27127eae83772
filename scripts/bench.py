#!/usr/bin/env python3
"""Measures keepwatch, restic, borg and rustic on the same data, and keepwatch, age and rage on one file.

The data are made once and kept: half of them copies of system files, half incompressible media
with one large file that is there twice. The tools run one after the other, each with its
defaults and with the data in the page cache. The result is Markdown: CPU is user and system
time, memory the largest resident set, both of the tool and whatever it starts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

MB = 1_000_000
SYSTEM_ROOTS = (Path("/usr/share"), Path("/usr/lib"))
SYSTEM_BYTES = 1500 * MB
LARGE_FILE_BYTES = 700 * MB
MEDIA_FILE_BYTES = 100 * MB
PASSPHRASE = "only for measuring"


# --- Data ----------------------------------------------------------------------------------------


def copy_system_files(target: Path, budget: int) -> None:
    """Copies system trees, in order of names, until the budget is spent."""
    for number, root in enumerate(SYSTEM_ROOTS):
        spent, share = 0, budget // (len(SYSTEM_ROOTS) - number)
        for folder, folders, names in os.walk(root):
            folders.sort()
            place = target / Path(folder).relative_to("/")
            place.mkdir(parents=True, exist_ok=True)
            for name in sorted(names):
                source = Path(folder, name)
                if source.is_symlink():
                    (place / name).symlink_to(os.readlink(source))
                elif source.is_file() and spent + source.stat().st_size <= share:
                    shutil.copy2(source, place / name)
                    spent += source.stat().st_size
            if spent >= share * 99 // 100:
                break
        budget -= spent


def write_noise(path: Path, size: int, seed: int) -> None:
    noise = random.Random(seed)
    with path.open("wb") as file:
        for at in range(0, size, MB):
            file.write(noise.randbytes(min(MB, size - at)))


def make_data(folder: Path, scale: float) -> Path:
    data, done = folder / f"data-{scale}", folder / f"data-{scale}.done"
    if not done.exists():
        shutil.rmtree(data, ignore_errors=True)
        media = data / "media"
        media.mkdir(parents=True)
        say(f"making the data in {data}")
        copy_system_files(data / "system", int(SYSTEM_BYTES * scale))
        write_noise(media / "large", int(LARGE_FILE_BYTES * scale), 1)
        shutil.copy2(media / "large", media / "large again")
        write_noise(media / "clip", int(MEDIA_FILE_BYTES * scale), 2)
        done.touch()
    return data


def size_of(folder: Path) -> tuple[int, int]:
    """Number and bytes of the files below a directory."""
    sizes = [
        os.lstat(os.path.join(place, name)).st_size
        for place, _, names in os.walk(folder)
        for name in names
        if not os.path.islink(os.path.join(place, name))
    ]
    return len(sizes), sum(sizes)


def read_once(folder: Path) -> None:
    """Brings files into the page cache, so that the first tool has no harder time than the last."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    while file.read(4 << 20):
                        pass


# --- Measuring -----------------------------------------------------------------------------------


@dataclass
class Cost:
    wall: float
    cpu: float
    peak_mb: float


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def measure(command: list[str | Path], environment: dict[str, str], cwd: Path, output: Path | None = None) -> Cost:
    """Runs a command; a failure ends everything, for a figure from half a run is none."""
    words = [str(word) for word in command]
    say(" ".join(words))
    with tempfile.TemporaryFile() as log, open(output or os.devnull, "wb") as out:
        start = time.monotonic()
        process = subprocess.Popen(
            words, env=os.environ | environment, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=log
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            log.seek(0)
            sys.exit(f"{words} gave {process.returncode}:\n{log.read().decode(errors='replace')}")
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / MB)


# --- Backup programs -----------------------------------------------------------------------------


@dataclass
class Tool:
    """How one backup program is called. `{repo}`, `{data}` and `{out}` are filled in."""

    name: str
    program: str
    version: list[str]
    init: list[str]
    backup: list[str]
    check: list[str]
    restore: list[str]
    environment: dict[str, str]
    again: list[str] = field(default_factory=list)

    def version_text(self) -> str:
        shown = subprocess.run([self.program, *self.version], capture_output=True, text=True).stdout
        found = re.search(r"\d+\.\d+[\w.+-]*", shown)
        return found.group() if found else "?"


KEEPWATCH = os.environ.get("KEEPWATCH_BIN", "keepwatch")

TOOLS = [
    Tool(
        "keepwatch", KEEPWATCH, ["--version"],
        init=["init", "--repo", "{repo}"],
        backup=["backup", "--repo", "{repo}", "{data}"],
        check=["check", "--repo", "{repo}", "--read-data"],
        restore=["restore", "--repo", "{repo}", "latest", "--target", "{out}"],
        environment={"KEEPWATCH_PASSWORD": PASSPHRASE, "XDG_CACHE_HOME": "{cache}"},
    ),
    Tool(
        "restic", "restic", ["version"],
        init=["init", "-r", "{repo}"],
        backup=["backup", "-r", "{repo}", "{data}"],
        check=["check", "-r", "{repo}", "--read-data"],
        restore=["restore", "-r", "{repo}", "latest", "--target", "{out}"],
        environment={"RESTIC_PASSWORD": PASSPHRASE, "RESTIC_CACHE_DIR": "{cache}"},
    ),
    Tool(
        "borg", "borg", ["--version"],
        init=["init", "--encryption", "repokey-blake2", "{repo}"],
        backup=["create", "{repo}::first", "{data}"],
        again=["create", "{repo}::second", "{data}"],
        check=["check", "--verify-data", "{repo}"],
        restore=["extract", "{repo}::first"],
        environment={"BORG_PASSPHRASE": PASSPHRASE, "BORG_BASE_DIR": "{cache}"},
    ),
    Tool(
        "rustic", "rustic", ["--version"],
        init=["init"],
        backup=["backup", "{data}"],
        check=["check", "--read-data"],
        restore=["restore", "latest", "{out}"],
        environment={
            "RUSTIC_REPOSITORY": "{repo}", "RUSTIC_PASSWORD": PASSPHRASE, "RUSTIC_CACHE_DIR": "{cache}",
            "RUSTIC_NO_PROGRESS": "true",
        },
    ),
]


@dataclass
class Result:
    first: Cost
    unchanged: Cost
    check: Cost
    restore: Cost
    repository_mb: float

    def peak_mb(self) -> float:
        return max(cost.peak_mb for cost in (self.first, self.unchanged, self.check, self.restore))


def run_tool(tool: Tool, data: Path, work: Path) -> Result:
    places = {name: str(work / name) for name in ("repo", "cache", "out")} | {"data": str(data)}
    for name in ("cache", "out"):
        Path(places[name]).mkdir()
    environment = {name: value.format(**places) for name, value in tool.environment.items()}

    def step(words: list[str]) -> Cost:
        command = [tool.program, *(word.format(**places) for word in words)]
        return measure(command, environment, Path(places["out"]))

    step(tool.init)
    first = step(tool.backup)
    _, repository = size_of(Path(places["repo"]))
    unchanged = step(tool.again or tool.backup)
    check = step(tool.check)
    restore = step(tool.restore)
    restored = Path(places["out"], *data.parts[1:])
    if not restored.exists():  # rustic restores beneath the target without the leading path
        restored = Path(places["out"])
    different = subprocess.run(["diff", "-rq", "--no-dereference", data, restored], capture_output=True, text=True)
    if different.returncode != 0:
        sys.exit(f"{tool.name} restored something else:\n{different.stdout[:2000]}")
    return Result(first, unchanged, check, restore, repository / MB)


# --- Sealed files --------------------------------------------------------------------------------


@dataclass
class Sealer:
    name: str
    program: str
    seal: list[str]
    open: list[str]


SEALERS = [
    Sealer(
        "keepwatch", KEEPWATCH,
        ["encrypt", "--recipient", "{recipient}", "--output", "{sealed}", "{plain}"],
        ["decrypt", "--identity", "{identity}", "--output", "{opened}", "{sealed}"],
    ),
    Sealer(
        "age", "age",
        ["--encrypt", "--recipient", "{recipient}", "--output", "{sealed}", "{plain}"],
        ["--decrypt", "--identity", "{identity}", "--output", "{opened}", "{sealed}"],
    ),
    Sealer(
        "rage", "rage",
        ["--encrypt", "--recipient", "{recipient}", "--output", "{sealed}", "{plain}"],
        ["--decrypt", "--identity", "{identity}", "--output", "{opened}", "{sealed}"],
    ),
]


def make_identity(path: Path) -> str:
    """An age key pair; all three programs understand it."""
    maker = ["age-keygen", "--output", path] if shutil.which("age-keygen") else [KEEPWATCH, "keygen", "--output", path]
    shown = subprocess.run([str(word) for word in maker], check=True, capture_output=True, text=True)
    found = re.search(r"age1[0-9a-z]{58}", shown.stdout + shown.stderr + path.read_text())
    if not found:
        sys.exit("no recipient in what the key generator printed")
    return found.group()


def median_cost(costs: list[Cost]) -> Cost:
    return Cost(*(statistics.median(getattr(cost, name) for cost in costs) for name in ("wall", "cpu", "peak_mb")))


def run_sealer(sealer: Sealer, plain: Path, identity: Path, recipient: str, work: Path, runs: int) -> tuple[Cost, Cost]:
    places = {name: str(work / name) for name in ("sealed", "opened")}
    places |= {"plain": str(plain), "identity": str(identity), "recipient": recipient}

    def repeated(words: list[str], output: str) -> Cost:
        costs = []
        for _ in range(runs):
            Path(places[output]).unlink(missing_ok=True)
            command = [sealer.program, *(word.format(**places) for word in words)]
            costs.append(measure(command, {}, work))
        return median_cost(costs)

    sealing = repeated(sealer.seal, "sealed")
    opening = repeated(sealer.open, "opened")
    if subprocess.run(["cmp", "-s", plain, places["opened"]]).returncode != 0:
        sys.exit(f"{sealer.name} gave back something else")
    return sealing, opening


# --- Report --------------------------------------------------------------------------------------


def machine() -> str:
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", cpuinfo)
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    flags = [flag for flag in ("aes", "vaes", "avx2", "avx512f", "sha_ni") if re.search(rf"\b{flag}\b", cpuinfo)]
    return (
        f"{model.group(1) if model else platform.machine()}, {os.cpu_count()} cores ({' '.join(flags)}), "
        f"{int(memory.group(1)) / 1e6:.0f} GB of memory, Linux {platform.release()}"
    )


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (header, ["---"] + ["--:"] * (len(header) - 1), *rows)]
    return "\n".join(lines)


def backup_table(results: dict[str, Result]) -> str:
    rows = []
    for name, phase in (("first backup", "first"), ("nothing changed", "unchanged"),
                        ("check of all data", "check"), ("restore", "restore")):
        for label, attribute in (("CPU s", "cpu"), ("wall s", "wall")):
            values = [f"{getattr(getattr(result, phase), attribute):.1f}" for result in results.values()]
            rows.append([f"{name}, {label}", *values])
    rows.append(["repository, MB", *(f"{result.repository_mb:.0f}" for result in results.values())])
    rows.append(["peak memory, MB", *(f"{result.peak_mb():.0f}" for result in results.values())])
    return table(["", *results], rows)


def sealed_table(results: dict[str, tuple[Cost, Cost]], size: int) -> str:
    rows = []
    for index, name in enumerate(("seal", "open")):
        costs = [result[index] for result in results.values()]
        rows.append([f"{name}, wall s", *(f"{cost.wall:.2f}" for cost in costs)])
        rows.append([f"{name}, MB/s", *(f"{size / MB / cost.wall:.0f}" for cost in costs)])
        rows.append([f"{name}, CPU s", *(f"{cost.cpu:.2f}" for cost in costs)])
        rows.append([f"{name}, peak MB", *(f"{cost.peak_mb:.0f}" for cost in costs)])
    return table(["", *results], rows)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(tempfile.gettempdir(), "keepwatch-bench")
    parser.add_argument("--dir", type=Path, default=default, help="where data and repositories go (%(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is about 3 GB")
    parser.add_argument("--only", nargs="+", default=[], metavar="TOOL", help="run these tools only")
    parser.add_argument("--what", choices=["all", "backup", "sealed"], default="all")
    parser.add_argument("--runs", type=int, default=3, help="of each sealed-file measurement; the median counts")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    return parser.parse_args()


def wanted(candidates: list, only: list[str]) -> list:
    """Those that are installed, and asked for."""
    return [one for one in candidates if shutil.which(one.program) and (not only or one.name in only)]


def main() -> None:
    arguments = parse_arguments()
    arguments.dir.mkdir(parents=True, exist_ok=True)
    data = make_data(arguments.dir.resolve(), arguments.scale)
    files, size = size_of(data)
    tools = wanted(TOOLS, arguments.only)
    print(f"Machine: {machine()}.")
    print(f"Data: {files} files, {size / MB:.0f} MB.")
    print("Versions: " + ", ".join(f"{tool.name} {tool.version_text()}" for tool in tools) + ".\n")
    figures: dict = {}
    with tempfile.TemporaryDirectory(dir=arguments.dir, prefix="run-") as work:
        if arguments.what != "sealed" and tools:
            read_once(data)
            results = {}
            for tool in tools:
                place = Path(work, tool.name)
                place.mkdir()
                results[tool.name] = run_tool(tool, data, place)
                shutil.rmtree(place)
            print(backup_table(results), end="\n\n", flush=True)
            figures["backup"] = {name: asdict(result) for name, result in results.items()}
        if arguments.what != "backup":
            plain, identity = data / "media" / "large", Path(work, "identity")
            recipient = make_identity(identity)
            sealed = {
                sealer.name: run_sealer(sealer, plain, identity, recipient, Path(work), arguments.runs)
                for sealer in wanted(SEALERS, arguments.only)
            }
            print(sealed_table(sealed, plain.stat().st_size))
            figures["sealed"] = {name: [asdict(cost) for cost in costs] for name, costs in sealed.items()}
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
