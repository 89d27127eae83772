"""The settings of SecureVision, from its variables.

They are those of ``cam_vision.config`` with the same names, defaults and bounds, but for what
docs/COMPAT.md lists. They are checked whenever they are set; no address shows its password and no
token itself in a ``repr`` or an error.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import logging
import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_type_hints

from keepwatch.errors import ConfigError

from ._settings import Settings, group, refuse, setting

__all__ = [
    "APISettings",
    "AppSettings",
    "DeviceSource",
    "EventsSettings",
    "FaceSettings",
    "FileSource",
    "HTTPMjpegSource",
    "PlateDetectorSettings",
    "PlateOCRSettings",
    "PlatePostProcessSettings",
    "PlateROISettings",
    "PlatesSettings",
    "RTMPSource",
    "RTSPSource",
    "SourceType",
    "TrackingSettings",
    "VideoSettings",
    "VideoSource",
    "example_env_for_macbook",
    "load_settings",
]

logger = logging.getLogger(__name__)

SourceType = Literal["device", "rtsp", "http_mjpeg", "file", "rtmp"]

_PREFIX = "SECUREVISION__"
# Read by other parts of SecureVision, and no settings.
_OTHER_VARIABLES = frozenset({"tesseract_cmd"})


@dataclass(kw_only=True, repr=False)
class DeviceSource(Settings):
    """A camera of this machine."""

    type: Literal["device"] = "device"
    device_index: int = setting(0, "0 is the first camera")
    backend: str | None = setting(None, "what OpenCV opens it with")


@dataclass(kw_only=True, repr=False)
class RTSPSource(Settings):
    """A camera in the network that speaks RTSP."""

    type: Literal["rtsp"] = "rtsp"
    url: str = setting(description="rtsp://<user>:<password>@host:port/path")


@dataclass(kw_only=True, repr=False)
class HTTPMjpegSource(Settings):
    """A camera in the network that sends JPEG pictures."""

    type: Literal["http_mjpeg"] = "http_mjpeg"
    url: str = setting(description="http://host:port/path")


@dataclass(kw_only=True, repr=False)
class FileSource(Settings):
    """A video file."""

    type: Literal["file"] = "file"
    url: str = setting(description="its path")


@dataclass(kw_only=True, repr=False)
class RTMPSource(Settings):
    """An RTMP stream."""

    type: Literal["rtmp"] = "rtmp"
    url: str = setting(description="rtmp://host:port/application/key")


ConcreteSource = DeviceSource | RTSPSource | HTTPMjpegSource | FileSource | RTMPSource


@dataclass(kw_only=True, repr=False)
class VideoSource(Settings):
    """A source of any type; what its type does not need is ignored."""

    type: SourceType = "device"
    device_index: int | None = None
    backend: str | None = None
    url: str | None = None

    def check(self, name: str, value: Any) -> Any:
        """An address of blanks is none."""
        if name == "url" and value is not None and not value.strip():
            return None
        return value

    def to_concrete(self) -> ConcreteSource:
        """The source as what it is.

        Raises:
            keepwatch.errors.ConfigError: It has no ``url`` and needs one.
        """
        if self.type == "device":
            return DeviceSource(device_index=self.device_index or 0, backend=self.backend)
        if self.url is None:
            raise ConfigError(f"VideoSource.url: a source of the type {self.type} needs it")
        sources: dict[str, type[RTSPSource | HTTPMjpegSource | FileSource | RTMPSource]] = {
            "rtsp": RTSPSource,
            "http_mjpeg": HTTPMjpegSource,
            "file": FileSource,
            "rtmp": RTMPSource,
        }
        return sources[self.type](url=self.url)


@dataclass(kw_only=True, repr=False)
class VideoSettings(Settings):
    """Where pictures come from, and how they are taken."""

    source: VideoSource = group(VideoSource)
    fps_target: int = setting(15, "frames in a second", gt=0)
    frame_resize: tuple[int, int] | None = setting(None, "width and height")
    rotate_180: bool = setting(False, "for cameras that hang upside down")
    onvif_discovery_enabled: bool = setting(False, "whether cameras are looked for")
    read_timeout_s: float = setting(5.0, "how long a frame is waited for")
    reconnect_interval_s: float = setting(3.0, "how long until the next attempt")


@dataclass(kw_only=True, repr=False)
class FaceSettings(Settings):
    """Faces.

    ``similarity_threshold`` is the least similarity (cosine) that is a match: **higher is
    stricter**. At 0 every stranger is somebody.
    """

    enabled: bool = True
    gallery_path: str = "./data/faces/trusted"
    gallery_cache: str = "./data/faces/gallery.npz"
    similarity_threshold: float = setting(0.35, "higher is stricter", gt=0.0, le=1.0)
    min_face_size: int = setting(40, "in pixels")


@dataclass(kw_only=True, repr=False)
class PlateDetectorSettings(Settings):
    """How plates are found."""

    model_path: str = setting("./weights/yolov8n_plate.pt", "the model")
    conf_threshold: float = setting(0.25, "the least score", ge=0.0, le=1.0)
    iou_threshold: float = setting(0.45, "the overlap at which two are one", ge=0.0, le=1.0)
    max_det: int = setting(10, "the most plates in a frame", ge=1)
    input_size: int = setting(640, "the side of the model's input")


@dataclass(kw_only=True, repr=False)
class PlateOCRSettings(Settings):
    """How plates are read."""

    tesseract_lang: str = setting("eng+rus", "languages of Tesseract")
    psm_mode: int = setting(7, "page segmentation; 7 is a line", ge=0, le=13)
    oem_mode: int = setting(3, "the engine", ge=0, le=3)
    char_whitelist: str = setting(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789- ", "characters that a plate may have"
    )
    crop_margin_px: int = setting(8, "what is kept around a plate", ge=0)
    enable_grayscale: bool = True
    enable_bilateral: bool = False
    bilateral_d: int = 9
    bilateral_sigma_color: int = 75
    bilateral_sigma_space: int = 75
    enable_adaptive_threshold: bool = False
    adaptive_block_size: int = setting(11, "odd")
    adaptive_c: int = 2
    enable_clahe: bool = False
    clahe_clip_limit: float = 2.0
    clahe_tile_size: int = 8
    to_uppercase: bool = True
    strip_whitespace: bool = True
    min_text_length: int = setting(3, "shorter texts are no plates", ge=1)
    substitute_o_to_0: bool = False
    substitute_i_to_1: bool = False


@dataclass(kw_only=True, repr=False)
class PlatePostProcessSettings(Settings):
    """Which texts are plates."""

    regex: str = setting(r"[A-Z0-9\u0410-\u042F\u0401-]{4,10}", "what a plate looks like")
    uppercase: bool = True
    min_length: int = setting(4, ge=1)
    max_length: int = setting(10, ge=1)


@dataclass(kw_only=True, repr=False)
class PlateROISettings(Settings):
    """The part of the picture that plates are looked for in, in pixels; 0 is the far edge."""

    enabled: bool = False
    x1: int = setting(0, ge=0)
    y1: int = setting(0, ge=0)
    x2: int = setting(0, ge=0)
    y2: int = setting(0, ge=0)


@dataclass(kw_only=True, repr=False)
class PlatesSettings(Settings):
    """Plates."""

    enabled: bool = True
    detector: PlateDetectorSettings = group(PlateDetectorSettings)
    ocr: PlateOCRSettings = group(PlateOCRSettings)
    postprocess: PlatePostProcessSettings = group(PlatePostProcessSettings)
    roi: PlateROISettings = group(PlateROISettings)
    whitelist_path: str = "./data/plates/whitelist.csv"
    blacklist_path: str = "./data/plates/blacklist.csv"
    min_confidence: float = setting(0.55, "the least confidence of an event", ge=0.0, le=1.0)
    min_aspect_ratio: float = setting(1.2, "width by height")
    max_aspect_ratio: float = setting(8.5, "width by height")
    min_width_px: int = 60
    min_height_px: int = 18


@dataclass(kw_only=True, repr=False)
class EventsSettings(Settings):
    """Where events are kept, and for how long."""

    db_url: str = "sqlite:///./data/events.db"
    retention_days: int = setting(30, "older events are removed", ge=1)


@dataclass(kw_only=True, repr=False)
class TrackingSettings(Settings):
    """How often something must be seen before it counts."""

    enabled: bool = True
    frames_required: int = setting(3, "frames in a row", ge=1, le=10)
    frames_window: int = setting(5, "frames that are looked back", ge=1)
    iou_threshold: float = setting(0.5, "the overlap that is not enough", ge=0.0, le=1.0)
    max_age_frames: int = setting(30, "frames without it that end a track", ge=1)
    ocr_agreement_threshold: float = setting(0.6, "the share of equal texts", ge=0.0, le=1.0)
    cooldown_seconds: float = setting(30.0, "how long the same is held back", ge=0.0)


@dataclass(kw_only=True, repr=False)
class APISettings(Settings):
    """The server. There is no authentication if ``auth_token`` is none; an empty one is refused."""

    host: str = "127.0.0.1"
    port: int = 8000
    ws_enabled: bool = True
    auth_token: str | None = setting(None, "the token of every client", secret=True)

    def check(self, name: str, value: Any) -> Any:
        """An empty token would let everybody in."""
        if name == "auth_token" and value is not None and not value.strip():
            raise refuse("it is empty; leave it out to have no authentication")
        return value


@dataclass(kw_only=True, repr=False)
class AppSettings(Settings):
    """All settings: as given, or else of the ``SECUREVISION__`` variables, or else the defaults.

    The variables are named by the path of a setting, ``SECUREVISION__VIDEO__SOURCE__URL``, in
    capitals or not; a group may be given as a JSON object. An unknown one is warned of.
    """

    video: VideoSettings = group(VideoSettings)
    face: FaceSettings = group(FaceSettings)
    plates: PlatesSettings = group(PlatesSettings)
    events: EventsSettings = group(EventsSettings)
    tracking: TrackingSettings = group(TrackingSettings)
    api: APISettings = group(APISettings)

    def __init__(self, **values: Any) -> None:
        names = [field.name for field in fields(AppSettings)]
        for name in values:
            if name not in names:
                raise TypeError(f"AppSettings has no setting {name!r}")
        tree = _environment(os.environ)
        for name in names:
            given = values.get(name, {})
            if isinstance(given, Mapping):
                given = _merge(tree.get(name, {}), given)
            setattr(self, name, given)
        if self.api.auth_token is None and not _is_local(self.api.host):
            logger.warning("the settings let everybody in who reaches %s", self.api.host)


def load_settings() -> AppSettings:
    """The settings of the variables."""
    return AppSettings()


def example_env_for_macbook() -> dict[str, str]:
    """Variables for the camera of a laptop."""
    source = f"{_PREFIX}VIDEO__SOURCE__"
    return {
        f"{source}TYPE": "device",
        f"{source}DEVICE_INDEX": "0",
        f"{source}BACKEND": "AVFOUNDATION",
        f"{_PREFIX}VIDEO__FPS_TARGET": "15",
    }


def _environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """The variables as a tree."""
    tree: dict[str, Any] = {}
    ours = {
        name.lower().removeprefix(_PREFIX.lower()): (name, text)
        for name, text in environment.items()
        if name.lower().startswith(_PREFIX.lower())
    }
    # Groups first: a single setting counts more than its group.
    for path in sorted(ours, key=lambda path: (path.count("__"), path)):
        name, text = ours[path]
        if path in _OTHER_VARIABLES:
            continue
        hint = _hint(path.split("__"))
        if hint is None:
            _warn_of(name)
            continue
        value: Any = text
        if isinstance(hint, type) and issubclass(hint, Settings):
            value = _json(name, text)
        part = value
        for key in reversed(path.split("__")):
            part = {key: part}
        tree = _merge(tree, part)
    return tree


def _json(name: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ConfigError(f"{name}: it is not a JSON object")
    return value


def _hint(path: Iterable[str]) -> Any:
    """The type of a setting, or none if there is no such setting."""
    hint: Any = AppSettings
    for name in path:
        if not (isinstance(hint, type) and issubclass(hint, Settings)):
            return None
        hint = get_type_hints(hint).get(name)
    return hint


def _warn_of(name: str) -> None:
    known = [_PREFIX + path.upper() for path in _paths(AppSettings)]
    similar = difflib.get_close_matches(name.upper(), known, n=1)
    hint = f"; did you mean {similar[0]}?" if similar else ""
    warnings.warn(f"there is no setting {name}{hint}", UserWarning, stacklevel=4)


def _paths(cls: type[Settings]) -> list[str]:
    paths = []
    for name, hint in get_type_hints(cls).items():
        if isinstance(hint, type) and issubclass(hint, Settings):
            paths += [f"{name}__{path}" for path in _paths(hint)]
        else:
            paths.append(name)
    return paths


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        old = merged.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            value = _merge(old, value)
        merged[name] = value
    return merged


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
