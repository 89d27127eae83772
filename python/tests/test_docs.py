"""The examples of the documentation run, as they stand there."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from conftest import fill

import keepwatch

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```python([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_guide_runs(
    tmp_path: Path, testdata: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fill(tmp_path / "documents")
    (tmp_path / "letter.txt").write_text("Dear stranger,\nit works.\n")
    shutil.copy(testdata / "video" / "car-detection.mp4", tmp_path)
    blocks = BLOCK.findall((DOCS / "PYTHON.md").read_text())
    assert len(blocks) > 10
    names: dict[str, object] = {"__name__": "guide"}
    for kind, block in blocks:
        if kind.strip() == "no-run" or (kind.strip() == "vision" and not keepwatch.HAS_VISION):
            continue
        exec(compile(block, "docs/PYTHON.md", "exec"), names)
    assert os.path.exists("again.txt")
    assert "watched" in os.listdir()
