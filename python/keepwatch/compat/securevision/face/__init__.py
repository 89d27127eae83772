"""The gallery of faces."""

from .gallery import FaceGallery

__all__ = ["FaceGallery"]
