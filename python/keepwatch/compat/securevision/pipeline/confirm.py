"""Events of what was seen in several frames in a row, and no others."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..tracking.tracker import SimpleTracker
from ..tracking.types import Track, TrackState
from ..types import Detection, DetectionKind, Event, FaceMatch, Frame, PlateRead
from .base import Processor

__all__ = ["ConfirmationProcessor"]

logger = logging.getLogger(__name__)


class ConfirmationProcessor(Processor):
    """Passes on one event of each track, when the track counts.

    The event of a plate is one with the text that the frames agree on, with the frame and place
    where that text was last read.

    Args:
        wrapped_processor: Where the events come from.
        detection_kind: ``"face"`` or ``"plate"``.
        frames_required: Frames in a row, at least 1.
        iou_threshold: See :class:`SimpleTracker`, as for the rest.
        max_age: Frames without it.
        ocr_agreement_threshold: The share of equal texts.
    """

    def __init__(
        self,
        wrapped_processor: Processor,
        detection_kind: DetectionKind,
        frames_required: int = 3,
        iou_threshold: float = 0.5,
        max_age: int = 30,
        ocr_agreement_threshold: float = 0.6,
    ) -> None:
        self.wrapped_processor = wrapped_processor
        self.detection_kind = detection_kind
        self.frames_required = frames_required
        self.tracker = SimpleTracker(
            detection_kind=detection_kind,
            iou_threshold=iou_threshold,
            frames_required=frames_required,
            max_age=max_age,
            ocr_agreement_threshold=ocr_agreement_threshold,
        )
        self._emitted_track_ids: set[int] = set()
        #: Of plates that do not count yet, the latest event with each text.
        self._reads: dict[int, dict[str, Event]] = {}
        self._stats = {
            "frames_processed": 0,
            "events_from_wrapped": 0,
            "events_buffered": 0,
            "events_emitted": 0,
        }

    def open(self) -> None:
        """Opens the processor behind it."""
        self.wrapped_processor.open()

    def process_frame(self, frame: Frame) -> Iterator[Event]:
        """Takes the next frame, at once, and gives the events whose tracks count now."""
        self._stats["frames_processed"] += 1
        events = list(self.wrapped_processor.process_frame(frame))
        self._stats["events_from_wrapped"] += len(events)
        texts: list[tuple[str, float]] | None = None
        if self.detection_kind == "plate":
            texts = [_text(event) for event in events]
        self.tracker.update([event.payload.detection for event in events], frame.ts_ms, texts)
        confirmed = []
        for index, event in enumerate(events):
            passed = self._pass(event, self.tracker.track_of(index))
            if passed is not None:
                confirmed.append(passed)
        self._forget_lost()
        self._stats["events_emitted"] += len(confirmed)
        self._stats["events_buffered"] += len(events) - len(confirmed)
        return iter(confirmed)

    def close(self) -> None:
        """Closes the processor behind it."""
        logger.info("confirmation of %ss ends: %s", self.detection_kind, self.get_stats())
        self.wrapped_processor.close()

    def get_latest_observations(self) -> list[Any]:
        """What the processor behind it saw in the latest frame; nothing if it cannot say."""
        look = getattr(self.wrapped_processor, "get_latest_observations", None)
        if look is None:
            return []
        try:
            return list(look())
        except Exception as error:
            logger.error("the latest observations cannot be had: %s", error)
            return []

    def get_stats(self) -> dict[str, Any]:
        """Counts, with those of the tracker and of the processor behind it."""
        wrapped = getattr(self.wrapped_processor, "get_stats", None)
        return {
            **self._stats,
            "tracker": self.tracker.get_stats(),
            "wrapped_processor": wrapped() if wrapped is not None else {},
        }

    def _pass(self, event: Event, track: Track | None) -> Event | None:
        if track is None or track.track_id in self._emitted_track_ids:
            return None
        if isinstance(event.payload, PlateRead):
            reads = self._reads.setdefault(track.track_id, {})
            # The latest comes last.
            reads.pop(event.payload.text_clean, None)
            reads[event.payload.text_clean] = event
            if track.state is not TrackState.CONFIRMED:
                self._drop_old(reads, track)
                return None
            agreed = track.get_majority_ocr_text(self.tracker.ocr_agreement_threshold)
            event = reads.get(agreed or "", event)
            self._reads.pop(track.track_id)
        elif track.state is not TrackState.CONFIRMED:
            return None
        self._emitted_track_ids.add(track.track_id)
        return _with_track(event, track.track_id)

    @staticmethod
    def _drop_old(reads: dict[str, Event], track: Track) -> None:
        known = {text for text, _ in track.ocr_text_history}
        for text in [text for text in reads if text not in known]:
            del reads[text]

    def _forget_lost(self) -> None:
        active = {track.track_id for track in self.tracker.get_active_tracks()}
        self._emitted_track_ids &= active
        for track_id in self._reads.keys() - active:
            del self._reads[track_id]


def _text(event: Event) -> tuple[str, float]:
    if not isinstance(event.payload, PlateRead):
        raise TypeError(f"payload: {type(event.payload).__name__} is not a PlateRead")
    return event.payload.text_clean, event.payload.confidence


def _with_track(event: Event, track_id: int) -> Event:
    payload: FaceMatch | PlateRead = event.payload
    detection: Detection = replace(payload.detection, track_id=track_id)
    return replace(event, payload=replace(payload, detection=detection))
