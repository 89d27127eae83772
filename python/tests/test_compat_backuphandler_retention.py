from __future__ import annotations

import logging
import os
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from backuphandler_tree import LOG, TREE, read_tree, write_manifest, write_tree
from keepwatch.compat.backuphandler.retention import cleanup_old_backups


def ago(days: float) -> str:
    return (datetime.now() - timedelta(days=days)).strftime("%Y%m%d_%H%M%S")


def archives(directory: Path, days: list[float], suffix: str = "") -> list[Path]:
    directory.mkdir(exist_ok=True)
    paths = [directory / f"backup_{ago(day)}.zip{suffix}" for day in days]
    for path in paths:
        path.write_bytes(b"PK")
    return paths


@pytest.mark.parametrize(("max_age_days", "max_count"), [(1, 0), (0, 1), (1, 1)])
def test_the_live_mirror_is_never_removed(
    tmp_path: Path, max_age_days: int, max_count: int
) -> None:
    # Old times are those of the files, which a copy keeps; nothing here is newer than years.
    backup = write_tree(tmp_path / "backup")
    for name in ["docs", "media"]:
        os.utime(backup / name, (1, 1))
    write_manifest(backup, "20260101_000000", copied={f"s/{n}": c for n, c in TREE.items()})
    cleanup_old_backups(LOG, [str(backup)], max_age_days=max_age_days, max_count=max_count)
    assert read_tree(backup) == TREE
    assert (backup / "backup_manifest_20260101_000000.json").exists()


def test_archives_go_by_number(tmp_path: Path) -> None:
    paths = archives(tmp_path, [1, 2, 3, 4]) + archives(tmp_path, [5, 6], ".enc")
    cleanup_old_backups(LOG, [tmp_path], max_count=3)
    assert [path.exists() for path in paths] == [True, True, True, False, False, False]


def test_archives_go_by_age_in_their_name(tmp_path: Path) -> None:
    paths = archives(tmp_path, [1, 20, 40, 60])
    for path in paths:
        os.utime(path, (time.time(), time.time()))
    cleanup_old_backups(LOG, [tmp_path], max_age_days=30)
    assert [path.exists() for path in paths] == [True, True, False, False]


def test_the_newest_stays_however_old(tmp_path: Path) -> None:
    paths = archives(tmp_path, [100, 200])
    cleanup_old_backups(LOG, [tmp_path], max_age_days=30, max_count=1)
    assert [path.exists() for path in paths] == [True, False]


def test_dumps_of_each_database_are_counted_apart(tmp_path: Path) -> None:
    names = [f"{db}_backup_{ago(day)}.sql" for db in ["shop", "wiki"] for day in [1, 2]]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    (archive,) = archives(tmp_path, [90])
    copied = {str(tmp_path / name): b"" for name in names}
    write_manifest(tmp_path, "20260101_000000", copied=copied)
    cleanup_old_backups(LOG, [tmp_path], max_count=1)
    assert [(tmp_path / name).exists() for name in names] == [True, False, True, False]
    assert archive.exists()


def test_a_file_of_the_source_that_looks_like_an_archive_stays(tmp_path: Path) -> None:
    paths = archives(tmp_path, [1, 2, 3])
    write_manifest(tmp_path, "20260101_000000", copied={f"/home/x/{paths[2].name}": b"PK"})
    cleanup_old_backups(LOG, [tmp_path], max_count=1)
    assert [path.exists() for path in paths] == [True, False, True]


def test_with_an_unreadable_manifest_nothing_goes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = archives(tmp_path, [1, 2, 3])
    (tmp_path / "backup_manifest_20260101_000000.json").write_text("{")
    cleanup_old_backups(LOG, [tmp_path], max_count=1)
    assert all(path.exists() for path in paths)
    assert "unreadable" in caplog.text


def test_the_future_does_not_count(tmp_path: Path) -> None:
    paths = archives(tmp_path, [-400, 1, 2])
    cleanup_old_backups(LOG, [tmp_path], max_count=1)
    assert [path.exists() for path in paths] == [True, True, False]


def test_links_and_directories_are_left_alone(tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    archives(backup, [1, 2])
    outside = write_tree(tmp_path / "outside", {"file": b"content"}) / "file"
    (backup / f"backup_{ago(3)}.zip").symlink_to(outside)
    (backup / f"backup_{ago(4)}.zip").symlink_to("nowhere")
    (backup / f"backup_{ago(5)}.zip").mkdir()
    cleanup_old_backups(LOG, [str(backup)], max_count=1)
    assert len(list(backup.iterdir())) == 4
    assert outside.exists()


def test_no_limit_and_no_directory_do_nothing(tmp_path: Path) -> None:
    paths = archives(tmp_path, [1, 2])
    cleanup_old_backups(LOG, [str(tmp_path)])
    cleanup_old_backups(LOG, [str(tmp_path / "none")], max_count=1)
    assert all(path.exists() for path in paths)


def test_what_cannot_be_removed_is_told_and_the_rest_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    paths = archives(tmp_path, [1, 2, 3])
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == paths[1]:
            raise PermissionError("not permitted")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with caplog.at_level(logging.INFO):
        cleanup_old_backups(LOG, [tmp_path], max_count=1)
    assert [path.exists() for path in paths] == [True, True, False]
    assert "Failed to remove" in caplog.text
    assert "removed 1 old backup(s)" in caplog.text
