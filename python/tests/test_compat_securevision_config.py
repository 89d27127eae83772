"""The settings of SecureVision, from its variables."""

from __future__ import annotations

import logging
import os
from typing import Any

import pytest

from keepwatch.compat.securevision import config
from keepwatch.compat.securevision._redact import redact
from keepwatch.errors import ConfigError

PASSWORD = "s3cr3t/w@rd"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith("SECUREVISION__"):
            monkeypatch.delenv(name)


def load(monkeypatch: pytest.MonkeyPatch, **variables: str) -> config.AppSettings:
    for name, text in variables.items():
        monkeypatch.setenv(f"SECUREVISION__{name}", text)
    return config.load_settings()


def test_variables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(
        monkeypatch,
        VIDEO__FPS_TARGET="30",
        VIDEO__ROTATE_180="true",
        VIDEO__SOURCE__TYPE="rtsp",
        VIDEO__SOURCE__URL="rtsp://camera/stream",
        FACE__SIMILARITY_THRESHOLD="0.5",
        PLATES__ROI__ENABLED="on",
        PLATES__ROI__X1="100",
        TRACKING__COOLDOWN_SECONDS="60",
        API__AUTH_TOKEN="token",
    )
    assert settings.video.fps_target == 30
    assert settings.video.rotate_180 is True
    assert settings.video.source.to_concrete() == config.RTSPSource(url="rtsp://camera/stream")
    assert settings.face.similarity_threshold == 0.5
    assert settings.plates.roi == config.PlateROISettings(enabled=True, x1=100)
    assert settings.tracking.cooldown_seconds == 60.0
    assert settings.api.auth_token == "token"
    # What is not set is as ever.
    assert settings.events == config.EventsSettings()


def test_names_are_read_in_small_letters_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("securevision__video__fps_target", "7")
    assert config.load_settings().video.fps_target == 7


def test_groups_are_read_as_json_and_single_settings_count_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = load(
        monkeypatch,
        VIDEO='{"fps_target": 5, "rotate_180": true}',
        VIDEO__FPS_TARGET="6",
    )
    assert settings.video == config.VideoSettings(fps_target=6, rotate_180=True)
    with pytest.raises(ConfigError, match="SECUREVISION__API"):
        load(monkeypatch, API="8000")


def test_what_is_given_counts_more_than_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECUREVISION__VIDEO__FPS_TARGET", "7")
    monkeypatch.setenv("SECUREVISION__API__PORT", "9000")
    settings = config.AppSettings(video={"rotate_180": True}, api=config.APISettings(port=1))
    assert settings.video == config.VideoSettings(fps_target=7, rotate_180=True)
    assert settings.api.port == 1
    with pytest.raises(TypeError, match="vidio"):
        config.AppSettings(vidio={})


