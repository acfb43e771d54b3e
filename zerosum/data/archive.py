"""Archives of images, read in place: nothing is ever extracted to disk.

An archive may come from a stranger. Names that climb out of it are refused though nothing would
follow them, because whoever wrote such a name meant harm; links and devices in it are ignored.
"""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import IO

from zerosum.data.decode import Format, Undecodable
from zerosum.data.folder import stamp_of
from zerosum.data.gather import MAX_FILE_BYTES, gather
from zerosum.data.images import ImageSet
from zerosum.data.names import printable
from zerosum.data.splits import names_have_splits
from zerosum.errors import UserError

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz")

ENCRYPTED = 0x1  # the bit of a zip member's flags
# What the standard library raises on damage; RuntimeError on zip features that it lacks.
DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
    *(EOFError, OSError, ValueError, RuntimeError),
)


def load_zip(path: Path, *, split: str, wanted: Format, strict: bool) -> ImageSet:
    """Load every image in a .zip file, for any split; in a folder they would give the same set.

    See `gather` for order, classes and what is skipped.

    Raises:
        UserError: the archive is damaged, encrypted or unsafe, and as `gather`.
    """
    with _damage_is_the_users(path):
        archive = zipfile.ZipFile(path)
    with archive:
        infos = archive.infolist()
        members = {_safe(info.filename, path): info for info in infos}

        def read(name: str) -> bytes:
            info = members[name]
            if info.flag_bits & ENCRYPTED:
                raise UserError(
                    f"{path} is encrypted: '{printable(name)}' cannot be read. "
                    "Unpack it with its password and give the folder instead."
                )
            return _read(lambda: archive.open(info), claimed=info.file_size)

        files = (name for name, info in members.items() if not info.filename.endswith(("/", "\\")))
        return gather(
            files,
            read,
            source=path,
            split=split,
            wanted=wanted,
            strict=strict,
            stamp=lambda name: stamp_of(path),
        )


def load_tar(path: Path, *, split: str, wanted: Format, strict: bool) -> ImageSet:
    """Load every image in a .tar file, compressed or not, as `load_zip` does."""
    with _damage_is_the_users(path):
        archive = tarfile.open(path)  # noqa: SIM115 - closed by the next statement
    with archive:
        with _damage_is_the_users(path):
            infos = archive.getmembers()
            _check_end(archive)
        members = {_safe(info.name, path): info for info in infos}

        def read(name: str) -> bytes:
            info = members[name]
            return _read(lambda: archive.extractfile(info), claimed=info.size)

        # In the archive's own order: going back in a compressed stream starts it again.
        files = (name for name, info in members.items() if info.isfile())
        return gather(
            files,
            read,
            source=path,
            split=split,
            wanted=wanted,
            strict=strict,
            stamp=lambda name: stamp_of(path),
        )


def zip_has_splits(path: Path) -> bool:
    """Whether a .zip file's images lie in folders of splits."""
    with _damage_is_the_users(path), zipfile.ZipFile(path) as archive:
        return names_have_splits([_safe(name, path) for name in archive.namelist()])


def tar_has_splits(path: Path) -> bool:
    """Whether a .tar file's images lie in folders of splits."""
    with _damage_is_the_users(path), tarfile.open(path) as archive:
        return names_have_splits([_safe(name, path) for name in archive.getnames()])


def _check_end(archive: tarfile.TarFile) -> None:
    """Fail on damage behind the last member found, at which tarfile stops without a word."""
    stream = archive.fileobj
    assert stream is not None
    stream.seek(archive.offset)
    if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError(f"neither a member nor the end mark at byte {archive.offset}")
    while stream.read(2**20):  # a compressed stream has its checksum at the very end
        pass


@contextmanager
def _damage_is_the_users(path: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        detail = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{path} is damaged, or is no archive of the kind that its name says: {detail}. "
            "Compare its size with the original's and copy or download it again."
        ) from error


def _safe(name: str, path: Path) -> str:
    """Bring a member's name to the form "folder/file", refusing one that leaves the archive.

    Some programs on Windows write backslashes between folders.
    """
    windows = PureWindowsPath(name)
    if windows.anchor or ".." in windows.parts:
        raise UserError(
            f"{path} is refused: its member '{printable(name)}' would lie outside of it when "
            "unpacked. Such an archive is damaged or hostile."
        )
    return windows.as_posix()


def _read(open_member: Callable[[], IO[bytes] | None], *, claimed: int) -> bytes:
    """Read a member; both kinds of archive give at most as many bytes as its header claims."""
    if claimed > MAX_FILE_BYTES:
        raise Undecodable(f"claims {claimed:,} bytes; at most {MAX_FILE_BYTES:,} are read")
    try:
        stream = open_member()
        assert stream is not None  # links and folders have no stream, and are not asked for
        with stream:
            return stream.read()
    except DAMAGE as error:
        raise Undecodable(str(error) or type(error).__name__) from error
