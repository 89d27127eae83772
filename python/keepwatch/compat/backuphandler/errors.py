"""What these modules raise, beyond the exceptions of :mod:`keepwatch.errors`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from keepwatch.errors import DamagedError, PartialError, WrongKeyError

if TYPE_CHECKING:
    from cryptography.exceptions import InvalidTag
else:
    try:
        # What BackupHandler's callers catch; the package itself is not needed here.
        from cryptography.exceptions import InvalidTag
    except ImportError:

        class InvalidTag(Exception):
            """Stands in for the class of the package cryptography."""


__all__ = ["DecryptionError", "FilesFailedError", "NotEncryptedError"]


class DecryptionError(WrongKeyError, InvalidTag):
    """The passphrase or key does not fit, or the file was changed: nobody can tell which."""


class NotEncryptedError(DamagedError, InvalidTag):
    """The file is too short to be an encrypted one."""


class FilesFailedError(PartialError):
    """Some files could not be done; the others are done."""

    #: What failed: path and reason.
    errors: Mapping[str, str]
    #: How many files were done.
    done: int

    def __init__(self, what: str, errors: Mapping[str, str], done: int) -> None:
        path, reason = next(iter(errors.items()))
        more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
        super().__init__(f"{what}: {len(errors)} failed, {done} done: {path}: {reason}{more}")
        self.errors = errors
        self.done = done
