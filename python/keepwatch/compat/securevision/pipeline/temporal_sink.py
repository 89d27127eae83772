"""Each person and plate once in a while, and not in every frame."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from ..types import Event, FaceMatch, PlateRead
from .base import Sink

__all__ = ["TemporalFilterSink"]

logger = logging.getLogger(__name__)

#: What is held back is the same person or plate, at the same camera.
EntityKey = tuple[str, str, str]


class TemporalFilterSink(Sink):
    """Passes on an event if none of the same person or plate, at the same camera, did so lately.

    Time is that of a clock that nobody sets.

    Args:
        wrapped_sink: Where events go.
        cooldown_seconds: How long the same is held back after an event.
        cleanup_interval: How often what is no longer held back is forgotten, in seconds.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        wrapped_sink: Sink,
        cooldown_seconds: float = 30.0,
        cleanup_interval: float = 60.0,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.wrapped_sink = wrapped_sink
        self.cooldown_seconds = cooldown_seconds
        self.cleanup_interval = cleanup_interval
        self._clock = clock
        self._last_emit_ts: dict[EntityKey, float] = {}
        self._last_cleanup_ts = clock()
        self._stats = {
            "events_received": 0,
            "events_forwarded": 0,
            "events_suppressed": 0,
            "cleanup_runs": 0,
        }

    def open(self) -> None:
        """Opens the sink behind it."""
        self.wrapped_sink.open()

    def consume(self, event: Event) -> None:
        """Passes the event on, or not."""
        self._stats["events_received"] += 1
        now = self._clock()
        key = self._get_entity_key(event)
        last = self._last_emit_ts.get(key) if key is not None else None
        if last is not None and now - last < self.cooldown_seconds:
            self._stats["events_suppressed"] += 1
        else:
            self.wrapped_sink.consume(event)
            # Only what arrived holds others back.
            if key is not None:
                self._last_emit_ts[key] = now
            self._stats["events_forwarded"] += 1
        if now - self._last_cleanup_ts > self.cleanup_interval:
            self._cleanup_expired_entries(now)

    def close(self) -> None:
        """Closes the sink behind it."""
        logger.info("temporal filter ends: %s", self.get_stats())
        self.wrapped_sink.close()

    def get_stats(self) -> dict[str, Any]:
        """Counts, with those of the sink behind it."""
        wrapped = getattr(self.wrapped_sink, "get_stats", None)
        return {
            **self._stats,
            "cache_size": len(self._last_emit_ts),
            "wrapped_sink": wrapped() if wrapped is not None else {},
        }

    def force_cleanup(self) -> None:
        """Forgets now what was long ago."""
        self._cleanup_expired_entries(self._clock())

    @staticmethod
    def _get_entity_key(event: Event) -> EntityKey | None:
        """None for what is always passed on."""
        payload = event.payload
        if isinstance(payload, FaceMatch):
            return (event.frame_source_id, "face", payload.person_id)
        if isinstance(payload, PlateRead):
            return (event.frame_source_id, "plate", payload.text_clean)
        logger.warning("an event of the unknown type %s is passed on", event.type)
        return None

    def _cleanup_expired_entries(self, now: float) -> None:
        oldest = now - 2 * self.cooldown_seconds
        self._last_emit_ts = {key: at for key, at in self._last_emit_ts.items() if at > oldest}
        self._last_cleanup_ts = now
        self._stats["cleanup_runs"] += 1
