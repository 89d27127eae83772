"""SecureVision's own database: taken over, and written for it to go on with."""

from __future__ import annotations

import json
import logging
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from keepwatch.compat.securevision.events import EventStore, records
from keepwatch.compat.securevision.types import BBox, Detection, Event, FaceMatch, PlateRead
from keepwatch.errors import DamagedError, FileTakenError

# The tables and the form of the values as SQLAlchemy makes them of SecureVision's classes.
TABLES = [
    "CREATE TABLE events (type VARCHAR NOT NULL, id INTEGER NOT NULL, ts_ms INTEGER NOT NULL,"
    " frame_source_id VARCHAR NOT NULL, created_at DATETIME NOT NULL, PRIMARY KEY (id))",
    "CREATE TABLE face_matches (bbox VARCHAR NOT NULL, detector_metadata VARCHAR,"
    " id INTEGER NOT NULL, event_id INTEGER NOT NULL, person_id VARCHAR NOT NULL,"
    " similarity FLOAT NOT NULL, detection_score FLOAT NOT NULL, track_id INTEGER,"
    " PRIMARY KEY (id), FOREIGN KEY(event_id) REFERENCES events (id))",
    "CREATE TABLE plate_reads (bbox VARCHAR NOT NULL, detector_metadata VARCHAR,"
    " id INTEGER NOT NULL, event_id INTEGER NOT NULL, text_raw VARCHAR NOT NULL,"
    " text_clean VARCHAR NOT NULL, ocr_confidence FLOAT NOT NULL, detector_score FLOAT NOT NULL,"
    " matched_list VARCHAR, preprocessing_used VARCHAR NOT NULL, track_id INTEGER,"
    " PRIMARY KEY (id), FOREIGN KEY(event_id) REFERENCES events (id))",
]

METADATA = {"model_name": "insightface", "detector": "retinaface", "recognition": "arcface"}
BOX = {"x1": 100, "y1": 150, "x2": 300, "y2": 350}


def insert(database: sqlite3.Connection, table: str, **values: Any) -> None:
    names = ", ".join(values)
    places = ", ".join("?" * len(values))
    database.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", tuple(values.values()))


@pytest.fixture
def stamp() -> str:
    """A time that is kept by the retention, as it is stored."""
    return (records.utc_now() - timedelta(days=3)).strftime("%Y-%m-%d %H:%M:%S.%f")


@pytest.fixture
def old(tmp_path: Path, stamp: str) -> Path:
    path = tmp_path / "events.db"
    common = {"frame_source_id": "camera_1", "created_at": stamp}
    with closing(sqlite3.connect(path)) as database, database:
        for table in TABLES:
            database.execute(table)
        insert(database, "events", id=3, type="face_match", ts_ms=1000, **common)
        insert(
            database,
            "face_matches",
            id=1,
            event_id=3,
            person_id="ann",
            similarity=0.12345678901234567,
            bbox=json.dumps(BOX),
            detection_score=0.95,
            track_id=42,
            detector_metadata=json.dumps(METADATA),
        )
        insert(database, "events", id=5, type="plate_read", ts_ms=2000, **common)
        insert(
            database,
            "plate_reads",
            id=1,
            event_id=5,
            text_raw=" AB 1 ",
            text_clean="AB1",
            ocr_confidence=85.5,
            detector_score=0.88,
            matched_list="blacklist",
            preprocessing_used="grayscale",
            bbox=json.dumps(BOX),
        )
        # What a crash between the two commits left.
        insert(database, "events", id=7, type="face_match", ts_ms=3000, **common)
        # A type that nobody knows, and a box that is none.
        insert(database, "events", id=8, type="smoke", ts_ms=4000, **common)
        insert(database, "events", id=9, type="face_match", ts_ms=5000, **common)
        insert(
            database,
            "face_matches",
            id=2,
            event_id=9,
            person_id="bob",
            similarity=0.5,
            bbox="100,150",
            detection_score=0.5,
        )
    return path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_bytes(bytes(range(32)))
    return path


@pytest.fixture
def new(tmp_path: Path, key: Path) -> Iterator[EventStore]:
    with EventStore(f"sqlite:///{tmp_path}/new.db", key_file=key) as opened:
        yield opened


def test_a_new_store_takes_the_old_events_over(
    old: Path, key: Path, stamp: str, caplog: Any
) -> None:
    before = old.read_bytes()
    with pytest.warns(UserWarning, match="3 events of .* in clear"):
        events = EventStore(f"sqlite:///{old}", key_file=key)
    with events:
        crashed, plate, face = events.get_events()
    created = stamp.replace(" ", "T")
    assert [each["type"] for each in (face, plate)] == ["face_match", "plate_read"]
    assert [each["ts_ms"] for each in (face, plate, crashed)] == [1000, 2000, 3000]
    assert {each["created_at"] for each in (face, plate, crashed)} == {created}
    assert face["payload"] == {
        "person_id": "ann",
        "similarity": 0.12345678901234567,
        "bbox": BOX,
        "detection_score": 0.95,
        "track_id": 42,
        "detector_metadata": METADATA,
    }
    assert plate["payload"]["matched_list"] == "blacklist"
    assert plate["payload"]["track_id"] is None
    assert "payload" not in crashed
    # What cannot be read is named.
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert [text.split(" of ")[0] for text in errors] == ["event 8", "event 9"]
    # The file is as it was, and another opening takes nothing over.
    assert old.read_bytes() == before
    with EventStore(f"sqlite:///{old}", key_file=key) as events:
        assert len(events.get_events()) == 3


