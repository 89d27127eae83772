"""The vault: what goes in comes out, and what cannot be is told."""

from __future__ import annotations

import errno
import io
import json
import os
import random
import resource
import signal
import tarfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from conftest import PASSPHRASE, contents

import keepwatch


def test_what_goes_in_comes_out(repository: keepwatch.Repository, tree: Path, tmp_path: Path):
    report = repository.backup(tree, tags=["first", "daily"])
    assert report.files.new == 5
    assert report.errors == ()
    (snapshot,) = repository.snapshots()
    assert snapshot.id == report.snapshot
    assert snapshot.paths == (str(tree),)
    assert snapshot.tags == ("first", "daily")
    assert abs(snapshot.time - datetime.now(timezone.utc)) < timedelta(minutes=5)

    restored = repository.restore("latest", tmp_path / "out", path=tree)
    assert restored.errors == ()
    assert contents(tmp_path / "out") == contents(tree)
    assert repository.check(read_data=True)
    assert repository.stats().files == 5


def test_ls_and_diff(repository: keepwatch.Repository, tree: Path):
    first = repository.backup([tree / "docs", tree / "link"])
    (tree / "docs" / "notes.md").write_text("other")
    (tree / "docs" / "new").touch()
    second = repository.backup([tree / "docs", tree / "link"])

    entries = {entry.path: entry for entry in repository.ls(first.snapshot, tree)}
    assert entries[str(tree / "docs")].type == "dir"
    assert entries[str(tree / "docs" / "notes.md")].size == 600
    assert entries[str(tree / "link")].target == "docs/notes.md"
    flat = [entry.path for entry in repository.ls(second.snapshot, tree / "docs", recursive=False)]
    assert flat[1:] == [str(tree / "docs" / name) for name in ("deep", "new", "notes.md")]

    changes = {
        change.path: change.change for change in repository.diff(first.snapshot, second.snapshot)
    }
    assert changes[str(tree / "docs" / "notes.md")] == "modified"
    assert changes[str(tree / "docs" / "new")] == "added"


def test_many_entries_come_one_by_one(repository: keepwatch.Repository, tmp_path: Path):
    source = tmp_path / "many"
    source.mkdir()
    for number in range(3000):
        (source / f"{number:05}").touch()
    repository.backup(source)
    listing = repository.ls("latest", source)
    assert next(listing).type == "dir"
    assert next(listing).path.endswith("00000")
    # One that is given up early does not hang; a second one is whole.
    del listing
    assert sum(1 for _ in repository.ls("latest", source)) == 3001


def test_names_that_are_not_utf8(repository: keepwatch.Repository, tree: Path, tmp_path: Path):
    repository.backup(tree)
    name = os.fsdecode(b"not-utf8-\xff")
    assert str(tree / name) in [entry.path for entry in repository.ls("latest", tree)]
    with repository.open_file("latest", tree / name) as file:
        assert file.read() == b"named by bytes"


def test_a_file_is_read_at_any_place(repository: keepwatch.Repository, tree: Path):
    repository.backup(tree)
    content = (tree / "large.bin").read_bytes()
    file = repository.open_file("latest", tree / "large.bin")
    assert isinstance(file, io.BufferedIOBase)
    chooser = random.Random(1)
    for _ in range(50):
        start, length = chooser.randrange(len(content)), chooser.randrange(200_000)
        assert file.seek(start) == start
        assert file.read(length) == content[start : start + length]
        assert file.tell() == min(start + length, len(content))
    assert file.seek(-10, io.SEEK_END) == len(content) - 10
    assert file.read() == content[-10:]

    chunks = repository.chunks("latest", tree / "large.bin")
    assert sum(chunk.size for chunk in chunks) == len(content)
    assert b"".join(repository.read_chunk(chunk.id) for chunk in chunks) == content


def test_a_file_of_a_snapshot_serves_libraries(
    repository: keepwatch.Repository, tree: Path, tmp_path: Path
):
    archive = tmp_path / "archive.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tree / "docs", "docs")
    repository.backup(archive)
    with (
        repository.open_file("latest", archive) as file,
        tarfile.open(fileobj=file) as tar,
    ):
        assert "docs/deep/leaf.txt" in tar.getnames()


def test_a_stream_is_backed_up(repository: keepwatch.Repository):
    report = repository.backup_stream("dumps/all.sql", io.BytesIO(b"select 1;\n" * 1000))
    assert report.files.new == 1
    with repository.open_file("latest", "/dumps/all.sql") as file:
        assert file.readline() == b"select 1;\n"
        assert len(file.read()) == 9990


