"""The dashboard in a real browser: what there is to see, and what a person does with it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from served import ADMIN, PASSPHRASE, Server, User, binary, environment, serving
from tour import changes, eventually, film, plays, restart
from visitor import Visitor

VIEWER = User("vera", "a viewer of pictures")
SAVED = {"letter.txt": b"Dear Anna, all is well.\n", "photos/sea.raw": bytes(range(256)) * 4096}
CONFIG = f"""
schema_version = 1

[cameras.street]
url = "{{film}}"
realtime = true
record = "continuous"

[cameras.yard]
url = "test:ball"
record = "continuous"

# Recognising takes time that a tour has not; the lists are there in any case.
[recognition]
plates = false

[plates]
allow_list = "allow.csv"
deny_list = "deny.csv"

[repositories.home]
path = "vault"
password = "{PASSPHRASE}"

[jobs.nightly]
kind = "backup"
repository = "home"
paths = ["saved"]
tags = ["nightly"]

[jobs.drill]
kind = "drill"
repository = "home"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with cameras that have seen something, lists of plates, and a vault with its jobs."""
    place = tmp_path_factory.mktemp("tour")
    for name, content in SAVED.items():
        (place / "saved" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "saved" / name).write_bytes(content)
    for name in ("allow.csv", "deny.csv"):
        (place / name).touch()
    (place / "passphrase").write_text(f"{PASSPHRASE}\n")
    subprocess.run(
        [binary(), "--quiet", "--repo", place / "vault", "--password-file", place / "passphrase", "init"],
        check=True,
        env=environment(place / "home"),
    )
    config = CONFIG.format(film=film(place))
    with serving(place, "--demo-camera", config=config) as running:
        running.make_admin()
        running.add_user(VIEWER, "viewer")
        have_happened(running)
        yield running


def have_happened(server: Server) -> None:
    """Waits until each kind of what the pages show is there."""
    http = server.http

    def cameras() -> dict[str, dict]:
        return {c["name"]: c for c in http.get(f"{server.url}/api/v1/cameras", timeout=30).json()["cameras"]}

    def events(camera: str) -> list[dict]:
        query = {"camera": camera, "kind": "motion"}
        return http.get(f"{server.url}/api/v1/events", params=query, timeout=30).json()["events"]

    eventually("picture of each camera", lambda: all(c["frames"] > 0 for c in cameras().values()))
    eventually("motion on the street", lambda: events("street"))
    # A clip is as long as what has come in since.
    seen = cameras()["street"]["frames"]
    eventually("film of some seconds", lambda: cameras()["street"]["frames"] > seen + 50)
    for camera in ("street", "yard"):
        restart(server, camera)
        eventually(
            f"clip of {camera}",
            lambda name=camera: any(e["clip"] and e["clip"]["complete"] for e in events(name)),
        )
        query = {"camera": camera}
        eventually(
            f"recording of {camera}",
            lambda: http.get(f"{server.url}/api/v1/segments", params=query, timeout=30).json()["segments"],
        )


def test_live(admin: Visitor, server: Server) -> None:
    restart(server, "street")
    page = admin.go("live", "Live")
    tiles = page.locator(".tile")
    expect(tiles).to_have_count(3)
    street = tiles.filter(has_text="street")
    expect(street.locator(".view.playing")).to_be_visible()
    plays(street.locator("video"))
    changes(tiles.filter(has_text="demo").locator("img"))
    admin.look("live")


def test_live_video_that_stands_still_begins_anew(admin: Visitor, server: Server) -> None:
    restart(server, "street")
    page = admin.go("camera/street", "street")
    video = page.locator(".view video")
    plays(video)
    with page.expect_websocket(lambda socket: "/live" in socket.url):
        # This player takes nothing any more; another one may.
        page.evaluate(
            """() => {
                const append = SourceBuffer.prototype.appendBuffer;
                let stuck = null;
                SourceBuffer.prototype.appendBuffer = function (data) {
                    stuck ??= this;
                    if (this !== stuck) append.call(this, data);
                };
            }"""
        )
    plays(video)


def test_a_camera_with_a_zone_drawn_by_the_mouse(admin: Visitor, server: Server) -> None:
    restart(server, "street")
    page = admin.go("camera/street", "street")
    plays(page.locator(".view video"))
    # What moves is marked: something is painted upon the canvas.
    page.wait_for_function(
        """() => {
            const c = document.querySelector('.view canvas');
            return c?.width && c.toDataURL() !== Object.assign(document.createElement('canvas'), { width: c.width, height: c.height }).toDataURL();
        }"""
    )
    admin.look("camera")
    page.goto(f"{server.url}/ui/#/camera/street?tab=zones")
    page.get_by_role("button", name="Draw").click()
    box = page.locator(".shapes").bounding_box()
    corners = [(0.2, 0.3), (0.8, 0.3), (0.8, 0.9), (0.2, 0.9), (0.2, 0.3)]
    for x, y in corners:
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
    expect(page.locator(".shapes polygon")).to_have_count(1)
    page.get_by_label("Name of the zone").fill("road")
    admin.look("zones")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Zones and masks were saved")).to_be_visible()
    http = server.http
    zones = http.get(f"{server.url}/api/v1/cameras/street", timeout=30).json()["settings"]["motion"]["zones"]
    assert [z["name"] for z in zones] == ["road"]
    for (x, y), (drawn_x, drawn_y) in zip(corners, zones[0]["points"], strict=False):
        assert abs(x - drawn_x) < 0.01 and abs(y - drawn_y) < 0.01
    # A corner is moved by the keyboard as well, and the zone goes again.
    page.get_by_role("button", name="Select road").click()
    page.get_by_role("button", name="Delete road").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("None yet: motion counts everywhere.")).to_be_visible()
    for tab in ("settings", "about"):
        page.goto(f"{server.url}/ui/#/camera/street?tab={tab}")
        admin.look(f"camera-{tab}")


def test_recordings(admin: Visitor, server: Server) -> None:
    page = admin.go("camera/street?tab=recordings", "street")
    video = page.get_by_label("Recording of street")
    expect(page.locator(".recording .told")).to_contain_text("recorded")
    video.evaluate("(v) => v.play()")
    plays(video)
    line = page.get_by_role("slider", name="Time of day")
    closer = page.get_by_role("button", name="Look closer")
    while closer.is_enabled():
        closer.click()
    admin.look("recordings")
    # A press on the line plays from there: what was recorded is the coloured part.
    segments = server.http.get(f"{server.url}/api/v1/segments?camera=street", timeout=30).json()["segments"]
    first = min(segments, key=lambda s: s["started_at"])
    has = line.locator("rect.has").first.bounding_box()
    page.mouse.click(has["x"] + 1, has["y"] + has["height"] / 2)
    expect(line).to_have_attribute("aria-valuetext", re.compile(", recorded"))
    page.wait_for_function("(id) => document.querySelector('.recording video').src.includes(id)", arg=first["id"])
    plays(video)
    # What happened is a list, too, which the keyboard gets to; and so is the line.
    page.get_by_role("button", name="Motion").first.focus()
    page.keyboard.press("Enter")
    plays(video)
    video.evaluate("(v) => v.pause()")
    before = float(line.get_attribute("aria-valuenow"))
    line.focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("(was) => document.querySelector('.recording-line').getAttribute('aria-valuenow') < was", arg=before)
    page.get_by_role("button", name="The day before").click()
    expect(page.get_by_role("heading", name="Nothing was recorded")).to_be_visible()
    admin.look("recordings-none")
    page.get_by_role("button", name="The day after").click()
    expect(page.locator(".recording .told")).to_contain_text("recorded")
    page.get_by_role("link", name="Events").last.click()
    expect(page.locator(".view")).to_be_visible()


def test_recordings_of_pictures(admin: Visitor) -> None:
    page = admin.go("camera/yard?tab=recordings", "yard")
    place = page.get_by_label("Place in the clip")
    place.wait_for()
    page.get_by_role("button", name="Motion").last.click()
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    page.wait_for_function("(e) => Number(e.value) > 0.5", arg=place.element_handle())
    admin.look("recordings-of-pictures")


def test_events_and_a_clip(admin: Visitor) -> None:
    page = admin.go("events", "Events")
    cards = page.locator(".event")
    expect(cards.filter(has_text="street").locator("img").first).to_be_visible()
    admin.look("events")
    shown = page.locator(".timeline > .small")
    expect(shown).to_contain_text("event")
    page.get_by_role("group", name="Cameras").get_by_role("button", name="street").click()
    expect(cards.filter(has_text="yard")).to_have_count(0)
    expect(cards.first).to_contain_text("street")
    page.get_by_role("group", name="Kinds").get_by_role("button", name="Plate").first.click()
    expect(page.get_by_role("heading", name="Nothing here")).to_be_visible()
    admin.look("events-none")
    page.get_by_role("button", name="Clear the filters").click()
    expect(cards.filter(has_text="yard").first).to_be_visible()
    page.get_by_label("Search").fill("nobody of this name")
    expect(page.get_by_role("heading", name="Nothing here")).to_be_visible()
    page.get_by_label("Search").fill("")
    expect(cards.filter(has_text="yard").first).to_be_visible()

    # The timeline: a drag over it looks closer.
    chart = page.locator(".timeline svg")
    box = chart.bounding_box()
    y = box["y"] + 40
    page.mouse.move(box["x"] + 5, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 3, y, steps=4)
    page.mouse.up()
    expect(page.get_by_role("button", name="Zoom out")).to_be_visible()
    page.get_by_label("When").select_option("today")

    cards.filter(has_text="street").filter(has=page.locator(".mark:not(.rec)")).last.click()
    dialog = page.get_by_role("dialog")
    video = dialog.locator("video")
    video.evaluate("(v) => v.play()")
    plays(video)
    video.evaluate("(v) => { v.pause(); v.currentTime = 1; }")
    video.evaluate("(v) => new Promise((done) => (v.seeking ? v.addEventListener('seeked', done, { once: true }) : done()))")
    assert abs(video.evaluate("(v) => v.currentTime") - 1) < 0.2
    dialog.get_by_role("button", name="One frame on").click()
    admin.look("clip")
    with page.expect_download() as download:
        dialog.get_by_role("link", name="Download").click()
    assert download.value.path().read_bytes()[4:8] == b"ftyp"
    with page.expect_download() as download:
        dialog.get_by_role("link", name="Export evidence").click()
    assert download.value.suggested_filename.endswith(".kwev")
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)


def test_a_clip_of_pictures(admin: Visitor, server: Server) -> None:
    """A camera that sends JPEG is recorded as such, which browsers do not play."""
    query = "camera=yard&kind=motion&order=asc"
    event = server.http.get(f"{server.url}/api/v1/events?{query}", timeout=30).json()["events"][0]
    page = admin.go(f"events?event={event['id']}")
    picture = page.get_by_role("img", name="Clip of yard")
    expect(picture).to_be_visible()
    place = page.get_by_label("Place in the clip")
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function("(e) => Number(e.value) > 1", arg=place.element_handle())
    page.get_by_role("button", name="Pause", exact=True).click()
    of = "(c) => c.toDataURL()"
    before = picture.evaluate(of)
    page.get_by_role("button", name="One frame back").click()
    page.wait_for_function("([c, was]) => c.toDataURL() !== was", arg=[picture.element_handle(), before])
    place.fill("0")
    expect(page.locator(".film-bar")).to_contain_text("0.0 / ")
    admin.look("clip-of-pictures")


def test_the_vault(admin: Visitor, server: Server) -> None:
    page = admin.go("system", "System")
    expect(page.get_by_role("link", name="Last backup: never")).to_be_visible()
    page = admin.go("jobs", "Jobs")
    for job in ("nightly", "drill"):
        card = page.get_by_role("article", name=job)
        card.get_by_role("button", name="Start").click()
        expect(card.get_by_text("Done")).to_be_visible()
        expect(card.get_by_text("Last success just now")).to_be_visible()
    page.get_by_role("article", name="drill").get_by_role("button", name="Details").click()
    admin.look("job-run")
    page.keyboard.press("Escape")
    admin.look("jobs")

    page = admin.go("vault", "Vault")
    expect(page.get_by_text("In order")).to_be_visible()
    admin.look("vault")
    page.get_by_role("link", name="Snapshots").click()
    expect(page.get_by_role("cell", name="nightly")).to_be_visible()
    admin.look("snapshots")
    page.get_by_role("link", name="Browse").click()
    # Down to what was saved, through the folders that it lies in.
    while not (letter := page.get_by_role("link", name="Download letter.txt")).count():
        folder = page.locator(".entry a").first
        name = folder.inner_text()
        folder.click()
        expect(page.locator(".crumbs [aria-current=page]")).to_have_text(name)
        admin.settle()
    admin.look("snapshot")
    with page.expect_download() as download:
        letter.click()
    assert download.value.path().read_bytes() == SAVED["letter.txt"]
    page.get_by_role("link", name="photos").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download sea.raw").click()
    assert download.value.path().read_bytes() == SAVED["photos/sea.raw"]

    page.reload()
    expect(page.get_by_role("link", name=re.compile("Last backup: (?!never)"))).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("Last restore drill passed: "))).to_be_visible()
    admin.go("system", "System")
    expect(page.locator(".vital").filter(has_text="Last restore drill")).to_contain_text("passed")
    admin.look("system")


def test_plates(admin: Visitor, server: Server) -> None:
    page = admin.go("plates", "Plates")
    allow = page.get_by_role("region", name="Allow list", exact=True)
    allow.get_by_label("Plate for the allow list").fill("b-mk 4711")
    allow.get_by_label("Description").fill("Anna’s car")
    allow.get_by_role("button", name="Add").click()
    row = allow.get_by_role("row").filter(has_text="Anna’s car")
    expect(row).to_be_visible()
    page.get_by_role("region", name="Deny list", exact=True).get_by_label("Plate for the deny list").fill("X1")
    page.get_by_role("region", name="Deny list", exact=True).get_by_role("button", name="Add").click()
    expect(page.get_by_role("button", name="Remove X1")).to_be_visible()
    admin.look("plates")
    page.get_by_label("Search").fill("nothing")
    expect(row).to_have_count(0)
    page.get_by_label("Search").fill("anna")
    row.get_by_role("button", name=re.compile("^Remove")).click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)
    assert server.http.get(f"{server.url}/api/v1/plates", timeout=30).json()["allow"]["entries"] == []


def test_the_audit_log(admin: Visitor) -> None:
    page = admin.go("system/audit", "System")
    expect(page.get_by_role("row").nth(1)).to_be_visible()
    page.get_by_label("Who").fill(VIEWER.name)
    expect(page.get_by_role("heading", name="Nothing")).to_be_visible()
    page.get_by_label("Who").fill("")
    expect(page.get_by_role("row").nth(1)).to_be_visible()
    admin.look("audit")


PAGES = {
    "live": "Live",
    "camera/street": "street",
    "camera/street?tab=recordings": "street",
    "camera/street?tab=zones": "street",
    "camera/street?tab=settings": "street",
    "events": "Events",
    "faces": "Faces",
    "plates": "Plates",
    "vault": "Vault",
    "vault/home": "Vault",
    "jobs": "Jobs",
    "system": "System",
    "system/audit": "System",
    "settings/account": "Settings",
    "settings/users": "Settings",
    "settings/tokens": "Settings",
    "settings/appearance": "Settings",
}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_every_page_everywhere(visit: Callable[..., Visitor], server: Server, phone: bool, dark: bool) -> None:
    visitor = visit(phone=phone, dark=dark).login()
    page = visitor.page
    for place, heading in PAGES.items():
        visitor.go(place, heading)
        visitor.look("page-" + re.sub(r"\W+", "-", place))
    if phone:
        page.get_by_role("button", name="More").click()
        visitor.look("more")
        page.keyboard.press("Escape")
    events = server.http.get(f"{server.url}/api/v1/events?kind=motion&order=asc", timeout=30).json()["events"]
    event = next(e for e in events if e["clip"] and e["clip"]["complete"] and e["camera"] == "street")
    visitor.go(f"events?event={event['id']}")
    page.get_by_role("dialog").locator("video").wait_for()
    visitor.look("event")


def test_with_the_keyboard_alone(visit: Callable[..., Visitor], server: Server) -> None:
    visitor = visit()
    with visitor.expecting(401, "/session$"):
        page = visitor.go("events", "Log in")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type(ADMIN.name)
    page.keyboard.press("Tab")
    page.keyboard.type(ADMIN.password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Events", level=1)).to_be_visible()
    page.locator(".event").first.wait_for()
    page.evaluate("() => document.activeElement.blur()")

    def tab_to(wanted: Locator) -> None:
        for _ in range(80):
            page.keyboard.press("Tab")
            assert seen(page), "what has the focus does not look like it"
            if wanted.evaluate("(e) => e === document.activeElement"):
                return
        raise AssertionError("the keyboard does not get there")

    tab_to(page.locator(".event").first)
    visitor.look("keyboard")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert page.locator(".event").first.evaluate("(e) => e === document.activeElement")


def seen(page: Page) -> bool:
    """Whether what has the focus is marked."""
    return page.evaluate(
        """() => {
            const e = document.activeElement;
            if (e === document.body || e.tagName === 'VIDEO') return true;
            const s = getComputedStyle(e);
            return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1;
        }"""
    )


def test_a_viewer_sees_no_controls_that_are_not_for_viewers(visit: Callable[..., Visitor], server: Server) -> None:
    visitor = visit().login(VIEWER)
    page = visitor.go("live", "Live")
    side = page.get_by_role("navigation", name="Pages", exact=True)
    expect(side.get_by_role("link")).to_have_text(["Live", "Events", "Faces", "Plates", "Jobs", "System", "Settings"])
    expect(page.get_by_role("button", name="Add camera")).to_have_count(0)
    visitor.look("viewer-live")
    visitor.go("camera/street?tab=zones", "street")
    for name in ("Draw", "Add a rectangle", "Save", "Undo"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)
    visitor.go("camera/street?tab=settings", "street")
    expect(page.get_by_role("button", name="Save", exact=True)).to_have_count(0)
    visitor.go("plates", "Plates")
    expect(page.get_by_role("button", name="Add")).to_have_count(0)
    expect(page.get_by_role("button", name=re.compile("^Remove"))).to_have_count(0)
    visitor.go("faces", "Faces")
    expect(page.get_by_role("button", name="Enrol somebody")).to_have_count(0)
    visitor.go("jobs", "Jobs")
    expect(page.get_by_role("article")).to_have_count(2)
    expect(page.get_by_role("button", name=re.compile("^(Start|Stop)$"))).to_have_count(0)
    visitor.look("viewer-jobs")
    visitor.go("system", "System")
    expect(page.get_by_role("link", name="Audit log")).to_have_count(0)
    visitor.go("settings/account", "Settings")
    expect(page.get_by_role("link", name="Users")).to_have_count(0)
    visitor.go("vault")
    expect(page.get_by_role("heading", name="Not for this account")).to_be_visible()
    visitor.go("events", "Events")
    page.locator(".event").last.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Began")).to_be_visible()
    for name in ("Delete", "Export evidence", "Enrol this face", "Put on a list"):
        expect(dialog.get_by_text(name)).to_have_count(0)
