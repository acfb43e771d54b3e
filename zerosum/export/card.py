"""The model card of an exported generator: what it is, of what it came, how to use it.

Names of data and classes come from anywhere: in Markdown they are escaped, in the front matter they
are JSON, which is YAML too.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from zerosum._version import __version__
from zerosum.callbacks.console import in_words
from zerosum.data.catalog import DATASETS
from zerosum.data.images import safe_name
from zerosum.data.names import printable
from zerosum.errors import and_more
from zerosum.export.parity import Parity
from zerosum.hardware import device_name
from zerosum.inference.description import Description
from zerosum.inference.exported import ONNX, WEIGHTS
from zerosum.inference.run import Run
from zerosum.metrics.registry import METRICS
from zerosum.recipes.saved import command_of
from zerosum.training.saved_config import restarts_of

SHOWN_CLASSES = 20


def data_name(data: str) -> str:
    """What the data are called where their place on this machine must not be told."""
    return data if data in DATASETS else safe_name(Path(data)) if data else ""


def escaped(text: str) -> str:
    """A text as plain words of Markdown, whatever is in it."""
    marks = re.sub(r"([\\`*_{}\[\]()<>|~&@$])", r"\\\1", printable(text))
    return marks.replace("://", r"\://").replace(
        "www.", r"www\."
    )  # which become links by themselves


def recipe_name(recipe: str) -> str:
    """What a recipe is called where the place of a user's own must not be told: FILE.py:NAME."""
    module, colon, attribute = recipe.rpartition(":")
    return f"{Path(module).name}{colon}{attribute}" if colon else recipe


def told_command(run: Run) -> str:
    """The command that trained a run, with names in place of the paths of this machine."""
    saved = run.directory.read_config()
    told: dict[str, Any] = {"recipe": recipe_name(run.recipe)}
    if source := (saved.get("started_from") or {}).get("run"):
        told["started_from"] = {"run": Path(str(source)).name}
    settings, defaults = run.config, run.usual_settings()
    if count := saved.get("num_images"):
        settings = settings.unsettled(settings.budget(count))
    named = {"data": data_name(settings.data), "device": defaults.device}
    return printable(command_of(told, settings.model_copy(update=named), defaults)).replace("`", "")


def record_at(run: Run, seen: int) -> Mapping[str, Any]:
    """What the log says of a checkpoint, {} where it says nothing."""
    return next((record for record in reversed(run.log()) if record.get("seen") == seen), {})


def write_card(
    run: Run,
    about: Description,
    parity: Parity,
    *,
    seen: int,
    ema: bool,
    half: bool,
    reverse: bool,
    pictured: bool,
    source: bool,
) -> str:
    """Write the card, Markdown with front matter as the hub reads it.

    Args:
        run: that was exported.
        about: what G takes and makes.
        parity: how far the file is from torch.
        seen: images that G had seen in training.
        ema: whether these are the averaged weights.
        half: whether they were rounded.
        reverse: whether it translates from target to source.
        pictured: whether there is a picture, samples.png.
        source: whether there is a model.py.
    """
    translates = bool(about.source_channels)
    front = {
        "library_name": "zerosum",
        "pipeline_tag": "image-to-image" if translates else "unconditional-image-generation",
        "tags": ["gan", "onnx", "pytorch", "safetensors"],
    }
    if about.are_points:
        del front["pipeline_tag"]
    recipe = escaped(recipe_name(run.recipe))
    data = data_name(run.data)
    lines = [
        "---",
        json.dumps(front, indent=2, ensure_ascii=True),
        "---",
        "",
        f"# {recipe} trained on {escaped(data) or 'images'}",
        "",
        *what_it_is(run, about, reverse=reverse),
        "",
    ]
    if pictured:
        lines += ["![Samples](samples.png)", ""]
    lines += usage(about, source=source)
    lines += ["## Data", "", *of_data(run), ""]
    lines += ["## Training", "", "````sh", told_command(run), "````", ""]
    lines += of_training(run, seen=seen, ema=ema)
    lines += ["", "## Quality", "", *of_quality(run, seen, ema=ema, half=half), ""]
    lines += ["## This export", "", *of_export(parity, half=half), ""]
    return "\n".join(lines)


