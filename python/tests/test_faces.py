"""Faces in pictures: enrolled, identified and forgotten, on real photographs."""

from __future__ import annotations

import json
import logging
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PASSPHRASE
from recognition import enroll_all, photos

import keepwatch


def test_everybody_is_recognised_and_strangers_are_not(
    gallery: keepwatch.FaceGallery, faces: Path
) -> None:
    people = enroll_all(gallery, faces)
    assert [person.name for person in gallery.people()] == people
    assert len(gallery) == len(people)
    assert "d01" in gallery
    assert "d04" not in gallery
    probes = sorted((faces / "probe").iterdir())
    assert len(probes) == 26
    assert gallery.threshold is not None
    for probe in probes:
        found = keepwatch.identify(probe, gallery)[0]
        person = probe.name.split("_")[0]
        assert found.name == (person if person in people else None), probe
        assert found.refused is None
        assert found.similarity is not None
        assert found.second is not None
        assert found.second <= found.similarity
        if found.name is not None:
            assert found.similarity >= gallery.threshold


def test_a_face_says_where_it_is_and_how_good(
    gallery: keepwatch.FaceGallery, faces: Path
) -> None:
    (found,) = gallery.identify(faces / "probe" / "d04_1.jpg")
    assert isinstance(found, keepwatch.Face)
    assert (found.name, found.similarity, found.second) == (None, None, None), "nobody is enrolled"
    x, y, width, height = found.bbox
    assert found.landmarks is not None
    for at, down in found.landmarks:
        assert x < at < x + width
        assert y < down < y + height
    right_eye, left_eye, nose, right_mouth, left_mouth = found.landmarks
    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_eye[1] < nose[1] < right_mouth[1]
    assert right_mouth[0] < left_mouth[0]
    assert 0.9 < found.score <= 1
    assert found.size == min(width, height)
    assert found.sharpness is not None
    assert found.sharpness > 15
    assert found.turn is not None
    assert 0 <= found.turn < 0.9
    assert found.embedding is not None
    assert len(found.embedding) == 128
    assert np.linalg.norm(found.embedding) == pytest.approx(1, abs=1e-5)


def test_thresholds_decide(
    event_store: keepwatch.EventStore,
    models: dict[str, Any],
    gallery: keepwatch.FaceGallery,
    faces: Path,
) -> None:
    enroll_all(gallery, faces)
    probe = faces / "probe" / "d03_1.jpg"
    assert gallery.identify(probe)[0].name == "d03"
    strict = keepwatch.FaceGallery(event_store, **models, threshold=0.99)
    assert strict.threshold == pytest.approx(0.99)
    assert strict.identify(probe)[0].name is None
    unsure = keepwatch.FaceGallery(event_store, **models, margin=1.0)
    assert unsure.identify(probe)[0].name is None
    large = keepwatch.FaceGallery(event_store, **models, min_size=5000)
    (found,) = large.identify(probe)
    assert found.refused == "it is too small"
    assert (found.embedding, found.similarity, found.name) == (None, None, None)
    for wrong in [{"threshold": 2.0}, {"margin": -1.0}, {"min_score": 1.5}, {"longest_side": 1}]:
        with pytest.raises(keepwatch.InvalidValueError, match=next(iter(wrong))):
            keepwatch.FaceGallery(event_store, **models, **wrong)


def test_photographs_are_added_once_and_removed_with_their_person(
    gallery: keepwatch.FaceGallery, event_store: keepwatch.EventStore, faces: Path
) -> None:
    first, second = photos(faces, "d03")
    report = gallery.enroll("Ada", first)
    assert (report.name, report.added, report.known, report.photos) == ("Ada", 1, 0, 1)
    report = gallery.enroll("Ada", first, second.read_bytes())
    assert (report.added, report.known, report.photos) == (1, 1, 2)
    assert report.refused == ()
    (person,) = gallery.people()
    assert (person.name, person.photos) == ("Ada", 2)
    assert person.added is not None
    twin = gallery.enroll("Eve", second)
    assert twin.resembles == "Ada"
    assert twin.similarity == pytest.approx(1, abs=1e-3)
    assert gallery.remove("Ada") == 2
    assert "Ada" not in gallery
    with pytest.raises(keepwatch.PersonNotFoundError, match="'Ada'|\"Ada\"") as error:
        gallery.remove("Ada")
    assert isinstance(error.value, LookupError)
    gallery.remove("Eve")
    assert len(gallery) == 0
    assert not list(event_store.path.glob("private/faces*"))


