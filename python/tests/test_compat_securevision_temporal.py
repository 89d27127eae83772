"""Each person and plate once in a while."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from keepwatch.compat.securevision.pipeline.base import Sink
from keepwatch.compat.securevision.pipeline.temporal_sink import TemporalFilterSink
from keepwatch.compat.securevision.types import BBox, Detection, Event, FaceMatch, PlateRead

FACE = Event(
    "face_match",
    FaceMatch("ann", 0.87, Detection("face", BBox(0, 0, 10, 10), 0.95)),
    1000,
    "door",
)
PLATE = Event(
    "plate_read",
    PlateRead("ann", "ann", 85.0, Detection("plate", BBox(0, 0, 10, 10), 0.9)),
    1000,
    "door",
)


class Kept(Sink):
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.calls: list[str] = []
        self.broken = False

    def open(self) -> None:
        self.calls.append("open")

    def consume(self, event: Event) -> None:
        if self.broken:
            raise OSError("full")
        self.events.append(event)

    def close(self) -> None:
        self.calls.append("close")

    def get_stats(self) -> dict[str, int]:
        return {"kept": len(self.events)}


class Filter:
    """A filter whose clock stands until it is told otherwise."""

    def __init__(self, **options: Any) -> None:
        self.now = 1e6
        self.kept = Kept()
        self.sink = TemporalFilterSink(self.kept, clock=lambda: self.now, **options)

    def passes(self, event: Event) -> bool:
        count = len(self.kept.events)
        self.sink.consume(event)
        return len(self.kept.events) > count


def test_the_same_is_held_back_until_the_cooldown_is_over() -> None:
    each = Filter(cooldown_seconds=30.0)
    passed = []
    for _ in range(8):
        passed.append(each.passes(FACE))
        each.now += 10
    # What was held back does not make the pause longer.
    assert passed == [True, False, False, True, False, False, True, False]
    stats = each.sink.get_stats()
    assert (stats["events_received"], stats["events_forwarded"]) == (8, 3)
    assert (stats["events_suppressed"], stats["wrapped_sink"]) == (5, {"kept": 3})


def test_others_pass() -> None:
    each = Filter()
    bob = FaceMatch("bob", 0.87, FACE.payload.detection)
    other = replace(FACE, payload=bob)
    # A plate of the same text as a name is something else.
    assert all(map(each.passes, [FACE, other, PLATE]))
    assert not any(map(each.passes, [FACE, other, PLATE]))


def test_each_camera_has_pauses_of_its_own() -> None:
    each = Filter()
    yard = replace(FACE, frame_source_id="yard")
    assert each.passes(FACE)
    assert each.passes(yard)
    assert not each.passes(yard)


def test_a_clock_that_is_set_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 0.0)
    kept = Kept()
    sink = TemporalFilterSink(kept)
    sink.consume(FACE)
    monkeypatch.setattr("time.time", lambda: 1e9)
    sink.consume(FACE)
    assert len(kept.events) == 1


def test_an_event_that_did_not_arrive_holds_nothing_back() -> None:
    each = Filter()
    each.kept.broken = True
    with pytest.raises(OSError, match="full"):
        each.sink.consume(FACE)
    each.kept.broken = False
    assert each.passes(FACE)


def test_unknown_types_pass_always() -> None:
    each = Filter()
    unknown: Any = Event("smoke", None, 1000, "door")  # type: ignore[arg-type]
    assert each.passes(unknown)
    assert each.passes(unknown)
    assert each.sink.get_stats()["cache_size"] == 0


def test_what_was_long_ago_is_forgotten() -> None:
    each = Filter(cooldown_seconds=30.0, cleanup_interval=60.0)
    each.passes(FACE)
    each.now += 59
    each.sink.force_cleanup()
    assert each.sink.get_stats()["cache_size"] == 1
    each.now += 61
    each.passes(PLATE)
    assert each.sink.get_stats()["cache_size"] == 1
    assert each.sink.get_stats()["cleanup_runs"] == 2


def test_the_sink_behind_it_is_opened_and_closed() -> None:
    each = Filter()
    each.sink.open()
    each.sink.close()
    assert each.kept.calls == ["open", "close"]
