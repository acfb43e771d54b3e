"""Feature nets: what turns images into points of a space in which sets of them are compared.

`digits` is a small classifier that comes with zerosum, `inception` is the net of the published
FIDs, and `module:callable` is the user's own.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
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

Answer = tuple[Tensor, Tensor | None]
"""Features (b, d) and logits (b, k), or None where the net is no classifier."""


@dataclass(frozen=True, kw_only=True)
class FeatureNet:
    """A net, and all that has to be said of it beside a figure."""

    name: str
    sha256: str | None  # of the weights; None for a user's net, of which nothing is known
    resize: str  # how images are brought to the net's size
    classes: tuple[str, ...]  # the meaning of the logits; () when there are none
    look: Callable[[Tensor], Answer]  # at uint8 (b, c, h, w) on any device


@dataclass(frozen=True)
class Shipped:
    """A classifier that lies in `weights/`, made by `tools/train_classifier.py`."""

    data: str  # the name of the data set whose classes it knows
    sha256: str


SHIPPED = {
    "digits": Shipped("mnist", "e46733645ebebe228559d0d10763798c1535cb34b599d86971e16426bf960447"),
}
NAMES = (*SHIPPED, "inception")
WEIGHTS = Path(__file__).parent / "weights"


def feature_net(name: str, *, device: torch.device) -> FeatureNet:
    """Load a net by its name, or import a user's `module:callable`.

    Raises:
        UserError: there is no such net, or its weights are not on this machine, or are others.
    """
    if name in SHIPPED:
        return shipped_net(name, device)
    if name == "inception":
        return inception_net(device)
    if ":" in name:
        return users_net(name, device)
    raise unknown_name("feature net", name, NAMES)


def net_for_data(name: str) -> str:
    """Choose the net for a data set: the one that knows its classes, or else Inception.

    Raises:
        UserError: it would be Inception, whose weights are not on this machine.
    """
    for net, shipped in SHIPPED.items():
        if shipped.data == name:
            return net
    if inception.locate() is None:
        raise UserError(
            f"There is no feature net of its own for '{name}'. {inception.HOW_TO_GET} Or choose "
            f"another with --features: {', '.join(SHIPPED)}, or your own as module:callable."
        )
    return "inception"


def shipped_net(name: str, device: torch.device) -> FeatureNet:
    """Load a classifier that came with the package."""
    path = WEIGHTS / f"{name}.safetensors"
    content = checked(path, SHIPPED[name].sha256, "Install zerosum again.")
    net = Classifier()
    # What is missing is counters of batches, which serve only training.
    net.load_state_dict(safetensors.torch.load(content), strict=False)
    # Convolutions are nearly twice as fast on a CPU when the channels come last.
    net.to(device).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def look(images: Tensor) -> Answer:
        gray = to_float(with_channels(images, 1))
        if gray.shape[2:] != (SIDE, SIDE):
            gray = torch.nn.functional.interpolate(
                gray, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False
            )
        features, logits = net(gray.to(device, memory_format=torch.channels_last))
        return features, logits

    return FeatureNet(
        name=name,
        sha256=SHIPPED[name].sha256,
        resize=f"to gray, antialiased bilinear to {SIDE}×{SIDE} where the size differs",
        classes=DATASETS[SHIPPED[name].data].classes,
        look=look,
    )


def inception_net(device: torch.device) -> FeatureNet:
    """Load the FID network, gray tiled to RGB; its TorchScript holds no logits."""
    path = inception.locate()
    if path is None:
        raise UserError(inception.HOW_TO_GET)
    net = inception.load(checked(path, inception.SHA256, inception.HOW_TO_GET), device)

    def look(images: Tensor) -> Answer:
        return net(inception.prepare(with_channels(images, 3).to(device))), None

    return FeatureNet(
        name="inception", sha256=inception.SHA256, resize=inception.RESIZE, classes=(), look=look
    )


def users_net(name: str, device: torch.device) -> FeatureNet:
    """Import a function from uint8 (b, c, h, w) on the device to features (b, d)."""
    module, _, attribute = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"The feature net '{name}' cannot be imported: {error}. Expected module:callable, of a "
            "module that is installed or on PYTHONPATH."
        ) from error

    def look(images: Tensor) -> Answer:
        features = function(images.to(device))
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


def checked(path: Path, sha256: str, advice: str) -> bytes:
    """Read a file of weights, whole, and make sure that it is the right one before it is used.

    Raises:
        UserError: it cannot be read, or is another.
    """
    try:
        content = path.read_bytes()
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
