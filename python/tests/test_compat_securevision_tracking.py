"""Overlap, tracks, and events of what was seen in several frames in a row."""

from __future__ import annotations

import doctest
import importlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

import keepwatch._keepwatch
from keepwatch.compat.securevision.pipeline.base import Processor
from keepwatch.compat.securevision.pipeline.confirm import ConfirmationProcessor
from keepwatch.compat.securevision.tracking import (
    SimpleTracker,
    Track,
    TrackState,
    compute_centroid_distance,
    compute_iou,
    iou,
)
from keepwatch.compat.securevision.types import (
    BBox,
    Detection,
    DetectionKind,
    Event,
    FaceMatch,
    Frame,
    PlateRead,
)

SQUARE = BBox(100, 100, 200, 200)


def seen(box: BBox, kind: DetectionKind = "face") -> Detection:
    return Detection(kind, box, 0.9)


def moved(box: BBox, dx: int, dy: int = 0) -> BBox:
    return BBox(box.x1 + dx, box.y1 + dy, box.x2 + dx, box.y2 + dy)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (BBox(0, 0, 100, 100), BBox(0, 0, 100, 100), 1.0),
        (BBox(0, 0, 100, 100), BBox(200, 200, 300, 300), 0.0),
        (BBox(0, 0, 100, 100), BBox(50, 0, 150, 100), 1 / 3),
        (BBox(0, 0, 100, 100), BBox(25, 25, 75, 75), 0.25),
        (BBox(0, 0, 100, 100), BBox(100, 0, 200, 100), 0.0),
        (BBox(0, 0, 200, 50), BBox(0, 0, 50, 200), 1 / 7),
        # Without an area, or the wrong way round.
        (BBox(0, 0, 0, 100), BBox(0, 0, 100, 100), 0.0),
        (BBox(0, 0, 0, 0), BBox(0, 0, 0, 0), 0.0),
        (BBox(100, 100, 0, 0), BBox(0, 0, 100, 100), 0.0),
    ],
)
def test_overlap(a: BBox, b: BBox, expected: float) -> None:
    assert compute_iou(a, b) == pytest.approx(expected, rel=1e-6)
    assert compute_iou(b, a) == compute_iou(a, b)


def test_overlap_takes_numbers_of_numpy() -> None:
    numpy = pytest.importorskip("numpy")
    box = BBox(*numpy.array([0, 0, 100, 100]))
    assert compute_iou(box, BBox(0, 50, 100, 100)) == 0.5


def test_distance() -> None:
    box = BBox(0, 0, 100, 100)
    assert compute_centroid_distance(box, box) == 0.0
    assert compute_centroid_distance(box, BBox(25, 25, 75, 75)) == 0.0
    assert compute_centroid_distance(box, moved(box, 300, 400)) == 500.0


def test_the_examples_of_the_documentation() -> None:
    assert doctest.testmod(iou).failed == 0


def test_a_build_without_cameras_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    package = "keepwatch.compat.securevision"
    names = [name for name in sys.modules if name.startswith((f"{package}.t", f"{package}.p"))]
    for name in [*names, f"{package}._native"]:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(keepwatch._keepwatch, "HAS_VISION", False)
    for module in ["tracking.iou", "tracking", "tracking.tracker", "pipeline.confirm"]:
        with pytest.raises(ImportError, match="needs Keepwatch with cameras"):
            importlib.import_module(f"{package}.{module}")
    # The rest is there.
    importlib.import_module(f"{package}.pipeline.temporal_sink")


def test_a_track_counts_after_frames_in_a_row() -> None:
    tracker = SimpleTracker("face", frames_required=3, max_age=5)
    states = []
    for frame in range(5):
        (track,) = tracker.update([seen(moved(SQUARE, 5 * frame))], ts_ms=1000 + frame)
        states.append((track.track_id, track.state, track.consecutive_hits))
    assert [state for _, state, _ in states] == [TrackState.TENTATIVE] * 2 + [
        TrackState.CONFIRMED
    ] * 3
    assert [hits for _, _, hits in states] == [1, 2, 3, 4, 5]
    assert {number for number, _, _ in states} == {1}
    assert (track.first_seen_ts, track.last_seen_ts, track.age_ms(1100)) == (1000, 1004, 100)
    assert track.bbox == moved(SQUARE, 20)
    assert tracker.get_confirmed_tracks() == [track]
    assert tracker.get_track_by_id(1) is track
    assert tracker.get_track_by_id(2) is None


