"""A generator that `zerosum export` has written, opened again.

A folder, whose weights torch computes with, or a model.onnx alone, by onnxruntime.
Either may come from anybody. Nothing in it is run as code: `model.py` is for people. What is read
is held against what it says of itself before it is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from zerosum import reading
from zerosum.config.base import restore
from zerosum.data.spec import DataSpec
from zerosum.errors import UserError
from zerosum.game.core import GeneratorInput
from zerosum.game.sampling import Generator
from zerosum.inference.description import Description
from zerosum.inference.model import Model
from zerosum.inference.tiles import one_way
from zerosum.nets.layers import plain
from zerosum.nets.padding import cropped, padded
from zerosum.recipes import build_generator, get
from zerosum.recipes.own import is_own, load_own
from zerosum.recipes.table import Recipe

FACTS, WEIGHTS, ONNX = "generator.json", "model.safetensors", "model.onnx"
METADATA = "zerosum"
"""Under this name an ONNX file holds its `Description`, as JSON."""
OUTPUT = "output"
"""What the only output of an ONNX file is called."""

MOST_FACTS = 64 * 2**20
"""Bytes that are read of a `generator.json`."""

AGAIN = "Export the run again, or get the file again from where it came."


class Exported(Model):
    """An exported generator, which answers as a `Run` does.

    It has one set of weights: what it is asked for besides has to be the default.

    Attributes:
        path: the folder, or the .onnx file.
        description: what it takes and makes.
        facts: all that its `generator.json` says; {} of an .onnx file alone.
    """

    def __init__(self, path: Path | str, *, recipe: str | None = None) -> None:
        """Open it, and check that it is whole.

        Args:
            path: the folder, or the .onnx file.
            recipe: of a run of the user's own recipe, the module that holds it; its code is run.

        Raises:
            UserError: it is no such thing, is damaged, or needs what is not installed.
        """
        self.path = Path(path)
        self.facts: dict[str, Any] = {}
        self._net: nn.Module
        self._is_onnx = self.path.suffix.lower() == ".onnx"
        self.has_gradients = not self._is_onnx
        if self._is_onnx:
            if recipe is not None:
                raise UserError(f"'{self.path}' needs no recipe: leave out --recipe.")
            self._net = OnnxNet(self.path)
            self.description = self._net.description
        else:
            self.facts = read_facts(self.path / FACTS)
            self.description = described(self.facts, self.path / FACTS)
            self._net = build_net(self.path, self.facts, self.description, named=recipe)
        self.data = self.description.data
        self.classes = self.description.classes
        self.spec = self.description.spec

    def __repr__(self) -> str:
        return f"Exported({str(self.path)!r})"

    @property
    def task(self) -> str:
        """What its G does, a name of `zerosum.tasks.TASKS`."""
        return "translation" if self.description.source_channels else "generation"

    @property
    def inputs(self) -> tuple[GeneratorInput, ...]:
        """What its G takes."""
        return self.description.inputs

    def choose_device(self, name: str | torch.device) -> torch.device:
        """As `Model.choose_device`; an .onnx file is computed on the CPU."""
        if not self._is_onnx:
            return super().choose_device(name)
        if str(name) not in ("auto", "cpu"):
            raise UserError(
                f"'{self.path}' computes on the CPU: received --device {name}. Leave --device out, "
                f"or name the folder with its {WEIGHTS}, with which torch computes on any device."
            )
        return torch.device("cpu")

    def generator(
        self,
        *,
        checkpoint: str | int = "newest",
        ema: bool = True,
        device: str | torch.device = "auto",
        reverse: bool = False,
    ) -> Generator:
        """G alone, as a module for programs of your own; see `Run.generator`.

        Raises:
            UserError: anything but its only weights is asked for, or there is no such device.
        """
        asked = {
            f"--checkpoint {checkpoint}": str(checkpoint) != "newest",
            "--no-ema": not ema,
            "--reverse": reverse,
        }
        for flag, is_asked in asked.items():
            if is_asked:
                raise UserError(
                    f"'{self.path}' holds one set of weights, chosen when it was exported: "
                    f"received {flag}. Leave it out, or ask the run."
                )
        where = self.choose_device(device)
        return Generator(self._net.to(where), self.inputs).eval()


class OnnxNet(nn.Module):
    """A net whose forward onnxruntime computes, with the noise that torch would draw.

    Attributes:
        description: what it takes and makes.
        multiple: sides that are multiples of it need no padding.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._session, self.description = open_session(path)
        self.multiple = self.description.multiple

    def fingerprint(self) -> str:
        """The sha256 of the file."""
        return hashlib.sha256(read_bytes(self.path)).hexdigest()

    def forward(self, *inputs: Tensor) -> Tensor:
        """What G takes, in its order -> what G makes, float (b, channels, h, w)."""
        about = self.description
        given = list(inputs[: len(about.inputs)])  # not the empty condition of a G without classes
        size = about.image_size
        if about.source_channels:
            size = cast("tuple[int, int]", tuple(inputs[0].shape[2:]))
            given[0] = padded(given[0], about.multiple, least=about.least_side)
            count, _, height, width = given[0].shape
            for each in about.noise:  # in the order and by the calls of torch's own dropout
                shape = count, each.channels, height // each.divisor, width // each.divisor
                given.append(torch.empty(shape).bernoulli_(each.keep).div_(each.keep))
        arrays = {
            name: tensor.contiguous().numpy()
            for name, tensor in zip(about.input_names, given, strict=True)
        }
        try:
            (output,) = self._session.run([OUTPUT], arrays)
        except Exception as error:  # of many kinds, none of them public
            raise self._broken(str(error)) from None
        if not isinstance(output, np.ndarray) or output.dtype != np.float32 or output.ndim != 4:
            raise self._broken("its output is no float32 (b, c, h, w)")
        made = cropped(torch.from_numpy(output), size)
        if made.shape != (len(given[0]), about.channels, *size):
            raise self._broken(f"its output has the shape {tuple(output.shape)}")
        return made

    def _broken(self, reason: str) -> UserError:
        reason = " ".join(reason.split())
        return UserError(
            f"'{self.path}' does not do what it says: {reason[:200].rstrip('.')}. {AGAIN}"
        )


