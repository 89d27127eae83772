from __future__ import annotations

import logging
import os
import shutil
import zipfile
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
from keepwatch.compat.backuphandler import sync
from keepwatch.compat.backuphandler.encryption import encrypt_directory
from keepwatch.compat.backuphandler.manifest import BackupManifest
from keepwatch.compat.backuphandler.restore import (
    _is_s3_path,
    _is_ssh_path,
    _parse_s3_path,
    _parse_ssh_path,
    restore_backup,
)
from keepwatch.compat.backuphandler.retention import cleanup_old_backups
from keepwatch.compat.backuphandler.verify import print_verify_report, verify_backup_integrity


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = write_tree(tmp_path / "source")
    (source / "links").mkdir()
    (source / "links/to-readme").symlink_to("../readme.txt")
    (source / "empty directory").mkdir()
    return source


@pytest.fixture
def backup(tmp_path: Path, source: Path) -> Path:
    return run(source, tmp_path / "backup", "20260101_000000")


def run(source: Path, backup: Path, timestamp: str, mode: str = "full") -> Path:
    """A backup whose manifest says that it is of another time."""
    manifest = BackupManifest(mode)
    if mode == "full":
        sync.perform_full_backup(LOG, str(source), [str(backup)], manifest=manifest)
    else:
        sync.perform_incremental_backup(LOG, str(source), [str(backup)], 0, manifest=manifest)
    manifest.save(backup).rename(backup / f"backup_manifest_{timestamp}.json")
    return backup


def restore(backup: Path, target: Path, **more: Any) -> bool:
    return restore_backup(LOG, str(backup), str(target), **more)


