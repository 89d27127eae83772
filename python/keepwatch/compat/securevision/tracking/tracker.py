"""The tracker: Keepwatch's own, with SecureVision's way of counting."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from keepwatch.errors import InvalidValueError

from .._native import need_vision
from ..types import Detection, DetectionKind
from .iou import place
from .types import Track, TrackState

need_vision(__name__)

from keepwatch._keepwatch import SecureVisionTracker  # noqa: E402

__all__ = ["SimpleTracker"]

logger = logging.getLogger(__name__)


class SimpleTracker:
    """Follows detections of one kind through the frames of one camera.

    Detections go to the tracks that they overlap by more than ``iou_threshold``, the best overlaps
    first. A track counts (``CONFIRMED``) after ``frames_required`` frames in a
    row, a plate only if the same text was read in ``ocr_agreement_threshold`` of them as well; it
    is dropped (``LOST``) after ``max_age`` frames that did not show it.

    Args:
        detection_kind: ``"face"`` or ``"plate"``.
        iou_threshold: The overlap that is not enough, 0.0 to 1.0.
        frames_required: Frames in a row, at least 1.
        max_age: Frames without it, at least 1.
        ocr_agreement_threshold: The share of equal texts, 0.0 to 1.0.
    """

    def __init__(
        self,
        detection_kind: DetectionKind,
        iou_threshold: float = 0.5,
        frames_required: int = 3,
        max_age: int = 30,
        ocr_agreement_threshold: float = 0.6,
    ) -> None:
        if frames_required < 1:
            raise InvalidValueError("frames_required: 1 is the least")
        self.detection_kind = detection_kind
        self.ocr_agreement_threshold = ocr_agreement_threshold
        self.frames_required = frames_required
        self._iou_threshold = iou_threshold
        self._max_age = max_age
        self.tracks: list[Track] = []
        self._by_native_id: dict[int, Track] = {}
        self._fresh: set[int] = set()
        self._assigned: list[Track | None] = []
        self._stats: dict[str, int] = {}
        self.reset()

    @property
    def iou_threshold(self) -> float:
        """The overlap that is not enough."""
        return self._iou_threshold

    @property
    def max_age(self) -> int:
        """So many frames without it end a track."""
        return self._max_age

    def update(
        self,
        detections: list[Detection],
        ts_ms: int,
        ocr_texts: list[tuple[str, float]] | None = None,
    ) -> list[Track]:
        """Takes the detections of the next frame, and gives the tracks that are followed.

        Args:
            detections: What was found in the frame, also if it is nothing.
            ts_ms: When it was taken.
            ocr_texts: Of plates, the text and confidence of each detection.

        Raises:
            ValueError: There are more or fewer texts than detections.
        """
        texts = self._texts(detections, ocr_texts)
        self._stats["total_detections"] += len(detections)
        updates = self._tracker.update([(place(seen.bbox), seen.score) for seen in detections])
        self._new_tracks(updates, detections, ts_ms)
        self._assigned = [None] * len(detections)
        for native_id, is_lost, index in updates:
            track = self._by_native_id[native_id]
            if index is None:
                track.mark_missed()
            else:
                seen = detections[index]
                if native_id in self._fresh:
                    self._fresh.discard(native_id)
                else:
                    track.update(seen.bbox, seen.score, ts_ms)
                self._assigned[index] = track
                if texts is not None:
                    track.add_ocr_text(*texts[index])
            self._settle(native_id, track, is_lost)
        self.tracks = [track for track in self.tracks if track.state is not TrackState.LOST]
        return self.get_active_tracks()

    def track_of(self, index: int) -> Track | None:
        """The track of a detection of the latest frame, by its place in the list."""
        return self._assigned[index]

    def get_active_tracks(self) -> list[Track]:
        """All that are followed."""
        return [track for track in self.tracks if track.state is not TrackState.LOST]

    def get_confirmed_tracks(self) -> list[Track]:
        """Those that count."""
        return [track for track in self.tracks if track.state is TrackState.CONFIRMED]

    def get_track_by_id(self, track_id: int) -> Track | None:
        """The one with a number, if it is followed."""
        return next((track for track in self.tracks if track.track_id == track_id), None)

    def get_stats(self) -> dict[str, int]:
        """How many there were, and are."""
        confirmed = len(self.get_confirmed_tracks())
        active = len(self.get_active_tracks())
        return {
            **self._stats,
            "active_tracks": active,
            "confirmed_tracks": confirmed,
            "tentative_tracks": active - confirmed,
        }

    def reset(self) -> None:
        """Forgets all tracks and counts."""
        self._tracker = SecureVisionTracker(self._iou_threshold, self._max_age)
        self._by_native_id.clear()
        self._fresh.clear()
        self._assigned.clear()
        self._next_track_id = 1
        self.tracks.clear()
        self._stats = {
            "total_detections": 0,
            "tracks_created": 0,
            "tracks_confirmed": 0,
            "tracks_lost": 0,
        }

    def _texts(
        self, detections: Sequence[Detection], ocr_texts: list[tuple[str, float]] | None
    ) -> list[tuple[str, float]] | None:
        if self.detection_kind != "plate" or ocr_texts is None:
            return None
        if len(ocr_texts) != len(detections):
            raise InvalidValueError(
                f"ocr_texts length ({len(ocr_texts)}) must match "
                f"detections length ({len(detections)})"
            )
        return ocr_texts

    def _new_tracks(
        self,
        updates: Sequence[tuple[int, bool, int | None]],
        detections: Sequence[Detection],
        ts_ms: int,
    ) -> None:
        """Numbers new tracks in the order in which their detections came."""
        fresh = {
            index: native_id
            for native_id, _, index in updates
            if index is not None and native_id not in self._by_native_id
        }
        for index, native_id in sorted(fresh.items()):
            seen = detections[index]
            track = Track(
                track_id=self._next_track_id,
                detection_kind=self.detection_kind,
                bbox=seen.bbox,
                score=seen.score,
                first_seen_ts=ts_ms,
                last_seen_ts=ts_ms,
            )
            self._next_track_id += 1
            self._stats["tracks_created"] += 1
            self._by_native_id[native_id] = track
            self._fresh.add(native_id)
            self.tracks.append(track)

    def _settle(self, native_id: int, track: Track, is_lost: bool) -> None:
        if is_lost:
            track.state = TrackState.LOST
            del self._by_native_id[native_id]
            self._stats["tracks_lost"] += 1
            logger.debug("track %d is lost", track.track_id)
        elif track.state is TrackState.TENTATIVE and self._counts(track):
            track.state = TrackState.CONFIRMED
            self._stats["tracks_confirmed"] += 1
            logger.debug("track %d counts", track.track_id)

    def _counts(self, track: Track) -> bool:
        if not track.is_confirmed(self.frames_required):
            return False
        if self.detection_kind != "plate":
            return True
        return track.get_majority_ocr_text(self.ocr_agreement_threshold) is not None
