"""Feature nets by name: what turns images into points of a space in which sets are compared.

`digits` and `fashion` are small classifiers that come with zerosum, `inception` is the net of the
published FIDs, `random` serves any images, `stacked-digits` asks `digits` about each channel, and
`module:callable` is the user's own. One of your own that has a name, or knows the classes of your
data, is added by `register`, as `plane` does.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from zerosum.data.catalog import DATASETS
from zerosum.data.images import to_float
from zerosum.errors import UserError, unknown_name
from zerosum.metrics import inception
from zerosum.metrics.channels import with_channels
from zerosum.metrics.classifier import SIDE, Classifier
from zerosum.metrics.random_net import SIDE as RANDOM_SIDE
from zerosum.metrics.random_net import RandomNet
from zerosum.metrics.weight_files import INCEPTION, checked

Answer = tuple[Tensor, Tensor | None]
"""Features (b, d) and logits (b, k), or None where the net is no classifier."""
BATCH = 100
"""Images to show at a time, where a net does not know better."""


@dataclass(frozen=True, kw_only=True)
class FeatureNet:
    """A net, and all that has to be said of it beside a metric."""

    name: str
    sha256: str | None  # of the weights; None for a user's net, of which nothing is known
    resize: str  # how images are brought to the net's size
    classes: tuple[str, ...]  # the meaning of the logits; () when there are none
    look: Callable[[Tensor], Answer]  # at images at rest, (b, c, h, w), on any device
    even_classes: bool = False  # whether the data was made to have each class as often
    gaussians: bool = False  # whether `plane.deviations` can read the logits
    batch: int = BATCH  # images to show at a time, `BATCH` at most
    version: str = "1"  # raised when the same pixels and weights come to give other last bits
    expect: Callable[[int], None] = lambda num_images: None  # told how many it will be shown


@dataclass(frozen=True)
class Shipped:
    """A classifier that lies in `weights/`, made by `tools/train_classifier.py`."""

    data: str  # the name of the data set whose classes it knows
    sha256: str


SHIPPED = {
    "digits": Shipped("mnist", "e46733645ebebe228559d0d10763798c1535cb34b599d86971e16426bf960447"),
    "fashion": Shipped(
        "fashion-mnist", "d033e585d54d1fe4259db5ccbedcbc6c8320ad314c1ec24099789a17811f5206"
    ),
}
WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class Registered:
    """A feature net that can be asked for by name.

    Attributes:
        load: makes it ready on a device.
        data: the names of the data sets that it is for: it knows their classes.
    """

    load: Callable[[torch.device], FeatureNet]
    data: tuple[str, ...] = ()


FEATURE_NETS: dict[str, Registered] = {}


def register(
    name: str, load: Callable[[torch.device], FeatureNet], *, data: Sequence[str] = ()
) -> None:
    """Add a feature net, or put another one in the place of an earlier one.

    Args:
        name: for `--features`.
        load: makes it ready on a device, when it is asked for.
        data: data sets, as users name them, whose samples are compared by it unless another one is
            named.
    """
    FEATURE_NETS[name] = Registered(load, tuple(data))


def feature_net(name: str, *, device: torch.device, resize: str | None = None) -> FeatureNet:
    """Load a net by its name, or import a user's `module:callable`.

    Args:
        name: one of `FEATURE_NETS`, or module:callable.
        device: where the net computes.
        resize: how images are brought to Inception, a name in `inception.RESIZES`; None as
            torch-fidelity does.

    Raises:
        UserError: there is no such net, or its weights are not on this machine, or are others; or
            another net than Inception, which has a way of its own, is to resize.
    """
    if resize is not None and name == "inception":
        return inception_net(device, resize)
    if resize is not None:
        raise UserError(
            f"The feature net '{name}' brings images to its size in a way of its own, and was "
            f"asked to resize as '{resize}'. Leave --resize out, or choose --features inception."
        )
    if name in FEATURE_NETS:
        return FEATURE_NETS[name].load(device)
    if ":" in name:
        return users_net(name, device)
    raise unknown_name("feature net", name, FEATURE_NETS)


def net_for_data(name: str) -> str:
    """Choose the net for a data set: the one that knows its classes, or else Inception.

    Where Inception's weights are not on this machine, it is `random`, which serves any images.
    """
    cheap = cheap_net(name)
    return "inception" if cheap == "random" and INCEPTION.locate() else cheap


def cheap_net(name: str) -> str:
    """Choose a net that a training can afford: one that knows the data's classes, or `random`."""
    return next((net for net, known in FEATURE_NETS.items() if name in known.data), "random")


def shipped_net(device: torch.device, name: str) -> FeatureNet:
    """Load a classifier that came with the package."""
    path = WEIGHTS / f"{name}.safetensors"
    content = checked(path, SHIPPED[name].sha256, "Install zerosum again.")
    net = Classifier()
    # What is missing is counters of batches, which serve only training.
    net.load_state_dict(safetensors.torch.load(content), strict=False)
    # Convolutions are nearly twice as fast on a CPU when the channels come last.
    net.to(device).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def look(images: Tensor) -> Answer:
        gray = resized(to_float(with_channels(images, 1)), SIDE)
        features, logits = net(gray.to(device, memory_format=torch.channels_last))
        return features, logits

    return FeatureNet(
        name=name,
        sha256=SHIPPED[name].sha256,
        resize=f"to gray, antialiased bilinear to {SIDE}×{SIDE} where the size differs",
        classes=DATASETS[SHIPPED[name].data].classes,
        look=look,
    )


