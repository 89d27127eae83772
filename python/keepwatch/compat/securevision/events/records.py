"""The rows of SecureVision's tables, and what Keepwatch's store keeps of an event."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from keepwatch.errors import InvalidValueError

from .._redact import redact
from ..types import Detection, Event, FaceMatch, PlateRead

__all__ = [
    "EventRecord",
    "FaceMatchRecord",
    "PlateReadRecord",
    "Report",
    "Row",
    "as_dict",
    "imported",
    "payload_of",
    "reported",
]

#: An event of the store: number, kind, camera, time in milliseconds, details as JSON.
Row = tuple[int, str, str, int, str | None]

_EPOCH = datetime(1970, 1, 1)
_DETAILS = "securevision"
# The store sorts the names in JSON; SecureVision has them in this order.
_NAMES = (
    "person_id",
    "similarity",
    "text_raw",
    "text_clean",
    "ocr_confidence",
    "detector_score",
    "matched_list",
    "preprocessing_used",
    "bbox",
    "detection_score",
    "track_id",
    "detector_metadata",
    "x1",
    "y1",
    "x2",
    "y2",
)
_CAMERA = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")


def utc_now() -> datetime:
    """Now, in UTC and without saying so, as SecureVision has all its times."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


@dataclass(kw_only=True)
class EventRecord:
    """A row of the table ``events``."""

    id: int | None = None
    type: str
    ts_ms: int
    frame_source_id: str
    created_at: datetime = field(default_factory=utc_now)


@dataclass(kw_only=True)
class FaceMatchRecord:
    """A row of the table ``face_matches``; ``bbox`` and ``detector_metadata`` are JSON."""

    id: int | None = None
    event_id: int
    person_id: str
    similarity: float
    bbox: str
    detection_score: float
    track_id: int | None = None
    detector_metadata: str | None = None

    def payload(self) -> dict[str, Any]:
        """As ``get_events`` gives it."""
        return {
            "person_id": self.person_id,
            "similarity": self.similarity,
            "bbox": json.loads(self.bbox),
            "detection_score": self.detection_score,
            "track_id": self.track_id,
            "detector_metadata": _metadata(self.detector_metadata),
        }


@dataclass(kw_only=True)
class PlateReadRecord:
    """A row of the table ``plate_reads``; ``bbox`` and ``detector_metadata`` are JSON."""

    id: int | None = None
    event_id: int
    text_raw: str
    text_clean: str
    ocr_confidence: float
    detector_score: float
    matched_list: str | None = None
    preprocessing_used: str = ""
    bbox: str
    track_id: int | None = None
    detector_metadata: str | None = None

    def payload(self) -> dict[str, Any]:
        """As ``get_events`` gives it."""
        return {
            "text_raw": self.text_raw,
            "text_clean": self.text_clean,
            "ocr_confidence": self.ocr_confidence,
            "detector_score": self.detector_score,
            "matched_list": self.matched_list,
            "preprocessing_used": self.preprocessing_used,
            "bbox": json.loads(self.bbox),
            "track_id": self.track_id,
            "detector_metadata": _metadata(self.detector_metadata),
        }


@dataclass(frozen=True)
class Report:
    """An event on its way into the store."""

    kind: str
    camera: str
    ts_ms: int
    label: str
    score: float
    track: int | None
    details: str
    seed: bytes | None


def payload_of(event: Event) -> dict[str, Any]:
    """What an event says, in plain numbers and texts.

    Raises:
        TypeError: The payload is none of the event's type.
        ValueError: A number is not finite, or there is no such type.
    """
    payload = event.payload
    if event.type == "face_match":
        if not isinstance(payload, FaceMatch):
            raise TypeError(f"payload: {type(payload).__name__} is not a FaceMatch")
        return {
            "person_id": payload.person_id,
            "similarity": _finite("similarity", payload.similarity),
            "bbox": _bbox(payload.detection),
            "detection_score": _finite("score", payload.detection.score),
            "track_id": _whole(payload.detection.track_id),
        }
    if event.type == "plate_read":
        if not isinstance(payload, PlateRead):
            raise TypeError(f"payload: {type(payload).__name__} is not a PlateRead")
        return {
            "text_raw": payload.text_raw,
            "text_clean": payload.text_clean,
            "ocr_confidence": _finite("confidence", payload.confidence),
            "detector_score": _finite("score", payload.detection.score),
            "matched_list": payload.matched_list,
            "preprocessing_used": payload.preprocessing_used,
            "bbox": _bbox(payload.detection),
            "track_id": _whole(payload.detection.track_id),
        }
    raise InvalidValueError(f"type: {event.type!r} is neither 'face_match' nor 'plate_read'")


