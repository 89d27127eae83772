"""The stubs say what is there, and the package is typed."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import resources
from pathlib import Path

import keepwatch
from keepwatch import _keepwatch, errors


def run(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_passes_mypy():
    assert resources.files(keepwatch).joinpath("py.typed").is_file()
    run("mypy", "--strict", "--package", "keepwatch")


def test_the_stubs_are_those_of_the_module():
    run("mypy.stubtest", "keepwatch._keepwatch")


def test_the_stubs_lack_nothing_for_a_caller(tmp_path: Path):
    script = tmp_path / "caller.py"
    script.write_text(
        "from pathlib import Path\n"
        "import keepwatch\n"
        "with keepwatch.Repository.open(Path('x'), passphrase='y') as repository:\n"
        "    report: keepwatch.BackupReport = repository.backup(['a', Path('b')], exclude='*.o')\n"
        "    snapshot: str | None = report.snapshot\n"
        "    names: list[str] = [entry.path for entry in repository.ls('latest')]\n"
        "    try:\n"
        "        repository.restore(repository.snapshot(), Path('out'))\n"
        "    except keepwatch.PartialRestoreError as error:\n"
        "        print(error.hint, error.report.errors[0].path)\n"
    )
    run("mypy", "--strict", str(script))


def test_everything_public_is_documented():
    for name in keepwatch.__all__:
        thing = getattr(keepwatch, name)
        if inspect.isclass(thing) or callable(thing):
            assert thing.__doc__, name
    for name in _keepwatch.__all__:
        thing = getattr(_keepwatch, name)
        if not inspect.isclass(thing):
            continue
        for method, member in vars(thing).items():
            if not method.startswith("_") and method not in FILE_METHODS:
                assert member.__doc__, f"{name}.{method}"


#: What these do, every Python programmer knows.
FILE_METHODS = {"close", "closed", "isatty", "readable", "seekable", "writable", "mode"}


def test_errors_are_one_tree():
    for name in errors.__all__:
        error = getattr(errors, name)
        assert issubclass(error, keepwatch.KeepwatchError)
        assert error.__doc__
        assert error.hint is None
