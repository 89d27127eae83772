"""Cleaning what was read of a plate."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

__all__ = ["CHAR_WHITELIST", "clean_text", "comparable"]

#: What a plate is made of, unless something else is said.
CHAR_WHITELIST = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789- "

# The letters that Cyrillic plates share with Latin ones in looks (GOST R 50577 has no others).
_LOOKALIKES = str.maketrans("АВЕКМНОРСТУХ", "ABEKMHOPCTYX")
# Letters with a stroke or joined have no accent that could be taken off.
_STROKES = str.maketrans({"Ø": "O", "Ł": "L", "Đ": "D", "Æ": "AE", "Œ": "OE"})
_BLANKS = str.maketrans("", "", " \t\n\r")


def clean_text(
    text: str,
    *,
    to_uppercase: bool = True,
    strip_whitespace: bool = True,
    substitute_o_to_0: bool = False,
    substitute_i_to_1: bool = False,
    char_whitelist: str = CHAR_WHITELIST,
) -> str:
    """The text of a plate as it is stored and looked up: what SecureVision makes of it.

    Blanks go, small letters become capitals, letters that ``char_whitelist`` lacks become those
    that look like them (accents go, Cyrillic becomes Latin), and what is then not in it goes.

    >>> clean_text("b-kä 1234")
    'B-KA1234'
    >>> clean_text("OHIO", substitute_o_to_0=True, substitute_i_to_1=True)
    '0H10'
    """
    if strip_whitespace:
        text = text.translate(_BLANKS)
    if to_uppercase:
        text = text.upper()
    allowed = frozenset(char_whitelist)
    text = "".join(
        letter if letter in allowed else _latin(letter)
        for letter in unicodedata.normalize("NFC", text)
    )
    if substitute_o_to_0:
        text = text.replace("O", "0")
    if substitute_i_to_1:
        text = text.replace("I", "1")
    return "".join(letter for letter in text if letter in allowed)


@lru_cache(maxsize=1 << 16)
def comparable(text: str) -> str:
    """The text of a plate as lists are searched for it: equal for all ways of writing one plate.

    Unlike :func:`clean_text` it drops no letter: plates of other scripts stay apart.
    """
    letters = unicodedata.normalize("NFC", "".join(text.split()).upper())
    return "".join(map(_latin, letters))


def _latin(letter: str) -> str:
    parts = unicodedata.normalize("NFD", letter)
    base = "".join(part for part in parts if not unicodedata.combining(part))
    return base.translate(_STROKES).translate(_LOOKALIKES)
