"""Servers and buckets, by stand-ins for paramiko and boto3 that keep everything in a directory."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from backuphandler_tree import LOG, PASSPHRASE, TREE, read_tree, sha256, write_tree
from keepwatch.compat.backuphandler import sync
from keepwatch.compat.backuphandler._remote import Download
from keepwatch.compat.backuphandler.encryption import encrypt_directory
from keepwatch.compat.backuphandler.errors import FilesFailedError
from keepwatch.compat.backuphandler.manifest import BackupManifest
from keepwatch.compat.backuphandler.restore import restore_backup
from keepwatch.errors import UnsupportedError

PASSWORD = "the password of the server"


class SSHException(Exception):
    pass


class AuthenticationException(SSHException):
    pass


class BadHostKeyException(SSHException):
    pass


class RejectPolicy:
    pass


class Attributes(SimpleNamespace):
    filename: str
    st_mode: int


class Sftp:
    """As much of paramiko's SFTPClient as is used, on a directory."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.closed = False

    def get_channel(self) -> Sftp:
        return self

    def _at(self, path: str) -> Path:
        return self.server.root / path.lstrip("/")

    def _count(self) -> None:
        self.server.operations += 1
        if self.server.operations == self.server.lost_at:
            raise EOFError

    def listdir_attr(self, path: str) -> list[Attributes]:
        self._count()
        entries = [
            Attributes(filename=entry.name, st_mode=entry.lstat().st_mode)
            for entry in sorted(self._at(path).iterdir())
        ]
        return entries + self.server.forged.pop(path, [])

    def get(self, remote: str, local: str) -> None:
        self._count()
        Path(local).write_bytes(self._at(remote).read_bytes())

    def put(self, local: str, remote: str) -> None:
        self._count()
        self.server.sent.append(remote)
        self._at(remote).write_bytes(Path(local).read_bytes())
        if len(self.server.sent) == self.server.cut_at:
            if self.server.says_so:
                raise ConnectionResetError("in the middle of a file")
            self.closed = True
            raise OSError("Socket is closed")

    def stat(self, path: str) -> os.stat_result:
        return self._at(path).stat()

    def readlink(self, path: str) -> str:
        return os.readlink(self._at(path))

    def mkdir(self, path: str) -> None:
        self._at(path).mkdir()

    def utime(self, path: str, times: tuple[float, float]) -> None:
        # As whole seconds, which is what the protocol has.
        os.utime(self._at(path), (int(times[0]), int(times[1])))

    def remove(self, path: str) -> None:
        self._at(path).unlink()

    def posix_rename(self, old: str, new: str) -> None:
        if not self.server.has_posix_rename:
            raise OSError("operation unsupported")
        self._at(old).replace(self._at(new))

    def rename(self, old: str, new: str) -> None:
        if self._at(new).exists():
            raise OSError("failure")
        self._at(old).rename(self._at(new))

    def open(self, path: str, mode: str) -> Any:
        file = open(self._at(path), mode)  # noqa: SIM115
        return Piped(file)

    def close(self) -> None:
        self.server.closed += 1


class Piped:
    def __init__(self, file: Any) -> None:
        self.file = file

    def __enter__(self) -> Piped:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def set_pipelined(self, on: bool) -> None:
        assert on

    def write(self, data: bytes) -> None:
        self.file.write(data)


class Server:
    """A server, and a module that is to be paramiko."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.operations = 0
        self.lost_at: int | None = None
        self.cut_at: int | None = None
        self.says_so = True
        self.closed = 0
        self.sent: list[str] = []
        self.forged: dict[str, list[Attributes]] = {}
        self.has_posix_rename = True
        self.known = {"server", "other"}
        self.connections: list[dict[str, Any]] = []

    def module(self) -> ModuleType:
        server = self

        class SSHClient:
            policy: object = None
            has_known_hosts = False

            def load_system_host_keys(self) -> None:
                self.has_known_hosts = True

            def set_missing_host_key_policy(self, policy: object) -> None:
                self.policy = policy

            def connect(self, **arguments: Any) -> None:
                server.connections.append(arguments)
                host = arguments["hostname"]
                assert self.has_known_hosts
                if host not in server.known:
                    assert isinstance(self.policy, RejectPolicy)
                    raise SSHException(f"Server '{host}' not found in known_hosts")
                if arguments["password"] not in (PASSWORD, None):
                    raise AuthenticationException("Authentication failed.")

            def open_sftp(self) -> Sftp:
                return Sftp(server)

            def close(self) -> None:
                server.closed += 1

        module = ModuleType("paramiko")
        for member in (
            SSHClient, RejectPolicy, SSHException, AuthenticationException, BadHostKeyException
        ):  # fmt: skip
            setattr(module, member.__name__, member)
        return module


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server(tmp_path / "server")
    server.root.mkdir()
    monkeypatch.setitem(sys.modules, "paramiko", server.module())
    monkeypatch.setattr(sync, "_PAUSE_SECONDS", 0)
    return server


class S3:
    """As much of boto3's client as is used."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects
        self.broken: set[str] = set()

    def get_paginator(self, operation: str) -> S3:
        assert operation == "list_objects_v2"
        return self

    def paginate(self, Bucket: str, Prefix: str) -> list[dict[str, Any]]:  # noqa: N803
        assert Bucket == "bucket"
        keys = [{"Key": key} for key in self.objects if key.startswith(Prefix)]
        return [{"Contents": keys[:3]}, {"Contents": keys[3:]}, {}]

    def download_file(self, bucket: str, key: str, path: str) -> None:
        if key in self.broken:
            Path(path).write_bytes(b"a part")
            raise ConnectionError("connection reset")
        Path(path).write_bytes(self.objects[key])


