"""Archives of images, read in place: nothing is ever extracted to disk.

An archive may come from a stranger. Names that climb out of it are refused though nothing would
follow them, because whoever wrote such a name meant harm; links and devices in it are ignored.
"""

from __future__ import annotations

import bz2
import copy
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path, PureWindowsPath
from typing import IO, cast

from zerosum.data.decode import Format, Undecodable
from zerosum.data.folder import stamp_of
from zerosum.data.gather import MAX_FILE_BYTES, gather
from zerosum.data.images import ImageSet
from zerosum.data.names import printable
from zerosum.data.splits import names_have_splits
from zerosum.errors import UserError
from zerosum.reading import open_file

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz")

MAX_HEADER = 2**20
"""Bytes of one header of a .tar file; a path has at most some thousands."""
UNPACKERS: Mapping[bytes, Callable[[IO[bytes]], IO[bytes]]] = {
    b"\x1f\x8b": lambda file: cast("IO[bytes]", gzip.GzipFile(fileobj=file)),
    b"BZh": lambda file: cast("IO[bytes]", bz2.BZ2File(file)),
    b"\xfd7zXZ\0": lambda file: cast("IO[bytes]", lzma.LZMAFile(file)),  # noqa: SIM115
}
"""How a packed .tar file begins, and what unpacks it."""
ENCRYPTED, ENDS_ITSELF = 0x1, 0x2  # bits of a zip member's flags
# What the standard library raises on damage; RuntimeError on zip features that it lacks.
DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
    *(EOFError, OSError, ValueError, RuntimeError, MemoryError),
)


def load_zip(path: Path, *, split: str, wanted: Format, strict: bool) -> ImageSet:
    """Load every image in a .zip file, for any split; in a folder they would give the same set.

    See `gather` for order, classes and what is skipped.

    Raises:
        UserError: the archive is damaged, encrypted or unsafe, and as `gather`.
    """
    with _opened_zip(path) as archive:
        infos = archive.infolist()
        members = {_safe(info.filename, path): info for info in infos}

        def read(name: str) -> bytes:
            info = members[name]
            if info.flag_bits & ENCRYPTED:
                raise UserError(
                    f"{path} is encrypted: '{printable(name)}' cannot be read. "
                    "Unpack it with its password and give the folder instead."
                )
            return _read(lambda: _unpacked(archive, info), claimed=info.file_size)

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
    with _opened_tar(path) as archive:
        members = {_safe(info.name, path): info for info in archive.getmembers()}

        def read(name: str) -> bytes:
            info = members[name]
            return _read(lambda: _content(archive, info), claimed=info.size)

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
    with _opened_zip(path) as archive:
        return names_have_splits([_safe(name, path) for name in archive.namelist()])


def tar_has_splits(path: Path) -> bool:
    """Whether a .tar file's images lie in folders of splits."""
    with _opened_tar(path) as archive:
        return names_have_splits([_safe(name, path) for name in archive.getnames()])


@contextmanager
def _opened_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    with ExitStack() as stack:
        with _damage_is_the_users(path):
            file = stack.enter_context(open_file(path))
            archive = stack.enter_context(zipfile.ZipFile(file))
        yield archive


@contextmanager
def _opened_tar(path: Path) -> Iterator[tarfile.TarFile]:
    """Open a .tar file whose headers are all read and whose end is there."""
    with ExitStack() as stack:
        with _damage_is_the_users(path):
            file = stack.enter_context(open_file(path))
            begin = file.peek(max(map(len, UNPACKERS)))
            stream: IO[bytes] = file
            for magic, unpack in UNPACKERS.items():
                if begin.startswith(magic):
                    stream = stack.enter_context(unpack(file))
            bounded = Bounded(stream, MAX_HEADER)
            archive = stack.enter_context(tarfile.TarFile(fileobj=cast("IO[bytes]", bounded)))
            archive.getmembers()
            _check_end(archive)
            bounded.most = MAX_FILE_BYTES
        yield archive


class Bounded:
    """A stream of which nobody reads more at once than is sensible.

    A tar's extended headers, for long names, are read whole, and say themselves how long they are.

    Attributes:
        most: how many bytes at once.
    """

    def __init__(self, stream: IO[bytes], most: int) -> None:
        self._stream = stream
        self.most = most

    def read(self, size: int) -> bytes:
        """Read so many bytes."""
        if size > self.most:
            raise tarfile.ReadError(f"a header of {size:,} bytes, where a name needs few")
        return self._stream.read(size)

    def seek(self, position: int) -> int:
        """Go to a place, counted from the beginning."""
        return self._stream.seek(position)

    def tell(self) -> int:
        """The place."""
        return self._stream.tell()


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


def _read(content: Callable[[], bytes], *, claimed: int) -> bytes:
    """Read a member, whose header claims to be of so many bytes."""
    if claimed > MAX_FILE_BYTES:
        raise Undecodable(f"claims {claimed:,} bytes; at most {MAX_FILE_BYTES:,} are read")
    try:
        return content()
    except DAMAGE as error:
        raise Undecodable(str(error) or type(error).__name__) from error


def _content(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(info)
    assert stream is not None  # links and folders have no stream, and are not asked for
    with stream:
        return stream.read()


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Read a member of a .zip file, unpacking no more than it claims to hold.

    The standard library bounds what it gives, but what it unpacks for it only of a member that is
    deflated, and read in parts of a size that is said.
    """
    if info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with archive.open(info) as stream:
            return stream.read(info.file_size)
    if info.compress_type not in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        raise zipfile.BadZipFile("packed in a way that is not read here")
    if info.compress_size > MAX_FILE_BYTES:
        raise zipfile.BadZipFile(f"its packed form has {info.compress_size:,} bytes")
    as_it_lies = copy.copy(info)
    as_it_lies.compress_type, as_it_lies.file_size = zipfile.ZIP_STORED, info.compress_size
    del as_it_lies.CRC  # which is that of the content
    with archive.open(as_it_lies) as stream:
        packed = stream.read(info.compress_size)
    unpacker: bz2.BZ2Decompressor | lzma.LZMADecompressor
    if info.compress_type == zipfile.ZIP_BZIP2:
        unpacker = bz2.BZ2Decompressor()
    else:
        # The two bytes of a version and two of a length, then what a .lzma file begins with, but
        # for the size, which is unknown where the data say themselves where they end.
        size = b"\xff" * 8 if info.flag_bits & ENDS_ITSELF else info.file_size.to_bytes(8, "little")
        packed = packed[4:9] + size + packed[9:]
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=MAX_FILE_BYTES)
    content = unpacker.decompress(packed, info.file_size + 1)
    if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
        raise zipfile.BadZipFile(f"it does not hold the {info.file_size:,} bytes that it claims")
    return content