def test_one_frame_can_be_enough() -> None:
    tracker = SimpleTracker("face", frames_required=1)
    (track,) = tracker.update([seen(SQUARE)], ts_ms=0)
    assert track.state is TrackState.CONFIRMED
    tracker = SimpleTracker("plate", frames_required=1)
    (track,) = tracker.update([seen(SQUARE, "plate")], 0, ocr_texts=[("AB1", 85.0)])
    assert track.state is TrackState.CONFIRMED


def test_a_miss_begins_the_count_anew() -> None:
    tracker = SimpleTracker("face", frames_required=3)
    for detections in [[seen(SQUARE)], [seen(SQUARE)], [], [seen(SQUARE)], [seen(SQUARE)]]:
        tracker.update(detections, ts_ms=0)
        (track,) = tracker.tracks
        assert track.state is TrackState.TENTATIVE
    assert (track.consecutive_hits, track.consecutive_misses, track.total_hits) == (2, 0, 4)
    tracker.update([seen(SQUARE)], ts_ms=0)
    assert track.state is TrackState.CONFIRMED
    # What counted once does so until it is lost.
    tracker.update([], ts_ms=0)
    assert (track.state, track.consecutive_misses) == (TrackState.CONFIRMED, 1)


@pytest.mark.parametrize("max_age", [1, 2, 30])
def test_a_track_is_lost_after_so_many_misses(max_age: int) -> None:
    tracker = SimpleTracker("face", max_age=max_age)
    tracker.update([seen(SQUARE)], ts_ms=0)
    (track,) = tracker.tracks
    for _ in range(max_age - 1):
        assert tracker.update([], ts_ms=0) == [track]
    assert tracker.update([], ts_ms=0) == []
    assert tracker.tracks == []
    assert track.state is TrackState.LOST
    assert tracker.get_stats()["tracks_lost"] == 1
    # A new one gets a new number.
    (new,) = tracker.update([seen(SQUARE)], ts_ms=0)
    assert new.track_id == 2


def test_more_than_the_threshold_matches_and_not_the_threshold() -> None:
    # These two overlap by exactly a half.
    half = [seen(BBox(0, 0, 100, 100)), seen(BBox(0, 0, 100, 50))]
    for threshold, tracks in [(0.5, 2), (0.49, 1), (0.0, 1), (1.0, 2)]:
        tracker = SimpleTracker("face", iou_threshold=threshold)
        for detection in half:
            tracker.update([detection], ts_ms=0)
        assert len(tracker.tracks) == tracks, threshold


def test_things_are_expected_where_they_were() -> None:
    # Who expects them to go on as they moved loses those that jitter.
    tracker = SimpleTracker("face")
    for frame in range(20):
        tracker.update([seen(moved(SQUARE, 30 * (frame % 2)))], ts_ms=33 * frame)
    (track,) = tracker.tracks
    assert track.consecutive_hits == 20


def test_the_best_overlaps_come_first() -> None:
    tracker = SimpleTracker("face", iou_threshold=0.3, frames_required=2)
    left, right = SQUARE, moved(SQUARE, 40)
    for boxes in [[left], [left], [left, right]]:
        tracker.update([seen(box) for box in boxes], ts_ms=0)
    # The left one is gone; the right one is not the older track, though that overlaps it too.
    tracker.update([seen(right)], ts_ms=0)
    track = tracker.track_of(0)
    assert track is not None
    assert (track.track_id, [each.consecutive_misses for each in tracker.tracks]) == (2, [1, 0])


