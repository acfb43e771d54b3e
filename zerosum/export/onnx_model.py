"""Any generator as an ONNX file: one file, any batch, any multiple of a translator's sides.

Dropout that is noise becomes an input of its own, `noise_0` and so on: inside the file, runtimes
would optimize it away. Height and width are declared in the net's multiples, because the padding
in front of it would be baked in. Traces of the source code, with paths of this machine, are cut.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from zerosum.data.spec import DataSpec
from zerosum.errors import UserError, pip_install
from zerosum.game.sampling import Generator
from zerosum.inference.description import Description, NoiseInput
from zerosum.inference.exported import METADATA, OUTPUT
from zerosum.nets import unet
from zerosum.nets.layers import plain

OPSET = 20


LARGEST = 2**31 - 2**20
"""Bytes of a file: what protobuf can hold, less what is not weights."""


class GivenNoise(nn.Module):
    """In place of the noise of a net: each call takes the next of the masks that were given."""

    def __init__(self, masks: list[Tensor]) -> None:
        super().__init__()
        self.masks = masks

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (b, c, h, w) -> maps (b, c, h, w)."""
        return maps * self.masks.pop(0)


class Probe(nn.Module):
    """In place of the noise of a net: lets maps through and remembers their shapes."""

    def __init__(self, shapes: list[torch.Size]) -> None:
        super().__init__()
        self.shapes = shapes

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (b, c, h, w) -> the same maps."""
        self.shapes.append(maps.shape)
        return maps


class GivenItsNoise(nn.Module):
    """A net that translates, and takes its noise as inputs behind the images."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self._masks: list[Tensor] = []
        self.net = replace_noise(net, lambda _: GivenNoise(self._masks))

    def forward(self, images: Tensor, *masks: Tensor) -> Tensor:
        """Images (b, c, h, w) in [-1, 1], sides in multiples -> images (b, c, h, w)."""
        self._masks.extend(masks)
        output: Tensor = self.net(images)
        return output


def to_onnx(G: Generator, spec: DataSpec, *, data: str = "", half: bool = False) -> bytes:
    """Turn a generator into an ONNX file, which holds its `Description` as metadata.

    Args:
        G: as `Run.generator` gives it.
        spec: the form of the run's data.
        data: its name, of which the file then tells.
        half: keep weights, but for vectors, as float16; they are computed with as float32. It
            halves the file.

    Returns:
        The file. Its inputs are `Description.input_names`, its output is "output".

    Raises:
        UserError: a package is missing, the net cannot be exported, or the file would be too large.
    """
    require_size(G)
    G = rounded(G) if half else G
    description = describe(G, spec, data=data)
    net, examples, shapes = traceable(G, description)
    onnx = require_onnx()
    model = converted(net, examples, shapes, description.input_names)
    if half:
        halve_weights(model)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA, json.dumps(description.to_json())
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def converted(
    net: nn.Module, examples: tuple[Tensor, ...], shapes: Any, names: Sequence[str]
) -> Any:
    """Turn a module into an ONNX model that tells nothing of this machine.

    Args:
        net: the module.
        examples: of its inputs, in batches of more than 1.
        shapes: which of their sides are free, as `torch.export` takes it.
        names: of its inputs.

    Raises:
        UserError: it cannot be exported.
    """
    try:
        with quiet():
            program = torch.onnx.export(
                net,
                examples,
                dynamo=True,
                external_data=False,
                dynamic_shapes=shapes,
                input_names=list(names),
                output_names=[OUTPUT],
                opset_version=OPSET,
                verbose=False,
            )
    except Exception as error:
        if not isinstance(error, torch.onnx.errors.OnnxExporterError | RuntimeError | ValueError):
            raise
        reason = next(iter(str(error.__cause__ or error).strip().splitlines()), "")
        raise UserError(
            f"This net cannot be exported to ONNX: {type(error).__name__}: {reason:.300}. Nets of "
            "zerosum's can; in one of your own, avoid what depends on the values or on the size "
            "of the batch."
        ) from error
    assert program is not None
    model = program.model_proto
    strip(model)
    return model


def describe(G: Generator, spec: DataSpec, *, data: str = "") -> Description:
    """Say what a generator takes and makes.

    Args:
        G: as `Run.generator` gives it, of either way.
        spec: the form of the run's data.
        data: its name.
    """
    _, height, width = spec.shape
    by_kind = {each.kind: each.shape[0] or 0 for each in G.inputs}
    source = by_kind.get("image", 0)
    if not source:
        return Description(
            data=data,
            channels=spec.shape[0],
            image_size=(height, width),
            latent_size=by_kind["latent"],
            classes=spec.classes if by_kind.get("class") else (),
        )
    multiple = int(getattr(G.net, "multiple", 1))
    return Description(
        data=data,
        channels=spec.shape[0] - source,
        image_size=(height, width),
        source_channels=source,
        multiple=multiple,
        least_side=int(getattr(G.net, "least_side", multiple)),
        noise=find_noise(G.net, source, 2 * multiple),
    )


