"""Whose the faces in frames are."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import FaceSettings
from ..pipeline.base import Processor
from ..types import BBox, Detection, Event, FaceMatch, FaceObservation, Frame
from .gallery import Embedder, FaceGallery
from .loader import FaceModels

__all__ = ["FaceRecognizer"]

logger = logging.getLogger(__name__)


class FaceRecognizer(Processor):
    """Finds faces in a frame and looks each up in a gallery.

    Args:
        gallery: Who is known. It is loaded by ``open`` if it was not.
        similarity_threshold: The least cosine that is a match: higher is stricter.
        min_face_size: The least width and height in pixels.
        detect_blur: Leave blurred faces out.
        blur_threshold: The least variance of the Laplacian of a face that is not blurred.
        det_size: The size that the detector works at, where it has none of its own.
        models: What finds faces, instead of ``FaceModels.get_models``.
    """

    def __init__(
        self,
        gallery: FaceGallery,
        similarity_threshold: float = 0.35,
        min_face_size: int = 40,
        detect_blur: bool = False,
        blur_threshold: float = 100.0,
        det_size: tuple[int, int] = (640, 640),
        *,
        models: Embedder | None = None,
    ) -> None:
        self.gallery = gallery
        self.similarity_threshold = similarity_threshold
        self.min_face_size = min_face_size
        self.detect_blur = detect_blur
        self.blur_threshold = blur_threshold
        self.det_size = det_size
        self.models: Any = None
        self._given = models
        self._stats = {
            "total_frames": 0,
            "total_detections": 0,
            "matched": 0,
            "rejected_size": 0,
            "rejected_blur": 0,
            "rejected_threshold": 0,
        }
        self._latest_observations: list[FaceObservation] = []

    def open(self) -> None:
        """Loads the models and the gallery."""
        self.models = self._given or FaceModels.get_models(det_size=self.det_size)
        if not self.gallery._loaded:
            self.gallery.load()
        logger.info("faces of %d persons are recognised", self.gallery.size())

    def process_frame(self, frame: Frame) -> Iterator[Event]:
        """Takes the next frame, at once, and gives an event of each face that is somebody's.

        Raises:
            RuntimeError: It is not open.
        """
        if self.models is None:
            raise RuntimeError("Recognizer not open. Call open() first.")
        self._stats["total_frames"] += 1
        self._latest_observations = []
        try:
            faces = self.models.get(frame.image)
        except Exception as error:
            logger.error("faces cannot be found: %s", error)
            return iter(())
        self._stats["total_detections"] += len(faces)
        events = [event for face in faces if (event := self._look_up(face, frame)) is not None]
        return iter(events)

    def _look_up(self, face: Any, frame: Frame) -> Event | None:
        bbox = BBox(*(int(value) for value in face.bbox))
        if min(bbox.width(), bbox.height()) < self.min_face_size:
            self._stats["rejected_size"] += 1
            return None
        if self.detect_blur and _sharpness(frame.image, bbox) < self.blur_threshold:
            self._stats["rejected_blur"] += 1
            return None
        detection = Detection("face", bbox, float(face.det_score))
        match = self.gallery.match(face.embedding, self.similarity_threshold)
        if match is None:
            self._stats["rejected_threshold"] += 1
            self._latest_observations.append(FaceObservation(detection))
            return None
        person_id, similarity = match
        self._stats["matched"] += 1
        self._latest_observations.append(FaceObservation(detection, person_id, similarity, True))
        payload = FaceMatch(person_id, similarity, detection)
        return Event("face_match", payload, frame.ts_ms, frame.source_id)

    def get_latest_observations(self) -> list[FaceObservation]:
        """The faces of the latest frame, whoever they are."""
        return list(self._latest_observations)

    def close(self) -> None:
        """Lets the models go."""
        logger.info("faces are recognised no more: %s", self._stats)
        self.models = None

    def get_stats(self) -> dict[str, Any]:
        """Counts."""
        return dict(self._stats)

    @classmethod
    def from_config(cls, face_settings: FaceSettings, gallery: FaceGallery) -> FaceRecognizer:
        """One with these settings."""
        return cls(
            gallery,
            similarity_threshold=face_settings.similarity_threshold,
            min_face_size=face_settings.min_face_size,
        )


def _sharpness(image: Any, bbox: BBox) -> float:
    """The variance of the Laplacian of its brightness, mirrored at its sides."""
    height, width = image.shape[:2]
    left, top = max(0, bbox.x1), max(0, bbox.y1)
    face = image[top : min(height, bbox.y2), left : min(width, bbox.x2)]
    if min(face.shape[:2]) < 2:
        return 0.0
    # ITU-R BT.601, of blue, green and red.
    gray: NDArray[np.float64] = np.rint(face @ np.array([0.114, 0.587, 0.299]))
    around = np.pad(gray, 1, mode="reflect")
    laplacian = (
        around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:] - 4 * gray
    )
    return float(laplacian.var())
