"""SecureVision's event store over the encrypted one."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import keepwatch
from keepwatch.compat.securevision.events import EventStore, records
from keepwatch.compat.securevision.types import BBox, Detection, Event, FaceMatch, PlateRead
from keepwatch.errors import ClosedError, WrongKeyError

KEY = bytes(range(32))


@pytest.fixture(autouse=True)
def no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEEPWATCH_PASSWORD", raising=False)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_bytes(KEY)
    return path


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/data/events.db"


@pytest.fixture
def events(url: str, key_file: Path) -> Iterator[EventStore]:
    with EventStore(url, key_file=key_file) as opened:
        yield opened


def face(person: str = "ann", ts_ms: int = 1_700_000_000_000, **more: Any) -> Event:
    detection = Detection("face", BBox(100, 150, 300, 350), 0.95, more.get("track_id"))
    match = FaceMatch(person, more.get("similarity", 0.87), detection)
    return Event("face_match", match, ts_ms, more.get("source", "camera_1"))


def plate(text: str = "ABC123", ts_ms: int = 1_700_000_001_000) -> Event:
    detection = Detection("plate", BBox(200, 400, 500, 500), 0.88)
    read = PlateRead(f" {text} ", text, 85.5, detection, "whitelist", "grayscale,bilateral")
    return Event("plate_read", read, ts_ms, "camera_1")


def test_a_face_comes_back_as_it_was(events: EventStore) -> None:
    # Not all of these digits fit into single precision.
    number = events.save_event(face(similarity=0.12345678901234567, track_id=42))
    found = events.get_face_match(number)
    assert found is not None
    created = datetime.fromisoformat(found.pop("created_at"))
    assert abs(created - records.utc_now()) < timedelta(minutes=1)
    assert found == {
        "id": number,
        "type": "face_match",
        "ts_ms": 1_700_000_000_000,
        "frame_source_id": "camera_1",
        "payload": {
            "person_id": "ann",
            "similarity": 0.12345678901234567,
            "bbox": {"x1": 100, "y1": 150, "x2": 300, "y2": 350},
            "detection_score": 0.95,
            "track_id": 42,
            "detector_metadata": None,
        },
    }
    assert events.get_plate_read(number) is None


def test_a_plate_comes_back_as_it_was(events: EventStore) -> None:
    number = events.save_event(plate())
    found = events.get_plate_read(number)
    assert found is not None
    assert found["payload"] == {
        "text_raw": " ABC123 ",
        "text_clean": "ABC123",
        "ocr_confidence": 85.5,
        "detector_score": 0.88,
        "matched_list": "whitelist",
        "preprocessing_used": "grayscale,bilateral",
        "bbox": {"x1": 200, "y1": 400, "x2": 500, "y2": 500},
        "track_id": None,
        "detector_metadata": None,
    }
    assert events.get_face_match(number) is None


def test_events_are_listed_newest_first(events: EventStore) -> None:
    numbers = [events.save_event(face(str(index), ts_ms=1000 * index)) for index in range(5)]
    assert numbers == sorted(set(numbers))
    assert numbers[0] > 0
    read = events.save_event(plate(ts_ms=2500))
    listed = [event["id"] for event in events.get_events()]
    assert listed == [numbers[4], numbers[3], read, numbers[2], numbers[1], numbers[0]]
    assert [event["id"] for event in events.get_events(limit=2)] == listed[:2]
    assert events.get_events(limit=0) == []
    assert len(events.get_events(limit=-1)) == 6
    assert [event["id"] for event in events.get_events("plate_read")] == [read]
    assert [event["id"] for event in events.get_events(since_ms=2500)] == listed[:3]
    assert events.get_events("smoke") == []  # type: ignore[arg-type]
    # What happened at once comes in the order in which it was stored.
    same = [events.save_event(face(ts_ms=9000)) for _ in range(9)]
    assert [event["id"] for event in events.get_events(since_ms=9000)] == same[::-1]


@pytest.mark.parametrize("number", [0, -1, 9999, 1 << 62, 1 << 70])
def test_what_is_not_there_is_none(events: EventStore, number: int) -> None:
    assert events.get_face_match(number) is None
    assert events.get_plate_read(number) is None


def test_numbers_of_numpy_are_taken(events: EventStore) -> None:
    numpy = pytest.importorskip("numpy")
    box = BBox(*numpy.array([1.7, 2.2, 30.0, 40.0]).astype(int))
    match = FaceMatch("ann", numpy.float32(0.5), Detection("face", box, numpy.float32(0.25)))
    number = events.save_event(Event("face_match", match, numpy.int64(1000), "door"))
    (found,) = events.get_events()
    assert found["id"] == number
    assert found["payload"]["bbox"] == {"x1": 1, "y1": 2, "x2": 30, "y2": 40}
    assert found["payload"]["similarity"] == 0.5


def test_what_cannot_be_stored_is_refused_and_leaves_nothing(events: EventStore) -> None:
    with pytest.raises(ValueError, match="similarity"):
        events.save_event(face(similarity=float("nan")))
    with pytest.raises(ValueError, match="ts_ms"):
        events.save_event(face(ts_ms=1 << 62))
    with pytest.raises(ValueError, match="type"):
        events.save_event(Event("smoke", face().payload, 1000, "door"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="PlateRead is not a FaceMatch"):
        events.save_event(Event("face_match", plate().payload, 1000, "door"))
    assert events.get_events() == []


def test_an_event_and_its_payload_are_one_record(url: str, key_file: Path) -> None:
    # A crash between two commits left events without a payload: there is one commit.
    with EventStore(url, key_file=key_file) as events:
        before = events.store.verify().records
        for _ in range(3):
            events.save_event(face())
        assert all(event["payload"] for event in events.get_events())
        # And nothing but signatures besides.
        report = events.store.verify()
        assert report.records - report.checkpoints == before + 3


KILLED = """
import os, sys
from keepwatch.compat.securevision.events import EventStore
from keepwatch.compat.securevision.types import *
events = EventStore(sys.argv[1], key_file=sys.argv[2])
detection = Detection("face", BBox(0, 0, 1, 1), 0.5)
for index in range(1000):
    print(events.save_event(Event("face_match", FaceMatch("ann", 0.5, detection), index, "door")))
    sys.stdout.flush()
