"""How samples lie in files: PNGs in a folder, shards of them, or arrays that become one `.npz`.

Each form lies in units, some multiple of the images whose z is drawn at a time. A unit is there
whole or not at all, and is the same whichever process makes it, and when.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from zerosum.data.arrays import Pixels
from zerosum.errors import UserError, pip_install
from zerosum.files import WRITING, whole_file
from zerosum.game.sampling import CHUNK
from zerosum.inference.sampler import Sampled
from zerosum.plots.grids import save_sample, to_picture

FormName = Literal["png", "webdataset", "parquet"]
"""What a folder of samples may hold."""
UNIT_BYTES = 64 * 2**20
"""Of pixels, about as many as a shard holds."""
MOST_BLOCKS = 40
"""Blocks of `CHUNK` images that a shard holds at most."""


@dataclass(frozen=True, kw_only=True)
class Naming:
    """What samples are called, and their classes.

    Attributes:
        seed: in the names of PNGs; None where z was given.
        classes: the names of the classes, () where G is told none.
        parts: of each class its part in a file's name, see `class_parts`.
        labelled: whether each sample is of one class. Mixtures are no labels, and where one sample
            of the set is such, none has a label: forms with a column for it need it of all.
    """

    seed: int | None
    classes: tuple[str, ...]
    parts: Mapping[str, str]
    labelled: bool

    def labels_of(self, made: Sampled) -> NDArray[np.int64] | None:
        """The class of each sample; None where G is told none, or a mix of several."""
        if made.classes is None or not self.labelled:
            return None
        labels: NDArray[np.int64] = made.classes.argmax(axis=1).astype(np.int64)
        return labels


class Form(ABC):
    """Samples in files of one kind, in a folder.

    Attributes:
        name: of the kind.
        folder: where its units lie.
        count: how many images there are in all.
        images_a_unit: how many in each, but for the last.
    """

    name: ClassVar[str]

    def __init__(self, folder: Path, *, count: int, images_a_unit: int, naming: Naming) -> None:
        self.folder, self.count, self.images_a_unit = folder, count, images_a_unit
        self.naming = naming

    @property
    def num_units(self) -> int:
        """How many units there are when all is done."""
        return -(-self.count // self.images_a_unit)

    def bounds(self, unit: int) -> tuple[int, int]:
        """The first image of a unit, and the one behind its last."""
        start = unit * self.images_a_unit
        return start, min(start + self.images_a_unit, self.count)

    @abstractmethod
    def unit_of(self, name: str) -> int | None:
        """The unit that a file belongs to by its name; None of a file that is none of ours."""

    @abstractmethod
    def write(self, unit: int, pieces: Iterator[Sampled]) -> None:
        """Write a unit of the samples of its images, in order.

        Raises:
            OSError: it cannot be written; what was written of it is no unit.
        """

    def size_of(self, unit: int) -> int:
        """How many files a unit has."""
        return 1


class Pngs(Form):
    """Each image a PNG, called by index, seed and class. A unit is the images of one block."""

    name = "png"
    pattern = re.compile(r"(\d{6,})(_seed\d+)?(_.*)?\.png", re.DOTALL)

    def __init__(self, folder: Path, **how: Any) -> None:
        super().__init__(folder, **how)
        self._parts = frozenset(self.naming.parts.values())

    def unit_of(self, name: str) -> int | None:
        """By the index that a name begins with."""
        match = self.pattern.fullmatch(name)
        if not match or int(match[1]) >= self.count or match[2] != (self._drawn_by() or None):
            return None
        if match[3] and match[3][1:] not in self._parts:
            return None
        return int(match[1]) // self.images_a_unit

    def size_of(self, unit: int) -> int:
        """As many as it has images."""
        start, stop = self.bounds(unit)
        return stop - start

    def write(self, unit: int, pieces: Iterator[Sampled]) -> None:
        """Write each file whole."""
        index, _ = self.bounds(unit)
        for piece in pieces:
            labels = self.naming.labels_of(piece)
            for row, image in enumerate(piece.samples):
                part = "" if labels is None else self._part(labels[row])
                name = f"{index:06d}{self._drawn_by()}{'_' * bool(part)}{part}.png"
                with whole_file(self.folder / name) as file:
                    save_sample(to_picture(image), file)
                index += 1

    def _drawn_by(self) -> str:
        return "" if self.naming.seed is None else f"_seed{self.naming.seed}"

    def _part(self, label: int) -> str:
        return self.naming.parts[self.naming.classes[label]]


class Shards(Form):
    """PNGs in numbered files that hold many."""

    suffix: ClassVar[str]

    def unit_of(self, name: str) -> int | None:
        """By the number in a name."""
        match = re.fullmatch(rf"samples-(\d{{5,}}){re.escape(self.suffix)}", name)
        return int(match[1]) if match and int(match[1]) < self.num_units else None

    def write(self, unit: int, pieces: Iterator[Sampled]) -> None:
        """Write the file, and wait until the disk has it."""
        with whole_file(self.folder / f"samples-{unit:05d}{self.suffix}", durable=True) as file:
            self.write_shard(file, self.bounds(unit)[0], pieces)

    @abstractmethod
    def write_shard(self, file: BinaryIO, index: int, pieces: Iterator[Sampled]) -> None:
        """Write images to a file, the first of which has this index."""


class WebDatasetShards(Shards):
    """Tars as WebDataset reads them.

    Of each image they hold a `.png`, the number of its class as `.cls` and the class's name as
    `.txt`.
    """

    name = "webdataset"
    suffix = ".tar"

    def write_shard(self, file: BinaryIO, index: int, pieces: Iterator[Sampled]) -> None:
        """One image after the other; the same images make the same bytes."""
        with tarfile.open(fileobj=file, mode="w") as tar:
            for piece in pieces:
                labels = self.naming.labels_of(piece)
                for row, image in enumerate(piece.samples):
                    key = f"{index:08d}"
                    add_member(tar, f"{key}.png", png_of(image))
                    if labels is not None:
                        label = int(labels[row])
                        add_member(tar, f"{key}.cls", str(label).encode())
                        add_member(tar, f"{key}.txt", self.naming.classes[label].encode())
                    index += 1


class ParquetShards(Shards):
    """Tables with the columns `image`, as Hugging Face's data sets have it, and `label`."""

    name = "parquet"
    suffix = ".parquet"

    def write_shard(self, file: BinaryIO, index: int, pieces: Iterator[Sampled]) -> None:
        """A group of rows for each piece."""
        arrow, parquet = require_parquet()
        writer = None
        for piece in pieces:
            labels = self.naming.labels_of(piece)
            rows = [
                {"bytes": png_of(image), "path": f"{index + row:08d}.png"}
                for row, image in enumerate(piece.samples)
            ]
            schema = self._schema(arrow, labelled=labels is not None)
            columns = [arrow.array(rows, schema.field("image").type)]
            columns += [] if labels is None else [arrow.array(labels)]
            if writer is None:  # PNGs are compressed already
                writer = parquet.ParquetWriter(file, schema, compression="none")
            writer.write_table(arrow.Table.from_arrays(columns, schema=schema))
            index += len(rows)
        if writer is not None:
            writer.close()

    def _schema(self, arrow: Any, *, labelled: bool) -> Any:
        fields = [("image", arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())]))]
        features: dict[str, Any] = {"image": {"_type": "Image"}}
        if labelled:
            fields.append(("label", arrow.int64()))
            features["label"] = {"names": list(self.naming.classes), "_type": "ClassLabel"}
        told = json.dumps({"info": {"features": features}})
        return arrow.schema(fields, metadata={"huggingface": told})


