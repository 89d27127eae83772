"""Pipelines: cameras watched, events stored and told, analysers in Python."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vision import film, rtsp_camera

import keepwatch
from keepwatch import (
    CameraError,
    ConfigError,
    Detection,
    Event,
    EventStore,
    Frame,
    InvalidTypeError,
    InvalidValueError,
    Pipeline,
    keygen,
)

PASSPHRASE = "correct horse"
PASSWORD = "the-secret"


def last_states(events: Iterable[Event]) -> list[Event]:
    """The last state of each event, in the order in which they began."""
    return list({event.id: event for event in events}.values())


def test_a_film_becomes_events_that_are_told_and_stored(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with Pipeline({"drive": film()}, store=store, passphrase=PASSPHRASE) as pipeline:
        told = list(pipeline)
        status = pipeline.status()
    assert len(told) > 3
    events = last_states(told)
    assert [(event.camera, event.kind) for event in events] == [("drive", "motion")] * 3
    for event in events:
        assert event.ended_at is not None and event.ended_at > event.started_at
        assert event.clip is not None and event.clip.complete
        assert event.snapshot is not None
    assert [(one.camera, one.state, one.frames, one.dropped) for one in status] == [
        ("drive", "ended", 377, 0)
    ]
    stored = EventStore.open(store, passphrase=PASSPHRASE)
    assert [event.id for event in stored.query(oldest_first=True)] == [
        event.id for event in events
    ]
    assert stored.verify(media=True)
    exported = stored.export(events[0].id, tmp_path / "clip.mp4", part="clip")
    with keepwatch.Camera(exported.file) as clip:
        assert len(list(clip)) > 30


def test_analysers_in_python_make_events(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int, str]] = []
    main = threading.get_ident()

    def bright(frame: Frame) -> list[tuple[str, float, float, float, float, float]]:
        assert threading.get_ident() != main
        seen.append((frame.camera, frame.width, frame.height, frame.color))
        image = frame.image
        assert not image.flags.writeable
        return [("picture", float(image.mean()) / 255, 0.0, 0.0, 1.0, 1.0)]

    class Cars:
        """Takes what differs from the frame before for a car."""

        def __init__(self) -> None:
            self.last: np.ndarray | None = None

        def analyze(self, frame: Frame) -> Iterable[Detection]:
            image = frame.image[::8, ::8]
            last, self.last = self.last, image
            if last is None:
                return
            moving = np.abs(image.astype(np.int16) - last) > 25
            rows, columns = moving.any(axis=1).nonzero()[0], moving.any(axis=0).nonzero()[0]
            if len(rows) > 5 and len(columns) > 5:
                height, width = moving.shape
                yield Detection(
                    "car",
                    0.9,
                    columns[0] / width,
                    rows[0] / height,
                    (columns[-1] - columns[0] + 1) / width,
                    (rows[-1] - rows[0] + 1) / height,
                )

    with Pipeline(
        {"drive": film()},
        store=tmp_path,
        passphrase=PASSPHRASE,
        analyzers=[bright, Cars(), lambda frame: None],
    ) as pipeline:
        events = last_states(pipeline)
        analysed = pipeline.status()[0].analysed
    assert len(seen) == analysed > 100
    assert set(seen) == {("drive", 768, 432, "luma")}
    objects = [event for event in events if event.kind == "object"]
    labels = [event.observations[0].label for event in objects]
    assert labels.count("picture") >= 1
    assert labels.count("car") >= 1
    for event in objects:
        (observation,) = event.observations
        assert 0 < observation.score <= 1
        assert observation.region is not None
        assert event.snapshot is not None
        assert event.ended_at is not None
    assert sum(event.kind == "motion" for event in events) == 3


def test_frames_of_analysers_in_colour(tmp_path: Path) -> None:
    shapes: set[tuple[int, ...]] = set()
    kept: list[Frame] = []

    def look(frame: Frame) -> list[Detection]:
        shapes.add(frame.image.shape)
        kept[:] = [frame]
        return []

    with Pipeline(
        {"drive": film()}, store=tmp_path, passphrase=PASSPHRASE, analyzers=look, color="rgb"
    ) as pipeline:
        last_states(pipeline)
    assert shapes == {(432, 768, 3)}
    assert kept[0].image.std() > 5


class BrokenError(Exception):
    """Of an analyser."""


def test_an_exception_of_an_analyser_ends_the_pipeline_and_comes_out_unchanged(
    tmp_path: Path,
) -> None:
    error = BrokenError("as it is")

    def broken(frame: Frame) -> list[Detection]:
        if frame.pts > 0:
            raise error
        return []

    store = tmp_path / "store"
    with pytest.raises(BrokenError) as caught:
        with rtsp_camera() as server, Pipeline(
            {"yard": server.url}, store=store, passphrase=PASSPHRASE, analyzers=[broken]
        ) as pipeline:
            for _ in pipeline:
                pass
    assert caught.value is error
    assert caught.traceback[-1].name == "broken"
    assert "stopped" in repr(pipeline)
    assert list(pipeline) == []
    # Without anybody who iterates, it comes out at the end.
    called = threading.Event()

    def broken_later(frame: Frame) -> list[Detection]:
        called.set()
        raise error

    with pytest.raises(BrokenError) as caught:
        with Pipeline(
            {"drive": film()}, store=store, passphrase=PASSPHRASE, analyzers=[broken_later]
        ):
            assert called.wait(timeout=30)
    assert caught.value is error


@pytest.mark.parametrize(
    ("found", "error"),
    [
        (5, TypeError),
        ([5], InvalidTypeError),
        ([("car", 0.5)], InvalidTypeError),
        ([("car", 7.0, 0.0, 0.0, 1.0, 1.0)], InvalidValueError),
        ([("car", 0.5, 120.0, 40.0, 64.0, 32.0)], InvalidValueError),
    ],
)
def test_what_an_analyser_must_not_give(
    tmp_path: Path, found: object, error: type[Exception]
) -> None:
    with pytest.raises(error):
        with Pipeline(
            {"drive": film()},
            store=tmp_path,
            passphrase=PASSPHRASE,
            analyzers=lambda frame: found,  # type: ignore[arg-type, return-value]
        ) as pipeline:
            last_states(pipeline)


def test_an_exception_of_the_block_stops_it_and_passes_through(tmp_path: Path) -> None:
    with rtsp_camera() as server:
        with pytest.raises(BrokenError):
            with Pipeline({"yard": server.url}, store=tmp_path, passphrase=PASSPHRASE) as pipeline:
                raise BrokenError
        assert "stopped" in repr(pipeline)
        assert pipeline.status()[0].camera == "yard"
        pipeline.stop()


def test_stopping_ends_the_iteration(tmp_path: Path) -> None:
    with rtsp_camera() as server:
        with Pipeline({"yard": server.url}, store=tmp_path, passphrase=PASSPHRASE) as pipeline:
            for _ in pipeline:
                pipeline.stop()
        states = EventStore.open(tmp_path, passphrase=PASSPHRASE).query()
        assert states
        assert all(event.ended_at is not None for event in states)


def test_a_camera_that_could_not_be_watched_is_an_error_at_the_end(tmp_path: Path) -> None:
    cameras = {"drive": film(), "gone": tmp_path / "none.mp4"}
    told: list[Event] = []
    with pytest.raises(CameraError, match="camera gone: .*none.mp4"):
        with Pipeline(cameras, store=tmp_path / "store", passphrase=PASSPHRASE) as pipeline:
            told.extend(pipeline)
    assert len(last_states(told)) == 3


def test_events_that_are_not_stored_are_an_error(tmp_path: Path) -> None:
    code = """