def open_session(path: Path) -> tuple[Any, Description]:
    """Open an .onnx file.

    Raises:
        UserError: onnxruntime is not installed, or the file is none of a generator.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(
            f"An .onnx file needs onnxruntime, which is not installed ({error}). Install it: pip "
            "install 'zerosum[export]'; or name a folder that zerosum export wrote, which does "
            "without."
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # what matters is raised
    content = read_bytes(path)
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        told = session.get_modelmeta().custom_metadata_map.get(METADATA)
        inputs = {each.name: (each.type, len(each.shape)) for each in session.get_inputs()}
        outputs = [each.name for each in session.get_outputs()]
    except Exception as error:  # of many kinds, none of them public
        reason = " ".join(str(error).split())
        raise UserError(
            f"'{path}' is no ONNX file that can be run: {reason[:200].rstrip('.')}. {AGAIN}"
        ) from None
    if told is None:
        raise UserError(
            f"'{path}' is an ONNX file of another program: it does not say what it takes. Expected "
            "one that zerosum export wrote."
        )
    try:
        description = Description.from_json(reading.parse_json(told))
    except ValueError as error:
        raise UserError(f"What '{path}' says of itself is damaged: {error}. {AGAIN}") from None
    expected = {each.name: ("tensor(float)", 1 + len(each.shape)) for each in description.inputs}
    expected |= {each.name: ("tensor(float)", 4) for each in description.noise}
    if inputs != expected or outputs != [OUTPUT]:
        raise UserError(
            f"'{path}' takes {', '.join(inputs)} and gives {', '.join(outputs)}, but says that it "
            f"takes {', '.join(expected)} and gives {OUTPUT}. {AGAIN}"
        )
    return session, description


def read_bytes(path: Path) -> bytes:
    """Read a file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return reading.read_bytes(path)
    except OSError as error:
        raise UserError(
            f"'{path}' cannot be read: {error.strerror or error}. Expected a folder that zerosum "
            f"export wrote, or its {ONNX}."
        ) from None