def test_a_directory_comes_back(source: Path, backup: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    assert restore(backup, target) is True
    assert read_tree(target) == read_tree(source)
    assert (target / "empty directory").is_dir()
    assert (target / "readme.txt").stat().st_mtime == 1_700_000_000
    assert not list(target.glob("backup_manifest_*"))


@pytest.mark.parametrize("by_key", [True, False])
def test_an_encrypted_directory_comes_back(
    source: Path, backup: Path, tmp_path: Path, by_key: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: dict[str, Any] = {"passphrase": PASSPHRASE}
    if by_key:
        keys = {"key_file": str(key_file(tmp_path))}
    encrypt_directory(backup, **keys)
    before = read_tree(backup)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("plaintext goes nowhere but where it belongs")

    monkeypatch.setattr("tempfile.TemporaryDirectory", refuse)
    target = tmp_path / "target"
    assert restore(backup, target, **{f"encryption_{n}": value for n, value in keys.items()})
    assert read_tree(target) == read_tree(source)
    assert read_tree(backup) == before


def test_a_dry_run_writes_nothing(
    backup: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "target"
    assert restore(backup, target, dry_run=True, timestamp="20260101_000000") is True
    out = capsys.readouterr().out
    assert f"Files:       {len(TREE)}" in out
    assert "20260101_000000 (point-in-time restore)" in out
    assert restore(tmp_path / "none", target, dry_run=True) is False
    for remote in ["ssh://user@host/path", "s3://bucket/prefix"]:
        assert restore_backup(LOG, remote, str(target), dry_run=True) is True
    assert not target.exists()


def test_the_names_of_other_places() -> None:
    assert _is_ssh_path("user@host:/backup") and _is_ssh_path("ssh://user@host/backup")
    assert not _is_ssh_path("/local/path") and not _is_ssh_path("s3://bucket/prefix")
    assert _is_s3_path("s3://bucket") and not _is_s3_path("user@host:/path")
    assert _parse_ssh_path("admin@server:/a/b") == ("admin", "server", "/a/b")
    assert _parse_ssh_path("server:/a/b") == (None, "server", "/a/b")
    assert _parse_ssh_path("ssh://admin@server/a/b") == ("admin", "server", "/a/b")
    assert _parse_ssh_path("ssh://server") == (None, "server", "/")
    assert _parse_s3_path("s3://bucket/a/b") == ("bucket", "a/b")
    assert _parse_s3_path("s3://bucket") == ("bucket", "")


# ── Faults of the original ──


def test_a_wrong_passphrase_is_no_success(backup: Path, tmp_path: Path) -> None:
    encrypt_directory(backup, PASSPHRASE)
    target = tmp_path / "target"
    wrong = [
        {"encryption_passphrase": "wrong"},
        {"encryption_key_file": str(key_file(tmp_path))},
        {"encryption_key_file": str(tmp_path / "none")},
    ]
    for keys in wrong:
        assert restore(backup, target, **keys) is False
        assert not [path for path in target.rglob("*") if path.is_file()]


def test_without_a_key_encrypted_files_are_no_success(backup: Path, tmp_path: Path) -> None:
    encrypt_directory(backup, PASSPHRASE)
    target = tmp_path / "target"
    assert restore(backup, target) is False
    # They are copied as they are, as ever.
    assert read_tree(target) == read_tree(backup)


def test_nothing_to_restore_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert restore(tmp_path / "empty", tmp_path / "target") is False
    assert restore(tmp_path / "none", tmp_path / "target") is False
    (tmp_path / "file").write_bytes(b"no backup")
    assert restore(tmp_path / "file", tmp_path / "target") is False


def test_an_emptied_backup_does_not_restore_the_live_source(
    source: Path, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in [*backup.rglob("*")]:
        if path.is_symlink() or (path.is_file() and not path.name.startswith("backup_manifest_")):
            path.unlink()
    monkeypatch.chdir(tmp_path)
    for timestamp in [None, "20260101_000000"]:
        target = tmp_path / f"target {timestamp}"
        assert restore(backup, target, timestamp=timestamp) is False
        assert read_tree(target) == {}
    assert read_tree(source)


def test_a_file_that_is_missing_in_the_backup_is_told(
    backup: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (backup / "docs/deep/notes.md").unlink()
    for timestamp in [None, "20260101_000000"]:
        caplog.clear()
        target = tmp_path / f"target {timestamp}"
        assert restore(backup, target, timestamp=timestamp) is False
        assert "docs/deep/notes.md: it is missing in the backup" in caplog.text
        # The other one of that name is not taken for it.
        assert not (target / "docs/deep/notes.md").exists()
        assert (target / "docs/notes.md").read_bytes() == TREE["docs/notes.md"]


def test_point_in_time_does_not_give_todays_content(
    source: Path, backup: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (source / "readme.txt").write_bytes(b"today's")
    write_tree(source, {"new": b"new"})
    run(source, backup, "20260202_000000", "incremental")
    now, then = tmp_path / "now", tmp_path / "then"
    assert restore(backup, now, timestamp="20260202_000000") is True
    assert read_tree(now) == read_tree(source)
    assert restore(backup, then, timestamp="20260101_120000") is False
    assert "readme.txt: the backup has another content by now" in caplog.text
    expected = read_tree(source)
    del expected["readme.txt"], expected["new"]
    assert read_tree(then) == expected


def test_before_the_first_manifest_nothing_is_known(backup: Path, tmp_path: Path) -> None:
    assert restore(backup, tmp_path / "target", timestamp="20251231_235959") is False
    assert not (tmp_path / "target").exists()


def test_point_in_time_of_an_encrypted_backup(
    source: Path, backup: Path, tmp_path: Path
) -> None:
    encrypt_directory(backup, PASSPHRASE)
    then = {"timestamp": "20260101_000000"}
    assert restore(backup, tmp_path / "1", encryption_passphrase=PASSPHRASE, **then) is True
    assert read_tree(tmp_path / "1") == read_tree(source)
    assert restore(backup, tmp_path / "2", encryption_passphrase="wrong", **then) is False
    assert restore(backup, tmp_path / "3", **then) is False
    for name in "23":
        assert not [p for p in (tmp_path / name).rglob("*") if p.is_file()]


def test_without_checksums_a_copy_of_later_is_not_trusted(tmp_path: Path) -> None:
    backup = write_tree(tmp_path / "backup", {"a": b"later", "b": b"first"})
    for timestamp in ["20260101_000000", "20260201_000000"]:
        text = '{"mode": "full", "copied": [{"path": "s/a", "size": 5}%s]}'
        more = ', {"path": "s/b", "size": 5}' if timestamp < "202602" else ""
        (backup / f"backup_manifest_{timestamp}.json").write_text(text % more)
    assert restore(backup, tmp_path / "target", timestamp="20260101_000000") is False
    assert read_tree(tmp_path / "target") == {"b": b"first"}


def test_content_that_is_not_the_recorded_one_is_no_success(
    backup: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    encrypt_directory(backup, PASSPHRASE)
    one, other = backup / "docs/notes.md.enc", backup / "readme.txt.enc"
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    target = tmp_path / "target"
    assert restore(backup, target, encryption_passphrase=PASSPHRASE) is False
    assert caplog.text.count("it is not what the manifest says") == 2


def test_what_came_after_the_last_manifest_is_restored(backup: Path, tmp_path: Path) -> None:
    write_tree(backup, {"docs/newer": b"newer"})
    assert restore(backup, tmp_path / "target") is True
    assert (tmp_path / "target/docs/newer").read_bytes() == b"newer"


def test_a_plain_file_is_newer_than_its_encrypted_form(source: Path, tmp_path: Path) -> None:
    """As a run leaves them that was cut off before it had encrypted."""
    backup = run(source, tmp_path / "backup", "20260101_000000")
    encrypt_directory(backup, PASSPHRASE)
    (source / "readme.txt").write_bytes(b"newer")
    run(source, backup, "20260102_000000", "incremental")
    (backup / "backup_manifest_20260102_000000.json").unlink()
    target = tmp_path / "target"
    restore(backup, target, encryption_passphrase=PASSPHRASE)
    assert (target / "readme.txt").read_bytes() == b"newer"


def test_a_sources_own_enc_files_come_back(tmp_path: Path) -> None:
    tree = {"a": b"the file a", "a.enc": b"not a encrypted but somebody's own file", "b.enc": b"b"}
    source = write_tree(tmp_path / "source", tree)
    backup = run(source, tmp_path / "backup", "20260101_000000")
    assert restore(backup, tmp_path / "1") is True
    assert restore(backup, tmp_path / "2", encryption_passphrase=PASSPHRASE) is True
    encrypt_directory(backup, PASSPHRASE)
    assert restore(backup, tmp_path / "3", encryption_passphrase=PASSPHRASE) is True
    for name in "123":
        assert read_tree(tmp_path / name) == tree


def test_nothing_is_written_through_a_link_in_the_target(
    source: Path, backup: Path, tmp_path: Path
) -> None:
    outside = write_tree(tmp_path / "outside", {"file": b"outside"})
    target = tmp_path / "target"
    target.mkdir()
    (target / "docs").symlink_to(outside)
    (target / "readme.txt").symlink_to(outside / "file")
    assert restore(backup, target) is False
    assert read_tree(outside) == {"file": b"outside"}
    assert (target / "readme.txt").read_bytes() == b"read me"
    assert not (target / "readme.txt").is_symlink()


def test_a_manifest_cannot_lead_out_of_the_backup(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    backup = write_tree(tmp_path / "backup", {"a": b"a"})
    for path in [str(secret), "s/../../secret", "../secret"]:
        write_manifest(backup, "20260101_000000", copied={path: b"secret", "s/a": b"a"})
        for timestamp in [None, "20260101_000000"]:
            target = tmp_path / "target"
            assert restore(backup, target, timestamp=timestamp) is False
            assert read_tree(target) == {"a": b"a"}
            shutil.rmtree(target)


def test_a_link_in_place_of_a_file_is_no_success(backup: Path, tmp_path: Path) -> None:
    (backup / "readme.txt").unlink()
    (backup / "readme.txt").symlink_to(tmp_path / "source/readme.txt")
    for timestamp in [None, "20260101_000000"]:
        assert restore(backup, tmp_path / f"target {timestamp}", timestamp=timestamp) is False


def test_names_that_are_no_text_come_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = os.fsdecode(b"docs/\xff\xfe [*]?")
    source = write_tree(tmp_path / "source", {name: b"content"})
    backup = run(source, tmp_path / "backup", "20260101_000000")
    encrypt_directory(backup, PASSPHRASE)
    results = verify_backup_integrity(LOG, [str(backup)])
    assert print_verify_report(results) is False
    assert "\\udcff" in capsys.readouterr().out
    for timestamp in [None, "20260101_000000"]:
        target = tmp_path / f"target {timestamp}"
        assert restore(backup, target, timestamp=timestamp, encryption_passphrase=PASSPHRASE)
        assert read_tree(target) == {name: b"content"}


def test_a_manifest_that_is_nonsense_is_no_crash(tmp_path: Path) -> None:
    backup = write_tree(tmp_path / "backup", {"a": b"a"})
    path = backup / "backup_manifest_20260101_000000.json"
    records = '[1, {}, {"path": 1}, {"path": "s/a", "size": "x", "checksum": 7}, {"path": "/"}]'
    for content in ["[]", "{", '{"copied": 1, "skipped": {}}', f'{{"copied": {records}}}']:
        path.write_text(content)
        for timestamp in [None, "20260101_000000"]:
            restore(backup, tmp_path / "target", timestamp=timestamp)
        verify_backup_integrity(LOG, [str(backup)])
        cleanup_old_backups(LOG, [str(backup)], max_count=1)
    assert read_tree(backup) == {"a": b"a"}


def test_files_of_the_source_named_like_manifests_come_back(tmp_path: Path) -> None:
    name = "docs/backup_manifest_20260101_120000.json"
    source = write_tree(tmp_path / "source", {name: b"{}"})
    backup = run(source, tmp_path / "backup", "20260101_000000")
    assert restore(backup, tmp_path / "target") is True
    assert (tmp_path / "target" / name).read_bytes() == b"{}"


# ── Archives ──


def test_an_archive_comes_back(source: Path, tmp_path: Path) -> None:
    shutil.rmtree(source / "links")
    archive = shutil.make_archive(str(tmp_path / "backup_20260101_000000"), "zip", source)
    assert restore(Path(archive), tmp_path / "target") is True
    assert read_tree(tmp_path / "target") == TREE
    assert (tmp_path / "target/empty directory").is_dir()


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", ".."])
def test_an_archive_cannot_lead_out_of_the_target(tmp_path: Path, name: str) -> None:
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("good", b"good")
        file.writestr(name, b"evil")
    target = tmp_path / "in/target"
    assert restore(archive, target) is False
    assert read_tree(tmp_path / "in") == {"target/good": b"good"}
    assert not Path("/evil").exists()


def test_a_damaged_archive_is_no_success(tmp_path: Path) -> None:
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("good", b"good")
        file.writestr("bad", b"content that will be changed")
    content = archive.read_bytes().replace(b"will be changed", b"has been changd")
    archive.write_bytes(content)
    target = tmp_path / "target"
    assert restore(archive, target) is False
    assert read_tree(target) == {"good": b"good"}
    archive.write_bytes(content[:40])
    assert restore(archive, target) is False
    with zipfile.ZipFile(archive, "w"):
        pass
    assert restore(archive, target) is False


def test_two_files_of_one_name_in_an_archive_are_told(tmp_path: Path) -> None:
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("notes.md", b"one")
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("notes.md", b"two")
    assert restore(archive, tmp_path / "target") is False
    assert read_tree(tmp_path / "target") == {"notes.md": b"one"}


def test_no_secret_is_logged(
    backup: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    encrypt_directory(backup, PASSPHRASE)
    caplog.set_level(logging.DEBUG)
    assert restore(backup, tmp_path / "1", encryption_passphrase=PASSPHRASE) is True
    assert restore(backup, tmp_path / "2", encryption_passphrase=PASSPHRASE + "!") is False
    assert PASSPHRASE not in caplog.text
    assert os.listdir(tmp_path / "1")
