"""Sending a directory to a server over SFTP."""

from __future__ import annotations

import os
import posixpath
import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from keepwatch.compat.backuphandler._common import StrPath, is_excluded
from keepwatch.compat.backuphandler._copying import Run, digest

_CHUNK = 32 * 1024


class Upload:
    """What is to be sent, and what of it is done: a connection may be lost in between."""

    def __init__(
        self,
        run: Run,
        local_path: StrPath,
        remote_path: str,
        mode: str,
        patterns: Iterable[str] | None,
        bandwidth_limit: int,
    ) -> None:
        self.run = run
        self.mode = mode
        self.bandwidth_limit = bandwidth_limit
        self.local = Path(local_path)
        self.remote = remote_path.rstrip("/") or "/"
        if not self.local.is_dir():
            raise FileNotFoundError(f"the source is not there: {self.local}")
        patterns = list(patterns or ())
        self.pending: list[str] = []
        for root, _, names in os.walk(self.local, onerror=self._unreadable):
            for name in names:
                path = Path(root, name)
                relative = path.relative_to(self.local).as_posix()
                if path.is_file() and not is_excluded(relative, patterns):
                    self.pending.append(relative)
        self.pending.sort(reverse=True)
        #: Parts of files, on the server.
        self.parts: list[str] = []

    def _unreadable(self, error: OSError) -> None:
        self.run.fail(str(error.filename), self.remote, error)

    def send(self, sftp: Any, lost: tuple[type[Exception], ...]) -> None:
        """Sends what is pending. What belongs to ``lost``, and that the connection is closed, comes out;
        the file that it was about stays pending."""
        while self.parts:
            # Of an earlier connection.
            _remove(sftp, self.parts.pop())
        while self.pending:
            relative = self.pending[-1]
            path = self.local / relative
            target = posixpath.join(self.remote, relative)
            try:
                self._send_one(sftp, path, target, lost)
            except lost:
                raise
            except Exception as error:
                if sftp.get_channel().closed:
                    # Which paramiko says as an error of the file.
                    raise ConnectionResetError(f"the connection was lost: {error}") from error
                self.run.fail(str(path), target, error)
            self.pending.pop()

    def _send_one(
        self, sftp: Any, path: Path, target: str, lost: tuple[type[Exception], ...]
    ) -> None:
        before = path.stat()
        if self.mode in ("incremental", "differential") and _is_there(sftp, target, before):
            self.run.skip(str(path))
            return
        make_directories(sftp, posixpath.dirname(target))
        temporary = posixpath.join(
            posixpath.dirname(target), f".keepwatch-{secrets.token_hex(8)}.tmp"
        )
        self.parts.append(temporary)
        try:
            put(sftp, path, temporary, self.bandwidth_limit)
            # The time of what was sent: the next run compares it.
            sftp.utime(temporary, (before.st_atime, before.st_mtime))
            replace(sftp, temporary, target)
        except BaseException as error:
            if not isinstance(error, lost):
                _remove(sftp, temporary)
            raise
        self.parts.pop()
        size, checksum = digest(Path(os.path.realpath(path)))
        after = path.stat()
        if (after.st_mtime_ns, after.st_size) != (before.st_mtime_ns, before.st_size):
            self.run.logger.warning(f"It changed while it was sent: {path}")
        self.run.copy(str(path), target, size, checksum)


def _is_there(sftp: Any, target: str, local: os.stat_result) -> bool:
    """Whether the server has a file of the same size and time. Its clock does not count."""
    try:
        remote = sftp.stat(target)
    except FileNotFoundError:
        return False
    return bool(remote.st_size == local.st_size and int(remote.st_mtime) == int(local.st_mtime))


def put(sftp: Any, local: Path, remote: str, bandwidth_limit_kbps: int) -> None:
    """Sends a file, at most so many KiB a second if that is above 0; its length is confirmed."""
    if bandwidth_limit_kbps <= 0:
        sftp.put(str(local), remote)
        return
    bytes_per_second = bandwidth_limit_kbps * 1024
    sent = 0
    started = time.monotonic()
    with open(local, "rb") as source, sftp.open(remote, "wb") as sink:
        sink.set_pipelined(True)
        while data := source.read(_CHUNK):
            sink.write(data)
            sent += len(data)
            ahead = sent / bytes_per_second - (time.monotonic() - started)
            if ahead > 0:
                time.sleep(ahead)
    size = sftp.stat(remote).st_size
    if size != sent:
        raise OSError(f"the server has {size} bytes of {sent}")


def make_directories(sftp: Any, remote_dir: str) -> None:
    """Makes a directory of a server and those above it, as far as they are missing."""
    missing = []
    current = remote_dir
    while current and current != "/":
        try:
            sftp.stat(current)
            break
        except FileNotFoundError:
            missing.append(current)
            current = posixpath.dirname(current)
    for directory in reversed(missing):
        try:
            sftp.mkdir(directory)
        except OSError as error:
            # Somebody else was faster, which servers say in different ways.
            try:
                sftp.stat(directory)
            except FileNotFoundError:
                raise error from None


def replace(sftp: Any, temporary: str, target: str) -> None:
    """Gives a file its name, in place of an older one."""
    try:
        sftp.posix_rename(temporary, target)
    except OSError:
        # A server without that extension renames to free names only.
        _remove(sftp, target)
        sftp.rename(temporary, target)


def _remove(sftp: Any, path: str) -> None:
    try:
        sftp.remove(path)
    except Exception:
        # It is not there, or the connection is lost again: then what comes next says so.
        return
