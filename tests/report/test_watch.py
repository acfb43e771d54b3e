import html
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest
import torch
from safetensors.torch import load_file

from zerosum.callbacks.progress import ProgressCallback
from zerosum.errors import UserError
from zerosum.report import watch
from zerosum.report.watch import Watch, server_on, status_of
from zerosum.report.words import words_of
from zerosum.training.run_directory import RunDirectory

WORDS = words_of("en")


@contextmanager
def serving(run):
    server = server_on(0, run, language="en")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(port, path="/", *, method="GET", host=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, headers={"Host": host or f"127.0.0.1:{port}", **names})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


@pytest.fixture
def at_once(monkeypatch):
    """Look at the files for each question anew."""
    monkeypatch.setattr(watch, "FRESH_SECONDS", -1.0)


def test_two_routes_and_nothing_else(make_run):
    directory = make_run("a")
    with serving(directory.path) as port:
        answer, content = ask(port)
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "connect-src 'self'" in html.unescape(content.decode())
        assert b"data-live" in content
        answer, content = ask(port, "/data")
        assert json.loads(content)["main"].count("<section") > 4
        for path in ("/config.json", "/../a/log.jsonl", "/data/", "/%2e%2e/", "/data.png"):
            assert ask(port, path)[0].status == 404, path


def test_only_who_asks_by_our_name_is_answered(make_run):
    with serving(make_run("a").path) as port:
        assert ask(port, host=f"localhost:{port}")[0].status == 200
        for host in ("evil.example", f"evil.example:{port}", "localhost", f"127.0.0.1:{port}.x"):
            answer, content = ask(port, "/data", host=host)
            assert answer.status == 403
            assert b"section" not in content


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"])
def test_nothing_can_be_sent(make_run, method):
    with serving(make_run("a").path) as port:
        answer, _ = ask(port, method=method)
        assert answer.status == 405
        assert answer.headers["Allow"] == "GET, HEAD"


def test_head_has_no_content(make_run):
    with serving(make_run("a").path) as port:
        answer, content = ask(port, method="HEAD")
        assert answer.status == 200
        assert int(answer.headers["Content-Length"]) > 1000
        assert content == b""


def test_what_is_known_is_not_sent_again(make_run, at_once):
    directory = make_run("a")
    with serving(directory.path) as port:
        answer, content = ask(port, "/data")
        news = json.loads(content)
        answer, content = ask(port, "/data", If_None_Match=answer.headers["ETag"])
        assert (answer.status, content) == (304, b"")
        answer, content = ask(port, f"/data?have={news['have']}")
        assert "main" not in json.loads(content)
        etag = answer.headers["ETag"]

        directory.append_log({"epoch": 5, "seen": 50, "loss_D": 1.0, "loss_G": 1.0})
        answer, content = ask(port, f"/data?have={news['have']}", If_None_Match=etag)
        assert answer.status == 200
        assert "50 images" in json.loads(content)["main"]


def test_it_waits_for_the_run_and_outlives_a_restart(make_run, at_once, tmp_path):
    directory = RunDirectory(tmp_path / "a")
    with serving(directory.path) as port:
        assert b"Waiting for a training" in ask(port)[1]
        make_run("a")
        assert b"frechet_digits" in ask(port)[1]
        directory.remove()
        assert b"Waiting for a training" in ask(port)[1]
        directory.config_path.write_text("{ damaged")
        answer, content = ask(port)
        assert answer.status == 200
        assert b"The run cannot be read" in content


def test_names_in_the_run_are_escaped(make_run, at_once):
    directory = make_run("<b>a", health="<script>alert(1)</script>")
    with serving(directory.path) as port:
        for path in ("/", "/data"):
            content = ask(port, path)[1].decode()
            sent = json.loads(content)["main"] if path == "/data" else content
            assert "<script>alert" not in sent
            assert "<b>a" not in sent
            assert "&lt;b&gt;a" in sent


def test_one_look_serves_all_who_ask_at_once(make_run):
    watched = Watch(make_run("a").path, language="en")
    first = watched.page()
    assert watched.page() is first


@pytest.mark.parametrize(
    ("facts", "age", "state", "detail"),
    [
        ({"state": "training"}, 0, "Training", "10 of 40 images"),
        ({"state": "training"}, 200, "No news for 3 min", "10 of 40 images"),
        ({"state": "ended"}, 200, "Training has stopped", "10 of 40 images"),
        ({"state": "ended", "seen": 48}, 200, "Training has stopped", "48 images"),
        ({"state": "training", "images_per_second": 10}, 0, "Training", "about 3 s to go"),
        ({"state": "training", "loss_D": 0.5, "loss_G": 2}, 0, "Training", "loss G 2.000"),
        ({"state": "training", "budget": 0}, 0, "No process says", ""),
        ({"seen": "x"}, 0, "No process says", ""),
    ],
)
def test_the_status_says_how_far_it_is(make_run, facts, age, state, detail):
    directory = make_run("a")
    directory.progress_path.write_text(json.dumps({"seen": 10, "budget": 40, **facts}))
    then = time.time() - age
    os.utime(directory.progress_path, (then, then))
    found = status_of(directory, WORDS)
    assert found["state"].startswith(state)
    assert detail in found["detail"]


def test_a_taken_port_is_said(make_run):
    with serving(make_run("a").path) as port, pytest.raises(UserError, match="--port"):
        server_on(port, RunDirectory("a").path, language="en")


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none(port, tmp_path):
    with pytest.raises(UserError, match="0 to 65535"):
        server_on(port, tmp_path, language="en")


def test_nonsense_and_silence_hurt_nobody(make_run):
    with serving(make_run("a").path) as port:
        for nonsense in (b"\x00\xff\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b""):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(nonsense)
        assert ask(port)[0].status == 200


def weights(run):
    return load_file(run.directory.checkpoints.path(120) / "state.safetensors")


def test_weights_are_the_same_watched_or_not(train_tiny, tmp_path, monkeypatch, at_once):
    stop = threading.Event()

    def keep_asking(port):
        while not stop.wait(0.2):
            ask(port, "/data")

    with serving(tmp_path / "watched") as port:
        asker = threading.Thread(target=keep_asking, args=(port,))
        asker.start()
        watched = train_tiny(tmp_path / "watched")
        stop.set()
        asker.join()
    assert json.loads(watched.directory.progress_path.read_text())["state"] == "ended"
    for name in ("begin", "update", "tick", "end"):
        monkeypatch.setattr(ProgressCallback, name, lambda *_, **__: None)
    alone = train_tiny(tmp_path / "alone")
    assert not alone.directory.progress_path.exists()
    first, second = weights(watched), weights(alone)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_ctrl_c_ends_it_calmly(make_run):
    directory = make_run("a")
    command = [sys.executable, "-m", "zerosum", "watch", str(directory.path), "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as run:
        said = run.stdout.readline()
        assert "http://127.0.0.1:" in said
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=30)
    assert run.returncode == 0
    assert "the run is as it was" in out
    assert err == ""


def test_a_fault_of_ours_is_an_answer_too(monkeypatch, make_run):
    server = server_on(0, make_run("a").path, language="en")
    monkeypatch.setattr(server.watch, "page", lambda: 1 / 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
        connection.request("GET", "/")
        assert connection.getresponse().status == 500
        connection.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
