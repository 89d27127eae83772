"""Lists of plates, and the cleaning of what was read."""

from __future__ import annotations

import doctest
import logging
import stat
from pathlib import Path
from typing import Any

import pytest

from keepwatch.compat.securevision.plates import PlateListLoader, clean_text, text


@pytest.mark.parametrize(
    ("read", "clean"),
    [
        ("ABC123", "ABC123"),
        ("abc123", "ABC123"),
        ("ABC\t123\n", "ABC123"),
        ("AB C-123", "ABC-123"),
        ("ABC@123!_.", "ABC123"),
        ("", ""),
        (" \t\n", ""),
        ("@#$%", ""),
        ("ABC\N{NO-BREAK SPACE}123", "ABC123"),
        ("ABC123\N{GRINNING FACE}", "ABC123"),
        # Letters that look like Latin ones are these.
        ("CAFÉ123", "CAFE123"),
        ("CAFE\N{COMBINING ACUTE ACCENT}123", "CAFE123"),
        ("kü-Å 1", "KU-A1"),
        ("Øl Łś", "OLLS"),
        ("æ1", "AE1"),
        ("А123ВС77", "A123BC77"),
        ("ё1", "E1"),
        ("Ж1", "1"),
    ],
)
def test_texts_are_cleaned_as_ever(read: str, clean: str) -> None:
    assert clean_text(read) == clean


def test_the_steps_of_cleaning_can_be_chosen() -> None:
    assert clean_text("ABC 123", strip_whitespace=False) == "ABC 123"
    assert clean_text("AbC123", to_uppercase=False) == "AC123"
    assert clean_text("OHIO", substitute_o_to_0=True) == "0HI0"
    assert clean_text("OHIO", substitute_i_to_1=True) == "OH1O"
    assert clean_text("ABCXYZ456", char_whitelist="ABC123") == "ABC"
    both = {"substitute_o_to_0": True, "substitute_i_to_1": True}
    assert clean_text("ab c-o1i 5", char_whitelist="ABC0123456789", **both) == "ABC0115"
    assert clean_text("^]-\\A", char_whitelist="^]-\\") == "^]-\\"


def test_letters_that_are_allowed_stay() -> None:
    # SecureVision's example for Germany allows them, and its code took them away.
    german = "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÜ0123456789- "
    assert clean_text("Kü-Ä 1", char_whitelist=german) == "KÜ-Ä1"
    assert clean_text("жо1", char_whitelist="ЖО1") == "ЖО1"


def test_the_examples_of_the_documentation() -> None:
    assert doctest.testmod(text).failed == 0


def loader(tmp_path: Path, whitelist: str | bytes, blacklist: str | bytes = b"") -> PlateListLoader:
    paths = tmp_path / "whitelist.csv", tmp_path / "blacklist.csv"
    for path, content in zip(paths, (whitelist, blacklist), strict=True):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    lists = PlateListLoader(*map(str, paths))
    lists.load()
    return lists


@pytest.mark.parametrize("header", ["", "plate\n", "Number,owner\n", "license\n", "ID,x,y\n"])
def test_files_are_read_with_and_without_a_header(tmp_path: Path, header: str) -> None:
    lists = loader(tmp_path, header + "abc123,Ann\n  XYZ789  \n\n,\nabc123\n", "BAD1\n")
    assert lists.whitelist == {"ABC123", "XYZ789"}
    assert lists.size() == {"whitelist": 2, "blacklist": 1}
    assert lists.match("ABC123") == "whitelist"
    assert lists.match(" abc123 ") == "whitelist"
    assert lists.match("bad1") == "blacklist"
    assert lists.match("ABC124") is None
    assert repr(lists) == "PlateListLoader(whitelist=2, blacklist=1)"


def test_a_file_of_a_spreadsheet_is_read(tmp_path: Path) -> None:
    # The mark at the beginning made the first plate one that nobody has.
    lists = loader(tmp_path, b'\xef\xbb\xbfABC123\r\n"XYZ,789",note\r\n')
    assert lists.whitelist == {"ABC123", "XYZ,789"}
    assert loader(tmp_path, b"\xef\xbb\xbfplate\r\nABC123\r\n").whitelist == {"ABC123"}


