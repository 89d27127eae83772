"""The faces that are known, and whose a face is."""

from __future__ import annotations

import importlib
import io
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from keepwatch._keepwatch import seal as seal_bytes
from keepwatch._keepwatch import unseal
from keepwatch.errors import DamagedError, InvalidValueError

from .._files import write_atomic
from .._secrets import PASSWORD_VARIABLE, given

__all__ = ["Embedder", "FaceGallery", "ReadImage", "Vectors"]

logger = logging.getLogger(__name__)

#: One embedding in each row.
Vectors = NDArray[np.floating[Any]]
#: Reads a picture as ``[height, width, 3]``, BGR, ``uint8``; none if it cannot.
ReadImage = Callable[[Path], Any]

# FORMAT.md, section 2.
_SEALED = b"\x89KWSEAL\n"
_PICTURES = frozenset({".jpg", ".jpeg", ".png"})


class Embedder(Protocol):
    """Finds faces, each with its ``embedding``; ``FaceModels.get_models`` gives one."""

    def get(self, img: Any, /) -> Sequence[Any]:
        """The faces in a picture."""


class FaceGallery:
    """One embedding for each person, in a file; whose a face is, by the cosine between embeddings.

    The file is SecureVision's (``.npz``, with ``…_metadata.json`` beside it). With ``passphrase``
    or ``key_file`` both are written as sealed files, which ``keepwatch decrypt`` opens too; what is
    there is read either way. Sealed files without either open with ``KEEPWATCH_PASSWORD``.

    Args:
        gallery_path: A folder with a folder of pictures for each person.
        cache_path: The file of the embeddings.
        passphrase: What the file is sealed with.
        key_file: A file of 32 random bytes that it is sealed with.
    """

    def __init__(
        self,
        gallery_path: str | os.PathLike[str],
        cache_path: str | os.PathLike[str],
        *,
        passphrase: str | None = None,
        key_file: str | os.PathLike[str] | None = None,
    ) -> None:
        self.gallery_path = Path(gallery_path)
        self.cache_path = Path(cache_path)
        self._secret = given(passphrase, key_file, environment=False)
        self.person_ids: list[str] = []
        #: ``[persons, dimensions]``.
        self.embeddings: Vectors | None = None
        self._metadata: dict[str, Any] = {}
        self._loaded = False

    def build(
        self,
        embedder: Embedder,
        force_rebuild: bool = False,
        *,
        read_image: ReadImage | None = None,
    ) -> int:
        """Makes the file of the pictures; load it afterwards.

        A person is the mean of what their pictures give. Pictures that cannot be read, or with no
        face or several, are left out and logged, and so is who has no other.

        Args:
            embedder: Finds the faces.
            force_rebuild: Replace the file if there is one; otherwise nothing is done.
            read_image: Reads a picture. If it is left out, the models of ``FaceModels`` do so
                themselves, and for others OpenCV does.

        Returns:
            How many persons are in it; 0 if nothing was done.

        Raises:
            FileNotFoundError: There is no folder ``gallery_path``.
            ValueError: Nobody has a usable picture.
        """
        if self.cache_path.exists() and not force_rebuild:
            logger.info("there is a gallery at %s", self.cache_path)
            return 0
        if not self.gallery_path.exists():
            raise FileNotFoundError(f"Gallery path not found: {self.gallery_path}")
        folders = sorted(
            folder
            for folder in self.gallery_path.iterdir()
            if folder.is_dir() and not folder.name.startswith(".")
        )
        if not folders:
            raise InvalidValueError(f"No person folders found in {self.gallery_path}")
        if read_image is None:
            read_image = _itself if getattr(embedder, "reads_files", False) else _opencv()
        enrolled: dict[str, list[Vectors]] = {}
        for folder in folders:
            embeddings = [
                embedding
                for picture in sorted(folder.iterdir())
                if picture.suffix.lower() in _PICTURES
                and (embedding := _embed(embedder, read_image, picture)) is not None
            ]
            if embeddings:
                enrolled[folder.name] = embeddings
            else:
                logger.error("%s is not enrolled: no picture can be used", folder.name)
        if not enrolled:
            raise InvalidValueError(f"No persons successfully enrolled from {self.gallery_path}")
        now = datetime.now().isoformat()
        metadata = {
            person: {"num_images": len(embeddings), "enrolled_at": now}
            for person, embeddings in enrolled.items()
        }
        means = np.array([np.mean(embeddings, axis=0) for embeddings in enrolled.values()])
        self._write(self.cache_path, list(enrolled), means, metadata, seal=True)
        logger.info("%d persons are enrolled in %s", len(enrolled), self.cache_path)
        return len(enrolled)

    def load(self) -> None:
        """Reads the file.

        Raises:
            FileNotFoundError: It is not there.
            keepwatch.errors.WrongKeyError: It is sealed with something else.
            keepwatch.errors.DamagedError: It is no gallery.
            ValueError: It has more or fewer persons than embeddings.
        """
        try:
            data = self.cache_path.read_bytes()
        except FileNotFoundError:
            raise FileNotFoundError(
                f"Gallery cache not found at {self.cache_path}. Enrol somebody first."
            ) from None
        person_ids, embeddings = _read_arrays(self._open(data), self.cache_path)
        metadata = _metadata_path(self.cache_path)
        text = self._open(metadata.read_bytes()) if metadata.exists() else b"{}"
        try:
            self._metadata = dict(json.loads(text))
        except ValueError as error:
            raise DamagedError(f"{metadata} is not readable: {error}") from None
        self.person_ids, self.embeddings = person_ids, embeddings
        self._loaded = True
        logger.info("%d persons are in the gallery %s", len(person_ids), self.cache_path)

    def match(self, query_embedding: Vectors, threshold: float) -> tuple[str, float] | None:
        """The person who is most like a face, if the likeness is enough.

        Args:
            query_embedding: The embedding of the face.
            threshold: The least cosine that is a match: **higher is stricter**.

        Returns:
            The person and the cosine, -1.0 to 1.0.

        Raises:
            RuntimeError: The gallery is not loaded.
            ValueError: The embedding is not of the gallery's kind.
        """
        if not self._loaded or self.embeddings is None:
            raise RuntimeError("Gallery not loaded. Call load() first.")
        if not self.person_ids:
            logger.warning("nobody is in the gallery")
            return None
        query = np.asarray(query_embedding).reshape(-1)
        if query.shape[0] != self.embeddings.shape[1]:
            raise InvalidValueError(
                f"query_embedding: it has {query.shape[0]} numbers, "
                f"and those of the gallery have {self.embeddings.shape[1]}"
            )
        if not np.isfinite(query).all():
            raise InvalidValueError("query_embedding: it has a number that is not finite")
        similarities = _unit(self.embeddings) @ _unit(query[np.newaxis])[0]
        best = int(np.argmax(similarities))
        similarity = float(similarities[best])
        # Not a number is no likeness.
        if not similarity >= threshold:
            return None
        return self.person_ids[best], similarity

    def export(self, path: str | os.PathLike[str]) -> None:
        """Writes the loaded gallery to another file as SecureVision reads it, **in clear**."""
        if not self._loaded or self.embeddings is None:
            raise RuntimeError("Gallery not loaded. Call load() first.")
        self._write(Path(path), self.person_ids, self.embeddings, self._metadata, seal=False)

    def get_person_ids(self) -> list[str]:
        """Who is in the gallery.

        Raises:
            RuntimeError: The gallery is not loaded.
        """
        if not self._loaded:
            raise RuntimeError("Gallery not loaded")
        return self.person_ids.copy()

    def size(self) -> int:
        """How many persons are in the gallery; 0 if it is not loaded."""
        return len(self.person_ids) if self._loaded else 0

    def _open(self, data: bytes) -> bytes:
        if not data.startswith(_SEALED):
            return data
        secret = self._secret or given(None, None, environment=True)
        if secret is None:
            raise InvalidValueError(
                "passphrase: the gallery is sealed; "
                f"give it or key_file, or set {PASSWORD_VARIABLE}"
            )
        return unseal(data, **secret.arguments())

    def _write(
        self,
        path: Path,
        person_ids: list[str],
        embeddings: Vectors,
        metadata: Mapping[str, Any],
        *,
        seal: bool,
    ) -> None:
        file = io.BytesIO()
        np.savez(file, person_ids=np.array(person_ids, dtype=np.str_), embeddings=embeddings)
        parts = [
            # The embeddings last: without them there is no gallery.
            (_metadata_path(path), json.dumps(metadata, indent=2).encode()),
            (path, file.getvalue()),
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        for name, data in parts:
            if seal and self._secret is not None:
                data = seal_bytes(data, **self._secret.arguments())
            write_atomic(name, data)


def _metadata_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}_metadata.json")


