"""The network of the published FIDs, Inception v3 of 2015; and how images reach it.

It is not shipped, being 90 MB (`weight_files.INCEPTION`). Its file is TorchScript, which can run
code of whoever made it, so it is loaded only when its sha256 is the known one. Only the weights are
used, in a net of our own that a processor computes twice as fast (`inception_net`).

How images are brought to its 299×299 pixels moves a metric by several points, and the packages by
which metrics were published differ in it. `RESIZES` names them; each does, to the last bit on a
CPU, what its package does.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from zerosum.errors import unknown_name
from zerosum.metrics.inception_net import folded

SIDE = 299
DEFAULT_RESIZE = "torch-fidelity"
BATCH = 16
"""Images to show at a time on a processor: `benchmarks/feature_nets.py` tries how many."""


def load(content: bytes, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Make the net of the file's content, whose sha256 the caller has checked.

    Returns:
        A function from `prepare`d images (b, 3, 299, 299) to features (b, 2048).
    """
    held = as_published(content).named_parameters()
    net = folded({name.removeprefix("net.layers."): value for name, value in held}).to(device)
    # Convolutions are nearly twice as fast on a CPU when the channels come last.
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def features(images: Tensor) -> Tensor:
        found: Tensor = net(images.contiguous(memory_format=torch.channels_last))
        return found

    return features


def as_published(content: bytes) -> torch.jit.ScriptModule:
    """Load the TorchScript itself, from the file's content, whose sha256 the caller has checked."""
    with warnings.catch_warnings():
        # torch would rather have another format, but this is what the weights exist in.
        warnings.simplefilter("ignore", DeprecationWarning)
        net: torch.jit.ScriptModule = torch.jit.load(  # type: ignore[no-untyped-call]
            io.BytesIO(content), "cpu"
        )
    return net


@dataclass(frozen=True)
class Resize:
    """One way of bringing images to the network."""

    description: str
    prepare: Callable[[Tensor], Tensor]
    """Uint8 (b, c, h, w), c 1 or 3, -> float32 (b, c, 299, 299) in [-1, 1]; 1 may become 3."""


def prepare(images: Tensor, resize: str = DEFAULT_RESIZE) -> Tensor:
    """Bring images to the network as a package does.

    Args:
        images: uint8 gray or RGB, (b, 1, h, w) or (b, 3, h, w).
        resize: a name in `RESIZES`.

    Returns:
        float32 (b, 3, 299, 299) in [-1, 1]. Gray is tiled, where it can be after the resizing: the
        same as before it, for a third of the work.
    """
    return RESIZES[resize].prepare(images).expand(-1, 3, -1, -1)


def described(resize: str) -> str:
    """Say how images are brought to the network, for a card.

    Raises:
        UserError: nobody knows the name.
    """
    if resize not in RESIZES:
        raise unknown_name("way to resize", resize, RESIZES)
    return f"{resize}: gray tiled to RGB, {RESIZES[resize].description} to {SIDE}×{SIDE}"


def like_torch_fidelity(images: Tensor) -> Tensor:
    """Resize as TensorFlow 1 did, then (x - 128) / 128: in [-1, 1), as the network was trained."""
    return (resize_like_tensorflow(images.float(), SIDE) - 128) / 128


def like_clean_fid(images: Tensor) -> Tensor:
    """Pillow's bicubic filter, which averages where an image shrinks, without rounding.

    Source: Parmar et al. 2022, arXiv 2104.11222, section 3; clean-fid 0.1.35, mode "clean".
    """
    # The bicubic filter swings beyond the values it is given.
    return (resize_by_pillow(images, Image.Resampling.BICUBIC).clamp(0, 255) - 128) / 128


def like_pytorch_fid(images: Tensor) -> Tensor:
    """Bilinear interpolation as torch does it, of [0, 1]: pixels' centres, and no averaging.

    Source: pytorch-fid 0.3.0.
    """
    # Tiled before, since torch's last bits differ between one channel and three.
    rgb = images.expand(-1, 3, -1, -1).contiguous()
    unit = torch.nn.functional.interpolate(
        rgb.float().div(255), (SIDE, SIDE), mode="bilinear", align_corners=False
    )
    return 2 * unit - 1


def like_studiogan(images: Tensor) -> Tensor:
    """Pillow's bilinear filter, which averages too: what StudioGAN's tables call "friendly".

    Source: Kang et al. 2022, arXiv 2206.09479; PyTorch-StudioGAN, src/utils/resize.py.
    """
    return (resize_by_pillow(images, Image.Resampling.BILINEAR) / 255 - 0.5) / 0.5


RESIZES = {
    "torch-fidelity": Resize("bilinear as in TensorFlow 1", like_torch_fidelity),
    "clean-fid": Resize("antialiased bicubic, not rounded,", like_clean_fid),
    "pytorch-fid": Resize("bilinear by torch, not antialiased,", like_pytorch_fid),
    "studiogan": Resize("antialiased bilinear, not rounded,", like_studiogan),
}


def resize_by_pillow(images: Tensor, method: Image.Resampling) -> Tensor:
    """Resize each channel alone, in float32: uint8 (b, c, h, w) -> float32 (b, c, 299, 299)."""
    planes = images.flatten(0, 1).float().cpu().numpy()
    resized = [np.asarray(Image.fromarray(plane).resize((SIDE, SIDE), method)) for plane in planes]
    return torch.from_numpy(np.stack(resized)).to(images.device).view(*images.shape[:2], SIDE, SIDE)


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