def test_new_tracks_are_numbered_in_the_order_of_their_detections() -> None:
    tracker = SimpleTracker("face")
    boxes = [moved(SQUARE, dx) for dx in (600, 0, 300)]
    tracker.update([seen(box) for box in boxes], ts_ms=0)
    assert [(track.track_id, track.bbox) for track in tracker.tracks] == list(enumerate(boxes, 1))
    tracker.update([seen(boxes[2]), seen(boxes[0])], ts_ms=0)
    tracks = [tracker.track_of(index) for index in range(2)]
    assert [track and track.track_id for track in tracks] == [3, 1]
    assert [track.consecutive_misses for track in tracker.tracks] == [0, 1, 0]


def test_plates_count_when_their_texts_agree() -> None:
    def run(*texts: str) -> Track:
        tracker = SimpleTracker("plate", ocr_agreement_threshold=0.6)
        for text in texts:
            tracker.update([seen(SQUARE, "plate")], 0, ocr_texts=[(text, 85.0)])
        (track,) = tracker.tracks
        return track

    assert run("AB1", "AB1", "AB1").state is TrackState.CONFIRMED
    assert run("AB1", "AB2", "AB3").state is TrackState.TENTATIVE
    track = run("AB1", "AB1", "AB2")
    assert (track.state, track.get_majority_ocr_text()) == (TrackState.CONFIRMED, "AB1")
    assert track.ocr_agreement() == pytest.approx(2 / 3)
    assert run("AB3", "AB2", "AB1", "AB1", "AB1").state is TrackState.CONFIRMED
    assert len(run(*["AB1"] * 15).ocr_text_history) == 10
    # Without texts nothing agrees.
    tracker = SimpleTracker("plate")
    for _ in range(5):
        tracker.update([seen(SQUARE, "plate")], 0)
    assert tracker.get_confirmed_tracks() == []


def test_arguments_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="ocr_texts length.*must match"):
        SimpleTracker("plate").update([seen(SQUARE, "plate")], 0, ocr_texts=[])
    with pytest.raises(ValueError, match="iou_threshold"):
        SimpleTracker("face", iou_threshold=1.5)
    with pytest.raises(ValueError, match="frames_required"):
        SimpleTracker("face", frames_required=0)
    with pytest.raises(ValueError, match="max_age"):
        SimpleTracker("face", max_age=0)
    with pytest.raises(AttributeError):
        SimpleTracker("face").iou_threshold = 0.9  # type: ignore[misc]


def test_counts() -> None:
    tracker = SimpleTracker("face", frames_required=2, max_age=2)
    far = moved(SQUARE, 500)
    for detections in [[seen(SQUARE), seen(far)], [seen(SQUARE)], [seen(SQUARE)]]:
        tracker.update(detections, ts_ms=0)
    assert tracker.get_stats() == {
        "total_detections": 4,
        "tracks_created": 2,
        "tracks_confirmed": 1,
        "tracks_lost": 1,
        "active_tracks": 1,
        "confirmed_tracks": 1,
        "tentative_tracks": 0,
    }
    tracker.reset()
    assert set(tracker.get_stats().values()) == {0}
    (track,) = tracker.update([seen(SQUARE)], ts_ms=0)
    assert (track.track_id, track.state) == (1, TrackState.TENTATIVE)


class Scripted(Processor):
    """Gives what it is told to."""

    def __init__(self, kind: DetectionKind) -> None:
        self.kind = kind
        self.script: list[list[tuple[str, BBox]]] = []
        self.calls: list[str] = []

    def open(self) -> None:
        self.calls.append("open")

    def close(self) -> None:
        self.calls.append("close")

    def process_frame(self, frame: Frame) -> Iterable[Event]:
        return [event(self.kind, name, box, frame.ts_ms) for name, box in self.script.pop(0)]


def event(kind: DetectionKind, name: str, box: BBox, ts_ms: int) -> Event:
    if kind == "face":
        return Event("face_match", FaceMatch(name, 0.8, seen(box)), ts_ms, "door")
    read = PlateRead(f" {name}", name, 80.0, seen(box, "plate"), "whitelist", "grayscale")
    return Event("plate_read", read, ts_ms, "door")


