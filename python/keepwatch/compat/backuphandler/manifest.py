"""Backup manifests: what a run copied, skipped and failed to copy.

A manifest is ``backup_manifest_YYYYMMDD_HHMMSS.json`` (local time) in the backup directory, with the
keys that BackupHandler gives it. It is plain text, because BackupHandler reads it so: whoever may read
the directory learns paths, sizes and SHA-256 of the files in it, encrypted or not. That is why it is
written for its owner only.
"""

from __future__ import annotations

import json
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from keepwatch._keepwatch import _bh_write_file
from keepwatch.compat.backuphandler._common import StrPath
from keepwatch.compat.backuphandler._mirror import Mirror
from keepwatch.errors import FileTakenError

__all__ = ["BackupManifest", "load_latest_manifest", "load_manifests_up_to"]

#: Manifests of one second that may wait for a free name.
_MOST_IN_A_ROW = 600


class BackupManifest:
    """Records what happens to every file of a run, and writes it down at the end."""

    def __init__(self, mode: str = "full") -> None:
        self._start_time = time.time()
        self._mode = mode
        self._copied: list[dict[str, Any]] = []
        self._skipped: list[dict[str, Any]] = []
        self._failed: list[dict[str, Any]] = []
        self._total_bytes = 0
        # Several servers may be sent to at once.
        self._lock = threading.Lock()

    def record_copy(self, file_path: StrPath, size_bytes: int, checksum: str | None = None) -> None:
        """A file was copied; the checksum is the SHA-256 of its content, in hexadecimal."""
        entry: dict[str, Any] = {"path": str(file_path), "size": size_bytes}
        if checksum:
            entry["checksum"] = checksum
        with self._lock:
            self._copied.append(entry)
            self._total_bytes += size_bytes

    def record_skip(self, file_path: StrPath) -> None:
        """A file has not changed and was not copied."""
        self._skipped.append({"path": str(file_path)})

    def record_failure(self, file_path: StrPath, reason: str) -> None:
        """A file could not be copied."""
        self._failed.append({"path": str(file_path), "reason": reason})

    def save(self, output_dir: StrPath) -> Path:
        """Writes the manifest into a directory, which is made if it is not there.

        It never replaces another: of two in one second the later gets the next free second.
        """
        directory = Path(output_dir)
        directory.mkdir(parents=True, exist_ok=True)
        now = datetime.now()
        for second in range(_MOST_IN_A_ROW):
            timestamp = (now + timedelta(seconds=second)).strftime("%Y%m%d_%H%M%S")
            path = directory / f"backup_manifest_{timestamp}.json"
            content = {
                "timestamp": timestamp,
                **self.summary(),
                "copied": self._copied,
                "skipped": self._skipped,
                "failed": self._failed,
            }
            try:
                _bh_write_file(path, json.dumps(content, indent=2).encode())
            except FileTakenError:
                continue
            return path
        raise FileTakenError(f"{directory} has a manifest for each of the next {_MOST_IN_A_ROW} seconds")

    def summary(self) -> dict[str, Any]:
        """The counts, without the files."""
        return {
            "mode": self._mode,
            "duration_seconds": round(time.time() - self._start_time, 2),
            "files_copied": len(self._copied),
            "files_skipped": len(self._skipped),
            "files_failed": len(self._failed),
            "total_bytes": self._total_bytes,
        }


def load_latest_manifest(directory: StrPath) -> dict[str, Any] | None:
    """The newest manifest in a directory, or None."""
    paths = _manifests_in(Path(directory))
    return _load(paths[-1]) if paths else None


def load_manifests_up_to(directory: StrPath, timestamp: str) -> list[dict[str, Any]]:
    """The manifests up to a time (``YYYYMMDD_HHMMSS``) and of it, oldest first.

    Each has its path in ``_manifest_path``.
    """
    manifests = []
    for path in _manifests_in(Path(directory)):
        if path.stem.removeprefix("backup_manifest_") <= timestamp:
            manifest = _load(path)
            manifest["_manifest_path"] = str(path)
            manifests.append(manifest)
    return manifests


def read_manifests(directory: Path) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """All manifests of a directory, oldest first, and those that cannot be read, with the reason."""
    manifests, errors = [], {}
    for path in _manifests_in(directory):
        try:
            manifest = _load(path)
            if not isinstance(manifest, dict):
                raise ValueError("it holds no object")
        except (OSError, ValueError) as error:
            errors[str(path)] = str(error)
        else:
            manifest["_manifest_path"] = str(path)
            manifests.append(manifest)
    return manifests, errors


def recorded_checksums(directory: Path) -> dict[str, list[str]]:
    """Of the files of a backup, by their paths in the source, the checksums last recorded.

    Manifests that cannot be read are as if they were not there.
    """
    manifests, _ = read_manifests(directory)
    mirror = Mirror(directory, manifests)
    return {entry.relative: entry.checksums for entry in mirror.entries}


def _manifests_in(directory: Path) -> list[Path]:
    return sorted(directory.glob("backup_manifest_*.json"))


def _load(path: Path) -> dict[str, Any]:
    with open(path, encoding="utf-8") as file:
        manifest: dict[str, Any] = json.load(file)
    return manifest
