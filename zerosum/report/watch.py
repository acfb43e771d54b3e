"""A run's page while it trains, served on this machine alone by a process of its own.

It only reads what the training writes, so nothing of it can change or stop a training. There are
two routes, the page and its news; what a browser sends reaches no file.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qs

from zerosum.config.specs import Language
from zerosum.errors import UserError
from zerosum.pages import render
from zerosum.report.facts import Facts, collect, read_object
from zerosum.report.page import contents, duration
from zerosum.report.words import Words, words_of
from zerosum.training.log import is_number
from zerosum.training.run_directory import RunDirectory, find_run

FRESH_SECONDS = 0.5
"""For so long one look at the files serves all who ask."""
STALE_SECONDS = 60
"""Without news for so long, the page says so: rounds and evaluations seldom take longer."""
IDLE_SECONDS = 30
"""For so long a connection may take to bring its next request whole."""
ANSWER_SECONDS = 60
"""For so long it may take to fetch an answer: a page of 5 MB at 85 KB a second."""
MOST_CONNECTIONS = 256
"""More at once, and the one that has waited longest gives way."""
MOST_REQUEST_BYTES = 16_384
"""A request line and its headers; a browser's have about 1,000."""
SECURITY_HEADERS = {
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "frame-ancestors 'none'",  # the page's own policy is in the page
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Answer:
    """What a route answers, and its ETag."""

    content: bytes
    kind: str
    etag: str

    @staticmethod
    def of(text: str, kind: str) -> Answer:
        """An answer of a text."""
        content = text.encode()
        return Answer(content, f"{kind}; charset=utf-8", f'"{fingerprint(content)}"')


def fingerprint(content: bytes) -> str:
    """A short name of some content."""
    return hashlib.blake2b(content, digest_size=12).hexdigest()


class Watch:
    """Looks at a run, wherever it is and whether it is there, at most twice a second."""

    def __init__(self, run: Path, *, language: Language) -> None:
        self.run = run
        self.words: Words = words_of(language)
        self._lock = threading.Lock()
        self._looked = -FRESH_SECONDS
        self._marks: object = None
        self._main, self._have, self._name = "", "", ""
        self._answers: dict[str, Answer] = {}

    def page(self) -> Answer:
        """The whole page."""
        return self._look()["page"]

    def news(self, have: str) -> Answer:
        """What changed: how far it is, and the main part unless that is what the asker has."""
        answers = self._look()
        return answers["short" if have == self._have else "long"]

    def _look(self) -> dict[str, Answer]:
        with self._lock:
            if time.monotonic() - self._looked < FRESH_SECONDS:
                return self._answers
            directory = RunDirectory(find_run(self.run))
            marks = marks_of(directory)
            if marks != self._marks or not self._main:
                self._values, self._name = self._read(directory)
                self._main = render("report_main.html.jinja", **self._values)
                self._have = fingerprint(self._main.encode())
                self._marks = marks
            status = status_of(directory, self.words)
            short = {"have": self._have, "title": f"{status.pop('head')}{self._name}", **status}
            html = render(
                "report.html.jinja",
                script="report.js",
                connect=True,
                title=short["title"],
                have=self._have,
                status=status,
                **self._values,
            )
            self._answers = {
                "page": Answer.of(html, "text/html"),
                "short": Answer.of(json.dumps(short), "application/json"),
                "long": Answer.of(json.dumps({**short, "main": self._main}), "application/json"),
            }
            self._looked = time.monotonic()
            return self._answers

    def _read(self, directory: RunDirectory) -> tuple[dict[str, Any], str]:
        """What the template names, and the run's name."""
        words = self.words
        common = {"words": words, "live": True}
        name = directory.path.resolve().name
        try:
            if directory.exists():
                facts: Facts = collect(directory)
                return {**common, **contents(facts, None, words)}, name
            text = words("waiting", path=str(self.run))
        except (UserError, OSError) as error:
            text = words("unreadable", why=str(error))
        waiting = {"title": words("waiting.title"), "text": text}
        return {**common, "facts": None, "waiting": waiting}, name


def marks_of(directory: RunDirectory) -> object:
    """What changes whenever something that the page shows has changed, but for the progress."""
    files = [directory.config_path, directory.log_path, directory.data_path]
    files += [directory.examples_path, *directory.pictures()]
    return str(directory.path), [mark(path) for path in files], directory.checkpoints.seen()


def mark(path: Path) -> tuple[str, int, int]:
    """A file's name, size and time of change; zeros where there is none."""
    try:
        found = path.stat()
    except OSError:
        return path.name, 0, 0
    return path.name, found.st_size, found.st_mtime_ns


def status_of(directory: RunDirectory, words: Words) -> dict[str, Any]:
    """How far the training is, in words: `state`, `detail`, `head` of the title, `done` of 1000."""
    facts = read_object(directory.progress_path)
    seen, budget = facts.get("seen"), facts.get("budget")
    if not (is_number(seen) and is_number(budget) and budget):
        quiet = words("live.quiet") if directory.exists() else words("waiting.title")
        return {"state": quiet, "detail": "", "head": "", "done": 0, "running": False}
    share = min(1.0, max(0.0, float(seen or 0) / float(budget)))
    done = "progress.open" if seen > budget else "progress"  # by the last whole batch
    parts = [words(done, seen=f"{seen:,}", budget=f"{budget:,}")]
    age = max(0.0, time.time() - mark(directory.progress_path)[2] / 1e9)
    running = facts.get("state") == "training" and age < STALE_SECONDS
    if facts.get("state") != "training":
        state = words("live.ended")
    elif running:
        state = words("live.training")
        pace, losses = facts.get("images_per_second"), (facts.get("loss_D"), facts.get("loss_G"))
        if is_number(pace) and pace:
            parts.append(words("live.pace", pace=f"{pace:,.0f}" if pace >= 10 else f"{pace:.2g}"))
            left = (float(budget) - float(seen or 0)) / float(pace)
            parts.append(words("live.left", time=duration(left, words)))
        if all(map(is_number, losses)):
            D, G = (f"{loss:.3f}" for loss in losses)
            parts.append(words("live.losses", D=D, G=G))
    else:
        # To the minute, since it is said aloud whenever it changes.
        state = words("live.stale", seconds=duration(age // 60 * 60, words))
    return {
        "state": state,
        "detail": " · ".join(parts),
        "head": f"{share:.0%} · ",
        "done": round(1000 * share),
        "running": running,
    }


def names_of(port: int) -> set[str]:
    """What browsers may call a server on a port; they leave out the usual one."""
    ending = f":{port}" if port != http.client.HTTP_PORT else ""
    return {f"{name}{end}" for name in (LOOPBACK, "localhost") for end in (ending, f":{port}")}


class Server(ThreadingHTTPServer):
    """Serves one watch, a thread a connection, to no more of them than `MOST_CONNECTIONS`."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int, watch: Watch) -> None:
        self.watch = watch
        self._lock = threading.Lock()
        self._deadlines: dict[socket.socket, float] = {}  # what was set first comes first
        super().__init__((LOOPBACK, port), Handler)
        self.hosts = names_of(self.server_port)
        self.origins = {f"http://{host}" for host in self.hosts}

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection in, and where there are too many, part with the oldest."""
        self.give(request, IDLE_SECONDS)
        with self._lock:
            if len(self._deadlines) > MOST_CONNECTIONS:
                self._end(next(iter(self._deadlines)))
        super().process_request(request, client_address)

    def give(self, connection: socket.socket, seconds: float) -> None:
        """Let a connection last for some seconds from now."""
        with self._lock:
            self._deadlines.pop(connection, None)
            self._deadlines[connection] = time.monotonic() + seconds

    def service_actions(self) -> None:
        """End the connections whose time is over: called about twice a second."""
        now = time.monotonic()
        with self._lock:
            for connection in [each for each, end in self._deadlines.items() if end < now]:
                self._end(connection)

    def _end(self, connection: socket.socket) -> None:
        del self._deadlines[connection]
        with suppress(OSError):  # the other side was quicker
            connection.shutdown(socket.SHUT_RDWR)  # wakes its thread, which closes it

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._lock:
            self._deadlines.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of browsers that leave in the middle of an answer."""


class Request:
    """What a connection sends, of which a request may have only so many bytes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.left = MOST_REQUEST_BYTES

    def readline(self, size: int = -1) -> bytes:
        """A line.

        Raises:
            http.client.LineTooLong: the request is too large.
        """
        line = self._stream.readline(self.left + 1)
        self.left -= len(line)
        if self.left < 0:
            raise http.client.LineTooLong("request")
        return line

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()


class Handler(BaseHTTPRequestHandler):
    """Answers one connection: GET and HEAD of two routes, to whoever asks this very machine."""

    protocol_version = "HTTP/1.1"
    default_request_version = protocol_version  # what is no request has a whole answer as well
    server: Server
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and content in one packet
    server_version, sys_version = "zerosum", ""

    def setup(self) -> None:
        """Begin to listen."""
        super().setup()
        self.rfile: Any = Request(self.rfile)

    def handle_one_request(self) -> None:
        """Answer what is asked next, in the time and room that a request has."""
        self.rfile.left = MOST_REQUEST_BYTES
        self.server.give(self.connection, IDLE_SECONDS)
        self.command, self.requestline = "", ""
        self.request_version = self.protocol_version
        try:
            super().handle_one_request()
        except http.client.LineTooLong:  # where the headers did not even begin
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)

    def do_GET(self) -> None:
        """Answer."""
        if self.headers.get("Content-Length") or self.headers.get("Transfer-Encoding"):
            self.close_connection = True  # what would follow is no request
        if not self._comes_from_here():
            self._refuse(HTTPStatus.FORBIDDEN)
            return
        path, _, query = self.path.partition("?")
        try:
            if path == "/":
                answer = self.server.watch.page()
            elif path == "/data":
                answer = self.server.watch.news(parse_qs(query).get("have", [""])[0])
            else:
                self._refuse(HTTPStatus.NOT_FOUND)
                return
        except Exception:  # of a run directory that somebody is changing meanwhile
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR)
            return
        known = [each.strip() for each in self.headers.get("If-None-Match", "").split(",")]
        if answer.etag in known:
            self._send(HTTPStatus.NOT_MODIFIED, etag=answer.etag)
        else:
            self._send(HTTPStatus.OK, answer.content, kind=answer.kind, etag=answer.etag)

    def do_HEAD(self) -> None:
        """Answer without the content."""
        self.do_GET()

    def _comes_from_here(self) -> bool:
        """Whether a request names this server, and a page that asks is this server's.

        A page elsewhere could reach this one under a name that it makes lead here.
        """
        hosts = [host.lower() for host in self.headers.get_all("Host", [])]
        origins = [origin.lower() for origin in self.headers.get_all("Origin", [])]
        return (
            len(hosts) == 1
            and set(hosts) <= self.server.hosts
            and set(origins) <= self.server.origins
        )

    def parse_request(self) -> bool:
        """Refuse other methods here, whatever they are, and read nothing of what they bring."""
        if not super().parse_request():
            return False
        self.server.give(self.connection, ANSWER_SECONDS)
        if self.command in ("GET", "HEAD"):
            return True
        self.close_connection = True
        self._refuse(HTTPStatus.METHOD_NOT_ALLOWED)
        return False

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no request, in our own words: it is told nothing of what it sent."""
        self.close_connection = True
        self._refuse(HTTPStatus(code))

    def _refuse(self, status: HTTPStatus) -> None:
        self._send(status, f"{status.value} {status.phrase}\n".encode(), kind="text/plain")

    def _send(
        self, status: HTTPStatus, content: bytes = b"", *, kind: str = "", etag: str = ""
    ) -> None:
        self.send_response(status)
        if status is not HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
        if etag:
            self.send_header("ETag", etag)
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        for name, value in SECURITY_HEADERS.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing: a browser asks every second."""


def server_on(port: int, run: Path, *, language: Language) -> Server:
    """Open the port.

    Args:
        port: 0 for any that is free.
        run: the run directory, or its name; it need not be there yet.
        language: what the page is written in.

    Raises:
        UserError: the port is taken, or none.
    """
    if not 0 <= port <= 65535:
        raise UserError(f"--port: received {port}, expected a number from 0 to 65535.")
    try:
        return Server(port, Watch(run, language=language))
    except OSError as error:
        raise UserError(
            f"Port {port} of this machine cannot be opened: {error.strerror}. Perhaps another "
            "watch has it. Choose another with --port, or any free one with --port 0."
        ) from None


def serve(server: Server, *, begin: Callable[[], None]) -> None:
    """Begin, and serve until Ctrl-C."""
    try:
        begin()
        server.serve_forever()
    except KeyboardInterrupt:
        print("\nNobody watches any more; the run is as it was.")
    finally:
        server.server_close()
