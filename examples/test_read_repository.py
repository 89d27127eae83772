#!/usr/bin/env python3
"""Compares what read_repository.py extracts with what the keepwatch binary backed up.

    KEEPWATCH_BIN=path/to/keepwatch python examples/test_read_repository.py
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

KEEPWATCH = os.environ.get("KEEPWATCH_BIN", "keepwatch")
READER = Path(__file__).with_name("read_repository.py")
PASSPHRASE = "a passphrase that only tests use"
MIB = 1 << 20


def run(*command: str | Path, expect: int = 0, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KEEPWATCH")}
    done = subprocess.run(
        [str(part) for part in command], env=clean | environment, capture_output=True, text=True,
        errors="surrogateescape",
    )
    if done.returncode != expect:
        raise AssertionError(f"{command} gave {done.returncode}, not {expect}:\n{done.stdout}{done.stderr}")
    return done.stdout


def read(*arguments: str | Path, expect: int = 0, passphrase: str | None = PASSPHRASE) -> str:
    given = {} if passphrase is None else {"KEEPWATCH_PASSWORD": passphrase}
    return run(sys.executable, READER, *arguments, expect=expect, **given)


def make_source(root: Path) -> None:
    """A tree with one of everything that the format has a word for and no privilege is needed for."""
    noise = random.Random(2024)
    root.mkdir()
    (root / "empty").touch()
    (root / "small").write_bytes(b"a few bytes\n")
    (root / "noise").write_bytes(noise.randbytes(9 * MIB + 12345))
    (root / "text").write_bytes(b"".join(b"line %d of a long text\n" % i for i in range(300_000)))
    (root / "copy of noise").write_bytes((root / "noise").read_bytes())
    with (root / "sparse").open("wb") as file:
        file.seek(5 * MIB)
        file.write(noise.randbytes(2 * MIB))
        file.seek(20 * MIB)
        file.write(b"near the end")
        file.truncate(32 * MIB)
    with (root / "only a hole").open("wb") as file:
        file.truncate(3 * MIB)
    os.link(root / "small", root / "small again")
    (root / "link").symlink_to("small")
    (root / "dangling").symlink_to("nowhere/at all")
    os.mkfifo(root / "pipe")
    (root / "deep/er/and").mkdir(parents=True)
    os.link(root / "noise", root / "deep/er/and/noise")
    (root / "empty directory").mkdir()
    many = root / "many"
    many.mkdir()
    for number in range(3000):
        (many / f"entry {number:05}").write_bytes(b"%d" % number)
    for name in (b"caf\xc3\xa9", b"latin \xe9", b"new\nline", b"x" * 255, b" -rf *"):
        with open(os.fsencode(root) + b"/" + name, "wb") as file:
            file.write(name)
    os.chmod(root / "small", 0o4751)
    os.chmod(root / "empty directory", 0o1700)
    os.utime(root / "small", ns=(0, 1_234_567_890_123_456_789))
    os.utime(root / "empty", ns=(0, -86_400_000_000_001))
    os.utime(root / "dangling", ns=(0, 987_654_321_000_000_001), follow_symlinks=False)
    os.utime(root / "deep/er", ns=(0, 1_111_111_111_111_111_111))


def manifest(root: Path) -> dict[bytes, tuple]:
    """All that the reader restores of a tree, by path."""
    found, inodes = {}, {}
    for folder, directories, files in os.walk(os.fsencode(root)):
        for name in [b"."] + directories + files:
            path = os.path.join(folder, name)
            info = os.lstat(path)
            content: object = None
            if stat.S_ISREG(info.st_mode):
                with open(path, "rb") as file:
                    content = info.st_size, hashlib.file_digest(file, "sha256").hexdigest()
            elif stat.S_ISLNK(info.st_mode):
                content = os.readlink(path)
            relative = os.path.relpath(path, os.fsencode(root))
            group = None
            if not stat.S_ISDIR(info.st_mode) and info.st_nlink > 1:
                group = inodes.setdefault(info.st_ino, relative)
            found[relative] = (oct(info.st_mode), info.st_mtime_ns, content, group)
    return found


class ReaderTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory(prefix="keepwatch-reader-")
        cls.base = Path(cls.folder.name).resolve()
        cls.source = cls.base / "source"
        make_source(cls.source)
        cls.expected = manifest(cls.source)
        cls.repo = cls.new_repository("repo")

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()

    @classmethod
    def keepwatch(cls, *arguments: str | Path, expect: int = 0, passphrase: str | None = PASSPHRASE) -> str:
        given = {} if passphrase is None else {"KEEPWATCH_PASSWORD": passphrase}
        return run(KEEPWATCH, *arguments, expect=expect, XDG_CACHE_HOME=str(cls.base / "cache"), **given)

    @classmethod
    def new_identity(cls, name: str) -> tuple[Path, str]:
        identity = cls.base / name
        cls.keepwatch("keygen", "--output", identity)
        return identity, re.search("age1[0-9a-z]{58}", identity.read_text())[0]

    @classmethod
    def new_repository(cls, name: str, *options: str) -> Path:
        repo = cls.base / name
        cls.keepwatch("init", "--repo", repo, *options)
        cls.keepwatch("backup", "--repo", repo, cls.source)
        return repo

    def copy_of_repository(self, name: str) -> Path:
        copy = self.base / name
        shutil.copytree(self.repo, copy)
        self.addCleanup(shutil.rmtree, copy)
        return copy

    def assert_extracts(self, repo: Path, *options: str | Path, passphrase: str | None = PASSPHRASE) -> None:
        target = Path(tempfile.mkdtemp(dir=self.base))
        self.addCleanup(shutil.rmtree, target)
        read(*options, "extract", repo, "latest", target, passphrase=passphrase)
        extracted = target / self.source.relative_to("/")
        self.assertEqual(manifest(extracted), self.expected)
        self.assertLess(os.stat(extracted / "sparse").st_blocks * 512, 16 * MIB)

    def test_every_suite_and_chunker(self) -> None:
        for suite in ("xaes-256-gcm", "xchacha20-poly1305"):
            for chunker in ("gear-keyed", "prf"):
                with self.subTest(suite=suite, chunker=chunker):
                    padding = "padme" if chunker == "prf" else "none"
                    repo = self.new_repository(
                        f"{suite} {chunker}", "--suite", suite, "--chunker", chunker, "--padding", padding
                    )
                    self.assert_extracts(repo)

    def test_listing(self) -> None:
        lines = read("ls", self.repo, "latest").splitlines()
        prefix = str(self.source) + "/"
        for wanted in ("many/entry 02999", "dangling -> nowhere/at all", "latin \udce9"):
            self.assertTrue(any(line.endswith(prefix + wanted) for line in lines), wanted)
        self.assertIn(str(self.source), read("snapshots", self.repo))

    def test_the_index_is_rebuilt_from_packs(self) -> None:
        repo = self.copy_of_repository("without index")
        shutil.rmtree(repo / "index")
        (repo / "index").mkdir()
        read("ls", repo, "latest", expect=13)
        self.assert_extracts(repo, "--from-packs")

    def test_key_files_identities_and_rotation(self) -> None:
        repo = self.copy_of_repository("with keys")
        key_file = self.base / "key"
        key_file.write_bytes(os.urandom(32))
        identity, public = self.new_identity("identity")
        self.keepwatch("key", "add", "--repo", repo, "--new-key-file", key_file)
        self.keepwatch("key", "add", "--repo", repo, "--recipient", public)
        self.keepwatch("key", "rotate", "--repo", repo)
        self.keepwatch("backup", "--repo", repo, self.source)
        self.assert_extracts(repo)
        self.assert_extracts(repo, "--key-file", key_file, passphrase=None)
        self.assert_extracts(repo, "--identity", identity, passphrase=None)

    def test_wrong_keys(self) -> None:
        read("snapshots", self.repo, expect=12, passphrase="another")
        read("snapshots", self.base / "nowhere", expect=10)

    def test_a_writer_reads_nothing(self) -> None:
        repo = self.copy_of_repository("with a writer")
        key_file = self.base / "writer key"
        key_file.write_bytes(os.urandom(32))
        self.keepwatch("key", "add", "--repo", repo, "--role", "writer", "--new-key-file", key_file)
        read("--key-file", key_file, "snapshots", repo, expect=1, passphrase=None)

    def test_damage_is_found(self) -> None:
        for kind in ("packs/*/*", "index/*", "snapshots/*", "keys/*", "config"):
            with self.subTest(kind):
                repo = self.copy_of_repository("damaged " + kind.split("/")[0])
                victim = max(repo.glob(kind), key=lambda path: path.stat().st_size)
                data = bytearray(victim.read_bytes())
                data[len(data) // 2] ^= 1
                victim.chmod(0o600)
                victim.write_bytes(data)
                code = subprocess.run(
                    [sys.executable, READER, "extract", repo, "latest", self.base / ("out " + victim.name)],
                    env=os.environ | {"KEEPWATCH_PASSWORD": PASSPHRASE}, capture_output=True,
                ).returncode
                self.assertIn(code, (10, 13) if kind == "config" else (13,))

    def test_a_snapshot_taken_away_is_missed(self) -> None:
        repo = self.copy_of_repository("robbed")
        next((repo / "snapshots").iterdir()).unlink()
        read("snapshots", repo, expect=13)

    def test_sealed_files(self) -> None:
        identity, public = self.new_identity("file identity")
        sealed, opened = self.base / "sealed.kw", self.base / "opened"
        for size in (0, 1, 65_535, 65_536, 65_537, 3 * MIB):
            plain = self.base / "plain"
            plain.write_bytes(random.Random(size).randbytes(size))
            for options, passphrase, seal_options in (
                ((), PASSPHRASE, ()),
                (("--identity", identity), None, ("--recipient", public)),
            ):
                with self.subTest(size=size, recipient=bool(options)):
                    self.keepwatch("encrypt", *seal_options, "--output", sealed, plain, passphrase=passphrase)
                    read(*options, "decrypt", sealed, opened, passphrase=passphrase)
                    self.assertEqual(opened.read_bytes(), plain.read_bytes())
                    opened.unlink()
                    sealed.write_bytes(sealed.read_bytes()[:-1])
                    read(*options, "decrypt", sealed, opened, expect=13, passphrase=passphrase)
                    self.assertFalse(opened.exists())
                    sealed.unlink()


if __name__ == "__main__":
    unittest.main(verbosity=2)
