"""A part of `make attack`: what is killed, or whose disk fails, ends as if nothing had happened."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ATTACK = Path(__file__).with_name("kill.py")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux"),
    pytest.mark.skipif(
        not (shutil.which("cc") or shutil.which("gcc")), reason="needs a C compiler"
    ),
]


@pytest.fixture
def kill(monkeypatch):
    """The attack as a module."""
    monkeypatch.syspath_prepend(ATTACK.parent)
    return importlib.import_module("kill")


def test_a_training_that_is_killed_anywhere_ends_as_if_it_was_not():
    done = subprocess.run(
        [sys.executable, ATTACK, "--small"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^[4-9] cases, 0 fell.", done.stdout, re.MULTILINE)
    assert re.search(r"4 kills at random moments of \d trainings, 0 fell.", done.stdout)


CALLS = {
    "openat": "open",
    "open": "open",
    "creat": "open",
    "write": "write",
    "pwrite64": "write",
    "writev": "write",
    "fallocate": "write",
    "fsync": "fsync",
    "fdatasync": "fsync",
    "ftruncate": "truncate",
    "truncate": "truncate",
    "rename": "rename",
    "renameat": "rename",
    "renameat2": "rename",
    "mkdir": "mkdir",
    "mkdirat": "mkdir",
    "unlink": "unlink",
    "unlinkat": "unlink",
    "rmdir": "unlink",
    "link": "link",
    "linkat": "link",
    "symlink": "link",
    "symlinkat": "link",
}
OTHERS = "pwritev,pwritev2,sendfile,copy_file_range,splice,io_uring_setup,chmod,fchmod,utimensat"


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_the_points_are_all_that_the_system_is_asked_for(kill, tmp_path):

    kill.make_images(tmp_path)
    tokens = kill.train_tokens("--log", "tensorboard", evaluate_every=0)
    shim, names, traced = kill.build(tmp_path), tmp_path / "names", tmp_path / "traced"
    armed = {
        **{"LD_PRELOAD": str(shim), kill.SHIM: str(shim), "RANK": "0", "POINTS_RANK": "0"},
        **{"POINTS_AT": "0", "POINTS_ACTION": "0", "POINTS_LIST": str(names)},
        **{"POINTS_FIRST": str(tmp_path / "run"), "POINTS_SECOND": str(tmp_path / "cache")},
        "ZEROSUM_CACHE": str(tmp_path / "cache"),
    }
    settings = [argument for name, value in armed.items() for argument in ("-E", f"{name}={value}")]
    calls = f"trace=?{',?'.join([*CALLS, *OTHERS.split(',')])}"
    subprocess.run(
        [
            *("strace", "-f", "-y", "-s", "8", "-o", traced, "-e", calls, *settings),
            *(sys.executable, "-m", "zerosum", *tokens),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    found = Counter(line.split()[0] for line in names.read_text().splitlines())
    system = Counter(told_by_strace(traced.read_text(), tmp_path))
    assert found == system
    assert found.total() > 50


def told_by_strace(text, folder):
    """The kinds of calls that strace saw change the run or the cache."""
    watched = re.compile(rf"<{re.escape(str(folder))}/(run|cache)\b|\"({folder}/)?(run|cache)\b")
    for line in text.splitlines():
        call = re.match(r"\d+ +(\w+)\((.*)", line)  # what was interrupted is told by its beginning
        if call is None or not watched.search(line):
            continue
        name, arguments = call.groups()
        if name in ("openat", "open") and not re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC)", arguments):
            continue
        if name == "write" and not watched.match(arguments.lstrip("0123456789")):
            continue
        yield CALLS.get(name, name)


def test_a_point_that_is_killed_is_told_by_its_name(kill, tmp_path):

    shim = kill.build(tmp_path)
    armed = {
        **{"LD_PRELOAD": str(shim), kill.SHIM: str(shim), "RANK": "0", "POINTS_RANK": "0"},
        **{"POINTS_AT": "2", "POINTS_ACTION": "2", "POINTS_LIST": str(tmp_path / "names")},
        **{"POINTS_FIRST": str(tmp_path / "run"), "POINTS_SECOND": ""},
    }
    (tmp_path / "run").mkdir()
    program = "open('run/a', 'wb').write(b'1234')"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=os.environ | armed, check=False
    )
    assert done.returncode == -9
    assert (tmp_path / "run" / "a").read_bytes() == b"12"
    assert (tmp_path / "names").read_text().splitlines() == [
        f"open {tmp_path}/run/a",
        f"write {tmp_path}/run/a",
    ]
