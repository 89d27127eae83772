"""Repositories on other machines: a real server of S3."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PASSPHRASE, contents

import keepwatch

ACCESS, SECRET = "tests", "hunter2-of-tests"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of an empty bucket."""
    program = shutil.which("s3s-fs") or str(Path.home() / ".cargo/bin/s3s-fs")
    (tmp_path / "s3/bucket").mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    keys = ["--access-key", ACCESS, "--secret-key", SECRET]
    words = [program, "--host", "127.0.0.1", "--port", str(port), *keys, str(tmp_path / "s3")]
    with open(tmp_path / "s3.log", "wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "s3.log").read_text()
            time.sleep(0.02)
        yield f"s3://bucket/home?endpoint=http%3A%2F%2F127.0.0.1%3A{port}%2F"
    finally:
        process.kill()
        process.wait()


def test_a_bucket_is_a_repository_like_any_other(server: str, tree: Path, tmp_path: Path):
    remote = keepwatch.Remote(user=ACCESS, password=SECRET, patience=20)
    with keepwatch.Repository.init(server, passphrase=PASSPHRASE, cache_dir=tmp_path / "cache", remote=remote) as made:
        assert made.backup(tree).files.new == 5
    opened = keepwatch.Repository.open(server, passphrase=PASSPHRASE, use_cache=False, remote=remote)
    entries = opened.ls("latest")
    # What iterates outlives the repository that it is of.
    opened.close()
    assert any(entry.path.endswith("notes.md") for entry in entries)
    with keepwatch.Repository.open(server, passphrase=PASSPHRASE, use_cache=False, remote=remote) as again:
        assert again.restore("latest", tmp_path / "out", path=tree).errors == ()
        assert contents(tmp_path / "out") == contents(tree)
        assert again.check(read_data=True)


def test_who_is_not_let_in_is_told_without_the_secret(server: str):
    wrong = keepwatch.Remote(user=ACCESS, password="hunter2-wrong", patience=1)
    with pytest.raises(keepwatch.KeepwatchError) as caught:
        keepwatch.Repository.open(server, passphrase=PASSPHRASE, use_cache=False, remote=wrong)
    assert "hunter2" not in str(caught.value) and "hunter2" not in repr(wrong)


def test_what_cannot_be_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="0 lets nothing"):
        keepwatch.Remote(upload_limit=0)
    with pytest.raises(ValueError, match="1 to 64"):
        keepwatch.Remote(connections=65)
    with pytest.raises(TypeError) as caught:
        keepwatch.Remote(password=b"hunter2")  # type: ignore[arg-type]
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ValueError, match="directory of this machine"):
        keepwatch.Repository.open(tmp_path, passphrase=PASSPHRASE, remote=keepwatch.Remote())
    with pytest.raises(ValueError, match="password"):
        keepwatch.Repository.open("sftp://me:hidden@host/x", passphrase=PASSPHRASE)
