"""The names and signatures of SecureVision, so that none is lost or changes.

The table is what ``cam_vision`` has. What is ours besides is keyword-only.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from typing import Any, get_args

import pytest

PACKAGE = "keepwatch.compat.securevision"

# Module, name (class.method), parameters of the original.
CALLS = """
config load_settings ()
config example_env_for_macbook ()
config VideoSource.to_concrete (self)
types BBox (x1, y1, x2, y2)
types BBox.width (self)
types BBox.height (self)
types BBox.area (self)
types Detection (kind, bbox, score, track_id=None)
types Event (type, payload, ts_ms, frame_source_id)
types FaceMatch (person_id, similarity, detection)
types FaceObservation (detection, person_id=None, similarity=None, matched=False)
types Frame (image, ts_ms, source_id)
types PlateObservation (detection, text_raw='', text_clean='', confidence=0.0, matched_list=None, status='candidate', reason=None, preprocessing_used='')
types PlateObservation.is_displayable (self)
types PlateObservation.is_rejected (self)
types PlateRead (text_raw, text_clean, confidence, detection, matched_list=None, preprocessing_used='')
tracking.iou compute_iou (bbox1, bbox2)
tracking.iou compute_centroid_distance (bbox1, bbox2)
tracking.types Track (track_id, detection_kind, bbox, score, state=TENTATIVE, first_seen_ts=0, last_seen_ts=0, consecutive_hits=1, consecutive_misses=0, total_hits=1, ocr_text_history=<factory>)
tracking.types Track.update (self, bbox, score, ts_ms)
tracking.types Track.mark_missed (self)
tracking.types Track.add_ocr_text (self, text_clean, confidence, max_history=10)
tracking.types Track.get_majority_ocr_text (self, min_agreement=0.6)
tracking.types Track.is_confirmed (self, frames_required)
tracking.types Track.is_lost (self, max_age)
tracking.types Track.age_ms (self, current_ts)
tracking.tracker SimpleTracker (detection_kind, iou_threshold=0.5, frames_required=3, max_age=30, ocr_agreement_threshold=0.6)
tracking.tracker SimpleTracker.update (self, detections, ts_ms, ocr_texts=None)
tracking.tracker SimpleTracker.get_active_tracks (self)
tracking.tracker SimpleTracker.get_confirmed_tracks (self)
tracking.tracker SimpleTracker.get_track_by_id (self, track_id)
tracking.tracker SimpleTracker.get_stats (self)
tracking.tracker SimpleTracker.reset (self)
pipeline.base Processor.open (self)
pipeline.base Processor.process_frame (self, frame)
pipeline.base Processor.close (self)
pipeline.base Sink.open (self)
pipeline.base Sink.consume (self, event)
pipeline.base Sink.close (self)
pipeline.base FrameSource.open (self)
pipeline.base FrameSource.read (self)
pipeline.base FrameSource.close (self)
pipeline.confirm ConfirmationProcessor (wrapped_processor, detection_kind, frames_required=3, iou_threshold=0.5, max_age=30, ocr_agreement_threshold=0.6)
pipeline.confirm ConfirmationProcessor.open (self)
pipeline.confirm ConfirmationProcessor.process_frame (self, frame)
pipeline.confirm ConfirmationProcessor.close (self)
pipeline.confirm ConfirmationProcessor.get_latest_observations (self)
pipeline.confirm ConfirmationProcessor.get_stats (self)
pipeline.temporal_sink TemporalFilterSink (wrapped_sink, cooldown_seconds=30.0, cleanup_interval=60.0)
pipeline.temporal_sink TemporalFilterSink.open (self)
pipeline.temporal_sink TemporalFilterSink.consume (self, event)
pipeline.temporal_sink TemporalFilterSink.close (self)
pipeline.temporal_sink TemporalFilterSink.get_stats (self)
pipeline.temporal_sink TemporalFilterSink.force_cleanup (self)
events.store EventStore (db_url, retention_days=30)
events.store EventStore.save_event (self, event)
events.store EventStore.get_events (self, event_type=None, since_ms=None, limit=100)
events.store EventStore.get_face_match (self, event_id)
events.store EventStore.get_plate_read (self, event_id)
events.store EventStore.cleanup_old_events (self)
events.emit persist_and_broadcast (event, store, ws_manager=None)
events.emit WebSocketManager ()
events.emit WebSocketManager.connect (self, websocket)
events.emit WebSocketManager.disconnect (self, websocket)
events.emit WebSocketManager.broadcast (self, message)
events.emit WebSocketManager.size (self)
events.sink EventStoreSink (store, ws_manager=None)
events.sink EventStoreSink.open (self)
events.sink EventStoreSink.consume (self, event)
events.sink EventStoreSink.close (self)
events.sink EventStoreSink.get_stats (self)
face.gallery FaceGallery (gallery_path, cache_path)
face.gallery FaceGallery.build (self, embedder, force_rebuild=False)
face.gallery FaceGallery.load (self)
face.gallery FaceGallery.match (self, query_embedding, threshold)
face.gallery FaceGallery.get_person_ids (self)
face.gallery FaceGallery.size (self)
face.enroll enroll_gallery (gallery_path, cache_path, force_rebuild=False, verbose=False)
face.recognizer FaceRecognizer (gallery, similarity_threshold=0.35, min_face_size=40, detect_blur=False, blur_threshold=100.0, det_size=(640, 640))
face.recognizer FaceRecognizer.open (self)
face.recognizer FaceRecognizer.process_frame (self, frame)
face.recognizer FaceRecognizer.close (self)
face.recognizer FaceRecognizer.get_latest_observations (self)
face.recognizer FaceRecognizer.get_stats (self)
face.recognizer FaceRecognizer.from_config (face_settings, gallery)
face.loader FaceModels.get_models (det_size=(640, 640))
face.loader FaceModels.clear_cache ()
plates.detector YOLOPlateDetector (model_path, conf_threshold=0.25, iou_threshold=0.45, max_det=10, input_size=640)
plates.detector YOLOPlateDetector.load (self)
plates.detector YOLOPlateDetector.detect (self, frame)
plates.detector YOLOPlateDetector.get_stats (self)
plates.ocr OCRResult (text_raw, text_clean, confidence, preprocessing_used)
plates.pipeline PlateRecognizer (detector, ocr, lists, min_confidence=0.55, min_aspect_ratio=1.5, max_aspect_ratio=6.0, min_width_px=80, min_height_px=20)
plates.pipeline PlateRecognizer.open (self)
plates.pipeline PlateRecognizer.process_frame (self, frame)
plates.pipeline PlateRecognizer.close (self)
plates.pipeline PlateRecognizer.get_latest_observations (self)
plates.pipeline PlateRecognizer.get_stats (self)
plates.pipeline PlateRecognizer.from_config (plates_settings, detector, ocr, lists)
plates.lists PlateListLoader (whitelist_path, blacklist_path)
plates.lists PlateListLoader.load (self)
plates.lists PlateListLoader.match (self, plate_text)
plates.lists PlateListLoader.size (self)
"""

# Groups of settings; a default of ours that differs stands in docs/COMPAT.md.
REQUIRED = object()
SETTINGS: dict[str, dict[str, Any]] = {
    "DeviceSource": {"type": "device", "device_index": 0, "backend": None},
    "RTSPSource": {"type": "rtsp", "url": REQUIRED},
    "HTTPMjpegSource": {"type": "http_mjpeg", "url": REQUIRED},
    "FileSource": {"type": "file", "url": REQUIRED},
    "RTMPSource": {"type": "rtmp", "url": REQUIRED},
    "VideoSource": {"type": "device", "device_index": None, "backend": None, "url": None},
    "VideoSettings": {
        "source": "VideoSource",
        "fps_target": 15,
        "frame_resize": None,
        "rotate_180": False,
        "onvif_discovery_enabled": False,
        "read_timeout_s": 5.0,
        "reconnect_interval_s": 3.0,
    },
    "FaceSettings": {
        "enabled": True,
        "gallery_path": "./data/faces/trusted",
        "gallery_cache": "./data/faces/gallery.npz",
        "similarity_threshold": 0.35,
        "min_face_size": 40,
    },
    "PlateDetectorSettings": {
        "model_path": "./weights/yolov8n_plate.pt",
        "conf_threshold": 0.25,
        "iou_threshold": 0.45,
        "max_det": 10,
        "input_size": 640,
    },
    "PlateOCRSettings": {
        "tesseract_lang": "eng+rus",
        "psm_mode": 7,
        "oem_mode": 3,
        "char_whitelist": "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789- ",
        "crop_margin_px": 8,
        "enable_grayscale": True,
        "enable_bilateral": False,
        "bilateral_d": 9,
        "bilateral_sigma_color": 75,
        "bilateral_sigma_space": 75,
        "enable_adaptive_threshold": False,
        "adaptive_block_size": 11,
        "adaptive_c": 2,
        "enable_clahe": False,
        "clahe_clip_limit": 2.0,
        "clahe_tile_size": 8,
        "to_uppercase": True,
        "strip_whitespace": True,
        "min_text_length": 3,
        "substitute_o_to_0": False,
        "substitute_i_to_1": False,
    },
    "PlatePostProcessSettings": {
        "regex": "[A-Z0-9\\u0410-\\u042F\\u0401-]{4,10}",
        "uppercase": True,
        "min_length": 4,
        "max_length": 10,
    },
    "PlateROISettings": {"enabled": False, "x1": 0, "y1": 0, "x2": 0, "y2": 0},
    "PlatesSettings": {
        "enabled": True,
        "detector": "PlateDetectorSettings",
        "ocr": "PlateOCRSettings",
        "postprocess": "PlatePostProcessSettings",
        "roi": "PlateROISettings",
        "whitelist_path": "./data/plates/whitelist.csv",
        "blacklist_path": "./data/plates/blacklist.csv",
        "min_confidence": 0.55,
        "min_aspect_ratio": 1.2,
        "max_aspect_ratio": 8.5,
        "min_width_px": 60,
        "min_height_px": 18,
    },
    "EventsSettings": {"db_url": "sqlite:///./data/events.db", "retention_days": 30},
    "TrackingSettings": {
        "enabled": True,
        "frames_required": 3,
        "frames_window": 5,
        "iou_threshold": 0.5,
        "max_age_frames": 30,
        "ocr_agreement_threshold": 0.6,
        "cooldown_seconds": 30.0,
    },
    # The original: host="0.0.0.0".
    "APISettings": {"host": "127.0.0.1", "port": 8000, "ws_enabled": True, "auth_token": None},
    "AppSettings": {
        "video": "VideoSettings",
        "face": "FaceSettings",
        "plates": "PlatesSettings",
        "events": "EventsSettings",
        "tracking": "TrackingSettings",
        "api": "APISettings",
    },
}

RECORDS = {
    "EventRecord": "id=None type ts_ms frame_source_id created_at=<factory>",
    "FaceMatchRecord": "id=None event_id person_id similarity bbox detection_score track_id=None"
    " detector_metadata=None",
    "PlateReadRecord": "id=None event_id text_raw text_clean ocr_confidence detector_score"
    " matched_list=None preprocessing_used='' bbox track_id=None detector_metadata=None",
}

# What `from … import` finds in the packages, as far as it is here.
EXPORTS = {
    "tracking": {
        "SimpleTracker",
        "Track",
        "TrackState",
        "compute_centroid_distance",
        "compute_iou",
    },
    "events": {
        "EventRecord",
        "EventStore",
        "EventStoreSink",
        "FaceMatchRecord",
        "PlateReadRecord",
        "persist_and_broadcast",
    },
    "face": {"FaceGallery", "FaceRecognizer"},
    "plates": {"PlateListLoader", "PlateRecognizer", "YOLOPlateDetector"},
}


def module(name: str) -> Any:
    return importlib.import_module(f"{PACKAGE}.{name}")


def shown(signature: inspect.Signature) -> str:
    """Names and defaults of what is not keyword-only."""
    parts = []
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            assert parameter.default is not parameter.empty, parameter
            continue
        text = parameter.name
        if parameter.default is not parameter.empty:
            default = getattr(parameter.default, "name", None)
            text += f"={default or repr(parameter.default)}"
        parts.append(text)
    return f"({', '.join(parts)})"


@pytest.mark.parametrize("line", CALLS.strip().splitlines())
def test_calls_are_those_of_the_original(line: str) -> None:
    where, name, expected = line.split(" ", 2)
    found: Any = module(where)
    for part in name.split("."):
        found = getattr(found, part)
    assert shown(inspect.signature(found)) == expected


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_those_of_the_original(name: str) -> None:
    cls = getattr(module("config"), name)
    found = {}
    for field in dataclasses.fields(cls):
        if field.default is not dataclasses.MISSING:
            found[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            factory: Any = field.default_factory
            found[field.name] = factory.__name__
        else:
            found[field.name] = REQUIRED
    assert found == SETTINGS[name]


@pytest.mark.parametrize("name", RECORDS)
def test_records_have_the_columns_of_the_original(name: str) -> None:
    cls = getattr(module("events.store"), name)
    parameters = inspect.signature(cls).parameters.values()
    found = [str(parameter.replace(annotation=parameter.empty)) for parameter in parameters]
    assert " ".join(found) == RECORDS[name]


@pytest.mark.parametrize("name", EXPORTS)
def test_packages_export_what_the_original_exports(name: str) -> None:
    package = module(name)
    assert EXPORTS[name] <= set(package.__all__)
    assert all(hasattr(package, each) for each in package.__all__)


def test_literals_and_states_are_those_of_the_original() -> None:
    types = module("types")
    assert get_args(types.DetectionKind) == ("face", "plate", "vehicle")
    assert set(get_args(types.PlateObservationStatus)) == {
        "candidate",
        "read",
        "ocr_low_confidence",
        "ocr_short_text",
        "ocr_error",
        "rejected_aspect_ratio",
        "rejected_size",
    }
    sources = get_args(module("config").SourceType)
    assert sources == ("device", "rtsp", "http_mjpeg", "file", "rtmp")
    states = {state.name: state.value for state in module("tracking.types").TrackState}
    assert states == {"TENTATIVE": "tentative", "CONFIRMED": "confirmed", "LOST": "lost"}


@pytest.mark.parametrize(
    ("observation", "label"),
    [
        ({"text_clean": "AB1"}, "AB1"),
        ({"text_raw": "ab1"}, "ab1"),
        ({}, "Plate"),
        ({"text_clean": "AB1", "status": "ocr_low_confidence"}, "AB1 (?)"),
        ({"text_clean": "AB1", "status": "ocr_short_text"}, "AB1 (short)"),
        ({"status": "ocr_error"}, "Plate (error)"),
    ],
)
def test_labels_of_plates(observation: dict[str, Any], label: str) -> None:
    types = module("types")
    detection = types.Detection("plate", types.BBox(0, 0, 1, 1), 0.5)
    seen = types.PlateObservation(detection, **observation)
    assert seen.label == label
    assert seen.is_displayable()
    assert not dataclasses.replace(seen, status="rejected_size").is_displayable()


def test_labels_of_faces() -> None:
    types = module("types")
    detection = types.Detection("face", types.BBox(0, 0, 1, 1), 0.5)
    assert types.FaceObservation(detection).label == "Unknown face"
    assert types.FaceObservation(detection, "ann", 0.875, True).label == "ann (0.88)"
    assert types.FaceObservation(detection, "ann", None, True).label == "ann"
