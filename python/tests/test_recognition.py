"""What faces and plates have in common: pictures, networks, threads, and pipelines that recognise."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import PASSPHRASE
from recognition import enroll_all, photos, until
from vision import film

import keepwatch

Pixels = npt.NDArray[np.uint8]

PEOPLE = "video/one-by-one-person-detection.mp4"
#: What lets the small faces of that film be compared.
LENIENT = {"min_score": 0.6, "min_size": 10.0, "min_sharpness": 0.0, "max_turn": 10.0}


@pytest.fixture(scope="session")
def small(models: dict[str, Any], testdata: Path) -> keepwatch.FaceFinder:
    """Finds the small faces of the film."""
    detector = testdata / "models" / "yunet_n_320_320.onnx"
    return keepwatch.FaceFinder(detector=detector, embedder=models["embedder"], **LENIENT)


@pytest.fixture(scope="session")
def frames() -> list[keepwatch.Frame]:
    """Pictures of a film: some of somebody who walks by, and one of somebody at a table."""
    frames = []
    with keepwatch.Camera(film(PEOPLE), color="rgb") as camera:
        for number, frame in enumerate(camera):
            if 180 < number < 200 or number == 356:
                frames.append(frame)
            if number == 356:
                break
    return frames


def bmp(pixels: Pixels) -> bytes:
    """A picture file: rows of blue, green and red from below, each a multiple of 4 bytes."""
    height, width, _ = pixels.shape
    rows = np.zeros((height, (width * 3 + 3) // 4 * 4), np.uint8)
    rows[:, : width * 3] = pixels[::-1, :, ::-1].reshape(height, -1)
    header = struct.pack("<2sIHHI", b"BM", 54 + rows.size, 0, 0, 54)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, rows.size, 0, 0, 0, 0)
    return header + info + rows.tobytes()


def test_wrong_pictures_are_told(gallery: keepwatch.FaceGallery, tmp_path: Path) -> None:
    reader = keepwatch.PlateReader()
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("no picture")
    rgb = np.zeros((8, 8, 3), np.uint8)
    cases: list[tuple[Any, type[Exception], str]] = [
        (tmp_path / "empty.jpg", keepwatch.PictureError, "empty.jpg"),
        (str(tmp_path / "text.jpg"), keepwatch.PictureError, "text.jpg.*formats"),
        (tmp_path / "none.jpg", keepwatch.FileMissingError, "none.jpg"),
        (b"", keepwatch.PictureError, "given"),
        (b"\xff\xd8\xff\xe0 and no more", keepwatch.PictureError, "given"),
        (rgb.astype(np.float32), keepwatch.InvalidTypeError, "picture: .*float32"),
        (rgb.astype(np.int8), keepwatch.InvalidTypeError, "picture: .*int8"),
        (np.zeros((0, 8), np.uint8), keepwatch.InvalidValueError, "picture: .*empty"),
        (np.zeros((8, 0, 3), np.uint8), keepwatch.InvalidValueError, "picture: .*empty"),
        (np.zeros(8, np.uint8), keepwatch.InvalidValueError, "picture: .*shape"),
        (np.zeros((8, 8, 4), np.uint8), keepwatch.InvalidValueError, "picture: .*shape"),
        (np.zeros((1, 8, 8, 3), np.uint8), keepwatch.InvalidValueError, "picture: .*shape"),
        (np.broadcast_to(rgb[:1, :1], (9000, 9000, 3)), keepwatch.PictureError, "9000 x 9000"),
        (np.broadcast_to(rgb[:1, :1], (1, 40_000, 3)), keepwatch.PictureError, "40000 x 1 "),
        (5, keepwatch.InvalidTypeError, "picture: .*NumPy"),
        (None, keepwatch.InvalidTypeError, "picture: .*NumPy"),
        ([[1]], keepwatch.InvalidTypeError, "picture: .*NumPy"),
    ]
    for picture, error, text in cases:
        for call in (gallery.identify, reader.read, keepwatch.read_plates):
            with pytest.raises(error, match=text):
                call(picture)
    for call in (gallery.identify, reader.read, keepwatch.read_plates):
        with pytest.raises(keepwatch.InvalidValueError, match="channels"):
            call(rgb, channels="brg")  # type: ignore[call-overload]
        assert call(rgb) == []
        assert call(rgb[:, :, 0]) == []


def test_all_forms_of_a_picture_are_one_picture(
    small: keepwatch.FaceFinder, frames: list[keepwatch.Frame], tmp_path: Path
) -> None:
    frame = frames[-1]
    pixels = frame.image
    (tmp_path / "frame").write_bytes(bmp(pixels))
    wide = np.repeat(pixels, 2, axis=1)

    def faces(picture: Any, **options: Any) -> list[tuple[Any, ...]]:
        found = small.find(picture, **options)
        return [(face.bbox, face.landmarks, face.embedding) for face in found]

    expected = faces(frame)
    assert len(expected) == 1
    for picture in [
        pixels,
        wide[:, ::2],
        np.asfortranarray(pixels),
        bmp(pixels),
        bytearray(bmp(pixels)),
        memoryview(bmp(pixels)),
        tmp_path / "frame",
        str(tmp_path / "frame"),
    ]:
        assert faces(picture) == expected
    # As OpenCV has them.
    assert faces(pixels[:, :, ::-1], channels="bgr") == expected
    assert faces(pixels[:, :, ::-1]) != expected
    with keepwatch.Camera(film(PEOPLE)) as camera:
        luma = next(iter(camera))
    assert luma.color == "luma"
    assert faces(luma) == faces(luma.image)


def test_libraries_of_onnx_runtime_are_found_or_missed(
    models: dict[str, Any], tmp_path: Path
) -> None:
    # The first library that a process loads stays: a process for each.
    script = (
        "import sys, keepwatch\n"
        "options = dict(zip(('detector', 'embedder', 'backend', 'library'), sys.argv[1:]))\n"
        "try:\n"
        "    print(keepwatch.FaceFinder(**options).dimensions)\n"
        "except keepwatch.ModelError as error:\n"
        "    print(error, error.hint)\n"
    )

    def run(*options: str | Path, path: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-c", script, *models.values(), *options],
            env={**os.environ, "ORT_DYLIB_PATH": "", "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    package = Path(keepwatch.__file__).parents[1]
    assert run("auto", path=str(package)) == "128\n", "there is always tract"
    missing = run("auto", tmp_path / "none.so", path=str(package))
    assert "none.so" in missing
    assert "pip install onnxruntime" in missing
    # A package of this interpreter is found, though its library is none here.
    capi = tmp_path / "onnxruntime" / "capi"
    capi.mkdir(parents=True)
    (capi.parent / "__init__.py").write_text("raise RuntimeError('it is not run')")
    (capi / "libonnxruntime.so.1.99.0").touch()
    found = run("onnxruntime", path=f"{package}:{tmp_path}")
    assert "onnxruntime/capi/libonnxruntime.so.1.99.0" in found or found == "128\n"


def test_both_engines_see_the_same(models: dict[str, Any], faces: Path, plates: Path) -> None:
    probe = faces / "probe" / "d03_1.jpg"
    fast = keepwatch.FaceFinder(**models, backend="onnxruntime").find(probe)[0]
    slow = keepwatch.FaceFinder(**models, backend="tract").find(probe)[0]
    assert fast.bbox == pytest.approx(slow.bbox, abs=0.5)
    assert fast.embedding is not None
    assert slow.embedding is not None
    assert np.dot(fast.embedding, slow.embedding) > 0.999
    car = plates / "br" / "PJB2414.jpg"
    texts = [
        [plate.text for plate in keepwatch.PlateReader(region="br", **options).read(car)]
        for options in ({"backend": "onnxruntime"}, {"backend": "tract"})
    ]
    assert texts == [["PJB2414"], ["PJB2414"]]


def test_threads_share_a_gallery_and_a_reader(
    gallery: keepwatch.FaceGallery, faces: Path, plates: Path
) -> None:
    people = enroll_all(gallery, faces)
    probes = sorted((faces / "probe").iterdir())[:8]
    reader = keepwatch.PlateReader(region="br")
    cars = sorted((plates / "br").glob("*.jpg"))[:4]

    def names() -> list[Any]:
        return [[face.name for face in gallery.identify(probe)] for probe in probes]

    def texts() -> list[Any]:
        return [[plate.text for plate in reader.read(car)] for car in cars]

    expected = names(), texts()
    with ThreadPoolExecutor(4) as pool:
        looks = [pool.submit(names) for _ in range(2)]
        reads = [pool.submit(texts) for _ in range(2)]
        for person in people[:3]:
            gallery.enroll(person, *photos(faces, person))
        assert all(look.result() == expected[0] for look in looks)
        assert all(read.result() == expected[1] for read in reads)


def test_a_pipeline_recognises_who_is_enrolled(
    event_store: keepwatch.EventStore,
    models: dict[str, Any],
    testdata: Path,
    small: keepwatch.FaceFinder,
    frames: list[keepwatch.Frame],
    tmp_path: Path,
) -> None:
    seen = [face.embedding for frame in frames[:-1] for face in small.find(frame)]
    embeddings = np.array([embedding for embedding in seen if embedding is not None])
    path = tmp_path / "gallery.npz"
    np.savez(path, person_ids=np.array(["Ada"] * len(embeddings)), embeddings=embeddings)
    keepwatch.FaceGallery(event_store, **models).import_npz(path)
    # Where the file is, paths in it begin.
    shutil.copy(testdata / "models" / "yunet_n_320_320.onnx", tmp_path / "yunet.onnx")
    (tmp_path / "keepwatch.toml").write_text(
        f"""
