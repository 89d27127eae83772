"""What the tests of faces and plates share."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import keepwatch

T = TypeVar("T")


def photos(faces: Path, person: str) -> list[Path]:
    return sorted((faces / "gallery" / person).iterdir())


def enroll_all(gallery: keepwatch.FaceGallery, faces: Path) -> list[str]:
    people = sorted(path.name for path in (faces / "gallery").iterdir())
    for person in people:
        gallery.enroll(person, *photos(faces, person))
    return people


def until(look: Callable[[], T], enough: Callable[[T], bool]) -> T:
    """What is seen when it is enough; within ten seconds."""
    deadline = time.monotonic() + 10
    while not enough(seen := look()):
        assert time.monotonic() < deadline, seen
        time.sleep(0.05)
    return seen