def test_a_stream_that_raises_leaves_no_snapshot(repository: keepwatch.Repository):
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise RuntimeError("the database is gone")

    with pytest.raises(RuntimeError, match="the database is gone"):
        repository.backup_stream("dump", Broken())
    assert repository.snapshots() == []
    with pytest.raises(keepwatch.InvalidValueError, match="name"):
        repository.backup_stream("../dump", io.BytesIO())
    with pytest.raises(TypeError, match="source"):
        repository.backup_stream("dump", "dump.sql")


def test_what_is_left_out(repository: keepwatch.Repository, tree: Path, tmp_path: Path):
    (tree / "excludes").write_text("deep/\n")
    repository.backup(
        tree, exclude=["*.bin", "excludes"], exclude_files=tree / "excludes", exclude_larger_than=500
    )
    names = {Path(entry.path).name for entry in repository.ls("latest", tree)}
    assert "empty" in names
    assert names.isdisjoint({"large.bin", "deep", "notes.md", "excludes"})


def test_forget_unforget_and_prune(repository: keepwatch.Repository, tree: Path):
    first = repository.backup(tree)
    (tree / "large.bin").write_bytes(os.urandom(3_000_000))
    repository.backup(tree)
    plan = repository.forget(keep_last=1, dry_run=True)
    assert [entry.id for entry in plan.removed] == [first.snapshot]
    assert plan.kept[0].reasons == ("last",)
    assert len(repository.snapshots()) == 2

    repository.forget(first.snapshot)
    assert len(repository.snapshots()) == 1
    back = repository.unforget(first.snapshot)
    assert len(repository.snapshots()) == 2
    repository.forget(back)
    assert repository.prune(keep_trash=timedelta(days=1)).snapshots_purged == 0
    assert repository.prune(dry_run=True).snapshots_purged == 0
    done = repository.prune(max_unused=0)
    assert done.snapshots_purged == 1
    assert done.bytes_freed > 4_000_000
    assert repository.check(read_data=True)


def test_a_policy_that_keeps_nothing_is_refused(repository: keepwatch.Repository, tree: Path):
    repository.backup(tree / "docs")
    with pytest.raises(ValueError, match="keep none"):
        repository.forget(max_count=0)
    with pytest.raises(ValueError, match="nothing says what to forget"):
        repository.forget()
    with pytest.raises(ValueError, match="not both"):
        repository.forget("latest", keep_last=1)
    for number in (-1, 1 << 40, 1 << 70):
        with pytest.raises(ValueError, match="keep_last") as raised:
            repository.forget(keep_last=number)
        assert "keep_last" in str(raised.value)
    with pytest.raises(TypeError, match="keep_last"):
        repository.forget(keep_last="2")
    assert len(repository.snapshots()) == 1


def test_keys(repository: keepwatch.Repository, tree: Path, tmp_path: Path):
    identity = keepwatch.keygen(tmp_path / "identity")
    repository.add_key(recipient=identity.recipient, label="offline")
    repository.add_key(passphrase="of the camera box", role="writer", label="box")
    roles = {key.label: key.role for key in repository.keys()}
    assert roles == {"first": "full", "offline": "full", "box": "writer"}
    repository.backup(tree)
    place = repository.path

    with keepwatch.Repository.open(
        place, passphrase="of the camera box", cache_dir=tmp_path / "box"
    ) as box:
        assert box.role == "writer"
        box.backup(tree)
        with pytest.raises(keepwatch.NeedsFullKeyError):
            box.restore("latest", tmp_path / "out")
    for opener in (identity, tmp_path / "identity"):
        with keepwatch.Repository.open(place, identity=opener, use_cache=False) as opened:
            assert len(opened.snapshots()) == 2

    assert repository.remove_key("box").label == "box"
    with pytest.raises(keepwatch.WrongKeyError):
        keepwatch.Repository.open(place, passphrase="of the camera box", use_cache=False)
    opened = keepwatch.Repository.open(place, passphrase=PASSPHRASE, use_cache=False)
    opened.change_key(passphrase="another")
    with keepwatch.Repository.open(place, passphrase="another", use_cache=False) as anew:
        assert anew.rotate_key() > 1


def test_each_error_has_its_class(repository: keepwatch.Repository, tree: Path, tmp_path: Path):
    with pytest.raises(keepwatch.RepositoryNotFoundError) as missing:
        keepwatch.Repository.open(tmp_path / "nowhere", passphrase="x")
    assert isinstance(missing.value, FileNotFoundError)
    assert missing.value.hint
    with pytest.raises(keepwatch.WrongKeyError) as wrong:
        keepwatch.Repository.open(repository.path, passphrase="not it", use_cache=False)
    assert "not it" not in str(wrong.value)
    with pytest.raises(keepwatch.RepositoryExistsError):
        keepwatch.Repository.init(repository.path, passphrase="x", use_cache=False)
    with pytest.raises(keepwatch.SnapshotNotFoundError):
        repository.snapshot("latest")
    repository.backup(tree)
    with pytest.raises(LookupError):
        repository.restore("0123", tmp_path / "out")
    with pytest.raises(keepwatch.PathNotFoundError):
        repository.open_file("latest", "/not/there")
    with pytest.raises(ValueError, match="is no file"):
        repository.open_file("latest", tree)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(ValueError, match="not empty"):
        repository.restore("latest", tmp_path / "full")
    with pytest.raises(ValueError, match="delete"):
        repository.restore("latest", tmp_path, overwrite="always", delete=True)


