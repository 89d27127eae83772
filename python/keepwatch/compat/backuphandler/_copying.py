"""Copying sources into backup directories: what is to be copied, and how it went."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from keepwatch._keepwatch import (
    _bh_digest_files,
    _bh_make_directory,
    _bh_make_link,
    _bh_scan,
    _bh_transfer_files,
)
from keepwatch.compat.backuphandler._common import (
    SEALED_OVERHEAD,
    SUFFIX,
    WORKERS,
    Bar,
    Logger,
    StrPath,
    is_excluded,
    is_leftover,
    is_manifest,
    log_to,
    text_of,
)
from keepwatch.compat.backuphandler.errors import FilesFailedError

Found = tuple[str, str, int, int, int]

#: Clocks of file systems tick: a change so shortly before the copy may be one after it.
_TICK_NS = 2_000_000_000


class Manifest(Protocol):
    """As much of a ``BackupManifest`` as is used: BackupHandler's own does as well."""

    def record_copy(
        self, file_path: StrPath, size_bytes: int, checksum: str | None = None
    ) -> None: ...
    def record_skip(self, file_path: StrPath) -> None: ...
    def record_failure(self, file_path: StrPath, reason: str) -> None: ...


class Run:
    """One backup: it records every file, and knows at the end what failed."""

    def __init__(self, logger: Logger | None, manifest: Manifest | None) -> None:
        self.logger = log_to(logger)
        self.manifest = manifest
        self.errors: dict[str, str] = {}
        self.copied = 0

    def copy(self, path: str, to: str, size: int, checksum: str | None) -> None:
        """A file was copied."""
        self.copied += 1
        self.logger.info(f"Successfully backed up {path} to {to}")
        if self.manifest:
            self.manifest.record_copy(path, size, checksum=checksum)

    def skip(self, path: str) -> None:
        """A file has not changed."""
        self.logger.debug(f"Skipping unmodified file: {path}")
        if self.manifest:
            self.manifest.record_skip(path)

    def fail(self, path: str, to: str, error: BaseException | str) -> None:
        """A file could not be copied."""
        reason = text_of(error) if isinstance(error, BaseException) else error
        self.errors[path] = reason
        self.logger.error(f"Failed to backup {path} to {to}: {reason}")
        if self.manifest:
            self.manifest.record_failure(path, reason)

    def finish(self, what: str) -> None:
        """Raises what failed."""
        if self.errors:
            raise FilesFailedError(what, self.errors, self.copied)


@dataclass
class Source:
    """A directory to back up."""

    path: Path
    #: Files and links, by their paths beneath it.
    entries: dict[str, Found]
    directories: list[str] = field(default_factory=list)

    def named(self, relative: str) -> str:
        """The path as manifests have it."""
        return str(self.path / relative)


def look_at(
    run: Run, path: StrPath, patterns: Iterable[str] | None, backup_dirs: Sequence[StrPath]
) -> Source:
    """The source as it is at the beginning of a run, but for what the patterns leave out."""
    source = Source(Path(path), {})
    patterns = list(patterns or ())
    # A backup in its own source would grow with every run.
    found, unreadable = _bh_scan(source.path, [Path(directory) for directory in backup_dirs])
    for where, error in unreadable:
        run.fail(str(source.path / where), "the backup", error)
    for entry in found:
        name, kind = entry[:2]
        if kind == "dir":
            source.directories.append(name)
        elif is_excluded(name, patterns) or is_leftover(name):
            continue
        elif kind == "other":
            run.logger.warning(f"Not backed up, being no file: {source.named(name)}")
        elif is_manifest(name):
            run.fail(source.named(name), "the backup", "the name is that of a manifest")
        else:
            source.entries[name] = entry
    if patterns:
        # Those that would be empty because of them are left out too.
        kept = {name.rpartition("/")[0] for name in source.entries}
        source.directories = [name for name in source.directories if name in kept]
    return source