def test_a_take_over_that_was_cut_off_goes_on(
    old: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(store: EventStore, path: Path) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EventStore, "import_database", cut_off)
        with pytest.raises(KeyboardInterrupt):
            EventStore(f"sqlite:///{old}", key_file=key)
    url = f"sqlite:///{old}"
    with pytest.warns(UserWarning, match="3 events"), EventStore(url, key_file=key) as events:
        assert len(events.get_events()) == 3
    names = {path.name for path in old.parent.iterdir()}
    assert names == {"events.db", "events.db.keepwatch", "key"}


def test_an_import_can_be_repeated(old: Path, new: EventStore, stamp: str) -> None:
    assert new.import_database(old) == 3
    assert new.import_database(old) == 0
    # SecureVision went on meanwhile.
    with closing(sqlite3.connect(old)) as database, database:
        values = {"frame_source_id": "camera_1", "created_at": stamp}
        insert(database, "events", id=10, type="plate_read", ts_ms=9000, **values)
    assert new.import_database(old) == 1
    assert [event["ts_ms"] for event in new.get_events()] == [9000, 3000, 2000, 1000]


def test_what_is_too_old_is_not_kept(old: Path, key: Path) -> None:
    with closing(sqlite3.connect(old)) as database, database:
        database.execute("UPDATE events SET created_at = '2020-01-01 00:00:00.000000'")
    url = f"sqlite:///{old}"
    with pytest.warns(UserWarning, match="in clear"), EventStore(url, key_file=key) as events:
        assert events.get_events() == []


def test_what_is_no_database_is_refused(tmp_path: Path, new: EventStore, key: Path) -> None:
    text = tmp_path / "text"
    text.write_text("SQLite")
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as database, database:
        database.execute("CREATE TABLE events (id INTEGER)")
    for path in [text, other]:
        with pytest.raises(DamagedError, match="no database of SecureVision"):
            new.import_database(path)
    with pytest.raises(FileNotFoundError):
        new.import_database(tmp_path / "nothing")
    # One of something else beside the store is nobody's business.
    with EventStore(f"sqlite:///{other}", key_file=key) as events:
        assert events.get_events() == []


def test_an_export_is_what_securevision_reads(new: EventStore, tmp_path: Path) -> None:
    detection = Detection("face", BBox(1, 2, 3, 4), 0.95, 7)
    face = new.save_event(Event("face_match", FaceMatch("ann", 0.87, detection), 1000, "door"))
    read = PlateRead("ab 1", "AB1", 85.5, Detection("plate", BBox(5, 6, 7, 8), 0.88), "whitelist")
    plate = new.save_event(Event("plate_read", read, 2000, "door"))
    path = tmp_path / "export.db"
    assert new.export_database(path) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with closing(sqlite3.connect(path)) as database:
        # As SecureVision asks.
        rows = database.execute(
            "SELECT events.id, events.type, events.ts_ms, events.frame_source_id, person_id,"
            " similarity, bbox, detection_score, track_id FROM events"
            " JOIN face_matches ON event_id = events.id WHERE events.type = 'face_match'"
        ).fetchall()
        box = '{"x1": 1, "y1": 2, "x2": 3, "y2": 4}'
        assert rows == [(face, "face_match", 1000, "door", "ann", 0.87, box, 0.95, 7)]
        rows = database.execute(
            "SELECT event_id, text_raw, text_clean, ocr_confidence, detector_score, matched_list,"
            " preprocessing_used, track_id FROM plate_reads"
        ).fetchall()
        assert rows == [(plate, "ab 1", "AB1", 85.5, 0.88, "whitelist", "", None)]
        # As its cleaning compares.
        old = "SELECT count(*) FROM events WHERE created_at < '2020-01-01 00:00:00.000000'"
        assert database.execute(old).fetchone() == (0,)
        # As it goes on.
        insert(
            database,
            "events",
            type="face_match",
            ts_ms=1,
            frame_source_id="x",
            created_at="2025-01-01 00:00:00.000000",
        )
        (last,) = database.execute("SELECT max(id) FROM events").fetchone()
        assert last == plate + 1
    with pytest.raises(FileTakenError):
        new.export_database(path)
    assert sorted(each.name for each in tmp_path.iterdir() if each.name.startswith(".")) == []


def test_there_and_back_again_is_the_same(
    old: Path, new: EventStore, tmp_path: Path, key: Path
) -> None:
    new.import_database(old)
    new.export_database(tmp_path / "copy.db")
    with EventStore(f"sqlite:///{tmp_path}/other.db", key_file=key) as other:
        assert other.import_database(tmp_path / "copy.db") == 3
        without_numbers = [
            [{**event, "id": None} for event in store.get_events()] for store in (new, other)
        ]
    assert without_numbers[0] == without_numbers[1]


def test_columns_are_those_of_the_original(new: EventStore, tmp_path: Path) -> None:
    new.export_database(tmp_path / "export.db")
    expected = sqlite3.connect(":memory:")
    for table in TABLES:
        expected.execute(table)
    with closing(expected), closing(sqlite3.connect(tmp_path / "export.db")) as found:
        for table in ["events", "face_matches", "plate_reads"]:
            columns = [
                # Name, type, whether it may be null; the order does not count.
                {row[1:4] for row in database.execute(f"PRAGMA table_info({table})")}
                for database in (expected, found)
            ]
            assert columns[0] == columns[1], table
