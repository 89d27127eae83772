"""Backups on other machines: paths that name them, and how they come here.

paramiko and boto3 are imported when they are needed.
"""

from __future__ import annotations

import importlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keepwatch._keepwatch import _bh_make_directory, _bh_make_link, _bh_place_beneath
from keepwatch.compat.backuphandler._common import Logger, StrPath, text_of
from keepwatch.errors import UnsupportedError

_SSH_PATH = re.compile(r"[\w.-]+@[\w.-]+:.+")


def is_ssh_path(path: str) -> bool:
    """Whether it is ``user@host:/path`` or ``ssh://…``."""
    return path.startswith("ssh://") or _SSH_PATH.match(path) is not None


def is_s3_path(path: str) -> bool:
    """Whether it is ``s3://bucket/prefix``."""
    return path.startswith("s3://")


def parse_ssh_path(path: str) -> tuple[str | None, str, str]:
    """User, host and path of ``user@host:/path`` or ``ssh://user@host/path``."""
    if path.startswith("ssh://"):
        where, _, remote = path.removeprefix("ssh://").partition("/")
        remote = "/" + remote
    else:
        where, _, remote = path.partition(":")
    user, at, host = where.partition("@")
    return (user, host, remote) if at else (None, where, remote)


def parse_s3_path(path: str) -> tuple[str, str]:
    """Bucket and prefix of ``s3://bucket/prefix``."""
    bucket, _, prefix = path.removeprefix("s3://").partition("/")
    return bucket, prefix


def import_or_explain(name: str) -> Any:
    """A package that only some of this needs."""
    try:
        return importlib.import_module(name)
    except ImportError:
        error = UnsupportedError(f"{name} is not installed")
        error.hint = f"install it with: pip install {name}"
        raise error from None


@contextmanager
def connected(
    host: str,
    user: str | None,
    password: str | None = None,
    key_filepath: StrPath | None = None,
) -> Iterator[Any]:
    """An SFTP session with a host whose key is known.

    A host that is in no ``known_hosts`` file may be anybody: it is refused before a password is sent.
    """
    paramiko = import_or_explain("paramiko")
    ssh = paramiko.SSHClient()
    ssh.load_system_host_keys()
    ssh.set_missing_host_key_policy(paramiko.RejectPolicy())
    key = None if key_filepath is None else os.fspath(key_filepath)
    try:
        ssh.connect(hostname=host, username=user, password=password, key_filename=key)
        sftp = ssh.open_sftp()
        try:
            yield sftp
        finally:
            sftp.close()
    finally:
        ssh.close()


class Download:
    """A remote directory on its way into a local one: how much came, and what did not."""

    def __init__(self, logger: Logger, root: Path) -> None:
        self.logger = logger
        self.root = root
        self.files = 0
        self.failed = 0

    @property
    def is_complete(self) -> bool:
        """Whether everything is here, and that is something."""
        return self.files > 0 and self.failed == 0

    def fail(self, what: str, reason: str | BaseException) -> None:
        """Something could not be fetched."""
        self.failed += 1
        reason = text_of(reason) if isinstance(reason, BaseException) else reason
        self.logger.error(f"Failed to download {what}: {reason}")

    def from_sftp(self, sftp: Any, remote: str) -> None:
        """Fetches all that is beneath a directory of a server.

        The server says the names, so each is looked at before it becomes a path. Links are made
        last: nothing is ever written through one.
        """
        links, pending = [], [""]
        while pending:
            directory = pending.pop()
            path = _join(remote, directory)
            try:
                entries = sftp.listdir_attr(path)
            except Exception as error:
                self.fail(path, error)
                continue
            for entry in entries:
                name = entry.filename
                if name in ("", ".", "..") or "/" in name or "\0" in name:
                    self.fail(f"{path}/{name!r}", "a name must not lead elsewhere")
                    continue
                relative = f"{directory}/{name}" if directory else name
                mode = entry.st_mode or 0
                if stat.S_ISLNK(mode):
                    links.append(relative)
                elif stat.S_ISDIR(mode):
                    if self._make_directory(relative):
                        pending.append(relative)
                elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
                    remote_file = _join(remote, relative)
                    self._fetch(
                        remote_file, relative, lambda to, of=remote_file: sftp.get(of, to)
                    )
                else:
                    self.logger.warning(f"Not downloaded, being no file: {_join(remote, relative)}")
        for relative in links:
            try:
                _bh_make_link(sftp.readlink(_join(remote, relative)), self.root, relative, False)
                self.files += 1
            except Exception as error:
                self.fail(_join(remote, relative), error)

    def from_s3(self, s3: Any, bucket: str, prefix: str) -> None:
        """Fetches the objects below a prefix, which ends at a slash: ``bk`` is not ``bk2``."""
        prefix = prefix.rstrip("/")
        prefix = f"{prefix}/" if prefix else ""
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            for item in page.get("Contents", []):
                key = item["Key"]
                relative = key.removeprefix(prefix)
                if not key.startswith(prefix):
                    self.fail(key, f"it is not below {prefix}")
                elif not relative.strip("/"):
                    continue
                elif any(part in ("", ".", "..") for part in relative.rstrip("/").split("/")):
                    self.fail(key, "a key must not lead elsewhere")
                elif relative.endswith("/"):
                    self._make_directory(relative.rstrip("/"))
                else:
                    self._fetch(
                        key, relative, lambda to, of=key: s3.download_file(bucket, of, to)
                    )

    def _make_directory(self, relative: str) -> bool:
        try:
            _bh_make_directory(self.root, relative, False)
        except (OSError, ValueError) as error:
            self.fail(relative, error)
            return False
        return True

    def _fetch(self, what: str, relative: str, fetch: Any) -> None:
        path = None
        try:
            path = _bh_place_beneath(self.root, relative)
            if path.is_symlink() or path.exists():
                raise FileExistsError("there is something else of that name")
            fetch(str(path))
            self.files += 1
            self.logger.debug(f"Downloaded: {what}")
        except FileExistsError as error:
            self.fail(what, error)
        except Exception as error:
            # A part of a file is none.
            if path is not None:
                path.unlink(missing_ok=True)
            self.fail(what, error)


def _join(remote: str, relative: str) -> str:
    return f"{remote.rstrip('/')}/{relative}" if relative else remote


def s3_client(region: str | None, access_key: str | None, secret_key: str | None) -> Any:
    """A client with these credentials, or those that boto3 finds."""
    options = {}
    if region:
        options["region_name"] = region
    if access_key and secret_key:
        options["aws_access_key_id"] = access_key
        options["aws_secret_access_key"] = secret_key
    return import_or_explain("boto3").client("s3", **options)
