"""Storing an event and telling those who listen."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Protocol

from .._redact import redact
from ..types import Event
from .records import payload_of

if TYPE_CHECKING:
    from .store import EventStore

__all__ = ["WebSocketManager", "persist_and_broadcast"]

logger = logging.getLogger(__name__)

#: A client that takes nothing for so long is dropped, in seconds.
_SEND_TIMEOUT = 5.0


class WebSocket(Protocol):
    """A connection, as FastAPI and others have it."""

    async def send_json(self, data: Any) -> None:
        """Sends a message."""


class WebSocketManager:
    """The clients that are told of events. What happens to one does not reach another."""

    def __init__(self) -> None:
        self.connections: list[WebSocket] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def connect(self, websocket: WebSocket) -> None:
        """Takes a client in; its event loop is the one that messages are sent in."""
        self._loop = asyncio.get_running_loop()
        self.connections.append(websocket)
        logger.info("a WebSocket client came, there are %d", len(self.connections))

    async def disconnect(self, websocket: WebSocket) -> None:
        """Lets a client go."""
        if websocket in self.connections:
            self.connections.remove(websocket)
            logger.info("a WebSocket client went, there are %d", len(self.connections))

    async def broadcast(self, message: dict[str, Any]) -> None:
        """Sends a message to all clients, to all at once; those who do not take it are dropped."""
        await asyncio.gather(*(self._send(client, message) for client in list(self.connections)))

    def broadcast_soon(self, message: dict[str, Any]) -> None:
        """Has a message sent to all clients by their event loop; from any thread."""
        # Clients that nobody connected are told by the loop of the caller, if there is one.
        loop = self._loop or asyncio.get_running_loop()
        loop.call_soon_threadsafe(self._start, message)

    def size(self) -> int:
        """How many clients there are."""
        return len(self.connections)

    def _start(self, message: dict[str, Any]) -> None:
        task = asyncio.ensure_future(self.broadcast(message))
        # A loop holds its tasks weakly only.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, client: WebSocket, message: dict[str, Any]) -> None:
        try:
            await asyncio.wait_for(client.send_json(message), _SEND_TIMEOUT)
        except Exception as error:
            logger.warning("a WebSocket client is dropped: %s", type(error).__name__)
            await self.disconnect(client)


def persist_and_broadcast(
    event: Event,
    store: EventStore,
    ws_manager: WebSocketManager | None = None,
) -> int | None:
    """Stores an event, and has the clients told of it; from any thread.

    Returns:
        The number of the event; none if it could not be stored, which is logged.
    """
    try:
        event_id = store.save_event(event)
    except Exception as error:
        logger.error("an event could not be stored: %s", error)
        return None
    if ws_manager is not None and ws_manager.size() > 0:
        message = {
            "id": event_id,
            "type": event.type,
            "ts_ms": int(event.ts_ms),
            "frame_source_id": redact(event.frame_source_id),
            "payload": payload_of(event),
        }
        try:
            ws_manager.broadcast_soon(message)
        except RuntimeError as error:
            # There is no loop, or it has ended. The event is stored all the same.
            logger.warning("the WebSocket clients are not told of an event: %s", error)
    return event_id
