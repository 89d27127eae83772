"""Where plates are in a picture."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from keepwatch._keepwatch import SecureVisionPlateFinder
from keepwatch.errors import UnsupportedError

from ..types import BBox, Detection

__all__ = ["YOLOPlateDetector"]

logger = logging.getLogger(__name__)


#: The network that is part of Keepwatch gives anything that might be a plate some score.
_LEAST_BUILT_IN = 0.7


class YOLOPlateDetector:
    """Finds plates with a model of the YOLOv8 family.

    Args:
        model_path: The model in ONNX. Of weights (``.pt``), the ``.onnx`` beside them is taken.
            None is the network that is part of Keepwatch.
        conf_threshold: The least score, 0.0 to 1.0; at least 0.7 counts for the network that is
            part of Keepwatch.
        iou_threshold: Boxes that overlap by more are one plate.
        max_det: The most plates in a frame.
        input_size: The size that a model without a fixed one works at.
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str] | None,
        conf_threshold: float = 0.25,
        iou_threshold: float = 0.45,
        max_det: int = 10,
        input_size: int = 640,
    ) -> None:
        self.model_path = None if model_path is None else Path(model_path)
        self.conf_threshold = conf_threshold
        self.iou_threshold = iou_threshold
        self.max_det = max_det
        self.input_size = input_size
        self.model: SecureVisionPlateFinder | None = None
        self._stats = {"total_frames": 0, "total_detections": 0}

    def load(self) -> None:
        """Loads the model.

        Raises:
            FileNotFoundError: It is not there.
            keepwatch.errors.UnsupportedError: There are only weights.
            keepwatch.errors.ModelError: It is something else.
        """
        self.model = SecureVisionPlateFinder(
            self._onnx(),
            score=self.conf_threshold,
            overlap=self.iou_threshold,
            side=self.input_size,
        )
        logger.info("%r is ready", self)

    def _onnx(self) -> Path | None:
        path = self.model_path
        if path is None or path.suffix != ".pt":
            if path is not None and not path.exists():
                raise FileNotFoundError(f"YOLOv8 model not found at {path}.")
            return path
        onnx = path.with_suffix(".onnx")
        if onnx.exists():
            return onnx
        if not path.exists():
            raise FileNotFoundError(f"YOLOv8 model not found at {path}.")
        raise UnsupportedError(
            f"{path} has the weights of a program in Python; "
            f"`yolo export model={path} format=onnx` makes {onnx.name} of them, which is read"
        )

    def detect(self, frame: Any) -> list[Detection]:
        """The plates of a picture (BGR), the surest first.

        Raises:
            RuntimeError: The model is not loaded.
        """
        if self.model is None:
            raise RuntimeError("Model not loaded. Call load() first.")
        self._stats["total_frames"] += 1
        least = self.conf_threshold
        if self.model_path is None:
            least = max(least, _LEAST_BUILT_IN)
        found = [
            Detection("plate", BBox(int(x1), int(y1), int(x2), int(y2)), score)
            for x1, y1, x2, y2, score in self.model.find(frame)
            if score >= least
        ][: self.max_det]
        self._stats["total_detections"] += len(found)
        return found

    def get_stats(self) -> dict[str, Any]:
        """Counts."""
        return dict(self._stats)

    def __repr__(self) -> str:
        name = "built in" if self.model_path is None else self.model_path.name
        return (
            f"YOLOPlateDetector(model={name}, conf={self.conf_threshold}, "
            f"iou={self.iou_threshold})"
        )
