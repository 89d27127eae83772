"""A server as people run it: the program `KEEPWATCH_BIN`, reached through the network alone."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

STARTED_WITHIN = 30
STOPPED_WITHIN = 30
PASSPHRASE = "a passphrase that only tests have"


class User(NamedTuple):
    """A name and its password."""

    name: str
    password: str


ADMIN = User("anna", "twelve clean windows")


@dataclass
class Server:
    """A server that runs."""

    url: str
    """Its address, without a slash at the end."""
    setup_code: str | None
    """What makes the first user, where it was not made yet."""
    process: subprocess.Popen
    log: Path
    admin: User = ADMIN
    _numbers: count = field(default_factory=count, repr=False)

    @cached_property
    def http(self) -> requests.Session:
        """One session of the admin, for whatever a test asks beside what it is about."""
        return self.login()

    def login(self, user: User | None = None, totp: str | None = None) -> requests.Session:
        """A session that carries its cookie and its defence against forged requests."""
        user = user or self.admin
        http = requests.Session()
        body = {"user": user.name, "password": user.password} | ({"totp": totp} if totp else {})
        answer = http.post(f"{self.url}/api/v1/session", json=body, timeout=30)
        answer.raise_for_status()
        http.headers["X-CSRF-Token"] = answer.json()["csrf"]
        return http

    def token(self, *permissions: str) -> str:
        """A new API token of the admin with these permissions."""
        made = self.http.post(
            f"{self.url}/api/v1/tokens",
            json={"name": f"test-{next(self._numbers)}", "permissions": permissions},
            timeout=30,
        )
        made.raise_for_status()
        return made.json()["token"]

    def api(self, *permissions: str) -> requests.Session:
        """A client with such a token."""
        http = requests.Session()
        http.headers["Authorization"] = f"Bearer {self.token(*permissions)}"
        return http

    def add_user(self, user: User, role: str) -> User:
        """Another user."""
        self.http.post(
            f"{self.url}/api/v1/users",
            json={"name": user.name, "password": user.password, "role": role},
            timeout=30,
        ).raise_for_status()
        return user

    def make_admin(self) -> None:
        """The first user, as the setup page makes it."""
        requests.post(
            f"{self.url}/api/v1/setup",
            json={"code": self.setup_code, "user": self.admin.name, "password": self.admin.password},
            timeout=30,
        ).raise_for_status()


def binary() -> str:
    """The program that is tested."""
    if not (path := os.environ.get("KEEPWATCH_BIN")):
        pytest.fail("KEEPWATCH_BIN must name the keepwatch to be tested")
    return path


def environment(home: Path) -> dict[str, str]:
    """One in which nothing of the person who tests is found."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("KEEPWATCH", "XDG_"))}
    home.mkdir(parents=True, exist_ok=True)
    return kept | {"HOME": str(home)}


def first_line(process: subprocess.Popen, log: Path) -> str:
    """What the program prints when it is ready."""
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline() if ready.select(STARTED_WITHIN) else ""
    if not line:
        process.kill()
        process.wait()
        pytest.fail(f"the server did not start:\n{log.read_text()}")
    return line


@contextmanager
def serving(
    place: Path, *options: str, config: str | None = None, key_file: Path | None = None
) -> Iterator[Server]:
    """Runs a server with the store in `place`, and stops it as systemd does.

    The store is made if it is not there; it opens with a passphrase, or with the key file.
    """
    place.mkdir(parents=True, exist_ok=True)
    passphrase = place / "passphrase"
    passphrase.write_text(f"{PASSPHRASE}\n")
    credential = ["--key-file", key_file] if key_file else ["--password-file", passphrase]
    command = [binary(), "--json", *credential, "--cache-dir", place / "cache", "serve"]
    command += ["--listen", "127.0.0.1:0", "--store", place / "store", *options]
    if config is not None:
        (place / "keepwatch.toml").write_text(config)
        command += ["--config", place / "keepwatch.toml"]
    log = place / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment(place / "home")
        )
    try:
        ready = json.loads(first_line(process, log))
        server = Server(ready["urls"][0].rstrip("/"), ready.get("setup_code"), process, log)
        until_ready(server)
        yield server
    finally:
        ended = process.poll()
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            code = None
        process.stdout.close()
    assert ended is None, f"it had ended with {ended}:\n{log.read_text()}"
    assert code == 0, f"stopping it gave {code}:\n{log.read_text()}"


def until_ready(server: Server) -> None:
    """Asks until it says that it can answer."""
    end = time.monotonic() + STARTED_WITHIN
    while (answer := requests.get(f"{server.url}/readyz", timeout=30)).status_code != 200:
        assert time.monotonic() < end, answer.text
        time.sleep(0.05)
