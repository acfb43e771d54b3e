"""Statistics files: the mean and covariance of features, `mu` and `sigma` as in pytorch-fid's .npz.

Ours tell beside them how many images they are of, and the feature net; others leave that open.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zerosum.data.npz import DAMAGE
from zerosum.data.npz_members import damage_told, open_arrays, read_array
from zerosum.errors import UserError
from zerosum.files import cannot_write, write_whole
from zerosum.metrics.features import FeatureNet
from zerosum.metrics.frechet import Moments
from zerosum.reading import expanded, open_file, read_bytes

NAMES = {"mu", "sigma"}
TOLD = {"features", "features_sha256", "resize"}
"""What ours tell of the net besides `count`, "" for what is not known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Statistics:
    """What a statistics file holds.

    Attributes:
        name: of the file.
        moments: the mean and covariance; where `count` is None, its count means nothing.
        sha256: of the file.
        count: how many images they are of, if the file tells.
        features: the name of the feature net, if the file tells; and so what follows.
        features_sha256: of its weights; None as well where it is a user's own.
        resize: how images were brought to its size.
    """

    name: str
    moments: Moments
    sha256: str
    count: int | None = None
    features: str | None = None
    features_sha256: str | None = None
    resize: str | None = None

    @property
    def size(self) -> int:
        """How many features an image has."""
        return len(self.moments.mean)

    def card(self) -> dict[str, Any]:
        """What a metric card says of them."""
        return {
            "name": self.name,
            "split": None,
            "n": self.count,
            "shape": None,
            "sha256": self.sha256,
        }

    def require_net(self, net: FeatureNet, size: int) -> None:
        """Refuse to be compared with features that are not of the same kind.

        Args:
            net: the feature net of the samples.
            size: how many features it gives.

        Raises:
            UserError: they are of another size, net, or way to resize.
        """
        if size != self.size:
            raise UserError(
                f"The statistics '{self.name}' are of {self.size:,} features, and the net "
                f"'{net.name}' gives {size:,}. Choose the net that they were made with: "
                "--features."
            )
        for what, told, found in (
            ("feature net", self.features, net.name),
            ("weights of sha256", self.features_sha256, net.sha256),
            ("way to resize", self.resize, net.resize),
        ):
            if told is not None and found != told:
                raise UserError(
                    f"The statistics '{self.name}' were made with the {what} '{told}': received "
                    f"'{found}'. Leave --features and --resize out, or name theirs."
                )


def are_statistics(path: Path | str) -> bool:
    """Whether a path is a file of statistics, and not of images."""
    path = expanded(path)
    if path.suffix.lower() != ".npz" or not path.is_file():
        return False
    try:
        with open_file(path) as file:
            found = open_arrays(file)
            return isinstance(found, np.lib.npyio.NpzFile) and set(found.files) >= NAMES
    except DAMAGE:  # which whoever reads its images tells
        return False


def read_statistics(path: Path | str) -> Statistics:
    """Read a file of statistics.

    Raises:
        UserError: it is damaged, or holds no mean and covariance.
    """
    name = str(path)
    try:
        content = read_bytes(expanded(path))
        archive = open_arrays(io.BytesIO(content))
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it is a single array")
        if missing := NAMES - set(archive.files):
            raise ValueError(f"it holds no {' and no '.join(sorted(missing))}")
        known = [key for key in archive.files if key in NAMES | TOLD | {"count"}]
        arrays = {key: read_array(archive, key, name) for key in known}
        with damage_told():  # a count may be of any type and shape
            count = int(arrays["count"]) if "count" in arrays else None
    except UserError:
        raise
    except DAMAGE as error:
        raise UserError(f"The statistics '{name}' cannot be read: {error}.") from None
    mu, sigma = arrays["mu"], arrays["sigma"]
    require_moments(name, mu, sigma)
    if count is not None and count < 2:
        raise UserError(f"The statistics '{name}' are of {count} images: expected at least 2.")
    told = {key: str(arrays[key]) or None for key in arrays.keys() & TOLD}
    covariance = torch.from_numpy(sigma.astype(np.float64))
    number = 2 if count is None else count
    moments = Moments(
        count=number,
        mean=torch.from_numpy(mu.astype(np.float64)),
        scatter=covariance * (number - 1),
    )
    return Statistics(
        name=name,
        moments=moments,
        sha256=hashlib.sha256(content).hexdigest(),
        count=count,
        **told,
    )


def require_moments(name: str, mu: NDArray[Any], sigma: NDArray[Any]) -> None:
    """Insist on a mean (d,) and a covariance (d, d) of finite numbers.

    Raises:
        UserError: they are none.
    """
    shaped = mu.ndim == 1 and len(mu) > 0 and sigma.shape == (len(mu), len(mu))
    floats = {mu.dtype.kind, sigma.dtype.kind} == {"f"}
    if not shaped or not floats or not (np.isfinite(mu).all() and np.isfinite(sigma).all()):
        raise UserError(
            f"The statistics '{name}' hold mu {mu.dtype} {mu.shape} and sigma {sigma.dtype} "
            f"{sigma.shape}: expected finite floats (d,) and (d, d)."
        )


def write_statistics(path: Path, moments: Moments, net: FeatureNet) -> None:
    """Write the statistics of images as a net saw them.

    Raises:
        UserError: the file cannot be written.
    """
    content = io.BytesIO()
    np.savez(
        content,
        mu=moments.mean.numpy(),
        sigma=moments.covariance.numpy(),
        count=moments.count,
        features=net.name,
        features_sha256=net.sha256 or "",
        resize=net.resize,
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content.getvalue())
    except OSError as error:
        raise cannot_write(path, error, "Choose another place with --save-stats.") from None
