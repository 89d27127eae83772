"""The models that SecureVision uses, computed by Keepwatch; they are not part of it."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keepwatch._keepwatch import FaceFinder
from keepwatch.errors import UnsupportedError

__all__ = ["FaceModels"]

logger = logging.getLogger(__name__)

# SCRFD and ArcFace of InsightFace's collection.
_NAME = "buffalo_l"
_DETECTOR = "det_10g.onnx"
_EMBEDDER = "w600k_r50.onnx"


@dataclass(frozen=True, repr=False)
class _Face:
    """A face, with InsightFace's names."""

    #: Left, top, right and bottom in pixels.
    bbox: NDArray[np.float32]
    #: Eyes, nose and corners of the mouth.
    kps: NDArray[np.float32] | None
    det_score: float
    #: Of length 1.
    embedding: NDArray[np.float32]

    def __repr__(self) -> str:
        return f"Face(bbox={self.bbox.tolist()}, det_score={self.det_score:.2f})"


class _Models:
    """Finds faces in OpenCV's pictures, as InsightFace's ``FaceAnalysis`` does."""

    #: A path will do in place of a picture.
    reads_files = True

    def __init__(self, finder: FaceFinder) -> None:
        self._finder = finder

    def get(self, img: Any, /) -> list[_Face]:
        """The faces in a picture that can be compared, the surest first."""
        faces = []
        for face in self._finder.find(img, channels="bgr"):
            if face.embedding is None:
                continue
            x, y, width, height = face.bbox
            landmarks = face.landmarks
            faces.append(
                _Face(
                    np.array([x, y, x + width, y + height], np.float32),
                    None if landmarks is None else np.array(landmarks, np.float32),
                    face.score,
                    np.array(face.embedding, np.float32),
                )
            )
        return faces


class FaceModels:
    """The models, loaded once.

    Nothing is downloaded: the models must be in ``~/.insightface/models/buffalo_l`` (or below
    ``INSIGHTFACE_HOME``). Their licence is for research only. Other models can be named.
    """

    _models: _Models | None = None
    _of: tuple[object, ...] | None = None

    @classmethod
    def get_models(
        cls,
        det_size: tuple[int, int] = (640, 640),
        *,
        detector: str | os.PathLike[str] | None = None,
        embedder: str | os.PathLike[str] | None = None,
    ) -> Any:
        """The models.

        Args:
            det_size: The size that the detector works at, where it has none of its own.
            detector: A YuNet or SCRFD (ONNX) instead of InsightFace's.
            embedder: A network of ArcFace's kind (ONNX) instead of InsightFace's.

        Raises:
            keepwatch.errors.UnsupportedError: InsightFace's models are not there.
            FileNotFoundError: One that is named is not there.
            keepwatch.errors.ModelError: One of them is something else.
        """
        root = Path(os.environ.get("INSIGHTFACE_HOME", "~/.insightface")).expanduser()
        folder = root / "models" / _NAME
        wanted = (max(det_size), detector or folder / _DETECTOR, embedder or folder / _EMBEDDER)
        if cls._models is None or cls._of != wanted:
            side, detector, embedder = wanted
            own = [path for path in (detector, embedder) if Path(path).parent == folder]
            if not all(path.is_file() for path in map(Path, own)):
                raise UnsupportedError(f"there are no models in {folder}")
            # Whether a face is good enough is for the recogniser to say.
            finder = FaceFinder(
                detector=detector,
                embedder=embedder,
                longest_side=side,
                min_size=1.0,
                min_sharpness=0.0,
                max_turn=10.0,
            )
            cls._models, cls._of = _Models(finder), wanted
            logger.info("the models of faces are loaded")
        return cls._models

    @classmethod
    def clear_cache(cls) -> None:
        """Forgets the models."""
        cls._models = cls._of = None