@pytest.mark.parametrize("text", ["1280,720", "1280, 720", "[1280, 720]"])
def test_a_size_is_read_as_it_is_documented_and_as_json(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    settings = load(monkeypatch, VIDEO__FRAME_RESIZE=text)
    assert settings.video.frame_resize == (1280, 720)


def test_an_unknown_variable_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECUREVISION__TESSERACT_CMD", "/usr/bin/tesseract")
    meant = "API__AUTH_TOKN; did you mean SECUREVISION__API__AUTH_TOKEN"
    with pytest.warns(UserWarning, match=meant):
        settings = load(monkeypatch, API__AUTH_TOKN="token")
    assert settings.api.auth_token is None


@pytest.mark.parametrize(
    ("cls", "values"),
    [
        (config.PlateDetectorSettings, {"conf_threshold": 1.5}),
        (config.PlateDetectorSettings, {"conf_threshold": -0.1}),
        (config.PlateDetectorSettings, {"max_det": 0}),
        (config.PlateOCRSettings, {"psm_mode": 14}),
        (config.PlateOCRSettings, {"oem_mode": "four"}),
        (config.TrackingSettings, {"frames_required": 11}),
        (config.TrackingSettings, {"cooldown_seconds": float("nan")}),
        (config.VideoSettings, {"fps_target": 0}),
        (config.VideoSettings, {"fps_target": 1.5}),
        (config.VideoSettings, {"frame_resize": "1280"}),
        (config.VideoSettings, {"rotate_180": "perhaps"}),
        (config.VideoSettings, {"source": {"kind": "rtsp"}}),
        (config.VideoSource, {"type": "carrier pigeon"}),
        (config.EventsSettings, {"retention_days": 0}),
        (config.FaceSettings, {"similarity_threshold": 0.0}),
        (config.FaceSettings, {"similarity_threshold": 1.1}),
        (config.APISettings, {"port": None}),
        (config.APISettings, {"host": 1}),
    ],
)
def test_what_cannot_be_is_refused(cls: Any, values: dict[str, Any]) -> None:
    (name,) = values
    with pytest.raises(ConfigError, match=f"{cls.__name__}.{name}: "):
        cls(**values)
    # Later too, and what was there stays.
    settings = cls()
    before = getattr(settings, name)
    with pytest.raises(ValueError, match=name):
        setattr(settings, name, values[name])
    assert getattr(settings, name) == before


def test_settings_that_are_not_there_cannot_be_set() -> None:
    with pytest.raises(AttributeError, match="auth_tokn"):
        config.APISettings().auth_tokn = "token"


@pytest.mark.parametrize("kind", ["rtsp", "http_mjpeg", "file", "rtmp"])
def test_a_source_without_its_address_is_refused(kind: Any) -> None:
    for url in [None, "", "  "]:
        with pytest.raises(ConfigError, match="url"):
            config.VideoSource(type=kind, url=url).to_concrete()
    concrete = config.VideoSource(type=kind, url="x").to_concrete()
    assert concrete.type == kind


def test_the_camera_of_a_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in config.example_env_for_macbook().items():
        monkeypatch.setenv(name, text)
    source = config.load_settings().video.source
    assert source.to_concrete() == config.DeviceSource(backend="AVFOUNDATION")


@pytest.mark.parametrize("token", ["", "  "])
def test_an_empty_token_is_refused(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    with pytest.raises(ConfigError, match="auth_token: it is empty"):
        load(monkeypatch, API__AUTH_TOKEN=token)
    settings = config.APISettings(auth_token="token")
    with pytest.raises(ConfigError, match="auth_token"):
        settings.auth_token = token


def test_the_server_listens_to_this_machine_unless_told_otherwise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert config.AppSettings().api.host == "127.0.0.1"
    config.AppSettings(api={"host": "0.0.0.0", "auth_token": "token"})
    config.AppSettings(api={"host": "localhost"})
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        config.AppSettings(api={"host": "0.0.0.0"})
    assert "everybody" in caplog.text


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    with caplog.at_level(logging.DEBUG):
        settings = load(
            monkeypatch,
            VIDEO__SOURCE__TYPE="rtsp",
            VIDEO__SOURCE__URL=f"rtsp://admin:{PASSWORD}@camera:554/stream?token=s3cr3t",
            API__AUTH_TOKEN=PASSWORD,
        )
        concrete = settings.video.source.to_concrete()
    for shown in [repr(settings), str(settings.api), f"{concrete}", caplog.text]:
        assert "s3cr3t" not in shown
        assert "admin" not in shown
    assert "rtsp://***@camera:554/stream" in repr(concrete)
    # Programs get it all the same.
    assert settings.model_dump()["api"]["auth_token"] == PASSWORD
    assert PASSWORD in settings.video.source.model_dump()["url"]


def test_no_secret_is_in_an_error() -> None:
    with pytest.raises(ConfigError) as caught:
        config.VideoSource(type=f"rtsp://admin:{PASSWORD}@camera")  # type: ignore[arg-type]
    assert "s3cr3t" not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        config.APISettings(auth_token=[PASSWORD])  # type: ignore[arg-type]
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://user:pass@host:554/a", "rtsp://***@host:554/a"),
        ("rtsp://user:p@ss/w:rd@host/a", "rtsp://***@host/a"),
        ("rtsp://token@host", "rtsp://***@host"),
        ("http://host/v?user=u&password=p&x=1", "http://host/v?user=***&password=***&x=1"),
        ("http://host/v?x=1&authKey=p#f", "http://host/v?x=1&authKey=***#f"),
        ("rtmp://host/app/key", "rtmp://host/app/***"),
        ("rtsp://user:p?ss#w@rd@host/a", "rtsp://***@host/a"),
        ("http://host/a", "http://host/a"),
        ("default", "default"),
        ("sqlite:///./data/events.db", "sqlite:///./data/events.db"),
    ],
)
def test_addresses_are_shown_without_secrets(address: str, shown: str) -> None:
    assert redact(address) == shown


def test_copies_are_copies() -> None:
    settings = config.AppSettings()
    copy = settings.model_copy(update={"api": {"port": 1}})
    assert (copy.api.port, settings.api.port) == (1, 8000)
    copy.video.fps_target = 1
    assert settings.video.fps_target == 15
