"""Plates that are welcome, and plates that are not."""

from __future__ import annotations

import csv
import io
import logging
import os
from pathlib import Path
from typing import Literal

from keepwatch.errors import InvalidValueError

from .._files import write_atomic
from .text import comparable

__all__ = ["PlateListLoader"]

logger = logging.getLogger(__name__)

ListName = Literal["whitelist", "blacklist"]

_HEADERS = frozenset({"plate", "number", "license", "id"})


class PlateListLoader:
    """Two lists of plates in CSV files: the first column is the plate, the rest is yours.

    A plate is found however it is written: capitals and blanks do not count, and letters that look
    the same are the same. Hyphens do count.

    Args:
        whitelist_path: The file of the welcome ones.
        blacklist_path: The file of the others; it counts more.
    """

    def __init__(
        self, whitelist_path: str | os.PathLike[str], blacklist_path: str | os.PathLike[str]
    ) -> None:
        self.whitelist_path = Path(whitelist_path)
        self.blacklist_path = Path(blacklist_path)
        self.whitelist: set[str] = set()
        self.blacklist: set[str] = set()
        self._loaded = False

    def load(self, *, reload: bool = False) -> None:
        """Reads both files; one that is not there is an empty list, which is logged.

        Args:
            reload: Read them again if that was done.
        """
        if self._loaded and not reload:
            logger.warning("the lists of plates are loaded already")
            return
        whitelist = self._load_csv(self.whitelist_path)
        blacklist = self._load_csv(self.blacklist_path)
        self.whitelist, self.blacklist = whitelist, blacklist
        self._loaded = True
        both = _comparable(whitelist) & _comparable(blacklist)
        if both:
            logger.warning("plates in both lists, where the blacklist counts: %d", len(both))

    def match(self, plate_text: str, *, hyphens: bool = True) -> ListName | None:
        """The list that a plate is in.

        Args:
            plate_text: The plate, however it is written.
            hyphens: Whether hyphens count; they do not for what reads none.

        Raises:
            RuntimeError: The lists are not loaded.
        """
        if not self._loaded:
            raise RuntimeError("Lists not loaded. Call load() first.")

        def same(text: str) -> str:
            text = comparable(text)
            return text if hyphens else text.replace("-", "")

        plate = same(plate_text)
        # Nothing is nobody's plate.
        if not plate:
            return None
        if plate in map(same, self.blacklist):
            return "blacklist"
        return "whitelist" if plate in map(same, self.whitelist) else None

    def add(self, plate: str, to: ListName) -> None:
        """Puts a plate into a list; :meth:`save` writes it down."""
        plate = _as_listed(plate)
        if not plate:
            raise InvalidValueError("plate: it is empty")
        self._list(to).add(plate)

    def remove(self, plate: str, of: ListName) -> bool:
        """Takes a plate out of a list, however it is written, and tells whether it was there."""
        plates = self._list(of)
        gone = {each for each in plates if comparable(each) == comparable(plate)}
        plates -= gone
        return bool(gone)

    def save(self) -> None:
        """Writes both files: rows of plates that are still in the list stay as they are.

        Raises:
            RuntimeError: The lists are not loaded, and would be lost.
        """
        if not self._loaded:
            raise RuntimeError("Lists not loaded. Call load() first.")
        self._save_csv(self.whitelist_path, self.whitelist)
        self._save_csv(self.blacklist_path, self.blacklist)

    def size(self) -> dict[str, int]:
        """How many plates there are in each list."""
        return {"whitelist": len(self.whitelist), "blacklist": len(self.blacklist)}

    def __repr__(self) -> str:
        return f"PlateListLoader(whitelist={len(self.whitelist)}, blacklist={len(self.blacklist)})"

    def _list(self, name: ListName) -> set[str]:
        if name not in ("whitelist", "blacklist"):
            raise InvalidValueError(f"list: {name!r} is neither 'whitelist' nor 'blacklist'")
        return self.whitelist if name == "whitelist" else self.blacklist

    @staticmethod
    def _load_csv(csv_path: Path) -> set[str]:
        if not csv_path.exists():
            logger.warning("there is no list of plates at %s", csv_path)
            return set()
        plates = {_as_listed(row[0]) for row in _rows(csv_path) if not _is_header(row)}
        logger.info("%d plates are in %s", len(plates), csv_path)
        return plates

    @staticmethod
    def _save_csv(csv_path: Path, plates: set[str]) -> None:
        # A link stays one.
        path = csv_path.resolve()
        there = path.exists()
        rows = _rows(path) if there else [_Header(["plate"])]
        kept = [row for row in rows if _is_header(row) or _as_listed(row[0]) in plates]
        new = plates - {_as_listed(row[0]) for row in kept if not _is_header(row)}
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(kept + [[plate] for plate in sorted(new)])
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o777 if there else 0o600
        write_atomic(path, text.getvalue().encode(), mode=mode)


class _Header(list[str]):
    """The first row, when it is no plate."""


def _rows(path: Path) -> list[list[str]]:
    """The rows with a plate, and the header."""
    # Spreadsheets begin a file with a mark that is no part of the first plate.
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    if rows and rows[0] and rows[0][0].strip().lower() in _HEADERS:
        rows[0] = _Header(rows[0])
    return [row for row in rows if row and row[0].strip()]


def _is_header(row: list[str]) -> bool:
    return isinstance(row, _Header)


def _as_listed(plate: str) -> str:
    return plate.strip().upper()


def _comparable(plates: set[str]) -> set[str]:
    return {comparable(plate) for plate in plates}
