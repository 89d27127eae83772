"""Keepwatch: encrypted backups that are proven to restore, and cameras that keep evidence.

Start with :class:`Repository` for backups, with :func:`encrypt_file` and :class:`SealedWriter` for
sealed files, with :class:`EventStore` for what cameras recorded, with :class:`Camera` and
:class:`Pipeline` for cameras themselves, and with :class:`FaceGallery` and :func:`read_plates` for
what is in pictures. ``docs/PYTHON.md`` shows them at work.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from keepwatch import errors
from keepwatch._keepwatch import (
    HAS_VISION,
    BackupReport,
    BinaryReader,
    ByteCounts,
    Change,
    ChangeIterator,
    CheckError,
    CheckReport,
    Checked,
    Chunk,
    EnrolReport,
    Entry,
    EntryIterator,
    Event,
    EventStore,
    EvidenceReport,
    ExportReport,
    Face,
    FaceFinder,
    FaceGallery,
    FaceMatch,
    FileCounts,
    FileReport,
    Finding,
    ForgetEntry,
    ForgetReport,
    GalleryImport,
    Identity,
    KeyInfo,
    Media,
    Model,
    Observation,
    ParityCheck,
    Person,
    PlateReader,
    PlateReading,
    Problem,
    Progress,
    PruneReport,
    RefreshReport,
    RefusedPhoto,
    Region,
    Remote,
    Repository,
    RestoreReport,
    SealedInfo,
    SealedReader,
    SealedWriter,
    Snapshot,
    Stats,
    VerifyReport,
    __version__,
    decrypt_file,
    encrypt_file,
    identify,
    keygen,
    read_plates,
    seal,
    sealed_info,
    unseal,
    verify_evidence,
)
from keepwatch.errors import *  # noqa: F403

__all__ = [
    "HAS_VISION",
    "BackupReport",
    "BinaryReader",
    "ByteCounts",
    "Change",
    "ChangeIterator",
    "CheckError",
    "CheckReport",
    "Checked",
    "Chunk",
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
    "GalleryImport",
    "Identity",
    "KeyInfo",
    "Media",
    "Model",
    "Observation",
    "ParityCheck",
    "Person",
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
    "Snapshot",
    "Stats",
    "VerifyReport",
    "__version__",
    "decrypt_file",
    "encrypt_file",
    "errors",
    "identify",
    "keygen",
    "read_plates",
    "seal",
    "sealed_info",
    "unseal",
    "verify_evidence",
]
__all__ += errors.__all__

if TYPE_CHECKING or HAS_VISION:
    from keepwatch._keepwatch import Camera, CameraStatus, Detection, Frame, Pipeline

    __all__ += ["Camera", "CameraStatus", "Detection", "Frame", "Pipeline"]
else:

    def __getattr__(name: str) -> object:
        if name in {"Camera", "CameraStatus", "Detection", "Frame", "Pipeline"}:
            raise ImportError(
                f"keepwatch.{name} is not in this build of keepwatch, which is one without vision: "
                "install GStreamer with its development files, and build it again from its sources "
                "with pip install .",
                name="keepwatch",
            )
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# Libraries ask whether something is a binary file in this way.
io.BufferedIOBase.register(BinaryReader)
io.BufferedIOBase.register(SealedWriter)