def reported(event: Event) -> Report:
    """What the store keeps of a new event."""
    # Which models saw it, nobody says.
    payload = {**payload_of(event), "detector_metadata": None}
    return _report(
        event.type, int(event.ts_ms), event.frame_source_id, utc_now(), payload, seed=None
    )


def imported(record: EventRecord, payload: dict[str, Any] | None) -> Report:
    """What the store keeps of a row of SecureVision: under the same id each time."""
    parts = [record.id, record.type, record.ts_ms, record.frame_source_id]
    text = json.dumps([*parts, record.created_at.isoformat()])
    seed = hashlib.sha256(text.encode()).digest()[:10]
    return _report(
        record.type, record.ts_ms, record.frame_source_id, record.created_at, payload, seed=seed
    )


def as_dict(row: Row, *, optional_payload: bool) -> dict[str, Any]:
    """An event as SecureVision gives it."""
    number, kind, camera, ts_ms, text = row
    details = json.loads(text) if text is not None else {}
    if _DETAILS not in details:
        # An event of Keepwatch itself.
        details = {"frame_source_id": camera, "created_us": ts_ms * 1000, "payload": None}
    created = _EPOCH + timedelta(microseconds=details["created_us"])
    event = {
        "id": number,
        "type": kind,
        "ts_ms": ts_ms,
        "frame_source_id": details["frame_source_id"],
        "created_at": created.isoformat(),
    }
    if details["payload"] is not None or not optional_payload:
        event["payload"] = _in_order(details["payload"])
    return event


def _in_order(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    known = {name: _in_order(value[name]) for name in _NAMES if name in value}
    return known | {name: each for name, each in value.items() if name not in known}


def _report(
    kind: str,
    ts_ms: int,
    frame_source_id: str,
    created_at: datetime,
    payload: dict[str, Any] | None,
    *,
    seed: bytes | None,
) -> Report:
    source = redact(frame_source_id)
    details = {
        _DETAILS: 1,
        "frame_source_id": source,
        "created_us": (created_at - _EPOCH) // timedelta(microseconds=1),
        "payload": payload,
    }
    label, score, track = "", 0.0, None
    if payload is not None:
        track = payload["track_id"]
        if kind == "face_match":
            label, score = payload["person_id"], payload["similarity"]
        else:
            label, score = payload["text_clean"], payload["ocr_confidence"] / 100
    return Report(
        kind=kind,
        camera=_camera(source),
        ts_ms=ts_ms,
        label=label,
        score=score,
        track=track if track is not None and track >= 0 else None,
        details=json.dumps(details, allow_nan=False),
        seed=seed,
    )


def _camera(source: str) -> str:
    """The source as the name of a camera: what a name cannot hold is replaced, and a hash added."""
    if _CAMERA.fullmatch(source):
        return source
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", source).strip("-")[:48] or "camera"
    return f"{name}-{hashlib.sha256(source.encode()).hexdigest()[:8]}"


def _bbox(detection: Detection) -> dict[str, int]:
    # Detectors give NumPy's numbers, which JSON does not know.
    box = detection.bbox
    return {"x1": int(box.x1), "y1": int(box.y1), "x2": int(box.x2), "y2": int(box.y2)}


def _whole(number: int | None) -> int | None:
    return None if number is None else int(number)


def _finite(name: str, number: float) -> float:
    number = float(number)
    if not math.isfinite(number):
        raise InvalidValueError(f"{name}: it is not finite")
    return number


def _metadata(text: str | None) -> Any:
    return json.loads(text) if text else None
