"""What the tests share: trees, repositories, the command line, data that is not part of the project."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import keepwatch

PASSPHRASE = "correct horse battery staple"

#: What is about builds without cameras is run with one, and nothing else is.
collect_ignore = [] if os.environ.get("KEEPWATCH_PORTABLE") == "1" else ["test_portable.py"]

# A shell that starts the tests in the background has them, and what they start, ignore Ctrl-C: those
# that are about it would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)


def fill(root: Path) -> Path:
    """A small tree of what file systems have."""
    (root / "docs" / "deep").mkdir(parents=True)
    (root / "docs" / "notes.md").write_text("notes\n" * 100)
    (root / "docs" / "deep" / "leaf.txt").write_text("leaf")
    (root / "empty").touch()
    (root / "large.bin").write_bytes(os.urandom(5_000_000))
    (root / "link").symlink_to("docs/notes.md")
    (root / os.fsdecode(b"not-utf8-\xff")).write_text("named by bytes")
    return root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return fill(tmp_path / "source")


@pytest.fixture
def repository(tmp_path: Path) -> keepwatch.Repository:
    return keepwatch.Repository.init(
        tmp_path / "repository", passphrase=PASSPHRASE, cache_dir=tmp_path / "cache"
    )


@pytest.fixture(scope="session")
def testdata() -> Path:
    """Published and genuine files. They are not part of the project; where they are missing, that
    is said, and the tests that need them are left out."""
    path = Path(os.environ.get("KEEPWATCH_TESTDATA", "../shared/testdata"))
    if not path.is_dir():
        pytest.skip(f"no test data at {path}; KEEPWATCH_TESTDATA says where it is")
    return path


@pytest.fixture(scope="session")
def models(testdata: Path) -> dict[str, Any]:
    folder = testdata / "models"
    return {
        "detector": folder / "yunet_n_dynamic.onnx",
        "embedder": folder / "mobilefacenet_112.onnx",
    }


@pytest.fixture(scope="session")
def faces(testdata: Path) -> Path:
    return testdata / "faces" / "dev"


@pytest.fixture(scope="session")
def plates(testdata: Path) -> Path:
    return testdata / "plates" / "dev"


@pytest.fixture
def event_store(tmp_path: Path) -> Iterator[keepwatch.EventStore]:
    with keepwatch.EventStore.create(tmp_path / "events", passphrase=PASSPHRASE) as store:
        yield store


@pytest.fixture
def gallery(event_store: keepwatch.EventStore, models: dict[str, Any]) -> keepwatch.FaceGallery:
    return keepwatch.FaceGallery(event_store, **models)


@pytest.fixture(scope="session")
def binary() -> Path:
    """The command line, which reads and writes the same files."""
    path = Path(os.environ["KEEPWATCH_BIN"])
    assert path.is_file(), f"{path} is missing; `cargo build --package keepwatch` builds it"
    return path


@pytest.fixture(scope="session")
def run_cli(binary: Path):
    """Runs a command with the passphrase of the tests; gives what it prints."""

    def run(*arguments: str | Path) -> str:
        environment = {**os.environ, "KEEPWATCH_PASSWORD": PASSPHRASE}
        done = subprocess.run(
            [binary, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def contents(root: Path) -> dict[str, bytes | str]:
    """The files and links of a tree."""
    found: dict[str, bytes | str] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file():
            found[name] = path.read_bytes()
    return found
