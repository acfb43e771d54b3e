"""Getting data sets, from servers on this machine that behave and misbehave as others do."""

import gzip
import hashlib
import io
import signal
import struct
import subprocess
import sys
import tarfile
import time
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler

import numpy as np
import pytest

from zerosum import data
from zerosum.cli.main import run
from zerosum.data import DATASETS, download
from zerosum.data.catalog import CIFAR_FILES, IDX_FILES, Distribution
from zerosum.errors import UserError

CHUNK = 2000


class Handler(BaseHTTPRequestHandler):
    """Serves `server.files`, and notes what was asked for with which Range."""

    def do_GET(self):
        server = self.server
        name = self.path.rpartition("/")[2]
        wanted = self.headers["Range"]
        server.asked.append((name, wanted))
        if name not in server.files:
            self.send_error(404)
            return
        content = server.files[name]
        start = int(wanted[6:-1]) if wanted and server.ranges else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        stop = len(content)
        if server.sends:  # so many bytes, this once
            stop = start + server.sends.pop(0)
        for place in range(start, stop, CHUNK):
            self.wfile.write(content[place : min(place + CHUNK, stop)])
            time.sleep(server.pause)
        if stop < len(content):
            server.released.wait(server.stalls)

    def log_message(self, *_):
        pass


@pytest.fixture
def serving(serve):
    """A server of files."""
    settings = {"ranges": True, "pause": 0, "stalls": 0}
    return lambda files: serve(Handler, "files/", files=files, asked=[], sends=[], **settings)


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """A cache of its own, nothing in /usr/share, and no patience."""
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("zerosum.data.catalog.folders", lambda name: (tmp_path / "cache" / name,))
    monkeypatch.setattr(download, "TIMEOUT", (5, 0.5))
    monkeypatch.setattr(download, "PAUSE", 0)
    monkeypatch.setattr(download, "CHUNK", 1000)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache" / "fashion-mnist"


def idx(values):
    """A gzip-compressed IDX file, which noise keeps from being small."""
    header = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    return gzip.compress(header + values.tobytes())


@pytest.fixture
def files():
    numbers = np.random.default_rng(0)
    images = [numbers.integers(0, 256, (count, 28, 28), np.uint8) for count in (30, 10)]
    labels = [np.arange(count, dtype=np.uint8) % 10 for count in (30, 10)]
    contents = (idx(images[0]), idx(labels[0]), idx(images[1]), idx(labels[1]))
    return dict(zip(IDX_FILES, contents, strict=True))


@pytest.fixture
def server(files, serving):
    with serving(files) as server:
        yield server


@pytest.fixture
def mirror(files, serving):
    """A second source that holds the same."""
    with serving(files) as server:
        yield server


@pytest.fixture
def offer(monkeypatch, files):
    """Say where fashion-mnist is to be had."""
    sums = {name: (len(held), hashlib.sha256(held).hexdigest()) for name, held in files.items()}

    def say(*servers):
        mirrors = tuple(getattr(server, "url", server) for server in servers)
        about = replace(
            DATASETS["fashion-mnist"], distribution=Distribution(mirrors=mirrors, files=sums)
        )
        monkeypatch.setitem(DATASETS, "fashion-mnist", about)

    return say


def get():
    """Download, and return what was reported."""
    reports = []
    download.download("fashion-mnist", report=lambda *numbers: reports.append(numbers))
    return reports


