"""The native half of the package: its classes and functions, and their reference."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, TypeAlias, final

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer, Self, disjoint_base

_StrPath: TypeAlias = str | PathLike[str]
_Paths: TypeAlias = _StrPath | Iterable[_StrPath]
_Strings: TypeAlias = str | Iterable[str]
_SnapshotName: TypeAlias = Snapshot | str
_Kdf: TypeAlias = Literal["argon2id", "pbkdf2"]

class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...

class _SeekableReader(_Readable, Protocol):
    def seek(self, offset: int, whence: int, /) -> object: ...
    def tell(self) -> int: ...

class _Writable(Protocol):
    def write(self, data: bytes, /) -> object: ...

__all__ = [
    "BackupReport",
    "BinaryReader",
    "ByteCounts",
    "Camera",
    "CameraStatus",
    "Change",
    "ChangeIterator",
    "CheckError",
    "CheckReport",
    "Checked",
    "Chunk",
    "Detection",
    "EnrolReport",
    "Entry",
    "EntryIterator",
    "Event",
    "EventStore",
    "EvidenceReport",
    "ExportReport",
    "Face",
    "FaceFinder",
    "FaceGallery",
    "FaceMatch",
    "FileCounts",
    "FileReport",
    "Finding",
    "ForgetEntry",
    "ForgetReport",
    "Frame",
    "GalleryImport",
    "HAS_VISION",
    "Identity",
    "KeyInfo",
    "Media",
    "Model",
    "Observation",
    "ParityCheck",
    "Person",
    "Pipeline",
    "PlateReader",
    "PlateReading",
    "Problem",
    "Progress",
    "PruneReport",
    "RefreshReport",
    "RefusedPhoto",
    "Region",
    "Remote",
    "Repository",
    "RestoreReport",
    "SealedInfo",
    "SealedReader",
    "SealedWriter",
    "SecureVisionPlateFinder",
    "SecureVisionPlateReader",
    "SecureVisionTracker",
    "Snapshot",
    "Stats",
    "VerifyReport",
    "__version__",
    "decrypt_file",
    "encrypt_file",
    "identify",
    "keygen",
    "read_plates",
    "seal",
    "sealed_info",
    "securevision_cleanup",
    "securevision_get",
    "securevision_iou",
    "securevision_list",
    "securevision_put",
    "unseal",
    "verify_evidence",
]

__version__: str
#: Whether this build has cameras.
HAS_VISION: bool

@final
class BackupReport:
    """What a backup did."""

    @property
    def snapshot(self) -> str | None:
        """The id of the snapshot; nothing after a dry run."""

    @property
    def parent(self) -> str | None:
        """The snapshot it was compared with."""

    @property
    def files(self) -> FileCounts:
        """Files."""

    @property
    def dirs(self) -> int:
        """Directories."""

    @property
    def bytes(self) -> ByteCounts:
        """Bytes."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """What could not be read, or not in one piece."""

    @property
    def duration_s(self) -> float:
        """How long it took, in seconds."""

@disjoint_base
class BinaryReader:
    """A binary file, read-only and seekable, as `open(path, "rb")` gives one."""

    def __iter__(self) -> Self: ...

    def __next__(self) -> bytes: ...

    def read(self, size: int | None = None, /) -> bytes:
        """Reads up to `size` bytes, or to the end."""

    def read1(self, size: int | None = None, /) -> bytes:
        """Reads up to `size` bytes, fewer if more would cost another look into the source."""

    def readall(self) -> bytes:
        """Reads to the end."""

    def readinto(self, buffer: Buffer) -> int:
        """Reads into a writable buffer; gives how many bytes."""

    def readline(self, size: int | None = None, /) -> bytes:
        """Reads a line, with its end."""

    def readlines(self, hint: int | None = None, /) -> list[bytes]:
        """Reads all lines, or as many as make up `hint` bytes."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Goes to a place and gives it, counted from the beginning."""

    def tell(self) -> int:
        """The place that is read next."""

    def seekable(self) -> bool: ...

    def readable(self) -> bool: ...

    def writable(self) -> bool: ...

    def isatty(self) -> bool: ...

    def flush(self) -> None:
        """Does nothing: nothing is written."""

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_exception: object) -> None: ...

    @property
    def name(self) -> str:
        """What it reads."""

    @property
    def mode(self) -> str: ...

    @property
    def closed(self) -> bool: ...

@final
class ByteCounts:
    """Bytes by what became of them."""

    @property
    def scanned(self) -> int:
        """In all files of the snapshot."""

    @property
    def new(self) -> int:
        """Not in the repository before."""

    @property
    def stored(self) -> int:
        """Added to the repository, sealed and compressed."""

@final
class Change:
    """A difference between two snapshots."""

    @property
    def path(self) -> str:
        """The path in the snapshots."""

    @property
    def change(self) -> str:
        """What differs: `added`, `removed`, `modified`, `metadata` or `type`."""

    @property
    def size_before(self) -> int:
        """Bytes in the first snapshot."""

    @property
    def size_after(self) -> int:
        """Bytes in the second snapshot."""

@final
class ChangeIterator:
    """Differences between snapshots, in the order of their paths."""

    def __iter__(self) -> Self: ...

    def __next__(self) -> Change: ...

@final
class CheckError:
    """One thing that is wrong with a repository."""

    @property
    def object(self) -> str:
        """The object, as its path in the repository."""

    @property
    def error(self) -> str:
        """What is wrong with it."""

@final
class CheckReport:
    """What a check found; true if nothing is wrong."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""

    @property
    def checked(self) -> Checked:
        """How much was checked."""

    @property
    def errors(self) -> tuple[CheckError, ...]:
        """All that is wrong."""

    @property
    def warnings(self) -> tuple[CheckError, ...]:
        """What interrupted operations have left. No snapshot lacks anything for it."""

    @property
    def parity(self) -> ParityCheck:
        """What parity there is, and what it would mend."""

    def __bool__(self) -> bool: ...

@final
class Checked:
    """How much was checked."""

    @property
    def snapshots(self) -> int:
        """Snapshots whose trees were walked."""

    @property
    def packs(self) -> int:
        """Packs that were compared with the index."""

    @property
    def chunks(self) -> int:
        """Chunks that were opened and compared with their ids, or else only found in the index."""

    @property
    def bytes(self) -> int:
        """Bytes of packs that were read."""

@final
class Chunk:
    """A chunk of a file: its place in what is stored of the file, which leaves out holes."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def offset(self) -> int:
        """Where it begins, in bytes."""

    @property
    def size(self) -> int:
        """Its length in bytes."""

@final
class Entry:
    """An entry of a snapshot."""

    @property
    def path(self) -> str:
        """Its path in the snapshot, from `/`."""

    @property
    def type(self) -> str:
        """`file`, `dir`, `symlink`, `chardev`, `blockdev`, `fifo` or `socket`."""

    @property
    def size(self) -> int:
        """Bytes of content; 0 for all but files."""

    @property
    def mode(self) -> int:
        """Permission bits."""

    @property
    def uid(self) -> int:
        """Owner."""

    @property
    def gid(self) -> int:
        """Group."""

    @property
    def user(self) -> str | None:
        """The owner's name on the machine it comes from."""

    @property
    def group(self) -> str | None:
        """The group's name on the machine it comes from."""

    @property
    def mtime(self) -> datetime:
        """Modification time."""

    @property
    def target(self) -> str | None:
        """Where a symbolic link points."""

    @property
    def changed_during_read(self) -> bool:
        """Whether the file changed while it was read."""

