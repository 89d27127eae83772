"""A build without cameras. It is run by itself, with such a build installed; see conftest.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import keepwatch


def test_the_vault_works(tmp_path: Path):
    assert not keepwatch.HAS_VISION
    (tmp_path / "file").write_text("content")
    with keepwatch.Repository.init(tmp_path / "r", passphrase="x", use_cache=False) as repository:
        repository.backup(tmp_path / "file")
        assert repository.check(read_data=True)


def test_faces_and_plates_are_recognised(tmp_path: Path, testdata: Path):
    (plate,) = keepwatch.read_plates(testdata / "plates/dev/br/PJB2414.jpg", region="br")
    assert plate.text == "PJB2414"
    faces = testdata / "faces" / "dev"
    with keepwatch.EventStore.create(tmp_path / "events", passphrase="x") as store:
        gallery = keepwatch.FaceGallery(
            store,
            detector=testdata / "models" / "yunet_n_640_640.onnx",
            embedder=testdata / "models" / "mobilefacenet_112.onnx",
        )
        gallery.enroll("Ada", *(faces / "gallery" / "d03").iterdir())
        assert gallery.identify(faces / "probe" / "d03_1.jpg")[0].name == "Ada"
        assert keepwatch.identify(np.zeros((64, 64, 3), np.uint8), gallery) == []
        with pytest.raises(keepwatch.UnsupportedError, match="configuration") as error:
            keepwatch.FaceGallery(store, config=tmp_path / "keepwatch.toml")
        assert "arguments" in error.value.hint


@pytest.mark.parametrize("name", ["Camera", "Pipeline", "Frame", "Detection"])
def test_cameras_say_what_they_need(name: str):
    with pytest.raises(ImportError, match="GStreamer"):
        getattr(keepwatch, name)
    with pytest.raises(ImportError, match="vision"):
        exec(f"from keepwatch import {name}")
    with pytest.raises(AttributeError):
        keepwatch.nothing
