"""Backups of directories: into others, and to servers over SFTP.

Every file is tried. If some could not be copied, the function raises
:class:`~keepwatch.compat.backuphandler.errors.FilesFailedError` at its end; the manifest has them too.
Notifications then say so instead of that the backup is complete.
"""

from __future__ import annotations

import importlib
import os
import secrets
import string
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from keepwatch.compat.backuphandler._common import Bot, Logger, StrPath, log_to, text_of
from keepwatch.compat.backuphandler._copying import (
    Manifest,
    Run,
    Source,
    changed_entries,
    copy_entries,
    look_at,
)
from keepwatch.compat.backuphandler._remote import connected, import_or_explain
from keepwatch.compat.backuphandler._upload import Upload, make_directories, put
from keepwatch.compat.backuphandler.errors import FilesFailedError
from keepwatch.errors import FileMissingError, PartialError, UnsupportedError

__all__ = [
    "perform_differential_backup",
    "perform_full_backup",
    "perform_incremental_backup",
    "sync_directories_with_progress",
    "sync_ssh_server",
    "sync_ssh_servers_concurrently",
]

_ATTEMPTS = 3
_PAUSE_SECONDS = 2.0
_MOST_SERVERS_AT_ONCE = 10


def sync_directories_with_progress(
    logger: Logger | None,
    source_dirs: Sequence[StrPath],
    backup_dirs: Sequence[StrPath],
    compress: str | None = None,
    bot: Bot | None = None,
    receiver_emails: Sequence[str] | None = None,
    exclude_patterns: Iterable[str] | None = None,
    manifest: Manifest | None = None,
    parallel_copies: int = 1,
) -> None:
    """Copies everything from the sources into each backup directory.

    ``compress`` is "zip" or "zip_pw", for an archive beside the copy, which BackupHandler's own
    ``src.compression`` makes.
    """
    compression = _compression() if compress in ("zip", "zip_pw") else None
    run = Run(logger, manifest)
    sources = [
        _source(run, directory, exclude_patterns, backup_dirs) for directory in source_dirs
    ]
    for source in sources:
        for directory in map(Path, backup_dirs):
            copy_entries(run, source, list(source.entries), directory, parallel_copies)
    if compression is not None:
        _compress(run, compression, source_dirs, backup_dirs, compress, bot, receiver_emails)
    _end(run, f"backup of {source_dirs}", f"Backup completed for {source_dirs}", bot, receiver_emails)


def perform_full_backup(
    logger: Logger | None,
    source_dir: StrPath | Sequence[StrPath],
    backup_dirs: Sequence[StrPath],
    compress: str | None = None,
    bot: Bot | None = None,
    receiver_emails: Sequence[str] | None = None,
    exclude_patterns: Iterable[str] | None = None,
    manifest: Manifest | None = None,
    parallel_copies: int = 1,
) -> None:
    """Copies everything from the source, or the sources, into each backup directory."""
    log_to(logger).info(f"Performing full backup from {source_dir}")
    sources = [source_dir] if isinstance(source_dir, str | os.PathLike) else source_dir
    sync_directories_with_progress(
        logger,
        sources,
        backup_dirs,
        compress=compress,
        bot=bot,
        receiver_emails=receiver_emails,
        exclude_patterns=exclude_patterns,
        manifest=manifest,
        parallel_copies=parallel_copies,
    )


def perform_incremental_backup(
    logger: Logger | None,
    source_dir: StrPath,
    backup_dirs: Sequence[StrPath],
    last_backup_time: float,
    bot: Bot | None = None,
    receiver_emails: Sequence[str] | None = None,
    exclude_patterns: Iterable[str] | None = None,
    manifest: Manifest | None = None,
) -> None:
    """Copies what was modified after a time, and what a backup directory has no equal of.

    Equal is a file, encrypted or not, with the size and modification time of the source's; and where
    anything happened to that since it was copied, its content.
    """
    log_to(logger).info(
        f"Performing incremental backup from {source_dir} since last backup time: {last_backup_time}"
    )
    _copy_changes(
        Run(logger, manifest), source_dir, backup_dirs, last_backup_time, exclude_patterns,
        "incremental", bot, receiver_emails,
    )  # fmt: skip


def perform_differential_backup(
    logger: Logger | None,
    source_dir: StrPath,
    backup_dirs: Sequence[StrPath],
    last_full_backup_time: float,
    bot: Bot | None = None,
    receiver_emails: Sequence[str] | None = None,
    exclude_patterns: Iterable[str] | None = None,
    manifest: Manifest | None = None,
) -> None:
    """Copies what was modified after the last full backup, and what a directory has no equal of."""
    log_to(logger).info(f"Performing differential backup from {source_dir}")
    _copy_changes(
        Run(logger, manifest), source_dir, backup_dirs, last_full_backup_time, exclude_patterns,
        "differential", bot, receiver_emails,
    )  # fmt: skip


