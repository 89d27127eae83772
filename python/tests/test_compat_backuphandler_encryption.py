from __future__ import annotations

import hashlib
import logging
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from backuphandler_tree import LOG, PASSPHRASE, TREE, key_file, read_tree, write_tree
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from keepwatch.compat.backuphandler import sync
from keepwatch.compat.backuphandler.encryption import (
    decrypt_directory,
    decrypt_file,
    derive_key,
    encrypt_directory,
    encrypt_file,
    get_encryption_key,
    load_key_file,
)
from keepwatch.compat.backuphandler.errors import (
    DecryptionError,
    FilesFailedError,
    NotEncryptedError,
)
from keepwatch.compat.backuphandler.manifest import BackupManifest
from keepwatch.errors import FileTakenError, InvalidValueError, WrongKeyError


def seal(content: bytes, key: bytes, salt: bytes = bytes(16)) -> bytes:
    """An encrypted file, made by another implementation."""
    nonce = os.urandom(12)
    return salt + nonce + AESGCM(key).encrypt(nonce, content, None)


def unseal(sealed: bytes, key: bytes) -> bytes:
    return AESGCM(key).decrypt(sealed[16:28], sealed[28:], None)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 65535, 65536, 65537, 1 << 20])
def test_another_implementation_reads_and_writes_the_same(tmp_path: Path, size: int) -> None:
    key, content = key_file(tmp_path), os.urandom(size)
    path = tmp_path / "file"
    path.write_bytes(content)
    sealed = encrypt_file(path, key_file=key)
    assert sealed == tmp_path / "file.enc"
    assert sealed.read_bytes()[:16] == bytes(16)
    assert unseal(sealed.read_bytes(), key.read_bytes()) == content
    sealed.write_bytes(seal(content, key.read_bytes()))
    assert decrypt_file(sealed, key_file=key) == path
    assert path.read_bytes() == content
    assert not sealed.exists()


def test_a_passphrase_makes_the_key_of_the_original(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    sealed = encrypt_file(path, PASSPHRASE).read_bytes()
    assert sealed[:16] != bytes(16)
    assert unseal(sealed, derive_key(PASSPHRASE, sealed[:16])) == b"content"


def test_derive_key_is_pbkdf2() -> None:
    for passphrase, salt in [("passphrase", bytes(16)), ("grün 日本", b"any length of salt")]:
        expected = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, 600_000)
        assert derive_key(passphrase, salt) == expected


def test_the_key_file_goes_before_the_passphrase(tmp_path: Path) -> None:
    key = key_file(tmp_path)
    assert get_encryption_key(PASSPHRASE, key) == (key.read_bytes(), None)
    derived, salt = get_encryption_key(PASSPHRASE)
    assert salt is not None
    assert get_encryption_key(PASSPHRASE, salt=salt) == (derived, salt)
    with pytest.raises(ValueError, match="Either passphrase or key_file"):
        get_encryption_key("")


def test_with_both_credentials_either_form_opens(tmp_path: Path) -> None:
    key = key_file(tmp_path)
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"old")
    new.write_bytes(b"new")
    sealed = encrypt_file(old, PASSPHRASE)
    assert encrypt_file(new, PASSPHRASE, key).read_bytes()[:16] == bytes(16)
    assert decrypt_file(sealed, PASSPHRASE, key).read_bytes() == b"old"


