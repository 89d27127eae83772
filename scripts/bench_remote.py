#!/usr/bin/env python3
"""Measures first backups into repositories on other machines: keepwatch, restic and rustic, to the
same server of S3 (s3s-fs) on loopback, to it over a line with latency, and to the same sshd.

Each tool makes a new repository in turn, all with their defaults, again and again in another order;
the figure is the median. What keepwatch has stored is looked at with its check afterwards. restic's
cannot be: of what it has written, s3s-fs lists it only a part.
"""

from __future__ import annotations

import argparse
import getpass
import os
import shlex
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import KEEPWATCH, PASSPHRASE, Cost, machine, make_data, measure, read_once, say, size_of, table
from bench_programs import running

BUCKET, ACCESS, SECRET = "bench", "bench", "only for measuring"
TARGET = Path(os.environ["CARGO_TARGET_DIR"])
Place = tuple[str, list[str], dict[str, str]]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def program(words: list[str | Path], port: int, log: Path) -> Iterator[None]:
    """A server that listens, until it is not needed any more."""
    with running(words, log) as server:
        deadline = time.monotonic() + 30
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            server.still_runs()
            if time.monotonic() > deadline:
                server.fail("does not start")
            time.sleep(0.05)
        yield


@contextmanager
def s3(work: Path) -> Iterator[int]:
    data, port = work / "s3", free_port()
    (data / BUCKET).mkdir(parents=True)
    command = ["s3s-fs", "--host", "127.0.0.1", "--port", str(port), "--access-key", ACCESS, "--secret-key", SECRET]
    with program([*command, str(data)], port, work / "s3.log"):
        yield port


