"""SecureVision's event store over Keepwatch's encrypted one."""

from __future__ import annotations

import itertools
import logging
import os
import secrets
import shutil
import tempfile
import threading
import time
import warnings
import weakref
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar

from keepwatch._keepwatch import EventStore as Store
from keepwatch._keepwatch import (
    securevision_cleanup,
    securevision_get,
    securevision_list,
    securevision_put,
)
from keepwatch.errors import FileTakenError, InvalidValueError, KeepwatchError

from .._files import publish_new
from .._redact import redact
from .._secrets import Secret, given, given_or_beside
from ..types import Event
from . import database
from .records import EventRecord, FaceMatchRecord, PlateReadRecord, as_dict, reported, utc_now

__all__ = ["EventRecord", "EventStore", "FaceMatchRecord", "PlateReadRecord"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1)
#: How often what is too old is removed while events come in, in seconds.
_CLEANUP_INTERVAL = 3600.0
#: So many events are imported at once, all or none.
_BATCH = 1000


class EventStore:
    """Events in an encrypted, signed store, under SecureVision's names.

    The store of ``sqlite:///data/events.db`` is the folder ``data/events.db.keepwatch``; when it is
    made and there is a database of SecureVision, its events are taken over. ``keepwatch:///path``
    names the folder itself, ``sqlite://`` a store that is gone when it is closed. What else
    Keepwatch can do with it is at :attr:`store`, and works on the folder.

    It opens with ``passphrase`` or ``key_file``; or else with the key file beside it (its name and
    ``.key``); or else with ``KEEPWATCH_PASSWORD``; and a new one for which there is none of them
    gets a key file beside it, with a warning.

    Events that happened and were stored more than ``retention_days`` ago are removed when it is
    opened, and every hour when events come in.

    Any number of threads and processes may use one store.

    Args:
        db_url: Where it is.
        retention_days: How long events are kept, at least a day.
        passphrase: What opens it.
        key_file: A file of 32 random bytes that opens it.
    """

    def __init__(
        self,
        db_url: str,
        retention_days: int = 30,
        *,
        passphrase: str | None = None,
        key_file: str | os.PathLike[str] | None = None,
    ) -> None:
        if retention_days < 1:
            raise InvalidValueError("retention_days: a day is the least")
        self.db_url = db_url
        self.retention_days = retention_days
        self._next_cleanup = 0.0
        self._cleanup_lock = threading.Lock()
        old = _database_of(db_url)
        folder = _folder_of(db_url)
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="keepwatch-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            secret = given(passphrase, key_file, environment=False)
            secret = secret or Secret(key_file=secrets.token_bytes(32))
        else:
            folder.parent.mkdir(parents=True, exist_ok=True)
            beside = folder.with_name(f"{folder.name}.key")
            secret = given_or_beside(passphrase, key_file, beside)
        #: The folder of the store.
        self.path = folder
        if old is not None and not (folder / "store").exists() and database.is_database(old):
            _unfinished(folder).touch(mode=0o600)
        #: The store as Keepwatch has it.
        self.store = (
            Store.open(folder, writable=True, **secret.arguments())
            if (folder / "store").exists()
            else Store.create(folder, **secret.arguments())
        )
        if old is not None and _unfinished(folder).exists():
            self._take_over(old)
        self._clean_up_when_due()

    def save_event(self, event: Event) -> int:
        """Stores an event with all that belongs to it, and gives its number."""
        (number,) = securevision_put(self.store, [reported(event)])
        if number is None:
            raise KeepwatchError("the id of the event was given before")
        self._clean_up_when_due()
        return number

    def get_events(
        self,
        event_type: Literal["face_match", "plate_read"] | None = None,
        since_ms: int | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """The latest events, newest first.

        Args:
            event_type: Only of this type.
            since_ms: Only of this time or later.
            limit: At most so many; all if it is negative.
        """
        if event_type and event_type not in ("face_match", "plate_read"):
            return []
        rows = securevision_list(
            self.store, event_type or None, since_ms, None if limit < 0 else limit
        )
        events = [as_dict(row, optional_payload=True) for row in rows]
        # What happened at the same time comes in the order in which it was stored.
        events.sort(key=lambda event: (event["ts_ms"], event["id"]), reverse=True)
        return events

    def get_face_match(self, event_id: int) -> dict[str, Any] | None:
        """The face match with a number, if there is one."""
        return self._get(event_id, "face_match")

    def get_plate_read(self, event_id: int) -> dict[str, Any] | None:
        """The plate with a number, if there is one."""
        return self._get(event_id, "plate_read")

    def cleanup_old_events(self) -> int:
        """Removes the events that are older than the retention, and tells how many.

        It goes by the time of an event and by when it was stored: both must be long ago. Events
        that others put into the store stay.
        """
        before = utc_now() - timedelta(days=self.retention_days)
        since_1970 = (before - _EPOCH) // timedelta(microseconds=1)
        count = securevision_cleanup(
            self.store, since_1970, f"older than {self.retention_days} days"
        )
        if count:
            logger.info("%d events older than %d days are removed", count, self.retention_days)
        return count

    def import_database(self, path: str | os.PathLike[str] | None = None) -> int:
        """Takes over the events of a database of SecureVision that are not there yet.

        Args:
            path: The SQLite file; that of ``db_url`` if it is left out.

        Returns:
            How many. They get new numbers.
        """
        old = Path(path) if path is not None else _database_of(self.db_url)
        if old is None:
            raise InvalidValueError("path: the store has no database to import")
        count = 0
        for batch in _batches(database.read(old), _BATCH):
            count += sum(number is not None for number in securevision_put(self.store, batch))
        return count

    def export_database(self, path: str | os.PathLike[str]) -> int:
        """Writes all events to a new SQLite file in SecureVision's schema, **in clear**.

        Returns:
            How many.

        Raises:
            FileExistsError: There is a file.
        """
        target = Path(path)
        if target.exists():
            raise FileTakenError(f"cannot write {target}: it is there already")
        rows = securevision_list(self.store, None, None, None)
        events = (as_dict(row, optional_payload=False) for row in reversed(rows))
        return publish_new(target, lambda temporary: database.write(temporary, events))

    def close(self) -> None:
        """Signs what was stored and closes the store."""
        self.store.close()

    def __enter__(self) -> EventStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"EventStore(db_url={redact(self.db_url)!r}, retention_days={self.retention_days!r})"

    def _take_over(self, old: Path) -> None:
        count = self.import_database(old)
        _unfinished(self.path).unlink(missing_ok=True)
        warnings.warn(
            f"{count} events of {old} are in {self.path} now, encrypted; "
            "the old file is as it was, in clear: remove it when nothing else needs it",
            UserWarning,
            stacklevel=3,
        )

    def _get(self, number: int, kind: str) -> dict[str, Any] | None:
        if not 0 <= number < 1 << 63:
            return None
        row = securevision_get(self.store, number)
        if row is None or row[1] != kind:
            return None
        return as_dict(row, optional_payload=False)

    def _clean_up_when_due(self) -> None:
        with self._cleanup_lock:
            now = time.monotonic()
            if now < self._next_cleanup:
                return
            self._next_cleanup = now + _CLEANUP_INTERVAL
        try:
            self.cleanup_old_events()
        except KeepwatchError as error:
            # What was to be done is done; the next hour tries again.
            logger.error("old events could not be removed: %s", error)


def _path_of(db_url: str) -> str | None:
    """The path in an address of SQLite as SQLAlchemy reads it; none for what is in memory."""
    scheme, separator, rest = db_url.partition("://")
    if not separator or scheme.split("+")[0] not in ("sqlite", "keepwatch"):
        raise InvalidValueError(
            f"db_url: {redact(db_url)!r} is neither sqlite:///… nor keepwatch:///…"
        )
    path = rest.partition("?")[0].removeprefix("/")
    return None if path in ("", ":memory:") else path


def _database_of(db_url: str) -> Path | None:
    """Where SecureVision has its events."""
    path = _path_of(db_url)
    return Path(path) if path is not None and db_url.startswith("sqlite") else None


def _folder_of(db_url: str) -> Path | None:
    """Where Keepwatch has them."""
    path = _path_of(db_url)
    if path is None:
        return None
    return Path(path if db_url.startswith("keepwatch") else f"{path}.keepwatch")


def _unfinished(folder: Path) -> Path:
    """The mark of a store that has not yet taken over all of the old events."""
    return folder.with_name(f"{folder.name}.importing")


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
