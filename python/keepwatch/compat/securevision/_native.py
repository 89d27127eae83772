"""What of the native half there is in a build without cameras."""

from __future__ import annotations

from keepwatch._keepwatch import HAS_VISION

__all__ = ["need_vision"]


def need_vision(module: str) -> None:
    """Refuses to go on in a build without cameras."""
    if not HAS_VISION:
        raise ImportError(
            f"{module} needs Keepwatch with cameras, and this build has none "
            "(the cargo feature `vision`)",
            name=module,
        )
