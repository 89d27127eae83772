"""Builds the wheel with maturin, with cameras where GStreamer's development files are.

``KEEPWATCH_VISION=1`` asks for cameras wherever it is built, ``KEEPWATCH_VISION=0`` for a wheel
without them.
"""

from __future__ import annotations

import os
import shutil
import subprocess

import maturin
from maturin import build_sdist, get_requires_for_build_sdist, get_requires_for_build_wheel

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

get_requires_for_build_editable = maturin.get_requires_for_build_editable
prepare_metadata_for_build_wheel = maturin.prepare_metadata_for_build_wheel
prepare_metadata_for_build_editable = maturin.prepare_metadata_for_build_editable


def _has_gstreamer() -> bool:
    pkg_config = shutil.which("pkg-config")
    if pkg_config is None:
        return False
    libraries = ["gstreamer-1.0", "gstreamer-app-1.0", "gstreamer-video-1.0", "gstreamer-rtsp-1.0"]
    return subprocess.run([pkg_config, "--exists", *libraries], check=False).returncode == 0


def _settings(settings: dict[str, object] | None) -> dict[str, object]:
    settings = dict(settings or {})
    wanted = os.environ.get("KEEPWATCH_VISION", "auto")
    if wanted not in {"0", "1", "auto"}:
        raise ValueError(f"KEEPWATCH_VISION is {wanted!r}, and neither 0 nor 1")
    if wanted == "1" or (wanted == "auto" and _has_gstreamer()):
        settings["build-args"] = f"{settings.get('build-args', '')} --features vision".strip()
    return settings


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    return maturin.build_wheel(wheel_directory, _settings(config_settings), metadata_directory)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    return maturin.build_editable(wheel_directory, _settings(config_settings), metadata_directory)
