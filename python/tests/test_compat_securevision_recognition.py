"""SecureVision's recognisers, over the core's networks."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keepwatch.compat.securevision.config import FaceSettings, PlateOCRSettings, PlatesSettings
from keepwatch.compat.securevision.face import FaceGallery, FaceRecognizer
from keepwatch.compat.securevision.face.enroll import enroll_gallery
from keepwatch.compat.securevision.face.loader import FaceModels
from keepwatch.compat.securevision.plates import (
    OCRResult,
    PlateListLoader,
    PlateOCR,
    PlateRecognizer,
    YOLOPlateDetector,
)
from keepwatch.compat.securevision.types import BBox, Detection, Frame, PlateRead
from keepwatch.errors import InvalidTypeError, ModelError, UnsupportedError


@pytest.fixture(scope="session")
def models(testdata: Path) -> Any:
    folder = testdata / "models"
    FaceModels.clear_cache()
    models = FaceModels.get_models(
        detector=folder / "yunet_n_640_640.onnx", embedder=folder / "mobilefacenet_112.onnx"
    )
    again = FaceModels.get_models(
        detector=folder / "yunet_n_640_640.onnx", embedder=folder / "mobilefacenet_112.onnx"
    )
    assert again is models
    FaceModels.clear_cache()
    return models


@pytest.fixture(scope="session")
def gallery(models: Any, testdata: Path, tmp_path_factory: pytest.TempPathFactory) -> FaceGallery:
    """The people of the photographs, enrolled without OpenCV."""
    folder = testdata / "faces" / "dev" / "gallery"
    cache = tmp_path_factory.mktemp("gallery") / "gallery.npz"
    assert enroll_gallery(folder, cache, embedder=models) > 4
    gallery = FaceGallery(folder, cache)
    gallery.load()
    return gallery


def frame(image: Any) -> Frame:
    return Frame(image, 1234, "door")


def test_faces_have_the_names_of_insightface(models: Any, testdata: Path) -> None:
    (face,) = models.get(testdata / "faces" / "dev" / "probe" / "d04_1.jpg")
    left, top, right, bottom = face.bbox.astype(int)
    assert right - left > 200
    assert bottom - top > 200
    assert face.kps.shape == (5, 2)
    assert 0.9 < face.det_score <= 1
    assert face.embedding.dtype == np.float32
    assert np.linalg.norm(face.embedding) == pytest.approx(1, abs=1e-5)
    assert "embedding" not in repr(face)


def test_faces_of_frames_are_looked_up(
    models: Any, gallery: FaceGallery, testdata: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = FaceSettings(similarity_threshold=0.42)
    recognizer = FaceRecognizer.from_config(settings, gallery)
    assert (recognizer.similarity_threshold, recognizer.min_face_size) == (0.42, 40)
    recognizer = FaceRecognizer(gallery, 0.42, models=models)
    with pytest.raises(RuntimeError):
        recognizer.process_frame(frame(np.zeros((8, 8, 3), np.uint8)))
    recognizer.open()
    probes = sorted((testdata / "faces" / "dev" / "probe").iterdir())
    known = set(gallery.get_person_ids())
    for probe in probes:
        person = probe.name.split("_")[0]
        events = list(recognizer.process_frame(frame(probe)))
        names = {event.payload.person_id for event in events}
        assert names == ({person} & known), probe
        for event in events:
            assert (event.type, event.ts_ms, event.frame_source_id) == ("face_match", 1234, "door")
            assert event.payload.similarity >= 0.42
            assert event.payload.detection.kind == "face"
        seen = recognizer.get_latest_observations()
        assert [each.person_id for each in seen if each.matched] == [
            event.payload.person_id for event in events
        ]
    stats = recognizer.get_stats()
    assert stats["total_frames"] == len(probes)
    assert stats["matched"] + stats["rejected_threshold"] == stats["total_detections"]
    assert not list(recognizer.process_frame(frame(np.zeros((80, 80, 3), np.uint8))))
    assert recognizer.get_latest_observations() == []
    assert not list(recognizer.process_frame(frame("no picture")))
    recognizer.close()
    assert not any(person in caplog.text for person in known)


class Found:
    """A face at a place, that is somebody's."""

    def __init__(self, gallery: FaceGallery, size: int) -> None:
        assert gallery.embeddings is not None
        self.bbox = np.array([10, 10, 10 + size, 10 + size], np.float32)
        self.embedding = gallery.embeddings[0]
        self.det_score = 0.9

    def get(self, _: Any, /) -> list[Any]:
        return [self]


def test_small_and_blurred_faces_are_left_out(gallery: FaceGallery) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (120, 120, 3), np.uint8)
    flat = np.full((120, 120, 3), 90, np.uint8)

    def stats(image: Any, size: int, **options: Any) -> dict[str, Any]:
        recognizer = FaceRecognizer(gallery, models=Found(gallery, size), **options)
        recognizer.open()
        events = list(recognizer.process_frame(frame(image)))
        assert len(events) == recognizer.get_stats()["matched"]
        return recognizer.get_stats()

    assert stats(flat, 60)["matched"] == 1
    assert stats(flat, 30)["rejected_size"] == 1
    assert stats(flat, 60, detect_blur=True)["rejected_blur"] == 1
    assert stats(noise, 60, detect_blur=True)["matched"] == 1