"""


def test_a_kill_loses_nothing_that_was_stored(url: str, key_file: Path) -> None:
    command = [sys.executable, "-c", KILLED, url, str(key_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(5)]
        process.kill()
        told += map(int, process.stdout.read().split())
    with EventStore(url, key_file=key_file) as events:
        found = {event["id"]: event for event in events.get_events(limit=-1)}
    assert set(told) <= set(found)
    assert all(event["payload"]["person_id"] == "ann" for event in found.values())


def age(monkeypatch: pytest.MonkeyPatch, **passed: float) -> None:
    """Makes what is stored now have been stored so long ago."""
    then = records.utc_now() - timedelta(**passed)
    monkeypatch.setattr(records, "utc_now", lambda: then)


def test_old_events_are_removed(
    events: EventStore, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    kept = [events.save_event(face(ts_ms=1000))]
    with monkeypatch.context() as patch:
        age(patch, days=30, hours=1)
        old = events.save_event(face(ts_ms=1000))
        # It is of the future, whoever said so.
        kept.append(events.save_event(face(ts_ms=4_000_000_000_000)))
    with monkeypatch.context() as patch:
        age(patch, days=29)
        kept.append(events.save_event(plate(ts_ms=1000)))
    with caplog.at_level(logging.INFO):
        assert events.cleanup_old_events() == 1
    assert "1 events older than 30 days" in caplog.text
    assert events.get_face_match(old) is None
    assert {event["id"] for event in events.get_events()} == set(kept)
    assert events.cleanup_old_events() == 0


def test_old_events_go_by_themselves(
    url: str, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def left(opened: EventStore) -> list[str]:
        return sorted(event["payload"]["person_id"] for event in opened.get_events())

    with EventStore(url, key_file=key_file) as events:
        with monkeypatch.context() as patch:
            age(patch, days=40)
            events.save_event(face("old"))
        events.save_event(face("new"))
        assert left(events) == ["new", "old"]
    # When the store is opened …
    with EventStore(url, key_file=key_file) as events:
        assert left(events) == ["new"]
        with monkeypatch.context() as patch:
            age(patch, days=40)
            events.save_event(face("old"))
        assert left(events) == ["new", "old"]
        # … and an hour later, when something comes.
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + 3601)
        events.save_event(face("newer"))
        assert left(events) == ["new", "newer"]


def test_a_retention_that_would_keep_nothing_is_refused(url: str, key_file: Path) -> None:
    for days in [0, -1]:
        with pytest.raises(ValueError, match="retention_days"):
            EventStore(url, days, key_file=key_file)


def test_nothing_is_readable_on_the_disk(url: str, key_file: Path, tmp_path: Path) -> None:
    with EventStore(url, key_file=key_file) as events:
        events.save_event(face("maximiliane"))
        events.save_event(plate("ZZ9876"))
        folder = events.path
    assert folder == tmp_path / "data" / "events.db.keepwatch"
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert files
    for path in files:
        content = path.read_bytes()
        for word in [b"maximiliane", b"ZZ9876", b"camera_1", b"SQLite format"]:
            assert word not in content, path
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert not (tmp_path / "data" / "events.db").exists()


def test_without_a_key_one_is_made_beside_the_store(url: str, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="kept beside it"), EventStore(url) as events:
        number = events.save_event(face())
    key = tmp_path / "data" / "events.db.keepwatch.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_bytes()) == 32
    # It is used again without a word; nothing else opens the store.
    with EventStore(url) as events:
        assert events.get_face_match(number)
    with pytest.raises(WrongKeyError):
        EventStore(url, passphrase="wrong")
    key.unlink()
    with pytest.warns(UserWarning, match="beside it"), pytest.raises(WrongKeyError):
        EventStore(url)


def test_a_passphrase_opens_it(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KEEPWATCH_PASSWORD", "correct horse")
    with EventStore(url) as events:
        number = events.save_event(face())
        assert "correct" not in repr(events)
    monkeypatch.delenv("KEEPWATCH_PASSWORD")
    with EventStore(url, passphrase="correct horse") as events:
        assert events.get_face_match(number)
    assert not (tmp_path / "data" / "events.db.keepwatch.key").exists()
    monkeypatch.setenv("KEEPWATCH_PASSWORD", "")
    with pytest.raises(ValueError, match="KEEPWATCH_PASSWORD: it is empty"):
        EventStore(url)
    with pytest.raises(ValueError, match="passphrase: it is empty"):
        EventStore(url, passphrase="")


def test_keys_that_cannot_be_are_refused(url: str, tmp_path: Path, key_file: Path) -> None:
    with pytest.raises(ValueError, match="not both"):
        EventStore(url, passphrase="correct horse", key_file=key_file)
    with pytest.raises(FileNotFoundError):
        EventStore(url, key_file=tmp_path / "nothing")
    for length in [31, 33]:
        key_file.write_bytes(bytes(length))
        with pytest.raises(ValueError, match="key_file"):
            EventStore(url, key_file=key_file)


def test_addresses_of_stores(tmp_path: Path, key_file: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for address, folder in [
        ("sqlite:///./a.db", "a.db.keepwatch"),
        (f"sqlite:///{tmp_path}/b.db?timeout=5", "b.db.keepwatch"),
        ("sqlite+pysqlite:///c.db", "c.db.keepwatch"),
        (f"keepwatch:///{tmp_path}/d", "d"),
    ]:
        with EventStore(address, key_file=key_file) as events:
            assert events.path.resolve() == tmp_path / folder
            assert (tmp_path / folder / "store").exists()
    for address in ["postgresql://user:s3cr3t@host/db", "events.db", "", "mysql:///x"]:
        with pytest.raises(ValueError, match="db_url") as caught:
            EventStore(address, key_file=key_file)
        assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("address", ["sqlite://", "sqlite:///:memory:"])
def test_a_store_in_memory_leaves_nothing(address: str) -> None:
    events = EventStore(address)
    number = events.save_event(face())
    assert events.get_face_match(number)
    folder = events.path
    assert folder.exists()
    events.close()
    del events
    assert not folder.exists()


def test_a_folder_that_is_something_else_is_left_alone(tmp_path: Path, key_file: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"a")
    with pytest.raises(FileExistsError):
        EventStore(f"keepwatch:///{tmp_path}/photos", key_file=key_file)
    assert os.listdir(tmp_path / "photos") == ["a.jpg"]


def test_what_is_closed_says_so(events: EventStore) -> None:
    events.close()
    events.close()
    calls: list[Callable[[], Any]] = [
        lambda: events.save_event(face()),
        events.get_events,
        events.cleanup_old_events,
    ]
    for call in calls:
        with pytest.raises(ClosedError):
            call()


def test_passwords_of_sources_are_not_stored(events: EventStore, tmp_path: Path) -> None:
    source = "rtsp://admin:s3cr3t@camera:554/stream"
    events.save_event(face(source=source))
    (found,) = events.get_events()
    assert found["frame_source_id"] == "rtsp://***@camera:554/stream"
    copy = tmp_path / "copy.db"
    events.export_database(copy)
    assert b"s3cr3t" not in copy.read_bytes()


def test_keepwatch_reads_what_is_stored(url: str, key_file: Path) -> None:
    with EventStore(url, key_file=key_file) as events:
        events.save_event(face(track_id=42))
        events.save_event(plate())
        folder = events.path
    with keepwatch.EventStore.open(folder, key_file=key_file) as store:
        read, seen = store.query()
        assert store.verify().ok
    assert (seen.kind, seen.camera, read.kind) == ("face_match", "camera_1", "plate_read")
    (observation,) = seen.observations
    assert (observation.label, observation.track) == ("ann", 42)
    assert observation.score == pytest.approx(0.87)
    assert (
        seen.started_at == seen.ended_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc)
    )
    (observation,) = read.observations
    assert observation.label == "ABC123"
    assert observation.score == pytest.approx(0.855)


def test_events_of_keepwatch_itself_have_no_payload() -> None:
    row = (7, "face_match", "door", 1_700_000_000_123, None)
    found = records.as_dict(row, optional_payload=True)
    assert found == {
        "id": 7,
        "type": "face_match",
        "ts_ms": 1_700_000_000_123,
        "frame_source_id": "door",
        "created_at": "2023-11-14T22:13:20.123000",
    }
    assert records.as_dict(row, optional_payload=False) == {**found, "payload": None}


@pytest.mark.parametrize(
    ("source", "camera"),
    [
        ("camera_1", "camera_1"),
        ("a.b-C", "a.b-C"),
        ("Hof 1", "Hof-1-"),
        (".hidden", "hidden-"),
        ("", "camera-"),
        ("../../etc/passwd", "etc-passwd-"),
        ("rtsp://u:p@host/a", "rtsp-host-a-"),
        ("x" * 65, "x" * 48 + "-"),
    ],
)
def test_any_source_can_be_a_camera(events: EventStore, source: str, camera: str) -> None:
    events.save_event(face(source=source))
    (stored,) = events.store.query()
    assert stored.camera.startswith(camera)
    assert (stored.camera == camera) == (source == camera)
    # Two sources are two cameras.
    events.save_event(face(source=f"{source}!"))
    assert len({stored.camera for stored in events.store.query()}) == 2


def test_threads_share_a_store(events: EventStore) -> None:
    numbers: list[int] = []

    def save() -> None:
        numbers.extend(events.save_event(face()) for _ in range(10))

    threads = [threading.Thread(target=save) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(numbers)) == 40
    assert {event["id"] for event in events.get_events()} == set(numbers)


def test_two_stores_at_once(url: str, key_file: Path) -> None:
    with EventStore(url, key_file=key_file) as one, EventStore(url, key_file=key_file) as other:
        numbers = [each.save_event(face()) for each in (one, other, one)]
        assert numbers == sorted(set(numbers))
        assert len(one.get_events()) == len(other.get_events()) == 3