def what_it_is(run: Run, about: Description, *, reverse: bool) -> list[str]:
    """What the generator takes and makes, in sentences."""
    height, width = about.image_size
    if about.are_points:
        made = "points in the plane"
    else:
        made = f"images of {height}×{width} pixels, {about.channels} channel"
        made += "s" * (about.channels != 1)
    if not about.source_channels:
        given = f"{about.latent_size} numbers of N(0, 1)"
        if about.classes:
            names = [escaped(name) for name in about.classes]
            given += f" and one of {len(names)} classes: {and_more(names, SHOWN_CLASSES)}"
        return [f"A generator of a GAN. It makes {made}, of {given}."]
    way = "back, from target to source" if reverse else "from source to target"
    lines = [
        f"A generator of a GAN that translates images, {way}. It was trained on images of "
        f"{height}×{width} pixels, and takes {about.source_channels} "
        f"channel{'s' * (about.source_channels != 1)}, any size whose "
        f"sides are multiples of {about.multiple} (at least {about.least_side})."
    ]
    if about.noise:
        lines.append(
            "Its noise is dropout. In the ONNX file the masks are inputs: "
            + ", ".join(
                f"{each.name} (batch, {each.channels}, height/{each.divisor}, width/{each.divisor})"
                for each in about.noise
            )
            + f"; each entry is {1 / about.noise[0].keep:g} with probability "
            f"{about.noise[0].keep:g}, else 0."
        )
    return lines


def usage(about: Description, *, source: bool) -> list[str]:
    """How to use it."""
    command = "translate" if about.source_channels else "sample"
    rest = "image.png" if about.source_channels else "-n 64"
    lines = ["## Use", "", "With zerosum:", "", "```sh", f"zerosum {command} {ONNX} {rest}"]
    lines += ["```", ""]
    if source:
        lines += [
            "With PyTorch and safetensors alone; `model.py` holds the net:",
            "",
            "```python",
            *example_of_source(about).splitlines(),
            "```",
            "",
        ]
    lines += ["With onnxruntime:", "", "```python", *example_of_onnx(about).splitlines(), "```", ""]
    return lines


def example_of_source(about: Description) -> str:
    """How `model.py` is used, as Python."""
    lines = ["import torch", "from model import load", "", "G = load()"]
    if about.source_channels:
        height, width = about.image_size
        lines += [f"images = torch.zeros(1, {about.source_channels}, {height}, {width})  # [-1, 1]"]
        call = "G(images)"
    else:
        lines += [f"z = torch.randn(16, {about.latent_size})"]
        count = len(about.classes)
        lines += [
            f"classes = torch.eye({count})[torch.arange(16) % {count}]  # a one-hot row each"
            if count
            else "classes = z[:, :0]  # this G is told no class"
        ]
        call = "G(z, classes)"
    return "\n".join(
        [*lines, "with torch.no_grad():", f"    output = {call}  # (b, c, h, w), about [-1, 1]"]
    )


