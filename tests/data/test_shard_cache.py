"""Shards from servers on this machine that stall, break off, and do not have what they should."""

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler

import pytest
import torch

import zerosum
from zerosum.cli.main import run
from zerosum.data import download, load, shard_cache
from zerosum.data.download import NotReached
from zerosum.data.shard_cache import LIMIT, Remote, base_of, limit_bytes
from zerosum.data.shards import INDEX
from zerosum.data.store import in_memory
from zerosum.errors import UserError
from zerosum.inference.run import Run
from zerosum.seeds import stream_seed

LOST = "train-00004.tar"


class Handler(BaseHTTPRequestHandler):
    """Serves a folder; what `server.acts` names behaves as it says, so many times."""

    def do_GET(self):
        server = self.server
        name = self.path.rpartition("/")[2]
        server.asked.append(name)
        act, times = server.acts.get(name, ("", 0))
        if times:
            server.acts[name] = (act, times - 1)
        else:
            act = ""
        path = server.folder / name
        if act in ("404", "503") or not path.is_file():
            self.send_error(int(act or 404))
            return
        content = path.read_bytes()
        if act == "short":
            content = content[:-512]
        if act == "other":
            content = content[:600] + b"X" + content[601:]
        start = int(self.headers["Range"][6:-1]) if self.headers["Range"] else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if act in ("stall", "break"):
            self.wfile.write(content[start : start + 700])
            if act == "stall":
                server.released.wait(20)
            return
        self.wfile.write(content[start:])

    def log_message(self, *_):
        pass


@pytest.fixture
def serving(serve):
    """A server of a folder."""
    return lambda folder: serve(Handler, "sets/photos", folder=folder, asked=[], acts={})


@pytest.fixture(autouse=True)
def impatient(tmp_path, monkeypatch):
    """A cache of its own, and no patience."""
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "TIMEOUT", (5, 0.5))
    monkeypatch.setattr(download, "PAUSE", 0)
    monkeypatch.setattr(shard_cache, "PAUSES", (0.0,))


@pytest.fixture
def server(shards, serving):
    with serving(shards) as server:
        yield server


@pytest.fixture
def cached(tmp_path):
    return lambda: {path.name for path in (tmp_path / "cache" / "shards").glob("*/*.tar")}


@pytest.mark.parametrize("ending", ["", "/", "/index.json"])
def test_the_folder_or_its_index_is_the_address(server, shards, ending):
    found = load(server.url + ending)
    assert found.images.kept == f"in shards, streamed from {server.url}/"
    assert found.name == "photos"
    assert torch.equal(in_memory(found.images), in_memory(load(shards).images))
    assert torch.equal(found.labels, load(shards).labels)
    assert found.fingerprint() == load(shards).fingerprint()


def test_nothing_is_got_before_it_is_needed_and_nothing_twice(server):
    images = load(server.url).images
    assert set(server.asked) == {INDEX, "train-labels.npy"}
    in_memory(images)
    in_memory(load(server.url).images)
    tars = [name for name in server.asked if name.endswith(".tar")]
    assert len(tars) == len(set(tars)) == 12


def test_all_of_a_window_and_of_the_next_come_before_they_are_asked_for(server, cached):
    images = load(server.url).images
    order = images.order(torch.Generator().manual_seed(0))
    images.take(order[:1])
    deadline = time.monotonic() + 10
    while len(cached()) < 8 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(cached()) == 8


def test_what_is_kept_is_listed_and_removed_and_got_again(server, shards, capsys, cached):
    images = load(server.url).images
    in_memory(images)
    assert run(["data", "cache"]) == 0
    assert "246 kB of shards from other machines in" in capsys.readouterr().out
    assert run(["data", "cache", "--prune"]) == 0
    assert "Removed 246 kB of shards from other machines." in capsys.readouterr().out
    assert cached() == set()
    assert torch.equal(in_memory(images), in_memory(load(shards).images))


