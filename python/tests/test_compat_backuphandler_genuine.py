"""Backups that BackupHandler itself has made, and ours read as it reads them."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from backuphandler_tree import LOG, read_tree, sha256
from keepwatch.compat.backuphandler.encryption import decrypt_directory, decrypt_file
from keepwatch.compat.backuphandler.manifest import load_latest_manifest, load_manifests_up_to
from keepwatch.compat.backuphandler.restore import restore_backup
from keepwatch.compat.backuphandler.verify import print_verify_report, verify_backup_integrity

_TESTDATA = os.environ.get("KEEPWATCH_TESTDATA")
_GENUINE = (
    Path(_TESTDATA) if _TESTDATA else Path(__file__).parents[3] / "shared/testdata"
) / "backuphandler"

pytestmark = pytest.mark.skipif(
    not _GENUINE.is_dir(),
    reason=f"no genuine backups at {_GENUINE}: set KEEPWATCH_TESTDATA to the directory of test data",
)

# Python 3.12 warns where none is named, and old releases of 3.10 have none.
_HAS_FILTERS = hasattr(tarfile, "data_filter")
FULL, INCREMENTAL = "20261122_011226", "20261122_011512"


def expected() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((_GENUINE / "EXPECTED.json").read_text())
    return content


def keys_of(directory: str) -> dict[str, Any]:
    if directory == "enc_keyfile":
        return {"key_file": str(_GENUINE / "backup.key")}
    return {"passphrase": expected()["passphrase"]}


def genuine(tmp_path: Path, directory: str) -> Path:
    """A copy with its link, which a copy of the test data may have as a file."""
    copy = shutil.copytree(_GENUINE / directory, tmp_path / "genuine", symlinks=True)
    for path in [copy, *copy.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o700)
    link = copy / "links/to-readme"
    if not link.is_symlink():
        link.unlink()
        link.symlink_to("../readme.txt")
    return copy


def contents(tree: dict[str, bytes | str]) -> dict[str, str]:
    return {name: sha256(c) for name, c in tree.items() if isinstance(c, bytes)}


def source() -> dict[str, str]:
    return {name: file["sha256"] for name, file in expected()["source"].items() if "sha256" in file}


@pytest.mark.parametrize("directory", ["enc_passphrase", "enc_keyfile"])
@pytest.mark.parametrize("workers", [1, 3])
def test_encrypted_directories_are_decrypted(
    tmp_path: Path, directory: str, workers: int
) -> None:
    copy = genuine(tmp_path, directory)
    assert decrypt_directory(copy, workers=workers, **keys_of(directory)) == 21
    assert contents(read_tree(copy)) == source()


def test_one_file_is_decrypted(tmp_path: Path) -> None:
    copy = shutil.copy(_GENUINE / "enc_keyfile/readme.txt.enc", tmp_path)
    path = decrypt_file(copy, key_file=_GENUINE / "backup.key")
    assert sha256(path.read_bytes()) == source()["readme.txt"]


@pytest.mark.parametrize("directory", ["plain", "enc_passphrase", "enc_keyfile"])
def test_backups_are_verified(tmp_path: Path, directory: str) -> None:
    backup = genuine(tmp_path, directory)
    keys = {f"encryption_{name}": value for name, value in keys_of(directory).items()}
    results = verify_backup_integrity(LOG, [str(backup)], **keys)
    # After the full run: 21 files and a link. The incremental one brought three more.
    total = 25 if directory == "plain" else 22
    assert (results["total"], results["verified"]) == (total, total)
    assert print_verify_report(results) is True


@pytest.mark.parametrize("directory", ["enc_passphrase", "enc_keyfile"])
def test_swapped_files_of_genuine_backups_are_found(tmp_path: Path, directory: str) -> None:
    copy = genuine(tmp_path, directory)
    one, other = copy / "docs/notes.md.enc", copy / "docs/deep/a/notes.md.enc"
    one.rename(copy / "x")
    other.rename(one)
    (copy / "x").rename(other)
    keys = {f"encryption_{name}": value for name, value in keys_of(directory).items()}
    assert verify_backup_integrity(LOG, [str(copy)], **keys)["corrupted"] == 2


@pytest.mark.parametrize("directory", ["enc_passphrase", "enc_keyfile"])
def test_encrypted_backups_are_restored(tmp_path: Path, directory: str) -> None:
    keys = {f"encryption_{name}": value for name, value in keys_of(directory).items()}
    backup = genuine(tmp_path, directory)
    manifest = load_latest_manifest(backup)
    assert manifest is not None
    for number, timestamp in enumerate([None, manifest["timestamp"]]):
        target = tmp_path / str(number)
        assert restore_backup(LOG, str(backup), str(target), timestamp=timestamp, **keys)
        assert contents(read_tree(target)) == source()
        assert os.readlink(target / "links/to-readme") == "../readme.txt"


def test_a_plain_backup_is_restored(tmp_path: Path) -> None:
    backup = str(genuine(tmp_path, "plain"))
    assert restore_backup(LOG, backup, str(tmp_path / "now")) is True
    now = read_tree(tmp_path / "now")
    files = expected()["plain"]["files"]
    assert contents(now) == {n: file["sha256"] for n, file in files.items() if "sha256" in file}
    assert now["links/to-readme"] == "-> ../readme.txt"
    assert restore_backup(LOG, backup, str(tmp_path / "last"), timestamp=INCREMENTAL) is True
    assert read_tree(tmp_path / "last") == now
    # Of the full run's files three were changed later, so that time cannot be had back.
    assert restore_backup(LOG, backup, str(tmp_path / "then"), timestamp=FULL) is False
    lost = {"docs/notes.md", "events/2026-01.csv", "empty.dat"}
    then = {name: digest for name, digest in source().items() if name not in lost}
    assert contents(read_tree(tmp_path / "then")) == then


def test_a_deduplicated_backup_is_verified_and_restored(tmp_path: Path) -> None:
    with tarfile.open(_GENUINE / "dedup.tar") as archive:
        archive.extractall(tmp_path, filter="tar") if _HAS_FILTERS else archive.extractall(tmp_path)
    backup = str(tmp_path / "dedup")
    assert verify_backup_integrity(LOG, [backup])["verified"] == 21
    assert restore_backup(LOG, backup, str(tmp_path / "target")) is True
    files = expected()["dedup_tar"]["files"]
    known = {name: file["sha256"] for name, file in files.items() if "sha256" in file}
    assert contents(read_tree(tmp_path / "target")) == known


def test_manifests_are_read() -> None:
    found = load_manifests_up_to(_GENUINE / "plain", INCREMENTAL)
    assert [m["timestamp"] for m in found] == [FULL, INCREMENTAL]
    assert [m["files_copied"] for m in found] == [22, 6]
    assert load_manifests_up_to(_GENUINE / "plain", FULL) == found[:1]


def test_an_archive_with_a_password_is_refused(tmp_path: Path) -> None:
    (archive,) = (_GENUINE / "zip_pw").glob("*.zip")
    assert restore_backup(LOG, str(archive), str(tmp_path / "target")) is False
    assert read_tree(tmp_path / "target") == {}