def copy_entries(
    run: Run, source: Source, names: Sequence[str], backup_dir: Path, workers: int
) -> None:
    """Copies these files and links, and makes the directories."""
    # A file takes its place at once or not at all, so the mirror never has a part of one.
    backup_dir.mkdir(parents=True, exist_ok=True)
    for directory in source.directories:
        try:
            _bh_make_directory(backup_dir, directory, True)
        except (OSError, ValueError) as error:
            run.fail(source.named(directory), str(backup_dir / directory), error)
    files = [name for name in names if source.entries[name][1] == "file"]
    links = [name for name in names if source.entries[name][1] == "link"]
    title = f"Syncing Files from {source.path} to {backup_dir}"
    with Bar(title, len(files)) as bar:

        def done(index: int, result: tuple[int, str, bool] | Exception) -> None:
            name = files[index]
            bar.advance()
            if isinstance(result, Exception):
                run.fail(source.named(name), str(backup_dir / name), result)
                return
            size, checksum, changed = result
            if changed:
                # Its new time is not the copy's: the next run takes it again.
                run.logger.warning(f"It changed while it was copied: {source.named(name)}")
            run.copy(source.named(name), str(backup_dir / name), size, checksum)

        jobs = [(source.path / name, backup_dir, name, False, None) for name in files]
        _bh_transfer_files(None, jobs, max(1, workers), True, done)
    for name in links:
        link = source.path / name
        try:
            _bh_make_link(os.readlink(link), backup_dir, name, True)
            size = link.stat().st_size if link.is_file() else 0
        except (OSError, ValueError) as error:
            run.fail(source.named(name), str(backup_dir / name), error)
        else:
            run.copy(source.named(name), str(backup_dir / name), size, None)


def changed_entries(source: Source, backup_dir: Path, since: float) -> list[str]:
    """What was changed after a time, or has no equal in the backup, encrypted or not.

    A time alone would miss what changed while the last run was under way, and what came with an old
    time of its own.
    """
    found, _ = _bh_scan(backup_dir, []) if backup_dir.is_dir() else ([], [])
    mirror = {entry[0]: entry for entry in found}
    changed, doubtful = set(), []
    for name, entry in source.entries.items():
        mtime = entry[3]
        if entry[1] == "link":
            if not _is_same_link(source.path / name, backup_dir / name):
                changed.add(name)
        elif mtime > since * 1e9:
            changed.add(name)
        elif _is_copy(entry, mirror.get(name), 0):
            if _may_have_changed(entry, mirror[name]):
                doubtful.append(name)
        elif not _is_copy(entry, mirror.get(name + SUFFIX), SEALED_OVERHEAD):
            changed.add(name)
        elif _may_have_changed(entry, mirror[name + SUFFIX]):
            # Without the key there is nothing to compare it with.
            changed.add(name)
    different = _different(source.path, backup_dir, doubtful)
    changed.update(different)
    for name in doubtful:
        if name not in different:
            _take_mode(source.path / name, backup_dir / name)
    # A copy of a.enc would take the place of what a has been encrypted to.
    own = [name.removesuffix(SUFFIX) for name in changed if name.endswith(SUFFIX)]
    changed.update(name for name in own if name in source.entries)
    return [name for name in source.entries if name in changed]


def _is_copy(entry: Found, copy: Found | None, overhead: int) -> bool:
    if copy is None or copy[1] != "file" or copy[2] != entry[2] + overhead:
        return False
    mtime, copied = entry[3], copy[3]
    # Some file systems keep seconds only, or every second one.
    is_coarse = copied % 1_000_000_000 == 0
    return mtime == copied or (is_coarse and 0 <= mtime - copied < 2_000_000_000)


def _may_have_changed(entry: Found, copy: Found) -> bool:
    """Whether anything happened to the file after the copy was made, whatever its mtime says."""
    return entry[4] + _TICK_NS > copy[4]


def _is_same_link(link: Path, copy: Path) -> bool:
    try:
        return copy.is_symlink() and os.readlink(link) == os.readlink(copy)
    except OSError:
        return False


def _different(source: Path, backup_dir: Path, names: list[str]) -> set[str]:
    """Those of the names whose content is not the same in both; or cannot be read, to be told."""
    originals = _digests([source / name for name in names])
    copies = _digests([backup_dir / name for name in names])
    pairs = zip(names, originals, copies, strict=True)
    return {name for name, original, copy in pairs if original is None or original != copy}


def _take_mode(original: Path, copy: Path) -> None:
    """What changed was not the content. The copy's own time of change tells the next run so."""
    try:
        if copy.stat().st_nlink == 1:
            copy.chmod(stat.S_IMODE(original.stat().st_mode))
    except OSError:
        # Then the next run compares them again.
        return


def _digests(paths: list[Path]) -> list[tuple[int, str, bool] | None]:
    results: list[tuple[int, str, bool] | None] = [None] * len(paths)

    def done(index: int, result: tuple[int, str, bool] | Exception) -> None:
        results[index] = None if isinstance(result, Exception) else result

    _bh_digest_files(None, [(path, False) for path in paths], WORKERS, done)
    return results


def digest(path: Path) -> tuple[int, str]:
    """Length and SHA-256 of a file."""
    results: list[tuple[int, str, bool] | Exception] = []

    def done(_: int, result: tuple[int, str, bool] | Exception) -> None:
        results.append(result)

    _bh_digest_files(None, [(path, False)], 1, done)
    result = results[0]
    if isinstance(result, Exception):
        raise result
    return result[:2]
