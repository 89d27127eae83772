"""The gallery of faces: SecureVision's file, read and written, in clear and sealed."""

from __future__ import annotations

import io
import json
import logging
import pickle
import stat
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keepwatch.compat.securevision.face import FaceGallery
from keepwatch.compat.securevision.face.enroll import enroll_gallery
from keepwatch.compat.securevision.face.loader import FaceModels
from keepwatch.errors import DamagedError, ModelError, UnsupportedError, WrongKeyError


@pytest.fixture(autouse=True)
def no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEEPWATCH_PASSWORD", raising=False)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_bytes(bytes(range(32)))
    return path


def towards(*numbers: float, dimensions: int = 512) -> Any:
    return np.array([*numbers, *[0.0] * (dimensions - len(numbers))], dtype=np.float32)


def write(path: Path, person_ids: list[str], embeddings: Any) -> None:
    """As SecureVision does."""
    np.savez(path, person_ids=np.array(person_ids), embeddings=np.array(embeddings))
    metadata = {
        person: {"num_images": 2, "enrolled_at": "2025-11-25T06:00:00.123456"}
        for person in person_ids
    }
    with open(path.parent / f"{path.stem}_metadata.json", "w") as file:
        json.dump(metadata, file, indent=2)


def gallery(tmp_path: Path, **options: Any) -> FaceGallery:
    return FaceGallery(tmp_path / "trusted", tmp_path / "gallery.npz", **options)


@pytest.fixture
def ann_and_bob(tmp_path: Path) -> FaceGallery:
    write(tmp_path / "gallery.npz", ["ann", "bob"], [towards(2.0), towards(0.0, 0.5)])
    loaded = gallery(tmp_path)
    loaded.load()
    return loaded


def test_a_file_of_securevision_is_read(ann_and_bob: FaceGallery) -> None:
    assert ann_and_bob.get_person_ids() == ["ann", "bob"]
    assert ann_and_bob.size() == 2
    assert ann_and_bob.embeddings is not None
    assert ann_and_bob.embeddings.shape == (2, 512)
    # A copy is given.
    ann_and_bob.get_person_ids().append("eve")
    assert ann_and_bob.size() == 2


def found(loaded: FaceGallery, query: Any, threshold: float) -> tuple[str, float]:
    match = loaded.match(query, threshold)
    assert match is not None
    assert type(match[1]) is float
    return match[0], round(match[1], 6)


def test_the_best_likeness_counts(ann_and_bob: FaceGallery) -> None:
    # Lengths do not count, and neither does the kind of number.
    for query in [towards(5.0), towards(1e-3), towards(7.0).astype(np.float64), towards(1)[None]]:
        assert found(ann_and_bob, query, 0.9) == ("ann", 1.0)
    assert found(ann_and_bob, towards(0.6, 0.8), 0.35) == ("bob", 0.8)


def test_a_higher_threshold_is_stricter(ann_and_bob: FaceGallery) -> None:
    # SecureVision's documents said the contrary, and its code this.
    query = towards(0.5, 0.0, 0.75**0.5)
    similarity = float(towards(0.5) @ towards(1.0))
    assert similarity == 0.5
    assert found(ann_and_bob, query, 0.3) == ("ann", 0.5)
    assert ann_and_bob.match(query, 0.6) is None
    assert ann_and_bob.match(query, float("nan")) is None
    # A stranger is nobody.
    assert ann_and_bob.match(towards(0, 0, 0, 1.0), 0.35) is None
    assert ann_and_bob.match(towards(-1.0, -1.0), 0.35) is None
    assert ann_and_bob.match(towards(), 0.35) is None