@final
class EntryIterator:
    """Entries of a snapshot, in the order of their paths."""

    def __iter__(self) -> Self: ...

    def __next__(self) -> Entry: ...

@final
class Event:
    """Something that a camera saw, or that happened to it."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def camera(self) -> str:
        """The camera's name."""

    @property
    def kind(self) -> str:
        """What happened: `motion`, `object`, `camera_offline`, …"""

    @property
    def started_at(self) -> datetime:
        """When it began."""

    @property
    def ended_at(self) -> datetime | None:
        """When it ended; none while it lasts."""

    @property
    def observations(self) -> tuple[Observation, ...]:
        """What was seen, oldest first; the strongest ones if there were many."""

    @property
    def snapshot(self) -> Media | None:
        """The best picture."""

    @property
    def clip(self) -> Media | None:
        """The recording."""

    @property
    def reason(self) -> str | None:
        """In words: why a camera is offline, what a gap lacks."""

    @property
    def details(self) -> Any:
        """What the program that reported it says beyond this, as `json.loads` gives it."""

@final
class EventStore:
    """Events and their recordings, encrypted and signed, in a directory."""

    @staticmethod
    def create(
        path: _StrPath,
        *,
        passphrase: str | None = None,
        key_file: _StrPath | bytes | None = None,
        recipients: _Strings | None = None,
        own_key: bool = True,
        kdf: _Kdf = "argon2id",
    ) -> EventStore:
        """Makes a store in an empty or missing directory, and opens it.

        What is recorded opens with the store's own key, and with the identities of `recipients`;
        with those alone if `own_key` is false.
        """

    @staticmethod
    def open(
        path: _StrPath,
        *,
        passphrase: str | None = None,
        key_file: _StrPath | bytes | None = None,
        identity: Identity | _StrPath | None = None,
        writable: bool = False,
    ) -> EventStore:
        """Opens a store; for reading only unless `writable`."""

    def query(
        self,
        *,
        cameras: _Strings | None = None,
        kinds: _Strings | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: str | None = None,
        oldest_first: bool = False,
        limit: int | None = None,
    ) -> list[Event]:
        """The events that answer to all of what is given, newest first.

        `since` and `until` are aware datetimes; `after` is the id of the last event of the page
        before.
        """

    def get(self, id: str, /) -> Event:
        """The event of an id."""

    def verify(
        self,
        *,
        media: bool = False,
        expect: tuple[int, str] | None = None,
    ) -> VerifyReport:
        """Verifies the chain of events and its signatures, and with `media` every recording.

        `expect` is `(head_seq, head_link)` of an earlier report, kept elsewhere: only this finds
        that the end of the chain was cut off.
        """

    def export(
        self,
        id: str,
        target: _StrPath,
        *,
        part: Literal["bundle", "clip", "snapshot"] = "bundle",
        identity: Identity | _StrPath | None = None,
        overwrite: bool = False,
    ) -> ExportReport:
        """Writes an event to a file: the signed evidence `bundle` with its recording, or only the
        `clip` (MP4) or the `snapshot` (JPEG).

        `identity` opens recordings that are sealed to a recipient and not to the store's own key.
        """

    def open_media(
        self,
        id: str,
        part: Literal["clip", "snapshot"] = "clip",
        *,
        identity: Identity | _StrPath | None = None,
    ) -> BinaryReader:
        """Opens the `clip` or the `snapshot` of an event as a binary file."""

    def close(self) -> None:
        """Ends the use of it."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_exception: object) -> None: ...

    @property
    def signer(self) -> str:
        """The ed25519 public key that signs, in hexadecimal digits: who verifies evidence should have
        it from here, not from the evidence.
        """

    @property
    def closed(self) -> bool:
        """Whether it is closed."""

    @property
    def path(self) -> Path:
        """Where it is."""

@final
class EvidenceReport:
    """What an evidence bundle proves."""

    @property
    def store(self) -> str:
        """The id of the store."""

    @property
    def signer(self) -> str:
        """The ed25519 public key that signed it. It proves who only to somebody who knows the key."""

    @property
    def event(self) -> Event:
        """The event, as the store recorded it last."""

    @property
    def seq(self) -> int:
        """The number of its record in the chain."""

    @property
    def signed_at(self) -> datetime:
        """When the store signed the chain with the event in it, by its own clock."""

    @property
    def exported_at(self) -> datetime:
        """When the bundle was made."""

@final
class ExportReport:
    """What was exported."""

    @property
    def event(self) -> Event:
        """The event."""

    @property
    def file(self) -> Path:
        """The file that was written."""

    @property
    def bytes(self) -> int:
        """Its length in bytes."""

    @property
    def complete(self) -> bool:
        """Whether the recording in it was written to its end."""

@final
class FileCounts:
    """Files by what became of them."""

    @property
    def new(self) -> int:
        """Not in the last backup."""

    @property
    def changed(self) -> int:
        """Other content than in the last backup."""

    @property
    def unmodified(self) -> int:
        """The same content as in the last backup."""

    @property
    def failed(self) -> int:
        """Not readable."""

@final
class FileReport:
    """What encrypting or decrypting a file did."""

    @property
    def input(self) -> Path:
        """The file that was read."""

    @property
    def output(self) -> Path:
        """The file that was written."""

    @property
    def bytes(self) -> int:
        """Bytes of plaintext."""

@final
class Finding:
    """Something that is wrong with an event store."""

    @property
    def kind(self) -> str:
        """What kind of fault."""

    @property
    def seq(self) -> int | None:
        """The record."""

    @property
    def id(self) -> str | None:
        """The event or segment."""

    @property
    def detail(self) -> str:
        """In words."""

@final
class ForgetEntry:
    """A snapshot in a report of `forget`."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def time(self) -> datetime:
        """When it was made."""

    @property
    def host(self) -> str:
        """On which machine."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Of which paths."""

    @property
    def tags(self) -> tuple[str, ...]:
        """With which tags."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it stays; nothing for those that go."""

@final
class ForgetReport:
    """What was forgotten, or would be."""

    @property
    def kept(self) -> tuple[ForgetEntry, ...]:
        """Those that a policy kept."""

    @property
    def removed(self) -> tuple[ForgetEntry, ...]:
        """Those that are in the trash now."""

@final
class Identity:
    """A secret key, whose holder opens what is sealed to its recipient.

    It is an age identity: `age` and Keepwatch take each other's.
    """

    @staticmethod
    def parse(text: str) -> Identity:
        """Reads `AGE-SECRET-KEY-1…`."""

    @staticmethod
    def load(path: _StrPath) -> Identity:
        """Reads the first identity of a file as `keygen` or `age-keygen` writes it."""

    def expose(self) -> str:
        """The secret, `AGE-SECRET-KEY-1…`: for a place that keeps secrets."""

    @property
    def recipient(self) -> str:
        """What others seal to: `age1…`."""

@final
class KeyInfo:
    """A key slot, as far as it may be shown."""

    @property
    def id(self) -> str:
        """The object's id; it changes when the slot is renewed."""

    @property
    def slot(self) -> str:
        """The slot's own id, which stays."""

    @property
    def role(self) -> str:
        """What it may do: `full` or `writer`."""

    @property
    def label(self) -> str:
        """The name given to it."""

    @property
    def credential(self) -> str:
        """What opens it."""

    @property
    def created(self) -> datetime:
        """When it was made."""

    @property
    def epoch(self) -> int:
        """The newest key epoch it can read."""

