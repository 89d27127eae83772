"""The examples of the documentation run, as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import contents, fill
from vision import rtsp_camera

import keepwatch

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```python([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_guide_runs(
    tmp_path: Path, testdata: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fill(tmp_path / "documents")
    (tmp_path / "letter.txt").write_text("Dear stranger,\nit works.\n")
    shutil.copy(testdata / "video" / "car-detection.mp4", tmp_path)
    people = testdata / "faces" / "dev"
    shutil.copytree(people / "gallery" / "d03", tmp_path / "ada")
    shutil.copy(people / "probe" / "d03_1.jpg", tmp_path / "visitor.jpg")
    shutil.copy(testdata / "plates" / "dev" / "br" / "PJB2414.jpg", tmp_path / "car.jpg")
    (tmp_path / "models").mkdir()
    for name, model in [("yunet", "yunet_n_640_640"), ("mobilefacenet", "mobilefacenet_112")]:
        shutil.copy(testdata / "models" / f"{model}.onnx", tmp_path / "models" / f"{name}.onnx")
    blocks = BLOCK.findall((DOCS / "PYTHON.md").read_text())
    assert len(blocks) > 10
    names: dict[str, object] = {"__name__": "guide"}
    for kind, block in blocks:
        if kind.strip() == "no-run" or (kind.strip() == "vision" and not keepwatch.HAS_VISION):
            continue
        exec(compile(block, "docs/PYTHON.md", "exec"), names)
    assert os.path.exists("again.txt")
    assert "watched" in os.listdir()


def test_the_ten_lines_of_the_readme_run(tmp_path: Path) -> None:
    fill(tmp_path / "documents")
    (tmp_path / "letter").write_text("Dear stranger,\n")
    _, script = BLOCK.search((ROOT / "README.md").read_text()).groups()
    assert len(script.splitlines()) == 10
    with rtsp_camera("--seconds", "8") as camera:
        arguments = ["documents", "letter", camera.url, "a password"]
        with subprocess.Popen(
            [sys.executable, "-u", "-c", script, *arguments],
            cwd=tmp_path,
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            snapshots = process.stdout.readline()
            event = process.stdout.readline()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    assert snapshots.startswith("[datetime.datetime("), errors
    assert event.startswith("door motion"), errors
    restored = tmp_path / "restored" / tmp_path.relative_to("/") / "documents"
    assert contents(restored) == contents(tmp_path / "documents")
    assert (tmp_path / "letter-again").read_text() == "Dear stranger,\n"
    with keepwatch.EventStore.open(tmp_path / "events", passphrase="a password") as store:
        assert store.query(kinds="motion")
