from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from backuphandler_tree import (
    LOG,
    PASSPHRASE,
    TREE,
    key_file,
    read_tree,
    write_manifest,
    write_tree,
)
from keepwatch.compat.backuphandler import manifest as manifests
from keepwatch.compat.backuphandler import sync
from keepwatch.compat.backuphandler.encryption import encrypt_directory
from keepwatch.compat.backuphandler.manifest import (
    BackupManifest,
    load_latest_manifest,
    load_manifests_up_to,
)
from keepwatch.compat.backuphandler.verify import print_verify_report, verify_backup_integrity


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    source = write_tree(tmp_path / "source")
    manifest = BackupManifest()
    sync.perform_full_backup(LOG, str(source), [str(tmp_path / "backup")], manifest=manifest)
    manifest.save(tmp_path / "backup")
    return tmp_path / "backup"


def verify(directory: Path, **keys: Any) -> dict[str, Any]:
    results = verify_backup_integrity(LOG, [str(directory)], **keys)
    assert results["directories"][str(directory)]["verified"] == results["verified"]
    return results


def is_well(results: dict[str, Any]) -> bool:
    return print_verify_report(results)


# ── Manifests ──


def test_a_manifest_has_the_keys_of_the_original(tmp_path: Path) -> None:
    manifest = BackupManifest(mode="incremental")
    manifest.record_copy("/source/a", 10, checksum="ab")
    manifest.record_copy(Path("/source/b"), 5)
    manifest.record_skip("/source/c")
    manifest.record_failure("/source/d", "permission denied")
    path = manifest.save(tmp_path / "new" / "directory")
    content = json.loads(path.read_text())
    assert path.name == f"backup_manifest_{content['timestamp']}.json"
    assert list(content) == [
        "timestamp",
        "mode",
        "duration_seconds",
        "files_copied",
        "files_skipped",
        "files_failed",
        "total_bytes",
        "copied",
        "skipped",
        "failed",
    ]
    assert content["copied"] == [
        {"path": "/source/a", "size": 10, "checksum": "ab"},
        {"path": "/source/b", "size": 5},
    ]
    assert content["skipped"] == [{"path": "/source/c"}]
    assert content["failed"] == [{"path": "/source/d", "reason": "permission denied"}]
    assert manifest.summary().items() <= {**content, **manifest.summary()}.items()
    assert (content["files_copied"], content["total_bytes"]) == (2, 15)
    assert load_latest_manifest(path.parent) == content


def test_a_manifest_is_for_its_owner_and_replaces_none(tmp_path: Path) -> None:
    paths = [BackupManifest().save(tmp_path) for _ in range(3)]
    assert len(set(paths)) == 3
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in paths)
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    for path in paths:
        assert json.loads(path.read_text())["timestamp"] in path.name


def test_manifests_up_to_a_time(tmp_path: Path) -> None:
    for timestamp in ["20260103_000000", "20260101_000000", "20260102_000000"]:
        write_manifest(tmp_path, timestamp)
    found = load_manifests_up_to(str(tmp_path), "20260102_000000")
    assert [m["timestamp"] for m in found] == ["20260101_000000", "20260102_000000"]
    assert found[0]["_manifest_path"] == str(tmp_path / "backup_manifest_20260101_000000.json")
    latest = load_latest_manifest(tmp_path)
    assert latest is not None
    assert latest["timestamp"] == "20260103_000000"
    assert load_latest_manifest(tmp_path / "none") is None
    assert load_manifests_up_to(tmp_path, "2025") == []


def test_a_manifest_is_complete_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(manifests, "_bh_write_file", fail)
    with pytest.raises(OSError):
        BackupManifest().save(tmp_path)
    assert list(tmp_path.iterdir()) == []


# ── Verification ──


