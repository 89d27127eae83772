"""Following boxes from frame to frame."""

from .iou import compute_centroid_distance, compute_iou
from .tracker import SimpleTracker
from .types import Track, TrackState

__all__ = [
    "SimpleTracker",
    "Track",
    "TrackState",
    "compute_centroid_distance",
    "compute_iou",
]
