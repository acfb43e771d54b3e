"""Getting a named data set from the net: of several sources, checked, and resumable.

Only `zerosum data get` comes here; nothing is ever downloaded unasked. A partial file stays beside
its place as `.NAME.part`, and the same command goes on with it.
"""

from __future__ import annotations

import tarfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath

import pooch  # type: ignore[import-untyped]
import requests

from zerosum._version import __version__
from zerosum.data.catalog import DATASETS, Distribution, folders
from zerosum.errors import UserError
from zerosum.files import cannot_write, write_whole

TIMEOUT = (10.0, 30.0)  # seconds to reach a server, and for it to send more
TRIES = 2  # in a row that bring nothing, before a source is given up
PAUSE = 1.0  # seconds between tries
CHUNK = 2**16

Report = Callable[[int, int], None]
"""Told the bytes that are there so far, and the bytes of all files."""


class NotReached(UserError):
    """No source could be reached, or none has the right files."""

    exit_code = 1


class Unsuitable(requests.RequestException):
    """A source answers with something else than the file; another try would not help."""


def download(name: str, *, report: Report) -> Path:
    """Get a data set that has a distribution, into the folder where `locate` looks first.

    Raises:
        NotReached: no source has it; the message says what was tried and what to do by hand.
        UserError: the folder cannot be written.
    """
    distribution = DATASETS[name].distribution
    assert distribution is not None
    folder = folders(name)[0]
    pooch.get_logger().setLevel("WARNING")  # what it says otherwise, we show
    total = sum(size for size, _ in distribution.files.values())
    done = 0
    mirrors = list(distribution.mirrors)
    try:
        for file, (size, sha256) in distribution.files.items():
            show = partial(lambda before, now: report(before + now, total), done)
            fetch(file, mirrors, folder, size=size, sha256=sha256, show=show)
            done += size
            report(done, total)
            if distribution.member_bytes:
                unpack(folder / file, DATASETS[name].files, distribution)
    except OSError as error:
        raise cannot_write(
            folder,
            error,
            "Make room, or name another folder in the environment variable ZEROSUM_CACHE, and give "
            "the same command again: it goes on where it was.",
        ) from None
    return folder


def fetch(
    file: str,
    mirrors: list[str],
    folder: Path,
    *,
    size: int,
    sha256: str,
    show: Callable[[int], None],
) -> None:
    """Get one file into a folder, unless it is there, from the first source that has it.

    Args:
        file: its name.
        mirrors: the sources' addresses; those that fail move to the end, for the next file.
        folder: where it goes.
        size: its bytes.
        sha256: its checksum; what does not match is not kept.
        show: told the bytes that are there so far.

    Raises:
        NotReached: no source has it.
        OSError: it cannot be written.
    """
    part = folder / f".{file}.part"
    failures = []
    waiting = list(mirrors)
    while waiting:
        url = waiting[0] + file
        resumed = part.exists()
        try:
            pooch.retrieve(
                url,
                known_hash=f"sha256:{sha256}",
                fname=file,
                path=folder,
                downloader=partial(persist, part=part, size=size, show=show),
            )
            return
        except requests.RequestException as error:
            failures.append(f"{url}: {reason(error)}")
        except ValueError:  # pooch's for another checksum
            if resumed:  # the beginning may have been of something else: once more, from the start
                continue
            failures.append(f"{url}: its sha256 is not the one expected")
        mirrors.append(mirrors.pop(mirrors.index(waiting.pop(0))))
    raise NotReached(
        f"{file} could not be got. Tried:\n"
        + "".join(f"  {failure}\n" for failure in failures)
        + f"Give the same command again later: it goes on where it was. Or get {file} elsewhere, "
        f"such as on another machine, put it into {folder} and give the command again."
    )


def persist(
    url: str, output: str, _: object, *, part: Path, size: int, show: Callable[[int], None]
) -> None:
    """Download for pooch, going on with what is there, for as long as a source brings more.

    Raises:
        RequestException: it brings no more.
    """
    fruitless = 0
    while True:
        before = bytes_of(part)
        try:
            download_rest(url, part, size=size, show=show)
            break
        except (Unsuitable, requests.HTTPError):
            raise
        except requests.RequestException:
            fruitless = 0 if bytes_of(part) > before else fruitless + 1
            if fruitless == TRIES:
                raise
            time.sleep(PAUSE)
    part.replace(output)


def download_rest(url: str, part: Path, *, size: int, show: Callable[[int], None]) -> None:
    """Append to a partial file what it lacks, or write it anew where the server has no ranges.

    Raises:
        Unsuitable: the server sends something else than a file of that size.
        RequestException: it cannot be reached, refuses or breaks off.
    """
    there = bytes_of(part)
    if there == size:
        return
    if there > size:
        there = 0
    # Nothing may be packed on the way: bytes are counted.
    headers = {"User-Agent": f"zerosum/{__version__}", "Accept-Encoding": "identity"}
    if there:
        headers["Range"] = f"bytes={there}-"
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            there = 0
        expected = there + int(response.headers.get("Content-Length", size - there))
        ranges = response.headers.get("Content-Range", f"bytes {there}-")
        if expected != size or not ranges.startswith(f"bytes {there}-"):
            raise Unsuitable(f"it holds {expected:,} bytes, expected {size:,}")
        with part.open("ab" if there else "wb") as file:
            for chunk in response.iter_content(CHUNK):
                there += len(chunk)
                if there > size:
                    raise Unsuitable(f"it holds more than the expected {size:,} bytes")
                file.write(chunk)
                show(there)
    if there < size:
        raise requests.ConnectionError(f"it broke off after {there:,} of {size:,} bytes")


def bytes_of(path: Path) -> int:
    """The size of a file, 0 without one."""
    return path.stat().st_size if path.exists() else 0


def reason(error: requests.RequestException) -> str:
    """Say in a few words why a request failed."""
    if error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, Unsuitable):
        return str(error)
    if "timed out" in str(error).lower():
        return "no answer in time"
    return "it cannot be reached, or broke off"


def unpack(archive: Path, names: tuple[str, ...], distribution: Distribution) -> None:
    """Take the known files out of a .tar.gz, each whole, and remove it; all else in it stays.

    Raises:
        UserError: one of the files is not in it.
        OSError: they cannot be written.
    """
    missing = set(names)
    with tarfile.open(archive) as tar:
        for member in tar:
            name = PurePosixPath(member.name).name
            if name in missing and member.isfile() and member.size == distribution.member_bytes:
                stream = tar.extractfile(member)
                assert stream is not None  # which only links and folders have not
                write_whole(archive.parent / name, stream.read())
                missing.remove(name)
    if missing:
        raise UserError(
            f"{archive} does not hold {', '.join(sorted(missing))}: expected files of "
            f"{distribution.member_bytes:,} bytes each. It is not the data set's."
        )
    archive.unlink()
