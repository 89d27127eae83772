"""The names, parameters and defaults of BackupHandler 2.5.0, which must not drift."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

#: Module -> function -> parameters in their order, with their defaults.
SIGNATURES: dict[str, dict[str, str]] = {
    "encryption": {
        "derive_key": "passphrase, salt",
        "load_key_file": "path",
        "get_encryption_key": "passphrase=None, key_file=None, salt=None",
        "encrypt_file": "path, passphrase=None, key_file=None",
        "decrypt_file": "enc_path, passphrase=None, key_file=None",
        "encrypt_directory": "directory, passphrase=None, key_file=None, logger=None, workers=1",
        "decrypt_directory": "directory, passphrase=None, key_file=None, logger=None, workers=1",
    },
    "manifest": {
        "BackupManifest": "mode='full'",
        "BackupManifest.record_copy": "self, file_path, size_bytes, checksum=None",
        "BackupManifest.record_skip": "self, file_path",
        "BackupManifest.record_failure": "self, file_path, reason",
        "BackupManifest.save": "self, output_dir",
        "BackupManifest.summary": "self",
        "load_latest_manifest": "directory",
        "load_manifests_up_to": "directory, timestamp",
    },
    "verify": {
        "verify_backup_integrity": (
            "logger, backup_dirs, encryption_passphrase=None, encryption_key_file=None"
        ),
        "print_verify_report": "results",
    },
    "sync": {
        "sync_directories_with_progress": (
            "logger, source_dirs, backup_dirs, compress=None, bot=None, receiver_emails=None, "
            "exclude_patterns=None, manifest=None, parallel_copies=1"
        ),
        "perform_full_backup": (
            "logger, source_dir, backup_dirs, compress=None, bot=None, receiver_emails=None, "
            "exclude_patterns=None, manifest=None, parallel_copies=1"
        ),
        "perform_incremental_backup": (
            "logger, source_dir, backup_dirs, last_backup_time, bot=None, receiver_emails=None, "
            "exclude_patterns=None, manifest=None"
        ),
        "perform_differential_backup": (
            "logger, source_dir, backup_dirs, last_full_backup_time, bot=None, "
            "receiver_emails=None, exclude_patterns=None, manifest=None"
        ),
        "sync_ssh_server": (
            "source_dir, server, username, password=None, key_filepath=None, mode='full', "
            "logger=None, bot=None, exclude_patterns=None, manifest=None, bandwidth_limit=0"
        ),
        "sync_ssh_servers_concurrently": (
            "source_dir, ssh_servers, username, password=None, key_filepath=None, mode='full', "
            "logger=None, bot=None, receiver_emails=None, exclude_patterns=None, manifest=None, "
            "bandwidth_limit=0"
        ),
        "_copy_single_file": "logger, file, src_dir, backup_dir, manifest",
        "_sftp_put_throttled": "sftp, local_path, remote_path, bandwidth_limit_kbps",
        "_sftp_mkdirs": "sftp, remote_dir, logger=None",
        "_sftp_upload_directory": (
            "sftp, local_path, remote_path, mode='full', logger=None, exclude_patterns=None, "
            "manifest=None, bandwidth_limit=0"
        ),
    },
    "restore": {
        "restore_backup": (
            "logger, from_dir, to_dir, timestamp=None, encryption_passphrase=None, "
            "encryption_key_file=None, ssh_password=None, s3_region=None, s3_access_key=None, "
            "s3_secret_key=None, dry_run=False"
        ),
        "_is_ssh_path": "path",
        "_is_s3_path": "path",
        "_parse_ssh_path": "path",
        "_parse_s3_path": "path",
        "_download_from_ssh": "logger, ssh_path, local_dir, ssh_password=None",
        "_sftp_download_recursive": "sftp, remote_dir, local_dir, logger",
        "_download_from_s3": (
            "logger, s3_path, local_dir, region=None, access_key=None, secret_key=None"
        ),
        "_restore_from_zip": "logger, zip_path, to_dir",
    },
    "retention": {
        "cleanup_old_backups": "logger, backup_dirs, max_age_days=0, max_count=0",
        "_remove_entry": "logger, entry",
    },
}

CONSTANTS = {"PBKDF2_ITERATIONS": 600_000, "SALT_SIZE": 16, "NONCE_SIZE": 12, "KEY_SIZE": 32}


def written(parameter: inspect.Parameter) -> str:
    assert parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    if parameter.default is inspect.Parameter.empty:
        return parameter.name
    return f"{parameter.name}={parameter.default!r}"


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module in SIGNATURES for name in SIGNATURES[module]]
)
def test_signatures_are_those_of_the_original(module: str, name: str) -> None:
    found: Any = importlib.import_module(f"keepwatch.compat.backuphandler.{module}")
    for part in name.split("."):
        found = getattr(found, part)
    parameters = inspect.signature(found).parameters.values()
    assert ", ".join(map(written, parameters)) == SIGNATURES[module][name]


def test_public_names_are_those_of_the_original() -> None:
    for module, names in SIGNATURES.items():
        public = {name for name in names if "." not in name and not name.startswith("_")}
        if module == "encryption":
            public |= set(CONSTANTS)
        found = importlib.import_module(f"keepwatch.compat.backuphandler.{module}")
        assert set(found.__all__) == public


def test_constants_are_those_of_the_original() -> None:
    encryption = importlib.import_module("keepwatch.compat.backuphandler.encryption")
    assert {name: getattr(encryption, name) for name in CONSTANTS} == CONSTANTS
