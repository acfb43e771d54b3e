"""What convolutional nets share: options, self-attention, spectral norm, DCGAN's first weights."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from zerosum.errors import UserError, unknown_name
from zerosum.nets.pyramid import Size

Conditioning = Literal["concat", "projection"]
"""Where the condition goes: beside the inputs, or into a product in D (and BatchNorm in G)."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What G and D of every convolutional net can be asked for.

    Attributes:
        width: channels; each net says of which level.
        full_width_up_to: the resolution above which each doubling halves the channels; None for the
            net's own. Of no concern to DCGAN's, which taper all the way.
        condition_size: columns k of one image's condition, 0 for none.
        conditioning: "concat": G and D find the condition beside their inputs. "projection": D
            adds the product of Miyato and Koyama 2018; how G is told, each net says.
        attention: the shorter side of the feature map after which self-attention goes, in
            pixels; None for none.
        spectral_norm: normalise every layer by its largest singular value.

    Raises:
        UserError: nobody knows that kind of conditioning.
    """

    width: int
    full_width_up_to: int | None = None
    condition_size: int = 0
    conditioning: Conditioning = "concat"
    attention: int | None = None
    spectral_norm: bool = False

    def __post_init__(self) -> None:
        if self.conditioning not in get_args(Conditioning):
            raise unknown_name("conditioning", self.conditioning, get_args(Conditioning))

    def channels(self, size: Size, *, full_up_to: int) -> int:
        """Channels of a feature map: `width`, halved for each doubling beyond a resolution.

        Args:
            size: of the map, whose shorter side counts.
            full_up_to: the resolution in pixels, unless `full_width_up_to` names another.
        """
        side, width, limit = min(size), self.width, self.full_width_up_to or full_up_to
        while side > limit:
            side, width = (side + 1) // 2, width // 2
        return max(width, 1)

    @property
    def concatenated(self) -> int:
        """Columns of the condition that go beside the inputs."""
        return self.condition_size if self.conditioning == "concat" else 0

    @property
    def projected(self) -> int:
        """Columns of the condition that go into D's product."""
        return self.condition_size if self.conditioning == "projection" else 0


class SelfAttention(nn.Module):
    """Maps (b, c, h, w) -> maps (b, c, h, w): each pixel adds what it looks up in all others.

    SAGAN's layer (Zhang et al. 2019, arXiv 1805.08318, equations 1 to 3): queries and keys of c/8
    channels, values of c/2, from 1×1 convolutions without bias; keys and values are max-pooled
    2×2, as the authors do, which saves three quarters of the work. `gamma` starts at 0, so the
    layer starts as the identity.

    Plain products and a softmax, because penalties on D's gradient differentiate twice, which
    the fused kernels of `scaled_dot_product_attention` cannot.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow, half = max(channels // 8, 1), max(channels // 2, 1)
        self.query = nn.Conv2d(channels, narrow, 1, bias=False)
        self.key = nn.Conv2d(channels, narrow, 1, bias=False)
        self.value = nn.Conv2d(channels, half, 1, bias=False)
        self.output = nn.Conv2d(half, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, maps: Tensor) -> Tensor:
        query = self.query(maps).flatten(2)  # (b, c/8, h·w)
        key = self.pool(self.key(maps)).flatten(2)  # (b, c/8, n), n pooled pixels
        value = self.pool(self.value(maps)).flatten(2)  # (b, c/2, n)
        weights = torch.softmax(query.transpose(1, 2) @ key, dim=2)  # (b, h·w, n)
        found = value @ weights.transpose(1, 2).to(value.dtype)  # (b, c/2, h·w)
        added: Tensor = self.gamma * self.output(torch.unflatten(found, 2, maps.shape[2:]))
        return maps + added

    @staticmethod
    def pool(maps: Tensor) -> Tensor:
        """Take the largest of 2×2 pixels; of an odd side, the last row stands alone."""
        return F.max_pool2d(maps, 2, ceil_mode=True)


def blocks_in(
    layers: Iterable[nn.Module], *, with_first: Iterable[nn.Module] = ()
) -> list[list[nn.Module]]:
    """Group layers by depth: each that has weights begins a block, with what belongs to it behind.

    Args:
        layers: in the order in which images pass them; norms and attention belong to the
            convolution before.
        with_first: what belongs to the first block beside them.
    """
    blocks: list[list[nn.Module]] = []
    for layer in layers:
        if any(True for _ in layer.parameters()):
            if blocks and isinstance(layer, _NormBase | SelfAttention):
                blocks[-1].append(layer)
            else:
                blocks.append([layer])
    blocks[0].extend(with_first)
    return blocks


def depth_blocks(D: nn.Module) -> list[list[nn.Module]]:
    """The layers of any D of zerosum's by depth, from the images on: what `--freeze-d` counts."""
    return cast("list[list[nn.Module]]", D.depth_blocks)


def with_spectral_norm(net: nn.Module) -> nn.Module:
    """Divide the weight of every linear, convolutional and embedding layer by its norm, in place.

    The norm is the largest singular value of the weight as a matrix (out, in·h·w) (Miyato et al.
    2018, arXiv 1802.05957, section 2.1), estimated by power iteration. Set the weights first:
    afterwards `weight` is computed, and what is trained is `parametrizations.weight.original`.

    In training mode every forward pass does one more iteration, which changes the buffers `_u`
    and `_v`: two passes over the same images differ slightly, and a pass that is only looked at
    leaves its trace in the run. So evaluate in eval mode, where the estimate stays as it is; and
    an average of the weights must copy the buffers along, for with others it is another net.

    Returns:
        The net itself.

    Raises:
        UserError: a weight is all zeros, and 0 / 0 would be the result.
    """
    for name, layer in list(net.named_modules()):
        if isinstance(layer, nn.Linear | _ConvNd | nn.Embedding):
            if not layer.weight.is_meta and not layer.weight.any():
                raise UserError(
                    f"Spectral norm cannot start from the layer '{name}': its weights are all 0, "
                    "as at the end of R3GAN's residual branches, and would be divided by 0. "
                    "Leave --spectral-norm out, or choose other --nets."
                )
            spectral_norm(layer)
    return net


def plain(net: nn.Module) -> nn.Module:
    """A copy of a net in eval mode, with spectral norm folded into its weights."""
    net = copy.deepcopy(net).eval()
    for module in [each for each in net.modules() if parametrize.is_parametrized(each)]:
        # Not `remove_parametrizations`, which would change the class that the original shares.
        names = list(cast("nn.ModuleDict", module.parametrizations))
        weights = {name: getattr(module, name).detach() for name in names}
        module.__class__ = parametrize.type_before_parametrizations(module)
        del module.parametrizations
        for name, weight in weights.items():
            module.register_parameter(name, nn.Parameter(weight))
    return net.requires_grad_(False)


def initialise_normal(net: nn.Module, *, deviation: float = 0.02) -> None:
    """Draw the weights as DCGAN does (Radford et al. 2015, arXiv 1511.06434, section 4).

    Linear, convolutional and embedding layers from N(0, deviation²), gains of BatchNorm from
    N(1, deviation²), as the authors' code has it; biases 0.
    """
    for layer in net.modules():
        if isinstance(layer, nn.Linear | _ConvNd | nn.Embedding):
            nn.init.normal_(layer.weight, 0.0, deviation)
        elif isinstance(layer, _BatchNorm) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, deviation)
        else:
            continue
        bias = getattr(layer, "bias", None)
        if bias is not None:
            nn.init.zeros_(bias)
