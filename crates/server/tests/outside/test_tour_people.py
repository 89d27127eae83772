"""The dashboard in a real browser, of a server that has nothing but its demo camera: from the first user to
logging out."""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, expect

from served import ADMIN, Server, User, serving
from visitor import Visitor


def code_of(secret: str, at: float) -> str:
    """The six digits of RFC 6238 for a secret in base 32."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.digest(key, struct.pack(">Q", int(at) // 30), hashlib.sha1)
    offset = digest[-1] & 15
    return f"{(int.from_bytes(digest[offset : offset + 4], 'big') & 0x7FFFFFFF) % 10**6:06}"


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


def test_nobody_is_known_without_models(admin: Visitor) -> None:
    page = admin.go("faces", "Faces")
    expect(page.get_by_role("heading", name="Nobody is known yet")).to_be_visible()
    expect(page.get_by_text("the models for them are missing")).to_be_visible()
    expect(page.get_by_role("button", name="Enrol somebody")).to_be_disabled()
    admin.look("faces-no-models")


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


def test_logging_out(admin: Visitor) -> None:
    page = admin.go("live", "Live")
    page.get_by_role("button", name=f"Log out {ADMIN.name}").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    # Nor is there a way back.
    page.goto(f"{admin.server.url}/ui/#/vault")
    with admin.expecting(401, "/session$"):
        page.reload()
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