def confirm(kind: DetectionKind, *script: list[tuple[str, BBox]]) -> Iterator[list[Event]]:
    wrapped = Scripted(kind)
    wrapped.script = list(script)
    processor = ConfirmationProcessor(wrapped, kind, frames_required=3, max_age=5)
    for ts_ms in range(len(script)):
        yield list(processor.process_frame(Frame(None, ts_ms, "door")))


def test_an_event_of_a_track_comes_once_and_when_it_counts() -> None:
    frames = list(confirm("face", *[[("ann", SQUARE)]] * 6))
    assert [len(events) for events in frames] == [0, 0, 1, 0, 0, 0]
    (confirmed,) = frames[2]
    assert confirmed == Event(
        "face_match", FaceMatch("ann", 0.8, Detection("face", SQUARE, 0.9, 1)), 2, "door"
    )


def test_each_of_several_faces_keeps_its_own_track() -> None:
    near = moved(SQUARE, 40)
    frames = list(confirm("face", *[[("bob", near), ("ann", SQUARE)]] * 3))
    payloads: list[Any] = [each.payload for each in frames[2]]
    found = {(payload.person_id, payload.detection.track_id) for payload in payloads}
    assert found == {("bob", 1), ("ann", 2)}


def test_the_event_of_a_plate_has_the_text_that_the_frames_agree_on() -> None:
    # The frame that makes it count is the one that was misread.
    frames = list(confirm("plate", *[[(text, SQUARE)] for text in ("AB1", "AB1", "A8I", "AB1")]))
    assert [len(events) for events in frames] == [0, 0, 1, 0]
    (confirmed,) = frames[2]
    assert isinstance(confirmed.payload, PlateRead)
    assert (confirmed.payload.text_clean, confirmed.payload.text_raw) == ("AB1", " AB1")
    assert confirmed.payload.matched_list == "whitelist"
    # It is that of the frame where this was read.
    assert (confirmed.ts_ms, confirmed.payload.detection.track_id) == (1, 1)


def test_what_is_lost_is_forgotten() -> None:
    wrapped = Scripted("plate")
    wrapped.script = [[("AB1", SQUARE)]] * 2 + [[]] * 5 + [[("AB1", SQUARE)]] * 3 + [[]] * 5
    processor = ConfirmationProcessor(wrapped, "plate", max_age=5)
    processor.open()
    count = sum(
        len(list(processor.process_frame(Frame(None, ts_ms, "door"))))
        for ts_ms in range(len(wrapped.script))
    )
    processor.close()
    assert wrapped.calls == ["open", "close"]
    assert count == 1
    assert not processor._reads
    assert not processor._emitted_track_ids
    stats = processor.get_stats()
    assert stats.pop("tracker")["tracks_lost"] == 2
    assert stats == {
        "frames_processed": 15,
        "events_from_wrapped": 5,
        "events_buffered": 4,
        "events_emitted": 1,
        "wrapped_processor": {},
    }


def test_a_frame_is_taken_even_if_nobody_looks_at_its_events() -> None:
    wrapped = Scripted("face")
    wrapped.script = [[("ann", SQUARE)]] * 3
    processor = ConfirmationProcessor(wrapped, "face")
    for ts_ms in range(3):
        events: Any = processor.process_frame(Frame(None, ts_ms, "door"))
    assert next(events).payload.person_id == "ann"


def test_observations_of_the_processor_behind_it() -> None:
    class Watching(Scripted):
        def get_latest_observations(self) -> list[str]:
            if self.script:
                raise RuntimeError("not now")
            return ["a face"]

    wrapped = Watching("face")
    processor = ConfirmationProcessor(wrapped, "face")
    assert processor.get_latest_observations() == ["a face"]
    wrapped.script = [[]]
    assert processor.get_latest_observations() == []
    assert ConfirmationProcessor(Scripted("face"), "face").get_latest_observations() == []
