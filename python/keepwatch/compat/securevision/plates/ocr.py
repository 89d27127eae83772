"""What stands on a plate."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from keepwatch._keepwatch import SecureVisionPlateReader

from ..config import PlateOCRSettings
from ..types import BBox
from .text import CHAR_WHITELIST, clean_text

__all__ = ["OCRResult", "PlateOCR"]

logger = logging.getLogger(__name__)


@dataclass
class OCRResult:
    """What was read; ``confidence`` is from 0.0 to 100.0."""

    text_raw: str
    text_clean: str
    confidence: float
    preprocessing_used: str


class PlateOCR:
    """Reads plates with the network that is part of Keepwatch, which needs no preprocessing.

    It reads capitals and digits, and no hyphens.

    Args:
        char_whitelist: What is left of a text, see :func:`clean_text` as for the next ones.
        to_uppercase: Small letters become capitals.
        strip_whitespace: Blanks go.
        min_text_length: Texts with fewer letters count as empty.
        substitute_o_to_0: O is taken for a zero.
        substitute_i_to_1: I is taken for a one.
    """

    #: Whether hyphens count when lists are searched for what was read.
    reads_hyphens = False

    def __init__(
        self,
        *,
        char_whitelist: str = CHAR_WHITELIST,
        to_uppercase: bool = True,
        strip_whitespace: bool = True,
        min_text_length: int = 3,
        substitute_o_to_0: bool = False,
        substitute_i_to_1: bool = False,
    ) -> None:
        self.char_whitelist = char_whitelist
        self.to_uppercase = to_uppercase
        self.strip_whitespace = strip_whitespace
        self.min_text_length = min_text_length
        self.substitute_o_to_0 = substitute_o_to_0
        self.substitute_i_to_1 = substitute_i_to_1
        self._reader: SecureVisionPlateReader | None = None
        self._stats = {"total_ocr_calls": 0, "successful_reads": 0, "empty_reads": 0}

    def load(self) -> None:
        """Gets the network ready."""
        self._reader = SecureVisionPlateReader()

    def extract_text(self, frame: Any, bbox: BBox) -> OCRResult:
        """Reads the plate at a place in a picture (BGR).

        Raises:
            RuntimeError: It is not loaded.
        """
        if self._reader is None:
            raise RuntimeError("OCR not loaded. Call load() first.")
        self._stats["total_ocr_calls"] += 1
        text, confidence = self._reader.read(frame, (bbox.x1, bbox.y1, bbox.x2, bbox.y2))
        clean = clean_text(
            text,
            to_uppercase=self.to_uppercase,
            strip_whitespace=self.strip_whitespace,
            substitute_o_to_0=self.substitute_o_to_0,
            substitute_i_to_1=self.substitute_i_to_1,
            char_whitelist=self.char_whitelist,
        )
        enough = len(clean) >= self.min_text_length
        self._stats["successful_reads" if enough else "empty_reads"] += 1
        return OCRResult(text, clean, confidence * 100, "none")

    def get_stats(self) -> dict[str, Any]:
        """Counts."""
        return dict(self._stats)

    @classmethod
    def from_config(cls, settings: PlateOCRSettings) -> PlateOCR:
        """One with these settings; those of Tesseract and of preprocessing do not matter."""
        return cls(
            char_whitelist=settings.char_whitelist,
            to_uppercase=settings.to_uppercase,
            strip_whitespace=settings.strip_whitespace,
            min_text_length=settings.min_text_length,
            substitute_o_to_0=settings.substitute_o_to_0,
            substitute_i_to_1=settings.substitute_i_to_1,
        )