def held(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_command_gets_all_files_and_they_load(server, offer, files, folder, capsys):
    offer(server)
    assert run(["data", "get", "fashion-mnist"]) == 0
    assert capsys.readouterr() == (f"'fashion-mnist' is in {folder}.\n", "")
    assert held(folder) == files
    assert data.load("fashion-mnist").images.shape == (30, 1, 28, 28)
    assert data.load("fashion-mnist", split="test").labels.tolist() == list(range(10))
    assert [name for name, _ in server.asked] == list(IDX_FILES)

    assert run(["data", "get", "fashion-mnist"]) == 0
    said = capsys.readouterr().out
    assert said == f"'fashion-mnist' is here already, in {folder}. Remove it to get it anew.\n"
    assert len(server.asked) == 4


def test_progress_is_counted_in_bytes_of_all_files(server, offer, files):
    offer(server)
    reports = get()
    total = sum(map(len, files.values()))
    assert {whole for _, whole in reports} == {total}
    there = [number for number, _ in reports]
    assert there == sorted(there)
    assert there[-1] == total


def test_what_has_another_checksum_is_not_kept(server, offer, files, folder):
    offer(server)
    right = files[IDX_FILES[0]]
    server.files = {**files, IDX_FILES[0]: right[:-1] + bytes([right[-1] ^ 1])}
    with pytest.raises(download.NotReached, match="its sha256 is not the one expected"):
        get()
    assert held(folder) == {}


def test_another_size_is_refused_before_anything_is_written(server, mirror, offer, files, folder):
    """As of a hotel's page that asks for the room number instead."""
    offer(server)
    server.files = dict.fromkeys(files, b"<html>welcome</html>")
    with pytest.raises(download.NotReached, match=r"it holds 20 bytes, expected [\d,]+") as caught:
        get()
    assert held(folder) == {}
    assert caught.value.exit_code == 1
    offer(server, mirror)
    get()
    assert held(folder) == files


def test_a_source_that_breaks_off_is_gone_on_with(server, offer, files, folder):
    offer(server)
    server.sends = [5000, 3000]
    get()
    assert held(folder) == files
    assert server.asked[:3] == [
        (IDX_FILES[0], None),
        (IDX_FILES[0], "bytes=5000-"),
        (IDX_FILES[0], "bytes=8000-"),
    ]


def test_a_server_without_ranges_begins_anew(server, offer, files, folder):
    offer(server)
    server.sends, server.ranges = [5000], False
    get()
    assert held(folder) == files


CHILD = """
import sys
from dataclasses import replace
from zerosum.cli.main import run
from zerosum.data import DATASETS, download
from zerosum.data.catalog import Distribution
download.CHUNK = 1000
url, name, size, sha256 = sys.argv[1:]
offered = Distribution(mirrors=(url,), files={name: (int(size), sha256)})
about = replace(DATASETS["fashion-mnist"], distribution=offered, files=("nowhere",))
DATASETS["fashion-mnist"] = about
run(["data", "get", "fashion-mnist"])
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_command_that_was_killed_is_gone_on_with(server, offer, files, folder, number):
    offer(server)
    server.pause = 0.1
    name, content = next(iter(files.items()))
    arguments = [server.url, name, str(len(content)), hashlib.sha256(content).hexdigest()]
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments], stderr=subprocess.PIPE, text=True
    )
    part = folder / f".{name}.part"
    while process.poll() is None and not (part.exists() and part.stat().st_size):
        time.sleep(0.02)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert "Traceback" not in errors
    if number == signal.SIGINT:
        assert "the same command goes on where this one was" in errors
    there = part.stat().st_size
    assert 0 < there < len(content)
    server.pause = 0
    server.asked.clear()
    get()
    assert server.asked[0] == (name, f"bytes={there}-")
    # Pooch leaves an empty file behind when it is killed.
    assert {name: content for name, content in held(folder).items() if content} == files


def test_a_partial_file_of_something_else_is_begun_anew(server, offer, files, folder):
    offer(server)
    folder.mkdir(parents=True)
    (folder / f".{IDX_FILES[0]}.part").write_bytes(b"x" * 4000)
    get()
    assert held(folder) == files
    assert server.asked[:2] == [(IDX_FILES[0], "bytes=4000-"), (IDX_FILES[0], None)]


def test_the_second_source_serves_where_the_first_is_dead(server, offer, files, folder, serving):
    with serving({}) as other:
        dead = other.url
    offer(dead, server)
    get()
    assert held(folder) == files


def test_a_source_that_lacks_a_file_is_not_asked_first_again(server, mirror, offer, files, folder):
    server.files = {}
    offer(server, mirror)
    get()
    assert held(folder) == files
    assert [name for name, _ in server.asked] == [IDX_FILES[0]]


def test_a_source_that_stalls_is_left_and_the_next_goes_on(server, mirror, offer, files, folder):
    offer(server, mirror)
    server.sends, server.stalls = [5000, 0, 0], 20
    began = time.monotonic()
    get()
    assert time.monotonic() - began < 10
    assert held(folder) == files
    assert mirror.asked[0] == (IDX_FILES[0], "bytes=5000-")


def test_without_a_network_it_says_what_was_tried_and_what_to_do(
    offer, files, folder, capsys, serving
):
    with serving({}) as first, serving({}) as second:
        offer(first, second)
        first.server_close()
        assert run(["data", "get", "fashion-mnist"]) == 1
    said = capsys.readouterr().err
    assert f"  {first.url}{IDX_FILES[0]}: it cannot be reached" in said
    assert f"  {second.url}{IDX_FILES[0]}: the server answered 404" in said
    assert f"put it into {folder} and give the command again" in said
    for name, content in files.items():  # as it says
        (folder / name).write_bytes(content)
    (folder / IDX_FILES[0]).rename(folder / "moved")  # one is not there yet
    with pytest.raises(UserError, match=IDX_FILES[0]):
        get()
    (folder / "moved").rename(folder / IDX_FILES[0])
    get()
    assert held(folder) == files


def test_a_full_disk_keeps_what_is_there(server, offer, files, folder, capsys, full_disk):
    offer(server)
    with full_disk(5000):
        assert run(["data", "get", "fashion-mnist"]) == 2
    said = capsys.readouterr().err
    assert f"Could not write '{folder}': File too large. Make room, or name another folder" in said
    server.asked.clear()
    get()
    assert server.asked[0][1] == "bytes=5000-"
    assert held(folder) == files


def test_a_folder_that_cannot_be_written_is_named(server, offer, folder, capsys):
    offer(server)
    folder.parent.write_text("a file where the cache should be")
    assert run(["data", "get", "fashion-mnist"]) == 2
    said = capsys.readouterr().err
    assert f"Could not write '{folder}'" in said
    assert "ZEROSUM_CACHE" in said


class TestCifar:
    RECORD = 3073

    @pytest.fixture
    def offer(self, monkeypatch, serving):
        """Serve an archive of members, by name and content."""

        @contextmanager
        def say(members):
            packed = io.BytesIO()
            with tarfile.open(fileobj=packed, mode="w:gz") as tar:
                for name, content in members:
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
                link = tarfile.TarInfo("cifar-10-batches-bin/link.bin")
                link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
                tar.addfile(link)
            content = packed.getvalue()
            name = "cifar-10-binary.tar.gz"
            with serving({name: content}) as server:
                offered = Distribution(
                    mirrors=(server.url,),
                    files={name: (len(content), hashlib.sha256(content).hexdigest())},
                    member_bytes=self.RECORD,
                )
                about = replace(DATASETS["cifar10"], distribution=offered)
                monkeypatch.setitem(DATASETS, "cifar10", about)
                yield

        return say

    def members(self):
        return [
            (f"cifar-10-batches-bin/{name}", bytes([label]) * self.RECORD)
            for label, name in enumerate(CIFAR_FILES)
        ]

    def test_only_the_known_files_are_unpacked(self, offer, tmp_path):
        folder = tmp_path / "cache" / "cifar10"
        hostile = [
            ("../evil.bin", b"x"),
            ("/tmp/evil.bin", b"x"),
            ("cifar-10-batches-bin/readme.html", b"x"),
            ("other/data_batch_1.bin", b"too short"),
        ]
        with offer([*hostile, *self.members()]):
            assert run(["data", "get", "cifar10"]) == 0
        assert {path.name for path in folder.iterdir()} == set(CIFAR_FILES)
        assert list((tmp_path / "cache").iterdir()) == [folder]
        assert data.load("cifar10").labels.tolist() == [0, 1, 2, 3, 4]
        assert data.load("cifar10", split="test").labels.tolist() == [5]

    def test_an_archive_that_lacks_one_is_an_error(self, offer, capsys):
        with offer(self.members()[1:]):
            assert run(["data", "get", "cifar10"]) == 2
        assert "does not hold data_batch_1.bin" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["fashion-mnist", "cifar10"])
def test_what_is_offered_is_plausible(name):
    """Sizes and checksums cannot be tested without a network; their form can."""
    offered = DATASETS[name].distribution
    assert all(address.endswith("/") for address in offered.mirrors)
    for size, sha256 in offered.files.values():
        assert size > 0
        assert len(bytes.fromhex(sha256)) == 32
    if not offered.member_bytes:
        assert tuple(offered.files) == DATASETS[name].files