@contextmanager
def late(work: Path, port: int, milliseconds: int) -> Iterator[int]:
    """The same server, so many milliseconds away for there and back."""
    words = [TARGET / "release/examples/slow_line", str(port), str(milliseconds // 2)]
    with running(words, work / "line.log", subprocess.PIPE) as line:
        yield int(line.process.stdout.readline())


@contextmanager
def sshd(work: Path) -> Iterator[int]:
    port = free_port()
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", work / name], check=True)
    shutil.copy(work / "key.pub", work / "authorized")
    (work / "known").write_text(f"[127.0.0.1]:{port} " + (work / "host.pub").read_text())
    (work / "sshd.conf").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {work}/host\nAuthorizedKeysFile {work}/authorized\n"
        f"PidFile {work}/sshd.pid\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    with program(["/usr/sbin/sshd", "-D", "-e", "-f", work / "sshd.conf"], port, work / "sshd.log"):
        yield port


# --- What each tool calls these places ------------------------------------------------------------


def keepwatch_s3(port: int, prefix: str) -> Place:
    address = f"s3://{BUCKET}/{prefix}?endpoint=http%3A%2F%2F127.0.0.1%3A{port}%2F"
    return address, [], {}


def keepwatch_sftp(port: int, work: Path, path: Path) -> Place:
    known = ["--known-hosts", str(work / "known"), "--remote-key-file", str(work / "key")]
    return f"sftp://{getpass.getuser()}@127.0.0.1:{port}{path}", known, {}


def restic_s3(port: int, prefix: str) -> Place:
    return f"s3:http://127.0.0.1:{port}/{BUCKET}/{prefix}", [], {}


def restic_sftp(port: int, work: Path, path: Path) -> Place:
    ssh = f"ssh -p {port} -i {work}/key -o UserKnownHostsFile={work}/known {getpass.getuser()}@127.0.0.1 -s sftp"
    return f"sftp:{getpass.getuser()}@127.0.0.1:{path}", ["-o", f"sftp.command={ssh}"], {}


def rustic_s3(port: int, prefix: str) -> Place:
    options = {"bucket": BUCKET, "root": f"/{prefix}", "endpoint": f"http://127.0.0.1:{port}", "region": "us-east-1",
               "access_key_id": ACCESS, "secret_access_key": SECRET}
    return "opendal:s3", [], {f"RUSTIC_REPO_OPT_{name.upper()}": value for name, value in options.items()}


def first_backup(tool: str, place: Place, data: Path, work: Path) -> Cost:
    address, options, variables = place
    with tempfile.TemporaryDirectory(dir=work) as cache:
        environment = {
            "AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1",
            "KEEPWATCH_PASSWORD": PASSPHRASE, "XDG_CACHE_HOME": cache,
            "RESTIC_PASSWORD": PASSPHRASE, "RESTIC_CACHE_DIR": cache,
            "RUSTIC_PASSWORD": PASSPHRASE, "RUSTIC_CACHE_DIR": cache, "RUSTIC_NO_PROGRESS": "true",
        } | variables
        calls = {
            "keepwatch": [KEEPWATCH, "--repo", address, *options],
            "restic": ["restic", "-r", address, *options],
            "rustic": ["rustic", "-r", address, *options],
        }
        call = calls[tool]
        measure([*call, "init"], environment, work)
        cost = measure([*call, "backup", data], environment, work)
        if tool == "keepwatch":
            measure([*call, "check"], environment, work)
        return cost


# --- Databases -----------------------------------------------------------------------------------


@contextmanager
def mariadb(work: Path, megabytes: int) -> Iterator[list[str]]:
    """A server with a table of so many megabytes of text; what a client says to reach it."""
    data, socket_path, port = work / "mariadb", work / "mariadb.sock", free_port()
    root = ["--user=root"] if os.geteuid() == 0 else []
    make = ["mariadb-install-db", "--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"]
    subprocess.run([*make, f"--datadir={data}", *root], check=True, capture_output=True)
    words = [shutil.which("mariadbd") or "/usr/sbin/mariadbd", "--no-defaults", f"--datadir={data}", *root,
             f"--socket={socket_path}", f"--port={port}", "--bind-address=127.0.0.1", "--innodb-buffer-pool-size=1G",
             f"--pid-file={work}/mariadb.pid"]
    with program(words, port, work / "mariadb.log"):
        reach = ["--no-defaults", f"--socket={socket_path}", "--user=root"]
        rows = megabytes * 1000
        sql = (
            "CREATE DATABASE bench; CREATE TABLE bench.t (id INT PRIMARY KEY, a CHAR(32), b VARCHAR(1000)); "
            f"INSERT INTO bench.t SELECT seq, MD5(seq), CONCAT(REPEAT(SHA1(seq), 12), REPEAT(MD5(seq DIV 10), 15)) "
            f"FROM bench_seq.seq_1_to_{rows}"
        ).replace("bench_seq.", "")
        subprocess.run(["mariadb", *reach, "--execute", sql, "mysql"], check=True)
        yield reach


def dump_table(work: Path, megabytes: int, runs: int) -> str:
    """A dump that nobody keeps, also through a pipe, and one that goes into a new repository."""
    nowhere, piped, kept = [], [], []
    with mariadb(work, megabytes) as reach:
        dump = ["mariadb-dump", *reach, "--single-transaction", "--quick", "--databases", "bench"]
        measure(dump, {}, work)
        for run in range(runs):
            with tempfile.TemporaryDirectory(dir=work) as folder:
                environment = {"KEEPWATCH_PASSWORD": PASSPHRASE, "XDG_CACHE_HOME": f"{folder}/cache"}
                repository = [KEEPWATCH, "--repo", f"{folder}/repo"]
                measure([*repository, "init"], environment, work)
                calls = [
                    lambda: nowhere.append(measure(dump, {}, work).wall),
                    lambda: piped.append(measure(["sh", "-c", f"{shlex.join(dump)} | cat"], {}, work).wall),
                    lambda: kept.append(
                        measure([*repository, "backup", "--command", "bench.sql", "--", *dump], environment, work).wall
                    ),
                ]
                for call in calls if run % 2 == 0 else reversed(calls):
                    call()
    first, pipe, second = (statistics.median(times) for times in (nowhere, piped, kept))
    return table(
        ["", "time", ""],
        [["`mariadb-dump` to /dev/null", f"{first:.2f} s", ""],
         ["through a pipe, to `cat`", f"{pipe:.2f} s", f"{pipe / first:.2f} x"],
         ["into a new repository", f"{second:.2f} s", f"{second / first:.2f} x"]],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=0.2, help="of 3 GB of data (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="of each (default: %(default)s)")
    parser.add_argument("--latency", type=int, default=50, metavar="MS", help="there and back (default: %(default)s)")
    parser.add_argument("--database", type=int, default=500, metavar="MB", help="of a dump (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir(), "keepwatch-bench"))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    data = make_data(arguments.folder, arguments.scale)
    read_once(data)
    tools = ["keepwatch", "restic"] + (["rustic"] if shutil.which("rustic") else [])
    rows: dict[tuple[str, str], list[Cost]] = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name, ExitStack() as stack:
        work = Path(name)
        near = stack.enter_context(s3(work))
        far = stack.enter_context(late(work, near, arguments.latency))
        ssh = stack.enter_context(sshd(work))
        for run in range(arguments.runs):
            order = tools if run % 2 == 0 else list(reversed(tools))
            for where, port in (("S3", near), (f"S3, {arguments.latency} ms away", far), ("SFTP", ssh)):
                for tool in order:
                    prefix = f"{tool}-{run}-{port}"
                    path = work / "sftp" / prefix
                    path.mkdir(parents=True)
                    match tool, where:
                        case "keepwatch", "SFTP":
                            place = keepwatch_sftp(port, work, path / "repo")
                        case "restic", "SFTP":
                            place = restic_sftp(port, work, path)
                        case "rustic", "SFTP":
                            continue
                        case "keepwatch", _:
                            place = keepwatch_s3(port, prefix)
                        case "restic", _:
                            place = restic_s3(port, prefix)
                        case _:
                            place = rustic_s3(port, prefix)
                    rows.setdefault((where, tool), []).append(first_backup(tool, place, data, work))
                    shutil.rmtree(path)
                    shutil.rmtree(work / "s3" / BUCKET / prefix, ignore_errors=True)
        files, size = size_of(data)
        dumped = dump_table(work, arguments.database, arguments.runs)
    print(f"{machine()}; {files} files, {size / 1e6:.0f} MB; median of {arguments.runs} runs\n")
    header = ["to", *tools]
    seconds = {key: statistics.median(cost.wall for cost in costs) for key, costs in rows.items()}
    lines = []
    for where in dict.fromkeys(where for where, _ in rows):
        cells = [f"{seconds[where, tool]:.1f} s" if (where, tool) in seconds else "-" for tool in tools]
        lines.append([where, *cells])
    print(table(header, lines))
    print(f"\nA dump of some {arguments.database} MB of MariaDB:\n\n{dumped}")
    say("restic and keepwatch: " + ", ".join(
        f"{where}: {seconds[where, 'restic'] / seconds[where, 'keepwatch']:.2f} x" for where in dict.fromkeys(w for w, _ in rows)
    ))


if __name__ == "__main__":
    main()
