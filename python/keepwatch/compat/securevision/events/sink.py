"""The end of a pipeline that stores events."""

from __future__ import annotations

import logging

from ..pipeline.base import Sink
from ..types import Event
from .emit import WebSocketManager, persist_and_broadcast
from .store import EventStore

__all__ = ["EventStoreSink"]

logger = logging.getLogger(__name__)


class EventStoreSink(Sink):
    """Stores events and has the WebSocket clients told.

    An event that cannot be stored is logged and counted, and does not end the pipeline. The store
    stays open when the sink is closed: others may use it.
    """

    def __init__(self, store: EventStore, ws_manager: WebSocketManager | None = None) -> None:
        self.store = store
        self.ws_manager = ws_manager
        self._event_count = 0
        self._error_count = 0

    def open(self) -> None:
        """There is nothing to open."""

    def consume(self, event: Event) -> None:
        """Stores one event."""
        if persist_and_broadcast(event, self.store, self.ws_manager) is None:
            self._error_count += 1
        else:
            self._event_count += 1

    def close(self) -> None:
        """Logs how many events there were."""
        logger.info("%d events were stored, %d were not", self._event_count, self._error_count)

    def get_stats(self) -> dict[str, int]:
        """How many events were stored, and how many were not."""
        return {"events_persisted": self._event_count, "errors": self._error_count}
