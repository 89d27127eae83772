"""Restoring backups, from a directory, a ZIP archive, an SSH server or S3.

What is restored comes from the backup alone. Encrypted files are decrypted on their way to where they
belong; nothing leads out of the destination, and a file is there whole or not at all. A restore that
was not complete, or of nothing, is not a success.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keepwatch._keepwatch import (
    _bh_make_directory,
    _bh_make_link,
    _bh_place_beneath,
    _bh_Session,
    _bh_sync_directory,
    _bh_transfer_files,
)
from keepwatch.compat.backuphandler._common import (
    SUFFIX,
    WORKERS,
    Bar,
    Logger,
    StrPath,
    log_to,
    text_of,
)
from keepwatch.compat.backuphandler._mirror import Entry, Mirror
from keepwatch.compat.backuphandler._remote import (
    Download,
    connected,
    is_s3_path,
    is_ssh_path,
    parse_s3_path,
    parse_ssh_path,
    s3_client,
)
from keepwatch.compat.backuphandler.encryption import open_session
from keepwatch.compat.backuphandler.manifest import read_manifests
from keepwatch.errors import DamagedError, KeepwatchError

__all__ = ["restore_backup"]

# Under the names that BackupHandler's own tests know.
_is_ssh_path = is_ssh_path
_is_s3_path = is_s3_path
_parse_ssh_path = parse_ssh_path
_parse_s3_path = parse_s3_path


def restore_backup(
    logger: Logger | None,
    from_dir: StrPath,
    to_dir: StrPath,
    timestamp: str | None = None,
    encryption_passphrase: str | None = None,
    encryption_key_file: StrPath | None = None,
    ssh_password: str | None = None,
    s3_region: str | None = None,
    s3_access_key: str | None = None,
    s3_secret_key: str | None = None,
    dry_run: bool = False,
) -> bool:
    """Restores a backup into a directory, and says whether all of it is there; the log says what is not.

    ``from_dir`` is a directory, a ZIP archive, ``user@host:/path``, ``ssh://user@host/path`` or
    ``s3://bucket/prefix``. With ``timestamp`` (``YYYYMMDD_HHMMSS``) the files are restored as the manifests
    up to then say; a file whose content of then is no longer in the backup is not restored, and that
    is a failure.
    """
    log = log_to(logger)
    source = os.fspath(from_dir)
    target = Path(to_dir)
    if dry_run:
        return _preview(log, source, target, timestamp)
    try:
        session = None
        if encryption_passphrase or encryption_key_file:
            session = open_session(encryption_passphrase, encryption_key_file)
        if is_ssh_path(source) or is_s3_path(source):
            with tempfile.TemporaryDirectory(prefix="keepwatch-restore-") as fetched:
                if is_ssh_path(source):
                    download = _fetch_ssh(log, source, Path(fetched), ssh_password)
                else:
                    download = _fetch_s3(
                        log, source, Path(fetched), s3_region, s3_access_key, s3_secret_key
                    )
                if download is None or download.files == 0:
                    log.error(f"Nothing was downloaded from {source}")
                    return False
                restored = _restore_directory(log, Path(fetched), target, timestamp, session)
                return restored and download.is_complete
        path = Path(source)
        if path.is_file() and path.suffix == ".zip":
            return _restore_from_zip(log, path, target)
        if path.is_dir():
            return _restore_directory(log, path, target, timestamp, session)
        what = "Unsupported restore source" if path.exists() else "Restore source does not exist"
        log.error(f"{what}: {source}")
    except (KeepwatchError, OSError) as error:
        log.error(f"Restore from {source} failed: {text_of(error)}")
    return False


def _preview(log: Logger, source: str, target: Path, timestamp: str | None) -> bool:
    """Prints what a restore would do, and says whether there is anything to restore."""
    print("[DRY RUN] Restore preview:")
    print(f"  Source:      {source}")
    print(f"  Destination: {target}")
    possible = True
    if is_ssh_path(source):
        print("  Type:        SSH remote download + local restore")
    elif is_s3_path(source):
        print("  Type:        S3 download + local restore")
    elif Path(source).is_file() and source.endswith(".zip"):
        print("  Type:        ZIP archive extraction")
    elif Path(source).is_dir():
        files = Mirror(Path(source), []).files
        sealed = sum(name.endswith(SUFFIX) for name in files)
        print("  Type:        Directory restore")
        print(f"  Files:       {len(files)}")
        if sealed:
            print(f"  Encrypted:   {sealed} files")
        possible = bool(files)
    else:
        print("  Type:        Unknown source")
        possible = False
    if timestamp:
        print(f"  Timestamp:   {timestamp} (point-in-time restore)")
    log.info(f"[DRY RUN] Would restore from {source} to {target}")
    print("\n[DRY RUN] No files were modified.")
    return possible


# ── From other machines ──


def _fetch_ssh(
    log: Logger, ssh_path: str, local_dir: Path, password: str | None
) -> Download | None:
    user, host, remote = parse_ssh_path(ssh_path)
    log.info(f"Downloading from SSH: {user}@{host}:{remote} -> {local_dir}")
    download = Download(log, local_dir)
    try:
        with connected(host, user, password) as sftp:
            download.from_sftp(sftp, remote)
    except Exception as error:
        log.error(f"Failed to download from SSH {host}: {text_of(error)}")
        return None
    log.info(f"SSH download: {download.files} files, {download.failed} failures")
    return download


def _fetch_s3(
    log: Logger,
    s3_path: str,
    local_dir: Path,
    region: str | None,
    access_key: str | None,
    secret_key: str | None,
) -> Download | None:
    bucket, prefix = parse_s3_path(s3_path)
    log.info(f"Downloading from S3: s3://{bucket}/{prefix} -> {local_dir}")
    download = Download(log, local_dir)
    try:
        download.from_s3(s3_client(region, access_key, secret_key), bucket, prefix)
    except Exception as error:
        log.error(f"Failed to download from S3: {text_of(error)}")
        return None
    log.info(f"S3 download: {download.files} files, {download.failed} failures")
    return download


def _download_from_ssh(
    logger: Logger | None, ssh_path: str, local_dir: StrPath, ssh_password: str | None = None
) -> bool:
    """Downloads a remote directory, and says whether all of it came."""
    download = _fetch_ssh(log_to(logger), ssh_path, Path(local_dir), ssh_password)
    return download is not None and download.is_complete


def _sftp_download_recursive(
    sftp: Any, remote_dir: str, local_dir: StrPath, logger: Logger | None
) -> bool:
    """Downloads a directory of an open session, and says whether all of it came."""
    download = Download(log_to(logger), Path(local_dir))
    download.from_sftp(sftp, remote_dir)
    return download.is_complete


def _download_from_s3(
    logger: Logger | None,
    s3_path: str,
    local_dir: StrPath,
    region: str | None = None,
    access_key: str | None = None,
    secret_key: str | None = None,
) -> bool:
    """Downloads what is below a prefix, and says whether all of it came."""
    download = _fetch_s3(
        log_to(logger), s3_path, Path(local_dir), region, access_key, secret_key
    )
    return download is not None and download.is_complete


# ── From a directory ──


@dataclass
class _File:
    """A file to restore."""

    #: In the backup.
    source: str
    #: Where it goes.
    target: str
    #: Whether it is to be decrypted.
    sealed: bool
    #: What the manifest says of it.
    entry: Entry | None = None
    #: What its content must have for a checksum, or it stays where it is.
    checksums: list[str] | None = None


@dataclass
class _Plan:
    """What a restore does, before it does it."""

    directories: list[str] = field(default_factory=list)
    files: list[_File] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    #: What is wrong already.
    failures: list[str] = field(default_factory=list)


def _restore_directory(
    log: Logger,
    source: Path,
    target: Path,
    timestamp: str | None,
    session: _bh_Session | None,
) -> bool:
    manifests, errors = read_manifests(source)
    for path, reason in errors.items():
        log.warning(f"A manifest cannot be read: {path}: {reason}")
    if timestamp:
        plan = _plan_of_then(log, source, manifests, timestamp, session)
        if plan is None:
            return False
        plan.failures += [f"{path}: {reason}" for path, reason in errors.items()]
    else:
        plan = _plan_of_now(log, source, manifests, session)
    return _carry_out(log, plan, source, target, session)


def _plan_of_now(
    log: Logger, source: Path, manifests: list[dict[str, Any]], session: _bh_Session | None
) -> _Plan:
    """Everything in the backup, and that nothing is missing there."""
    mirror = Mirror(source, manifests)
    plan = _Plan(directories=mirror.directories, links=sorted(mirror.links))
    plan.failures = [f"{path}: {text_of(error)}" for path, error in mirror.unreadable]
    left = dict.fromkeys(mirror.files)
    targets = set()
    for entry in mirror.entries:
        if entry.file is None:
            if entry.required:
                plan.failures.append(f"{entry.path}: it is missing in the backup")
        elif entry.file in mirror.links:
            if entry.checksums:
                plan.failures.append(f"{entry.path}: a link has taken its place in the backup")
        else:
            left.pop(entry.file, None)
            targets.add(entry.relative)
            plan.files.append(_file_of(entry, session))
    # What no manifest knows: plain ones first, for they are newer than a form that is encrypted.
    for name in sorted(left, key=lambda name: (name.endswith(SUFFIX), name)):
        sealed = name.endswith(SUFFIX)
        if sealed and name.removesuffix(SUFFIX) in targets and session:
            log.warning(f"Not restored, because there is a newer form of it: {name}")
            continue
        target = name.removesuffix(SUFFIX) if session else name
        targets.add(target)
        plan.files.append(_File(name, target, sealed and session is not None))
    sealed_names = [f.source for f in plan.files if f.source.endswith(SUFFIX) and not f.sealed]
    known = {entry.file for entry in mirror.entries if not entry.is_sealed}
    still_sealed = [name for name in sealed_names if name not in known]
    if still_sealed:
        plan.failures.append(
            f"{len(still_sealed)} files are encrypted and no passphrase or key file was given: "
            f"they are copied as they are"
        )
    return plan


def _plan_of_then(
    log: Logger,
    source: Path,
    manifests: list[dict[str, Any]],
    timestamp: str,
    session: _bh_Session | None,
) -> _Plan | None:
    """What the backup had at a time, as far as the mirror still has it."""

    def is_later(manifest: dict[str, Any]) -> bool:
        name = Path(manifest["_manifest_path"]).stem
        return name.removeprefix("backup_manifest_") > timestamp

    until = [manifest for manifest in manifests if not is_later(manifest)]
    if not until:
        log.error(f"No manifest is as old as {timestamp}: what the backup had then is not known")
        return None
    log.info(f"Restoring with {len(until)} manifest(s) up to {timestamp}")
    later = Mirror(source, [manifest for manifest in manifests if is_later(manifest)])
    copied_later = {entry.path for entry in later.entries}
    mirror = Mirror(source, until)
    plan = _Plan()
    for entry in mirror.entries:
        problem = None
        if entry.file is None:
            problem = "it is missing in the backup"
        elif entry.file in mirror.links and entry.checksums:
            problem = "a link has taken its place in the backup"
        elif entry.file in mirror.links:
            plan.links.append(entry.file)
            if entry.path in copied_later:
                log.warning(f"The link may have led elsewhere at {timestamp}: {entry.file}")
        elif not entry.checksums and entry.path in copied_later:
            problem = "it was copied again later, and nothing says what it was"
        elif entry.is_sealed and session is None:
            problem = "it is encrypted, and no passphrase or key file was given"
        else:
            file = _file_of(entry, session)
            file.checksums = entry.checksums or None
            plan.files.append(file)
        if problem and entry.required:
            plan.failures.append(f"{entry.path}: {problem}")
        elif problem:
            log.warning(f"Deleted from the source before {timestamp}: {entry.path}: {problem}")
    return plan


def _file_of(entry: Entry, session: _bh_Session | None) -> _File:
    sealed = entry.is_sealed and session is not None
    target = str(entry.file) if entry.is_sealed and not sealed else entry.relative
    return _File(str(entry.file), target, sealed, entry)


def _carry_out(
    log: Logger, plan: _Plan, source: Path, target: Path, session: _bh_Session | None
) -> bool:
    log.info(f"Restoring {len(plan.files)} files and {len(plan.links)} links to {target}")
    failures = plan.failures
    restored = 0

    def fail(name: str, error: BaseException | str) -> None:
        reason = text_of(error) if isinstance(error, BaseException) else error
        failures.append(f"{name}: {reason}")

    target.mkdir(parents=True, exist_ok=True)
    for directory in plan.directories:
        try:
            _bh_make_directory(target, directory, False)
        except (OSError, ValueError) as error:
            fail(directory, error)
    with Bar(f"Restoring to {target}", len(plan.files)) as bar:

        def done(index: int, result: tuple[int, str, bool] | Exception) -> None:
            nonlocal restored
            bar.advance()
            file = plan.files[index]
            if isinstance(result, DamagedError) and file.checksums:
                reason = "the backup has another content by now"
                if file.entry and file.entry.required:
                    fail(file.target, reason)
                else:
                    log.warning(f"Not restored: {file.target}: {reason}")
            elif isinstance(result, Exception):
                fail(file.target, result)
            else:
                restored += 1
                sealed_still = file.entry and file.entry.is_sealed and not file.sealed
                if file.entry and not sealed_still and not file.entry.fits(*result[:2]):
                    fail(file.target, "restored, but it is not what the manifest says")
                else:
                    log.info(f"Restored: {file.target}")

        jobs = [(source / f.source, target, f.target, f.sealed, f.checksums) for f in plan.files]
        _bh_transfer_files(session, jobs, WORKERS, False, done)
    # Last, so that nothing is written through one.
    for link in plan.links:
        try:
            _bh_make_link(os.readlink(source / link), target, link, False)
            restored += 1
        except (OSError, ValueError) as error:
            fail(link, error)
    for failure in failures:
        log.error(f"Failed to restore {failure}")
    if restored == 0:
        log.error(f"There was nothing to restore in {source}")
    log.info(f"Restore complete: {restored} files restored, {len(failures)} failures")
    return restored > 0 and not failures


# ── From an archive ──


def _restore_from_zip(logger: Logger | None, zip_path: StrPath, to_dir: StrPath) -> bool:
    """Extracts an archive, and says whether all of it is there."""
    log = log_to(logger)
    log.info(f"Restoring from ZIP archive: {os.fspath(zip_path)}")
    target = Path(to_dir)
    extracted: set[str] = set()
    failed = 0
    try:
        with zipfile.ZipFile(zip_path) as archive:
            for member in archive.infolist():
                name = member.filename
                try:
                    if name.endswith("/"):
                        _bh_make_directory(target, name.rstrip("/"), False)
                        continue
                    if name in extracted:
                        raise FileExistsError("the archive has another file of that name")
                    if member.flag_bits & 1:
                        raise PermissionError("it is encrypted with a password")
                    _extract(archive, member, target)
                    extracted.add(name)
                except (OSError, ValueError, RuntimeError, NotImplementedError) as error:
                    failed += 1
                    log.error(f"Failed to restore {name}: {text_of(error)}")
                except zipfile.BadZipFile as error:
                    failed += 1
                    log.error(f"Failed to restore {name}: {text_of(error)}")
    except zipfile.BadZipFile:
        log.error(f"Bad ZIP file: {os.fspath(zip_path)}")
        return False
    log.info(f"Restored {len(extracted)} files to {target}, {failed} failures")
    return bool(extracted) and failed == 0


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    path = _bh_place_beneath(target, member.filename)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".keepwatch-", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file, archive.open(member) as packed:
            shutil.copyfileobj(packed, file, 1 << 20)
            mode = member.external_attr >> 16 & 0o777
            if mode:
                os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _bh_sync_directory(path.parent)
