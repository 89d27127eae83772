"""The gallery of faces, and whose a face is."""

from .gallery import FaceGallery
from .recognizer import FaceRecognizer

__all__ = ["FaceGallery", "FaceRecognizer"]