def test_likeness_is_the_cosine(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    embeddings = random.normal(size=(50, 128)).astype(np.float32) * 20
    names = [f"person {index}" for index in range(50)]
    write(tmp_path / "gallery.npz", names, embeddings)
    loaded = gallery(tmp_path)
    loaded.load()
    for index in range(50):
        query = embeddings[index] + random.normal(size=128).astype(np.float32) * 10
        match = loaded.match(query, -1.0)
        assert match is not None
        assert match[0] == names[index]
        a, b = query.astype(np.float64), embeddings[index].astype(np.float64)
        assert match[1] == pytest.approx(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def test_what_does_not_fit_the_gallery_is_refused(ann_and_bob: FaceGallery) -> None:
    with pytest.raises(ValueError, match="query_embedding.*128.*512"):
        ann_and_bob.match(towards(1.0, dimensions=128), 0.5)
    with pytest.raises(ValueError, match="query_embedding.*finite"):
        ann_and_bob.match(towards(float("nan")), 0.5)


def test_what_is_not_loaded_says_so(tmp_path: Path) -> None:
    empty = gallery(tmp_path)
    assert empty.size() == 0
    calls: list[Callable[[], Any]] = [
        lambda: empty.match(towards(1.0), 0.5),
        empty.get_person_ids,
        lambda: empty.export(tmp_path / "x.npz"),
    ]
    for call in calls:
        with pytest.raises(RuntimeError, match="not loaded"):
            call()
    with pytest.raises(FileNotFoundError, match="cache not found"):
        empty.load()


def test_an_empty_gallery_matches_nobody(tmp_path: Path) -> None:
    np.savez(tmp_path / "gallery.npz", person_ids=np.array([]), embeddings=np.empty((0, 512)))
    loaded = gallery(tmp_path)
    loaded.load()
    assert loaded.match(towards(1.0), 0.5) is None


def test_more_or_fewer_persons_than_embeddings_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "gallery.npz", ["ann"], [towards(1.0), towards(2.0)])
    with pytest.raises(ValueError, match="Mismatch"):
        gallery(tmp_path).load()


@pytest.mark.parametrize(
    "content",
    [b"", b"no gallery", b"PK\x03\x04"],
)
def test_what_is_no_gallery_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "gallery.npz").write_bytes(content)
    with pytest.raises(DamagedError, match="is no gallery"):
        gallery(tmp_path).load()
    for arrays in [
        {"embeddings": np.empty((0, 512))},
        {"person_ids": np.array(["ann"]), "embeddings": np.ones(512)},
        {"person_ids": np.array(["ann"]), "embeddings": np.ones((1, 512), dtype=int)},
        {"person_ids": np.array(["ann"]), "embeddings": np.full((1, 512), np.nan)},
    ]:
        np.savez(tmp_path / "gallery.npz", **arrays)  # type: ignore[arg-type]
        with pytest.raises(DamagedError, match="is no gallery"):
            gallery(tmp_path).load()


def test_a_file_that_holds_a_program_does_not_run_it(tmp_path: Path) -> None:
    class Program:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "it ran",))

    names = np.array([Program()], dtype=object)
    with open(tmp_path / "gallery.npz", "wb") as file:
        np.savez(file, person_ids=names, embeddings=np.ones((1, 512)))
    with pytest.raises(DamagedError, match="is no gallery"):
        gallery(tmp_path).load()
    assert not (tmp_path / "it ran").exists()
    # It would have.
    pickle.loads(pickle.dumps(Program()))
    assert (tmp_path / "it ran").exists()


class Faces:
    """Finds as many faces as the name of a picture has letters, each like its folder."""

    def __init__(self, *embeddings: Any) -> None:
        self.embeddings = list(embeddings)

    def get(self, img: Any, /) -> list[Any]:
        if img == "broken":
            raise RuntimeError("broken")
        return [types.SimpleNamespace(embedding=self.embeddings.pop(0)) for _ in range(img)]


def pictures(tmp_path: Path, *names: str) -> None:
    for name in names:
        path = tmp_path / "trusted" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def count(picture: Path) -> Any:
    """What is in a picture, by its name."""
    return {"none": 0, "two": 2, "bad": None, "broken": "broken"}.get(picture.stem, 1)