def _copy_changes(
    run: Run,
    source_dir: StrPath,
    backup_dirs: Sequence[StrPath],
    since: float,
    exclude_patterns: Iterable[str] | None,
    mode: str,
    bot: Bot | None,
    receiver_emails: Sequence[str] | None,
) -> None:
    source = _source(run, source_dir, exclude_patterns, backup_dirs)
    for directory in map(Path, backup_dirs):
        names = changed_entries(source, directory, since)
        copy_entries(run, source, names, directory, 1)
        changed = set(names)
        for name in source.entries:
            if name not in changed:
                run.skip(source.named(name))
    done = f"Completed {mode} backup from {source_dir}"
    _end(run, f"{mode} backup of {source_dir}", done, bot, receiver_emails)


def _source(
    run: Run,
    path: StrPath,
    patterns: Iterable[str] | None,
    backup_dirs: Sequence[StrPath],
) -> Source:
    if not Path(path).is_dir():
        raise FileMissingError(f"the source is not there: {os.fspath(path)}")
    source = look_at(run, path, patterns, backup_dirs)
    if not source.entries:
        run.logger.warning(f"There is nothing to back up in {os.fspath(path)}")
    return source


def _copy_single_file(
    logger: Logger | None,
    file: StrPath,
    src_dir: StrPath,
    backup_dir: StrPath,
    manifest: Manifest | None,
) -> None:
    """Copies one file of a source; what fails is logged and in the manifest."""
    relative = Path(file).relative_to(src_dir).as_posix()
    kind = "link" if Path(file).is_symlink() else "file"
    source = Source(Path(src_dir), {relative: (relative, kind, 0, 0, 0)})
    copy_entries(Run(logger, manifest), source, [relative], Path(backup_dir), 1)


# ── Archives ──


def _compression() -> Any:
    """BackupHandler's own module; asked for before anything is copied."""
    try:
        return importlib.import_module("src.compression")
    except ImportError as error:
        raise UnsupportedError(f"compress: src.compression cannot be imported: {error}") from error


def _compress(
    run: Run,
    compression: Any,
    source_dirs: Sequence[StrPath],
    backup_dirs: Sequence[StrPath],
    compress: str | None,
    bot: Bot | None,
    receiver_emails: Sequence[str] | None,
) -> None:
    alphabet = string.ascii_letters + string.digits
    password = "".join(secrets.choice(alphabet) for _ in range(16)) if compress == "zip_pw" else None
    before = {str(directory): _archives(directory) for directory in backup_dirs}
    compression.compress_directory(
        run.logger,
        src_dirs=list(source_dirs),
        output_dirs=list(backup_dirs),
        password=password,
        bot_handler=bot,
        receiver_emails=receiver_emails,
    )
    # It logs what fails, and goes on.
    for directory, archives in before.items():
        if not _archives(directory) - archives:
            run.fail(directory, directory, "no archive was made")


def _archives(directory: StrPath) -> set[tuple[str, int]]:
    paths = Path(directory).glob("backup_*.zip")
    return {(path.name, path.stat().st_mtime_ns) for path in paths}


# ── Notifications ──


def _end(
    run: Run,
    what: str,
    message: str,
    bot: Bot | None,
    receiver_emails: Sequence[str] | None,
) -> None:
    """Tells who wants to know, and raises what failed."""
    subject = "Backup Completed"
    if run.errors:
        subject = "Backup Failed"
        message = f"{what[0].upper()}{what[1:]}: {len(run.errors)} file(s) could not be backed up"
    _notify(run.logger, subject, message, bot, receiver_emails)
    run.finish(what)


def _notify(
    logger: Logger,
    subject: str,
    message: str,
    bot: Bot | None,
    receiver_emails: Sequence[str] | None,
) -> None:
    """By BackupHandler's own bot and mail. A message that is lost is no failure of the backup."""
    if bot:
        try:
            bot.send_notification(message)
        except Exception as error:
            logger.error(f"Failed to send Telegram notification: {text_of(error)}")
    if receiver_emails:
        try:
            mail = importlib.import_module("email_nots.email")
            mail.send_email(receiver_emails, subject, message, logger=logger)
        except Exception as error:
            logger.error(f"Failed to send email notification: {text_of(error)}")


# ── Servers ──


def _sftp_put_throttled(
    sftp: Any, local_path: StrPath, remote_path: str, bandwidth_limit_kbps: int
) -> None:
    """Sends a file, at most so many KiB a second if that is above 0."""
    put(sftp, Path(local_path), remote_path, bandwidth_limit_kbps)