def test_bad_key_files_are_told(tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.write_bytes(bytes(31))
    with pytest.raises(ValueError, match="exactly 32 bytes, got 31"):
        load_key_file(short)
    short.write_bytes(bytes(64))
    with pytest.raises(ValueError, match="got 64"):
        load_key_file(str(short))
    with pytest.raises(FileNotFoundError, match="Key file not found"):
        load_key_file(tmp_path / "none")


def test_mode_and_time_stay(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"secret")
    path.chmod(0o640)
    os.utime(path, ns=(5, 1_600_000_000_123_456_789))
    key = key_file(tmp_path)
    sealed = encrypt_file(path, key_file=key)
    assert sealed.stat().st_mode & 0o777 == 0o640
    assert sealed.stat().st_mtime_ns == 1_600_000_000_123_456_789
    decrypt_file(sealed, key_file=key)
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.stat().st_mtime_ns == 1_600_000_000_123_456_789


# ── Faults of the original ──


def test_encryption_without_a_key_fails(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "backup")
    for arguments in [{}, {"passphrase": ""}, {"key_file": tmp_path / "none"}]:
        with pytest.raises((ValueError, FileNotFoundError)):
            encrypt_directory(tree, logger=LOG, **arguments)  # type: ignore[arg-type]
    bad = tmp_path / "bad.key"
    bad.write_bytes(b"no key")
    with pytest.raises(InvalidValueError):
        encrypt_directory(tree, key_file=bad, logger=LOG)
    assert read_tree(tree) == TREE
    with pytest.raises(FileNotFoundError):
        encrypt_directory(tmp_path / "none", PASSPHRASE)


def test_a_file_that_cannot_be_encrypted_is_no_success(tmp_path: Path) -> None:
    tree = write_tree(tmp_path, {"a": b"a", "b": b"b"})
    (tree / "b.enc").mkdir()
    with pytest.raises(FilesFailedError) as failed:
        encrypt_directory(tree, PASSPHRASE, logger=LOG)
    assert failed.value.done == 1
    assert list(failed.value.errors) == [str(tree / "b")]
    assert (tree / "b").read_bytes() == b"b"
    assert not (tree / "a").exists()


def test_files_of_more_than_2_gib_are_encrypted(tmp_path: Path) -> None:
    path, key = tmp_path / "huge", key_file(tmp_path)
    length = (1 << 31) + 5
    with open(path, "wb") as file:
        file.truncate(length)
    sealed = encrypt_file(path, key_file=key)
    assert not path.exists()
    assert sealed.stat().st_size == length + 44
    with open(sealed, "r+b") as file:
        file.seek(1 << 31)
        byte = file.read(1)
        file.seek(1 << 31)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(InvalidTag):
        decrypt_file(sealed, key_file=key)
    assert not path.exists()


def test_a_signal_ends_it_in_the_middle_of_a_file(tmp_path: Path) -> None:
    class Alarm(Exception):
        pass

    def ring(*_: object) -> None:
        raise Alarm

    path, key = tmp_path / "huge", key_file(tmp_path)
    with open(path, "wb") as file:
        file.truncate(1 << 33)
    before = signal.signal(signal.SIGALRM, ring)
    began = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(Alarm):
            encrypt_file(path, key_file=key)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - began < 5
    assert sorted(tmp_path.iterdir()) == [key, path]
    assert path.stat().st_size == 1 << 33


def test_a_key_is_derived_once_and_not_for_every_file(tmp_path: Path) -> None:
    tree = write_tree(tmp_path)
    assert encrypt_directory(tree, PASSPHRASE, workers=4) == len(TREE)
    files = [path.read_bytes() for path in tree.rglob("*.enc")]
    assert len({content[:16] for content in files}) == 1
    assert len({content[16:28] for content in files}) == len(files)
    assert decrypt_directory(tree, PASSPHRASE, workers=4) == len(TREE)
    assert read_tree(tree) == TREE


def test_a_wrong_passphrase_is_no_success(tmp_path: Path) -> None:
    tree = write_tree(tmp_path)
    encrypt_directory(tree, PASSPHRASE)
    before = read_tree(tree)
    with pytest.raises(FilesFailedError) as failed:
        decrypt_directory(tree, "wrong", logger=LOG)
    assert failed.value.done == 0
    assert len(failed.value.errors) == len(TREE)
    with pytest.raises(InvalidTag) as wrong:
        decrypt_file(tree / "readme.txt.enc", "wrong")
    assert isinstance(wrong.value, DecryptionError)
    assert isinstance(wrong.value, WrongKeyError)
    assert wrong.value.hint
    with pytest.raises(InvalidTag):
        decrypt_file(tree / "readme.txt.enc", key_file=key_file(tmp_path))
    (tmp_path / "backup.key").unlink()
    assert read_tree(tree) == before


@pytest.mark.parametrize("position", [0, 15, 16, 27, 28, 100, -16, -1])
def test_no_changed_byte_goes_unnoticed(tmp_path: Path, position: int) -> None:
    key = key_file(tmp_path)
    content = bytearray(seal(bytes(1000), key.read_bytes()))
    content[position] ^= 1
    sealed = tmp_path / "file.enc"
    sealed.write_bytes(content)
    with pytest.raises(InvalidTag):
        decrypt_file(sealed, key_file=key)
    assert sealed.read_bytes() == content
    assert not (tmp_path / "file").exists()


def test_what_is_too_short_says_so(tmp_path: Path) -> None:
    sealed = tmp_path / "file.enc"
    sealed.write_bytes(bytes(43))
    with pytest.raises(InvalidTag) as error:
        decrypt_file(sealed, PASSPHRASE)
    assert isinstance(error.value, NotEncryptedError)


def test_nothing_is_left_of_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    key = key_file(tmp_path)
    folder = tmp_path / "folder"
    path = write_tree(folder, {"file": b"content"}) / "file"
    # A name that has no room for its suffix.
    long = folder / ("n" * 253)
    path.rename(long)
    with pytest.raises(OSError):
        encrypt_file(long, key_file=key)
    assert [p.name for p in folder.iterdir()] == [long.name]
    assert long.read_bytes() == b"content"


def test_somebodys_own_enc_file_is_not_overwritten(tmp_path: Path) -> None:
    write_tree(tmp_path, {"a": b"a", "a.enc": b"this is somebody's own and long enough to be one"})
    with pytest.raises(FileTakenError):
        encrypt_file(tmp_path / "a", PASSPHRASE)
    assert read_tree(tmp_path)["a"] == b"a"
    assert (tmp_path / "a.enc").read_bytes().startswith(b"this is somebody's")


def test_the_earlier_encrypted_form_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for content in [b"first", b"second"]:
        path.write_bytes(content)
        sealed = encrypt_file(path, PASSPHRASE)
    assert decrypt_file(sealed, PASSPHRASE).read_bytes() == b"second"


def test_decryption_does_not_overwrite_a_newer_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"older")
    sealed = encrypt_file(path, PASSPHRASE)
    path.write_bytes(b"newer")
    with pytest.raises(FileExistsError):
        decrypt_file(sealed, PASSPHRASE)
    assert path.read_bytes() == b"newer"
    # But one that was cut off when all but the end was done is completed.
    path.write_bytes(b"older")
    assert decrypt_file(sealed, PASSPHRASE) == path
    assert not sealed.exists()