def example_of_onnx(about: Description) -> str:
    """How the ONNX file is used, as Python."""
    lines = ["import numpy as np", "import onnxruntime", ""]
    lines += [f'session = onnxruntime.InferenceSession("{ONNX}")', "rng = np.random.default_rng(0)"]
    lines += ["inputs = {"]
    if about.source_channels:
        side = [-(-each // about.multiple) * about.multiple for each in about.image_size]
        side = [max(each, about.least_side) for each in side]
        shape = f"1, {about.source_channels}, {side[0]}, {side[1]}"
        lines += [f'    "images": np.zeros(({shape}), np.float32),  # in [-1, 1]']
        for each in about.noise:
            shape = f"1, {each.channels}, {side[0] // each.divisor}, {side[1] // each.divisor}"
            drawn = f"(rng.random(({shape})) < {each.keep:g}) / {each.keep:g}"
            lines += [f'    "{each.name}": ({drawn}).astype(np.float32),']
    else:
        lines += [f'    "z": rng.standard_normal((16, {about.latent_size})).astype(np.float32),']
        count = len(about.classes)
        if count:
            lines += [f'    "classes": np.eye({count}, dtype=np.float32)[np.arange(16) % {count}],']
    lines += ["}", "(output,) = session.run(None, inputs)  # (b, c, h, w), about [-1, 1]"]
    if not about.are_points:
        lines += ["pixels = (output * 127.5 + 127.5).round().clip(0, 255).astype(np.uint8)"]
    return "\n".join(lines)


def of_data(run: Run) -> list[str]:
    """What it was trained on."""
    saved = run.directory.read_config()
    name = data_name(run.data)
    shape = "×".join(map(str, run.image_shape))
    lines = [f"- {escaped(name) or 'images'}: {saved.get('num_images', 'unknown')} of {shape}"]
    if run.data in DATASETS:
        lines += [f"- licence of the data: {DATASETS[run.data].licence}"]
    else:
        lines += ["- licence of the data: not known to zerosum; whoever trained it has to say"]
    if digest := saved.get("data_sha256"):
        lines += [f"- sha256 of the pixels: `{re.sub('[^0-9a-f]', '', str(digest))}`"]
    return lines


def of_training(run: Run, *, seen: int, ema: bool) -> list[str]:
    """How it was trained."""
    record = record_at(run, seen)
    saved = run.directory.read_config()
    lines = [
        f"- checkpoint after {seen:,} images, "
        + (
            "the moving average of G's weights"
            if ema and run.config.ema_half_life
            else "G's own weights of the last step"
        )
    ]
    if "seconds" in record:
        pace = (
            f", {record['images_per_second']:,g} images/s"
            if record.get("images_per_second")
            else ""
        )
        lines += [f"- {record['seconds']:,.0f} s of training{pace}"]
    lines += [f"- zerosum {escaped(str(saved.get('zerosum', 'unknown')))}{trained_on(saved)}"]
    lines += [
        f"- restarted: {escaped(each['verdict'])} at {each['at']:,} images, back to "
        f"{each['back_to']:,} with other random numbers of seed {each['seed']}"
        for each in restarts_of(saved)
    ]
    return lines


def trained_on(saved: Mapping[str, Any]) -> str:
    """On which machine a run was trained last, in words that follow; "" of older runs."""
    machine = saved.get("machine")
    if not isinstance(machine, Mapping):
        return ""
    return "".join(f", {escaped(str(name))} {escaped(str(is_))}" for name, is_ in machine.items())


def of_quality(run: Run, seen: int, *, ema: bool, half: bool) -> list[str]:
    """Metrics and the verdict of the training at this checkpoint."""
    record = record_at(run, seen)
    metrics = record.get("metrics") or {}
    lines = []
    if metrics:
        lines += ["| metric | value | better |", "|---|---|---|"]
        for name, value in metrics.items():
            known = METRICS.get(str(name).removeprefix("val_"))
            better = known.better if known else "lower"
            lines += [f"| {escaped(str(name))} | {value:.5g} | {better} |"]
        lines += [
            "",
            "Measured in training, by zerosum's cheap evaluation; compare them only with others of "
            "the same kind. `zerosum evaluate RUN` gives published metrics, each with a card.",
        ]
        if not ema and run.config.ema_half_life:
            lines += ["", "They are of the moving average of G's weights, not of these."]
        if half:
            lines += ["", "They are of the weights before these were rounded to float16."]
    else:
        lines += ["Nothing was evaluated at this checkpoint."]
    health = record.get("health")
    if isinstance(health, Mapping) and "verdict" in health:
        lines += ["", f"Verdict on the training: {escaped(in_words({'why': '', **health}))}"]
    return lines


def of_export(parity: Parity, *, half: bool) -> list[str]:
    """How it was exported, and how exact that is."""
    sizes = " and ".join(f"{height}×{width}" for height, width in parity.sizes)
    tried = f"batches of {', '.join(map(str, parity.batches))}" + (f", at {sizes}" if sizes else "")
    lines = [
        f"- by zerosum {__version__}, torch {torch.__version__}, on {platform.system()}, "
        f"{escaped(device_name(torch.device('cpu')))}",
        f"- {ONNX} against PyTorch: the largest difference of an entry was {parity.worst:.2g} on a "
        f"scale from -1 to 1 ({tried}; noise on)",
    ]
    if half:
        lines += [
            f"- the weights, but for vectors, are float16 in {ONNX} and {WEIGHTS}: that changed an "
            f"entry by up to {parity.rounding:.2g}"
        ]
    return lines
