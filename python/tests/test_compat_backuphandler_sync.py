from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from backuphandler_tree import LOG, PASSPHRASE, TREE, read_tree, sha256, wait_for_tick, write_tree
from keepwatch.compat.backuphandler.encryption import encrypt_directory
from keepwatch.compat.backuphandler.errors import FilesFailedError
from keepwatch.compat.backuphandler.manifest import BackupManifest
from keepwatch.compat.backuphandler.sync import (
    _copy_single_file,
    perform_differential_backup,
    perform_full_backup,
    perform_incremental_backup,
    sync_directories_with_progress,
)
from keepwatch.errors import UnsupportedError

LATER = time.time() + 1000


class Bot:
    def __init__(self) -> None:
        self.messages: list[str] = []

    def send_notification(self, message: str) -> None:
        self.messages.append(message)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "source")


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    return tmp_path / "backup"


def paths(records: list[dict[str, Any]], source: Path) -> list[str]:
    return sorted(str(Path(record["path"]).relative_to(source)) for record in records)


def incremental(source: Path, *backups: Path, since: float = LATER, **more: Any) -> BackupManifest:
    manifest = BackupManifest("incremental")
    directories = [str(backup) for backup in backups]
    perform_incremental_backup(LOG, str(source), directories, since, manifest=manifest, **more)
    return manifest


@pytest.mark.parametrize("parallel_copies", [1, 4])
def test_a_full_backup_copies_all(source: Path, backup: Path, parallel_copies: int) -> None:
    (source / "docs/notes.md").chmod(0o600)
    manifest = BackupManifest()
    other = backup.parent / "other"
    perform_full_backup(
        LOG,
        str(source),
        [str(backup), str(other)],
        manifest=manifest,
        parallel_copies=parallel_copies,
    )
    assert read_tree(backup) == read_tree(other) == TREE
    copy = (backup / "docs/notes.md").stat()
    assert copy.st_mode & 0o777 == 0o600
    assert copy.st_mtime == 1_700_000_000
    assert paths(manifest._copied, source) == sorted([*TREE, *TREE])
    for record in manifest._copied:
        content = TREE[str(Path(record["path"]).relative_to(source))]
        assert (record["size"], record["checksum"]) == (len(content), sha256(content))


def test_sources_may_be_several(tmp_path: Path, backup: Path) -> None:
    one, other = write_tree(tmp_path / "1", {"a": b"a"}), write_tree(tmp_path / "2", {"b": b"b"})
    perform_full_backup(LOG, [str(one), str(other)], [str(backup)])
    assert read_tree(backup) == {"a": b"a", "b": b"b"}
    (backup / "a").unlink()
    sync_directories_with_progress(LOG, [one], [backup])
    assert (backup / "a").exists()


def test_patterns_leave_out_names_and_paths(source: Path, backup: Path) -> None:
    perform_full_backup(LOG, source, [backup], exclude_patterns=["*.bin", " docs/deep/* ", ""])
    assert sorted(read_tree(backup)) == [
        "docs/a [b] *?.txt",
        "docs/notes.md",
        "empty.dat",
        "readme.txt",
    ]
    assert not (backup / "media").exists()


def test_empty_directories_and_links_are_copied(source: Path, backup: Path) -> None:
    (source / "nothing/in here").mkdir(parents=True)
    (source / "to file").symlink_to("readme.txt")
    (source / "to directory").symlink_to("docs")
    (source / "to nowhere").symlink_to("/none")
    manifest = BackupManifest()
    perform_full_backup(LOG, source, [backup], manifest=manifest)
    assert (backup / "nothing/in here").is_dir()
    assert read_tree(backup) == read_tree(source)
    sizes = {Path(r["path"]).name: r["size"] for r in manifest._copied if "checksum" not in r}
    assert sizes == {"to file": 7, "to directory": 0, "to nowhere": 0}


def test_an_unchanged_file_is_skipped(source: Path, backup: Path) -> None:
    perform_full_backup(LOG, source, [backup])
    before = (backup / "readme.txt").stat()
    manifest = incremental(source, backup)
    assert manifest._copied == []
    assert paths(manifest._skipped, source) == sorted(TREE)
    assert (backup / "readme.txt").stat().st_ino == before.st_ino