[cameras.table]
url = "{film(PEOPLE)}"
[models.face_detector]
path = "yunet.onnx"
[models.face_embedder]
path = "{models["embedder"]}"
[faces]
min_score = 0.6
min_size = 10
min_sharpness = 0
max_turn = 10
[recognition]
looks_per_second = 10
frames_required = 2
"""
    )
    with keepwatch.Pipeline(tmp_path / "keepwatch.toml", store=event_store) as pipeline:
        told = list(pipeline)
        (status,) = pipeline.status()
    assert status.looks > 100
    assert (status.looks_skipped, status.looks_failed) == (0, 0)
    matches = [event for event in told if event.kind == "face_match"]
    assert {seen.label for event in matches for seen in event.observations} == {"Ada"}


def test_a_pipeline_says_what_it_cannot_recognise_before_it_makes_a_store(tmp_path: Path) -> None:
    config: dict[str, Any] = {
        "cameras": {"drive": {"url": str(film())}},
        "models": {
            "face_detector": {"path": str(tmp_path / "none.onnx")},
            "face_embedder": {"path": str(tmp_path / "none.onnx")},
        },
    }
    target = tmp_path / "store"
    with pytest.raises(keepwatch.FileMissingError, match=r"none\.onnx"):
        keepwatch.Pipeline(config, store=target, passphrase=PASSPHRASE)
    config["plates"] = {"deny_list": str(tmp_path / "none.csv")}
    del config["models"]
    with pytest.raises(keepwatch.FileMissingError, match=r"none\.csv"):
        keepwatch.Pipeline(config, store=target, passphrase=PASSPHRASE)
    config["plates"] = {}
    config["recognition"] = {"threads": 0}
    with pytest.raises(keepwatch.KeepwatchError, match="threads"):
        keepwatch.Pipeline(config, store=target, passphrase=PASSPHRASE)
    assert not target.exists()


def test_a_pipeline_tells_of_lists_that_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    deny = tmp_path / "deny.csv"
    deny.write_text("")
    config = tmp_path / "keepwatch.toml"
    # Paths in a file begin where it is.
    config.write_text('[cameras.test]\nurl = "test:"\n[plates]\ndeny_list = "deny.csv"\n')
    store = tmp_path / "store"
    with keepwatch.Pipeline(config, store=store, passphrase=PASSPHRASE):
        deny.write_text("AB 123\n")
        until(lambda: caplog.text, lambda text: "the deny list has 1 plates now" in text)
        deny.unlink()
        until(lambda: caplog.text, lambda text: "the deny list stays as it was" in text)
    assert {record.name for record in caplog.records} == {"keepwatch"}
    assert "AB 123" not in caplog.text