def test_plates_of_frames_are_read_and_looked_up(
    testdata: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "white.csv").write_text("plate\nPJB-2414\n")
    (tmp_path / "black.csv").write_text("plate\nXYZ 999\n")
    lists = PlateListLoader(tmp_path / "white.csv", tmp_path / "black.csv")
    ocr = PlateOCR.from_config(PlateOCRSettings(substitute_o_to_0=True))
    detector = YOLOPlateDetector(None)
    recognizer = PlateRecognizer.from_config(PlatesSettings(), detector, ocr, lists)
    with pytest.raises(RuntimeError):
        detector.detect(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(RuntimeError):
        ocr.extract_text(np.zeros((8, 8, 3), np.uint8), BBox(0, 0, 8, 8))
    recognizer.open()
    car = testdata / "plates" / "dev" / "br" / "PJB2414.jpg"
    (event,) = recognizer.process_frame(frame(car))
    assert (event.type, event.ts_ms, event.frame_source_id) == ("plate_read", 1234, "door")
    read = event.payload
    assert isinstance(read, PlateRead)
    assert (read.text_clean, read.matched_list) == ("PJB2414", "whitelist")
    assert 55 <= read.confidence <= 100
    assert read.detection.bbox.width() > 300
    (seen,) = [each for each in recognizer.get_latest_observations() if each.status == "read"]
    assert (seen.text_clean, seen.matched_list) == ("PJB2414", "whitelist")
    stats = recognizer.get_stats()
    assert (stats["successful_reads"], stats["whitelist_matches"]) == (1, 1)
    assert ocr.get_stats()["successful_reads"] >= 1
    assert detector.get_stats()["total_detections"] >= 1
    assert not list(recognizer.process_frame(frame(np.zeros((80, 80, 3), np.uint8))))
    assert recognizer.get_latest_observations() == []
    recognizer.close()
    assert "PJB" not in caplog.text
    with pytest.raises(InvalidTypeError, match="float"):
        detector.detect(np.zeros((8, 8, 3)))


class Boxes:
    """Plates at places."""

    def __init__(self, *boxes: BBox) -> None:
        self.boxes = boxes

    def load(self) -> None:
        pass

    def detect(self, _: Any) -> list[Detection]:
        return [Detection("plate", box, 0.9) for box in self.boxes]


class Texts:
    """Reads one thing after the other."""

    min_text_length = 3

    def __init__(self, *results: OCRResult | Exception) -> None:
        self.results = list(results)

    def load(self) -> None:
        pass

    def extract_text(self, _: Any, __: BBox) -> OCRResult:
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result


def test_what_is_no_good_plate_is_told_and_is_no_event(tmp_path: Path) -> None:
    (tmp_path / "white.csv").write_text("AB-123\n")
    (tmp_path / "black.csv").write_text("CD-456\n")
    lists = PlateListLoader(tmp_path / "white.csv", tmp_path / "black.csv")
    good = BBox(0, 0, 100, 30)
    small = [BBox(0, 0, 30, 30), BBox(0, 0, 40, 10), BBox(0, 0, 60, 15)]
    boxes = Boxes(*small, good, good, good, good)
    texts = Texts(
        OCRResult("ab-123", "AB-123", 90.0, "gray"),
        OCRResult("AB123", "AB123", 90.0, "gray"),
        OCRResult("AB123", "AB123", 50.0, "gray"),
        OCRResult("A", "A", 90.0, "gray"),
        ValueError("broken"),
    )
    recognizer = PlateRecognizer(boxes, texts, lists)
    recognizer.open()
    events = list(recognizer.process_frame(frame(None)))
    # Of what reads hyphens, hyphens count.
    assert [event.payload.matched_list for event in events] == ["whitelist", None]
    assert [seen.status for seen in recognizer.get_latest_observations()] == [
        "rejected_aspect_ratio",
        "rejected_size",
        "read",
        "read",
        "ocr_low_confidence",
        "ocr_short_text",
        "ocr_error",
    ]
    stats = recognizer.get_stats()
    assert [stats[name] for name in stats] == [1, 7, 1, 1, 1, 1, 2, 1, 0, 1]
    assert lists.match("CD456") is None
    assert lists.match("CD456", hyphens=False) == "blacklist"


def test_models_of_plates_are_read_as_onnx(testdata: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        YOLOPlateDetector(str(tmp_path / "plate.pt")).load()
    (tmp_path / "plate.pt").touch()
    with pytest.raises(UnsupportedError, match="format=onnx"):
        YOLOPlateDetector(str(tmp_path / "plate.pt")).load()
    # What is beside the weights is taken, and this is a network of another kind.
    (tmp_path / "plate.onnx").write_bytes(
        (testdata / "models" / "yunet_n_320_320.onnx").read_bytes()
    )
    for name in ["plate.pt", "plate.onnx"]:
        with pytest.raises(ModelError, match="no YOLO"):
            YOLOPlateDetector(tmp_path / name).load()
    detector = YOLOPlateDetector(None, conf_threshold=0.5, max_det=1)
    assert repr(detector) == "YOLOPlateDetector(model=built in, conf=0.5, iou=0.45)"
    detector.load()
    found = detector.detect(testdata / "plates" / "dev" / "br" / "PJB2414.jpg")
    assert len(found) == 1
    strict = YOLOPlateDetector(None, conf_threshold=1.0)
    strict.load()
    assert strict.detect(testdata / "plates" / "dev" / "br" / "PJB2414.jpg") == []


def test_a_plate_that_is_seen_from_aside_is_read_by_its_box(testdata: Path) -> None:
    detector, ocr = YOLOPlateDetector(None), PlateOCR()
    detector.load()
    ocr.load()
    right = 0
    pictures = sorted((testdata / "plates" / "dev" / "br").glob("*.jpg"))
    for picture in pictures:
        reads = [ocr.extract_text(picture, seen.bbox) for seen in detector.detect(picture)]
        right += picture.stem in [read.text_clean for read in reads]
    assert right >= 0.8 * len(pictures)
    assert ocr.extract_text(pictures[0], BBox(-50, -50, -10, -20)).text_clean == ""
