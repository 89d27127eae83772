"""How the package behaves among others: locks, signals, callbacks, threads, memory."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import PASSPHRASE, contents

import keepwatch


def test_progress_is_told_on_the_calling_thread(repository: keepwatch.Repository, tree: Path):
    told: list[keepwatch.Progress] = []
    threads = set()

    def progress(now: keepwatch.Progress) -> None:
        told.append(now)
        threads.add(threading.get_ident())

    repository.backup(tree, progress=progress)
    assert told[0].bytes == 0
    assert told[-1].bytes == told[-1].total_bytes > 5_000_000
    assert told[-1].files == 5
    assert threads == {threading.get_ident()}
    told.clear()
    keepwatch.encrypt_file(tree / "large.bin", passphrase=PASSPHRASE, progress=progress)
    assert told[-1].bytes == 5_000_000


class Stop(Exception):
    pass


def test_what_a_callback_raises_stops_the_work(repository: keepwatch.Repository, tmp_path: Path):
    source = tmp_path / "source"
    source.mkdir()
    for number in range(8):
        (source / str(number)).write_bytes(os.urandom(8_000_000))
    raised = Stop("enough")

    def progress(now: keepwatch.Progress) -> None:
        if now.bytes > 1_000_000:
            raise raised

    with pytest.raises(Stop) as stopped:
        repository.backup(source, progress=progress)
    assert stopped.value is raised
    # Nothing is half there, and the repository goes on.
    report = repository.backup(source)
    assert report.files.new == 8
    assert repository.check(read_data=True)

    def at_once(now: keepwatch.Progress) -> None:
        raise raised

    for call in (
        lambda: repository.backup(source, progress=at_once),
        lambda: repository.restore("latest", tmp_path / "out", progress=at_once),
        lambda: repository.check(progress=at_once),
        lambda: keepwatch.encrypt_file(source / "0", passphrase="x", progress=at_once),
    ):
        with pytest.raises(Stop):
            call()
    assert not (tmp_path / "out").exists()
    assert not (source / "0.kw").exists()
    with pytest.raises(Stop):
        repository.restore("latest", tmp_path / "out", path=source, progress=progress)
    # It is taken up again.
    repository.restore("latest", tmp_path / "out", overwrite="if-changed", path=source)
    assert contents(tmp_path / "out") == contents(source)
    assert repository.snapshot().id == report.snapshot


def test_other_threads_run_meanwhile(tmp_path: Path):
    """A thread that waits for the work's own output could not run if the lock were held."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = os.urandom(1_000_000)
    # Opening and reading the pipe blocks until this thread, which needs the lock, has written.
    writer = threading.Thread(target=lambda: pipe.write_bytes(data))
    with ThreadPoolExecutor(1) as pool:
        sealing = pool.submit(
            keepwatch.encrypt_file, pipe, tmp_path / "sealed", passphrase=PASSPHRASE
        )
        writer.start()
        assert sealing.result().bytes == len(data)
    writer.join()