def test_what_cannot_be_read_is_an_error(repository: keepwatch.Repository, tree: Path):
    with pytest.raises(keepwatch.PartialBackupError) as partial:
        repository.backup([tree / "docs", tree / "not-there"])
    report = partial.value.report
    assert report.errors[0].path == str(tree / "not-there")
    assert report.snapshot == repository.snapshot().id
    again = repository.backup([tree / "docs", tree / "not-there"], allow_partial=True)
    assert len(again.errors) == 1
    with pytest.raises(FileNotFoundError):
        repository.backup(tree / "not-there")


def test_what_cannot_be_written_is_an_os_error(repository: keepwatch.Repository, tree: Path):
    # A limit of this process stands in for the disk: its error number is another, and what is left
    # is the same.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(OSError) as full:
            repository.backup(tree)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert isinstance(full.value, keepwatch.KeepwatchError)
    assert full.value.errno == errno.EFBIG
    repository.backup(tree)
    assert repository.check(read_data=True)


def test_damage_is_an_error_and_found(
    repository: keepwatch.Repository, tree: Path, tmp_path: Path
):
    repository.backup(tree)
    packs = [path for path in (repository.path / "packs").rglob("*") if path.is_file()]
    pack = max(packs, key=lambda path: path.stat().st_size)
    pack.chmod(0o600)
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    pack.write_bytes(data)

    report = repository.check(read_data=True)
    assert not report
    assert report.errors[0].object.startswith("packs/")
    with pytest.raises(keepwatch.DamagedError) as damaged:
        repository.restore("latest", tmp_path / "out", path=tree)
    assert damaged.value.report.damaged
    # What is sound is there, what is not is not.
    assert (tmp_path / "out" / "empty").exists()
    assert not (tmp_path / "out" / "large.bin").exists()
    with (
        pytest.raises(keepwatch.DamagedError),
        repository.open_file("latest", tree / "large.bin") as file,
    ):
        file.read()


def test_check_says_how_much(repository: keepwatch.Repository, tree: Path):
    assert not repository.check(), "nothing was checked"
    repository.backup(tree)
    for subset in ("1/1", "100%", 1_000_000_000):
        assert repository.check(subset=subset).checked.bytes > 5_000_000
    for bad in ("0%", "3/2", "many", 0):
        with pytest.raises(ValueError, match="subset"):
            repository.check(subset=bad)
    with pytest.raises(ValueError, match="subset"):
        repository.check(subset="1/2", read_data=True)


def test_the_command_line_and_python_read_each_other(
    repository: keepwatch.Repository, tree: Path, tmp_path: Path, run_cli
):
    report = repository.backup(tree)
    place = ["--repo", repository.path, "--cache-dir", tmp_path / "cli-cache"]
    (row,) = json.loads(run_cli(*place, "snapshots", "--json"))
    assert row["id"] == report.snapshot
    snapshot = repository.snapshot()
    # The same fields, under the same names.
    for field in ("id", "host", "user", "files", "bytes"):
        assert row[field] == getattr(snapshot, field), field
    made = json.loads(run_cli(*place, "backup", "--json", tree))
    for field in made:
        assert hasattr(report, field), field
    for field, kind in (("files", "FileCounts"), ("bytes", "ByteCounts")):
        assert set(made[field]) <= set(dir(getattr(keepwatch, kind))), field
    assert repository.snapshot().id == made["snapshot"]
    checked = json.loads(run_cli(*place, "check", "--json"))
    assert set(checked) <= set(dir(keepwatch.CheckReport))
    pruned = json.loads(run_cli(*place, "prune", "--json"))
    assert set(pruned) <= set(dir(keepwatch.PruneReport))
    listed = run_cli(*place, "ls", "--json", "latest").splitlines()
    assert set(json.loads(listed[-1])) <= set(dir(keepwatch.Entry))


def test_a_closed_repository_says_so(repository: keepwatch.Repository, tree: Path):
    with repository:
        repository.backup(tree)
    assert repository.closed
    for call in (repository.snapshots, repository.check, lambda: repository.backup(tree)):
        with pytest.raises(keepwatch.ClosedError, match="closed"):
            call()
    repository.close()
    with pytest.raises(ValueError), repository:
        pass
