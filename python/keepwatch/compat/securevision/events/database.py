"""SecureVision's own database: an SQLite file in clear, read and written in its schema."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from keepwatch.errors import DamagedError

from .records import EventRecord, FaceMatchRecord, PlateReadRecord, Report, imported

__all__ = ["is_database", "read", "write"]

logger = logging.getLogger(__name__)

_MAGIC = b"SQLite format 3\0"

# The tables as SecureVision makes them: it goes on with a database that was written here.
_SCHEMA = """
CREATE TABLE events (
    id INTEGER NOT NULL PRIMARY KEY,
    type VARCHAR NOT NULL,
    ts_ms INTEGER NOT NULL,
    frame_source_id VARCHAR NOT NULL,
    created_at DATETIME NOT NULL
);
CREATE INDEX ix_events_type ON events (type);
CREATE INDEX ix_events_ts_ms ON events (ts_ms);
CREATE INDEX ix_events_created_at ON events (created_at);
CREATE TABLE face_matches (
    id INTEGER NOT NULL PRIMARY KEY,
    event_id INTEGER NOT NULL REFERENCES events (id),
    person_id VARCHAR NOT NULL,
    similarity FLOAT NOT NULL,
    bbox VARCHAR NOT NULL,
    detection_score FLOAT NOT NULL,
    track_id INTEGER,
    detector_metadata VARCHAR
);
CREATE INDEX ix_face_matches_event_id ON face_matches (event_id);
CREATE INDEX ix_face_matches_person_id ON face_matches (person_id);
CREATE INDEX ix_face_matches_track_id ON face_matches (track_id);
CREATE TABLE plate_reads (
    id INTEGER NOT NULL PRIMARY KEY,
    event_id INTEGER NOT NULL REFERENCES events (id),
    text_raw VARCHAR NOT NULL,
    text_clean VARCHAR NOT NULL,
    ocr_confidence FLOAT NOT NULL,
    detector_score FLOAT NOT NULL,
    matched_list VARCHAR,
    preprocessing_used VARCHAR NOT NULL,
    bbox VARCHAR NOT NULL,
    track_id INTEGER,
    detector_metadata VARCHAR
);
CREATE INDEX ix_plate_reads_event_id ON plate_reads (event_id);
CREATE INDEX ix_plate_reads_text_clean ON plate_reads (text_clean);
CREATE INDEX ix_plate_reads_matched_list ON plate_reads (matched_list);
CREATE INDEX ix_plate_reads_track_id ON plate_reads (track_id);
"""

_PAYLOADS: dict[str, tuple[str, type[FaceMatchRecord] | type[PlateReadRecord]]] = {
    "face_match": ("face_matches", FaceMatchRecord),
    "plate_read": ("plate_reads", PlateReadRecord),
}


def is_database(path: Path) -> bool:
    """Whether a file is a database of SecureVision."""
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                return False
        with closing(_open(path)) as database:
            names = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            return {"events", "face_matches", "plate_reads"} <= {name for (name,) in names}
    except (OSError, sqlite3.Error):
        return False


def read(path: Path) -> Iterator[Report]:
    """The events in a database, oldest first. What cannot be read is left out and logged.

    Raises:
        keepwatch.errors.DamagedError: It is no database of SecureVision.
    """
    if not is_database(path):
        path.open("rb").close()
        raise DamagedError(f"{path} is no database of SecureVision")
    with closing(_open(path)) as database:
        database.row_factory = sqlite3.Row
        for row in database.execute("SELECT * FROM events ORDER BY id"):
            try:
                yield _event(database, row)
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                logger.error("event %s of %s is left out: %s", row["id"], path, error)


def write(path: Path, events: Iterable[dict[str, Any]]) -> int:
    """Fills a new, empty file with events as ``get_events`` gives them, and tells how many."""
    count = 0
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(_SCHEMA)
        for event in events:
            created = datetime.fromisoformat(event["created_at"])
            values = (event["id"], event["type"], event["ts_ms"], event["frame_source_id"])
            # All with six digits: they are compared as texts.
            stored = created.strftime("%Y-%m-%d %H:%M:%S.%f")
            database.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?)", (*values, stored))
            payload = event["payload"]
            if payload is not None:
                _insert_payload(database, event, payload)
            count += 1
    return count


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)


def _event(database: sqlite3.Connection, row: sqlite3.Row) -> Report:
    record = EventRecord(**{name: row[name] for name in row.keys()})  # noqa: SIM118
    record.created_at = datetime.fromisoformat(row["created_at"])
    if record.type not in _PAYLOADS:
        raise ValueError(f"its type is {record.type!r}")
    table, cls = _PAYLOADS[record.type]
    found = database.execute(
        f"SELECT * FROM {table} WHERE event_id = ? ORDER BY id LIMIT 1", (record.id,)
    ).fetchone()
    # SecureVision stored payloads by themselves: a crash in between left events without one.
    payload = cls(**dict(found)).payload() if found is not None else None
    return imported(record, payload)


def _insert_payload(
    database: sqlite3.Connection, event: dict[str, Any], payload: dict[str, Any]
) -> None:
    table, _ = _PAYLOADS[event["type"]]
    metadata = payload["detector_metadata"]
    values = {
        **payload,
        "event_id": event["id"],
        "bbox": json.dumps(payload["bbox"]),
        "detector_metadata": json.dumps(metadata) if metadata is not None else None,
    }
    names = ", ".join(values)
    places = ", ".join(f":{name}" for name in values)
    database.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", values)
