"""Addresses of cameras without what is secret in them."""

from __future__ import annotations

import re

__all__ = ["HIDDEN", "redact"]

#: What stands where something secret was left out.
HIDDEN = "***"

# Up to the last @: a password may hold anything that nobody escaped. Rather too much goes.
_USER = re.compile(r"(?<=://)\S*@")
# The key of an RTMP stream is the last part of its path.
_STREAM_KEY = re.compile(r"(rtmps?://[^\s?#]*/)[^\s/?#]+", re.IGNORECASE)
# Some cameras take the password in the query.
_QUERY = re.compile(
    r"([?&;][^=&;\s]*(?:user|usr|pass|pwd|psw|secret|token|auth|key|sess)[^=&;\s]*=)[^&;\s#]*",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """The text with users, passwords and keys of addresses replaced by ``***``."""
    text = _USER.sub(f"{HIDDEN}@", text)
    text = _QUERY.sub(rf"\1{HIDDEN}", text)
    return _STREAM_KEY.sub(rf"\1{HIDDEN}", text)
