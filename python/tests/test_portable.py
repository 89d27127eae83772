"""A build without cameras. It is run by itself, with such a build installed; see conftest.py."""

from __future__ import annotations

from pathlib import Path

import pytest

import keepwatch


def test_the_vault_works(tmp_path: Path):
    assert not keepwatch.HAS_VISION
    (tmp_path / "file").write_text("content")
    with keepwatch.Repository.init(tmp_path / "r", passphrase="x", use_cache=False) as repository:
        repository.backup(tmp_path / "file")
        assert repository.check(read_data=True)


@pytest.mark.parametrize("name", ["Camera", "Pipeline", "Frame", "Detection"])
def test_cameras_say_what_they_need(name: str):
    with pytest.raises(ImportError, match="GStreamer"):
        getattr(keepwatch, name)
    with pytest.raises(ImportError, match="vision"):
        exec(f"from keepwatch import {name}")
    with pytest.raises(AttributeError):
        keepwatch.nothing
