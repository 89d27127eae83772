"""Sealed files: what opens them, what does not, and what is left of them."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest
from conftest import PASSPHRASE

import keepwatch


def test_a_file_there_and_back(tree: Path, tmp_path: Path):
    source = tree / "large.bin"
    report = keepwatch.encrypt_file(source, passphrase=PASSPHRASE)
    assert report.output == source.with_name("large.bin.kw")
    assert report.bytes == source.stat().st_size
    assert report.output.stat().st_mode & 0o777 == 0o600
    assert keepwatch.sealed_info(report.output).plaintext_bytes == report.bytes
    back = keepwatch.decrypt_file(report.output, tmp_path / "back", passphrase=PASSPHRASE)
    assert back.output.read_bytes() == source.read_bytes()


def test_any_of_several_opens(tree: Path, tmp_path: Path):
    one, two = keepwatch.keygen(), keepwatch.keygen(tmp_path / "two")
    key = os.urandom(32)
    sealed = keepwatch.encrypt_file(
        tree / "docs" / "notes.md",
        tmp_path / "sealed",
        passphrase=PASSPHRASE,
        key_file=key,
        recipients=[one.recipient, two.recipient],
    ).output
    (tmp_path / "key").write_bytes(key)
    for number, opener in enumerate(
        [
            {"passphrase": PASSPHRASE},
            {"key_file": key},
            {"key_file": tmp_path / "key"},
            {"identity": one},
            {"identity": tmp_path / "two"},
            {"identity": keepwatch.Identity.parse(one.expose())},
            {"identity": keepwatch.Identity.load(tmp_path / "two")},
        ]
    ):
        target = tmp_path / str(number)
        keepwatch.decrypt_file(sealed, target, **opener)
        assert target.read_text() == "notes\n" * 100
    with pytest.raises(keepwatch.WrongKeyError):
        keepwatch.decrypt_file(sealed, tmp_path / "no", identity=keepwatch.keygen())
    assert not (tmp_path / "no").exists()


def test_nothing_is_left_when_it_fails(tree: Path, tmp_path: Path):
    source = tree / "large.bin"
    sealed = keepwatch.encrypt_file(source, passphrase=PASSPHRASE).output
    data = bytearray(sealed.read_bytes())
    data[-100_000] ^= 1
    changed = tmp_path / "changed.kw"
    changed.write_bytes(data)
    cut = tmp_path / "cut.kw"
    cut.write_bytes(data[: len(data) // 2])
    for bad in (changed, cut):
        with pytest.raises(keepwatch.WrongKeyError):
            keepwatch.decrypt_file(bad, passphrase=PASSPHRASE)
        assert sorted(tmp_path.glob("*")) == sorted([changed, cut, tree])
    with pytest.raises(FileExistsError) as taken:
        keepwatch.encrypt_file(source, passphrase=PASSPHRASE)
    assert taken.value.hint
    keepwatch.encrypt_file(source, passphrase=PASSPHRASE, overwrite=True)
    with pytest.raises(FileNotFoundError) as missing:
        keepwatch.encrypt_file(tmp_path / "not-there", passphrase=PASSPHRASE)
    assert missing.value.filename == str(tmp_path / "not-there")
    with pytest.raises(IsADirectoryError):
        keepwatch.encrypt_file(tree, passphrase=PASSPHRASE)


def test_arguments_are_named(tree: Path, tmp_path: Path):
    source = tree / "empty"
    for error, name, call in [
        (TypeError, "passphrase", lambda: keepwatch.encrypt_file(source, passphrase=5)),
        (TypeError, "source", lambda: keepwatch.encrypt_file(5, passphrase="x")),
        (TypeError, "key_file", lambda: keepwatch.encrypt_file(source, key_file=5)),
        (ValueError, "key_file", lambda: keepwatch.encrypt_file(source, key_file=b"short")),
        (TypeError, "identity", lambda: keepwatch.decrypt_file(source, identity=5)),
        (ValueError, "passphrase", lambda: keepwatch.encrypt_file(source, passphrase="")),
        (ValueError, "passphrase", lambda: keepwatch.encrypt_file(source)),
        (ValueError, "recipients", lambda: keepwatch.encrypt_file(source, recipients="age1")),
        (TypeError, "recipients", lambda: keepwatch.encrypt_file(source, recipients=[5])),
        (ValueError, "kdf", lambda: keepwatch.encrypt_file(source, passphrase="x", kdf="md5")),
        (ValueError, "format", lambda: keepwatch.encrypt_file(source, passphrase="x", format="?")),
        (ValueError, "target", lambda: keepwatch.decrypt_file(source, passphrase="x")),
        (TypeError, "data", lambda: keepwatch.seal("text", passphrase="x")),
        (TypeError, "source", lambda: keepwatch.SealedReader(5, passphrase="x")),
    ]:
        with pytest.raises(error, match=name) as raised:
            call()
        assert isinstance(raised.value, keepwatch.KeepwatchError)
        assert name in str(raised.value)


def test_a_secret_is_in_no_message(tree: Path, tmp_path: Path):
    identity = keepwatch.keygen()
    secret = identity.expose()
    assert secret.startswith("AGE-SECRET-KEY-1")
    assert secret not in repr(identity)
    for call in (
        lambda: keepwatch.decrypt_file(tree / "empty", identity=secret),
        lambda: keepwatch.encrypt_file(tree / "empty", recipients=[secret]),
        lambda: keepwatch.Identity.parse(secret[:-1]),
    ):
        with pytest.raises(keepwatch.KeepwatchError) as raised:
            call()
        assert secret[:30] not in repr(raised.value)
        assert secret[:30] not in str(getattr(raised.value, "__notes__", ""))


def test_a_writer_commits_or_aborts(tmp_path: Path):
    path = tmp_path / "file.kw"
    with keepwatch.SealedWriter(path, passphrase=PASSPHRASE) as writer:
        assert isinstance(writer, io.BufferedIOBase)
        assert writer.write(b"one, ") == 5
        writer.write(bytearray(b"two, "))
        writer.write(memoryview(b"and three")[4:])
        assert writer.tell() == 15
        assert not path.exists()
    assert path.exists()
    with keepwatch.SealedReader(path, passphrase=PASSPHRASE) as reader:
        assert reader.read() == b"one, two, three"
    with pytest.raises(keepwatch.ClosedError):
        writer.write(b"more")
    writer.close()

    other = tmp_path / "other.kw"
    with (
        pytest.raises(ZeroDivisionError),
        keepwatch.SealedWriter(other, passphrase=PASSPHRASE) as writer,
    ):
        writer.write(b"half of it")
        raise ZeroDivisionError
    keepwatch.SealedWriter(other, passphrase=PASSPHRASE).write(b"never closed")
    assert sorted(tmp_path.iterdir()) == [path]


def test_sealed_files_of_file_objects():
    buffer = io.BytesIO()
    with keepwatch.SealedWriter(buffer, passphrase=PASSPHRASE) as writer:
        with zipfile.ZipFile(writer, "w") as archive:
            archive.writestr("name", b"content" * 100_000)
    assert not buffer.closed
    with keepwatch.SealedReader(buffer, passphrase=PASSPHRASE) as reader:
        assert isinstance(reader, keepwatch.BinaryReader)
        with zipfile.ZipFile(reader) as archive:
            assert archive.read("name") == b"content" * 100_000


def test_an_exception_of_a_file_object_comes_out():
    class Full(io.RawIOBase):
        def write(self, data: object) -> int:
            raise OSError(28, "the disk is full, they say")

    writer = keepwatch.SealedWriter(io.BytesIO(), passphrase=PASSPHRASE)
    writer.abort()
    with pytest.raises(OSError, match="they say") as raised:
        with keepwatch.SealedWriter(Full(), passphrase=PASSPHRASE) as writer:
            writer.write(bytes(1_000_000))
    assert type(raised.value) is OSError


def test_reading_like_a_file():
    lines = [b"%d\n" % number for number in range(10_000)]
    sealed = keepwatch.seal(b"".join(lines), passphrase=PASSPHRASE)
    reader = keepwatch.SealedReader(io.BytesIO(sealed), passphrase=PASSPHRASE)
    assert list(reader) == lines
    assert reader.read() == b""
    reader.seek(0)
    assert reader.readlines(10) == lines[:5]
    reader.seek(0)
    room = bytearray(7)
    assert reader.readinto(room) == 7
    assert bytes(room) == b"0\n1\n2\n3"
    assert reader.seek(-3, io.SEEK_CUR) == 4
    assert reader.readline() == b"2\n"
    assert reader.readline(1) == b"3"
    assert io.TextIOWrapper(reader).readline() == "\n"
    with pytest.raises(ValueError, match="closed"):
        reader.close()
        reader.read()
    reader = keepwatch.SealedReader(io.BytesIO(sealed), passphrase=PASSPHRASE)
    for bad in (lambda: reader.seek(-1), lambda: reader.seek(0, 5), lambda: reader.seek(-1, 1)):
        with pytest.raises(ValueError):
            bad()
    with pytest.raises(TypeError):
        reader.readinto(b"read only")


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 3_000_000])
def test_bytes_there_and_back(size: int):
    data = os.urandom(size)
    sealed = keepwatch.seal(data, key_file=bytes(32))
    assert keepwatch.unseal(sealed, key_file=bytes(32)) == data
    with pytest.raises(keepwatch.WrongKeyError):
        keepwatch.unseal(sealed[:-1], key_file=bytes(32))
    assert keepwatch.unseal(keepwatch.seal(memoryview(data), key_file=bytes(32)), key_file=bytes(32)) == data


def test_the_command_line_reads_it(tree: Path, tmp_path: Path, run_cli):
    source = tree / "large.bin"
    sealed = keepwatch.encrypt_file(source, passphrase=PASSPHRASE).output
    run_cli("decrypt", sealed, "--output", tmp_path / "cli")
    assert (tmp_path / "cli").read_bytes() == source.read_bytes()
    run_cli("encrypt", source, "--output", tmp_path / "cli.kw")
    keepwatch.decrypt_file(tmp_path / "cli.kw", tmp_path / "python", passphrase=PASSPHRASE)
    assert (tmp_path / "python").read_bytes() == source.read_bytes()


def test_genuine_backuphandler_files(testdata: Path, tmp_path: Path):
    genuine = testdata / "backuphandler"
    plain = (genuine / "source" / "media" / "random-3mib.bin").read_bytes()
    name = Path("media") / "random-3mib.bin.enc"
    for folder, opener in (
        ("enc_passphrase", {"passphrase": PASSPHRASE}),
        ("enc_keyfile", {"key_file": genuine / "backup.key"}),
    ):
        target = tmp_path / folder
        keepwatch.decrypt_file(genuine / folder / name, target, **opener)
        assert target.read_bytes() == plain
        again = keepwatch.encrypt_file(target, format="backuphandler", **opener)
        assert again.output.suffix == ".enc"
        keepwatch.decrypt_file(again.output, tmp_path / "back", overwrite=True, **opener)
        assert (tmp_path / "back").read_bytes() == plain
    with pytest.raises(ValueError, match="format"):
        keepwatch.encrypt_file(
            target, format="backuphandler", recipients=keepwatch.keygen().recipient
        )
