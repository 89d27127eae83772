#!/usr/bin/env python3
"""Reads a Keepwatch repository, or a sealed file, without any of Keepwatch's code.

Written from docs/FORMAT.md alone, so that what the vault holds can be read back for as long as
that page and a Python exist. It is made to be read, not to be fast: the whole index is kept in
memory. It only reads; the numbers in comments are sections of FORMAT.md.

    read_repository.py snapshots REPO
    read_repository.py ls REPO SNAPSHOT
    read_repository.py extract REPO SNAPSHOT TARGET
    read_repository.py decrypt FILE.kw OUTPUT

SNAPSHOT is `latest` or the first digits of an id. The passphrase comes from KEEPWATCH_PASSWORD or
--password-file; --key-file and --identity take the other credentials. --from-packs rebuilds the
index from the packs' trailers. Owners, extended attributes, devices and sockets are not restored.
Exit codes are those of `keepwatch`: 3 something was left out, 10 no repository, 12 wrong key,
13 damaged.
"""

from __future__ import annotations

import argparse
import hmac
import json
import os
import stat
import struct
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Iterator

import zstandard
from argon2.low_level import Type, hash_secret_raw
from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

MAX_OBJECT = 64 << 20
MAX_PACK = 128 << 20
MAX_CHUNK = 16 << 20
TYPES = {"packs": 1, "index": 2, "snapshots": 3, "pending": 4, "gc": 5, "trash": 6}
SUITES = {"xaes-256-gcm": 1, "xchacha20-poly1305": 2}
FILE, DIRECTORY, SYMLINK, CHARACTER_DEVICE, BLOCK_DEVICE, FIFO, SOCKET = range(1, 8)


class Problem(Exception):
    """Ends the program with a message and an exit code."""

    exit_code = 1


class NoRepository(Problem):
    exit_code = 10


class WrongKey(Problem):
    exit_code = 12


class Damaged(Problem):
    exit_code = 13


def require(condition: bool, what: str) -> None:
    if not condition:
        raise Damaged(what)


# --- 1 Building blocks ---------------------------------------------------------------------------


def derive(context: str, key: bytes) -> bytes:
    return blake3(key, derive_key_context=context).digest()


def mac(key: bytes, data: bytes) -> bytes:
    return blake3(data, key=key).digest()


def xaes_256_gcm(key: bytes, nonce: bytes) -> tuple[AESGCM, bytes]:
    """C2SP XAES-256-GCM: the first half of the nonce makes a key with AES-CMAC (SP 800-108)."""
    block = Cipher(algorithms.AES256(key), modes.ECB()).encryptor()
    doubled = int.from_bytes(block.update(bytes(16)), "big") << 1
    if doubled >> 128:
        doubled ^= (1 << 128) | 0x87
    message_key = b""
    for counter in (1, 2):
        message = b"\0" + bytes([counter]) + b"X\0" + nonce[:12]
        message_key += block.update((int.from_bytes(message, "big") ^ doubled).to_bytes(16, "big"))
    return AESGCM(message_key), nonce[12:]


def xchacha20_poly1305(key: bytes, nonce: bytes) -> tuple[ChaCha20Poly1305, bytes]:
    """HChaCha20 is a ChaCha20 block without the final addition, so that is taken away again."""
    start = b"expand 32-byte k" + key + nonce[:16]
    block = Cipher(algorithms.ChaCha20(key, nonce[:16]), None).encryptor().update(bytes(64))
    words = zip(struct.unpack("<16I", block), struct.unpack("<16I", start))
    plain = [(a - b) & 0xFFFFFFFF for a, b in words]
    return ChaCha20Poly1305(struct.pack("<8I", *plain[:4], *plain[12:])), bytes(4) + nonce[16:]


def open_with_nonce(suite: int, key: bytes, nonce: bytes, ciphertext: bytes, aad: bytes) -> bytes:
    aead, short_nonce = {1: xaes_256_gcm, 2: xchacha20_poly1305}[suite](key, nonce)
    return aead.decrypt(short_nonce, ciphertext, aad)