@final
class Media:
    """A sealed file that belongs to an event."""

    @property
    def path(self) -> str:
        """Where it is: a path below the store."""

    @property
    def bytes(self) -> int:
        """Its length in bytes, sealed."""

    @property
    def blake3(self) -> str:
        """BLAKE3 of the sealed file, in hexadecimal digits."""

    @property
    def complete(self) -> bool:
        """Whether it was written to its end. What a crash cut off can be read up to there."""

    @property
    def started_at(self) -> datetime:
        """The time of its first frame."""

    @property
    def duration_ms(self) -> int:
        """How long it plays, in milliseconds; 0 for a picture."""

@final
class Observation:
    """What one frame showed of an event."""

    @property
    def at(self) -> datetime:
        """When the frame was taken."""

    @property
    def label(self) -> str:
        """What it is: `motion`, the class of an object, a person, the text of a plate."""

    @property
    def score(self) -> float:
        """How sure, or how much of the picture moves; 0 to 1."""

    @property
    def region(self) -> Region | None:
        """Where in the picture."""

    @property
    def track(self) -> int | None:
        """The track that it belongs to, unique within a camera's run."""

@final
class Problem:
    """Something that could not be done with one path, or one object."""

    @property
    def path(self) -> str:
        """The path."""

    @property
    def error(self) -> str:
        """What is wrong."""

@final
class Progress:
    """How far an operation has come."""

    @property
    def files(self) -> int:
        """Files done."""

    @property
    def bytes(self) -> int:
        """Bytes done."""

    @property
    def total_files(self) -> int:
        """Files to do, as far as is known."""

    @property
    def total_bytes(self) -> int:
        """Bytes to do, as far as is known."""

    @property
    def messages(self) -> list[str]:
        """What could not be done, since the last call."""

@final
class PruneReport:
    """What `prune` did, or would do."""

    @property
    def packs_removed(self) -> int:
        """Packs removed without replacement."""

    @property
    def packs_rewritten(self) -> int:
        """Packs whose live chunks were copied to others."""

    @property
    def bytes_freed(self) -> int:
        """How many bytes the repository became smaller."""

    @property
    def packs_waiting(self) -> int:
        """Packs that no index names: removed by the next run unless a backup needs them."""

    @property
    def snapshots_purged(self) -> int:
        """Forgotten snapshots that are gone for good now."""

@final
class Region:
    """A rectangle in a picture, in fractions of its width and height; the origin is the top left."""

    @property
    def x(self) -> float:
        """The left edge, 0 to 1."""

    @property
    def y(self) -> float:
        """The upper edge, 0 to 1."""

    @property
    def w(self) -> float:
        """The width, 0 to 1."""

    @property
    def h(self) -> float:
        """The height, 0 to 1."""

@final
class Remote:
    """How a repository on another machine is reached.

    What is not given is looked for where the provider's own tools look for it: in variables as
    `AWS_ACCESS_KEY_ID`, in profiles, in SSH's configuration. Limits are bytes a second; what does not
    work is tried again for `patience` seconds.
    """

    def __new__(
        cls,
        *,
        user: str | None = None,
        password: str | None = None,
        key_file: _StrPath | None = None,
        known_hosts: _StrPath | None = None,
        upload_limit: int | None = None,
        download_limit: int | None = None,
        connections: int | None = None,
        patience: int | None = None,
    ) -> Self: ...

