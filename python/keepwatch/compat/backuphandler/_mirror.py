"""A backup directory and its manifests, put together.

A manifest names files by their paths in the source, and the backup has them at the same paths beneath
another directory. Nothing says how much of a path is the source's own, so that is found out for whole
sources at once: looking for each file by its name would take one file for another.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keepwatch._keepwatch import _bh_scan
from keepwatch.compat.backuphandler._common import SUFFIX, absolute, is_leftover, is_manifest

#: A database dump, which lies at the top of every backup directory.
_DUMP = re.compile(r".+_backup_\d{8}_\d{6}\.sql")

@dataclass
class Entry:
    """A file that a manifest says is in the backup."""

    #: As the manifest has it.
    path: str
    #: Beneath the backup directory, without ``.enc``.
    relative: str
    #: Size and checksum, of the newest run that copied it; several where it changed meanwhile, and
    #: none where that run's manifest is gone.
    versions: list[tuple[int, str | None]]
    #: Whether it was in the source at the last run, and so has to be here.
    required: bool
    #: What holds it, beneath the backup directory, if it is here.
    file: str | None = None

    @property
    def is_sealed(self) -> bool:
        """Whether it is here in encrypted form."""
        return self.file is not None and self.file != self.relative

    def fits(self, size: int, checksum: str) -> bool:
        """Whether a content is the one that was copied, as far as that is known."""
        return not self.versions or any(
            size == expected and recorded in (None, checksum) for expected, recorded in self.versions
        )

    @property
    def checksums(self) -> list[str]:
        """The checksums that its content may have; none for links, and where none was recorded."""
        return [checksum for _, checksum in self.versions if checksum]


class Mirror:
    """What is in a backup directory, and what its manifests say should be."""

    def __init__(self, directory: Path, manifests: Sequence[dict[str, Any]]) -> None:
        self.directory = directory
        found, self.unreadable = _bh_scan(directory, [])
        self.files = {f[0]: f for f in found if f[1] == "file" and not is_manifest(f[0])}
        self.files = {name: f for name, f in self.files.items() if not is_leftover(name)}
        self.links = {f[0] for f in found if f[1] == "link"}
        self.directories = [f[0] for f in found if f[1] == "dir"]
        self.entries = self._entries(manifests)

    def _entries(self, manifests: Sequence[dict[str, Any]]) -> list[Entry]:
        versions: dict[str, list[tuple[int, str | None]]] = {}
        last: dict[str, int] = {}
        for number, manifest in enumerate(manifests):
            copied: dict[str, list[tuple[int, str | None]]] = {}
            for record in records_of(manifest, "copied"):
                size, checksum = record.get("size"), record.get("checksum")
                version = (
                    size if isinstance(size, int) else 0,
                    checksum if isinstance(checksum, str) else None,
                )
                copied.setdefault(record["path"], []).append(version)
            versions.update(copied)
            for record in records_of(manifest, "skipped"):
                # It is here, though the manifest that knows its content is not.
                versions.setdefault(record["path"], [])
            for key in ("copied", "skipped", "failed"):
                last.update((record["path"], number) for record in records_of(manifest, key))
        sources = self._sources(last)
        # A run need not be about all sources: databases have runs of their own.
        newest: dict[str, int] = {}
        for path, number in last.items():
            source = sources[path]
            newest[source] = max(newest.get(source, 0), number)
        entries = []
        for path, known in versions.items():
            source = sources[path]
            relative = self._relative(path, source)
            required = last[path] == newest[source]
            entries.append(Entry(path, relative, known, required, self._file(relative)))
        return entries

    def _relative(self, path: str, source: str) -> str:
        name = path.rpartition("/")[2]
        relative = path[len(source) :]
        if _DUMP.fullmatch(name) and not self._file(relative) and self._file(name):
            return name
        return relative

    def _file(self, relative: str) -> str | None:
        """What holds a file of the source: it as it was, or encrypted."""
        candidates = [relative, relative + SUFFIX]
        if relative.endswith(SUFFIX):
            # What has that name itself may be another file, encrypted.
            candidates.reverse()
        for candidate in candidates:
            if candidate in self.files or candidate in self.links:
                return candidate
        return None

    def _sources(self, paths: Iterable[str]) -> dict[str, str]:
        """How much of each path is the directory that was backed up, with its slash.

        That is the beginning under which most of the paths have a file here; the rest of the path is
        not split off where nothing has one.
        """
        own = f"{absolute(self.directory)}/"
        sources = dict.fromkeys(paths, "")
        beginnings: dict[str, list[str]] = {}
        for path in sources:
            if path.startswith(own):
                sources[path] = own
                continue
            beginnings[path] = [
                path[: len(path) - len(relative)]
                for relative in _endings(path)
                if self._file(relative) is not None
            ]
        rest = set(beginnings)
        while rest:
            votes = Counter(beginning for path in rest for beginning in beginnings[path])
            if not votes:
                break
            # Of two that explain as much, the shorter: it keeps more of the path.
            best = max(votes, key=lambda beginning: (votes[beginning], -len(beginning)))
            for path in [path for path in rest if path.startswith(best)]:
                sources[path] = best
                rest.discard(path)
        # Of these nothing is here.
        sources.update((path, path.rpartition("/")[0] + "/") for path in rest if "/" in path)
        return sources


def records_of(manifest: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The records that are usable: somebody may have edited the file."""
    found = manifest.get(key)
    if not isinstance(found, list):
        return []
    return [r for r in found if isinstance(r, dict) and isinstance(r.get("path"), str)]


def _endings(path: str) -> Iterable[str]:
    """What may be the path beneath the source, longest first."""
    ending = path.lstrip("/")
    while True:
        yield ending
        _, slash, ending = ending.partition("/")
        if not slash:
            return
