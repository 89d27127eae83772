"""Enrolling the persons of a folder."""

from __future__ import annotations

import logging
import os

from .gallery import Embedder, FaceGallery, ReadImage
from .loader import FaceModels

__all__ = ["enroll_gallery"]

logger = logging.getLogger(__name__)


def enroll_gallery(
    gallery_path: str | os.PathLike[str],
    cache_path: str | os.PathLike[str],
    force_rebuild: bool = False,
    verbose: bool = False,
    *,
    embedder: Embedder | None = None,
    read_image: ReadImage | None = None,
    passphrase: str | None = None,
    key_file: str | os.PathLike[str] | None = None,
) -> int:
    """Makes the gallery of a folder, see :meth:`FaceGallery.build`.

    Args:
        gallery_path: A folder with a folder of pictures for each person.
        cache_path: The file of the gallery.
        force_rebuild: Replace the file if there is one.
        verbose: Log where an error comes from.
        embedder: Finds the faces; ``FaceModels.get_models()`` does, if it is left out.
        read_image: Reads a picture, see :meth:`FaceGallery.build`.
        passphrase: What the file is sealed with.
        key_file: A file of 32 random bytes that it is sealed with.

    Returns:
        How many persons there are; 0 if nothing was done, -1 if it failed, which is logged.
    """
    try:
        gallery = FaceGallery(gallery_path, cache_path, passphrase=passphrase, key_file=key_file)
        embedder = embedder if embedder is not None else FaceModels.get_models()
        return gallery.build(embedder, force_rebuild, read_image=read_image)
    except Exception as error:
        logger.error("nobody is enrolled: %s", error, exc_info=verbose)
        return -1