class TestTheLimit:
    def test_what_was_not_used_for_longest_goes(self, server, shards, monkeypatch, cached):
        size = (shards / LOST).stat().st_size
        monkeypatch.setenv(LIMIT, str(6.5 * size / 1e9))
        images = load(server.url).images
        whole = in_memory(load(shards).images)
        for row in range(70):
            assert torch.equal(images[row], whole[row])
            assert len(cached()) <= 6
        tars = [name for name in server.asked if name.endswith(".tar")]
        assert len(tars) == 12
        assert torch.equal(images[0], whole[0])  # got anew
        assert len([name for name in server.asked if name.endswith(".tar")]) == 13

    def test_what_is_needed_stays(self, server, monkeypatch):
        monkeypatch.setenv(LIMIT, "0.000001")
        images = load(server.url).images
        order = images.order(torch.Generator().manual_seed(0))
        for start in range(0, 70, 7):
            images.take(order[start : start + 7])
        tars = [name for name in server.asked if name.endswith(".tar")]
        assert len(tars) == len(set(tars)) == 12

    def test_parts_that_nobody_gets_any_more_go_too(self, server, monkeypatch, tmp_path):
        remote = Remote(server.url)
        old, new, coming = (
            remote._folder / f".train-{number:05d}.tar.part" for number in range(900, 903)
        )
        for part in (old, new, coming):
            part.write_bytes(bytes(1000))
        for part in (old, coming):
            os.utime(part, (time.time() - 90_000,) * 2)
        assert shard_cache.kept_bytes() == 3000
        monkeypatch.setenv(LIMIT, "0.000001")
        with shard_cache.locked(coming.with_suffix(".lock")):
            Remote(server.url)._make_room(1)
        assert [part.exists() for part in (old, new, coming)] == [False, True, True]

    @pytest.mark.parametrize("text", ["much", "-1", "0", "inf", "nan"])
    def test_it_is_a_size(self, monkeypatch, text):
        monkeypatch.setenv(LIMIT, text)
        with pytest.raises(UserError, match=f"{LIMIT} is '{text}': expected how many GB"):
            limit_bytes()


class TestTrouble:
    def test_what_stalls_once_is_gone_on_with(self, server, shards):
        server.acts[LOST] = ("stall", 1)
        assert torch.equal(in_memory(load(server.url).images), in_memory(load(shards).images))
        assert server.asked.count(LOST) == 2

    def test_what_breaks_off_is_gone_on_with(self, server, shards):
        server.acts[LOST] = ("break", 3)
        assert torch.equal(in_memory(load(server.url).images), in_memory(load(shards).images))

    def test_a_server_that_is_busy_is_asked_again(self, server, shards):
        server.acts[LOST] = ("503", 1)
        server.acts[INDEX] = ("503", 1)
        assert torch.equal(in_memory(load(server.url).images), in_memory(load(shards).images))

    @pytest.mark.parametrize(
        ("act", "why"),
        [
            ("404", "the server answered 404 Not Found"),
            ("503", "the server answered 503"),
            ("stall", "no answer in time"),
            ("short", "it holds .* bytes, expected"),
            ("other", "its sha256 is another than the index says, each time that it is got"),
        ],
    )
    def test_what_does_not_end_is_one_message_and_a_later_try_succeeds(
        self, server, shards, act, why
    ):
        images = load(server.url).images
        server.acts[LOST] = (act, 1000)
        with pytest.raises(UserError, match=f"{server.url}/{LOST}' .*{why}"):
            in_memory(images)
        server.acts.clear()
        server.released.set()
        assert torch.equal(in_memory(images), in_memory(load(shards).images))

    @pytest.mark.parametrize("act", ["404", "stall"])
    def test_without_an_index_there_is_nothing(self, server, act):
        server.acts[INDEX] = (act, 1000)
        with pytest.raises(NotReached, match=f"The index of shards at '{server.url}/{INDEX}' cou"):
            load(server.url)

    def test_nobody_there(self, server):
        address = server.url.replace(str(server.server_port), "9")
        with pytest.raises(NotReached, match="it cannot be reached"):
            load(address)

    def test_an_index_that_is_none(self, server, shards):
        (shards / INDEX).write_text("<html>Welcome")
        with pytest.raises(UserError, match=r"has no index.json of shards that can be read"):
            load(server.url)

    def test_one_that_does_not_end(self, server, monkeypatch):
        monkeypatch.setattr(shard_cache, "MAX_INDEX_BYTES", 100)
        with pytest.raises(UserError, match="sends more than 100 bytes"):
            load(server.url)

    def test_labels_that_are_missing(self, server):
        server.acts["train-labels.npy"] = ("404", 9)
        with pytest.raises(NotReached, match=r"train-labels.npy' could not be got: .* 404"):
            load(server.url)

    def test_a_damaged_file_in_the_cache_is_got_anew(self, server, shards, tmp_path):
        in_memory(load(server.url).images)
        (path,) = (tmp_path / "cache" / "shards").glob(f"*/{LOST}")
        content = path.read_bytes()
        for damaged in (content[:-1], b"X" + content[1:]):
            path.write_bytes(damaged)
            assert torch.equal(in_memory(load(server.url).images), in_memory(load(shards).images))
            assert path.read_bytes() == content

    def test_a_cache_that_cannot_be_written(self, server, tmp_path, monkeypatch):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "file"))
        with pytest.raises(UserError, match=f"Could not write .*{LIMIT}"):
            load(server.url)


