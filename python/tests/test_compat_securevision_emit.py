"""Storing events at the end of a pipeline, and telling who listens."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from keepwatch.compat.securevision.events import EventStore, EventStoreSink, persist_and_broadcast
from keepwatch.compat.securevision.events.emit import WebSocketManager
from keepwatch.compat.securevision.types import BBox, Detection, Event, FaceMatch, PlateRead

FACE = Event(
    "face_match",
    FaceMatch("ann", 0.87, Detection("face", BBox(1, 2, 3, 4), 0.95, 7)),
    1000,
    "rtsp://admin:s3cr3t@door/stream",
)
PLATE = Event(
    "plate_read",
    PlateRead("a b1", "AB1", 85.0, Detection("plate", BBox(1, 2, 3, 4), 0.9)),
    2000,
    "yard",
)


@pytest.fixture
def store() -> Iterator[EventStore]:
    with EventStore("sqlite://") as opened:
        yield opened


class Client:
    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.got = asyncio.Event()

    async def send_json(self, data: Any) -> None:
        self.messages.append(data)
        self.got.set()


class Gone(Client):
    async def send_json(self, data: Any) -> None:
        raise ConnectionError("gone")


class Stuck(Client):
    async def send_json(self, data: Any) -> None:
        await asyncio.Event().wait()


def test_an_event_is_stored_and_told(store: EventStore) -> None:
    async def run() -> None:
        manager = WebSocketManager()
        client = Client()
        await manager.connect(client)
        number = persist_and_broadcast(FACE, store, manager)
        await asyncio.wait_for(client.got.wait(), 10)
        (message,) = client.messages
        assert message == {
            "id": number,
            "type": "face_match",
            "ts_ms": 1000,
            "frame_source_id": "rtsp://***@door/stream",
            "payload": {
                "person_id": "ann",
                "similarity": 0.87,
                "bbox": {"x1": 1, "y1": 2, "x2": 3, "y2": 4},
                "detection_score": 0.95,
                "track_id": 7,
            },
        }
        assert number is not None
        assert store.get_face_match(number)

    asyncio.run(run())


def test_clients_hear_of_what_another_thread_stores(store: EventStore) -> None:
    async def run() -> None:
        manager = WebSocketManager()
        client = Client()
        await manager.connect(client)
        sink = EventStoreSink(store, manager)
        thread = threading.Thread(target=sink.consume, args=(PLATE,))
        thread.start()
        await asyncio.wait_for(client.got.wait(), 10)
        thread.join()
        assert client.messages[0]["payload"]["text_clean"] == "AB1"

    asyncio.run(run())


def test_a_client_that_fails_or_takes_nothing_does_not_reach_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("keepwatch.compat.securevision.events.emit._SEND_TIMEOUT", 0.01)

    async def run() -> None:
        manager = WebSocketManager()
        clients: list[Client] = [Stuck(), Gone(), Client()]
        for client in clients:
            await manager.connect(client)
        assert manager.size() == 3
        await manager.broadcast({"id": 1})
        assert clients[2].messages == [{"id": 1}]
        assert manager.connections == [clients[2]]
        await manager.disconnect(clients[2])
        await manager.disconnect(clients[2])
        assert manager.size() == 0

    asyncio.run(run())


def test_an_event_is_stored_though_nobody_can_be_told(store: EventStore, caplog: Any) -> None:
    manager = WebSocketManager()
    manager.connections.append(Client())
    # There is no event loop.
    assert persist_and_broadcast(FACE, store, manager) is not None

    async def connect() -> None:
        await manager.connect(Client())

    asyncio.run(connect())
    # And now one that has ended.
    assert persist_and_broadcast(FACE, store, manager) is not None
    assert len(store.get_events()) == 2
    assert "not told" in caplog.text


def test_the_sink_counts_and_goes_on(store: EventStore, caplog: Any) -> None:
    sink = EventStoreSink(store)
    sink.open()
    sink.consume(FACE)
    store.close()
    with caplog.at_level(logging.ERROR):
        sink.consume(PLATE)
    assert "could not be stored: the event store is closed" in caplog.text
    assert sink.get_stats() == {"events_persisted": 1, "errors": 1}
    sink.close()


def test_closing_the_sink_leaves_the_store_open(store: EventStore) -> None:
    sink = EventStoreSink(store)
    sink.close()
    sink.consume(FACE)
    assert sink.get_stats() == {"events_persisted": 1, "errors": 0}


def test_no_password_is_logged(store: EventStore, caplog: Any) -> None:
    with caplog.at_level(logging.DEBUG):
        sink = EventStoreSink(store)
        sink.open()
        sink.consume(FACE)
        store.close()
        sink.consume(FACE)
        sink.close()
    assert "s3cr3t" not in caplog.text
    assert "ann" not in caplog.text