@final
class Repository:
    """An encrypted, deduplicated repository of backups.

    Threads may share it. In a `with` block it is closed at the end.
    """

    @staticmethod
    def init(
        path: _StrPath,
        *,
        passphrase: str | None = None,
        key_file: _StrPath | bytes | None = None,
        recipients: _Strings | None = None,
        kdf: _Kdf = "argon2id",
        suite: str | None = None,
        chunker: Literal["gear-keyed", "prf"] = "gear-keyed",
        pack_size: int | None = None,
        padding: Literal["none", "padme"] = "none",
        label: str = "first",
        cache_dir: _StrPath | None = None,
        use_cache: bool = True,
        remote: Remote | None = None,
    ) -> Repository:
        """Makes a repository in an empty or missing directory, or at an address as
        `s3://bucket/prefix`, and opens it.
        """

    @staticmethod
    def open(
        path: _StrPath,
        *,
        passphrase: str | None = None,
        key_file: _StrPath | bytes | None = None,
        identity: Identity | _StrPath | None = None,
        cache_dir: _StrPath | None = None,
        use_cache: bool = True,
        remote: Remote | None = None,
    ) -> Repository:
        """Opens a repository: a directory, or an address as `s3://bucket/prefix`."""

    def backup(
        self,
        paths: _Paths,
        *,
        exclude: _Strings | None = None,
        exclude_files: _Paths | None = None,
        exclude_caches: bool = False,
        exclude_if_present: _Strings | None = None,
        exclude_larger_than: int | None = None,
        gitignore: bool = False,
        one_file_system: bool = False,
        tags: _Strings | None = None,
        host: str | None = None,
        mode: Literal["full", "incremental", "differential"] = "incremental",
        compression: Literal["off", "fast", "better", "max"] = "fast",
        dry_run: bool = False,
        allow_partial: bool = False,
        progress: Callable[[Progress], object] | None = None,
    ) -> BackupReport:
        """Backs files and directories up into a new snapshot.

        `progress` is called with a `Progress` at the beginning, some twenty times a second, and at
        the end; what it raises stops the backup, leaves the repository whole and comes out.
        """

    def backup_stream(
        self,
        name: str,
        source: _Readable,
        *,
        tags: _Strings | None = None,
        host: str | None = None,
        compression: Literal["off", "fast", "better", "max"] = "fast",
        progress: Callable[[Progress], object] | None = None,
    ) -> BackupReport:
        """Backs what a binary file gives up as a file of the name.

        There is no snapshot if reading raises; the exception comes out.
        """

    def keys(self) -> list[KeyInfo]:
        """All key slots that can be read."""

    def add_key(
        self,
        *,
        passphrase: str | None = None,
        key_file: _StrPath | bytes | None = None,
        recipient: str | None = None,
        role: Literal["full", "writer"] = "full",
        label: str = "",
        kdf: _Kdf = "argon2id",
    ) -> KeyInfo:
        """Adds a key slot: a `full` one, or that of a `writer`, who adds backups and reads nothing."""

    def remove_key(self, name: str, /) -> KeyInfo:
        """Removes the key slot of a label, or of the first digits of an id."""

    def change_key(
        self,
        *,
        passphrase: str | None = None,
        key_file: _StrPath | bytes | None = None,
        recipient: str | None = None,
        kdf: _Kdf = "argon2id",
    ) -> KeyInfo:
        """Changes what opens the key slot that this repository was opened with."""

    def rotate_key(self) -> int:
        """Starts a new key epoch; gives its number. Open the repository anew to write under it."""

    def close(self) -> None:
        """Ends the use of it; a second call does nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_exception: object) -> None: ...

    def snapshots(
        self,
        *,
        host: str | None = None,
        tags: _Strings | None = None,
        paths: _Paths | None = None,
        skip_damaged: bool = False,
    ) -> list[Snapshot]:
        """All snapshots that answer to what is given, oldest first."""

    def snapshot(
        self,
        name: _SnapshotName | None = None,
        *,
        host: str | None = None,
        tags: _Strings | None = None,
        paths: _Paths | None = None,
    ) -> Snapshot:
        """The snapshot of a name: `latest`, its id, or the first digits of it."""

    def ls(
        self,
        snapshot: _SnapshotName,
        path: _StrPath | None = None,
        *,
        recursive: bool = True,
    ) -> EntryIterator:
        """Iterates over the entries of a snapshot, beneath a path if one is given."""

    def diff(
        self,
        before: _SnapshotName,
        after: _SnapshotName,
        path: _StrPath | None = None,
    ) -> ChangeIterator:
        """Iterates over the differences between two snapshots."""

    def open_file(self, snapshot: _SnapshotName, path: _StrPath) -> BinaryReader:
        """Opens a file of a snapshot as a binary file that can seek."""

    def chunks(self, snapshot: _SnapshotName, path: _StrPath) -> list[Chunk]:
        """The chunks that a file of a snapshot is stored as, in order."""

    def read_chunk(self, id: str, /) -> bytes:
        """The content of a chunk, verified."""

    def restore(
        self,
        snapshot: _SnapshotName,
        target: _StrPath,
        *,
        path: _StrPath | None = None,
        include: _Strings | None = None,
        exclude: _Strings | None = None,
        overwrite: Literal["never", "if-changed", "always"] | None = None,
        delete: bool = False,
        numeric_owner: bool = False,
        dry_run: bool = False,
        allow_partial: bool = False,
        progress: Callable[[Progress], object] | None = None,
    ) -> RestoreReport:
        """Restores a snapshot, or what is at a path of it, into a directory.

        A target that is not empty is refused unless `overwrite` says what to do with files that
        are there: `never`, `if-changed` or `always`.
        """

    def check(
        self,
        *,
        read_data: bool = False,
        subset: str | int | None = None,
        progress: Callable[[Progress], object] | None = None,
    ) -> CheckReport:
        """Looks for damage: structure always, all data with `read_data`, a part of it with `subset`
        (`1/7`, `5%`, or bytes).

        What is wrong is in the report, which is true only if nothing is.
        """

    def stats(
        self,
        *,
        host: str | None = None,
        tags: _Strings | None = None,
        paths: _Paths | None = None,
    ) -> Stats:
        """Counts what the snapshots that answer to what is given hold."""

    def forget(
        self,
        snapshots: _SnapshotName | Iterable[_SnapshotName] | None = None,
        *,
        keep_last: int | None = None,
        keep_hourly: int | None = None,
        keep_daily: int | None = None,
        keep_weekly: int | None = None,
        keep_monthly: int | None = None,
        keep_yearly: int | None = None,
        keep_within: timedelta | str | None = None,
        keep_tags: _Strings | None = None,
        max_age: timedelta | str | None = None,
        max_count: int | None = None,
        group_by: _Strings | None = None,
        allow_empty: bool = False,
        host: str | None = None,
        tags: _Strings | None = None,
        paths: _Paths | None = None,
        pinned: bool = False,
        dry_run: bool = False,
    ) -> ForgetReport:
        """Moves snapshots to the trash: those that are named, or those that a policy does not keep.

        `prune` removes what is in the trash for good; until then `unforget` takes it back.
        """

    def unforget(self, name: str, /) -> Snapshot:
        """Takes a forgotten snapshot back; it has another id from now on."""

    def prune(
        self,
        *,
        max_unused: float = 5.0,
        keep_trash: timedelta | str | None = None,
        drop_pending: bool = False,
        dry_run: bool = False,
    ) -> PruneReport:
        """Frees what no snapshot needs.

        `max_unused` is how much may stay unused rather than be copied, in percent; snapshots
        forgotten more recently than `keep_trash` ago stay in the trash.
        """

    @property
    def path(self) -> Path:
        """Where it is."""

    @property
    def id(self) -> str:
        """The repository's own id."""

    @property
    def closed(self) -> bool:
        """Whether it is closed."""

    @property
    def role(self) -> str:
        """What the key that opened it may do: `full` or `writer`."""

@final
class RestoreReport:
    """What a restore did."""

    @property
    def files(self) -> int:
        """Files, links and other entries that were written."""

    @property
    def dirs(self) -> int:
        """Directories that were made or updated."""

    @property
    def bytes(self) -> int:
        """Bytes of content that were written."""

    @property
    def skipped(self) -> int:
        """Entries that were there and stayed."""

    @property
    def deleted(self) -> int:
        """Entries that `delete` removed."""

    @property
    def damaged(self) -> bool:
        """Whether something could not be restored because the repository is damaged."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Entries that could not be restored, or not wholly."""

@final
class SealedInfo:
    """What anyone can read in the header of a sealed file. None of it is authenticated until the
    file is opened.
    """

    @property
    def suite(self) -> str:
        """The cipher suite."""

    @property
    def chunk_size(self) -> int:
        """The chunk size in bytes."""

    @property
    def slots(self) -> tuple[str, ...]:
        """What opens it."""

    @property
    def plaintext_bytes(self) -> int | None:
        """Bytes of plaintext; none for a file of no possible length."""

@final
class SealedReader(BinaryReader):
    """The plaintext of a sealed file, to be read at any place, of a path or of a binary file that can
    seek.
    """

    def __new__(
        cls,
        source: _StrPath | _SeekableReader,
        *,
        passphrase: str | None = None,
        key_file: _StrPath | bytes | None = None,
        identity: Identity | _StrPath | None = None,
    ) -> Self: ...

@final
class SealedWriter:
    """A binary file that seals what is written to it.

    Leaving its `with` block ends the file; leaving it by an exception, or never closing it, leaves
    no file of that name (and in a file object of yours one that does not open).
    """

    def __new__(
        cls,
        target: _StrPath | _Writable,
        *,
        passphrase: str | None = None,
        key_file: _StrPath | bytes | None = None,
        recipients: _Strings | None = None,
        kdf: _Kdf = "argon2id",
        overwrite: bool = False,
    ) -> Self: ...

    def write(self, data: Buffer, /) -> int:
        """Seals bytes; gives how many."""

    def flush(self) -> None:
        """Flushes what is below. What is not yet a whole chunk stays here until the end."""

    def tell(self) -> int:
        """Bytes written so far."""

    def close(self) -> None:
        """Ends the file: only now it is whole, and has its name. A second call does nothing."""

    def abort(self) -> None:
        """Gives the file up: nothing is left of it under its name."""

    def readable(self) -> bool: ...

    def seekable(self) -> bool: ...

    def writable(self) -> bool: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_exception: object) -> None: ...

    @property
    def name(self) -> str:
        """What it writes."""

    @property
    def closed(self) -> bool:
        """Whether it is closed."""

@final
class SecureVisionTracker:
    """The tracker, with frames for time. Needs cameras."""

    def __new__(cls, iou_threshold: float, max_age: int) -> SecureVisionTracker: ...
    def update(
        self, detections: Sequence[tuple[tuple[float, float, float, float], float]]
    ) -> list[tuple[int, bool, int | None]]:
        """Takes the detections of the next frame.

        Gives each track's id, whether it is lost, and which of the detections was it.
        """

