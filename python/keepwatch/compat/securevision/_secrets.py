"""Where the passphrase or key of a store or gallery comes from."""

from __future__ import annotations

import os
import secrets
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from keepwatch.errors import InvalidValueError

from ._files import write_new

__all__ = ["PASSWORD_VARIABLE", "Secret", "given", "given_or_beside"]

#: The variable that may hold the passphrase, as for the command line.
PASSWORD_VARIABLE = "KEEPWATCH_PASSWORD"

_KEY_LENGTH = 32


class _Arguments(TypedDict, total=False):
    passphrase: str
    key_file: bytes | Path


@dataclass(frozen=True, repr=False)
class Secret:
    """A passphrase, or a key file or the bytes of one."""

    passphrase: str | None = None
    key_file: bytes | Path | None = None

    def arguments(self) -> _Arguments:
        """As the native calls take it."""
        if self.passphrase is not None:
            return {"passphrase": self.passphrase}
        assert self.key_file is not None
        return {"key_file": self.key_file}

    def __repr__(self) -> str:
        return "Secret(***)"


def given(
    passphrase: str | None, key_file: str | os.PathLike[str] | None, *, environment: bool
) -> Secret | None:
    """The secret that the arguments name, or else the environment."""
    if passphrase is not None and key_file is not None:
        raise InvalidValueError("key_file: give it or a passphrase, not both")
    if passphrase is not None:
        return Secret(passphrase=passphrase)
    if key_file is not None:
        return Secret(key_file=Path(key_file))
    text = os.environ.get(PASSWORD_VARIABLE) if environment else None
    if text == "":
        raise InvalidValueError(f"{PASSWORD_VARIABLE}: it is empty")
    return None if text is None else Secret(passphrase=text)


def given_or_beside(
    passphrase: str | None, key_file: str | os.PathLike[str] | None, beside: Path
) -> Secret:
    """The secret of a store: as given, or the key file beside it, or of the environment.

    Without any of them a key file is made beside the store, with a warning: who takes both can read
    what is in the store.
    """
    named = given(passphrase, key_file, environment=False)
    if named is not None:
        return named
    if beside.exists():
        return Secret(key_file=beside)
    environment = given(None, None, environment=True)
    if environment is not None:
        return environment
    try:
        write_new(beside, secrets.token_bytes(_KEY_LENGTH))
    except FileExistsError:
        # Another process was faster: its key counts.
        return Secret(key_file=beside)
    warnings.warn(
        f"no passphrase was given: the key of the event store is kept beside it, in {beside}. "
        f"Give passphrase= or key_file=, or set {PASSWORD_VARIABLE}, before there is a store.",
        UserWarning,
        stacklevel=3,
    )
    return Secret(key_file=beside)