def test_what_is_newer_than_the_last_run_is_copied(source: Path, backup: Path) -> None:
    perform_full_backup(LOG, source, [backup])
    assert paths(incremental(source, backup, since=0)._copied, source) == sorted(TREE)


def test_each_directory_gets_what_it_lacks(source: Path, backup: Path) -> None:
    perform_full_backup(LOG, source, [backup])
    other = backup.parent / "other"
    manifest = incremental(source, backup, other)
    assert read_tree(other) == TREE
    assert paths(manifest._copied, source) == paths(manifest._skipped, source) == sorted(TREE)


def test_one_file_is_copied_by_itself(source: Path, backup: Path) -> None:
    manifest = BackupManifest()
    _copy_single_file(LOG, source / "docs/notes.md", source, backup, manifest)
    assert read_tree(backup) == {"docs/notes.md": TREE["docs/notes.md"]}
    assert len(manifest._copied) == 1
    _copy_single_file(LOG, source / "none", source, backup, manifest)
    assert len(manifest._failed) == 1


# ── Faults of the original ──


@pytest.mark.parametrize("mode", ["incremental", "differential"])
def test_a_new_file_with_an_old_time_is_not_missed(
    source: Path, backup: Path, mode: str
) -> None:
    perform_full_backup(LOG, source, [backup])
    write_tree(source, {"docs/moved here.txt": b"old"})
    perform = perform_incremental_backup if mode == "incremental" else perform_differential_backup
    perform(LOG, source, [backup], LATER)
    assert read_tree(backup) == {**TREE, "docs/moved here.txt": b"old"}


@pytest.mark.parametrize("mode", ["incremental", "differential"])
def test_a_file_replaced_by_an_older_one_is_not_missed(
    source: Path, backup: Path, mode: str
) -> None:
    perform_full_backup(LOG, source, [backup])
    path = source / "readme.txt"
    path.write_bytes(b"READ ME")
    os.utime(path, (1_600_000_000, 1_600_000_000))
    perform = perform_incremental_backup if mode == "incremental" else perform_differential_backup
    perform(LOG, source, [backup], LATER)
    assert (backup / "readme.txt").read_bytes() == b"READ ME"


def test_a_change_that_keeps_size_and_time_is_not_missed(source: Path, backup: Path) -> None:
    perform_full_backup(LOG, source, [backup])
    write_tree(source, {"readme.txt": b"READ ME"})
    manifest = incremental(source, backup)
    assert paths(manifest._copied, source) == ["readme.txt"]
    assert (backup / "readme.txt").read_bytes() == b"READ ME"


