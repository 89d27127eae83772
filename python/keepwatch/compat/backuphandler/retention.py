"""Retention of what a backup directory has many of: archives and database dumps.

A backup directory is a mirror of the sources, with archives (``backup_<time>.zip``) and dumps
(``<database>_backup_<time>.sql``) beside it. The mirror is the backup: nothing in it is ever removed
here, however old it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from keepwatch.compat.backuphandler._common import Logger, StrPath, absolute, log_to, text_of
from keepwatch.compat.backuphandler._mirror import records_of
from keepwatch.compat.backuphandler.manifest import read_manifests

__all__ = ["cleanup_old_backups"]

_ONE_OF_MANY = re.compile(
    r"(?P<series>backup_)(?P<archive>\d{8}_\d{6})\.zip(\.enc)?"
    r"|(?P<database>.+_backup_)(?P<dump>\d{8}_\d{6})\.sql(\.enc)?"
)


def cleanup_old_backups(
    logger: Logger | None,
    backup_dirs: Sequence[StrPath],
    max_age_days: int = 0,
    max_count: int = 0,
) -> None:
    """Removes archives and dumps by age and number; 0 means no limit.

    Age is by the time in the name. Archives, and the dumps of each database, are counted apart, and the
    newest of each stays whatever the limits are. Those dated in the future neither count nor go. What
    cannot be removed is logged, and the rest is done.
    """
    log = log_to(logger)
    if max_age_days <= 0 and max_count <= 0:
        return
    for directory in map(Path, backup_dirs):
        try:
            series = _series_in(directory, backup_dirs, log)
        except OSError as error:
            log.error(f"Retention: {directory} cannot be read: {text_of(error)}")
            continue
        removed = 0
        oldest = datetime.now() - timedelta(days=max_age_days)
        for copies in series.values():
            copies.sort(reverse=True)
            for place, (taken, path) in enumerate(copies):
                too_old = max_age_days > 0 and taken < oldest
                too_many = 0 < max_count <= place
                if place > 0 and (too_old or too_many):
                    removed += _remove_entry(log, path)
        if removed:
            log.info(f"Retention cleanup: removed {removed} old backup(s) from {directory}")


def _series_in(
    directory: Path, backup_dirs: Sequence[StrPath], log: Logger
) -> dict[str, list[tuple[datetime, Path]]]:
    series: dict[str, list[tuple[datetime, Path]]] = {}
    if not directory.is_dir():
        return series
    manifests, errors = read_manifests(directory)
    if errors:
        # They may say that a file which looks like an archive is one of the source's.
        log.error(f"Retention: nothing is removed from {directory}: {next(iter(errors))} is unreadable")
        return series
    mirrored = _mirrored(manifests, [directory, *map(Path, backup_dirs)])
    now = datetime.now()
    for path in directory.iterdir():
        match = _ONE_OF_MANY.fullmatch(path.name)
        if not match or path.is_symlink() or not path.is_file():
            continue
        if path.name in mirrored or path.name.removesuffix(".enc") in mirrored:
            continue
        try:
            taken = datetime.strptime(match["archive"] or match["dump"], "%Y%m%d_%H%M%S")
        except ValueError:
            continue
        if taken <= now:
            series.setdefault(match["series"] or match["database"], []).append((taken, path))
    return series


def _mirrored(manifests: Sequence[dict[str, Any]], backup_dirs: Sequence[Path]) -> set[str]:
    """Names that a manifest knows of files of a source, not of dumps in a backup directory."""
    dumped = {absolute(directory) for directory in backup_dirs}
    return {
        Path(record["path"]).name
        for manifest in manifests
        for key in ("copied", "skipped", "failed")
        for record in records_of(manifest, key)
        if absolute(Path(record["path"]).parent) not in dumped
    }


def _remove_entry(logger: Logger, entry: Path) -> bool:
    """Removes a file, and says whether it is gone; an error is logged."""
    try:
        entry.unlink()
    except OSError as error:
        logger.error(f"Failed to remove {entry}: {text_of(error)}")
        return False
    logger.info(f"Removed old backup file: {entry}")
    return True
