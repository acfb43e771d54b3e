"""Pictures for a report that need the run's weights: samples per class, a walk through z, copies.

G computes on the CPU, from the best checkpoint or else the newest. The same run gives the same
pictures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from PIL import Image

from zerosum.data.arrays import Samples
from zerosum.data.images import to_array
from zerosum.data.store import in_memory, subset
from zerosum.errors import UserError
from zerosum.game.sampling import Generator, draw_inputs, generate
from zerosum.inference.run import Run
from zerosum.metrics.channels import with_channels
from zerosum.metrics.memorization import nearest
from zerosum.plots.grids import grid
from zerosum.recipes.saved import where_it_is
from zerosum.seeds import enter_stream, own_randomness
from zerosum.tasks import TASKS

CPU = torch.device("cpu")
MOST_CLASSES, PER_CLASS = 12, 8
WALKS, STEPS = 4, 10
PAIRS, JUDGED, MOST_SEARCHED = 12, 64, 20_000
CHEAP_SIDE = 64
"""Images up to this size are made at the end of every training; larger ones where asked."""
CHUNK = 16
"""Images made at a time, which bounds the memory."""


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """What was made of a run's weights; None where it does not apply.

    Attributes:
        checkpoint: images seen at the checkpoint that G is from.
        classes: a row a class, of the first `classes_shown` ones.
        classes_shown: how many.
        walk: a row a walk.
        neighbours: pairs of a sample and the training image nearest to it, the closest first.
    """

    checkpoint: int
    classes: Image.Image | None = None
    classes_shown: int = 0
    walk: Image.Image | None = None
    neighbours: Image.Image | None = None


def is_cheap(run: Run) -> bool:
    """Whether a CPU makes these pictures in no time, by the size of the images."""
    return max(run.image_shape[1:]) <= CHEAP_SIDE


def make_pictures(run: Run, *, neighbours: bool) -> Pictures | None:
    """Let G make what the report shows.

    Args:
        run: the run.
        neighbours: whether to look for the training images nearest to samples.

    Returns:
        The pictures, or None of a run that has no checkpoint yet, or whose G makes no images of
        noise.

    Raises:
        UserError: neighbours were asked for and cannot be found, or a checkpoint is damaged.
    """
    makes_images = run.task == "generation" and not run.spec.are_points
    if neighbours and not makes_images:
        raise UserError(
            f"--neighbours: the run '{run.path}' does not make images of noise, so none of its "
            "training images could be copied. Leave it out."
        )
    checkpoints = run.directory.checkpoints
    kept = checkpoints.seen()
    if not makes_images or not kept:
        return None
    best = checkpoints.best(kept)
    chosen = kept[-1] if best is None else best
    G = run.generator(checkpoint=chosen, device="cpu")
    with own_randomness(CPU):
        shown = min(len(run.classes), MOST_CLASSES) if len(G.inputs) > 1 else 0
        return Pictures(
            checkpoint=chosen,
            classes=class_rows(G, run.classes, shown) if shown else None,
            classes_shown=shown,
            walk=walks(G),
            neighbours=pairs(G, run) if neighbours else None,
        )


def class_rows(G: Generator, classes: tuple[str, ...], shown: int) -> Image.Image:
    """Draw a row of samples of each class, of the same z each."""
    rows: list[Samples] = []
    for number in range(shown):
        enter_stream(CPU, "report", "classes")
        inputs = draw_inputs(G.inputs, PER_CLASS, CPU, label=classes[number], names=classes)
        rows.append(to_array(generate(G, inputs)))
    return sheet(rows, columns=PER_CLASS)


def walks(G: Generator) -> Image.Image:
    """Draw walks from one z to another on their great circle, a row each; see `Run.interpolate`.

    Where G is told a class, each keeps its own.
    """
    enter_stream(CPU, "report", "walk")
    (a, *told), (b, *_) = (draw_inputs(G.inputs, WALKS, CPU) for _ in range(2))
    steps = []
    for step in range(STEPS):
        angle = math.pi * step / (STEPS - 1) / 2
        steps.append(generate(G, (math.cos(angle) * a + math.sin(angle) * b, *told)))
    return sheet([to_array(torch.stack(steps, dim=1).flatten(0, 1))], columns=STEPS)


def pairs(G: Generator, run: Run) -> Image.Image:
    """Draw samples beside the training images that are nearest in pixels, the closest first."""
    config = run.config.model_copy(update={"data": where_it_is(run.config.data, saved_of(run))})
    training = TASKS[run.task].load_split(config, "train")
    if training.fingerprint() != saved_of(run).get("data_sha256"):
        raise UserError(
            f"--neighbours: '{config.data}' is not what '{run.path}' was trained on: its sha256 is "
            "another. Put the old data there, or leave --neighbours out."
        )
    images = training.images
    if len(images) > MOST_SEARCHED:
        enter_stream(CPU, "report", "searched")
        images = subset(images, torch.randperm(len(images))[:MOST_SEARCHED])
    enter_stream(CPU, "report", "neighbours")
    inputs = draw_inputs(G.inputs, JUDGED, CPU)
    samples = torch.cat(
        [generate(G, chunk) for chunk in zip(*(torch.split(i, CHUNK) for i in inputs), strict=True)]
    )
    distances, found = nearest(samples, in_memory(images))
    order = distances.argsort(stable=True)[:PAIRS]
    both = torch.stack([samples[order], images[found[order]]], dim=1).flatten(0, 1)
    return sheet([to_array(both)], columns=6)


def saved_of(run: Run) -> dict[str, object]:
    """The run's config.json."""
    return run.directory.read_config()


def sheet(rows: list[Samples], *, columns: int) -> Image.Image:
    """Lay images out; of no alpha channel, since pages have a colour of their own."""
    images = torch.cat([torch.from_numpy(row) for row in rows]).permute(0, 3, 1, 2)
    if images.shape[1] == 4:
        images = with_channels(images, 3)
    return grid(images.permute(0, 2, 3, 1).numpy(), columns=columns)