def find_noise(net: nn.Module, channels: int, side: int) -> tuple[NoiseInput, ...]:
    """Find the noise in a net that translates.

    Args:
        net: G.
        channels: of its images.
        side: of images to try it with, which need no padding.
    """
    keeps = [1 - each.probability for each in net.modules() if isinstance(each, unet.Dropout)]
    if not keeps:
        return ()
    shapes: list[torch.Size] = []
    probed = replace_noise(plain(net).cpu(), lambda _: Probe(shapes))
    with torch.no_grad():
        probed(torch.zeros(1, channels, side, side))
    return tuple(
        NoiseInput(name=f"noise_{index}", channels=shape[1], divisor=side // shape[2], keep=keep)
        for index, (shape, keep) in enumerate(zip(shapes, keeps, strict=True))
    )


def replace_noise(net: nn.Module, make: Callable[[unet.Dropout], nn.Module]) -> nn.Module:
    """Put what is made of it in the place of each noise of a net, in place."""
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, unet.Dropout):
                setattr(parent, name, make(child))
    return net


def traceable(
    G: Generator, description: Description
) -> tuple[nn.Module, tuple[Tensor, ...], dict[str, Any]]:
    """What the exporter follows: a module, examples of its inputs, and which sides are free."""
    batch = torch.export.Dim("batch")
    if not description.source_channels:
        sizes = [each.shape[0] or 0 for each in description.inputs]
        net: nn.Module = Generator(plain(G.net).cpu(), G.inputs).eval()
        examples = tuple(torch.zeros(2, size) for size in sizes)
        return net, examples, {"inputs": tuple({0: batch} for _ in sizes)}
    # A multiple times a free number; torch takes an example of 1 for a constant.
    rows, columns = torch.export.Dim("rows"), torch.export.Dim("columns")
    multiple = description.multiple
    num_rows = max(description.least_side // multiple, 2)
    num_columns = num_rows + 1

    def sides(divisor: int) -> dict[int, Any]:
        times = multiple // divisor
        return {0: batch, 2: scaled(rows, times), 3: scaled(columns, times)}

    def example(channels: int, divisor: int) -> Tensor:
        times = multiple // divisor
        return torch.zeros(2, channels, num_rows * times, num_columns * times)

    images = example(description.source_channels, 1)
    masks = tuple(example(each.channels, each.divisor) for each in description.noise)
    shapes: dict[str, Any] = {"images": sides(1)}
    if masks:
        shapes["masks"] = tuple(sides(each.divisor) for each in description.noise)
    return GivenItsNoise(plain(G.net).cpu()).eval(), (images, *masks), shapes


def scaled(side: Any, times: int) -> Any:
    """A free side times a number; torch refuses a product with 1."""
    return side if times == 1 else times * side


def require_onnx() -> Any:
    """Import onnx.

    Raises:
        UserError: it, or what torch needs to write it, is not installed.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401  # what is written is tried with it
        import onnxscript  # noqa: F401  # torch's exporter needs it
    except ImportError as error:
        raise UserError(
            f"Writing ONNX needs packages that are not installed ({error}). Install them: "
            f"{pip_install('export')}."
        ) from None
    return onnx


def require_size(G: nn.Module) -> None:
    """Refuse weights that no ONNX file of one piece can hold.

    Raises:
        UserError: they are too many.
    """
    num_bytes = sum(each.numel() * each.element_size() for each in G.state_dict().values())
    if num_bytes > LARGEST:
        raise UserError(
            f"The weights of this generator take {num_bytes / 2**30:.1f} GiB, and one ONNX file "
            "holds 2 GiB at most. Train with a smaller --width."
        )


def strip(model: Any) -> None:
    """Remove from a model what only its making left in it: stack traces, paths, remarks."""
    parts = [model, model.graph, *model.functions, *model.graph.node]
    parts += [*model.graph.input, *model.graph.output, *model.graph.initializer]
    for part in parts:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    model.graph.ClearField("value_info")
    model.graph.name = "generator"


def rounded(G: Generator) -> Generator:
    """A copy whose weights, but for vectors, have been to float16 and back."""
    net = plain(G.net)
    with torch.no_grad():
        for tensor in net.state_dict().values():
            if tensor.is_floating_point() and tensor.ndim >= 2:
                tensor.copy_(tensor.half().float())
    return Generator(net, G.inputs).eval()


def halve_weights(model: Any) -> None:
    """Keep as float16, with a cast behind it, what loses nothing by it: weights that are rounded.

    Vectors, as norms have them, are not; nor is what the exporter has computed of several.
    """
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        name, whole = tensor.name, numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            halved = whole.astype(np.float16)
        if (halved.astype(np.float32) == whole).all():
            tensor.CopyFrom(numpy_helper.from_array(halved, f"{name}_half"))
            casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    model.graph.ClearField("node")
    model.graph.node.extend(nodes)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporter's remarks from the user; what matters is checked afterwards."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logger.setLevel(before)