def open_message(suite: int, key: bytes, message: bytes, aad: bytes, what: str) -> bytes:
    require(len(message) >= 40, f"{what}: too short")
    try:
        return open_with_nonce(suite, key, message[:24], message[24:], aad)
    except InvalidTag:
        raise Damaged(f"{what}: does not authenticate") from None


def shared_key(secret: X25519PrivateKey, ephemeral: bytes, context: str) -> bytes:
    """1.2: the key that a message sealed to a public key is sealed with."""
    try:
        shared = secret.exchange(X25519PublicKey.from_public_bytes(ephemeral))
    except ValueError:  # The all-zero result of RFC 7748, section 6.1.
        raise Damaged("a sealed key is of low order") from None
    salt = ephemeral + secret.public_key().public_bytes_raw()
    return HKDF(hashes.SHA256(), 32, salt, context.encode()).derive(shared)


def unseal(secret: X25519PrivateKey, context: str, aad: bytes, message: bytes, what: str) -> bytes:
    try:
        key = shared_key(secret, message[:32], context)
        return ChaCha20Poly1305(key).decrypt(bytes(12), message[32:], aad)
    except InvalidTag:
        raise Damaged(f"{what}: does not authenticate") from None


class Cursor:
    """Takes fields from the front of bytes; whatever is not there is damage."""

    def __init__(self, data: bytes, what: str) -> None:
        self.data, self.at, self.what = data, 0, what

    def take(self, length: int) -> bytes:
        require(length <= len(self.data) - self.at, f"{self.what}: ends too early")
        self.at += length
        return self.data[self.at - length : self.at]

    def unpack(self, layout: str) -> tuple:
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))

    def ids(self) -> list[bytes]:
        (count,) = self.unpack("I")
        raw = self.take(32 * count)
        return [raw[at : at + 32] for at in range(0, len(raw), 32)]

    def varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                require(value < 1 << 64 and (byte or not shift), f"{self.what}: odd number")
                return value
        raise Damaged(f"{self.what}: a number is too long")

    def zigzag(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def sized(self) -> bytes:
        return self.take(self.varint())

    def end(self) -> None:
        require(self.at == len(self.data), f"{self.what}: holds more than it should")


# --- 1.3 Slots -----------------------------------------------------------------------------------

SLOT_FIELDS = {1: 52, 2: 44, 3: 40, 4: 32}  # The body without commitment, ciphertext and tag.


@dataclass
class Credential:
    passphrase: bytes | None = None
    key_file: bytes | None = None
    identity: X25519PrivateKey | None = None

    def slot_key(self, kind: int, body: bytes) -> bytes | None:
        """The KEK that this credential gives for a slot, if it fits the kind of slot."""
        if kind == 1 and self.passphrase is not None:
            memory, passes, lanes = struct.unpack_from("<III", body)
            sane = 1 <= passes <= 64 and 1 <= lanes <= 64 and 8 * lanes <= memory <= 2 << 20
            require(sane and memory * passes <= 16 << 20, "a slot asks for too costly a key")
            return hash_secret_raw(
                self.passphrase, body[12:28], passes, memory, lanes, 32, Type.ID, version=19
            )
        if kind == 2 and self.passphrase is not None:
            (rounds,) = struct.unpack_from("<I", body)
            require(1 <= rounds <= 10_000_000, "a slot asks for too costly a key")
            return PBKDF2HMAC(hashes.SHA256(), 32, body[4:20], rounds).derive(self.passphrase)
        if kind == 3 and self.key_file is not None:
            return mac(self.key_file, b"keepwatch v1 key file" + body[:16])
        if kind == 4 and self.identity is not None:
            return shared_key(self.identity, body[:32], "keepwatch v1 slot")
        return None

    def open_slot(self, suite: int, slot: Cursor, size: int, container_aad: bytes) -> bytes | None:
        """Takes one slot; its payload of `size` bytes, or nothing if the credential does not fit."""
        kind, length = slot.unpack("BH")
        body = slot.take(length)
        require(kind in SLOT_FIELDS, f"slot kind {kind} is unknown")
        require(length == SLOT_FIELDS[kind] + 32 + size + 16, "a slot has an odd length")
        key = self.slot_key(kind, body)
        # The commitment comes last before the nonce (kinds 1 to 3) or the ciphertext (kind 4).
        at = length - size - 16 - (0 if kind == 4 else 24)
        if key is None or not hmac.compare_digest(
            derive("keepwatch v1 slot commitment", key), body[at - 32 : at]
        ):
            return None
        aad = container_aad + bytes([kind]) + body[:at]
        try:
            if kind == 4:
                return ChaCha20Poly1305(key).decrypt(bytes(12), body[at:], aad)
            return open_with_nonce(suite, key, body[at : at + 24], body[at + 24 :], aad)
        except InvalidTag:
            raise Damaged("a slot does not authenticate") from None


def read_identity(path: Path) -> X25519PrivateKey:
    """An `AGE-SECRET-KEY-1…` line (Bech32, BIP 173) from a file; comments begin with `#`."""
    lines = [line.strip().lower() for line in path.read_text().splitlines()]
    text = next((line for line in lines if line and not line.startswith("#")), "")
    prefix, _, data = text.rpartition("1")
    alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    values = [alphabet.find(letter) for letter in data]
    checked = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + values
    checksum = 1
    for value in checked:
        top, checksum = checksum >> 25, (checksum & 0x1FFFFFF) << 5 ^ max(value, 0)
        for bit, constant in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            checksum ^= constant if top >> bit & 1 else 0
    if prefix != "age-secret-key-" or -1 in values or len(values) != 58 or checksum != 1:
        raise Problem(f"{path}: no age identity")
    bits = "".join(f"{value:05b}" for value in values[:-6])
    return X25519PrivateKey.from_private_bytes(int(bits[:256], 2).to_bytes(32, "big"))


# --- 2 Sealed files ------------------------------------------------------------------------------


def open_sealed_file(source: BinaryIO, credential: Credential) -> Iterator[bytes]:
    """The plaintext, chunk by chunk. It is complete only when the iterator has ended."""
    start = source.read(36)
    require(len(start) == 36 and start[:8] == b"\x89KWSEAL\n", "this is no sealed file")
    version, suite, log2_chunk, zero = start[8:12]
    header_length, slot_count, zero16 = struct.unpack_from("<IHH", start, 28)
    require(version == 1 and suite in SUITES.values(), "unknown version or suite")
    require(12 <= log2_chunk <= 24 and zero == 0 and zero16 == 0, "odd header")
    require(1 <= slot_count <= 64 and 68 <= header_length <= 65536, "odd header")
    header = start + source.read(header_length - 36)
    slots = Cursor(header[:-32], "header")
    slots.take(36)
    opened = [credential.open_slot(suite, slots, 32, header[:28]) for _ in range(slot_count)]
    slots.end()
    file_key = next((key for key in opened if key), None)
    if file_key is None:
        raise WrongKey("no slot opens with this credential")
    commitment = mac(derive("keepwatch v1 sealed header", file_key), header[:-32])
    require(hmac.compare_digest(commitment, header[-32:]), "the header does not authenticate")

    key = derive("keepwatch v1 sealed payload", file_key)
    size = (1 << log2_chunk) + 16
    chunk, number = source.read(size), 0
    while True:
        following = source.read(size) if len(chunk) == size else b""
        nonce = header[12:24] + bytes(3) + number.to_bytes(8, "big") + bytes([not following])
        try:
            plain = open_with_nonce(suite, key, nonce, chunk, commitment)
        except (InvalidTag, ValueError):
            raise Damaged(f"chunk {number} does not authenticate") from None
        require(bool(plain) or number == 0, "an empty chunk ends the file")
        yield plain
        if not following:
            return
        chunk, number = following, number + 1


# --- 4 The repository ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Header:
    """4.1, with the key that the object is sealed under."""

    suite: int
    epoch: int
    key: bytes
    bytes: bytes


@dataclass(frozen=True)
class Place:
    """Where a chunk lies."""

    pack: bytes
    offset: int
    stored: int
    plain: int
    tree: bool
    zstd: bool


@dataclass
class Repository:
    root: Path
    credential: Credential
    verified_packs: dict[bytes, Header] = field(default_factory=dict)
    index: dict[bytes, Place] = field(default_factory=dict)
    published: set[bytes] = field(default_factory=set)
    forgotten: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        try:
            raw = (self.root / "config").read_bytes()
            config = json.loads(raw)
            self.id, suite = bytes.fromhex(config["id"]), config["suite"]
        except (OSError, ValueError, KeyError, TypeError):
            raise NoRepository(f"no repository at {self.root}") from None
        require(config["version"] == 1 and suite in SUITES, "unknown version or suite")
        self.suite = SUITES[suite]
        ring = self._keyring()
        require(ring["config"] == blake3(raw).hexdigest(), "config: is not what the keyring says")
        if "slot_master" not in ring:
            raise Problem("this is a writer's key, which reads nothing back")
        self.id_key = bytes.fromhex(ring["id_key"])
        self.epochs = {
            epoch["epoch"]: (
                X25519PrivateKey.from_private_bytes(bytes.fromhex(epoch["secret"])),
                bytes.fromhex(epoch["index_key"]),
            )
            for epoch in ring["epochs"]
        }

    # 4.3

    def _keyring(self) -> dict:
        damage = None
        for name in self.names("keys"):
            try:
                ring = self._open_key_slot(self.read_object("keys", name), f"keys/{name.hex()}")
            except Damaged as problem:  # Another slot may open all the same.
                damage = problem
                continue
            if ring is not None:
                return json.loads(ring)
        raise damage or WrongKey(f"no key slot of {self.root} opens with this passphrase or key")

    def _open_key_slot(self, data: bytes, what: str) -> bytes | None:
        cursor = Cursor(data, what)
        magic, version, suite, role, zero = cursor.unpack("4sBBBB")
        repository, _slot_id, _public, _created, _epoch, label = cursor.unpack("16s16s32sQIH")
        require(magic == b"KWKS" and version == 1 and suite in SUITES.values(), f"{what}: odd header")
        require(role in (1, 2) and zero == 0 and label <= 255, f"{what}: odd header")
        require(repository == self.id, f"{what}: belongs to another repository")
        cursor.take(label)
        payload = self.credential.open_slot(suite, cursor, 64, data[:72])
        if payload is None:
            return None
        (box_length,) = cursor.unpack("I")
        require(box_length <= 1 << 20, f"{what}: too large")
        box = cursor.take(box_length)
        authentic = mac(payload[32:], data[: cursor.at])
        require(hmac.compare_digest(authentic, cursor.take(32)), f"{what}: does not authenticate")
        cursor.end()
        secret = X25519PrivateKey.from_private_bytes(payload[:32])
        return unseal(secret, "keepwatch v1 keyring", data[:72], box, what)

    # 4.1

    def names(self, kind: str) -> list[bytes]:
        folder = self.root / kind
        found = folder.glob("??/*" if kind == "packs" else "*")
        return sorted(bytes.fromhex(path.name) for path in found if len(path.name) == 64)

    def path(self, kind: str, name: bytes) -> Path:
        text = name.hex()
        return self.root / kind / text[:2] / text if kind == "packs" else self.root / kind / text

    def read_object(self, kind: str, name: bytes) -> bytes:
        try:
            data = self.path(kind, name).read_bytes()
        except FileNotFoundError:
            raise Damaged(f"{kind}/{name.hex()} is missing") from None
        require(blake3(data).digest() == name, f"{kind}/{name.hex()}: is not what its name says")
        return data

    def header(self, kind: str, data: bytes, what: str) -> Header:
        cursor = Cursor(data, what)
        magic, version, suite, type_, key_kind, epoch, repository = cursor.unpack("4sBBBBI16s")
        require(magic == b"KWOB" and version == 1 and suite in SUITES.values(), f"{what}: odd header")
        require(type_ == TYPES[kind] and repository == self.id, f"{what}: does not belong here")
        require(key_kind == (2 if kind in ("packs", "snapshots", "trash") else 1), f"{what}: odd key")
        require(epoch in self.epochs, f"{what}: unknown key epoch")
        secret, key = self.epochs[epoch]
        if key_kind == 2:
            key = unseal(secret, "keepwatch v1 session", data[:28], cursor.take(80), what)
        commitment = derive("keepwatch v1 object commitment", key)
        require(hmac.compare_digest(commitment, cursor.take(32)), f"{what}: made with another key")
        return Header(suite, epoch, key, data[: cursor.at])

    def open_object(self, kind: str, name: bytes) -> bytes:
        what = f"{kind}/{name.hex()}"
        data = self.read_object(kind, name)
        header = self.header(kind, data, what)
        key = derive("keepwatch v1 object", header.key)
        message = data[len(header.bytes) :]
        require(len(message) <= MAX_OBJECT, f"{what}: too large")
        return open_message(header.suite, key, message, header.bytes, what)

    # 4.6

    def read_index(self) -> None:
        for name in self.names("index"):
            cursor = Cursor(self.open_object("index", name), f"index/{name.hex()}")
            require(cursor.take(1) == b"\x01", f"{cursor.what}: unknown version")
            self.published.update(cursor.ids())
            self.forgotten.update(cursor.ids())
            (count,) = cursor.unpack("I")
            packs = [cursor.unpack("32sQ")[0] for _ in range(count)]
            (count,) = cursor.unpack("I")
            require(count <= 524_288, f"{cursor.what}: too many entries")
            for _ in range(count):
                chunk, pack, offset, stored, bits = cursor.unpack("32sIIII")
                require(pack < len(packs) and bits >> 30 == 0, f"{cursor.what}: odd entry")
                flags = bits >> 28
                place = Place(packs[pack], offset, stored, bits & 0xFFFFFFF, bool(flags & 1), bool(flags & 2))
                self._add(chunk, place)
            cursor.end()

    # 4.5

    def read_index_from_packs(self) -> None:
        for name in self.names("packs"):
            what = f"packs/{name.hex()}"
            header = self.verified_pack(name)
            data = self.path("packs", name).read_bytes()
            (length,) = struct.unpack("<I", data[-4:])
            require(72 <= length <= len(data) - 4 - len(header.bytes), f"{what}: odd trailer")
            trailer = data[-4 - length : -4]
            key = derive("keepwatch v1 pack trailer", self.epochs[header.epoch][1])
            commitment = derive("keepwatch v1 object commitment", key)
            require(hmac.compare_digest(commitment, trailer[:32]), f"{what}: made with another key")
            cursor = Cursor(open_message(header.suite, key, trailer[32:], header.bytes, what), what)
            offset = len(header.bytes)
            while cursor.at < len(cursor.data):
                chunk, flags, stored, plain = cursor.unpack("32sBII")
                require(flags <= 3, f"{what}: unknown flags")
                self._add(chunk, Place(name, offset, stored, plain, bool(flags & 1), bool(flags & 2)))
                offset += stored
            require(offset <= len(data) - 4 - length, f"{what}: blobs overlap the trailer")

    def _add(self, chunk: bytes, place: Place) -> None:
        """Of several places the first whose pack is there is kept."""
        if chunk not in self.index or not self.path("packs", self.index[chunk].pack).exists():
            self.index[chunk] = place

    def verified_pack(self, name: bytes) -> Header:
        """The header of a pack, whose bytes are checked against its name the first time."""
        if name not in self.verified_packs:
            what = f"packs/{name.hex()}"
            data = self.read_object("packs", name)
            require(len(data) <= MAX_PACK, f"{what}: too large")
            self.verified_packs[name] = self.header("packs", data, what)
        return self.verified_packs[name]

    # 4.4

    def chunk(self, chunk: bytes, tree: bool) -> bytes:
        what = f"chunk {chunk.hex()}"
        require(chunk in self.index, f"{what} is missing")
        place = self.index[chunk]
        require(place.tree == tree and place.plain <= MAX_CHUNK, f"{what}: odd index entry")
        header = self.verified_pack(place.pack)
        with self.path("packs", place.pack).open("rb") as pack:
            pack.seek(place.offset)
            blob = pack.read(place.stored)
        aad = b"KWBL" + bytes([1, header.suite, tree, place.zstd]) + self.id
        aad += struct.pack("<I32sI", header.epoch, chunk, place.plain)
        plain = open_message(header.suite, derive("keepwatch v1 blob", header.key), blob, aad, what)
        if place.zstd:
            plain = expand(plain, place.plain, what)
        require(len(plain) == place.plain, f"{what}: has another length")
        require(mac(self.id_key, bytes([tree]) + plain) == chunk, f"{what}: is not what its id says")
        return plain

    # 4.10

    def content_ids(self, content: "Content") -> list[bytes]:
        ids = content.ids
        for _ in range(content.level):
            joined = b"".join(self.chunk(id_, tree=True) for id_ in ids)
            require(len(joined) % 32 == 0, "a list of chunks is cut off")
            ids = [joined[at : at + 32] for at in range(0, len(joined), 32)]
        return ids

    def directory(self, content: "Content") -> Iterator["Entry"]:
        last = b""
        for id_ in self.content_ids(content):
            cursor = Cursor(self.chunk(id_, tree=True), f"directory chunk {id_.hex()}")
            require(cursor.take(1) == b"\x01", f"{cursor.what}: unknown version")
            while cursor.at < len(cursor.data):
                entry = parse_entry(Cursor(cursor.sized(), cursor.what))
                require(entry.name > last, f"{cursor.what}: names are not in order")
                last = entry.name
                yield entry

    def walk(self, content: "Content") -> Iterator[tuple[bytes, "Entry"]]:
        """Every entry below a directory with its path, a directory before what it holds."""
        stack = [(b"", self.directory(content))]
        while stack:
            prefix, entries = stack[-1]
            entry = next(entries, None)
            if entry is None:
                stack.pop()
                continue
            path = prefix + entry.name
            yield path, entry
            if entry.type == DIRECTORY:
                stack.append((path + b"/", self.directory(entry.content)))

    # 4.7

    def snapshots(self) -> list[tuple[bytes, dict]]:
        """All snapshots, oldest first."""
        found = [(name, json.loads(self.open_object("snapshots", name))) for name in self.names("snapshots")]
        require(all(record["version"] == 1 for _, record in found), "unknown snapshot version")
        return sorted(found, key=lambda item: (datetime.fromisoformat(item[1]["time"]), item[0]))

    def snapshot(self, wanted: str) -> "Content":
        found = self.snapshots()
        if wanted == "latest":
            found = found[-1:]
        matching = [record for name, record in found if wanted == "latest" or name.hex().startswith(wanted)]
        if len(matching) != 1:
            raise Problem(f"{len(matching)} snapshots match {wanted!r}")
        root = matching[0]["root"]
        return checked_content(root["level"], [bytes.fromhex(id_) for id_ in root["ids"]])


def expand(data: bytes, length: int, what: str) -> bytes:
    """One zstd frame; what it says of its size is checked before memory is allocated for it."""
    try:
        require(zstandard.frame_content_size(data) in (-1, length), f"{what}: has another length")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=length, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Damaged(f"{what}: {error}") from None


# --- 4.10 Trees ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Content:
    level: int
    ids: list[bytes]


def checked_content(level: int, ids: list[bytes]) -> Content:
    require(0 <= level <= 4 and all(len(id_) == 32 for id_ in ids), "odd content")
    return Content(level, ids)


@dataclass
class Entry:
    name: bytes
    type: int
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    inode: tuple[int, int] | None = None
    size: int = 0
    content: Content = Content(0, [])
    extents: list[tuple[int, int]] | None = None
    target: bytes = b""
    changed: bool = False


def parse_entry(cursor: Cursor) -> Entry:
    name = cursor.sized()
    require(1 <= len(name) <= 255 and name not in (b".", b".."), f"{cursor.what}: forbidden name")
    require(b"/" not in name and b"\0" not in name, f"{cursor.what}: forbidden name")
    type_ = cursor.take(1)[0]
    flags, mode, uid, gid = (cursor.varint() for _ in range(4))
    require(FILE <= type_ <= SOCKET and flags < 64 and mode < 0o10000, f"{cursor.what}: odd entry")
    allowed = {FILE: 0b111111, DIRECTORY: 0b101111}.get(type_, 0b001111)
    require(flags & ~allowed == 0, f"{cursor.what}: odd flags")
    seconds, nanoseconds = cursor.zigzag(), cursor.varint()
    require(nanoseconds < 1_000_000_000, f"{cursor.what}: odd time")
    entry = Entry(name, type_, mode, uid, gid, seconds * 1_000_000_000 + nanoseconds)
    for flag in (1, 2):  # names of owner and group, which this program has no use for
        if flags & flag:
            cursor.sized()
    if flags & 4:
        entry.inode = (cursor.varint(), cursor.varint())
    if flags & 8:  # extended attributes, likewise
        for _ in range(2 * cursor.varint()):
            cursor.sized()
    if type_ == FILE:
        entry.size = cursor.varint()
    if type_ in (FILE, DIRECTORY):
        level, count = cursor.varint(), cursor.varint()
        entry.content = checked_content(level, [cursor.take(32) for _ in range(count)])
    if type_ == SYMLINK:
        entry.target = cursor.sized()
    if type_ in (CHARACTER_DEVICE, BLOCK_DEVICE):
        cursor.varint(), cursor.varint()
    if flags & 16:
        entry.extents = [(cursor.varint(), cursor.varint()) for _ in range(cursor.varint())]
    entry.changed = type_ == FILE and bool(flags & 32)
    cursor.end()
    return entry


# --- Extracting ----------------------------------------------------------------------------------


class Extraction:
    """Writes a snapshot into an empty directory.

    The target is empty and a directory's names are distinct, so nothing that is made here can
    be a symlink that a later entry is written through.
    """

    def __init__(self, repository: Repository, target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise Problem(f"{target} is not empty")
        self.repository, self.target = repository, os.fsencode(target)
        self.links: dict[tuple[int, int], bytes] = {}
        self.left_out: list[bytes] = []

    def run(self, content: Content) -> None:
        directories = []
        for path, entry in self.repository.walk(content):
            full = os.path.join(self.target, path)
            if entry.type == DIRECTORY:
                os.mkdir(full, 0o700)
                directories.append((full, entry))
            else:
                self.make(full, path, entry)
        for full, entry in reversed(directories):  # After all that is in them, which sets their times.
            os.chmod(full, entry.mode)
            os.utime(full, ns=(entry.mtime_ns, entry.mtime_ns))

    def make(self, full: bytes, path: bytes, entry: Entry) -> None:
        if entry.inode in self.links:
            os.link(self.links[entry.inode], full, follow_symlinks=False)
            return
        if entry.type == FILE:
            self.write_file(full, path, entry)
        elif entry.type == SYMLINK:
            os.symlink(entry.target, full)
        elif entry.type == FIFO:
            os.mkfifo(full)
        else:
            self.left_out.append(path)
            return
        if entry.inode:
            self.links[entry.inode] = full
        if entry.type != SYMLINK:
            os.chmod(full, entry.mode)
        os.utime(full, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=False)

    def write_file(self, full: bytes, path: bytes, entry: Entry) -> None:
        what = os.fsdecode(path)
        extents = [(0, entry.size)] if entry.extents is None else entry.extents
        position = 0
        for offset, length in extents:
            require(position <= offset and offset + length <= entry.size, f"{what}: odd extents")
            position = offset + length
        chunks = (self.repository.chunk(id_, tree=False) for id_ in self.repository.content_ids(entry.content))
        held = b""
        with open(full, "xb") as file:
            for offset, length in extents:
                file.seek(offset)
                while length:
                    held = held or next(chunks, b"")
                    require(bool(held), f"{what}: content is too short")
                    part, held = held[:length], held[length:]
                    file.write(part)
                    length -= len(part)
            require(not held and next(chunks, None) is None, f"{what}: content is too long")
            file.truncate(entry.size)


# --- The program ---------------------------------------------------------------------------------


def shown_name(name: str | dict) -> str:
    return name if isinstance(name, str) else os.fsdecode(bytes.fromhex(name["hex"]))


def show(text: str) -> None:
    """One line on stdout; names that are not UTF-8 keep their bytes."""
    sys.stdout.buffer.write(os.fsencode(text) + b"\n")


def command_snapshots(repository: Repository) -> None:
    found = repository.snapshots()
    for name, record in found:
        paths = " ".join(shown_name(path) for path in record["paths"])
        show(f"{name.hex()[:16]}  {record['time']}  {record['host']}  {record['files']} files  {paths}")
    present = {name for name, _ in found} | repository.forgotten
    for kind, key in (("trash", "snapshot"), ("pending", "snapshot")):
        for name in repository.names(kind):
            excused = json.loads(repository.open_object(kind, name))[key]
            present.add(bytes.fromhex(excused or ""))
    lost = repository.published - present
    require(not lost, "lost or taken away: " + ", ".join(sorted(name.hex() for name in lost)))


def command_ls(repository: Repository, snapshot: str) -> None:
    kinds = {FILE: stat.S_IFREG, DIRECTORY: stat.S_IFDIR, SYMLINK: stat.S_IFLNK, FIFO: stat.S_IFIFO}
    kinds |= {CHARACTER_DEVICE: stat.S_IFCHR, BLOCK_DEVICE: stat.S_IFBLK, SOCKET: stat.S_IFSOCK}
    for path, entry in repository.walk(repository.snapshot(snapshot)):
        mode = stat.filemode(kinds[entry.type] | entry.mode)
        arrow = b" -> " + entry.target if entry.type == SYMLINK else b""
        show(f"{mode} {entry.uid:>6} {entry.gid:>6} {entry.size:>12}  /{os.fsdecode(path + arrow)}")


def command_extract(repository: Repository, snapshot: str, target: Path) -> int:
    extraction = Extraction(repository, target)
    extraction.run(repository.snapshot(snapshot))
    for path in extraction.left_out:
        print(f"left out, a device or socket: {os.fsdecode(path)!r}", file=sys.stderr)
    return 3 if extraction.left_out else 0


def command_decrypt(source: Path, output: Path, credential: Credential) -> None:
    """Writes beside the output first: what does not authenticate to its end is not left there."""
    part = output.with_name(output.name + ".part")
    try:
        with source.open("rb") as sealed, part.open("xb") as plain:
            for chunk in open_sealed_file(sealed, credential):
                plain.write(chunk)
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)


def read_credential(arguments: argparse.Namespace) -> Credential:
    if arguments.key_file:
        key = arguments.key_file.read_bytes()
        if len(key) != 32:
            raise Problem("a key file has 32 bytes")
        return Credential(key_file=key)
    if arguments.identity:
        return Credential(identity=read_identity(arguments.identity))
    if arguments.password_file:
        line = arguments.password_file.read_bytes().split(b"\n")[0]
        return Credential(passphrase=line.removesuffix(b"\r"))
    if "KEEPWATCH_PASSWORD" in os.environ:
        return Credential(passphrase=os.environb[b"KEEPWATCH_PASSWORD"])
    raise Problem("give KEEPWATCH_PASSWORD, --password-file, --key-file or --identity")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Reads a Keepwatch repository or sealed file.")
    credentials = parser.add_mutually_exclusive_group()
    for option in ("--password-file", "--key-file", "--identity"):
        credentials.add_argument(option, type=Path, metavar="FILE")
    parser.add_argument("--from-packs", action="store_true", help="rebuild the index from the packs")
    commands = parser.add_subparsers(dest="command", required=True)
    shapes = {"snapshots": ["repo"], "ls": ["repo", "snapshot"], "extract": ["repo", "snapshot", "target"]}
    for name, positionals in (shapes | {"decrypt": ["file", "output"]}).items():
        command = commands.add_parser(name)
        for positional in positionals:
            command.add_argument(positional, type=str if positional == "snapshot" else Path)
    return parser.parse_args()


def run(arguments: argparse.Namespace) -> int:
    credential = read_credential(arguments)
    if arguments.command == "decrypt":
        command_decrypt(arguments.file, arguments.output, credential)
        return 0
    repository = Repository(arguments.repo, credential)
    if arguments.from_packs:
        repository.read_index_from_packs()
    else:
        repository.read_index()
    if arguments.command == "snapshots":
        command_snapshots(repository)
    elif arguments.command == "ls":
        command_ls(repository, arguments.snapshot)
    else:
        return command_extract(repository, arguments.snapshot, arguments.target)
    return 0


def main() -> int:
    try:
        return run(parse_arguments())
    except (Problem, OSError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return getattr(problem, "exit_code", 1)


if __name__ == "__main__":
    sys.exit(main())
