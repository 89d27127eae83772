"""AES-256-GCM encryption at rest, in BackupHandler's format.

An encrypted file is ``salt (16) | nonce (12) | ciphertext | tag (16)``. The key is made of a passphrase
by PBKDF2-HMAC-SHA256 with 600 000 iterations, or is the 32 bytes of a key file, and then the salt is
zero. A key is derived once in a process and not once for every file; files may have up to 64 GiB and
are never in memory as a whole; a file appears under its name complete or not at all.
"""

from __future__ import annotations

import os
from pathlib import Path

from keepwatch._keepwatch import (
    _bh_decrypt_files,
    _bh_derive_key,
    _bh_digest_files,
    _bh_encrypt_files,
    _bh_scan,
    _bh_Session,
)
from keepwatch.compat.backuphandler._common import (
    SEALED_OVERHEAD,
    SUFFIX,
    Bar,
    Logger,
    StrPath,
    is_manifest,
    text_of,
)
from keepwatch.compat.backuphandler.errors import (
    DecryptionError,
    FilesFailedError,
    NotEncryptedError,
)
from keepwatch.compat.backuphandler.manifest import recorded_checksums
from keepwatch.errors import DamagedError, FileMissingError, InvalidValueError, WrongKeyError

__all__ = [
    "KEY_SIZE",
    "NONCE_SIZE",
    "PBKDF2_ITERATIONS",
    "SALT_SIZE",
    "decrypt_directory",
    "decrypt_file",
    "derive_key",
    "encrypt_directory",
    "encrypt_file",
    "get_encryption_key",
    "load_key_file",
]

PBKDF2_ITERATIONS = 600_000
SALT_SIZE = 16
NONCE_SIZE = 12
KEY_SIZE = 32

_NEITHER = "Either passphrase or key_file must be provided for encryption"


def derive_key(passphrase: str, salt: bytes) -> bytes:
    """The 32-byte key that PBKDF2-HMAC-SHA256 makes of a passphrase."""
    return _bh_derive_key(passphrase, salt)


def load_key_file(path: StrPath) -> bytes:
    """The 32 bytes of a key file.

    :raises FileNotFoundError: if it is not there.
    :raises ValueError: if it has another length.
    """
    try:
        with open(path, "rb") as file:
            # One byte more than fits says enough of what is far longer.
            key = file.read(KEY_SIZE + 1)
            length = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise FileMissingError(f"Key file not found: {os.fspath(path)}") from None
    if len(key) != KEY_SIZE:
        raise InvalidValueError(f"Key file must be exactly {KEY_SIZE} bytes, got {length}")
    return key


def get_encryption_key(
    passphrase: str | None = None,
    key_file: StrPath | None = None,
    salt: bytes | None = None,
) -> tuple[bytes, bytes | None]:
    """The key and the salt that goes with it, which is None for a key file.

    The key file is taken if there are both.

    :raises ValueError: if there is neither.
    """
    if key_file:
        return load_key_file(key_file), None
    if passphrase:
        if salt is None:
            salt = os.urandom(SALT_SIZE)
        return derive_key(passphrase, salt), salt
    raise InvalidValueError(_NEITHER)


def open_session(passphrase: str | None, key_file: StrPath | None) -> _bh_Session:
    """The keys to write and read with; files are written with the key file's if there are both."""
    if not passphrase and not key_file:
        raise InvalidValueError(_NEITHER)
    key = load_key_file(key_file) if key_file else None
    return _bh_Session(passphrase or None, key)


def as_tag_error(error: Exception) -> Exception:
    """The error as one that is cryptography's ``InvalidTag`` as well, where it is about that."""
    if isinstance(error, WrongKeyError):
        mended: Exception = DecryptionError(str(error))
    elif isinstance(error, DamagedError):
        mended = NotEncryptedError(str(error))
    else:
        return error
    mended.hint = error.hint  # type: ignore[attr-defined]
    return mended


def encrypt_file(
    path: StrPath, passphrase: str | None = None, key_file: StrPath | None = None
) -> Path:
    """Replaces a file by its encrypted form, ``<name>.enc``, which is returned.

    Mode, times and extended attributes stay. The plaintext is removed once the encrypted file is on
    disk; when something fails, the plaintext is as it was and no encrypted file is left.

    :raises ValueError: if there is neither passphrase nor key file.
    :raises FileExistsError: if there is a ``<name>.enc`` that these keys do not open: it is not an
        earlier form of the file.
    """
    session = open_session(passphrase, key_file)
    path = Path(path)
    sealed = path.with_name(path.name + SUFFIX)
    _one(_encrypt(session, [(path, sealed)], 1))
    return sealed


def decrypt_file(
    enc_path: StrPath, passphrase: str | None = None, key_file: StrPath | None = None
) -> Path:
    """Replaces an encrypted file by its content, whose path, without ``.enc``, is returned.

    Nothing is written before the whole file is known to be genuine.

    :raises cryptography.exceptions.InvalidTag: if the file was changed or the key is wrong.
    :raises FileExistsError: if a file of that name has another content.
    """
    session = open_session(passphrase, key_file)
    sealed = Path(enc_path)
    path = _decrypted(sealed)
    if path == sealed:
        raise InvalidValueError(f"enc_path: {sealed} has no suffix to take off")
    _one(_decrypt(session, [(sealed, path)], 1))
    return path