def _sftp_mkdirs(sftp: Any, remote_dir: str, logger: Logger | None = None) -> None:
    """Makes a directory of a server and those above it."""
    try:
        make_directories(sftp, remote_dir)
    except OSError as error:
        log_to(logger).error(f"Failed to create remote directory {remote_dir}: {text_of(error)}")
        raise


def _sftp_upload_directory(
    sftp: Any,
    local_path: StrPath,
    remote_path: str,
    mode: str = "full",
    logger: Logger | None = None,
    exclude_patterns: Iterable[str] | None = None,
    manifest: Manifest | None = None,
    bandwidth_limit: int = 0,
) -> None:
    """Sends a directory over an open session. Nothing on the server is removed."""
    run = Run(logger, manifest)
    Upload(run, local_path, remote_path, mode, exclude_patterns, bandwidth_limit).send(sftp, ())
    run.finish(f"upload of {os.fspath(local_path)}")


def sync_ssh_server(
    source_dir: StrPath,
    server: str,
    username: str | None,
    password: str | None = None,
    key_filepath: StrPath | None = None,
    mode: str = "full",
    logger: Logger | None = None,
    bot: Bot | None = None,
    exclude_patterns: Iterable[str] | None = None,
    manifest: Manifest | None = None,
    bandwidth_limit: int = 0,
) -> None:
    """Sends a directory to the same path on a server, as it is: not encrypted.

    The server's key has to be in a ``known_hosts`` file. Nothing on the server is removed. A connection
    that is lost is made again, twice, and goes on where it was.
    """
    log = log_to(logger)
    log.info(f"Syncing {source_dir} to SSH server: {server} in {mode} mode")
    log.warning(f"Files are sent to {server} as they are, not encrypted")
    paramiko = import_or_explain("paramiko")
    lost = (EOFError, ConnectionError, TimeoutError, paramiko.SSHException)
    run = Run(logger, manifest)
    upload = Upload(run, source_dir, os.fspath(source_dir), mode, exclude_patterns, bandwidth_limit)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with connected(server, username, password, key_filepath) as sftp:
                log.info(f"Connected to SSH server: {server}")
                upload.send(sftp, lost)
            break
        except (paramiko.AuthenticationException, paramiko.BadHostKeyException):
            # Neither gets better by trying.
            raise
        except (OSError, EOFError, paramiko.SSHException) as error:
            log.error(f"Failed to sync to SSH server {server}: {text_of(error)}")
            if attempt == _ATTEMPTS or "known_hosts" in str(error):
                raise
            time.sleep(_PAUSE_SECONDS)
    run.finish(f"upload of {os.fspath(source_dir)} to {server}")
    log.info(f"Completed SSH sync to {server}")


def sync_ssh_servers_concurrently(
    source_dir: StrPath,
    ssh_servers: Sequence[str],
    username: str | None,
    password: str | None = None,
    key_filepath: StrPath | None = None,
    mode: str = "full",
    logger: Logger | None = None,
    bot: Bot | None = None,
    receiver_emails: Sequence[str] | None = None,
    exclude_patterns: Iterable[str] | None = None,
    manifest: Manifest | None = None,
    bandwidth_limit: int = 0,
) -> None:
    """Sends a directory to several servers at once.

    :raises FilesFailedError: when all have been tried and some did not get everything.
    """
    log = log_to(logger)
    errors: dict[str, str] = {}
    done = 0

    def send_to(server: str) -> None:
        sync_ssh_server(
            source_dir,
            server,
            username,
            password,
            key_filepath,
            mode,
            logger=logger,
            bot=bot,
            exclude_patterns=exclude_patterns,
            manifest=manifest,
            bandwidth_limit=bandwidth_limit,
        )

    workers = max(1, min(len(ssh_servers), _MOST_SERVERS_AT_ONCE))
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = {server: pool.submit(send_to, server) for server in ssh_servers}
        for server, future in futures.items():
            try:
                future.result()
                done += 1
            except Exception as error:
                errors[server] = text_of(error)
                if not isinstance(error, PartialError):
                    log.error(f"Failed to sync to SSH server {server}: {text_of(error)}")
    if errors:
        message = f"Concurrent SSH sync failed for {', '.join(errors)}"
        _notify(log, "Backup Failed", message, bot, receiver_emails)
        raise FilesFailedError(f"upload of {os.fspath(source_dir)}", errors, done)
    message = f"Completed concurrent SSH sync of {os.fspath(source_dir)}"
    _notify(log, "Backup Completed", message, bot, receiver_emails)