def test_a_name_without_suffix_is_not_decrypted_onto_itself(tmp_path: Path) -> None:
    key = key_file(tmp_path)
    path = tmp_path / "sealed"
    path.write_bytes(seal(b"content", key.read_bytes()))
    with pytest.raises(ValueError, match="no suffix"):
        decrypt_file(path, key_file=key)
    path.rename(tmp_path / "file.sealed")
    assert decrypt_file(tmp_path / "file.sealed", key_file=key) == tmp_path / "file"


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"outside")
    tree = write_tree(tmp_path / "backup", {"file": b"inside"})
    (tree / "link").symlink_to(outside)
    assert encrypt_directory(tree, PASSPHRASE) == 1
    assert outside.read_bytes() == b"outside"
    assert os.readlink(tree / "link") == str(outside)
    with pytest.raises(OSError, match="symbolic link"):
        encrypt_file(tree / "link", PASSPHRASE)


def test_only_the_manifests_of_the_backup_stay_in_clear(tmp_path: Path) -> None:
    name = "backup_manifest_20260101_120000.json"
    write_tree(tmp_path, {name: b"{}", f"docs/{name}": b"{}"})
    assert encrypt_directory(tmp_path, PASSPHRASE) == 1
    assert (tmp_path / name).exists()
    assert (tmp_path / "docs" / f"{name}.enc").exists()


def test_a_sources_own_enc_files_are_encrypted_and_come_back(tmp_path: Path) -> None:
    tree = {"a": b"the file a", "a.enc": b"not a encrypted but somebody's own file", "b.enc": b"b"}
    source, backup = write_tree(tmp_path / "source", tree), tmp_path / "backup"
    manifest = BackupManifest()
    sync.perform_full_backup(LOG, str(source), [str(backup)], manifest=manifest)
    manifest.save(backup)
    assert encrypt_directory(backup, PASSPHRASE, logger=LOG) == 3
    assert sorted(read_tree(backup)) == ["a.enc", "a.enc.enc", "b.enc.enc"]
    # A second time nothing is encrypted twice.
    assert encrypt_directory(backup, PASSPHRASE, logger=LOG) == 0
    with pytest.raises(FilesFailedError):
        decrypt_directory(backup, "wrong", logger=LOG)
    assert decrypt_directory(backup, PASSPHRASE, logger=LOG) == 3
    assert read_tree(backup) == tree


def test_no_secret_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tree = write_tree(tmp_path)
    caplog.set_level(logging.DEBUG)
    encrypt_directory(tree, PASSPHRASE, logger=LOG)
    with pytest.raises(FilesFailedError) as failed:
        decrypt_directory(tree, PASSPHRASE + "!", logger=LOG)
    assert PASSPHRASE not in caplog.text + str(failed.value) + repr(failed.value)


def test_many_threads_use_one_session(tmp_path: Path) -> None:
    roots = [write_tree(tmp_path / str(number)) for number in range(4)]
    threads = [
        threading.Thread(target=encrypt_directory, args=(root, PASSPHRASE)) for root in roots
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for root in roots:
        assert decrypt_directory(root, PASSPHRASE, workers=2) == len(TREE)
        assert read_tree(root) == TREE


def test_ctrl_c_ends_it_and_leaves_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(Exception):
        pass

    def stop(_: object) -> None:
        raise Stop

    tree = write_tree(tmp_path, {f"{n}": os.urandom(100_000) for n in range(200)})
    before = read_tree(tree)
    monkeypatch.setattr("keepwatch.compat.backuphandler._common.Bar.advance", stop)
    with pytest.raises(Stop):
        encrypt_directory(tree, PASSPHRASE)
    monkeypatch.undo()
    assert decrypt_directory(tree, PASSPHRASE) >= 1
    assert read_tree(tree) == before
