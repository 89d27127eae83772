"""The dashboard in a real browser: what there is to see, and what a person does with it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import shutil
import subprocess
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from conftest import ADMIN, PASSPHRASE, Server, User, binary, environment, serving
from visitor import PATIENCE, Visitor

expect.set_options(timeout=PATIENCE)

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


def film(place: Path) -> Path:
    """A film in H.264: cars on a street, or where those are not to be had a ball."""
    cars = Path(os.environ.get("KEEPWATCH_TESTDATA", "")) / "video/car-detection.mp4"
    if cars.is_file():
        return cars
    made = place / "film.mp4"
    pipeline = (
        "videotestsrc pattern=ball num-buffers=600 ! video/x-raw,width=768,height=432,framerate=15/1 "
        f"! x264enc key-int-max=15 ! mp4mux ! filesink location={made}"
    )
    subprocess.run(["gst-launch-1.0", "--quiet", *pipeline.split()], check=True)
    return made


def restart(server: Server, camera: str) -> None:
    """Has a camera begin anew, which ends what it was recording."""
    http = server.http
    address = f"{server.url}/api/v1/cameras/{camera}"
    before = http.get(address, timeout=30).json()["settings"]["post_roll"]
    answer = http.patch(address, json={"post_roll": "4s" if before != "4s" else "5s"}, timeout=30)
    answer.raise_for_status()


def eventually(what: str, found: Callable[[], object], within: float = 60) -> object:
    """What `found` gives, as soon as it is something."""
    end = time.monotonic() + within
    while not (it := found()):
        assert time.monotonic() < end, f"there was no {what} within {within} s"
        time.sleep(0.1)
    return it


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


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Callable[..., Visitor]]:
    """Opens windows, and after the test says what was not right in any."""
    windows = []

    def open_window(**how: bool) -> Visitor:
        windows.append(Visitor(browser, server, **how))
        return windows[-1]

    yield open_window
    problems = []
    for window in windows:
        try:
            window.close()
        except AssertionError as error:
            problems.append(str(error))
    assert not problems, "\n".join(problems)


@pytest.fixture
def admin(visit: Callable[..., Visitor]) -> Visitor:
    """An admin at a desk, in the light."""
    return visit().login()


def code_of(secret: str, at: float) -> str:
    """The six digits of RFC 6238 for a secret in base 32."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.digest(key, struct.pack(">Q", int(at) // 30), hashlib.sha1)
    offset = digest[-1] & 15
    return f"{(int.from_bytes(digest[offset : offset + 4], 'big') & 0x7FFFFFFF) % 10**6:06}"


def plays(video: Locator) -> None:
    """Whether a video goes on: its time runs, and it has pictures.

    A player that hears nothing for fifteen seconds connects anew; that counts as going on.
    """
    video.evaluate(
        """(v) => new Promise((done, fail) => {
            const from = v.currentTime;
            const look = setInterval(() => {
                if (v.videoWidth > 0 && v.currentTime > from + 0.5) { clearInterval(look); done(); }
            }, 50);
            setTimeout(() => {
                clearInterval(look);
                const held = Array.from({ length: v.buffered.length }, (_, i) => [v.buffered.start(i), v.buffered.end(i)]);
                fail(new Error(`it stands at ${v.currentTime}, ready ${v.readyState}, holds ${JSON.stringify(held)}, ${v.error?.message}`));
            }, 40000);
        })"""
    )


def changes(picture: Locator) -> None:
    """Whether a picture is another one after a while."""
    picture.evaluate(
        """(img) => new Promise((done, fail) => {
            const canvas = new OffscreenCanvas(64, 36);
            const of = () => {
                const c = canvas.getContext('2d', { willReadFrequently: true });
                c.drawImage(img, 0, 0, 64, 36);
                return c.getImageData(0, 0, 64, 36).data.join();
            };
            let before = null;
            const look = setInterval(() => {
                if (!img.complete || !img.naturalWidth) return;
                const now = of();
                if (before !== null && now !== before) { clearInterval(look); done(); }
                before = now;
            }, 100);
            setTimeout(() => { clearInterval(look); fail(new Error('it stays the same')); }, 15000);
        })"""
    )