@final
class Snapshot:
    """A snapshot."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def time(self) -> datetime:
        """When the backup began."""

    @property
    def host(self) -> str:
        """The machine it was made on."""

    @property
    def user(self) -> str:
        """The user who made it."""

    @property
    def paths(self) -> tuple[str, ...]:
        """What was backed up."""

    @property
    def tags(self) -> tuple[str, ...]:
        """Words given by the user."""

    @property
    def files(self) -> int:
        """How many files it holds."""

    @property
    def bytes(self) -> int:
        """How many bytes its files have."""

    @property
    def failed(self) -> int:
        """How many entries could not be read."""

    @property
    def parent(self) -> str | None:
        """The snapshot it was compared with."""

    @property
    def program(self) -> str:
        """The program that made it."""

@final
class Stats:
    """What a repository holds."""

    @property
    def snapshots(self) -> int:
        """Snapshots counted."""

    @property
    def files(self) -> int:
        """Files in them."""

    @property
    def dirs(self) -> int:
        """Directories in them."""

    @property
    def restore_bytes(self) -> int:
        """Bytes that a restore of all of them would write."""

    @property
    def chunks(self) -> int:
        """Different chunks that they need."""

    @property
    def chunk_bytes(self) -> int:
        """Bytes of plaintext in those chunks."""

    @property
    def stored_bytes(self) -> int:
        """Bytes that those chunks take in packs."""

    @property
    def packs(self) -> int:
        """Packs in the repository."""

    @property
    def pack_bytes(self) -> int:
        """Bytes of all packs."""

@final
class VerifyReport:
    """What a verification of an event store saw; true if nothing is wrong."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""

    @property
    def records(self) -> int:
        """Records that are there."""

    @property
    def checkpoints(self) -> int:
        """Good signatures."""

    @property
    def unsigned(self) -> int:
        """Records after the last signature: their order is proven by the next one only."""

    @property
    def head_seq(self) -> int:
        """The last record; 0 if there is none."""

    @property
    def head_link(self) -> str:
        """Its link. Kept elsewhere, it proves later that the chain was not cut off."""

    @property
    def signer(self) -> str:
        """The ed25519 public key of the signatures, in hexadecimal digits."""

    @property
    def gaps(self) -> int:
        """Runs of records that were purged, and signed for."""

    @property
    def purged(self) -> int:
        """How many records they had."""

    @property
    def media(self) -> int:
        """Media files that were looked at."""

    @property
    def incomplete_media(self) -> int:
        """Media files that a crash cut off, as their events say."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong, up to a thousand of them."""

    @property
    def more_findings(self) -> int:
        """How many more there are."""

    def __bool__(self) -> bool: ...

def decrypt_file(
    source: _StrPath,
    target: _StrPath | None = None,
    *,
    passphrase: str | None = None,
    key_file: _StrPath | bytes | None = None,
    identity: Identity | _StrPath | None = None,
    format: Literal["kw", "backuphandler"] | None = None,
    overwrite: bool = False,
    progress: Callable[[Progress], object] | None = None,
) -> FileReport:
    """Decrypts a file. Nothing is left of it when that fails."""

def encrypt_file(
    source: _StrPath,
    target: _StrPath | None = None,
    *,
    passphrase: str | None = None,
    key_file: _StrPath | bytes | None = None,
    recipients: _Strings | None = None,
    format: Literal["kw", "backuphandler"] = "kw",
    kdf: _Kdf = "argon2id",
    overwrite: bool = False,
    progress: Callable[[Progress], object] | None = None,
) -> FileReport:
    """Encrypts a file, for all who hold the passphrase, the key file or the identity of a recipient.

    The file appears under its name when it is whole, readable by its owner only.
    """

def keygen(path: _StrPath | None = None) -> Identity:
    """Makes an identity. Its recipient is what others seal to; the identity opens that.

    With `path` it is also written to a new file, as `keepwatch keygen` does.
    """

def seal(
    data: Buffer,
    *,
    passphrase: str | None = None,
    key_file: _StrPath | bytes | None = None,
    recipients: _Strings | None = None,
    kdf: _Kdf = "argon2id",
) -> bytes:
    """Seals bytes."""

def sealed_info(path: _StrPath, /) -> SealedInfo:
    """Reads the header of a sealed file."""

# Faces and plates.

class _Array(Protocol):
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> Any: ...
    def tobytes(self) -> bytes: ...

_Picture: TypeAlias = _StrPath | bytes | bytearray | memoryview | _Array | Frame
_Channels: TypeAlias = Literal["rgb", "bgr"]
_Backend: TypeAlias = Literal["auto", "onnxruntime", "tract"]
_Region: TypeAlias = Literal["eu", "us", "br", "de", "custom"]
_Box: TypeAlias = tuple[float, float, float, float]
_Point: TypeAlias = tuple[float, float]

@disjoint_base
class Face:
    """A face in a picture."""

    @property
    def bbox(self) -> _Box:
        """Left, top, width and height in pixels."""

    @property
    def landmarks(self) -> tuple[_Point, _Point, _Point, _Point, _Point] | None:
        """Right eye, left eye, nose, right and left corner of the mouth, each x and y in pixels;
        right and left are the person's.
        """

    @property
    def score(self) -> float:
        """How sure it is that it is a face, 0 to 1."""

    @property
    def size(self) -> float | None:
        """The shorter side of its box in pixels; none for a face without landmarks, as below."""

    @property
    def sharpness(self) -> float | None:
        """How sharp it is: the variance of the Laplacian of its brightness, aligned."""

    @property
    def turn(self) -> float | None:
        """How far it is turned to a side: 0 from the front, 1 with the nose as far aside as an eye."""

    @property
    def refused(self) -> str | None:
        """Why it cannot be compared with anybody; none if it can."""

    @property
    def embedding(self) -> tuple[float, ...] | None:
        """The face in numbers, of length 1; none if it cannot be compared. The cosine of two of
        them, of one model, is how similar the faces are. Who it is can be told from them: keep them
        as what they are, biometric data.
        """

@final
class FaceFinder:
    """Finds faces in pictures, and makes numbers of them that can be compared."""

    def __new__(
        cls,
        *,
        detector: Model | _StrPath | None = None,
        embedder: Model | _StrPath | None = None,
        config: _StrPath | Mapping[str, Any] | None = None,
        min_score: float | None = None,
        longest_side: int | None = None,
        min_size: float | None = None,
        min_sharpness: float | None = None,
        max_turn: float | None = None,
        backend: _Backend | None = None,
        library: _StrPath | None = None,
    ) -> Self:
        """Loads the networks: a `detector` (YuNet or SCRFD) and an `embedder` (of ArcFace's kind),
        each a path or a Model. `config` is a configuration (docs/CONFIG.md), its path or a
        dictionary of what is in it; arguments count before it.

        `min_score` is the least score of the detector, 0 to 1, and `longest_side` the size it works
        at, where it has none of its own. Faces that are smaller than `min_size` pixels, less sharp
        than `min_sharpness` or turned further than `max_turn` are found and have no embedding.

        `backend` is what computes; `library` is that of ONNX Runtime.
        """

    def find(self, picture: _Picture, *, channels: _Channels = "rgb") -> list[Face]:
        """The faces of a picture, the surest first.

        `picture` is a path, the bytes of a picture file, a NumPy array (`uint8`, `[height, width]` of
        brightness or `[height, width, 3]` of colours) or a Frame. `channels` is the order of the
        colours in an array, `rgb`, or `bgr` as OpenCV has it.
        """

    @property
    def model(self) -> str:
        """The SHA-256 of the model that makes numbers of faces, in hexadecimal digits: those of two
        models cannot be compared.
        """

    @property
    def dimensions(self) -> int:
        """How many numbers a face has."""

