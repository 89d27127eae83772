"""What can go wrong.

Everything that Keepwatch raises by itself is a :class:`KeepwatchError`, and where Python has an
exception for it, that one too: a missing file is a :class:`FileNotFoundError`, an argument out of
its range a :class:`ValueError`, one of a wrong type a :class:`TypeError`. What a callback or a file
object of yours raises comes out as it is.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keepwatch._keepwatch import BackupReport, RestoreReport

__all__ = [
    "ArgumentError",
    "BusyError",
    "CameraError",
    "ClosedError",
    "ConfigError",
    "DamagedError",
    "EventNotFoundError",
    "FileError",
    "FileForbiddenError",
    "FileIsDirectoryError",
    "FileMissingError",
    "FileTakenError",
    "InvalidTypeError",
    "InvalidValueError",
    "KeepwatchError",
    "ModelError",
    "NeedsFullKeyError",
    "OtherModelError",
    "PartialBackupError",
    "PartialError",
    "PartialRestoreError",
    "PathNotFoundError",
    "PersonNotFoundError",
    "PictureError",
    "RepositoryExistsError",
    "RepositoryNotFoundError",
    "SnapshotNotFoundError",
    "SourceFailedError",
    "UnsupportedError",
    "WrongKeyError",
    "WrongSignerError",
]


class KeepwatchError(Exception):
    """Any error of Keepwatch."""

    #: What to do about it, where Keepwatch knows.
    hint: str | None = None


class ArgumentError(KeepwatchError):
    """An argument cannot be used; the message names it."""

    def add_note(self, note: str, /) -> None:
        """Takes the name of the argument into the message, where every Python shows it."""
        name = note.removeprefix("while processing ")
        if name != note:
            self.args = (f"{name.strip(chr(39))}: {self}",)
        elif sys.version_info >= (3, 11):
            super().add_note(note)


class InvalidValueError(ArgumentError, ValueError):
    """An argument has a value that cannot be used; the message names it."""


class InvalidTypeError(ArgumentError, TypeError):
    """An argument has a type that cannot be used; the message names it."""


class ClosedError(KeepwatchError, ValueError):
    """What was closed is used."""


class FileError(KeepwatchError, OSError):
    """A file could not be read or written; see ``errno`` and ``filename``."""


class FileMissingError(FileError, FileNotFoundError):
    """A file is not there."""


class FileTakenError(FileError, FileExistsError):
    """A file is there already."""


class FileIsDirectoryError(FileError, IsADirectoryError):
    """A directory is where a file was expected."""


class FileForbiddenError(FileError, PermissionError):
    """A file may not be read or written."""


class RepositoryNotFoundError(KeepwatchError, FileNotFoundError):
    """Nothing that looks like a repository, or an event store, is there."""


class RepositoryExistsError(KeepwatchError, FileExistsError):
    """A new repository or event store was to be made where something is."""


class WrongKeyError(KeepwatchError):
    """The passphrase or key does not fit, or a sealed file was changed: nobody can tell which."""


class NeedsFullKeyError(KeepwatchError, PermissionError):
    """The key may only write, and this needs one that may read."""


class DamagedError(KeepwatchError):
    """Stored data is damaged or lost."""


class SnapshotNotFoundError(KeepwatchError, LookupError):
    """No snapshot, or more than one, answers to a name."""


class PathNotFoundError(KeepwatchError, FileNotFoundError):
    """A path is not in the snapshot."""


class EventNotFoundError(KeepwatchError, LookupError):
    """No event has that id."""


class BusyError(KeepwatchError):
    """Another process does the same at this moment."""


class UnsupportedError(KeepwatchError):
    """It was written by a later version, or is not supported here."""


class SourceFailedError(KeepwatchError):
    """A stream that was being backed up failed; there is no snapshot."""


class WrongSignerError(KeepwatchError):
    """Evidence is signed by somebody else than was expected."""


class ConfigError(KeepwatchError, ValueError):
    """The configuration is wrong."""


class CameraError(KeepwatchError):
    """A camera failed."""


class PictureError(KeepwatchError, ValueError):
    """A picture cannot be used: it is none, is broken or too large, or has no face to enrol."""


class ModelError(KeepwatchError):
    """A neural network is not named, has changed or does not fit, or nothing can compute it."""


class OtherModelError(ModelError):
    """Faces were enrolled with another model, and cannot be compared with those of this one."""


class PersonNotFoundError(KeepwatchError, LookupError):
    """Nobody is enrolled by this name."""


class PartialError(KeepwatchError):
    """Something was done, but not all of it."""


class PartialBackupError(PartialError):
    """There is a snapshot, and it lacks what could not be read: see ``report.errors``."""

    report: BackupReport


class PartialRestoreError(PartialError):
    """What could be restored is there; see ``report.errors`` for the rest."""

    report: RestoreReport
