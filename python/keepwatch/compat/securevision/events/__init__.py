"""Keeping events, and telling who listens."""

from .emit import persist_and_broadcast
from .sink import EventStoreSink
from .store import EventRecord, EventStore, FaceMatchRecord, PlateReadRecord

__all__ = [
    "EventRecord",
    "EventStore",
    "EventStoreSink",
    "FaceMatchRecord",
    "PlateReadRecord",
    "persist_and_broadcast",
]
