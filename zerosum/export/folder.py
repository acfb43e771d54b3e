"""`zerosum export`: a run's generator as a folder that other programs, people and the hub can read.

The folder is there whole, checked and with the sha256 of each file, or not at all.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import nn

from zerosum._version import __version__
from zerosum.data.arrays import Pixels
from zerosum.errors import UserError
from zerosum.export.card import data_name, example_of_source, recipe_name, write_card
from zerosum.export.examples import example_sources
from zerosum.export.onnx_model import describe, require_onnx, require_size, rounded, to_onnx
from zerosum.export.parity import (
    Parity,
    difference,
    measure_parity,
    noisily,
    tried_inputs,
    tried_sizes,
)
from zerosum.export.source import Call, is_ours, model_source, recorded_calls
from zerosum.files import WRITING, cannot_write
from zerosum.game.sampling import Generator
from zerosum.inference.description import Description
from zerosum.inference.exported import FACTS, ONNX, WEIGHTS, Exported
from zerosum.inference.run import Run, print_notice
from zerosum.inference.tiles import one_way
from zerosum.nets.layers import plain
from zerosum.plots.grids import as_colors, comfortable_scale, grid, save_sheet
from zerosum.recipes.own import is_own
from zerosum.tasks import task_on
from zerosum.tasks.generation import Generation
from zerosum.training.checkpoint import to_json

SOURCE, CARD, PICTURE = "model.py", "README.md", "samples.png"


@dataclass(frozen=True)
class Written:
    """What an export has written.

    Attributes:
        path: the folder.
        parity: how far its ONNX file is from torch.
    """

    path: Path
    parity: Parity


def export_run(
    run: Run,
    out: Path,
    *,
    checkpoint: str | int = "newest",
    ema: bool = True,
    half: bool = False,
    reverse: bool = False,
) -> Written:
    """Write a run's generator into a new folder.

    Args:
        run: whose generator.
        out: the folder, empty or not there yet.
        checkpoint: "newest", "best", or the images seen at one of those kept.
        ema: the moving average of G's weights, and not G's own of the last step.
        half: keep weights, but for vectors, as float16.
        reverse: of a run that learnt both ways, from target to source.

    Raises:
        UserError: the run has no such checkpoint or way, the folder is not empty or cannot be
            written, a package is missing, the net is too large or cannot be exported, or a file
            does not make what the run makes.
    """
    require_onnx()
    out = out.absolute()
    require_new_folder(out)
    seen = int(run.directory.checkpoints.load(checkpoint, print_notice).facts["progress"]["seen"])
    before = run.generator(checkpoint=seen, ema=ema, device="cpu", reverse=reverse)
    require_size(before)
    before = Generator(plain(before.net), before.inputs).eval()
    G = rounded(before) if half else before
    about = describe(G, run.spec, data=data_name(run.data))
    with writing_folder(out) as folder:
        (folder / ONNX).write_bytes(to_onnx(G, run.spec, data=about.data, half=half))
        parity = measure_parity(folder / ONNX, G, before, run.spec, about)
        (folder / WEIGHTS).write_bytes(
            safetensors.torch.save(weights_of(G.net, half=half), {"format": "pt"})
        )
        call = how_it_was_made(run, G.net, reverse=reverse)
        if call is not None:
            write_source(folder, call, G, run, about)
        pictured = write_picture(folder, run, about, reverse=reverse)
        card = write_card(
            run,
            about,
            parity,
            seen=seen,
            ema=ema,
            half=half,
            reverse=reverse,
            pictured=pictured,
            source=call is not None,
        )
        (folder / CARD).write_text(card, encoding="utf-8")
        facts = facts_of(run, about, parity, seen=seen, ema=ema, half=half, reverse=reverse)
        (folder / FACTS).write_bytes(to_json({**facts, "files": digests(folder)}))
        if not is_own(run.recipe):
            check_folder(folder, G, run, about)
    return Written(out, parity)


def require_new_folder(out: Path) -> None:
    """Refuse, before any work, a place where there is something.

    Raises:
        UserError: there is.
    """
    if out.suffix.lower() in (".onnx", ".safetensors", ".zip", ".json", ".py", ".html"):
        raise UserError(
            f"'{out.name}' is a file's name: an export is a folder, and its ONNX file is called "
            f"{ONNX} in there. Choose another name with --out."
        )
    try:
        if out == Path.cwd():
            raise UserError(
                "The export cannot take the place of the working folder. Choose the name of a "
                "folder with --out."
            )
        if out.is_dir() and not out.is_symlink() and not any(out.iterdir()):
            return
        if not os.path.lexists(out):
            return
    except OSError as error:
        raise cannot_write(out, error) from None
    what = "is not empty" if out.is_dir() else "is no folder"
    raise UserError(
        f"'{out}' {what}: an export is a folder of its own. Choose another with --out, or remove "
        "what is there."
    )


@contextmanager
def writing_folder(out: Path) -> Iterator[Path]:
    """Give a folder beside `out`, which takes its name once all is written.

    Raises:
        UserError: it cannot be written.
    """
    temporary = out.with_name(f".{out.name}.{os.getpid()}{WRITING}")
    try:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            temporary.mkdir()
            yield temporary
            if out.is_dir():
                out.rmdir()
            temporary.rename(out)
        except OSError as error:
            raise cannot_write(out, error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def weights_of(net: nn.Module, *, half: bool) -> dict[str, torch.Tensor]:
    """The tensors of a net by name; matrices and the like as float16 where they were rounded."""
    return {
        name: (tensor.half() if half and is_halved(tensor) else tensor).contiguous()
        for name, tensor in net.state_dict().items()
    }


def is_halved(tensor: torch.Tensor) -> bool:
    """Whether a tensor is kept as float16 in half precision."""
    return tensor.is_floating_point() and tensor.ndim >= 2


def how_it_was_made(run: Run, net: nn.Module, *, reverse: bool) -> Call | None:
    """Find how a run's net was made; None of a net whose source is the user's own."""
    if not is_ours(type(net)):
        return None
    meta = torch.device("meta")
    with recorded_calls(type(net)) as calls, meta:
        G = run.untrained(meta)
    translates = G.inputs[0].kind == "image"
    again = one_way(G.net, reverse=reverse, run="It") if translates else G.net
    return calls.get(id(again))


def write_source(folder: Path, call: Call, G: Generator, run: Run, about: Description) -> None:
    """Write `model.py`, and check that it makes what G makes.

    Raises:
        UserError: it does not.
    """
    recipe, data = recipe_name(run.recipe), about.data or "images"
    title = f"The generator of a GAN: zerosum's {recipe}, trained on {data}."
    text = model_source(call, title=title, usage=example_of_source(about), weights=WEIGHTS)
    (folder / SOURCE).write_text(text, encoding="utf-8")
    module = imported(folder / SOURCE)
    same = Generator(module.load(folder / WEIGHTS), G.inputs).eval()
    require_same(G, same, SOURCE, run, about)


def imported(path: Path) -> ModuleType:
    """Run a Python file that we have just written, under a name that hides no other module."""
    name = "zerosum_exported_model"
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    keeps = sys.dont_write_bytecode
    sys.modules[name], sys.dont_write_bytecode = module, True  # dataclasses look it up
    try:
        found.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = keeps
        del sys.modules[name]
    return module


def check_folder(folder: Path, G: Generator, run: Run, about: Description) -> None:
    """Open the folder as `zerosum.load` does, and check that it makes what G makes.

    Raises:
        UserError: it does not.
    """
    require_same(G, Exported(folder).generator(device="cpu"), WEIGHTS, run, about)


def require_same(G: Generator, other: Generator, name: str, run: Run, about: Description) -> None:
    """Check that two nets make the same images, bit by bit.

    Raises:
        UserError: they do not.
    """
    inputs = next(tried_inputs(G, run.spec, tried_sizes(about)))
    worst = difference(noisily(G, inputs, 0), noisily(other, inputs, 0))
    if worst != 0:
        raise UserError(
            f"{name} does not make what the run makes: its images differ by {worst:.2g}. Nothing "
            "was written. This is a fault of zerosum's: please report it with the run's recipe."
        )


def write_picture(folder: Path, run: Run, about: Description, *, reverse: bool) -> bool:
    """Write a picture of what the ONNX file makes; of a translator, sources above their results.

    Returns:
        Whether there is any: of a translator there is none where its data are gone.
    """
    if about.source_channels:
        examples = example_sources(run, reverse=reverse)
        if isinstance(examples, str):
            return False
        kind = "held-out" if examples.held_out else "training"
        print_notice(
            f"{PICTURE} shows {len(examples.images)} {kind} images of {data_name(run.data)}: "
            "remove it, if others must not see them."
        )
        made = Exported(folder / ONNX).translate(examples.images)
        rows = [in_rgb(images) for images in (examples.images, made)]
        count = len(examples.images)
        scale = comfortable_scale(*made.shape[1:3])
        save_sheet(grid(np.concatenate(rows), columns=count, scale=scale), folder / PICTURE)
        return True
    task = task_on(run.task, run.spec)
    count = task.pictured if isinstance(task, Generation) else 16
    samples = Exported(folder / ONNX).sample(count)
    save_sheet(task.presentation.picture(samples, data=run.data), folder / PICTURE)
    return True


def in_rgb(images: Pixels) -> Pixels:
    """Images (n, h, w, c) in three channels, so that sources and targets can stand together."""
    shown = as_colors(images)
    return np.repeat(shown, 3, axis=-1) if shown.shape[-1] == 1 else shown[..., :3]


def facts_of(
    run: Run,
    about: Description,
    parity: Parity,
    *,
    seen: int,
    ema: bool,
    half: bool,
    reverse: bool,
) -> dict[str, Any]:
    """What `generator.json` says, but for the files."""
    config = run.config.model_dump(mode="json")
    return {
        "zerosum": __version__,
        "generator": about.to_json(),
        "inputs": told_inputs(about),
        "output": {
            "name": "output",
            "shape": ["batch", about.channels, *told_sides(about, 1)],
            "range": [-1, 1],
        },
        "seen": seen,
        "ema": ema and run.config.ema_half_life > 0,
        "half": half,
        "reverse": reverse,
        "parity": parity.to_json(),
        "recipe": recipe_name(run.recipe),
        "config": {**config, "data": about.data},  # not where it lies on this machine
        "image_shape": list(run.image_shape),
        "classes": list(run.classes),
        "source_channels": run.source_channels,
    }


def told_sides(about: Description, divisor: int) -> list[Any]:
    """Height and width: numbers, or where any multiple will do, formulas."""
    if not about.source_channels:
        return list(about.image_size)
    return [side if divisor == 1 else f"{side} / {divisor}" for side in ("height", "width")]


def told_inputs(about: Description) -> list[dict[str, Any]]:
    """The inputs of the ONNX file, for people and programs that know nothing of zerosum."""
    found: list[dict[str, Any]] = []
    for each in about.inputs:
        told: dict[str, Any] = {"name": each.name, "type": "float32"}
        if each.kind == "latent":
            told |= {"shape": ["batch", about.latent_size], "drawn_from": "N(0, 1)"}
        elif each.kind == "class":
            told |= {
                "shape": ["batch", len(about.classes)],
                "range": [0, 1],
                "rows": "one-hot, or weights that add up to 1",
                "classes": list(about.classes),
            }
        else:
            told |= {
                "shape": ["batch", about.source_channels, "height", "width"],
                "range": [-1, 1],
                "multiple": about.multiple,
                "least_side": about.least_side,
            }
        found.append(told)
    for mask in about.noise:
        found.append(
            {
                "name": mask.name,
                "type": "float32",
                "shape": ["batch", mask.channels, *told_sides(about, mask.divisor)],
                "drawn_from": f"{1 / mask.keep:g} with probability {mask.keep:g}, else 0",
            }
        )
    return found


def digests(folder: Path) -> dict[str, dict[str, Any]]:
    """The bytes and the sha256 of each file."""
    found = {}
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        found[path.name] = {
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    return found
