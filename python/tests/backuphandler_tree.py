"""What the tests of keepwatch.compat.backuphandler share."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

LOG = logging.getLogger("tests.backuphandler")
PASSPHRASE = "correct horse battery staple"

TREE = {
    "readme.txt": b"read me",
    "empty.dat": b"",
    "docs/notes.md": b"notes of docs",
    "docs/deep/notes.md": b"other notes",
    "docs/a [b] *?.txt": b"a name that is a pattern",
    "media/big.bin": bytes(range(256)) * 3000,
}


def write_tree(root: Path, tree: dict[str, bytes] | None = None) -> Path:
    """Writes files, all of some time ago."""
    for name, content in (TREE if tree is None else tree).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return root


def read_tree(root: Path) -> dict[str, bytes | str]:
    """Files with their content and links with their targets; manifests are left out."""
    tree: dict[str, bytes | str] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            tree[name] = f"-> {os.readlink(path)}"
        elif path.is_file() and not name.startswith("backup_manifest_"):
            tree[name] = path.read_bytes()
    return tree


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_manifest(directory: Path, timestamp: str, mode: str = "full", **lists: Any) -> Path:
    """A manifest as BackupHandler writes it; ``copied`` maps paths to contents."""
    copied = lists.get("copied", {})
    entries = [
        {"path": path, "size": len(content), "checksum": sha256(content)}
        for path, content in copied.items()
    ]
    path = directory / f"backup_manifest_{timestamp}.json"
    path.write_text(
        json.dumps(
            {
                "timestamp": timestamp,
                "mode": mode,
                "duration_seconds": 0.1,
                "files_copied": len(entries),
                "files_skipped": len(lists.get("skipped", [])),
                "files_failed": 0,
                "total_bytes": sum(entry["size"] for entry in entries),
                "copied": entries,
                "skipped": [{"path": path} for path in lists.get("skipped", [])],
                "failed": [],
            },
            indent=2,
        )
    )
    return path


def wait_for_tick(directory: Path) -> None:
    """Waits until the clock of the file system has gone on."""
    probe = directory / "probe"
    probe.touch()
    began = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == began:
        probe.touch()
    probe.unlink()


def key_file(directory: Path, name: str = "backup.key") -> Path:
    path = directory / name
    path.write_bytes(os.urandom(32))
    return path