def stacked_net(device: torch.device, name: str, data: str) -> FeatureNet:
    """Load the classifier of what is stacked, to be asked about each channel."""
    about = DATASETS[data]
    assert about.stack is not None
    channels = about.stack.channels
    net = FEATURE_NETS[cheap_net(about.stack.of)].load(device)
    return FeatureNet(
        name=name,
        sha256=net.sha256,
        resize=f"each of {channels} channels by itself, {net.resize}",
        classes=about.classes,
        look=lambda images: look_at_channels(net.look, with_channels(images, channels)),
        even_classes=True,
    )


def look_at_channels(look: Callable[[Tensor], Answer], images: Tensor) -> tuple[Tensor, Tensor]:
    """Look at each channel by itself, and put what was seen together.

    Args:
        look: from uint8 (b, 1, h, w) to features (b, d) and logits (b, k).
        images: uint8 (b, c, h, w).

    Returns:
        Features (b, c·d), the channels' side by side. And logits (b, kᶜ) of all combinations of
        classes, the first channel's class leading: the log-probability of each, as if the channels
        were independent, so that the most likely combination is that of the most likely classes.
    """
    count, channels, height, width = images.shape
    features, logits = look(images.reshape(count * channels, 1, height, width))
    assert logits is not None
    log_likely = logits.float().log_softmax(dim=1).view(count, channels, -1)
    joint = torch.zeros(count, 1, device=logits.device)
    for channel in range(channels):
        joint = (joint[:, :, None] + log_likely[:, channel, None, :]).flatten(1)
    return features.view(count, -1), joint


def inception_net(device: torch.device, resize: str = inception.DEFAULT_RESIZE) -> FeatureNet:
    """Load the FID network, gray tiled to RGB; its file holds no logits."""
    description = inception.described(resize)
    ((file, sha256),) = INCEPTION.files.items()
    net = inception.load(INCEPTION.read(file), device)

    def look(images: Tensor) -> Answer:
        flat = images if images.shape[1] == 1 else with_channels(images, 3)
        return net(inception.prepare(flat.to(device), resize)), None

    return FeatureNet(
        name="inception",
        sha256=sha256,
        resize=description,
        classes=(),
        look=look,
        batch=inception.BATCH if device.type == "cpu" else BATCH,
        version="2",  # 0.1 did not fold its BatchNorms
    )


def random_net(device: torch.device) -> FeatureNet:
    """Make the net of random convolutions, whose weights follow from its seed."""
    net = RandomNet()
    sha256 = net.sha256()
    net.to(device).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def look(images: Tensor) -> Answer:
        rgb = resized(to_float(with_channels(images, 3)), RANDOM_SIDE)
        return net(rgb.to(device, memory_format=torch.channels_last)), None

    return FeatureNet(
        name="random",
        sha256=sha256,
        resize=f"gray tiled to RGB, antialiased bilinear to {RANDOM_SIDE}×{RANDOM_SIDE}",
        classes=(),
        look=look,
    )


def resized(images: Tensor, side: int) -> Tensor:
    """Bring float images (b, c, h, w) to a square, by antialiased bilinear interpolation."""
    if images.shape[2:] == (side, side):
        return images
    return torch.nn.functional.interpolate(
        images, (side, side), mode="bilinear", antialias=True, align_corners=False
    )


def users_net(name: str, device: torch.device) -> FeatureNet:
    """Import a function from uint8 (b, c, h, w) on the device to features (b, d)."""
    module, _, attribute = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # a user's module may raise anything
        raise UserError(
            f"The feature net '{name}' cannot be imported: {error}. Expected module:callable, of a "
            "module that is installed or on PYTHONPATH."
        ) from error
    if not callable(function) or isinstance(function, type):
        raise UserError(
            f"The feature net '{name}' is of type {type(function).__name__}: expected a function, "
            "or a net that is made already, which takes uint8 images (b, c, h, w)."
        )

    def look(images: Tensor) -> Answer:
        try:
            features = function(images.to(device))
        except Exception as error:
            raise UserError(
                f"The feature net '{name}' failed on uint8 images of the shape "
                f"{tuple(images.shape)}: {type(error).__name__}: {error}."
            ) from error
        if not isinstance(features, Tensor) or features.ndim != 2 or len(features) != len(images):
            raise UserError(
                f"The feature net '{name}' returned {described(features)} for {len(images)} "
                f"images: expected a tensor of the shape ({len(images)}, d)."
            )
        return features, None

    return FeatureNet(name=name, sha256=None, resize="its own", classes=(), look=look)


def described(answer: object) -> str:
    """Name what a user's function returned, in a message."""
    return f"the shape {tuple(answer.shape)}" if isinstance(answer, Tensor) else repr(type(answer))


for _name, _shipped in SHIPPED.items():
    register(_name, partial(shipped_net, name=_name), data=[_shipped.data])
register(
    "stacked-digits",
    partial(stacked_net, name="stacked-digits", data="stacked-mnist"),
    data=["stacked-mnist"],
)
register("inception", inception_net)
register("random", random_net)