@final
class FaceMatch(Face):
    """A face in a picture, and whose it is."""

    @property
    def name(self) -> str | None:
        """Whose it is; none for somebody who is not enrolled, or a face that cannot be compared."""

    @property
    def similarity(self) -> float | None:
        """How similar it is to the nearest person, whether it is them or not: a cosine, -1 to 1.
        None if nobody is enrolled, or the face cannot be compared.
        """

    @property
    def second(self) -> float | None:
        """The same of the second person, if there is one."""

@final
class FaceGallery:
    """The people whose faces are known, kept in an event store, encrypted with its key."""

    def __new__(
        cls,
        store: EventStore,
        *,
        detector: Model | _StrPath | None = None,
        embedder: Model | _StrPath | None = None,
        config: _StrPath | Mapping[str, Any] | None = None,
        threshold: float | None = None,
        margin: float | None = None,
        min_score: float | None = None,
        longest_side: int | None = None,
        min_size: float | None = None,
        min_sharpness: float | None = None,
        max_turn: float | None = None,
        backend: _Backend | None = None,
        library: _StrPath | None = None,
    ) -> Self:
        """The gallery of an event store: the one that `keepwatch face` uses, too.

        To enrol and identify, it needs networks: a `detector` (YuNet or SCRFD) and an `embedder` (of
        ArcFace's kind), each a path or a Model, or a `config` that names them: a configuration
        (docs/CONFIG.md), its path or a dictionary of what is in it; arguments count before it. Who is
        enrolled is known, and forgotten, without them.

        A face is a person's that is at least as similar as `threshold`, and by `margin` more than to
        the next; without a threshold, that of the model holds. The rest is as for FaceFinder.
        """

    def enroll(
        self,
        name: str,
        /,
        *photos: _Picture,
        channels: _Channels = "rgb",
        allow_partial: bool = False,
    ) -> EnrolReport:
        """Adds photographs of somebody, who may be new, with one face each: seen from the front,
        sharp, at least 60 pixels wide. Bystanders that are much smaller do not count.

        Photographs are as for `identify`. If one cannot be used, PictureError says which and why, and
        nobody is enrolled; with `allow_partial`, the report says so, and the others are.
        """

    def identify(self, picture: _Picture, *, channels: _Channels = "rgb") -> list[FaceMatch]:
        """Whose the faces of a picture are, the surest first.

        `picture` is a path, the bytes of a picture file, a NumPy array (`uint8`, `[height, width]` of
        brightness or `[height, width, 3]` of colours) or a Frame. `channels` is the order of the
        colours in an array, `rgb`, or `bgr` as OpenCV has it.
        """

    def people(self) -> list[Person]:
        """Who is enrolled, by name."""

    def remove(self, name: str, /) -> int:
        """Forgets somebody, with all photographs, of which it gives the number. Events that name
        them stay: `keepwatch face purge-events` deletes those.
        """

    def refresh(self) -> RefreshReport:
        """Enrols everybody anew with the model that is used now, after another one was used before.
        Whose photographs were not kept, as those of SecureVision, is lost, as the report says.
        """

    def import_npz(self, path: _StrPath, /) -> GalleryImport:
        """Adds the people of a gallery of SecureVision, `gallery.npz`. It must be of the same
        embedder: the file does not say of which it is.
        """

    @property
    def model(self) -> str | None:
        """The SHA-256 of the model that makes numbers of faces, in hexadecimal digits, if there is
        one.
        """

    @property
    def threshold(self) -> float | None:
        """The least similarity with somebody that is enough, if there are networks."""

    def __len__(self) -> int: ...
    def __contains__(self, name: str, /) -> bool: ...

@final
class Model:
    """A neural network in a file (ONNX)."""

    def __new__(
        cls,
        path: _StrPath,
        *,
        sha256: str | None = None,
        kind: Literal["yunet", "scrfd", "yolo", "arcface"] | None = None,
        normalization: Literal["arcface", "imagenet"] | None = None,
    ) -> Self:
        """Names one; it is read when it is used.

        With `sha256`, a file that has changed is refused. `kind` is needed where the inputs and
        outputs of the network do not tell. `normalization` is what an embedder of faces was trained
        with, where it is not known.
        """

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def sha256(self) -> str | None:
        """What its SHA-256 must be, in hexadecimal digits."""

@final
class PlateReader:
    """Finds and reads licence plates."""

    def __new__(
        cls,
        *,
        region: _Region | None = None,
        patterns: _Strings | None = None,
        allow_list: _StrPath | None = None,
        deny_list: _StrPath | None = None,
        allow_distance: float | None = None,
        deny_distance: float | None = None,
        min_confidence: float | None = None,
        finder: Literal["network", "classical"] | None = None,
        detector: Model | _StrPath | None = None,
        config: _StrPath | Mapping[str, Any] | None = None,
        backend: _Backend | None = None,
        library: _StrPath | None = None,
    ) -> Self:
        """Makes ready what finds and reads plates, which is part of the package.

        `region` is where they are from, `eu` unless something else is said; or `patterns` are
        regular expressions for what they look like, such as `[A-Z]{2}[0-9]{3,4}`. The lists are
        files with a plate in each line, or `plate_text,description`; a reading is on a list that is
        as near to one of its plates as `allow_distance` and `deny_distance` say: characters that are
        taken for each other count less than 1, others 1. Files that change are read again. Readings
        that are less sure than `min_confidence`, 0 to 1, are left out.

        `finder` is `network` or `classical`, without a network; `detector` finds plates instead of
        the network that is part of the package: a Model of the YOLOv8 family, or its path. `config`,
        `backend` and `library` are as for FaceFinder.
        """

    def read(self, picture: _Picture, *, channels: _Channels = "rgb") -> list[PlateReading]:
        """The plates of a picture, the likeliest first.

        `picture` is a path, the bytes of a picture file, a NumPy array (`uint8`, `[height, width]` of
        brightness or `[height, width, 3]` of colours) or a Frame. `channels` is the order of the
        colours in an array, `rgb`, or `bgr` as OpenCV has it.
        """

    @property
    def region(self) -> _Region:
        """Where plates are from: `eu`, `us`, `br`, `de`, or `custom` with patterns."""

@final
class EnrolReport:
    """What became of photographs of somebody."""

    @property
    def name(self) -> str:
        """Their name."""

    @property
    def added(self) -> int:
        """Photographs that were added."""

    @property
    def known(self) -> int:
        """Photographs that were there."""

    @property
    def photos(self) -> int:
        """Photographs that the person has now."""

    @property
    def refused(self) -> tuple[RefusedPhoto, ...]:
        """Those that could not be used."""

    @property
    def resembles(self) -> str | None:
        """Somebody else whom the person looks like: faces between the two are nobody's."""

    @property
    def similarity(self) -> float | None:
        """How similar they are."""

@final
class GalleryImport:
    """What became of a gallery of SecureVision."""

    @property
    def people(self) -> int:
        """How many people were in it."""

    @property
    def added(self) -> int:
        """How many of them are new."""