def _read_arrays(data: bytes, path: Path) -> tuple[list[str], Vectors]:
    try:
        # Pickled objects are programs: a gallery needs none.
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            person_ids = [str(person) for person in arrays["person_ids"].tolist()]
            embeddings = arrays["embeddings"]
    except Exception as error:
        raise DamagedError(f"{path} is no gallery: {error}") from None
    if embeddings.ndim != 2 or not np.issubdtype(embeddings.dtype, np.floating):
        raise DamagedError(f"{path} is no gallery: its embeddings are not rows of numbers")
    if embeddings.shape[0] != len(person_ids):
        raise InvalidValueError(
            f"Mismatch: {len(person_ids)} person IDs but {embeddings.shape[0]} embeddings"
        )
    if not np.isfinite(embeddings).all():
        raise DamagedError(f"{path} is no gallery: it has a number that is not finite")
    return person_ids, embeddings


def _unit(vectors: Vectors) -> Vectors:
    """Rows of length 1; what has no length is like nothing."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    norms[norms == 0.0] = 1.0
    unit: Vectors = vectors / norms
    return unit


def _embed(embedder: Embedder, read_image: ReadImage, picture: Path) -> Vectors | None:
    """The embedding of the one face in a picture."""
    try:
        image = read_image(picture)
        faces = embedder.get(image) if image is not None else None
    except Exception as error:
        logger.error("%s cannot be used: %s", picture, error)
        return None
    if faces is None:
        logger.warning("%s cannot be read", picture)
        return None
    if len(faces) != 1:
        logger.warning("%s is left out: there are %d faces in it", picture, len(faces))
        return None
    embedding: Vectors = np.asarray(faces[0].embedding)
    if not np.isfinite(embedding).all():
        logger.warning("%s is left out: its embedding is not finite", picture)
        return None
    return embedding


def _itself(picture: Path) -> Path:
    return picture


def _opencv() -> ReadImage:
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError:
        raise ImportError(
            "reading pictures needs OpenCV (pip install opencv-python-headless), "
            "or a function of your own: read_image="
        ) from None
    return lambda picture: cv2.imread(str(picture))