def test_persons_are_the_mean_of_their_pictures(tmp_path: Path, caplog: Any) -> None:
    pictures(tmp_path, "ann/1.jpg", "ann/2.PNG", "ann/3.jpeg", "ann/notes.txt", "bob/1.jpg")
    pictures(tmp_path, ".hidden/1.jpg", "eve/none.jpg", "eve/bad.jpg", "eve/broken.jpg")
    pictures(tmp_path, "mob/two.jpg")
    each = [towards(1.0), towards(0.5, 0.5), towards(0.0, 1.0), towards(0, 0, 1), *[towards(9)] * 2]
    built = gallery(tmp_path)
    assert built.build(Faces(*each), read_image=count) == 2
    assert built.size() == 0
    built.load()
    assert built.get_person_ids() == ["ann", "bob"]
    assert built.embeddings is not None
    np.testing.assert_allclose(built.embeddings[0], towards(0.5, 0.5), rtol=1e-6)
    for text in ["eve is not enrolled", "mob is not enrolled", "there are 2 faces in it"]:
        assert text in caplog.text


def test_the_file_is_one_that_securevision_reads(tmp_path: Path) -> None:
    pictures(tmp_path, "ann/1.jpg", "bob/1.jpg", "bob/2.jpg")
    gallery(tmp_path).build(Faces(*[towards(1.0)] * 3), read_image=count)
    data = np.load(tmp_path / "gallery.npz", allow_pickle=True)
    assert data["person_ids"].tolist() == ["ann", "bob"]
    assert data["embeddings"].shape == (2, 512)
    assert data["embeddings"].dtype == np.float32
    metadata = json.loads((tmp_path / "gallery_metadata.json").read_text())
    assert {name: each["num_images"] for name, each in metadata.items()} == {"ann": 1, "bob": 2}
    assert set(metadata["ann"]) == {"num_images", "enrolled_at"}
    for name in ["gallery.npz", "gallery_metadata.json"]:
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "gallery.npz",
        "gallery_metadata.json",
        "trusted",
    ]


def test_a_name_without_npz_is_kept(tmp_path: Path) -> None:
    pictures(tmp_path, "ann/1.jpg")
    built = FaceGallery(tmp_path / "trusted", tmp_path / "faces.cache")
    assert built.build(Faces(towards(1.0)), read_image=count) == 1
    built.load()
    assert built.size() == 1


def test_a_gallery_that_is_there_is_made_anew_only_when_told(tmp_path: Path) -> None:
    (tmp_path / "gallery.npz").touch()
    pictures(tmp_path, "ann/1.jpg")
    assert gallery(tmp_path).build(Faces(), read_image=count) == 0
    assert gallery(tmp_path).build(Faces(towards(1.0)), True, read_image=count) == 1
    # One that cannot be made leaves the one that is there.
    before = (tmp_path / "gallery.npz").read_bytes()
    with pytest.raises(ValueError, match="No persons successfully enrolled"):
        gallery(tmp_path).build(Faces(), True, read_image=lambda picture: None)
    assert (tmp_path / "gallery.npz").read_bytes() == before


def test_folders_that_lack_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="Gallery path not found"):
        gallery(tmp_path).build(Faces(), read_image=count)
    (tmp_path / "trusted").mkdir()
    with pytest.raises(ValueError, match="No person folders found"):
        gallery(tmp_path).build(Faces(), read_image=count)


def test_pictures_are_read_by_opencv_if_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures(tmp_path, "ann/1.jpg")
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match="OpenCV.*read_image="):
        gallery(tmp_path).build(Faces())
    read: list[str] = []

    def imread(path: str) -> int:
        read.append(path)
        return 1

    opencv: Any = types.ModuleType("cv2")
    opencv.imread = imread
    monkeypatch.setitem(sys.modules, "cv2", opencv)
    assert gallery(tmp_path).build(Faces(towards(1.0))) == 1
    assert read == [str(tmp_path / "trusted" / "ann" / "1.jpg")]


@pytest.fixture(params=["key file", "passphrase"])
def secret(request: pytest.FixtureRequest, key_file: Path) -> dict[str, Any]:
    choices: dict[str, dict[str, Any]] = {
        "key file": {"key_file": key_file},
        "passphrase": {"passphrase": "correct horse"},
    }
    return choices[request.param]