@final
class ParityCheck:
    """What a check says about parity."""

    @property
    def objects(self) -> int:
        """Parity objects."""

    @property
    def packs_unprotected(self) -> int:
        """Packs that come neither back from damage nor from loss, although there is parity."""

    @property
    def mendable(self) -> tuple[str, ...]:
        """Damaged and missing objects that `keepwatch repair` would bring back from it."""

@final
class Person:
    """Somebody who is enrolled."""

    @property
    def name(self) -> str:
        """Their name."""

    @property
    def photos(self) -> int:
        """How many photographs there are of them."""

    @property
    def added(self) -> datetime | None:
        """When the last of them was added."""

@final
class PlateReading:
    """A plate that was read."""

    @property
    def text(self) -> str:
        """Capitals and digits, corrected where the region's patterns tell letters from digits."""

    @property
    def text_raw(self) -> str:
        """As it was read."""

    @property
    def confidence(self) -> float:
        """How sure the reading is, 0 to 1."""

    @property
    def bbox(self) -> _Box:
        """Left, top, width and height in pixels."""

    @property
    def corners(self) -> tuple[_Point, _Point, _Point, _Point]:
        """Top left, top right, bottom right and bottom left, each x and y in pixels."""

    @property
    def fits(self) -> bool:
        """Whether plates of the region look so."""

    @property
    def matched_list(self) -> Literal["allow", "deny"] | None:
        """On which list it is: `allow`, `deny`, or none."""

    @property
    def matched_plate(self) -> str | None:
        """The plate as the list has it."""

    @property
    def description(self) -> str | None:
        """What the list says of it."""

@final
class RefreshReport:
    """What became of a gallery that was made anew."""

    @property
    def model(self) -> str:
        """The SHA-256 of the model that it is of now."""

    @property
    def people(self) -> int:
        """How many people are in it."""

    @property
    def lost(self) -> tuple[tuple[str, int], ...]:
        """Who has lost photographs: names, each with how many."""

@final
class RefusedPhoto:
    """A photograph that nobody could be enrolled with."""

    @property
    def photo(self) -> str:
        """Its path, or which one it is."""

    @property
    def problem(self) -> str:
        """Why not."""

@final
class SecureVisionPlateFinder:
    """Finds plates in OpenCV's pictures."""

    def __new__(
        cls,
        model: _StrPath | None = None,
        *,
        score: float = 0.25,
        overlap: float = 0.45,
        side: int | None = None,
    ) -> Self:
        """With a model of the YOLOv8 family (ONNX), or the network that is part of the package."""

    def find(self, picture: _Picture, /) -> list[tuple[float, float, float, float, float]]:
        """Left, top, right and bottom of each in pixels, and its score, the likeliest first."""

@final
class SecureVisionPlateReader:
    """Reads plates in OpenCV's pictures."""

    def __new__(cls) -> Self:
        """With the network that is part of the package."""

    def read(self, picture: _Picture, bbox: _Box, /) -> tuple[str, float]:
        """The text within left, top, right and bottom, and how sure it is, 0 to 1."""

def identify(
    picture: _Picture, gallery: FaceGallery, *, channels: _Channels = "rgb"
) -> list[FaceMatch]:
    """Whose the faces of a picture are: `gallery.identify(picture)`."""

def read_plates(
    picture: _Picture,
    *,
    region: _Region | None = None,
    patterns: _Strings | None = None,
    allow_list: _StrPath | None = None,
    deny_list: _StrPath | None = None,
    min_confidence: float | None = None,
    channels: _Channels = "rgb",
) -> list[PlateReading]:
    """Finds and reads the licence plates of a picture, the likeliest first.

    The arguments are those of PlateReader and its `read`. What reads is kept for the next call with
    the same arguments; who needs several at once keeps a PlateReader for each.
    """

