"""What several of these modules share: types, the log, progress bars, patterns."""

from __future__ import annotations

import fnmatch
import importlib
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol, TypeAlias

StrPath: TypeAlias = str | os.PathLike[str]

#: Bytes that encryption adds to a file.
SEALED_OVERHEAD = 16 + 12 + 16
#: Of encrypted files.
SUFFIX = ".enc"
#: Threads that read files, where nobody says how many.
WORKERS = min(4, os.cpu_count() or 1)


class Logger(Protocol):
    """As much of :class:`logging.Logger` as is used."""

    def debug(self, msg: str, /) -> object: ...
    def info(self, msg: str, /) -> object: ...
    def warning(self, msg: str, /) -> object: ...
    def error(self, msg: str, /) -> object: ...


class Bot(Protocol):
    """As much of BackupHandler's ``TelegramBot`` as is used."""

    def send_notification(self, message: str, /) -> object: ...


def log_to(logger: Logger | None) -> Logger:
    """The logger, or the one of this package."""
    return logging.getLogger("keepwatch.compat.backuphandler") if logger is None else logger


class Bar:
    """A progress bar, where tqdm is installed, as BackupHandler needs it to be."""

    def __init__(self, description: str | None, total: int) -> None:
        self._bar: Any = None
        if description is None:
            return
        try:
            tqdm = importlib.import_module("tqdm")
        except ImportError:
            return
        self._bar = tqdm.tqdm(total=total, desc=description, unit="files")

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self) -> None:
        """One more file is done."""
        if self._bar is not None:
            self._bar.update(1)


def is_excluded(relative: str, patterns: Iterable[str] | None) -> bool:
    """Whether a pattern matches a file's name or its path below the source."""
    name = relative.rpartition("/")[2]
    return any(
        fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(relative, pattern)
        for pattern in map(str.strip, patterns or ())
        if pattern
    )


def is_manifest(relative: str) -> bool:
    """Whether that is the place of a manifest in a backup. One deeper is a file like any other."""
    return "/" not in relative and relative.startswith("backup_manifest_") and relative.endswith(".json")


def is_leftover(relative: str) -> bool:
    """Whether it is what a run that was killed has left of a file that it was writing."""
    name = relative.rpartition("/")[2].removesuffix(SUFFIX)
    return name.startswith(".keepwatch-") and name.endswith(".tmp") and len(name) == 31


def text_of(error: BaseException) -> str:
    """An exception as a reason in manifests, logs and reports."""
    return str(error) or type(error).__name__


def printable(text: str) -> str:
    """Text for a terminal: names of files need not be text."""
    return text.encode(errors="backslashreplace").decode()


def absolute(path: StrPath) -> Path:
    """The path from the root, without looking at what is there."""
    return Path(os.path.abspath(path))