def test_a_good_backup_is_well(backup: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = verify(backup)
    assert (results["total"], results["verified"]) == (len(TREE), len(TREE))
    assert results["directories"][str(backup)]["manifest_found"] is True
    assert is_well(results)
    assert "ALL BACKUPS VERIFIED OK" in capsys.readouterr().out


@pytest.mark.parametrize("by_key", [True, False])
def test_a_good_encrypted_backup_is_well(backup: Path, tmp_path: Path, by_key: bool) -> None:
    keys: dict[str, Any] = {"passphrase": PASSPHRASE}
    if by_key:
        keys = {"key_file": str(key_file(tmp_path))}
    encrypt_directory(backup, **keys)
    before = read_tree(backup)
    results = verify(backup, **{f"encryption_{name}": value for name, value in keys.items()})
    assert results["verified"] == len(TREE)
    assert is_well(results)
    assert read_tree(backup) == before


# Faults of the original.


def test_a_missing_directory_fails(tmp_path: Path) -> None:
    results = verify(tmp_path / "none")
    assert (results["total"], results["errors"]) == (0, 1)
    assert not is_well(results)


def test_nothing_checked_fails(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "idle").mkdir()
    write_manifest(tmp_path / "idle", "20260101_000000")
    for directory in [tmp_path / "empty", tmp_path / "idle"]:
        results = verify(directory)
        assert results["total"] == 0
        assert not is_well(results)
    assert not is_well(verify_backup_integrity(LOG, []))


def test_swapped_files_fail(backup: Path) -> None:
    one, other = backup / "docs/notes.md", backup / "docs/deep/notes.md"
    for path in (one, other):
        path.write_bytes(path.read_bytes().ljust(20))
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    assert verify(backup)["corrupted"] == 2


def test_swapped_encrypted_files_fail(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "source", {"a": b"one content", "b": b"two content"})
    backup = tmp_path / "backup"
    manifest = BackupManifest()
    sync.perform_full_backup(LOG, str(source), [str(backup)], manifest=manifest)
    manifest.save(backup)
    encrypt_directory(backup, PASSPHRASE)
    (backup / "a.enc").rename(backup / "x")
    (backup / "b.enc").rename(backup / "a.enc")
    (backup / "x").rename(backup / "b.enc")
    results = verify(backup, encryption_passphrase=PASSPHRASE)
    assert (results["verified"], results["corrupted"]) == (0, 2)
    assert not is_well(results)


def test_a_changed_byte_of_the_same_size_fails(backup: Path) -> None:
    path = backup / "media/big.bin"
    content = bytearray(path.read_bytes())
    content[4000] ^= 1
    path.write_bytes(content)
    assert verify(backup)["corrupted"] == 1


def test_a_wrong_key_fails(backup: Path, tmp_path: Path) -> None:
    encrypt_directory(backup, PASSPHRASE)
    for keys in [
        {"encryption_passphrase": "wrong"},
        {"encryption_key_file": str(key_file(tmp_path))},
        {"encryption_key_file": str(tmp_path / "none")},
        {},
    ]:
        results = verify(backup, **keys)
        assert results["verified"] == 0
        assert results["corrupted"] + results["errors"] >= 1
        assert not is_well(results)


def test_files_with_one_name_are_not_taken_for_each_other(backup: Path) -> None:
    (backup / "docs/deep/notes.md").unlink()
    results = verify(backup)
    assert (results["missing"], results["verified"]) == (1, len(TREE) - 1)
    # The same, when nothing of its directory is there.
    (backup / "docs/notes.md").rename(backup / "notes.md")
    assert verify(backup)["missing"] == 2


def test_after_an_incremental_run_all_files_are_checked(backup: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "readme.txt").write_bytes(b"changed")
    manifest = BackupManifest("incremental")
    sync.perform_incremental_backup(LOG, str(source), [str(backup)], 0, manifest=manifest)
    manifest.save(backup)
    assert verify(backup)["verified"] == len(TREE)
    (backup / "empty.dat").write_bytes(b"not empty")
    (backup / "docs/notes.md").unlink()
    results = verify(backup)
    assert (results["missing"], results["corrupted"]) == (1, 1)


def test_what_the_source_has_no_more_may_be_gone(backup: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "readme.txt").unlink()
    manifest = BackupManifest("incremental")
    sync.perform_incremental_backup(LOG, str(source), [str(backup)], 0, manifest=manifest)
    manifest.save(backup)
    assert verify(backup)["verified"] == len(TREE)
    (backup / "readme.txt").write_bytes(b"but while it is there it is checked")
    assert verify(backup)["corrupted"] == 1
    (backup / "readme.txt").unlink()
    assert is_well(verify(backup))


def test_a_file_whose_first_manifest_is_gone_has_to_be_there(backup: Path, tmp_path: Path) -> None:
    manifest = BackupManifest("incremental")
    sync.perform_incremental_backup(
        LOG, str(tmp_path / "source"), [str(backup)], 2e9, manifest=manifest
    )
    for path in backup.glob("backup_manifest_*"):
        path.unlink()
    manifest.save(backup)
    assert verify(backup)["verified"] == len(TREE)
    (backup / "readme.txt").unlink()
    assert verify(backup)["missing"] == 1


def test_a_run_of_a_database_alone_hides_nothing(backup: Path) -> None:
    dump = backup / "shop_backup_20260102_000000.sql"
    dump.write_bytes(b"CREATE TABLE t;")
    # Twice: each backup directory is told of all of them.
    other = str(backup.parent / "other" / dump.name)
    copied = {str(dump): dump.read_bytes(), other: dump.read_bytes()}
    write_manifest(backup, "29990102_000000", copied=copied)
    assert verify(backup)["verified"] == len(TREE) + 2
    (backup / "empty.dat").unlink()
    assert verify(backup)["missing"] == 1


def test_links_are_there_or_missing(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "source", {"file": b"content"})
    (source / "link").symlink_to("file")
    backup = tmp_path / "backup"
    manifest = BackupManifest()
    sync.perform_full_backup(LOG, str(source), [str(backup)], manifest=manifest)
    manifest.save(backup)
    encrypt_directory(backup, PASSPHRASE)
    assert os.readlink(backup / "link") == "file"
    assert verify(backup, encryption_passphrase=PASSPHRASE)["verified"] == 2
    (backup / "link").unlink()
    assert verify(backup, encryption_passphrase=PASSPHRASE)["missing"] == 1
    # A link in place of a file is no copy of it.
    (backup / "file.enc").unlink()
    (backup / "file").symlink_to(source / "file")
    assert verify(backup, encryption_passphrase=PASSPHRASE)["corrupted"] == 1


def test_a_damaged_manifest_is_told(backup: Path) -> None:
    (backup / "backup_manifest_29990101_000000.json").write_text('{"timestamp": "2999')
    results = verify(backup)
    assert (results["verified"], results["errors"]) == (len(TREE), 1)


def test_without_a_manifest_files_are_read(tmp_path: Path) -> None:
    backup = write_tree(tmp_path / "backup")
    results = verify(backup)
    assert (results["total"], results["verified"]) == (len(TREE), len(TREE))
    assert results["directories"][str(backup)]["manifest_found"] is False
    encrypt_directory(backup, PASSPHRASE)
    assert verify(backup)["errors"] == len(TREE)
    assert verify(backup, encryption_passphrase=PASSPHRASE)["verified"] == len(TREE)


def test_a_long_report_is_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backup = write_tree(tmp_path / "backup", {"there": b""})
    copied = {f"source/{number}": b"" for number in range(30)} | {"source/there": b""}
    write_manifest(backup, "20260101_000000", copied=copied)
    results = verify(backup)
    assert results["missing"] == 30
    assert not is_well(results)
    assert "... and 10 more" in capsys.readouterr().out
