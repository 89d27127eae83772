"""Lists of plates, and the cleaning of what was read of them."""

from .lists import PlateListLoader
from .text import clean_text

__all__ = ["PlateListLoader", "clean_text"]
