"""InsightFace's models, as SecureVision uses them; they are not part of Keepwatch."""

from __future__ import annotations

import importlib
import logging
import os
from pathlib import Path
from typing import Any

from keepwatch.errors import UnsupportedError

__all__ = ["FaceModels"]

logger = logging.getLogger(__name__)

_NAME = "buffalo_l"


class FaceModels:
    """The models, loaded once.

    Nothing is downloaded: the models must be in ``~/.insightface/models/buffalo_l`` (or below
    ``INSIGHTFACE_HOME``). Their licence is for research only.
    """

    _models: Any = None

    @classmethod
    def get_models(cls, det_size: tuple[int, int] = (640, 640)) -> Any:
        """The models.

        Raises:
            ImportError: InsightFace is not installed.
            keepwatch.errors.UnsupportedError: Its models are not there.
        """
        if cls._models is None:
            insightface = importlib.import_module("insightface.app")
            root = Path(os.environ.get("INSIGHTFACE_HOME", "~/.insightface")).expanduser()
            models = root / "models" / _NAME
            if not any(models.glob("*.onnx")):
                raise UnsupportedError(f"there are no models in {models}")
            app = insightface.FaceAnalysis(
                name=_NAME, root=str(root), providers=["CPUExecutionProvider"]
            )
            app.prepare(ctx_id=0, det_size=det_size)
            cls._models = app
            logger.info("the models of InsightFace are loaded")
        return cls._models

    @classmethod
    def clear_cache(cls) -> None:
        """Forgets the models."""
        cls._models = None
