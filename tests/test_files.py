import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from zerosum.errors import UserError
from zerosum.files import cache_folder, cannot_write, sweep, write_whole


@pytest.mark.parametrize("durable", [False, True])
def test_text_and_bytes_replace_what_was_there(tmp_path, durable):
    path = tmp_path / "page.html"
    write_whole(path, "gr\u00fcn", durable=durable)
    assert path.read_bytes() == "gr\u00fcn".encode()
    write_whole(path, b"\0\1", durable=durable)
    assert path.read_bytes() == b"\0\1"
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_a_disk_that_fills_up_leaves_the_old_content_and_no_rest(tmp_path, full_disk):
    path = tmp_path / "config.json"
    path.write_text("old")
    with full_disk(100), pytest.raises(OSError, match="too large"):
        write_whole(path, b"x" * 1000)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_content_is_there_until_the_new_is_whole_on_the_disk(tmp_path, monkeypatch):
    path, seen = tmp_path / "state.json", []
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", lambda _: seen.append(path.read_text()))
    write_whole(path, "new", durable=True)
    assert (seen, path.read_text()) == (["old"], "new")
    write_whole(path, "newer")
    assert len(seen) == 1


def test_a_folder_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "none" / "x", "")


def test_the_error_says_what_the_system_said_and_what_to_do(tmp_path):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    error = cannot_write(tmp_path, full, "Make room.")
    assert isinstance(error, UserError)
    assert str(error) == f"Could not write '{tmp_path}': No space left on device. Make room."
    assert str(cannot_write(tmp_path, OSError("cannot encode"))).endswith(
        "cannot encode. Choose another place with --out."
    )


def test_the_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ZEROSUM_CACHE", "~/elsewhere")
    assert cache_folder() == tmp_path / "elsewhere"
    monkeypatch.setenv("ZEROSUM_CACHE", "")
    assert cache_folder() == tmp_path / ".cache" / "zerosum"


def test_without_a_home_there_is_no_cache(monkeypatch):
    def unknown(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", unknown)
    monkeypatch.delenv("ZEROSUM_CACHE", raising=False)
    assert not cache_folder().exists()
    assert cache_folder().is_absolute()


def test_what_a_writer_that_is_gone_has_left_is_swept(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    kept = [f".page.html.{os.getppid()}.writing", "page.html", ".hidden", "writing"]
    swept = [f".page.html.{gone.pid}.writing", f".own.{os.getpid()}.writing", ".odd.writing"]
    for name in kept + swept:
        (tmp_path / name).touch()
    doomed = tmp_path / f".checkpoints.{gone.pid}.writing" / "100"
    doomed.mkdir(parents=True)
    (doomed / "state.json").touch()
    (tmp_path / ".link.0.writing").symlink_to(tmp_path / "page.html")
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
