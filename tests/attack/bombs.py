"""Small files that unpack to much, or are none: what loading each takes of memory and time.

Each is loaded in a process of its own, which may take 1 GiB beside what it has when it begins. One
holds if it is loaded, or refused in a sentence, within that, below `PEAK` and `SECONDS`.
"""

from __future__ import annotations

import gzip
import io
import os
import resource
import signal
import sys
import tarfile
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

MIB = 2**20
ZEROS = 256 * MIB
PEAK, SECONDS, LIMIT = 64 * MIB, 20, 1024 * MIB


def png() -> bytes:
    content = io.BytesIO()
    Image.new("L", (8, 8)).save(content, "PNG")
    return content.getvalue()


def zip_member(packing: int) -> Callable[[Path], Path]:
    """A member that claims 1,000 bytes and holds `ZEROS`."""

    def make(folder: Path) -> Path:
        path = folder / "bomb.zip"
        with zipfile.ZipFile(path, "w", packing) as archive:
            archive.writestr("1.png", png())
            archive.writestr("2.png", bytes(ZEROS))
        claim = ZEROS.to_bytes(4, "little")
        path.write_bytes(path.read_bytes().replace(claim, (1000).to_bytes(4, "little")))
        return path

    return make


def arrays(folder: Path) -> Path:
    """An array of 2 GiB, more than there may be."""
    path = folder / "bomb.npz"
    head = io.BytesIO()
    form = {"descr": "|u1", "fortran_order": False, "shape": (8 * ZEROS // 2**16, 256, 256)}
    np.lib.format.write_array_header_1_0(head, form)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("images.npy", "w", force_zip64=True) as member,
    ):
        member.write(head.getvalue())
        for _ in range(8):
            member.write(bytes(ZEROS))
    return path


def foreign_packing(folder: Path) -> Path:
    """An array as numpy would not pack it."""
    path = folder / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("images.npy", bytes(ZEROS))
    return path


def idx(folder: Path) -> Path:
    """An IDX file of 2 GiB, more than there may be."""
    with gzip.open(folder / "train-images-idx3-ubyte.gz", "wb", 1) as file:
        shape = np.array((8 * ZEROS // 2**16, 256, 256), ">u4")
        file.write(bytes((0, 0, 8, 3)) + shape.tobytes())
        for _ in range(8):
            file.write(bytes(ZEROS))
    return folder


def header(kind: bytes, packing: str) -> Callable[[Path], Path]:
    """An extended header of `ZEROS`."""

    def make(folder: Path) -> Path:
        path = folder / f"bomb.tar.{packing}"
        with tarfile.open(path, f"w:{packing}") as archive:
            info = tarfile.TarInfo("././@LongLink")
            info.type, info.size = kind, ZEROS
            archive.addfile(info, io.BytesIO(bytes(ZEROS)))
        return path

    return make


def far_label(folder: Path) -> Path:
    """One label of 65535 among 64."""
    labels = np.arange(64) % 3
    labels[7] = 65_535
    np.savez(folder / "far.npz", images=np.zeros((64, 8, 8), np.uint8), labels=labels)
    return folder / "far.npz"


def labelled(content: bytes) -> Callable[[Path], Path]:
    """A folder with a dataset.json of this content."""

    def make(folder: Path) -> Path:
        (folder / "1.png").write_bytes(png())
        (folder / "dataset.json").write_bytes(content)
        return folder

    return make


def pipe(name: str) -> Callable[[Path], Path]:
    """A named pipe that nobody writes into."""

    def make(folder: Path) -> Path:
        os.mkfifo(folder / name)
        return folder / name

    return make


BOMBS: dict[str, Callable[[Path], Path]] = {
    "zip, deflated": zip_member(zipfile.ZIP_DEFLATED),
    "zip, bzip2": zip_member(zipfile.ZIP_BZIP2),
    "zip, LZMA": zip_member(zipfile.ZIP_LZMA),
    "npz of 2 GiB": arrays,
    "npz, bzip2": foreign_packing,
    "idx.gz of 2 GiB": idx,
    "tar.gz, long name": header(tarfile.GNUTYPE_LONGNAME, "gz"),
    "tar.gz, pax header": header(tarfile.XHDTYPE, "gz"),
    "tar.xz, global header": header(tarfile.XGLTYPE, "xz"),
    "one label of 65535": far_label,
    "nested dataset.json": labelled(b"[" * 1_000_000),
    "dataset.json of digits": labelled(b'{"labels": [["1.png", ' + b"9" * 100_000 + b"]]}"),
    "a pipe for a zip": pipe("bomb.zip"),
    "a pipe for an npz": pipe("bomb.npz"),
    "a pipe for an image": pipe("bomb.png"),
}


def resident(field: str) -> int:
    """Bytes of this process: "VmRSS" now, or "VmHWM" at most."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def measure(path: Path) -> tuple[str, int, float]:
    """Load, in a process of its own: what came of it, the peak of memory, and the seconds."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        said = "fell"
        try:
            from zerosum.data import load
            from zerosum.errors import UserError

            taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (taken + LIMIT, taken + LIMIT))
            signal.alarm(4 * SECONDS)
            Path("/proc/self/clear_refs").write_text("5")  # sets the peak back
            before, start = resident("VmRSS"), time.monotonic()
            try:
                load(path)
                said = "loaded"
            except UserError:
                said = "refused"
            seconds = time.monotonic() - start
            os.write(write, f"{said} {resident('VmHWM') - before} {seconds}".encode())
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        words = answer.read().split()
    os.waitpid(child, 0)
    return (words[0], int(words[1]), float(words[2])) if words else ("fell", 0, 0.0)


def main() -> int:
    """Load those that are named, or all, and print what came of it as a table of Markdown."""
    import zerosum.data.sources  # noqa: F401 - imported once, before the processes part

    fell = 0
    print("| input | bytes | what came of it | peak, MiB | seconds |\n|---|---|---|---|---|")
    names = sys.argv[1:] or list(BOMBS)
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            path = BOMBS[name](Path(folder))
            size = sum(each.stat().st_size for each in Path(folder).iterdir())
            came, peak, seconds = measure(path)
        fell += came == "fell" or peak > PEAK or seconds > SECONDS
        print(f"| {name} | {size:,} | {came} | {peak / MIB:.0f} | {seconds:.1f} |", flush=True)
    print(f"\n{len(names)} inputs, {fell} fell.")
    return int(fell > 0)


if __name__ == "__main__":
    sys.exit(main())
