"""People in the dashboard, in a real browser: somebody comes by, is enrolled, comes by again and is known."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from served import Server, serving
from tour import eventually, restart
from visitor import Visitor

TESTDATA = Path(os.environ.get("KEEPWATCH_TESTDATA", ""))
PHOTOS = TESTDATA / "faces/dev"
WIDTH, HEIGHT, FPS = 960, 540, 10
# As large as somebody appears, and in which frames of the film.
SIDE, COMES, GOES, FRAMES = 320, 30, 80, 110

pytestmark = pytest.mark.skipif(not PHOTOS.is_dir(), reason=f"KEEPWATCH_TESTDATA is {str(TESTDATA)!r}, where no faces are")


def photo(file: Path) -> list[bytes]:
    """The rows of a photograph in RGB, with black beside it where it is no square."""
    pipeline = (
        f"filesrc location={file} ! jpegdec ! videoconvert ! videoscale add-borders=true "
        f"! video/x-raw,format=RGB,width={SIDE},height={SIDE},pixel-aspect-ratio=1/1 ! fdsink"
    )
    pixels = subprocess.run(["gst-launch-1.0", "--quiet", *pipeline.split()], check=True, stdout=subprocess.PIPE).stdout
    return [pixels[at : at + 3 * SIDE] for at in range(0, len(pixels), 3 * SIDE)]


def film(place: Path) -> Path:
    """Somebody who passes before a wall."""
    made = place / "film.mp4"
    pipeline = (
        f"fdsrc ! rawvideoparse format=rgb width={WIDTH} height={HEIGHT} framerate={FPS}/1 ! videoconvert "
        f"! x264enc key-int-max={FPS} ! mp4mux ! filesink location={made}"
    )
    wall = [bytes([90 + 20 * (x // 40 % 2) + y // 16 for x in range(WIDTH) for _ in range(3)]) for y in range(HEIGHT)]
    somebody = photo(PHOTOS / "probe/d03_1.jpg")
    frames = []
    for number in range(FRAMES):
        rows = list(wall)
        if COMES <= number < GOES:
            left = 3 * (60 + 6 * (number - COMES))
            for y, row in enumerate(somebody, 80):
                rows[y] = wall[y][:left] + row + wall[y][left + len(row) :]
        frames.append(b"".join(rows))
    subprocess.run(["gst-launch-1.0", "--quiet", *pipeline.split()], check=True, input=b"".join(frames))
    return made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that can tell people apart, and has seen one."""
    place = tmp_path_factory.mktemp("faces")
    config = f"""
schema_version = 1

[cameras.door]
url = "{film(place)}"
realtime = true

[recognition]
plates = false

[models.face_detector]
path = "{TESTDATA}/models/yunet_n_640_640.onnx"

[models.face_embedder]
path = "{TESTDATA}/models/mobilefacenet_112.onnx"
"""
    with serving(place, config=config) as running:
        running.make_admin()
        happened(running, "face_unknown")
        yield running


def happened(server: Server, kind: str) -> dict:
    """The first event of a kind, when it has a picture."""

    def events() -> list[dict]:
        query = {"kind": kind, "order": "asc"}
        found = server.http.get(f"{server.url}/api/v1/events", params=query, timeout=30).json()["events"]
        return [event for event in found if event["snapshot"]]

    return eventually(kind, events)[0]


def test_somebody_is_enrolled_from_an_event_and_known_from_then_on(admin: Visitor, server: Server) -> None:
    page = admin.go("events", "Events")
    page.locator(".event").filter(has_text="unknown").first.click()
    dialog = page.get_by_role("dialog")
    admin.look("stranger")
    dialog.get_by_role("button", name="Enrol this face").click()
    asked = page.get_by_role("dialog").last
    asked.get_by_label("Who is it?").fill("Ada")
    admin.look("enrol-event")
    asked.get_by_role("button", name="Enrol", exact=True).click()
    expect(page.get_by_text("Ada has 1 photograph now")).to_be_visible()
    dialog.get_by_role("button", name="Close").click()

    restart(server, "door")
    happened(server, "face_match")
    page.reload()
    known = page.locator(".event").filter(has_text="Ada").first
    expect(known).to_be_visible()
    known.click()
    expect(page.get_by_role("dialog").get_by_text("Ada").first).to_be_visible()
    admin.look("somebody-known")


def test_photographs_are_added_looked_at_and_removed(admin: Visitor) -> None:
    page = admin.go("faces", "Faces")
    page.get_by_role("button", name="Enrol somebody").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Ben")
    files = [PHOTOS / "gallery/d07/1.jpg", PHOTOS / "gallery/d07/2.jpg"]
    dialog.locator("input[type=file]").set_input_files(files)
    expect(dialog.get_by_text("2 photographs")).to_be_visible()
    admin.look("enrol-photographs")
    dialog.get_by_role("button", name="Enrol", exact=True).click()
    expect(page.get_by_text("2 photographs of Ben enrolled")).to_be_visible()
    card = page.get_by_role("article").filter(has_text="Ben")
    card.get_by_role("button", name="All photographs of Ben").click()
    expect(page.get_by_role("dialog").locator("img")).to_have_count(2)
    admin.look("faces-photographs")
    page.keyboard.press("Escape")
    admin.look("faces")
    # Several people are no photograph of one.
    card.get_by_role("button", name="Add photographs").click()
    dialog.locator("input[type=file]").set_input_files(PHOTOS / "multi/group_a.jpg")
    with admin.expecting(422, "/photographs$"):
        dialog.get_by_role("button", name="Enrol", exact=True).click()
        expect(dialog.get_by_role("alert")).to_contain_text("faces in it")
    dialog.get_by_role("button", name="Cancel").click()
    card.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(card).to_have_count(0)