def test_a_mode_that_was_changed_is_taken_and_the_content_compared_once(
    source: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keepwatch.compat.backuphandler._copying._TICK_NS", 0)
    perform_full_backup(LOG, source, [backup])
    wait_for_tick(backup.parent)
    (source / "readme.txt").chmod(0o600)
    wait_for_tick(backup.parent)
    manifest = incremental(source, backup)
    assert manifest._copied == []
    assert (backup / "readme.txt").stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(
        "keepwatch.compat.backuphandler._copying._different", lambda _, __, names: set(names)
    )
    assert incremental(source, backup)._copied == []


def test_a_file_changed_during_the_run_is_not_missed(source: Path, backup: Path) -> None:
    """The stamp is made at the end of a run: what changed before that is older than it."""
    perform_full_backup(LOG, source, [backup])
    (source / "readme.txt").write_bytes(b"changed while others were copied")
    stamp = time.time() + 1
    incremental(source, backup, since=stamp)
    assert (backup / "readme.txt").read_bytes() == b"changed while others were copied"


def test_a_file_changed_while_it_is_copied_is_copied_whole(tmp_path: Path, backup: Path) -> None:
    source = write_tree(tmp_path / "source", {"log": b"0" * 1000})
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            (source / "new").write_bytes(b"%d" % (number % 10) * 1_000_000)
            os.replace(source / "new", source / "log")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(20):
            perform_full_backup(LOG, source, [backup], exclude_patterns=["new"])
            assert len(set((backup / "log").read_bytes())) == 1
    finally:
        stop.set()
        writer.join()
    incremental(source, backup)
    assert (backup / "log").read_bytes() == (source / "log").read_bytes()


def test_an_encrypted_copy_is_known_again(source: Path, backup: Path) -> None:
    perform_full_backup(LOG, source, [backup])
    encrypt_directory(backup, PASSPHRASE)
    # Until the clock of the file system has gone on nothing can be told from the times.
    fresh = incremental(source, backup)
    assert paths(fresh._copied, source) == sorted(TREE)
    encrypt_directory(backup, PASSPHRASE)
    write_tree(source, {"docs/notes.md": b"NOTES OF DOCS", "new": b"new"})
    manifest = incremental(source, backup, since=LATER)
    assert {"docs/notes.md", "new"} <= set(paths(manifest._copied, source))
    encrypt_directory(backup, PASSPHRASE)
    assert not [name for name in read_tree(backup) if not name.endswith(".enc")]


def test_an_encrypted_copy_that_is_older_than_the_last_change_is_skipped(
    source: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    perform_full_backup(LOG, source, [backup])
    encrypt_directory(backup, PASSPHRASE)
    monkeypatch.setattr("keepwatch.compat.backuphandler._copying._TICK_NS", 0)
    manifest = incremental(source, backup)
    assert manifest._copied == []
    assert paths(manifest._skipped, source) == sorted(TREE)


def test_a_sources_own_enc_file_does_not_displace_anothers_encrypted_form(
    tmp_path: Path, backup: Path
) -> None:
    tree = {"a": b"a", "a.enc": b"somebody's own"}
    source = write_tree(tmp_path / "source", tree)
    manifest = BackupManifest()
    perform_full_backup(LOG, source, [backup], manifest=manifest)
    manifest.save(backup)
    encrypt_directory(backup, PASSPHRASE)
    (source / "a.enc").write_bytes(b"changed")
    manifest = incremental(source, backup)
    assert paths(manifest._copied, source) == ["a", "a.enc"]
    manifest.save(backup)
    assert encrypt_directory(backup, PASSPHRASE) == 2
    assert sorted(read_tree(backup)) == ["a.enc", "a.enc.enc"]


def test_files_that_fail_are_told_and_the_others_are_copied(
    source: Path, backup: Path
) -> None:
    (backup / "readme.txt").mkdir(parents=True)
    bot, manifest = Bot(), BackupManifest()
    with pytest.raises(FilesFailedError) as failed:
        perform_full_backup(LOG, str(source), [str(backup)], bot=bot, manifest=manifest)
    assert failed.value.done == len(TREE) - 1
    assert list(failed.value.errors) == [str(source / "readme.txt")]
    assert paths(manifest._failed, source) == ["readme.txt"]
    assert manifest._failed[0]["reason"]
    assert read_tree(backup) == {k: v for k, v in TREE.items() if k != "readme.txt"}
    assert bot.messages == [f"Backup of {[str(source)]}: 1 file(s) could not be backed up"]
    with pytest.raises(FilesFailedError):
        incremental(source, backup)


def test_a_missing_source_fails(tmp_path: Path, backup: Path) -> None:
    none = str(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        perform_full_backup(LOG, none, [str(backup)])
    with pytest.raises(FileNotFoundError):
        perform_incremental_backup(LOG, none, [str(backup)], 0)
    with pytest.raises(FileNotFoundError):
        perform_differential_backup(LOG, none, [str(backup)], 0)
    assert not backup.exists()


def test_a_dangling_link_or_vanished_file_does_not_end_the_run(
    source: Path, backup: Path
) -> None:
    (source / "dangling").symlink_to("none")
    manifest = incremental(source, backup, since=0)
    assert len(manifest._copied) == len(TREE) + 1
    assert read_tree(backup) == read_tree(source)
    assert incremental(source, backup)._copied == []


def test_a_link_that_leads_elsewhere_now_is_copied_again(source: Path, backup: Path) -> None:
    (source / "link").symlink_to("readme.txt")
    perform_full_backup(LOG, source, [backup])
    (source / "link").unlink()
    (source / "link").symlink_to("empty.dat")
    incremental(source, backup)
    assert os.readlink(backup / "link") == "empty.dat"


def test_nothing_is_written_through_a_link(tmp_path: Path, backup: Path) -> None:
    outside = write_tree(tmp_path / "outside", {"file": b"outside", "deep/file": b"outside"})
    backup.mkdir()
    (backup / "file").symlink_to(outside / "file")
    (backup / "deep").symlink_to(outside / "deep")
    source = write_tree(tmp_path / "source", {"file": b"inside", "deep/file": b"inside"})
    perform_full_backup(LOG, source, [backup])
    assert read_tree(backup) == {"file": b"inside", "deep/file": b"inside"}
    assert read_tree(outside) == {"file": b"outside", "deep/file": b"outside"}


def test_a_copy_with_several_names_is_replaced_under_one(source: Path, backup: Path) -> None:
    """As deduplication leaves them."""
    perform_full_backup(LOG, source, [backup])
    os.link(backup / "readme.txt", backup / "same")
    (source / "readme.txt").write_bytes(b"changed")
    incremental(source, backup)
    assert (backup / "readme.txt").read_bytes() == b"changed"
    assert (backup / "same").read_bytes() == b"read me"


def test_a_backup_in_its_own_source_does_not_grow(source: Path) -> None:
    for _ in range(3):
        perform_full_backup(LOG, source, [source / "backup", source / "docs/backup"])
    assert read_tree(source / "backup") == TREE
    assert read_tree(source / "docs/backup") == TREE


def test_a_fifo_does_not_hang_the_backup(source: Path, backup: Path) -> None:
    os.mkfifo(source / "fifo")
    perform_full_backup(LOG, source, [backup])
    assert read_tree(backup) == TREE


def test_a_source_does_not_bring_manifests_of_its_own(source: Path, backup: Path) -> None:
    write_tree(source, {"backup_manifest_20260101_000000.json": b"{}"})
    with pytest.raises(FilesFailedError, match="the name is that of a manifest"):
        perform_full_backup(LOG, source, [backup])
    assert read_tree(backup) == TREE
    assert not (backup / "backup_manifest_20260101_000000.json").exists()


# ── Archives and notifications, which are BackupHandler's own ──


def install(monkeypatch: pytest.MonkeyPatch, name: str, **members: Any) -> None:
    package, _, module = name.partition(".")
    for path in (package, f"{package}.{module}"):
        monkeypatch.setitem(sys.modules, path, ModuleType(path))
    for member, value in members.items():
        setattr(sys.modules[name], member, value)


def test_archives_are_made_by_the_original(
    source: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []

    def compress(logger: object, **arguments: Any) -> None:
        calls.append(arguments)
        (backup / "backup_20260101_000000.zip").write_bytes(b"PK")

    install(monkeypatch, "src.compression", compress_directory=compress)
    perform_full_backup(LOG, str(source), [str(backup)], compress="zip_pw")
    (call,) = calls
    assert (call["src_dirs"], call["output_dirs"]) == ([str(source)], [str(backup)])
    assert len(call["password"]) == 16
    assert call["password"].isalnum()


def test_an_archive_that_is_not_made_is_a_failure(
    source: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, "src.compression", compress_directory=lambda *_, **__: None)
    with pytest.raises(FilesFailedError, match="no archive was made"):
        perform_full_backup(LOG, str(source), [str(backup)], compress="zip")
    assert read_tree(backup) == TREE


def test_without_the_original_no_archive_is_promised(source: Path, backup: Path) -> None:
    with pytest.raises(UnsupportedError, match="src.compression"):
        perform_full_backup(LOG, str(source), [str(backup)], compress="zip")
    assert not backup.exists()


def test_success_is_told_and_a_lost_message_is_no_failure(
    source: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mails: list[tuple[Any, ...]] = []

    def send_email(*arguments: Any, logger: object) -> None:
        mails.append(arguments)
        raise ConnectionError("no mail today")

    install(monkeypatch, "email_nots.email", send_email=send_email)
    bot = Bot()
    perform_full_backup(LOG, str(source), [str(backup)], bot=bot, receiver_emails=["a@b.example"])
    assert bot.messages == [f"Backup completed for {[str(source)]}"]
    assert mails == [(["a@b.example"], "Backup Completed", bot.messages[0])]
    incremental(source, backup, bot=bot)
    assert bot.messages[1] == f"Completed incremental backup from {source}"
