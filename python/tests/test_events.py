"""Event stores: what cameras left there is found, exported and verified."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from conftest import PASSPHRASE

import keepwatch


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, testdata: Path, run_cli) -> Path:
    """A store with what a real video shows."""
    store = tmp_path_factory.mktemp("events") / "store"
    film = testdata / "video" / "car-detection.mp4"
    run_cli("watch", "--camera", f"door={film}", "--store", store)
    return store


@pytest.fixture
def store(recorded: Path) -> keepwatch.EventStore:
    return keepwatch.EventStore.open(recorded, passphrase=PASSPHRASE)


def test_events_are_those_of_the_command_line(store: keepwatch.EventStore, run_cli):
    events = store.query()
    listed = json.loads(run_cli("events", "list", "--store", store.path, "--json"))
    assert [event.id for event in events] == [row["id"] for row in listed]
    event, row = events[0], listed[0]
    for field in ("camera", "kind"):
        assert getattr(event, field) == row[field]
    assert event.started_at.tzinfo is timezone.utc
    assert event.ended_at > event.started_at
    seen, shown = event.observations[0], row["observations"][0]
    assert seen.label == shown["label"]
    assert seen.track == shown["track"]
    for side in "xywh":
        assert getattr(seen.region, side) == pytest.approx(shown["region"][side])
    for part in ("clip", "snapshot"):
        media = getattr(event, part)
        for field in ("path", "bytes", "blake3", "complete", "duration_ms"):
            assert getattr(media, field) == row[part][field]
    assert store.get(event.id).id == event.id


def test_queries(store: keepwatch.EventStore):
    events = store.query()
    assert len(events) >= 3
    assert [e.id for e in store.query(oldest_first=True)] == [e.id for e in reversed(events)]
    assert [e.id for e in store.query(limit=2)] == [e.id for e in events[:2]]
    assert [e.id for e in store.query(after=events[0].id, limit=1)] == [events[1].id]
    assert store.query(cameras="window") == []
    assert len(store.query(cameras=["door", "window"], kinds="motion")) == len(events)
    assert store.query(kinds=["tamper"]) == []
    middle = events[1].started_at
    assert [e.id for e in store.query(since=middle)] == [e.id for e in events[:2]]
    assert [e.id for e in store.query(until=middle)] == [e.id for e in events[2:]]
    zone = timezone(timedelta(hours=5))
    assert len(store.query(since=middle.astimezone(zone))) == 2
    for error, name, arguments in [
        (ValueError, "since", {"since": datetime(2026, 1, 1)}),
        (TypeError, "since", {"since": "today"}),
        (ValueError, "kinds", {"kinds": "burglary"}),
        (ValueError, "after", {"after": "the last"}),
        (TypeError, "cameras", {"cameras": 5}),
    ]:
        with pytest.raises(error) as raised:
            store.query(**arguments)
        assert name in str(raised.value)
    with pytest.raises(keepwatch.EventNotFoundError):
        store.get("00000000-0000-7000-8000-000000000000")


def test_recordings_are_exported_and_read(store: keepwatch.EventStore, tmp_path: Path):
    event = store.query()[0]
    clip = store.export(event.id, tmp_path / "clip.mp4", part="clip")
    assert clip.bytes == clip.file.stat().st_size
    assert clip.complete
    assert clip.file.read_bytes()[4:8] == b"ftyp"
    with store.open_media(event.id) as media:
        assert media.read() == clip.file.read_bytes()
        media.seek(4)
        assert media.read(4) == b"ftyp"
    store.export(event.id, tmp_path / "picture.jpg", part="snapshot")
    assert (tmp_path / "picture.jpg").read_bytes()[:2] == b"\xff\xd8"
    with pytest.raises(FileExistsError):
        store.export(event.id, tmp_path / "clip.mp4", part="clip")
    with pytest.raises(ValueError, match="part"):
        store.open_media(event.id, "sound")


def test_evidence_is_verified_without_the_store(
    store: keepwatch.EventStore, tmp_path: Path, run_cli
):
    event = store.query()[0]
    with keepwatch.EventStore.open(store.path, passphrase=PASSPHRASE, writable=True) as writable:
        bundle = writable.export(event.id, tmp_path / "evidence.kwb").file
    report = keepwatch.verify_evidence(bundle, signer=store.signer)
    assert report.event.id == event.id
    assert report.signer == store.signer
    run_cli("evidence", "verify", bundle)
    with pytest.raises(keepwatch.WrongSignerError):
        keepwatch.verify_evidence(bundle, signer="00" * 32)
    with pytest.raises(ValueError, match="signer"):
        keepwatch.verify_evidence(bundle, signer="me")
    data = bytearray(bundle.read_bytes())
    data[-10] ^= 1
    bundle.write_bytes(data)
    with pytest.raises(keepwatch.DamagedError):
        keepwatch.verify_evidence(bundle)


def test_a_store_is_verified(store: keepwatch.EventStore, recorded: Path):
    report = store.verify(media=True)
    assert report
    assert report.findings == ()
    assert report.media >= 4
    head = (report.head_seq, report.head_link)
    assert store.verify(expect=head)
    cut = store.verify(expect=(head[0] + 1, head[1]))
    assert not cut
    assert cut.findings[0].kind == "truncated"
    clip = next(recorded.glob("media/**/*.mp4.kw"))
    content = clip.read_bytes()
    clip.chmod(0o600)
    clip.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        changed = store.verify(media=True)
    finally:
        clip.write_bytes(content)
    assert [finding.kind for finding in changed.findings] == ["media_changed"]


def test_a_new_store(tmp_path: Path):
    identity = keepwatch.keygen()
    made = keepwatch.EventStore.create(
        tmp_path / "store", passphrase=PASSPHRASE, recipients=identity.recipient, own_key=False
    )
    with made as store:
        assert store.query() == []
        assert store.verify()
    assert made.closed
    with pytest.raises(keepwatch.ClosedError):
        made.query()
    with pytest.raises(keepwatch.RepositoryExistsError):
        keepwatch.EventStore.create(tmp_path / "store", passphrase=PASSPHRASE)
    with pytest.raises(keepwatch.WrongKeyError):
        keepwatch.EventStore.open(tmp_path / "store", passphrase="another")
    with pytest.raises(keepwatch.RepositoryNotFoundError):
        keepwatch.EventStore.open(tmp_path / "nowhere", passphrase=PASSPHRASE)


def test_a_database_is_refused_without_repeating_its_password(tmp_path: Path) -> None:
    for address in ["postgres://ann:s3cr3t@db/events", "postgresql://ann:s3cr3t@db/events"]:
        for call in (
            lambda address=address: keepwatch.EventStore.open(address, passphrase=PASSPHRASE),
            lambda address=address: keepwatch.EventStore.create(address, passphrase=PASSPHRASE),
        ):
            with pytest.raises(ValueError, match="it is a database") as caught:
                call()
            assert "s3cr3t" not in str(caught.value)
    assert not list(tmp_path.iterdir())