INTERRUPTED = """
    import itertools, os, signal, sys, threading
    import keepwatch
    repository = keepwatch.Repository.open({repository!r}, passphrase={passphrase!r}, use_cache=False)
    def send():
        os.kill(os.getpid(), signal.SIGINT)
    def begun(now):
        if now.bytes:
            send()
    class Endless:
        def read(self, size):
            return bytes(size)
    try:
        {call}
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> keepwatch.Repository:
    """A repository with a file of 256 MB that takes little room."""
    place = tmp_path_factory.mktemp("large") / "repository"
    repository = keepwatch.Repository.init(place, passphrase=PASSPHRASE, use_cache=False)

    class Zeros:
        left = 256_000_000

        def read(self, size: int) -> bytes:
            size = min(size, self.left)
            self.left -= size
            return bytes(size)

    repository.backup_stream("large", Zeros())
    return repository


@pytest.mark.parametrize(
    "call",
    [
        # These end in no other way.
        "repository.backup_stream('endless', Endless(), progress=begun)",
        "keepwatch.encrypt_file({pipe!r}, {out!r}, passphrase='x', progress=begun)",
        # These would leave a file.
        "repository.restore('latest', {out!r}, progress=begun)",
        "threading.Timer(0.01, send).start(); "
        "open({out!r}, 'wb').write(repository.open_file('latest', '/large').read())",
        # This would say what it found.
        "print(repository.check(read_data=True, progress=lambda now: send()))",
    ],
)
def test_ctrl_c_ends_it(large: keepwatch.Repository, tmp_path: Path, call: str):
    before = large.snapshot().id
    pipe, out = tmp_path / "pipe", tmp_path / "out"
    os.mkfifo(pipe)
    call = call.format(pipe=str(pipe), out=str(out))
    script = textwrap.dedent(INTERRUPTED).format(
        repository=str(large.path), passphrase=PASSPHRASE, call=call
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        if "pipe" in call:
            with pytest.raises(BrokenPipeError), pipe.open("wb") as writer:
                while True:
                    writer.write(bytes(1_000_000))
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert output == b"interrupted\n"
    assert large.snapshot().id == before
    assert large.check()
    assert not (out / "large").exists()
    assert not out.is_file() or out.stat().st_size == 0
    assert {path.name for path in tmp_path.iterdir()} <= {"pipe", "out"}


def test_threads_share_a_repository(repository: keepwatch.Repository, tmp_path: Path):
    for number in range(4):
        (tmp_path / f"source{number}").mkdir()
        (tmp_path / f"source{number}" / "file").write_bytes(os.urandom(500_000))

    def work(number: int) -> None:
        source = tmp_path / f"source{number}"
        report = repository.backup(source, tags=str(number))
        repository.restore(report.snapshot, tmp_path / f"out{number}", path=source)
        assert contents(tmp_path / f"out{number}") == contents(source)
        assert len(list(repository.ls(report.snapshot, source))) == 2

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(repository.snapshots()) == 4
    assert repository.check(read_data=True)


def test_threads_share_a_reader_and_a_writer(tmp_path: Path):
    path = tmp_path / "file.kw"
    with keepwatch.SealedWriter(path, key_file=bytes(32)) as writer, ThreadPoolExecutor(8) as pool:
        list(pool.map(writer.write, [bytes([number]) * 1000 for number in range(100)]))
    with keepwatch.SealedReader(path, key_file=bytes(32)) as reader, ThreadPoolExecutor(8) as pool:
        pieces = list(pool.map(lambda _: reader.read(1000), range(100)))
    assert all(len(set(piece)) == 1 for piece in pieces)
    assert {piece[0] for piece in pieces} == set(range(100))


def test_asyncio(repository: keepwatch.Repository, tree: Path):
    async def main() -> keepwatch.BackupReport:
        backup = asyncio.create_task(asyncio.to_thread(repository.backup, tree))
        turns = 0
        while not backup.done():
            turns += 1
            await asyncio.sleep(0)
        assert turns > 10
        return await backup

    assert asyncio.run(main()).files.new == 5


def test_secrets_are_not_shown(repository: keepwatch.Repository, tmp_path: Path):
    writer = keepwatch.SealedWriter(tmp_path / "x", passphrase=PASSPHRASE)
    with pytest.raises(keepwatch.KeepwatchError) as wrong:
        keepwatch.Repository.open(repository.path, passphrase="a wrong one", use_cache=False)
    shown = [repr(repository), repr(writer), repr(wrong.value), repr(repository.keys())]
    for text in shown:
        assert PASSPHRASE not in text
        assert "a wrong one" not in text


def test_results_cannot_be_changed(repository: keepwatch.Repository, tree: Path):
    report = repository.backup(tree)
    with pytest.raises(AttributeError):
        report.snapshot = "another"
    with pytest.raises(AttributeError):
        repository.something = 1
    with pytest.raises(TypeError):
        keepwatch.Snapshot()


def memory() -> int:
    """Bytes of this process that are in memory."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def test_ten_thousand_calls_leak_nothing(repository: keepwatch.Repository, tree: Path):
    repository.backup(tree / "docs")
    key = bytes(32)
    sealed = keepwatch.seal(bytes(100_000), key_file=key)
    name = str(tree / "docs" / "notes.md")

    def calls(count: int) -> None:
        for number in range(count):
            keepwatch.unseal(sealed, key_file=key)
            with repository.open_file("latest", name) as file:
                file.readline()
            if number % 10 == 0:
                repository.snapshots()
                next(repository.ls("latest"))
                with pytest.raises(keepwatch.SnapshotNotFoundError):
                    repository.snapshot("0000")

    calls(1_000)
    gc.collect()
    before = memory()
    calls(10_000)
    gc.collect()
    # Less than one of the buffers for every thousand calls.
    assert memory() - before < 1_000_000


def test_no_descriptor_stays_open(repository: keepwatch.Repository, tree: Path):
    repository.backup(tree)
    list(repository.ls("latest"))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        repository.open_file("latest", tree / "large.bin").read(10)
        repository.check()
        keepwatch.Repository.open(repository.path, passphrase=PASSPHRASE, use_cache=False).close()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_signals_of_others_are_left_alone():
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
