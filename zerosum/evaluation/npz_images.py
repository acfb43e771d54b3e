"""The images of an `.npz`, read as they are evaluated."""

from __future__ import annotations

import threading
import zipfile
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from zerosum.data.decode import (
    MODES,
    Format,
    fit_array,
    report_of_arrays,
)
from zerosum.data.npz import DAMAGE as NPZ_DAMAGE
from zerosum.data.npz import (
    MAX_CHANNELS,
    choose_arrays,
    unused,
    with_channels_last,
)
from zerosum.data.npz_members import damage_told, open_arrays, read_array, read_header
from zerosum.data.report import Report, few_levels
from zerosum.data.store import ImageStore
from zerosum.errors import UserError
from zerosum.evaluation.encoded import DAMAGED
from zerosum.metrics.embedding import Passing
from zerosum.metrics.features import BATCH


class Archived(ImageStore):
    """The images of an `.npz`, uint8, read in order; going back begins again.

    Attributes:
        plain: whether they can be read so: images of bytes, in numpy's own order.
        report: what was understood, known once `inspected`.
    """

    def __init__(self, path: Path, wanted: Format) -> None:
        """Look what there is.

        Raises:
            UserError: there is nothing that can be images.
            OSError: or another of `npz.DAMAGE`: the file is damaged.
        """
        self._path, self.wanted = path, wanted
        self.kept = f"in {path}"
        self.report = Report()
        self._lock = threading.Lock()
        self._archive: zipfile.ZipFile | None = None
        self._stream: IO[bytes] | None = None
        self._next = 0
        self._shape = torch.Size((0, 0, 0, 0))
        with path.open("rb") as file:
            archive = open_arrays(file)
            self.plain = False
            if not isinstance(archive, np.lib.npyio.NpzFile):
                return
            if not {"images", "points"} & {name.lower() for name in archive.files}:
                return
            names, held_out = choose_arrays(archive, "train", path)
            self.plain = "images" in names and not held_out and wanted.value_range is None
            if not self.plain:
                return
            layout = str(read_array(archive, names["layout"], path)) if "layout" in names else ""
            self._member = f"{names['images']}.npy"
            self._unused = unused(archive.files, used=names.values())
        with damage_told(), zipfile.ZipFile(path) as opened, opened.open(self._member) as stream:
            self._whole, fortran, dtype = read_header(stream)
        flat = len(self._whole) == 3
        claimed = np.broadcast_to(np.uint8(0), (*self._whole, 1) if flat else self._whole)
        self.plain = not fortran and dtype == np.uint8 and claimed.ndim == 4 and claimed.size > 0
        if not self.plain:
            return
        brought, self._guess = (claimed, []) if flat else with_channels_last(claimed, layout)
        self._channels_first = brought is not claimed
        channels = brought.shape[3]
        self.plain = channels in MODES or (wanted.channels is None and channels <= MAX_CHANNELS)
        if self.plain:
            one = fit_array(np.zeros((1, *brought.shape[1:]), np.uint8), wanted)
            self._size = (int(brought.shape[1]), int(brought.shape[2]))
            self._shape = torch.Size((len(brought), *one.shape[1:]))

    @property
    def shape(self) -> torch.Size:
        """Shape of all images, (n, c, h, w)."""
        return self._shape

    def inspected(self) -> ImageStore:
        """Look at every image once.

        Raises:
            UserError: the file is damaged.
        """
        darkest, brightest, passing = 255, 0, Passing(self)
        for start in range(0, len(self), BATCH):
            images = passing.seen(self[start : start + BATCH])
            darkest = min(darkest, int(images.min()))
            brightest = max(brightest, int(images.max()))
        passing.done()
        warning = few_levels(len(self), brightest, brightest - darkest + 1, "")
        self.report = report_of_arrays(self._size, len(self), self.wanted).with_more(
            left_out=self._unused, warnings=[*self._guess, *([warning] if warning else [])]
        )
        return self

    def take(self, rows: Tensor) -> Tensor:
        """Read some images, in the order in which they lie, and give them in that asked for."""
        each = int(np.prod(self._whole[1:]))
        ordered, back = torch.unique(rows, return_inverse=True)
        content = bytearray()
        try:
            with self._lock:
                for row in ordered.tolist():
                    image = self._at(row, each).read(each)
                    self._next = row + 1
                    if len(image) < each:
                        raise EOFError(f"it ends within image {row:,} of {len(self):,}")
                    content += image
        except NPZ_DAMAGE as error:
            raise UserError(f"{self._path} is damaged: {error}. {DAMAGED}") from None
        images = np.frombuffer(content, np.uint8).reshape(len(ordered), *self._whole[1:])
        if images.ndim == 3:
            images = images[..., np.newaxis]
        elif self._channels_first:
            images = images.transpose(0, 2, 3, 1)
        return torch.from_numpy(fit_array(images, self.wanted))[back]

    def _at(self, row: int, each: int) -> IO[bytes]:
        """The file at an image."""
        if self._stream is None or row < self._next:
            if self._archive is not None:
                self._archive.close()
            self._archive = zipfile.ZipFile(self._path)
            self._stream = self._archive.open(self._member)
            read_header(self._stream)
            self._next = 0
        left = (row - self._next) * each
        while left > 0:
            if not (skipped := len(self._stream.read(min(left, 2**20)))):
                break  # whoever reads finds the end
            left -= skipped
        return self._stream