def test_the_first_user(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        visitor = Visitor(browser, server)
        page = visitor.page
        with visitor.expecting(401, "/setup$"):
            visitor.go("", "Welcome")
            visitor.look("setup")
            page.get_by_label("Setup code").fill("0000-0000-0000-0000")
            page.get_by_label("Name").fill(ADMIN.name)
            page.get_by_label("Password", exact=True).fill(ADMIN.password)
            page.get_by_label("Password again").fill(ADMIN.password)
            page.get_by_role("button", name="Begin").click()
            expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("Setup code").fill(server.setup_code)
        page.get_by_role("button", name="Begin").click()
        expect(page.get_by_role("heading", name="No cameras yet")).to_be_visible()
        visitor.look("no-cameras")
        visitor.close()


def test_a_second_factor_and_logging_in(visit: Callable[..., Visitor], server: Server) -> None:
    user = server.add_user(User("otto", "one more open window"), "operator")
    visitor = visit().login(user)
    page = visitor.go("settings/account", "Settings")
    page.get_by_role("button", name="Turn on").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Password").fill(user.password)
    dialog.get_by_role("button", name="Continue").click()
    secret = dialog.locator(".secret code").inner_text()
    visitor.look("second-factor")
    used = time.time()
    dialog.get_by_label("Code that it shows").fill(code_of(secret, used))
    dialog.get_by_role("button", name="Turn on").click()
    codes = page.locator(".codes span")
    expect(codes).to_have_count(10)
    recovery = codes.first.inner_text()
    visitor.look("recovery-codes")
    page.keyboard.press("Escape")
    page.get_by_role("button", name=f"Log out {user.name}").click()

    def log_in(code: str) -> None:
        page.get_by_label("Name").fill(user.name)
        page.get_by_label("Password").fill(user.password)
        with visitor.expecting(401, "/session$"):
            page.get_by_role("button", name="Log in").click()
            expect(page.get_by_label("Code")).to_be_focused()
        visitor.look("login-code")
        page.get_by_label("Code").fill(code)
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("heading", name="Live", level=1)).to_be_visible()

    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    visitor.look("login")
    log_in(recovery)
    page.get_by_role("button", name=f"Log out {user.name}").click()
    # A code counts once, and the next one half a minute before its time.
    log_in(code_of(secret, used + 30))
    page.goto(f"{server.url}/ui/#/settings/account")
    expect(page.get_by_text("9 recovery codes are left.")).to_be_visible()


def test_a_wrong_password_is_told(visit: Callable[..., Visitor]) -> None:
    visitor = visit()
    with visitor.expecting(401, "/session$"):
        page = visitor.go("", "Log in")
    page.get_by_label("Name").fill("nobody")
    page.get_by_label("Password").fill("nothing that is right")
    with visitor.expecting(401, "/session$"):
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_be_visible()
    visitor.look("login-refused")


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


def test_faces(admin: Visitor) -> None:
    page = admin.go("faces", "Faces")
    expect(page.get_by_role("heading", name="Nobody is known yet")).to_be_visible()
    expect(page.get_by_text("the models for them are missing")).to_be_visible()
    expect(page.get_by_role("button", name="Enrol somebody")).to_be_disabled()
    admin.look("faces")


def test_users_and_tokens(admin: Visitor, server: Server) -> None:
    page = admin.go("settings/users", "Settings")
    page.get_by_role("button", name="Add a user").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("ida")
    dialog.get_by_label("Password").fill("a door that is locked")
    dialog.get_by_label("Role").select_option("operator")
    admin.look("user-add")
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("row").filter(has_text="ida")).to_contain_text("operator")
    admin.look("users")
    page.get_by_role("button", name="Remove ida").click()
    dialog.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("row").filter(has_text="ida")).to_have_count(0)

    page.get_by_role("link", name="API tokens").click()
    page.get_by_role("button", name="New token").click()
    dialog.get_by_label("Name").fill("home")
    admin.look("token-add")
    dialog.get_by_role("button", name="Make it").click()
    token = dialog.locator(".secret code").inner_text()
    assert token.startswith("kw_")
    admin.look("token")
    page.keyboard.press("Escape")
    expect(page.get_by_role("row").filter(has_text="home")).to_be_visible()
    admin.look("tokens")
    # It is good for something, and never shown again.
    page.reload()
    admin.settle()
    assert token not in page.content()
    page.get_by_role("button", name="Remove home").click()
    dialog.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("row").filter(has_text="home")).to_have_count(0)


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


def test_the_theme_is_remembered(admin: Visitor) -> None:
    page = admin.go("settings/appearance", "Settings")
    ground = page.locator("body")
    light, dark = "rgb(244, 246, 247)", "rgb(15, 20, 25)"
    expect(ground).to_have_css("background-color", light)
    page.get_by_role("button", name="Dark").click()
    expect(ground).to_have_css("background-color", dark)
    page.reload()
    admin.settle()
    expect(ground).to_have_css("background-color", dark)
    page.get_by_role("button", name="As the system").click()
    expect(ground).to_have_css("background-color", light)


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


def test_logging_out(admin: Visitor) -> None:
    page = admin.go("live", "Live")
    page.get_by_role("button", name=f"Log out {ADMIN.name}").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    # Nor is there a way back.
    page.goto(f"{admin.server.url}/ui/#/vault")
    with admin.expecting(401, "/session$"):
        page.reload()
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