def read_facts(path: Path) -> dict[str, Any]:
    """Read a `generator.json`.

    Raises:
        UserError: it is none.
    """
    content = read_bytes(path)
    try:
        if len(content) > MOST_FACTS:
            raise ValueError(f"it has {len(content):,} bytes")
        facts = reading.parse_json(content)
    except ValueError as error:
        raise UserError(f"'{path}' is damaged: {error}. {AGAIN}") from None
    if not isinstance(facts, dict):
        raise UserError(f"'{path}' is damaged: it is no JSON object. {AGAIN}")
    return facts


def described(facts: Mapping[str, Any], path: Path) -> Description:
    """Take the description out of a `generator.json`.

    Raises:
        UserError: it is none.
    """
    try:
        return Description.from_json(facts.get("generator"))
    except ValueError as error:
        raise UserError(f"'{path}' is not as zerosum export writes it: {error}. {AGAIN}") from None


def verified(path: Path, facts: Mapping[str, Any]) -> bytes:
    """Read a file that must have the size and sha256 that `generator.json` says.

    Raises:
        UserError: it has not, or nothing is said.
    """
    files = facts.get("files")
    expected = files.get(path.name) if isinstance(files, Mapping) else None
    if not isinstance(expected, Mapping):
        raise UserError(f"'{path.parent / FACTS}' does not say what {path.name} is. {AGAIN}")
    content = read_bytes(path)
    if hashlib.sha256(content).hexdigest() != expected.get("sha256"):
        raise UserError(
            f"'{path}' is not the file that {FACTS} beside it tells of: its sha256 differs. {AGAIN}"
        )
    return content


def build_net(
    folder: Path, facts: Mapping[str, Any], about: Description, *, named: str | None
) -> nn.Module:
    """Make the net of an exported folder, on the CPU.

    It is made without memory for weights first, so that sizes that are not true cost nothing.

    Raises:
        UserError: the weights are not those of the net that is described, or its recipe is a
            user's own and has to be named.
    """
    recipe = find_recipe(folder, facts, named=named)
    weights = verified(folder / WEIGHTS, facts)
    try:
        config = restore(recipe.config, facts["config"])
        channels, height, width = facts["image_shape"]
        spec = DataSpec(
            shape=(int(channels), int(height), int(width)),
            classes=tuple(map(str, facts["classes"])),
            source_channels=int(facts["source_channels"]),
        )
        meta = torch.device("meta")
        with meta:
            G = build_generator(recipe, config, spec, device=meta)
        is_translator = G.inputs[0].kind == "image"
        reverse = facts.get("reverse") is True
        net = plain(one_way(G.net, reverse=reverse, run="It") if is_translator else G.net)
        told = replace(about, data="")
        if is_translator != bool(about.source_channels):
            raise ValueError("its settings are of another kind of net")
        if not is_translator and G.inputs != told.inputs:
            raise ValueError("its settings are of a net that takes something else")
        tensors = safetensors.torch.load(weights)
        net.load_state_dict(
            {
                name: each.float() if each.is_floating_point() else each
                for name, each in tensors.items()
            },
            assign=True,
        )
    except (
        UserError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        RuntimeError,
        safetensors.SafetensorError,
        OverflowError,
        IndexError,
    ) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise UserError(
            f"The folder '{folder}' is not as zerosum export writes it: {reason:.300}. {AGAIN}"
        ) from None
    return net.requires_grad_(False).eval()


def find_recipe(folder: Path, facts: Mapping[str, Any], *, named: str | None) -> Recipe:
    """Find the recipe of an exported folder; a user's own is run only if it is named.

    Raises:
        UserError: nobody knows it, or it has to be named.
    """
    name = facts.get("recipe")
    if not isinstance(name, str):
        raise UserError(f"'{folder / FACTS}' names no recipe. {AGAIN}")
    if not is_own(name):
        if named is not None:
            raise UserError(f"'{folder}' is of the recipe '{name}': leave out --recipe.")
        return get(name)
    if named is None:
        raise UserError(
            f"'{folder}' is of somebody's own recipe, {name!r:.100}, whose code is not run because "
            f"a file says so. Name the module if you trust it, --recipe FILE.py:NAME, or use the "
            f"{ONNX} in the folder, which needs none."
        )
    return load_own(named)


def is_exported(path: Path) -> bool:
    """Whether a path is that of an exported generator, and not of a run."""
    return path.suffix.lower() == ".onnx" or (path / FACTS).is_file()