def test_photographs_that_cannot_be_used_say_why(
    gallery: keepwatch.FaceGallery, faces: Path, plates: Path, tmp_path: Path
) -> None:
    good = photos(faces, "d01")[0]
    group = faces / "multi" / "group_a.jpg"
    car = plates / "eu" / "eu1.jpg"
    with pytest.raises(keepwatch.PictureError, match=r"group_a\.jpg: there are 2 faces"):
        gallery.enroll("Ada", good, group)
    with pytest.raises(keepwatch.PictureError, match=r"number 2: there is no face in it"):
        gallery.enroll("Ada", good, car.read_bytes())
    grey = np.full((300, 300), 127, np.uint8)
    with pytest.raises(keepwatch.PictureError, match="number 1: there is no face in it"):
        gallery.enroll("Ada", grey)
    assert len(gallery) == 0, "one that is bad leaves all out"
    report = gallery.enroll("Ada", good, group, car, allow_partial=True)
    assert (report.added, report.photos) == (1, 1)
    assert [refused.photo for refused in report.refused] == [str(group), str(car)]
    assert "2 faces" in report.refused[0].problem
    with pytest.raises(keepwatch.PictureError, match="2 faces"):
        gallery.enroll("Ben", group, allow_partial=True)
    with pytest.raises(keepwatch.InvalidValueError, match="photos"):
        gallery.enroll("Ben")
    with pytest.raises(keepwatch.FileMissingError):
        gallery.enroll("Ben", tmp_path / "nowhere.jpg")
    for name in ["", " Ben", "x" * 129]:
        with pytest.raises(keepwatch.InvalidValueError, match="name"):
            gallery.enroll(name, good)
    assert [person.name for person in gallery.people()] == ["Ada"]


