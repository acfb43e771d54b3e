"""Shards behind an address, got as they are needed and kept in a folder of limited size.

What is in the cache decides how long things take and never what comes out. A file that broke off is
gone on with, one that stalls is tried again, and what still fails is one message.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue
from typing import TypeAlias, TypeVar
from urllib.parse import urlsplit

import requests

from zerosum._version import __version__
from zerosum.data import download
from zerosum.data.cache_entries import locked, locked_at_once
from zerosum.data.download import NotReached, Unsuitable, persist, reason
from zerosum.data.shards import INDEX, MAX_INDEX_BYTES, File, Index, read_index
from zerosum.errors import UserError
from zerosum.files import cache_folder, cannot_write

Got = TypeVar("Got")
LIMIT = "ZEROSUM_SHARDS_GB"
"""The environment variable that says how large the cache of shards may become."""
DEFAULT_GB = 50.0
THREADS = 4
"""Shards that are got at a time."""
ABANDONED_SECONDS = 86_400.0
"""After which a part of a file that nobody is getting may go, as a whole file may."""
TOUCH_SECONDS = 60.0
"""How often it is noted that a shard is used."""
PAUSES = (1.0, 5.0, 25.0)
"""Seconds before a file is asked for once more, by which a server may have come back."""
LOOK_SECONDS = 0.5
"""How often whoever waits for a shard looks whether the program is ending."""


def folder() -> Path:
    """Where shards are kept."""
    return cache_folder() / "shards"


def limit_bytes() -> float:
    """How large the cache may become.

    Raises:
        UserError: the environment variable is no size.
    """
    text = os.environ.get(LIMIT) or str(DEFAULT_GB)
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 < found < float("inf"):
        raise UserError(
            f"The environment variable {LIMIT} is {text!r:.40}: expected how many GB of shards may "
            f"be kept in {folder()}, such as 20."
        )
    return found * 1e9


def kept_bytes() -> int:
    """How large the cache is."""
    return sum(facts.st_size for _, facts in kept_files())


def kept_files() -> list[tuple[Path, os.stat_result]]:
    """What the cache holds: shards, parts of such, and labels, but what goes meanwhile."""
    found = []
    for path in folder().glob("*/*"):
        with suppress(OSError):
            found.append((path, path.stat()))
    return found


def remove_abandoned(part: Path) -> bool:
    """Remove a part of a file, unless somebody is getting the rest of it."""
    lock = part.with_suffix(".lock")
    held = locked_at_once(lock)
    if held is None:
        return False
    with held:
        part.unlink(missing_ok=True)
        lock.unlink(missing_ok=True)
    return True


def clear() -> int:
    """Remove all shards, which trainings that are under way get again, and say how many bytes.

    Raises:
        UserError: they cannot be removed.
    """
    num_bytes = kept_bytes()
    try:
        if folder().is_dir():
            shutil.rmtree(folder())
    except OSError as error:
        raise UserError(
            f"Could not remove '{folder()}': {error.strerror}. Remove it by hand."
        ) from None
    return num_bytes


def base_of(url: str) -> str:
    """The address of a set's folder, with a slash at its end, from that of it or of its index.

    Raises:
        UserError: it is none, or holds a password.
    """
    try:
        parts = urlsplit(url)
        plain = bool(parts.hostname) and not (parts.query or parts.fragment)
        secret = parts.username or parts.password
    except ValueError:
        plain, secret = False, None
    if secret:
        raise UserError(
            "The address of shards holds a name or a password, which would come to stand in "
            "config.json and in reports. Put it into ~/.netrc, and leave it out of the address."
        )
    if not plain:
        raise UserError(
            f"'{url}' is no address of shards: expected https://HOST/FOLDER, where `zerosum data "
            f"pack` has written {INDEX}, without ? or #."
        )
    return url.removesuffix(f"/{INDEX}").rstrip("/") + "/"


def fetch_index(base: str) -> tuple[Index, bytes]:
    """Get the index of a set behind an address, and what stands in it.

    Raises:
        NotReached: it cannot be got.
        UserError: it is none.
    """
    url = base + INDEX
    try:
        content = patiently(lambda: read_all(url))
    except requests.RequestException as error:
        raise NotReached(
            f"The index of shards at '{url}' could not be got: {reason(error)}. Is the address "
            f"that of a folder that `zerosum data pack` wrote, and is the server up?"
        ) from None
    return read_index(content, base), content


def read_all(url: str) -> bytes:
    """Get an index, as long as it is of a sensible size.

    Raises:
        RequestException: it cannot be got.
        UserError: it is too large to be one.
    """
    headers = {"User-Agent": f"zerosum/{__version__}"}
    content = bytearray()
    with requests.get(url, headers=headers, stream=True, timeout=download.TIMEOUT) as response:
        response.raise_for_status()
        for chunk in response.iter_content(download.CHUNK):
            content += chunk
            if len(content) > MAX_INDEX_BYTES:
                raise UserError(
                    f"'{url}' sends more than {MAX_INDEX_BYTES:,} bytes: it is no index of shards."
                )
    return bytes(content)


def patiently(get: Callable[[], Got]) -> Got:
    """Ask once more, and again, where a server may only be busy or away for a moment.

    Raises:
        RequestException: what the last try raised, or one that no other try would mend.
    """
    for pause in PAUSES:
        try:
            return get()
        except Unsuitable:
            raise
        except requests.HTTPError as error:
            status = 0 if error.response is None else error.response.status_code
            if status < 500 and status != requests.codes.too_many_requests:
                raise
        except requests.RequestException:
            pass
        time.sleep(pause)
    return get()


Job: TypeAlias = tuple[Future[Path], Callable[[], Path]]


@cache
def jobs() -> SimpleQueue[Job]:
    """What threads do one after another; they end with the program, whatever they are at."""
    queue: SimpleQueue[Job] = SimpleQueue()

    def work() -> None:
        while True:
            future, job = queue.get()
            try:
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)

    for number in range(THREADS):
        threading.Thread(target=work, name=f"shards-{number}", daemon=True).start()
    return queue


class Remote:
    """A set behind an address; its `zerosum.data.shard_store.Shelf`."""

    def __init__(self, url: str) -> None:
        """Get the index.

        Raises:
            UserError: it cannot be got, is none, or nothing can be kept here.
        """
        self.name = base_of(url)
        self.kept = f"in shards, streamed from {self.name}"
        self._limit = limit_bytes()
        self.index, content = fetch_index(self.name)
        self._folder = folder() / hashlib.sha256(content).hexdigest()[:20]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._cannot_write(error) from None
        self._lock = threading.Lock()
        self._coming: dict[str, Future[Path]] = {}
        self._expected: deque[set[str]] = deque(maxlen=2)  # threads may differ by a window
        self._touched: dict[str, float] = {}
        self._thrown_away: set[str] = set()

    def get(self, about: File) -> Path:
        """Where a file lies, once it is here.

        Raises:
            UserError: it cannot be got.
        """
        path = self._folder / about.file
        if self._is_here(about):
            self._touch(path)
            return path
        future = self._bring(about)
        while True:
            try:
                return future.result(timeout=LOOK_SECONDS)
            except TimeoutError:
                if not future.done() and not threading.main_thread().is_alive():
                    raise UserError("The program ends.") from None

    def expect(self, files: Sequence[File]) -> None:
        """Begin to get what will be asked for soon, and keep it."""
        names = {about.file for about in files}
        with self._lock:
            if self._expected and names <= self._expected[-1]:
                return
            self._expected.append(names)
        for about in files:
            if not self._is_here(about):
                self._bring(about)

    def damaged(self, about: File, reason: str) -> UserError | None:
        """Throw a file away that is not what it must be, and get it once more."""
        path = self._folder / about.file
        missing = not path.exists()
        path.unlink(missing_ok=True)
        if missing or about.file not in self._thrown_away:
            self._thrown_away.add(about.file)
            return None
        return UserError(
            f"'{self.name}{about.file}' is damaged: {reason}, each time that it is got. Have the "
            f"shards copied there again, or pack them again."
        )

    def _is_here(self, about: File) -> bool:
        try:
            return (self._folder / about.file).stat().st_size == about.bytes
        except OSError:
            return False

    def _bring(self, about: File) -> Future[Path]:
        with self._lock:
            future = self._coming.get(about.file)
            if future is None or future.done():  # what failed before may succeed by now
                future = self._coming[about.file] = Future()
                jobs().put((future, partial(self._download, about)))
            return future

    def _download(self, about: File) -> Path:
        """Get a file, unless another process has."""
        path = self._folder / about.file
        lock, part = (self._folder / f".{about.file}.{kind}" for kind in ("lock", "part"))

        def get() -> None:
            persist(
                self.name + about.file,
                str(path),
                None,
                part=part,
                size=about.bytes,
                show=lambda _: None,
            )

        try:
            self._folder.mkdir(parents=True, exist_ok=True)  # somebody may have cleared the cache
            with locked(lock, waiting=""):
                if not self._is_here(about):
                    self._make_room(about.bytes)
                    patiently(get)
                lock.unlink(missing_ok=True)
        except requests.RequestException as error:
            raise NotReached(
                f"The shard '{self.name}{about.file}' could not be got: {reason(error)}."
            ) from None
        except OSError as error:
            raise self._cannot_write(error) from None
        return path

    def _make_room(self, num_bytes: int) -> None:
        """Remove what was not used for the longest time, of any set, until there is room.

        What is needed soon stays, even if the limit is too small for it.
        """
        kept = [(facts.st_mtime, facts.st_size, path) for path, facts in kept_files()]
        abandoned = time.time() - ABANDONED_SECONDS
        total = sum(size for _, size, _ in kept) + num_bytes
        with self._lock:
            needed = {self._folder / file for names in self._expected for file in names}
        for changed, size, path in sorted(kept):
            if total <= self._limit:
                return
            if path.suffix == ".tar" and path not in needed:
                path.unlink(missing_ok=True)
                total -= size
            elif path.suffix == ".part" and changed < abandoned and remove_abandoned(path):
                total -= size

    def _touch(self, path: Path) -> None:
        """Note that a file is used."""
        now = time.monotonic()
        if now - self._touched.get(path.name, -TOUCH_SECONDS) >= TOUCH_SECONDS:
            self._touched[path.name] = now
            with suppress(OSError):
                os.utime(path)

    def _cannot_write(self, error: OSError) -> UserError:
        return cannot_write(
            folder(),
            error,
            f"Make room, lower the limit in the environment variable {LIMIT}, or name a folder on "
            f"a larger disk in ZEROSUM_CACHE.",
        )
