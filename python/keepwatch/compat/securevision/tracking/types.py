"""What is known of a track."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from ..types import BBox, DetectionKind

__all__ = ["Track", "TrackState"]


class TrackState(Enum):
    """How far a track is."""

    #: Not yet seen in enough frames in a row.
    TENTATIVE = "tentative"
    #: Seen in enough frames in a row, once.
    CONFIRMED = "confirmed"
    #: Not seen for too long; it is dropped.
    LOST = "lost"


@dataclass
class Track:
    """A face or plate that was followed through frames.

    ``ocr_text_history`` has the latest texts of a plate with their confidence, 0 to 100.
    """

    track_id: int
    detection_kind: DetectionKind
    bbox: BBox
    score: float
    state: TrackState = TrackState.TENTATIVE
    first_seen_ts: int = 0
    last_seen_ts: int = 0
    consecutive_hits: int = 1
    consecutive_misses: int = 0
    total_hits: int = 1
    ocr_text_history: list[tuple[str, float]] = field(default_factory=list)

    def update(self, bbox: BBox, score: float, ts_ms: int) -> None:
        """Notes that it was seen."""
        self.bbox = bbox
        self.score = score
        self.last_seen_ts = ts_ms
        self.consecutive_hits += 1
        self.total_hits += 1
        self.consecutive_misses = 0

    def mark_missed(self) -> None:
        """Notes that a frame did not show it."""
        self.consecutive_misses += 1
        self.consecutive_hits = 0

    def add_ocr_text(self, text_clean: str, confidence: float, max_history: int = 10) -> None:
        """Notes what was read of a plate; only the latest are kept."""
        self.ocr_text_history.append((text_clean, confidence))
        del self.ocr_text_history[:-max_history]

    def get_majority_ocr_text(self, min_agreement: float = 0.6) -> str | None:
        """The text that was read most often, if its share of all is large enough."""
        text, share = self._most_common()
        return text if text is not None and share >= min_agreement else None

    def ocr_agreement(self) -> float:
        """The share of the text that was read most often; 0.0 if nothing was read."""
        return self._most_common()[1]

    def is_confirmed(self, frames_required: int) -> bool:
        """Whether it was seen in so many frames in a row up to now."""
        return self.consecutive_hits >= frames_required

    def is_lost(self, max_age: int) -> bool:
        """Whether so many frames in a row did not show it."""
        return self.consecutive_misses >= max_age

    def age_ms(self, current_ts: int) -> int:
        """How long ago it was first seen, in milliseconds."""
        return current_ts - self.first_seen_ts

    def _most_common(self) -> tuple[str | None, float]:
        counts = Counter(text for text, _ in self.ocr_text_history)
        # Of those that were read equally often, the one that came first.
        for text, count in counts.most_common(1):
            return text, count / len(self.ocr_text_history)
        return None, 0.0