def bucket(monkeypatch: pytest.MonkeyPatch, objects: dict[str, bytes]) -> S3:
    s3 = S3(objects)
    module = ModuleType("boto3")

    def client(service: str, **options: str) -> S3:
        assert service == "s3"
        assert set(options) <= {"region_name", "aws_access_key_id", "aws_secret_access_key"}
        return s3

    module.client = client  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "boto3", module)
    return s3


# ── Restoring from a server ──


def test_a_backup_on_a_server_is_restored(server: Server, tmp_path: Path) -> None:
    backup = write_tree(server.root / "backups/daily")
    (backup / "link").symlink_to("readme.txt")
    encrypt_directory(backup, PASSPHRASE)
    for number, path in enumerate(["u@server:/backups/daily", "ssh://u@server/backups/daily/"]):
        target = tmp_path / str(number)
        done = restore_backup(
            LOG, path, str(target), encryption_passphrase=PASSPHRASE, ssh_password=PASSWORD
        )
        assert done is True
        assert read_tree(target) == {**TREE, "link": "-> readme.txt"}
    assert server.connections[0] == {
        "hostname": "server",
        "username": "u",
        "password": PASSWORD,
        "key_filename": None,
    }
    assert server.closed == 4


def test_an_unknown_host_is_refused(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_tree(server.root / "backup")
    target = str(tmp_path / "target")
    assert restore_backup(LOG, "u@stranger:/backup", target, ssh_password=PASSWORD) is False
    with pytest.raises(SSHException):
        sync.sync_ssh_server(str(tmp_path / "server"), "stranger", "u", PASSWORD, logger=LOG)
    # It does not become known by asking again.
    assert len(server.connections) == 2
    assert "not found in known_hosts" in caplog.text
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize("name", ["../evil", "/evil", "..", "a/../../evil", "", "a\0b"])
def test_a_server_cannot_lead_out_of_the_target(
    server: Server, tmp_path: Path, name: str
) -> None:
    write_tree(server.root / "backup", {"good": b"good"})
    write_tree(server.root, {"evil": b"evil"})
    for mode in [stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK]:
        server.forged = {"/backup": [Attributes(filename=name, st_mode=mode)]}
        target = tmp_path / "in/target"
        assert restore_backup(LOG, "u@server:/backup", str(target)) is False
        assert read_tree(tmp_path / "in") == {"target/good": b"good"}


def test_a_server_cannot_write_through_its_own_link(server: Server, tmp_path: Path) -> None:
    outside = write_tree(tmp_path / "outside", {"file": b"outside"})
    backup = write_tree(server.root / "backup", {"d/file": b"evil", "good": b"good"})
    (backup / "e").symlink_to(outside)
    # The same name twice: as a link, and as a directory with a file in it.
    link = Attributes(filename="d", st_mode=stat.S_IFLNK)
    server.forged = {"/backup": [link]}
    target = tmp_path / "target"
    assert restore_backup(LOG, "u@server:/backup", str(target)) is False
    assert read_tree(outside) == {"file": b"outside"}


def test_an_incomplete_download_is_no_success(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tree(server.root / "backup", {"a": b"a", "b": b"b"})
    whole = Sftp.get

    def get(sftp: Sftp, remote: str, local: str) -> None:
        whole(sftp, remote, local)
        if remote.endswith("/b"):
            raise OSError("size mismatch in get!")

    monkeypatch.setattr(Sftp, "get", get)
    target = tmp_path / "target"
    assert restore_backup(LOG, "u@server:/backup", str(target)) is False
    assert read_tree(target) == {"a": b"a"}
    assert restore_backup(LOG, "u@server:/none", str(tmp_path / "none")) is False
    (server.root / "empty").mkdir()
    assert restore_backup(LOG, "u@server:/empty", str(tmp_path / "empty")) is False


# ── Restoring from a bucket ──


def test_a_backup_in_a_bucket_is_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = {f"backups/daily/{name}": content for name, content in TREE.items()}
    bucket(monkeypatch, objects | {"backups/daily/": b"", "backups/daily/docs/": b""})
    for number, path in enumerate(["s3://bucket/backups/daily", "s3://bucket/backups/daily/"]):
        target = tmp_path / str(number)
        assert restore_backup(
            LOG, path, str(target), s3_region="r", s3_access_key="a", s3_secret_key="s"
        )
        assert read_tree(target) == TREE
    assert restore_backup(LOG, "s3://bucket", str(tmp_path / "all")) is True
    assert len(read_tree(tmp_path / "all")) == len(TREE)


def test_a_prefix_ends_at_a_slash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket(monkeypatch, {"bk/mine": b"mine", "bk2/other": b"other", "bk": b"a file"})
    assert restore_backup(LOG, "s3://bucket/bk", str(tmp_path / "target")) is True
    assert read_tree(tmp_path / "target") == {"mine": b"mine"}


@pytest.mark.parametrize("key", ["../evil", "/evil", "a/../../evil", "a//b", ".", "a/./b", "..//x"])
def test_a_key_cannot_lead_out_of_the_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    bucket(monkeypatch, {f"bk/{key}": b"evil", "bk/good": b"good"})
    assert restore_backup(LOG, "s3://bucket/bk", str(tmp_path / "in/target")) is False
    assert read_tree(tmp_path / "in") == {"target/good": b"good"}
    assert not Path("/evil").exists()


def test_an_incomplete_bucket_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = bucket(monkeypatch, {"bk/a": b"a", "bk/b": b"b", "bk/c": b"c", "bk/c/d": b"d"})
    s3.broken = {"bk/b"}
    assert restore_backup(LOG, "s3://bucket/bk", str(tmp_path / "target")) is False
    assert read_tree(tmp_path / "target") == {"a": b"a", "c": b"c"}
    assert restore_backup(LOG, "s3://bucket/none", str(tmp_path / "none")) is False


def test_what_is_not_installed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ["paramiko", "boto3"]:
        monkeypatch.setitem(sys.modules, name, None)
    assert restore_backup(LOG, "u@server:/backup", str(tmp_path / "target")) is False
    assert restore_backup(LOG, "s3://bucket/backup", str(tmp_path / "target")) is False
    assert "paramiko is not installed" in caplog.text
    assert "boto3 is not installed" in caplog.text
    with pytest.raises(UnsupportedError, match="paramiko"):
        sync.sync_ssh_server(str(tmp_path), "server", "u")


def test_a_download_counts_what_came(server: Server, tmp_path: Path) -> None:
    write_tree(server.root / "backup")
    download = Download(LOG, tmp_path / "local")
    download.from_sftp(Sftp(server), "/backup")
    assert (download.files, download.failed) == (len(TREE), 0)
    assert download.is_complete
    assert not Download(LOG, tmp_path).is_complete


# ── Sending ──


def upload(server: Server, source: Path, mode: str = "full", **more: Any) -> BackupManifest:
    manifest = BackupManifest(mode)
    server.sent.clear()
    sync.sync_ssh_server(
        str(source), "server", "u", PASSWORD, mode=mode, logger=LOG, manifest=manifest, **more
    )
    return manifest


def test_a_directory_is_sent_to_the_same_path(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = write_tree(tmp_path / "source")
    manifest = upload(server, source, exclude_patterns=["*.bin"])
    expected = {name: content for name, content in TREE.items() if not name.endswith(".bin")}
    copy = server.root / str(source).lstrip("/")
    assert read_tree(copy) == expected
    assert (copy / "readme.txt").stat().st_mtime == 1_700_000_000
    checksums = {Path(r["path"]).name: r["checksum"] for r in manifest._copied}
    assert checksums["readme.txt"] == sha256(TREE["readme.txt"])
    # Said every time: who thinks otherwise must not be left to think so.
    assert "not encrypted" in caplog.text


@pytest.mark.parametrize("mode", ["full", "incremental"])
def test_nothing_on_the_server_is_removed(server: Server, tmp_path: Path, mode: str) -> None:
    source = write_tree(tmp_path / "source")
    copy = write_tree(server.root / str(source).lstrip("/"), {"of the server": b"its own"})
    upload(server, source, mode)
    assert read_tree(copy) == {**TREE, "of the server": b"its own"}


@pytest.mark.parametrize("has_posix_rename", [True, False])
def test_a_file_takes_the_place_of_the_older_one_whole(
    server: Server, tmp_path: Path, has_posix_rename: bool
) -> None:
    server.has_posix_rename = has_posix_rename
    source = write_tree(tmp_path / "source", {"a": b"a"})
    upload(server, source)
    write_tree(source, {"a": b"b"})
    upload(server, source)
    assert all(".keepwatch-" in path for path in server.sent)
    assert read_tree(server.root / str(source).lstrip("/")) == {"a": b"b"}


def test_incremental_sending_does_not_miss_old_files(server: Server, tmp_path: Path) -> None:
    source = write_tree(tmp_path / "source")
    upload(server, source)
    manifest = upload(server, source, "incremental")
    assert (server.sent, len(manifest._skipped)) == ([], len(TREE))
    # Both are older than what is on the server.
    write_tree(source, {"readme.txt": b"another length", "new": b"new"})
    os.utime(source / "docs/notes.md", (1_600_000_000, 1_600_000_000))
    manifest = upload(server, source, "incremental")
    names = sorted(Path(record["path"]).name for record in manifest._copied)
    assert names == ["new", "notes.md", "readme.txt"]


def test_a_lost_connection_is_made_again_and_goes_on(server: Server, tmp_path: Path) -> None:
    source = write_tree(tmp_path / "source")
    server.lost_at = 3
    manifest = upload(server, source)
    assert len(server.connections) == 2
    assert len(manifest._copied) == len(TREE)
    assert manifest._failed == []
    assert len(server.sent) == len(TREE)


@pytest.mark.parametrize("says_so", [True, False])
def test_no_part_of_a_file_stays_on_the_server(
    server: Server, tmp_path: Path, says_so: bool
) -> None:
    source = write_tree(tmp_path / "source")
    server.cut_at, server.says_so = 3, says_so
    manifest = upload(server, source)
    assert (len(server.connections), len(manifest._copied)) == (2, len(TREE))
    assert read_tree(server.root / str(source).lstrip("/")) == TREE


def test_a_wrong_password_is_not_tried_again(server: Server, tmp_path: Path) -> None:
    source = write_tree(tmp_path / "source")
    with pytest.raises(AuthenticationException):
        sync.sync_ssh_server(str(source), "server", "u", "wrong", logger=LOG)
    assert len(server.connections) == 1


def test_a_file_that_fails_is_told_and_the_others_are_sent(
    server: Server, tmp_path: Path
) -> None:
    source = write_tree(tmp_path / "source")
    copy = server.root / str(source).lstrip("/")
    (copy / "readme.txt").mkdir(parents=True)
    (copy / "readme.txt/in the way").touch()
    manifest = BackupManifest()
    with pytest.raises(FilesFailedError) as failed:
        sync.sync_ssh_server(str(source), "server", "u", logger=LOG, manifest=manifest)
    assert list(failed.value.errors) == [str(source / "readme.txt")]
    assert len(manifest._copied) == len(TREE) - 1
    assert not list(copy.rglob(".keepwatch-*"))
    with pytest.raises(FileNotFoundError):
        sync.sync_ssh_server(str(tmp_path / "none"), "server", "u", logger=LOG)


def test_bandwidth_is_limited(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, slept = 0.0, []

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        slept.append(seconds)

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr("time.monotonic", lambda: now)
    source = write_tree(tmp_path / "source", {"file": bytes(1 << 20)})
    upload(server, source, bandwidth_limit=64)
    assert round(sum(slept)) == 16
    assert read_tree(server.root / str(source).lstrip("/")) == {"file": bytes(1 << 20)}


def test_servers_that_fail_are_told(server: Server, tmp_path: Path) -> None:
    source = write_tree(tmp_path / "source")
    messages: list[str] = []
    bot = SimpleNamespace(send_notification=messages.append)
    send = sync.sync_ssh_servers_concurrently
    send(str(source), ["server", "other"], "u", PASSWORD, logger=LOG, bot=bot)
    with pytest.raises(FilesFailedError) as failed:
        send(str(source), ["server", "stranger"], "u", PASSWORD, logger=LOG, bot=bot)
    assert list(failed.value.errors) == ["stranger"]
    assert messages == [
        f"Completed concurrent SSH sync of {source}",
        "Concurrent SSH sync failed for stranger",
    ]
