"""The parts that a pipeline is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from ..types import Event, Frame

__all__ = ["FrameSource", "Processor", "Sink"]


class Processor(ABC):
    """Makes events of frames."""

    @abstractmethod
    def open(self) -> None:
        """Gets what it needs."""

    @abstractmethod
    def process_frame(self, frame: Frame) -> Iterable[Event]:
        """The events of one frame."""

    @abstractmethod
    def close(self) -> None:
        """Gives back what it got."""


class Sink(ABC):
    """Takes events."""

    @abstractmethod
    def open(self) -> None:
        """Gets what it needs."""

    @abstractmethod
    def consume(self, event: Event) -> None:
        """Takes one event."""

    @abstractmethod
    def close(self) -> None:
        """Gives back what it got."""


class FrameSource(ABC):
    """Gives frames."""

    @abstractmethod
    def open(self) -> None:
        """Gets what it needs."""

    @abstractmethod
    def read(self) -> Frame | None:
        """The next frame; none at the end or when none came in time."""

    @abstractmethod
    def close(self) -> None:
        """Gives back what it got."""