class _Report(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def camera(self) -> str: ...
    @property
    def ts_ms(self) -> int: ...
    @property
    def label(self) -> str: ...
    @property
    def score(self) -> float: ...
    @property
    def track(self) -> int | None: ...
    @property
    def details(self) -> str: ...
    @property
    def seed(self) -> bytes | None: ...

def securevision_cleanup(store: EventStore, before_us: int, why: str) -> int:
    """Removes SecureVision's events that happened and were stored before a time."""

def securevision_get(store: EventStore, number: int) -> tuple[int, str, str, int, str | None] | None:
    """The event that has a number: number, kind, camera, time in milliseconds, details as JSON."""

def securevision_iou(
    a: tuple[float, float, float, float], b: tuple[float, float, float, float]
) -> float:
    """The overlap of two rectangles (left, top, width, height). Needs cameras."""

def securevision_list(
    store: EventStore, kind: str | None, since_ms: int | None, limit: int | None
) -> list[tuple[int, str, str, int, str | None]]:
    """Face matches and plates, or those of one of the kinds, newest first."""

def securevision_put(store: EventStore, reports: Sequence[_Report]) -> list[int | None]:
    """Adds those that are not there, all or none, and gives their numbers."""

def unseal(
    data: Buffer,
    *,
    passphrase: str | None = None,
    key_file: _StrPath | bytes | None = None,
    identity: Identity | _StrPath | None = None,
) -> bytes:
    """Opens what [`seal`] or `encrypt_file` made."""

def verify_evidence(path: _StrPath, *, signer: str | None = None) -> EvidenceReport:
    """Verifies an evidence bundle without the store; `signer` is the key that must have signed it."""

# Of keepwatch.compat.backuphandler, and nobody else's. Functions for many files call
# done(index, result) for each, with an exception as the result of what failed.

@final
class _bh_Session:
    """The keys of a passphrase, of a key file's 32 bytes, or of both."""

    def __new__(cls, passphrase: str | None, key: bytes | None) -> _bh_Session: ...

def _bh_derive_key(passphrase: str, salt: bytes) -> bytes: ...
def _bh_encrypt_files(
    session: _bh_Session,
    files: Sequence[tuple[_StrPath, _StrPath]],
    workers: int,
    done: Callable[[int, int | Exception], object],
) -> None: ...
def _bh_decrypt_files(
    session: _bh_Session,
    files: Sequence[tuple[_StrPath, _StrPath]],
    workers: int,
    done: Callable[[int, int | Exception], object],
) -> None: ...
def _bh_digest_files(
    session: _bh_Session | None,
    files: Sequence[tuple[_StrPath, bool]],
    workers: int,
    done: Callable[[int, tuple[int, str, bool] | Exception], object],
) -> None: ...
def _bh_transfer_files(
    session: _bh_Session | None,
    files: Sequence[tuple[_StrPath, _StrPath, _StrPath, bool, Sequence[str] | None]],
    workers: int,
    replace_links: bool,
    done: Callable[[int, tuple[int, str, bool] | Exception], object],
) -> None: ...
def _bh_make_link(target: _StrPath, root: _StrPath, relative: _StrPath, replace_links: bool) -> None: ...
def _bh_make_directory(root: _StrPath, relative: _StrPath, replace_links: bool) -> None: ...
def _bh_place_beneath(root: _StrPath, relative: _StrPath) -> Path: ...
def _bh_write_file(path: _StrPath, data: bytes) -> None: ...
def _bh_sync_directory(path: _StrPath) -> None: ...
def _bh_scan(
    root: _StrPath, skip: Sequence[_StrPath]
) -> tuple[list[tuple[str, str, int, int, int]], list[tuple[Path, Exception]]]: ...

_Color: TypeAlias = Literal["luma", "rgb"]
_Found: TypeAlias = Detection | tuple[str, float, float, float, float, float]

class _Analyzer(Protocol):
    def analyze(self, frame: Frame, /) -> Iterable[_Found] | None: ...

_Analyzing: TypeAlias = _Analyzer | Callable[[Frame], Iterable[_Found] | None]

@final
class Camera:
    """A camera, and its pictures one after the other: `for frame in camera`."""

    def __new__(
        cls,
        url: _StrPath,
        *,
        name: str | None = None,
        color: _Color = "luma",
        fps: float | None = None,
        transport: Literal["tcp", "udp"] = "tcp",
        read_timeout: float = 5.0,
        reconnect: float | None = 60.0,
        tls_ca_file: _StrPath | None = None,
        tls_sha256: str | None = None,
    ) -> Self:
        """Begins to read a camera, and does not wait for it.

        `url` is an address (`rtsp://`, `rtsps://`, `http://`, `https://`), the path of a file,
        `device:/dev/video0` or `test:`. Pictures are decoded on other threads, a few ahead: a file
        waits until they are taken, and of those of a camera that nobody takes the oldest are
        dropped.

        `color` is `"luma"` (brightness as it is encoded, without any conversion) or `"rgb"`. `fps`
        is how many frames a second are given at most. A camera that sends nothing for
        `read_timeout` seconds counts as gone. One that is gone is tried to be reached again for
        `reconnect` seconds, for ever if that is None; then, and at once if it could not be reached
        at first, `CameraError` is raised. `tls_ca_file` and `tls_sha256` say which certificate is
        trusted: of an `rtsps` or `https` camera an authority's or its own, or of an `rtsps` camera
        the one with this fingerprint.
        """

    @property
    def name(self) -> str:
        """Its name; where it is if it was given none."""

    @property
    def url(self) -> str:
        """Where it is, without user and password."""

    def read(self, *, timeout: float | None = None) -> Frame | None:
        """The next frame; None at the end of a file.

        Waits for it, at most `timeout` seconds if that is given: then TimeoutError is raised.
        """

    def status(self) -> CameraStatus:
        """How it is doing."""

    def close(self) -> None:
        """Leaves the camera. Frames that were read stay as they are."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> Frame: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: object) -> None: ...

@final
class CameraStatus:
    """How a camera is doing."""

    @property
    def camera(self) -> str:
        """Its name."""

    @property
    def url(self) -> str:
        """Where it is, without credentials."""

    @property
    def state(self) -> Literal["connecting", "live", "offline", "ended"]:
        """`connecting`, `live`, `offline` or `ended`."""

    @property
    def problem(self) -> str | None:
        """Why it is offline, or ended other than it should."""

    @property
    def offline_since(self) -> datetime | None:
        """Since when it is offline."""

    @property
    def codec(self) -> str | None:
        """The codec of what it sends."""

    @property
    def width(self) -> int:
        """The width of the picture in pixels; 0 until that is known."""

    @property
    def height(self) -> int:
        """Its height."""

    @property
    def frames(self) -> int:
        """Frames that came."""

    @property
    def bytes(self) -> int:
        """Bytes that came."""

    @property
    def decoded(self) -> int:
        """Frames that were decoded."""

    @property
    def dropped(self) -> int:
        """Frames that were dropped because they were not taken in time."""

    @property
    def reconnects(self) -> int:
        """Times that the connection was made anew."""

    @property
    def analysed(self) -> int:
        """Frames that were analysed."""

    @property
    def moving(self) -> bool:
        """Whether something moves."""

    @property
    def recording(self) -> int:
        """Recordings that are being written."""

    @property
    def looks(self) -> int:
        """Frames that were looked at for faces and plates."""

    @property
    def looks_skipped(self) -> int:
        """Frames that were to be looked at, and were not, since a newer one was there first."""

    @property
    def looks_failed(self) -> int:
        """Frames in which recognition failed."""

@final
class Detection:
    """Something that was found in a frame."""

    def __new__(
        cls, label: str, score: float, x: float, y: float, w: float, h: float
    ) -> Self:
        """A part of it may be outside of the picture."""

    @property
    def label(self) -> str:
        """What it is."""

    @property
    def score(self) -> float:
        """How sure, 0 to 1."""

    @property
    def x(self) -> float:
        """The left edge, as a fraction of the picture's width."""

    @property
    def y(self) -> float:
        """The upper edge, as a fraction of its height."""

    @property
    def w(self) -> float:
        """The width, as a fraction of the picture's."""

    @property
    def h(self) -> float:
        """The height, as a fraction of the picture's."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Frame:
    """A picture of a camera."""

    @property
    def image(self) -> npt.NDArray[np.uint8]:
        """The pixels: an array of 8-bit values, `[height, width]` of brightness or
        `[height, width, 3]` of red, green and blue. It is a view of the decoder's memory, and cannot
        be written to.
        """

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """Where the pixels are, as NumPy wants to know it."""

    @property
    def width(self) -> int:
        """The width in pixels."""

    @property
    def height(self) -> int:
        """The height in pixels."""

    @property
    def color(self) -> _Color:
        """What its values are: `"luma"` or `"rgb"`."""

    @property
    def camera(self) -> str:
        """The name of the camera."""

    @property
    def pts(self) -> float:
        """When it is shown, in seconds: since the first frame of a `Camera`, by the clock of the
        camera in a `Pipeline`.
        """

    @property
    def time(self) -> datetime:
        """When it was taken, by the clock of this machine. A file counts as if it had begun to play
        when it was opened.
        """

@final
class Pipeline:
    """Cameras that are watched, and what happens before them: `for event in pipeline`."""

    def __new__(
        cls,
        config: _StrPath | Mapping[str, Any],
        *,
        store: EventStore | _StrPath | None = None,
        passphrase: str | None = None,
        key_file: _StrPath | bytes | None = None,
        identity: Identity | _StrPath | None = None,
        recipients: _Strings | None = None,
        analyzers: _Analyzing | Iterable[_Analyzing] | None = None,
        color: _Color = "luma",
    ) -> Self:
        """Begins to watch.

        `config` is the path of a configuration file (docs/CONFIG.md), a dictionary that holds what
        such a file does, or a dictionary of addresses of cameras by their names.

        `store` is an event store, or the directory of one: it is made if there is none. Without it,
        the configuration names it. `passphrase`, `key_file` or `identity` opens it, `recipients` are
        who can open recordings of a new one.

        `analyzers` look at each picture that is analysed: callables that take a Frame, or objects
        with a method `analyze` that does. What they give, Detections, is followed from picture to
        picture, and becomes events of the kind `object`. `color` is that of their frames.

        Faces, plates and objects are recognised as the configuration says, with its models and lists
        and with the gallery of the store. Of lists that change, the logger `keepwatch` is told.
        """

    def stop(self) -> None:
        """Ends all recordings and events, and waits until they are stored.

        Raises what an analyser raised, and if events could not be stored or a file not be read.
        """

    def status(self) -> list[CameraStatus]:
        """How each camera is doing."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> Event:
        """The next state of an event: it is told when it begins and with each later state, and the
        last one with an id stands. Ends when all cameras have ended, as files do, or when it is
        stopped.
        """

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
        /,
    ) -> None:
        """Stops. An exception of the block passes through, whatever else went wrong."""
