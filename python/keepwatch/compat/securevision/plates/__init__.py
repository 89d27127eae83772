"""Plates: found, read, cleaned and listed."""

from .detector import YOLOPlateDetector
from .lists import PlateListLoader
from .ocr import OCRResult, PlateOCR
from .pipeline import PlateRecognizer
from .text import clean_text

__all__ = [
    "OCRResult",
    "PlateListLoader",
    "PlateOCR",
    "PlateRecognizer",
    "YOLOPlateDetector",
    "clean_text",
]
