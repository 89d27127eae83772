"""Plates in frames, read and looked up."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

from ..config import PlatesSettings
from ..pipeline.base import Processor
from ..types import BBox, Detection, Event, Frame, PlateObservation, PlateRead
from .lists import PlateListLoader
from .ocr import OCRResult

__all__ = ["PlateRecognizer"]

logger = logging.getLogger(__name__)

#: Plates that are smaller by less than this are read nevertheless.
_SOFT = 0.6


class _Detector(Protocol):
    def load(self) -> None: ...
    def detect(self, frame: Any) -> list[Detection]: ...


class _OCR(Protocol):
    min_text_length: int

    def load(self) -> None: ...
    def extract_text(self, frame: Any, bbox: BBox) -> OCRResult: ...


class PlateRecognizer(Processor):
    """Finds plates in a frame, reads each and looks it up in the lists.

    Args:
        detector: Finds them, as :class:`YOLOPlateDetector`.
        ocr: Reads them, as :class:`PlateOCR`.
        lists: Which are welcome and which are not.
        min_confidence: The least confidence of a text, 0.0 to 1.0.
        min_aspect_ratio: The least width over height.
        max_aspect_ratio: The most of it.
        min_width_px: The least width in pixels; six tenths of it are tried.
        min_height_px: The same of the height.
    """

    def __init__(
        self,
        detector: _Detector,
        ocr: _OCR,
        lists: PlateListLoader,
        min_confidence: float = 0.55,
        min_aspect_ratio: float = 1.5,
        max_aspect_ratio: float = 6.0,
        min_width_px: int = 80,
        min_height_px: int = 20,
    ) -> None:
        self.detector = detector
        self.ocr = ocr
        self.lists = lists
        self.min_confidence = min_confidence
        self.min_aspect_ratio = min_aspect_ratio
        self.max_aspect_ratio = max_aspect_ratio
        self.min_width_px = min_width_px
        self.min_height_px = min_height_px
        self._stats = {
            "total_frames": 0,
            "total_detections": 0,
            "rejected_aspect_ratio": 0,
            "rejected_size": 0,
            "rejected_ocr_confidence": 0,
            "rejected_text_length": 0,
            "successful_reads": 0,
            "whitelist_matches": 0,
            "blacklist_matches": 0,
            "ocr_errors": 0,
        }
        self._latest_observations: list[PlateObservation] = []

    def open(self) -> None:
        """Loads what finds, reads and lists plates."""
        self.detector.load()
        self.ocr.load()
        if not self.lists._loaded:
            self.lists.load()
        self._latest_observations = []
        logger.info("plates are read: %s", self.lists.size())

    def process_frame(self, frame: Frame) -> Iterator[Event]:
        """Takes the next frame, at once, and gives an event of each plate that was read."""
        self._stats["total_frames"] += 1
        self._latest_observations = []
        try:
            detections = self.detector.detect(frame.image)
        except Exception as error:
            logger.error("plates cannot be found: %s", error)
            return iter(())
        self._stats["total_detections"] += len(detections)
        events = []
        for detection in detections:
            observation = self._observe(frame.image, detection)
            self._latest_observations.append(observation)
            if observation.status == "read":
                payload = PlateRead(
                    observation.text_raw,
                    observation.text_clean,
                    observation.confidence,
                    detection,
                    observation.matched_list,
                    observation.preprocessing_used,
                )
                events.append(Event("plate_read", payload, frame.ts_ms, frame.source_id))
        return iter(events)

    def _observe(self, image: Any, detection: Detection) -> PlateObservation:
        seen = PlateObservation(detection)
        width, height = detection.bbox.width(), detection.bbox.height()
        aspect = width / height if height > 0 else 0.0
        if not self.min_aspect_ratio <= aspect <= self.max_aspect_ratio:
            self._stats["rejected_aspect_ratio"] += 1
            limits = f"[{self.min_aspect_ratio}, {self.max_aspect_ratio}]"
            reason = f"aspect {aspect:.2f} outside {limits}"
            return replace(seen, status="rejected_aspect_ratio", reason=reason)
        if width < self.min_width_px * _SOFT or height < self.min_height_px * _SOFT:
            self._stats["rejected_size"] += 1
            reason = f"size {width}x{height}px < {self.min_width_px}x{self.min_height_px}px"
            return replace(seen, status="rejected_size", reason=reason)
        try:
            read = self.ocr.extract_text(image, detection.bbox)
        except Exception as error:
            logger.error("a plate cannot be read: %s", error)
            self._stats["ocr_errors"] += 1
            return replace(seen, status="ocr_error", reason=str(error))
        seen = replace(
            seen,
            text_raw=read.text_raw,
            text_clean=read.text_clean,
            confidence=read.confidence,
            preprocessing_used=read.preprocessing_used,
        )
        if read.confidence / 100 < self.min_confidence:
            self._stats["rejected_ocr_confidence"] += 1
            reason = f"confidence {read.confidence:.1f}% < {self.min_confidence * 100:.1f}%"
            return replace(seen, status="ocr_low_confidence", reason=reason)
        if len(read.text_clean) < self.ocr.min_text_length:
            self._stats["rejected_text_length"] += 1
            reason = f"length {len(read.text_clean)} < {self.ocr.min_text_length}"
            return replace(seen, status="ocr_short_text", reason=reason)
        self._stats["successful_reads"] += 1
        hyphens = getattr(self.ocr, "reads_hyphens", True)
        matched = self.lists.match(read.text_clean, hyphens=hyphens)
        if matched is not None:
            self._stats[f"{matched}_matches"] += 1
        return replace(seen, status="read", matched_list=matched)

    def get_latest_observations(self) -> list[PlateObservation]:
        """The plates of the latest frame, whether they could be read or not."""
        return list(self._latest_observations)

    def close(self) -> None:
        """Ends."""
        logger.info("plates are read no more: %s", self._stats)
        self._latest_observations = []

    def get_stats(self) -> dict[str, Any]:
        """Counts."""
        return dict(self._stats)

    @classmethod
    def from_config(
        cls,
        plates_settings: PlatesSettings,
        detector: _Detector,
        ocr: _OCR,
        lists: PlateListLoader,
    ) -> PlateRecognizer:
        """One with these settings."""
        return cls(
            detector,
            ocr,
            lists,
            min_confidence=plates_settings.min_confidence,
            min_aspect_ratio=plates_settings.min_aspect_ratio,
            max_aspect_ratio=plates_settings.max_aspect_ratio,
            min_width_px=plates_settings.min_width_px,
            min_height_px=plates_settings.min_height_px,
        )