class TestAddresses:
    def test_a_folder_may_be_called_like_an_index(self):
        assert base_of("https://host/my-index.json") == "https://host/my-index.json/"
        assert base_of("https://host/index.json") == "https://host/"

    @pytest.mark.parametrize(
        "url", ["https://", "http:///a", "https://a/b?c", "https://a/b#c", "http://[a"]
    )
    def test_others_are_refused(self, url):
        with pytest.raises(UserError, match="is no address of shards"):
            base_of(url)

    @pytest.mark.parametrize("url", ["https://me:secret@host/a", "https://token@host/a"])
    def test_secrets_are_refused_and_not_repeated(self, url):
        with pytest.raises(UserError, match="netrc") as refused:
            base_of(url)
        assert "secret" not in str(refused.value)
        assert "token" not in str(refused.value)


def test_two_processes_share_what_they_get(server):
    images = [load(server.url).images for _ in range(3)]
    threads = [threading.Thread(target=in_memory, args=(each,)) for each in images]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([name for name in server.asked if name.endswith(".tar")]) == 12


SETTINGS = {"epochs": 3, "batch_size": 8, "hidden": (6,), "latent_size": 3, "evaluate_every": 0}


def test_a_training_ends_alike_whatever_was_in_the_cache_and_whatever_stopped_it(
    server, shards, tmp_path, recorder, monkeypatch
):
    def train(name, data):
        path = tmp_path / name
        zerosum.train("vanilla", data=data, out=path, callbacks=[recorder], **SETTINGS)
        return Run(path).generator().state_dict()

    def same(some, others):
        return all(torch.equal(some[name], others[name]) for name in some)

    whole = train("here", shards)
    assert same(whole, train("there", server.url))
    config = json.loads((tmp_path / "there" / "config.json").read_text())
    assert config["data_path"] is None
    assert config["config"]["data"] == server.url

    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr("zerosum.data.loader.MOST_AHEAD", 2)
    monkeypatch.setattr("zerosum.data.shard_store.ShardImages._soon", lambda self, numbers: numbers)
    monkeypatch.setattr("zerosum.experiment.IMAGES_SHOWN", 4)
    images = load(shards, tier="disk").images
    generator = torch.Generator().manual_seed(stream_seed("data", 0, 0))
    last = int(images.order(generator)[-1])  # of the first epoch
    server.acts[f"train-{last * 12 // 70:05d}.tar"] = ("404", 1000)
    with pytest.raises(UserError, match=r"404 Not Found.* Stopped at \d+ images, and saved"):
        train("stopped", server.url)
    server.acts.clear()
    assert same(whole, train("stopped", server.url))


@pytest.mark.slow
def test_the_program_ends_though_a_server_stalls(server, tmp_path):
    server.acts = dict.fromkeys(
        (f"train-{number:05d}.tar" for number in range(12)), ("stall", 1000)
    )
    code = (
        "import sys, threading, torch; from zerosum.data import load;"
        "images = load(sys.argv[1]).images;"
        "threading.Thread(target=lambda: images[0]).start()"
    )
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, server.url],
        env={**os.environ, "ZEROSUM_CACHE": str(tmp_path / "another")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "The program ends." in done.stderr
    assert time.monotonic() - started < 15 + 20  # the server holds on for 20
    assert done.returncode == 0


def test_what_the_index_names_cannot_lead_out_of_the_cache(server, shards):
    content = json.loads((shards / INDEX).read_text())
    content["splits"]["train"]["labels"]["file"] = "../../escape"
    (shards / INDEX).write_text(json.dumps(content))
    with pytest.raises(UserError, match="a file of the name"):
        Remote(server.url)
