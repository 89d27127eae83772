"""Plates in pictures: real photographs, and lists."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import Any

import pytest
from recognition import until

import keepwatch


@pytest.mark.parametrize(("region", "percent"), [("eu", 98), ("us", 75), ("br", 85)])
def test_plates_are_read_as_well_as_by_the_core(plates: Path, region: str, percent: int) -> None:
    with (plates / "groundtruth.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["region"] == region][:20]
    fold = str.maketrans("OI", "01")
    reader = keepwatch.PlateReader(region=region)  # type: ignore[arg-type]
    right = 0
    for row in rows:
        found = reader.read(plates / row["file"])
        right += any(
            plate.text.translate(fold) == row["text"].translate(fold) for plate in found
        )
    # Of twenty, two more may be wrong than of all of them.
    assert right + 2 >= len(rows) * percent / 100, f"{right} of {len(rows)}"


def test_a_reading_says_where_and_how_sure(plates: Path) -> None:
    (plate,) = keepwatch.read_plates(plates / "br" / "PJB2414.jpg", region="br")
    assert (plate.text, plate.text_raw, plate.fits) == ("PJB2414", "PJB2414", True)
    assert 0.9 < plate.confidence <= 1
    x, y, width, height = plate.bbox
    # The labelled box is 419, 308, 368 x 119.
    assert 380 < x < 460
    assert 280 < y < 340
    assert 320 < width < 420
    assert 90 < height < 160
    top_left, top_right, bottom_right, bottom_left = plate.corners
    assert top_left[0] < top_right[0]
    assert top_left[1] < bottom_left[1]
    assert min(corner[0] for corner in plate.corners) == pytest.approx(x)
    assert max(corner[1] for corner in plate.corners) == pytest.approx(y + height)
    assert bottom_left[0] < bottom_right[0]
    assert (plate.matched_list, plate.matched_plate, plate.description) == (None, None, None)


def test_lists_of_plates_are_read_again_when_they_change(plates: Path, tmp_path: Path) -> None:
    car = plates / "br" / "PJB2414.jpg"
    allow, deny = tmp_path / "allow.csv", tmp_path / "deny.csv"
    allow.write_text("plate_text,description\nPJB-2414,the neighbour\n")
    deny.write_text("")
    lists: dict[str, Any] = {"region": "br", "allow_list": allow, "deny_list": deny}
    reader = keepwatch.PlateReader(**lists)
    for found in (reader.read(car), keepwatch.read_plates(car, **lists)):
        (plate,) = found
        assert plate.matched_list == "allow"
        assert plate.matched_plate == "PJB-2414"
        assert plate.description == "the neighbour"
    # Files are looked at once a second. A letter is taken for the digit.
    allow.write_text("PJB24I4\n")
    plate = until(lambda: reader.read(car)[0], lambda plate: plate.description is None)
    assert (plate.matched_list, plate.matched_plate) == ("allow", "PJB24I4")
    exact = keepwatch.PlateReader(**lists, allow_distance=0.0)
    assert exact.read(car)[0].matched_list is None
    deny.write_text("pjb 2414\n")
    plate = until(lambda: reader.read(car)[0], lambda plate: plate.matched_list == "deny")
    assert plate.matched_plate == "pjb 2414"
    deny.unlink()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        until(lambda: reader.read(car), lambda _: bool(said))
    assert [str(warning.message) for warning in said] == [
        f"the deny list stays as it was: cannot read {deny}: No such file or directory (os error 2)"
    ]
    assert reader.read(car)[0].matched_list == "deny"
    with pytest.raises(keepwatch.FileMissingError):
        keepwatch.PlateReader(**lists)
    deny.write_text("PJB-2414\nPJB 2414\n")
    with pytest.warns(UserWarning, match="line 2 has the plate of line 1|too, and is denied"):
        keepwatch.PlateReader(**lists)
    deny.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(keepwatch.InvalidValueError, match=r"deny\.csv"):
        keepwatch.PlateReader(**lists)


def test_settings_of_plates_are_checked(plates: Path, models: dict[str, Any]) -> None:
    car = plates / "br" / "PJB2414.jpg"
    assert keepwatch.PlateReader().region == "eu"
    own = keepwatch.PlateReader(patterns="[A-Z]{3}[0-9]{4}")
    assert own.region == "custom"
    assert [(plate.text, plate.fits) for plate in own.read(car)] == [("PJB2414", True)]
    assert not keepwatch.read_plates(car, patterns=["[0-9]{3}"])[0].fits
    assert keepwatch.PlateReader(min_confidence=1.0).read(car) == []
    classical = keepwatch.PlateReader(region="br", finder="classical")
    assert "PJB2414" in [plate.text for plate in classical.read(car)]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"region": "xx"}, "region"),
        ({"region": "custom"}, "patterns"),
        ({"region": "eu", "patterns": ["A"]}, "patterns"),
        ({"patterns": "("}, "patterns"),
        ({"min_confidence": 2.0}, "min_confidence"),
        ({"allow_distance": -1.0}, "allow_distance"),
        ({"finder": "eyes"}, "finder"),
    ]
    for options, name in wrong:
        with pytest.raises(keepwatch.InvalidValueError, match=name):
            keepwatch.PlateReader(**options)
    with pytest.raises(keepwatch.ModelError):
        keepwatch.PlateReader(detector=models["embedder"])
    with pytest.raises(keepwatch.ModelError, match="tesseract"):
        keepwatch.PlateReader(config={"plates": {"reader": "tesseract"}})
    with pytest.raises(keepwatch.ConfigError, match="regoin"):
        keepwatch.PlateReader(config={"plates": {"regoin": "br"}})
    configured = keepwatch.PlateReader(config={"plates": {"region": "br"}})
    assert configured.region == "br"
    assert keepwatch.PlateReader(config={"plates": {"region": "br"}}, region="us").region == "us"