def encrypt_directory(
    directory: StrPath,
    passphrase: str | None = None,
    key_file: StrPath | None = None,
    logger: Logger | None = None,
    workers: int = 1,
) -> int:
    """Encrypts what is in a directory, and gives the number of files.

    Not touched are symbolic links, the backup's manifests, and files that end in ``.enc``, which are
    encrypted already; unless a manifest says that the name was so in the source.

    :raises FilesFailedError: when all have been tried and some could not be encrypted.
    :raises ValueError: if there is neither passphrase nor key file.
    :raises FileNotFoundError: if the directory is not there.
    """
    session = open_session(passphrase, key_file)
    directory = Path(directory)
    found, unreadable = _bh_scan(directory, [])
    files = {relative: size for relative, kind, size, _, _ in found if kind == "file"}
    own = _own_enc_files(directory, files)
    for relative, size in files.items():
        if relative.endswith(SUFFIX) and relative not in own and size < SEALED_OVERHEAD and logger:
            logger.warning(f"Not encrypted, because its name says that it is already: {relative}")
    names = [name for name in files if name in own or _is_to_encrypt(name)]
    # A source's own a.enc makes room before the file a needs its place.
    batches = [[n for n in names if n in own], [n for n in names if n not in own]]
    errors = {str(directory / path): text_of(error) for path, error in unreadable}
    count = 0
    for batch in batches:
        pairs = [(directory / name, directory / (name + SUFFIX)) for name in batch]
        results = _encrypt(session, pairs, workers, "Encrypting files") if pairs else []
        count += _tell(logger, "encrypt", "Encrypted", pairs, results, errors)
    if logger:
        logger.info(f"Encrypted {count} files in {directory}")
    if errors:
        raise FilesFailedError(f"encryption of {directory}", errors, count)
    return count


def decrypt_directory(
    directory: StrPath,
    passphrase: str | None = None,
    key_file: StrPath | None = None,
    logger: Logger | None = None,
    workers: int = 1,
) -> int:
    """Decrypts every ``.enc`` file in a directory, and gives their number.

    :raises FilesFailedError: when all have been tried and some could not be decrypted.
    :raises ValueError: if there is neither passphrase nor key file.
    :raises FileNotFoundError: if the directory is not there.
    """
    session = open_session(passphrase, key_file)
    directory = Path(directory)
    found, unreadable = _bh_scan(directory, [])
    # Of a.enc.enc and a.enc, the second is in the way of the first until it is decrypted.
    names = [n for n, kind, _, _, _ in found if kind == "file" and n.endswith(SUFFIX)]
    present = set(names)
    batches = [
        [n for n in names if n.removesuffix(SUFFIX) not in present],
        [n for n in names if n.removesuffix(SUFFIX) in present],
    ]
    errors = {str(directory / path): text_of(error) for path, error in unreadable}
    count = 0
    for batch in batches:
        pairs = [(directory / name, directory / name.removesuffix(SUFFIX)) for name in batch]
        results = _decrypt(session, pairs, workers, "Decrypting files") if pairs else []
        count += _tell(logger, "decrypt", "Decrypted", pairs, results, errors)
    if logger:
        logger.info(f"Decrypted {count} files in {directory}")
    if errors:
        raise FilesFailedError(f"decryption of {directory}", errors, count)
    return count


def _is_to_encrypt(relative: str) -> bool:
    return not relative.endswith(SUFFIX) and not is_manifest(relative)


def _own_enc_files(directory: Path, files: dict[str, int]) -> set[str]:
    """Files that had a name ending in ``.enc`` in the source, and are here as they were there.

    Taken for encrypted ones they would stay in clear, and be in the way of others.
    """
    candidates = [name for name in files if name.endswith(SUFFIX)]
    if not candidates:
        return set()
    recorded = recorded_checksums(directory)
    candidates = [name for name in candidates if name in recorded]
    own = set()

    def done(index: int, result: tuple[int, str, bool] | Exception) -> None:
        name = candidates[index]
        if not isinstance(result, Exception) and result[1] in recorded[name]:
            own.add(name)

    _bh_digest_files(None, [(directory / name, False) for name in candidates], 1, done)
    return own


def _decrypted(sealed: Path) -> Path:
    if sealed.name.endswith(SUFFIX):
        return sealed.with_name(sealed.name.removesuffix(SUFFIX))
    return sealed.with_suffix("")


_Results = list[int | Exception]


def _encrypt(
    session: _bh_Session, pairs: list[tuple[Path, Path]], workers: int, title: str | None = None
) -> _Results:
    results: _Results = [0] * len(pairs)
    with Bar(title, len(pairs)) as bar:

        def done(index: int, result: int | Exception) -> None:
            results[index] = result
            bar.advance()

        _bh_encrypt_files(session, pairs, max(1, workers), done)
    return results


def _decrypt(
    session: _bh_Session, pairs: list[tuple[Path, Path]], workers: int, title: str | None = None
) -> _Results:
    results: _Results = [0] * len(pairs)
    with Bar(title, len(pairs)) as bar:

        def done(index: int, result: int | Exception) -> None:
            results[index] = as_tag_error(result) if isinstance(result, Exception) else result
            bar.advance()

        _bh_decrypt_files(session, pairs, max(1, workers), done)
    return results


def _one(results: _Results) -> None:
    if isinstance(results[0], Exception):
        raise results[0]


def _tell(
    logger: Logger | None,
    verb: str,
    did: str,
    pairs: list[tuple[Path, Path]],
    results: _Results,
    errors: dict[str, str],
) -> int:
    """Logs what came out, collects what failed, and counts the rest."""
    count = 0
    for (path, _), result in zip(pairs, results, strict=True):
        if isinstance(result, Exception):
            errors[str(path)] = text_of(result)
            if logger:
                logger.error(f"Failed to {verb} {path}: {text_of(result)}")
        else:
            count += 1
            if logger:
                logger.debug(f"{did}: {path}")
    return count