def test_the_command_line_and_the_package_know_the_same_people(
    gallery: keepwatch.FaceGallery,
    event_store: keepwatch.EventStore,
    models: dict[str, Any],
    faces: Path,
    tmp_path: Path,
    run_cli: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = tmp_path / "keepwatch.toml"
    config.touch()
    monkeypatch.setenv("KEEPWATCH_CONFIG", str(config))
    for model in models.values():
        run_cli("model", "add", model)
    gallery.enroll("Ada", *photos(faces, "d03"))
    probe = faces / "probe" / "d03_1.jpg"
    arguments = ["face", "identify", "--store", event_store.path, "--json", probe]
    said = json.loads(run_cli(*arguments))["faces"]
    found = gallery.identify(probe)
    assert [face["person_id"] for face in said] == [face.name for face in found] == ["Ada"]
    assert said[0]["similarity"] == pytest.approx(found[0].similarity, abs=1e-4)
    assert said[0]["bbox"] == pytest.approx(found[0].bbox, abs=0.01)
    run_cli("face", "enroll", "--store", event_store.path, "Ben", *photos(faces, "d07"))
    # What changed outside is seen at once.
    assert gallery.identify(faces / "probe" / "d07_1.jpg")[0].name == "Ben"
    run_cli("face", "remove", "--store", event_store.path, "Ada")
    assert gallery.identify(probe)[0].name is None
    # The configuration that the command line has written serves here, too.
    configured = keepwatch.FaceGallery(event_store, config=config)
    assert configured.model == gallery.model
    assert configured.identify(faces / "probe" / "d07_1.jpg")[0].name == "Ben"


def test_models_that_cannot_be_used_say_why(
    event_store: keepwatch.EventStore, models: dict[str, Any], tmp_path: Path
) -> None:
    def open_with(**options: Any) -> keepwatch.FaceGallery:
        return keepwatch.FaceGallery(event_store, **{**models, **options})

    with pytest.raises(keepwatch.FileMissingError, match=r"none\.onnx"):
        open_with(detector=tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(keepwatch.ModelError, match=r"text\.onnx"):
        open_with(detector=tmp_path / "text.onnx")
    changed = keepwatch.Model(models["embedder"], sha256="00" * 32)
    with pytest.raises(keepwatch.ModelError, match="SHA-256"):
        open_with(embedder=changed)
    with pytest.raises(keepwatch.InvalidValueError, match="sha256"):
        keepwatch.Model(models["embedder"], sha256="00")
    with pytest.raises(keepwatch.InvalidValueError, match="kind"):
        keepwatch.Model(models["embedder"], kind="cat")  # type: ignore[arg-type]
    with pytest.raises(keepwatch.ModelError, match="finds no faces"):
        open_with(detector=models["embedder"])
    with pytest.raises(keepwatch.ModelError, match="embeds no faces"):
        open_with(embedder=models["detector"])
    with pytest.raises(keepwatch.ModelError, match="face_embedder") as error:
        keepwatch.FaceGallery(event_store, detector=models["detector"])
    assert error.value.hint is not None
    with pytest.raises(keepwatch.InvalidValueError, match="backend"):
        open_with(backend="abacus")
    with pytest.raises(keepwatch.InvalidTypeError, match="detector"):
        open_with(detector=5)
    digest = keepwatch.FaceFinder(**models).model
    assert open_with(embedder=keepwatch.Model(models["embedder"], sha256=digest)).model == digest


def test_without_networks_people_are_known_and_forgotten(
    gallery: keepwatch.FaceGallery, event_store: keepwatch.EventStore, faces: Path
) -> None:
    photo = photos(faces, "d03")[0]
    gallery.enroll("Ada", photo)
    plain = keepwatch.FaceGallery(event_store)
    assert plain.model is None
    assert plain.threshold is None
    assert [person.name for person in plain.people()] == ["Ada"]
    for call in (lambda: plain.identify(photo), lambda: plain.enroll("Ben", photo), plain.refresh):
        with pytest.raises(keepwatch.ModelError, match="face_detector"):
            call()
    assert plain.remove("Ada") == 1
    assert len(gallery) == 0


def test_another_model_needs_a_refresh(
    gallery: keepwatch.FaceGallery,
    event_store: keepwatch.EventStore,
    models: dict[str, Any],
    faces: Path,
    tmp_path: Path,
) -> None:
    gallery.enroll("Ada", *photos(faces, "d03"))
    # The same network, with a comment (ModelProto.doc_string): another file.
    path = tmp_path / "other.onnx"
    path.write_bytes(models["embedder"].read_bytes() + b"\x32\x05other")
    other = keepwatch.Model(path, normalization="imagenet")
    changed = keepwatch.FaceGallery(event_store, detector=models["detector"], embedder=other)
    probe = faces / "probe" / "d03_1.jpg"
    for call in (lambda: changed.identify(probe), lambda: changed.enroll("Ben", probe)):
        with pytest.raises(keepwatch.OtherModelError) as error:
            call()
        assert isinstance(error.value, keepwatch.ModelError)
        assert gallery.model is not None
        assert gallery.model in str(error.value)
        assert error.value.hint is not None
    report = changed.refresh()
    assert (report.model, report.people, report.lost) == (changed.model, 1, ())
    assert changed.identify(probe)[0].name == "Ada"
    with pytest.raises(keepwatch.OtherModelError):
        gallery.identify(probe)


def test_galleries_of_securevision_are_taken_over(
    gallery: keepwatch.FaceGallery, models: dict[str, Any], faces: Path, tmp_path: Path
) -> None:
    finder = keepwatch.FaceFinder(**models)
    seen = finder.find(photos(faces, "d03")[0])[0]
    path = tmp_path / "gallery.npz"
    np.savez(path, person_ids=np.array(["Ada"]), embeddings=np.array([seen.embedding], np.float32))
    report = gallery.import_npz(path)
    assert (report.people, report.added) == (1, 1)
    assert gallery.import_npz(str(path)).added == 0
    assert gallery.identify(faces / "probe" / "d03_1.jpg")[0].name == "Ada"
    assert gallery.refresh().lost == (("Ada", 1),), "there is no picture of her"
    np.savez(path, person_ids=np.array(["Ada"]), embeddings=np.ones((1, 512), np.float32))
    with pytest.raises(keepwatch.InvalidValueError, match=r"512 numbers.* 128"):
        gallery.import_npz(path)
    path.write_text("no gallery")
    with pytest.raises(keepwatch.InvalidValueError, match=r"gallery\.npz"):
        gallery.import_npz(path)
    with pytest.raises(keepwatch.FileMissingError):
        gallery.import_npz(tmp_path / "none.npz")


def test_the_gallery_opens_with_the_store_and_only_with_its_key(
    event_store: keepwatch.EventStore, models: dict[str, Any], faces: Path
) -> None:
    gallery = keepwatch.FaceGallery(event_store, **models)
    photo = photos(faces, "d03")[0]
    gallery.enroll("Ada", photo)
    with pytest.raises(keepwatch.WrongKeyError):
        keepwatch.EventStore.open(event_store.path, passphrase="wrong")
    (kept,) = event_store.path.glob("private/faces*")
    assert b"Ada" not in kept.read_bytes()
    with keepwatch.EventStore.open(event_store.path, passphrase=PASSPHRASE) as again:
        reading = keepwatch.FaceGallery(again, **models)
        assert reading.identify(photo)[0].name == "Ada"
        for call in (
            lambda: reading.enroll("Ben", photo),
            lambda: reading.remove("Ada"),
            reading.refresh,
        ):
            with pytest.raises(keepwatch.InvalidValueError, match="writable"):
                call()
    for use in (reading.people, lambda: reading.identify(photo), lambda: len(reading)):
        with pytest.raises(keepwatch.ClosedError):
            use()
    kept.write_bytes(kept.read_bytes()[:-1])
    for use in (gallery.people, lambda: gallery.identify(photo)):
        with pytest.raises(keepwatch.KeepwatchError):
            use()


class Stop(Exception):
    """What a signal's handler raises."""


def test_an_interrupted_enrolment_enrols_nobody(
    gallery: keepwatch.FaceGallery, faces: Path
) -> None:
    def stop(*_: Any) -> None:
        raise Stop

    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        # That would take many seconds.
        with pytest.raises(Stop):
            gallery.enroll("Ada", *photos(faces, "d03") * 500)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(gallery) == 0


def test_nothing_biometric_is_shown_or_logged(
    gallery: keepwatch.FaceGallery,
    event_store: keepwatch.EventStore,
    faces: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    gallery.enroll("Ada Secret", *photos(faces, "d03"))
    (found,) = gallery.identify(faces / "probe" / "d03_1.jpg")
    assert found.name == "Ada Secret"
    assert found.embedding is not None
    assert found.landmarks is not None
    shown = f"{gallery!r} {gallery!s} {found!r}"
    numbers = [*found.embedding, *(value for point in found.landmarks for value in point)]
    assert not any(f"{number:.2f}" in shown.split("bbox")[0] for number in numbers if number > 1)
    assert "embedding" not in shown
    assert "landmarks" not in shown
    assert str(event_store.path) in repr(gallery)
    assert "Ada" not in repr(gallery)
    with pytest.raises(keepwatch.PictureError) as error:
        gallery.enroll("Ada Secret", b"x")
    assert "Ada" not in str(error.value)
    said = capfd.readouterr()
    assert caplog.text + said.out + said.err == ""
