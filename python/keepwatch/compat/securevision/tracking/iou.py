"""How much two boxes overlap, and how far apart they are."""

from __future__ import annotations

import math

from .._native import need_vision
from ..types import BBox

need_vision(__name__)

from keepwatch._keepwatch import securevision_iou  # noqa: E402

__all__ = ["compute_centroid_distance", "compute_iou"]


def compute_iou(bbox1: BBox, bbox2: BBox) -> float:
    """The share of the boxes' union that is in both: 1.0 if they are equal, 0.0 if they are apart.

    It is computed with single precision.

    >>> compute_iou(BBox(0, 0, 100, 100), BBox(0, 50, 100, 100))
    0.5
    """
    return securevision_iou(place(bbox1), place(bbox2))


def compute_centroid_distance(bbox1: BBox, bbox2: BBox) -> float:
    """The distance between the centres of two boxes, in pixels.

    >>> compute_centroid_distance(BBox(0, 0, 10, 10), BBox(30, 40, 40, 50))
    50.0
    """
    dx = (bbox2.x1 + bbox2.x2) / 2 - (bbox1.x1 + bbox1.x2) / 2
    dy = (bbox2.y1 + bbox2.y2) / 2 - (bbox1.y1 + bbox1.y2) / 2
    return math.hypot(dx, dy)


def place(bbox: BBox) -> tuple[float, float, float, float]:
    """Left, top, width and height, as the core takes them."""
    return (bbox.x1, bbox.y1, bbox.width(), bbox.height())
