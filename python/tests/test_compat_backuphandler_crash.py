"""A process that is killed leaves every file whole, and the next one goes on from there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from backuphandler_tree import LOG, PASSPHRASE, read_tree, write_tree
from keepwatch.compat.backuphandler.encryption import (
    decrypt_directory,
    decrypt_file,
    encrypt_directory,
)
from keepwatch.compat.backuphandler.sync import perform_incremental_backup

FILES = 400


@pytest.fixture
def tree(tmp_path: Path) -> dict[str, bytes]:
    tree = {f"{number % 7}/{number}": os.urandom(50_000) for number in range(FILES)}
    write_tree(tmp_path / "source", tree)
    return tree


def killed(call: str, *arguments: object) -> None:
    """Runs a function of a module in a process of its own, which kills itself at the first file that
    it is told of: more are under way then."""
    module, function = call.split(".")
    program = (
        f"import os, signal\n"
        f"from keepwatch.compat.backuphandler import _common, {module}\n"
        f"_common.Bar.advance = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"{module}.{function}(*{arguments!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == -signal.SIGKILL


def whole(root: Path) -> dict[str, bytes | str]:
    """Without what a file system that has only files with names is left with."""
    return {name: c for name, c in read_tree(root).items() if ".keepwatch-" not in name}


def test_a_copy_that_is_killed_has_no_part_of_a_file(
    tree: dict[str, bytes], tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    older = {name: b"older" for name in tree}
    write_tree(backup, older)

    killed("sync.perform_full_backup", None, str(tmp_path / "source"), [str(backup)])
    for name, content in whole(backup).items():
        assert content in (b"older", tree[name]), name
    perform_incremental_backup(LOG, str(tmp_path / "source"), [str(backup)], 0)
    assert whole(backup) == tree


@pytest.mark.parametrize("call", ["encrypt_directory", "decrypt_directory"])
def test_encryption_that_is_killed_loses_nothing(
    tree: dict[str, bytes], tmp_path: Path, call: str
) -> None:
    source = tmp_path / "source"
    if call == "decrypt_directory":
        encrypt_directory(source, PASSPHRASE)

    killed(f"encryption.{call}", str(source), PASSPHRASE)
    for name, content in whole(source).items():
        if not name.endswith(".enc"):
            assert content == tree[name]
    # Of those that have both forms one is removed, whichever way it goes on.
    if call == "encrypt_directory":
        encrypt_directory(source, PASSPHRASE)
        sealed = [path for path in source.glob("*/*.enc") if ".keepwatch-" not in path.name]
        assert len(sealed) == FILES
        for path in sealed[:20]:
            decrypt_file(path, PASSPHRASE)
    decrypt_directory(source, PASSPHRASE)
    assert whole(source) == tree
