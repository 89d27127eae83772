"""Files that appear whole or not at all, for their owner only."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

__all__ = ["publish_new", "write_atomic", "write_new"]

T = TypeVar("T")


def write_atomic(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Writes a file in the place of the one that may be there."""
    temporary = _write_beside(path, data, mode)
    try:
        os.replace(temporary, path)
    except BaseException:
        _remove(temporary)
        raise
    _sync_folder(path)


def write_new(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Writes a file that must not be there yet.

    Raises:
        FileExistsError: It is there.
    """

    def fill(temporary: Path) -> None:
        temporary.write_bytes(data)

    publish_new(path, fill, mode=mode)


def publish_new(path: Path, fill: Callable[[Path], T], *, mode: int = 0o600) -> T:
    """Has an empty file beside ``path`` filled and gives it that name, which must be free.

    Raises:
        FileExistsError: There is a file of that name.
    """
    temporary = _write_beside(path, b"", mode)
    try:
        value = fill(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.link(temporary, path)
    finally:
        _remove(temporary)
    _sync_folder(path)
    return value


def _write_beside(path: Path, data: bytes, mode: int) -> Path:
    temporary = path.with_name(f".tmp-{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        with open(os.open(temporary, flags, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        _remove(temporary)
        raise
    return temporary


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