class Arrays(Form):
    """Parts of arrays, which `join` makes one `.npz` of; they lie in a folder beside it.

    Attributes:
        array: what the samples are called in it.
    """

    name = "npz"

    def __init__(self, folder: Path, *, array: str, **how: Any) -> None:
        super().__init__(folder, **how)
        self.array = array

    def unit_of(self, name: str) -> int | None:
        """By the number in a name."""
        match = re.fullmatch(r"part-(\d{5,})\.npz", name)
        return int(match[1]) if match and int(match[1]) < self.num_units else None

    def write(self, unit: int, pieces: Iterator[Sampled]) -> None:
        """Write a part, and wait until the disk has it."""
        with whole_file(self.folder / f"part-{unit:05d}.npz", durable=True) as file:
            arrays: dict[str, Any] = self.arrays_of(pieces)
            np.savez(file, **arrays)

    def arrays_of(self, pieces: Iterable[Sampled]) -> dict[str, NDArray[Any]]:
        """What a part holds."""
        made = list(pieces)
        arrays = {
            self.array: np.concatenate([piece.samples for piece in made]),
            "z": np.concatenate([piece.z for piece in made]),
        }
        labels = [each for each in map(self.naming.labels_of, made) if each is not None]
        weights = [piece.classes for piece in made if piece.classes is not None]
        if labels:
            arrays["labels"] = np.concatenate(labels)
        elif weights:
            arrays["class_weights"] = np.concatenate(weights)
        return arrays

    def read(self, unit: int) -> dict[str, NDArray[Any]]:
        """Read a part.

        Raises:
            OSError: it cannot be read.
        """
        with np.load(self.folder / f"part-{unit:05d}.npz", allow_pickle=False) as arrays:
            return dict(arrays)

    def join(self, out: Path, part: Callable[[int], Mapping[str, NDArray[Any]]]) -> None:
        """Write the `.npz`, with one part in memory at a time.

        Raises:
            OSError: it cannot be written.
        """
        first = part(0)
        with (
            whole_file(out, durable=True) as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for name in first:
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    whole = (self.count, *first[name].shape[1:])
                    descr = np.lib.format.dtype_to_descr(first[name].dtype)
                    header = {"descr": descr, "fortran_order": False, "shape": whole}
                    np.lib.format.write_array_header_1_0(member, header)
                    for unit in range(self.num_units):
                        member.write(np.ascontiguousarray(part(unit)[name]).data)
            if {"labels", "class_weights"} & first.keys():
                with archive.open("classes.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.array(self.naming.classes))


FORMS: dict[FormName, type[Form]] = {
    "png": Pngs,
    "webdataset": WebDatasetShards,
    "parquet": ParquetShards,
}


def images_a_unit(form: type[Form], shape: Sequence[int]) -> int:
    """How many images of a shape (c, h, w) a unit of a form holds, a multiple of `CHUNK`."""
    if form is Pngs:
        return CHUNK
    blocks = UNIT_BYTES // (CHUNK * int(np.prod(shape)))
    return CHUNK * min(max(1, blocks), MOST_BLOCKS)


def png_of(image: Pixels) -> bytes:
    """One sample as a PNG, which says what it is."""
    content = io.BytesIO()
    save_sample(to_picture(image), content)
    return content.getvalue()


def add_member(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file to a tar, with nothing in its header that another machine or day would change."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def require_parquet() -> tuple[Any, Any]:
    """Import what reads and writes Parquet.

    Raises:
        UserError: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError(
            f"Parquet needs pyarrow, which is not installed: {pip_install('parquet')}. Or choose "
            "--format webdataset, which needs nothing."
        ) from None
    return pyarrow, pyarrow.parquet


def is_unfinished(name: str) -> bool:
    """Whether a file is one that a process was writing."""
    return name.startswith(".") and name.endswith(WRITING)