import resource, sys
import keepwatch
store = keepwatch.EventStore.create(sys.argv[2], passphrase="correct horse")
# As if the disk were full.
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    with keepwatch.Pipeline({"drive": sys.argv[1]}, store=store) as pipeline:
        for event in pipeline:
            pass
except keepwatch.CameraError as error:
    print(error)
"""
    output, errors = run(code, film(), tmp_path).communicate(timeout=60)
    assert "the event store did not take" in output, errors


def test_a_store_that_is_only_read_is_refused(tmp_path: Path) -> None:
    EventStore.create(tmp_path, passphrase=PASSPHRASE)
    store = EventStore.open(tmp_path, passphrase=PASSPHRASE)
    with pytest.raises(InvalidValueError, match="^store: .*writable"):
        Pipeline({"drive": film()}, store=store)
    store = EventStore.open(tmp_path, passphrase=PASSPHRASE, writable=True)
    with Pipeline({"drive": film()}, store=store) as pipeline:
        assert len(last_states(pipeline)) == 3
    assert len(store.query()) == 3


def test_configurations_as_files_and_as_dictionaries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keepwatch.toml"
    store = tmp_path / "store"
    path.write_text(
        f'[store]\npath = "{store}"\n[cameras.drive]\nurl = "${{FILM}}"\ndecode = "keyframes"\n'
    )
    monkeypatch.setenv("FILM", str(film()))
    config = {
        "store": {"path": store, "recipients": []},
        "cameras": {"drive": {"url": "${FILM}", "decode": "keyframes", "pre_roll": 3}},
    }
    configs: list[Any] = [path, str(path), config]
    for one in configs:
        with Pipeline(one, passphrase=PASSPHRASE) as pipeline:
            last_states(pipeline)
            # Key frames alone: one in 4.8 seconds.
            assert pipeline.status()[0].decoded == 7


def test_wrong_configurations(tmp_path: Path) -> None:
    cameras = {"url": str(film())}
    wrong: list[tuple[type[Exception], str, Any]] = [
        (ConfigError, "fps_targte", {"cameras": {"drive": {**cameras, "fps_targte": 5}}}),
        (ConfigError, "pre_roll", {"cameras": {"drive": {**cameras, "pre_roll": 500}}}),
        (ConfigError, "schema_version", {"schema_version": 7, "cameras": {"drive": cameras}}),
        (InvalidValueError, "config: it names no camera", {}),
        (InvalidValueError, "url: ", {"drive": f"ftp://admin:{PASSWORD}@somewhere/"}),
        (InvalidTypeError, "config: ", {"cameras": {"drive": {"url": object()}}}),
        (InvalidTypeError, "config: ", 5),
        (FileNotFoundError, "none.toml", tmp_path / "none.toml"),
    ]
    store = tmp_path / "store"
    for kind, text, config in wrong:
        with pytest.raises(kind, match=text) as caught:
            Pipeline(config, store=store, passphrase=PASSPHRASE)
        assert PASSWORD not in str(caught.value)
    assert not store.exists()
    with pytest.raises(InvalidValueError, match="^store: "):
        Pipeline({"drive": film()}, passphrase=PASSPHRASE)
    with pytest.raises(InvalidValueError, match="^passphrase: "):
        Pipeline({"drive": film()}, store=store)
    with pytest.raises(InvalidTypeError, match="analyzers: "):
        Pipeline({"drive": film()}, store=store, passphrase=PASSPHRASE, analyzers=[5])  # type: ignore[list-item]


def test_recordings_for_recipients_alone(tmp_path: Path) -> None:
    store = tmp_path / "store"
    identity = keygen()
    with Pipeline(
        {"drive": film()}, store=store, passphrase=PASSPHRASE, recipients=[identity.recipient]
    ) as pipeline:
        events = last_states(pipeline)
    stored = EventStore.open(store, passphrase=PASSPHRASE)
    with pytest.raises(keepwatch.KeepwatchError):
        stored.export(events[0].id, tmp_path / "clip.mp4", part="clip")
    stored.export(events[0].id, tmp_path / "clip.mp4", part="clip", identity=identity)
    other = keygen()
    with pytest.raises(InvalidValueError, match="^recipients: "):
        Pipeline(
            {"drive": film()}, store=store, passphrase=PASSPHRASE, recipients=[other.recipient]
        )


def test_no_password_is_shown(tmp_path: Path) -> None:
    with Pipeline(
        {"yard": f"rtsp://admin:{PASSWORD}@127.0.0.1:9/none"},
        store=tmp_path,
        passphrase=PASSPHRASE,
    ) as pipeline:
        event = next(pipeline)
        shown = f"{pipeline!r} {pipeline.status()!r} {event!r}"
    assert event.kind == "camera_offline"
    assert "rtsp://***@127.0.0.1:9" in shown
    assert PASSWORD not in shown
    assert PASSPHRASE not in shown


def run(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(keepwatch.__file__).parent.parent)},
    )


BEGIN = """
import sys, threading
from keepwatch import Pipeline
looked = threading.Event()
pipeline = Pipeline({"yard": sys.argv[1]}, store=sys.argv[2], passphrase="correct horse",
                    analyzers=lambda frame: looked.set())
looked.wait()
"""


def test_ctrl_c_interrupts_within_a_second_and_leaves_all_in_order(tmp_path: Path) -> None:
    code = (
        BEGIN
        + """
with pipeline:
    try:
        print("watching", flush=True)
        while True:
            next(pipeline)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""
    )
    with rtsp_camera() as server:
        process = run(code, server.url, tmp_path)
        assert process.stdout is not None
        assert process.stdout.readline() == "watching\n"
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        assert time.monotonic() - began < 1
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert EventStore.open(tmp_path, passphrase=PASSPHRASE).verify(media=True)


@pytest.mark.parametrize("end", ["", "del pipeline", "raise SystemExit(0)"])
def test_a_program_that_stops_nothing_ends_all_the_same(tmp_path: Path, end: str) -> None:
    with rtsp_camera() as server:
        process = run(BEGIN + end, server.url, tmp_path)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
