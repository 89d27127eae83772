"""Verification of backups against their manifests.

Every file that the source had at the last run has to be there with the content that was recorded when
it was copied; so have the older files that are still there. Encrypted files are decrypted while they
are hashed, and nothing of them is written. Nothing in a backup is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keepwatch._keepwatch import _bh_digest_files, _bh_Session
from keepwatch.compat.backuphandler._common import (
    SUFFIX,
    WORKERS,
    Bar,
    Logger,
    StrPath,
    log_to,
    printable,
    text_of,
)
from keepwatch.compat.backuphandler._mirror import Entry, Mirror
from keepwatch.compat.backuphandler.encryption import open_session
from keepwatch.compat.backuphandler.manifest import read_manifests
from keepwatch.errors import DamagedError, WrongKeyError

__all__ = ["print_verify_report", "verify_backup_integrity"]

_DETAILS_SHOWN = 20
_COUNTS = ("verified", "missing", "corrupted", "errors")


def verify_backup_integrity(
    logger: Logger | None,
    backup_dirs: Sequence[StrPath],
    encryption_passphrase: str | None = None,
    encryption_key_file: StrPath | None = None,
) -> dict[str, Any]:
    """Checks backup directories against their manifests; without manifests, that all can be read.

    The result has the counts ``total``, ``verified``, ``missing``, ``corrupted`` and ``errors``, and the
    same of each directory, with ``details``, in ``directories``. A directory that is not there or has
    nothing to check is an error, and so is an encrypted file without the key to it.
    """
    results: dict[str, Any] = {"total": 0, **dict.fromkeys(_COUNTS, 0), "directories": {}}
    for directory in backup_dirs:
        checked = _Directory(log_to(logger), Path(directory))
        try:
            session = None
            if encryption_passphrase or encryption_key_file:
                session = open_session(encryption_passphrase, encryption_key_file)
            total = checked.check(session)
        except (OSError, ValueError) as error:
            total = 0
            checked.count("errors", f"ERROR: {directory}: {text_of(error)}")
        results["total"] += total
        for count in _COUNTS:
            results[count] += checked.result[count]
        results["directories"][directory] = checked.result
    return results


class _Directory:
    """One backup directory and what is found out about it."""

    def __init__(self, logger: Logger, path: Path) -> None:
        self.logger = logger
        self.path = path
        self.result: dict[str, Any] = {
            "manifest_found": False,
            **dict.fromkeys(_COUNTS, 0),
            "details": [],
        }

    def count(self, what: str, detail: str | None = None) -> None:
        self.result[what] += 1
        if detail:
            self.result["details"].append(detail)
            self.logger.warning(detail)

    def check(self, session: _bh_Session | None) -> int:
        """Checks everything, and gives the number of files."""
        if not self.path.exists():
            self.count("errors", f"Directory not found: {self.path}")
            return 0
        manifests, errors = read_manifests(self.path)
        self.result["manifest_found"] = bool(manifests)
        for path, reason in errors.items():
            self.count("errors", f"MANIFEST UNREADABLE: {path}: {reason}")
        mirror = Mirror(self.path, manifests)
        for relative, error in mirror.unreadable:
            self.count("errors", f"ERROR: {self.path / relative}: {text_of(error)}")
        if manifests:
            total = self._check_entries(mirror, session)
        else:
            self.logger.warning(
                f"No manifest found in {self.path}: its files are read, and compared with nothing."
            )
            total = self._check_readable(mirror, session)
        if total == 0:
            self.count("errors", f"NOTHING TO CHECK: {self.path}")
        return total

    def _check_entries(self, mirror: Mirror, session: _bh_Session | None) -> int:
        entries = [entry for entry in mirror.entries if entry.required or entry.file]
        self.logger.info(f"Verifying {len(entries)} files from manifests in {self.path}")
        files = []
        for entry in entries:
            if entry.file is None:
                self.count("missing", f"MISSING: {entry.path}")
            elif entry.file in mirror.links:
                # The manifest says nothing about where a link leads.
                if entry.checksums:
                    self.count("corrupted", f"NOT A FILE: {self.path / entry.file}")
                else:
                    self.count("verified")
            elif entry.is_sealed and session is None:
                self._lacks_key(entry.file)
            else:
                files.append(entry)
        jobs = [(str(entry.file), entry.is_sealed) for entry in files]
        for entry, result in zip(files, self._digests(jobs, session), strict=True):
            self._judge(entry, result)
        return len(entries)

    def _judge(self, entry: Entry, result: tuple[int, str, bool] | Exception) -> None:
        path = self.path / str(entry.file)
        if isinstance(result, Exception):
            self._failed(path, result)
        elif entry.fits(*result[:2]):
            self.count("verified")
        elif all(result[0] != size for size, _ in entry.versions):
            expected = " or ".join(str(size) for size, _ in entry.versions)
            self.count(
                "corrupted", f"SIZE MISMATCH: {path} (expected {expected}, got {result[0]})"
            )
        else:
            self.count("corrupted", f"CHECKSUM MISMATCH: {path}")

    def _check_readable(self, mirror: Mirror, session: _bh_Session | None) -> int:
        files = []
        for name in mirror.files:
            if name.endswith(SUFFIX) and session is None:
                self._lacks_key(name)
            else:
                files.append((name, name.endswith(SUFFIX)))
        for (name, _), result in zip(files, self._digests(files, session), strict=True):
            if isinstance(result, Exception):
                self._failed(self.path / name, result)
            else:
                self.count("verified")
        return len(mirror.files)

    def _digests(
        self, files: list[tuple[str, bool]], session: _bh_Session | None
    ) -> list[tuple[int, str, bool] | Exception]:
        results: list[tuple[int, str, bool] | Exception] = [(0, "", False)] * len(files)
        with Bar(f"Verifying {self.path}", len(files)) as bar:

            def done(index: int, result: tuple[int, str, bool] | Exception) -> None:
                results[index] = result
                bar.advance()

            jobs = [(self.path / name, sealed) for name, sealed in files]
            _bh_digest_files(session, jobs, WORKERS, done)
        return results

    def _lacks_key(self, name: str) -> None:
        self.count("errors", f"NOT CHECKED (encrypted, and no key was given): {name}")

    def _failed(self, path: Path, error: Exception) -> None:
        if isinstance(error, WrongKeyError | DamagedError):
            self.count("corrupted", f"DECRYPT ERROR: {path}: {text_of(error)}")
        else:
            self.count("errors", f"ERROR: {path}: {text_of(error)}")


def print_verify_report(results: dict[str, Any]) -> bool:
    """Prints the result of :func:`verify_backup_integrity`, and says whether all is well.

    It is not where nothing was checked.
    """
    print("\n=== Backup Verification Report ===\n")
    print(f"Total files checked: {results['total']}")
    print(f"  Verified:  {results['verified']}")
    print(f"  Missing:   {results['missing']}")
    print(f"  Corrupted: {results['corrupted']}")
    print(f"  Errors:    {results['errors']}")
    for directory, found in results["directories"].items():
        manifest = "Found" if found["manifest_found"] else "Not found (files are read only)"
        print(f"\n  Directory: {printable(str(directory))}")
        print(f"    Manifest: {manifest}")
        print(
            f"    Verified: {found['verified']}, Missing: {found['missing']}, "
            f"Corrupted: {found['corrupted']}, Errors: {found['errors']}"
        )
        details = found["details"]
        for line in details[:_DETAILS_SHOWN]:
            print(f"      {printable(line)}")
        if len(details) > _DETAILS_SHOWN:
            print(f"      ... and {len(details) - _DETAILS_SHOWN} more")
    failed = results["missing"] or results["corrupted"] or results["errors"]
    all_ok = results["total"] > 0 and not failed
    if all_ok:
        print("\nResult: ALL BACKUPS VERIFIED OK\n")
    else:
        print("\nResult: VERIFICATION FOUND ISSUES\n")
    return all_ok
