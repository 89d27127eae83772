"""Frames, boxes, detections and events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

__all__ = [
    "BBox",
    "Detection",
    "DetectionKind",
    "Event",
    "FaceMatch",
    "FaceObservation",
    "Frame",
    "PlateObservation",
    "PlateObservationStatus",
    "PlateRead",
]

DetectionKind = Literal["face", "plate", "vehicle"]

PlateObservationStatus = Literal[
    "candidate",
    "read",
    "ocr_low_confidence",
    "ocr_short_text",
    "ocr_error",
    "rejected_aspect_ratio",
    "rejected_size",
]


@dataclass(frozen=True)
class BBox:
    """A rectangle in pixels; the origin is the top left, ``x2`` and ``y2`` are outside."""

    x1: int
    y1: int
    x2: int
    y2: int

    def width(self) -> int:
        """The width; 0 for a box that is the wrong way round."""
        return max(0, self.x2 - self.x1)

    def height(self) -> int:
        """The height; 0 for a box that is the wrong way round."""
        return max(0, self.y2 - self.y1)

    def area(self) -> int:
        """Width times height."""
        return self.width() * self.height()


@dataclass(frozen=True)
class Detection:
    """Something that a detector found, with a score from 0 to 1."""

    kind: DetectionKind
    bbox: BBox
    score: float
    track_id: int | None = None


@dataclass(frozen=True)
class FaceObservation:
    """A face in the latest frame, whoever it is."""

    detection: Detection
    person_id: str | None = None
    similarity: float | None = None
    matched: bool = False

    @property
    def label(self) -> str:
        """What to write beside it."""
        if not self.matched or not self.person_id:
            return "Unknown face"
        if self.similarity is None:
            return self.person_id
        return f"{self.person_id} ({self.similarity:.2f})"


@dataclass(frozen=True)
class Frame:
    """A picture of a camera: ``[height, width, 3]``, BGR, ``uint8``."""

    image: Any
    ts_ms: int
    source_id: str


@dataclass(frozen=True)
class FaceMatch:
    """A face that is that of a person of the gallery."""

    person_id: str
    similarity: float
    detection: Detection


@dataclass(frozen=True)
class PlateRead:
    """A plate that was read; ``confidence`` is from 0 to 100."""

    text_raw: str
    text_clean: str
    confidence: float
    detection: Detection
    matched_list: Literal["whitelist", "blacklist"] | None = None
    preprocessing_used: str = ""


#: What stands behind the text of a plate that was not read well.
_DOUBTS: dict[str, str] = {
    "ocr_low_confidence": " (?)",
    "ocr_short_text": " (short)",
    "ocr_error": " (error)",
}


@dataclass(frozen=True)
class PlateObservation:
    """A plate in the latest frame, whether it could be read or not."""

    detection: Detection
    text_raw: str = ""
    text_clean: str = ""
    confidence: float = 0.0
    matched_list: Literal["whitelist", "blacklist"] | None = None
    status: PlateObservationStatus = "candidate"
    reason: str | None = None
    preprocessing_used: str = ""

    @property
    def label(self) -> str:
        """What to write beside it."""
        text = self.text_clean or self.text_raw or "Plate"
        return text + _DOUBTS.get(self.status, "")

    def is_rejected(self) -> bool:
        """Whether it was given up before it was read."""
        return self.status.startswith("rejected_")

    def is_displayable(self) -> bool:
        """Whether it is worth showing."""
        return not self.is_rejected()


@dataclass(frozen=True)
class Event:
    """What a pipeline reports."""

    type: Literal["face_match", "plate_read"]
    payload: FaceMatch | PlateRead
    ts_ms: int
    frame_source_id: str