def test_a_gallery_can_be_sealed(tmp_path: Path, secret: dict[str, Any]) -> None:
    pictures(tmp_path, "maximiliane/1.jpg")
    gallery(tmp_path, **secret).build(Faces(towards(1.0)), read_image=count)
    for name in ["gallery.npz", "gallery_metadata.json"]:
        content = (tmp_path / name).read_bytes()
        assert content.startswith(b"\x89KW")
        assert b"maximiliane" not in content
    loaded = gallery(tmp_path, **secret)
    loaded.load()
    assert found(loaded, towards(2.0), 0.9) == ("maximiliane", 1.0)
    with pytest.raises(WrongKeyError):
        gallery(tmp_path, passphrase="wrong").load()
    with pytest.raises(ValueError, match="it is sealed|the gallery is sealed"):
        gallery(tmp_path).load()
    # In clear when that is asked for, with all that was in it.
    loaded.export(tmp_path / "clear" / "copy.npz")
    data = np.load(tmp_path / "clear" / "copy.npz")
    assert data["person_ids"].tolist() == ["maximiliane"]
    metadata = json.loads((tmp_path / "clear" / "copy_metadata.json").read_text())
    assert metadata["maximiliane"]["num_images"] == 1


def test_a_sealed_gallery_opens_with_the_passphrase_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures(tmp_path, "ann/1.jpg")
    gallery(tmp_path, passphrase="horse").build(Faces(towards(1.0)), read_image=count)
    monkeypatch.setenv("KEEPWATCH_PASSWORD", "horse")
    loaded = gallery(tmp_path)
    loaded.load()
    assert loaded.size() == 1
    # It seals nothing by itself: SecureVision goes on reading what is written.
    assert loaded.build(Faces(towards(1.0)), True, read_image=count) == 1
    assert np.load(io.BytesIO((tmp_path / "gallery.npz").read_bytes()))


def test_a_gallery_in_clear_is_read_with_a_key_too(
    ann_and_bob: FaceGallery, tmp_path: Path, key_file: Path
) -> None:
    loaded = gallery(tmp_path, key_file=key_file)
    loaded.load()
    assert loaded.size() == 2


def test_a_sealed_gallery_that_was_changed_is_refused(tmp_path: Path, key_file: Path) -> None:
    pictures(tmp_path, "ann/1.jpg")
    gallery(tmp_path, key_file=key_file).build(Faces(towards(1.0)), read_image=count)
    content = bytearray((tmp_path / "gallery.npz").read_bytes())
    content[-20] ^= 1
    (tmp_path / "gallery.npz").write_bytes(content)
    with pytest.raises(WrongKeyError):
        gallery(tmp_path, key_file=key_file).load()


def test_enrolling_tells_how_many(tmp_path: Path, caplog: Any, key_file: Path) -> None:
    pictures(tmp_path, "ann/1.jpg")
    paths = (str(tmp_path / "trusted"), str(tmp_path / "gallery.npz"))
    options: dict[str, Any] = {"read_image": count, "key_file": key_file}
    assert enroll_gallery(*paths, embedder=Faces(towards(1.0)), **options) == 1
    assert enroll_gallery(*paths, embedder=Faces(), **options) == 0
    assert (tmp_path / "gallery.npz").read_bytes().startswith(b"\x89KW")
    with caplog.at_level(logging.ERROR):
        assert enroll_gallery("nothing", paths[1], True, embedder=Faces()) == -1
    assert "Gallery path not found: nothing" in caplog.text


def test_models_are_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setenv("INSIGHTFACE_HOME", str(tmp_path / "insightface"))
    FaceModels.clear_cache()
    with pytest.raises(UnsupportedError, match="there are no models in"):
        FaceModels.get_models()
    pictures(tmp_path, "ann/1.jpg")
    assert enroll_gallery(str(tmp_path / "trusted"), str(tmp_path / "gallery.npz")) == -1
    assert "there are no models in" in caplog.text
    models = tmp_path / "insightface" / "models" / "buffalo_l"
    models.mkdir(parents=True)
    (models / "det_10g.onnx").touch()
    with pytest.raises(UnsupportedError):
        FaceModels.get_models()
    (models / "w600k_r50.onnx").touch()
    with pytest.raises(ModelError, match="det_10g"):
        FaceModels.get_models()
    with pytest.raises(FileNotFoundError):
        FaceModels.get_models(detector="nothing.onnx")
