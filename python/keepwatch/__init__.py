"""Keepwatch: encrypted backups that are proven to restore, and cameras that keep evidence."""

from keepwatch import errors
from keepwatch._keepwatch import HAS_VISION, __version__
from keepwatch.errors import *  # noqa: F403

__all__ = ["HAS_VISION", "__version__", *errors.__all__]