@pytest.mark.parametrize(
    ("listed", "read"),
    [("AB C 123", "ABC123"), ("А123ВС", "A123BC"), ("kü-ä 1", "KU-A1"), ("ABC123", "abc 123")],
)
def test_a_plate_is_found_however_it_is_written(tmp_path: Path, listed: str, read: str) -> None:
    assert loader(tmp_path, listed).match(read) == "whitelist"


@pytest.mark.parametrize(
    ("listed", "read"),
    [("AB-C123", "ABC-123"), ("京A12345", "沪A12345"), ("京A12345", "A12345"), ("ABC123", "ABC12")],
)
def test_other_plates_are_other_plates(tmp_path: Path, listed: str, read: str) -> None:
    assert loader(tmp_path, listed).match(read) is None


def test_nothing_is_nobodys_plate(tmp_path: Path) -> None:
    lists = loader(tmp_path, "ABC123")
    lists.whitelist.add("")
    assert lists.match("") is None
    assert lists.match("  ") is None


def test_the_blacklist_counts_more_and_no_plate_is_logged(tmp_path: Path, caplog: Any) -> None:
    with caplog.at_level(logging.DEBUG):
        lists = loader(tmp_path, "ABC123", "AB C123")
        assert lists.match("ABC123") == "blacklist"
    assert "plates in both lists, where the blacklist counts: 1" in caplog.text
    assert "C123" not in caplog.text


def test_a_file_that_is_not_there_is_an_empty_list(tmp_path: Path, caplog: Any) -> None:
    lists = PlateListLoader(tmp_path / "no.csv", tmp_path / "none.csv")
    with pytest.raises(RuntimeError, match="not loaded"):
        lists.match("ABC123")
    lists.load()
    assert lists.match("ABC123") is None
    assert caplog.text.count("no list of plates") == 2


def test_lists_are_read_again_when_told_to(tmp_path: Path) -> None:
    lists = loader(tmp_path, "ABC123")
    lists.whitelist_path.write_text("XYZ789")
    lists.load()
    assert lists.match("XYZ789") is None
    lists.load(reload=True)
    assert (lists.match("XYZ789"), lists.match("ABC123")) == ("whitelist", None)
    # One that cannot be read changes nothing.
    lists.blacklist_path.write_bytes(b"\xff")
    with pytest.raises(ValueError, match="utf-8"):
        lists.load(reload=True)
    assert lists.match("XYZ789") == "whitelist"


def test_lists_are_written_as_they_were(tmp_path: Path) -> None:
    content = 'plate,owner,since\nabc123,"Ann, Bob",2024\nXYZ789,,\n'
    lists = loader(tmp_path, content)
    lists.save()
    assert lists.whitelist_path.read_text() == content
    lists.add(" new 1 ", "whitelist")
    assert lists.remove("xyz 789", "whitelist")
    assert not lists.remove("xyz 789", "whitelist")
    lists.add("BAD1", "blacklist")
    lists.save()
    assert lists.whitelist_path.read_text() == (
        'plate,owner,since\nabc123,"Ann, Bob",2024\nNEW 1\n'
    )
    assert lists.blacklist_path.read_text() == "BAD1\n"
    again = PlateListLoader(lists.whitelist_path, lists.blacklist_path)
    again.load()
    assert (again.whitelist, again.blacklist) == (lists.whitelist, lists.blacklist)


def test_new_files_are_for_their_owner_only(tmp_path: Path) -> None:
    lists = PlateListLoader(tmp_path / "a" / "white.csv", tmp_path / "black.csv")
    with pytest.raises(RuntimeError, match="not loaded"):
        lists.save()
    lists.load()
    lists.add("ABC123", "whitelist")
    lists.save()
    assert lists.whitelist_path.read_text() == "plate\nABC123\n"
    assert stat.S_IMODE(lists.whitelist_path.stat().st_mode) == 0o600
    # One that others may read stays so.
    lists.whitelist_path.chmod(0o644)
    lists.save()
    assert stat.S_IMODE(lists.whitelist_path.stat().st_mode) == 0o644


def test_arguments_that_cannot_be_are_refused(tmp_path: Path) -> None:
    lists = loader(tmp_path, "")
    with pytest.raises(ValueError, match="plate"):
        lists.add("  ", "whitelist")
    with pytest.raises(ValueError, match="list"):
        lists.add("ABC123", "guests")  # type: ignore[arg-type]
