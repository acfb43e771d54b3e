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
from contextlib import ExitStack, contextmanager, suppress

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
        for path in ("/config.json", "/data/", "/data.png"):
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


def talk(port, sent):
    """What comes back before the connection ends, nothing where it is cut off."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        received = b""
        with suppress(ConnectionError):
            connection.sendall(sent)
        with suppress(ConnectionError):
            while part := connection.recv(65536):
                received += part
        return received


def asking(port, *lines, path="/"):
    """A request by the server's name, with more lines."""
    said = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close", *lines]
    return "".join(f"{line}\r\n" for line in [*said, ""]).encode("latin-1")


@pytest.mark.parametrize(
    ("nonsense", "status"),
    [
        (b"\x00\xff\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n", b"400"),  # TLS
        (b"GET /\r\n\r\n", b"403"),
        (b"GET / HTTP/1.0\r\n\r\n", b"403"),
        (b"GET / HTTP/9.9\r\n\r\n", b"505"),
        (b"GET / HTTP/x\r\n\r\n", b"400"),
        (b"GET / extra words HTTP/1.1\r\n\r\n", b"400"),
        (b"BREW\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"431"),
        (b"\r\n", b""),
        (b"\n" * 100, b""),
    ],
)
def test_malformed_requests_are_refused(make_run, nonsense, status):
    with serving(make_run("a").path) as port:
        answer = talk(port, nonsense)
        assert answer.split(b" ")[1:2] == ([status] if status else [])
        assert b"section" not in answer
        assert ask(port)[0].status == 200


def test_a_body_is_no_further_request(make_run):
    with serving(make_run("a").path) as port:
        inner = asking(port, path="/data")
        for line in (f"Content-Length: {len(inner)}", "Transfer-Encoding: chunked"):
            answer = talk(port, asking(port, line).replace(b"Connection: close\r\n", b"") + inner)
            assert answer.count(b"HTTP/1.1 ") == 1
            assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("large", ["path", "header", "headers"])
def test_large_requests_are_refused(make_run, large):
    with serving(make_run("a").path) as port:
        size = watch.MOST_REQUEST_BYTES
        sent = {
            "path": asking(port, path="/" + "a" * size),
            "header": asking(port, f"X: {'a' * size}"),
            "headers": asking(port, *(f"X: {'a' * 200}" for _ in range(size // 200))),
        }[large]
        status = b"414" if large == "path" else b"431"
        assert talk(port, sent).split(b" ")[1:2] == [status]
        assert talk(port, asking(port, f"X: {'a' * (size - 200)}")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "path",
    [
        *("/config.json", "/../a/log.jsonl", "//etc/passwd", "/%2e%2e/", "/..%2fconfig.json"),
        *("/data/..", "/./", "/.", "/\\..\\config.json", "/data%00.png", "/data;a", "/\x00", "//["),
        *("http://[/", "http://evil.example/", "file:///etc/passwd", "*", "config.json", "/DATA"),
    ],
)
def test_no_path_leads_to_a_file(make_run, path):
    with serving(make_run("a").path) as port:
        answer = talk(port, asking(port, path=path))
        assert answer.split(b" ")[1] in (b"404", b"400")
        assert b"section" not in answer


def test_no_page_elsewhere_may_ask(make_run):
    with serving(make_run("a").path) as port:
        for origin in (f"http://127.0.0.1:{port}", f"http://localhost:{port}"):
            assert ask(port, "/data", Origin=origin)[0].status == 200
        for origin in (
            "null",
            "http://evil.example",
            f"https://127.0.0.1:{port}",
            "http://127.0.0.1",
        ):
            answer, content = ask(port, "/data", Origin=origin)
            assert answer.status == 403
            assert b"section" not in content
            assert "Access-Control-Allow-Origin" not in answer.headers


def test_browsers_leave_out_the_usual_port():
    assert watch.names_of(8600) == {"127.0.0.1:8600", "localhost:8600"}
    assert watch.names_of(80) == {"127.0.0.1:80", "localhost:80", "127.0.0.1", "localhost"}


def test_two_names_are_none(make_run):
    with serving(make_run("a").path) as port:
        for second in ("Host: evil.example", f"Host: 127.0.0.1:{port}"):
            assert talk(port, asking(port, second)).split(b" ")[1] == b"403"


def test_every_answer_has_the_security_headers(make_run):
    with serving(make_run("a").path) as port:
        answers = [ask(port), ask(port, "/data"), ask(port, "/x"), ask(port, method="POST")]
        answers += [ask(port, host="evil.example")]
        etag = answers[0][0].headers["ETag"]
        answers.append(ask(port, If_None_Match=etag))
        assert [answer.status for answer, _ in answers] == [200, 200, 404, 405, 403, 304]
        for answer, _ in answers:
            for name, value in watch.SECURITY_HEADERS.items():
                assert answer.headers[name] == value
        refused = talk(port, b"\xff\r\n\r\n").decode()
        for name, value in watch.SECURITY_HEADERS.items():
            assert f"\r\n{name}: {value}\r\n" in refused


def test_an_answer_repeats_nothing_of_the_request(make_run):
    with serving(make_run("a").path) as port:
        for sent in (
            asking(port, path="/<script>x7</script>"),
            b"x7<script> y7 z7 HTTP/1.1\r\n\r\n",
            asking(port, "X: x7", path="/data?have=x7%0d%0aSet-Cookie:x7"),
            asking(port, 'If-None-Match: "x7"'),
        ):
            assert b"x7" not in talk(port, sent)


def is_over(connection):
    connection.settimeout(10)
    with suppress(ConnectionError):
        while connection.recv(65536):
            pass
    return True


def test_slow_clients_are_cut_off(make_run, monkeypatch):
    monkeypatch.setattr(watch, "IDLE_SECONDS", 0.3)
    with serving(make_run("a").path) as port:
        silent = socket.create_connection(("127.0.0.1", port))
        dripping = socket.create_connection(("127.0.0.1", port))
        with silent, dripping, suppress(ConnectionError):
            dripping.sendall(b"GET / HTTP/1.1\r\nX: ")
            for _ in range(200):  # a letter in time, but never a whole request
                dripping.sendall(b"a")
                time.sleep(0.05)
            pytest.fail("it could drip for ever")
        with socket.create_connection(("127.0.0.1", port)) as silent:
            assert is_over(silent)


def test_who_does_not_fetch_the_answer_is_cut_off(make_run, monkeypatch):
    monkeypatch.setattr(watch, "ANSWER_SECONDS", 0.3)
    large = watch.Answer(b"a" * 50_000_000, "text/plain", "etag")
    monkeypatch.setattr(Watch, "page", lambda _: large)
    with serving(make_run("a").path) as port, socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect(("127.0.0.1", port))
        before = threading.active_count()
        lazy.sendall(asking(port))
        until = time.monotonic() + 20
        while threading.active_count() <= before and time.monotonic() < until:
            time.sleep(0.01)  # until its thread is there
        while threading.active_count() > before and time.monotonic() < until:
            time.sleep(0.01)
        assert threading.active_count() <= before
        assert ask(port, "/data")[0].status == 200


@pytest.fixture
def many_files():
    """Let this process open 4,000 files."""
    resource = pytest.importorskip("resource", reason="needs limits of open files")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4000:
        pytest.skip(f"needs 4000 open files, {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_thousand_connections_keep_nobody_out(make_run, many_files):
    with serving(make_run("a").path) as port, ExitStack() as stack:
        for _ in range(1000):
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            stack.enter_context(connection)
            connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        assert ask(port)[0].status == 200
        threads = [each for each in threading.enumerate() if "process_request" in each.name]
        assert len(threads) <= watch.MOST_CONNECTIONS + 20  # some may be about to end
    with serving(make_run("b").path) as port:
        assert ask(port)[0].status == 200


def test_it_listens_on_the_loopback_alone(make_run):
    server = server_on(0, make_run("a").path, language="en")
    assert server.socket.getsockname()[0] == "127.0.0.1"
    server.server_close()


def test_it_writes_nothing(make_run):
    directory = make_run("a")

    def stand():
        return {path: path.stat().st_mtime_ns for path in directory.path.rglob("*")}

    before = stand()
    with serving(directory.path) as port:
        for path in ("/", "/data", "/config.json"):
            ask(port, path)
            ask(port, path, method="PUT")
    assert stand() == before


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
