"""`zerosum evaluate`: from what a user names to figures, and from figures to a table or JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from zerosum import data
from zerosum.config import parse_size
from zerosum.data.idx import is_idx_folder
from zerosum.errors import UserError
from zerosum.metrics.evaluate import Result, Subject, evaluate
from zerosum.metrics.features import feature_net, net_for_data
from zerosum.metrics.figures import LEAST_IMAGES, Value, choose
from zerosum.reporting.tables import table
from zerosum.run import Run
from zerosum.seeds import stream_seed
from zerosum.training.machine import choose_device, tuned_processor
from zerosum.training.run_directory import RunDirectory


@dataclass(frozen=True, kw_only=True)
class Question:
    """What the user wants to know; the flags of the command."""

    source: str
    reference: str | None = None
    split: str = "test"
    features: str | None = None
    count: int = 10_000
    metrics: str = ""
    seed: int = 0
    raw: bool = False
    checkpoint: str = "newest"


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Real images as they can be loaded, one split or the other."""

    source: str
    size: tuple[int, int] | None = None
    channels: int | None = None

    @property
    def has_splits(self) -> bool:
        """Whether train and test images differ."""
        return self.source in data.DATASETS or is_idx_folder(Path(self.source).expanduser())

    def load(self, split: str) -> Subject:
        """Load a split, or all there is of a source that has none."""
        loaded = data.load(self.source, split=split, size=self.size, channels=self.channels)
        split_name = split if self.has_splits else None
        return Subject(name=self.source, split=split_name, images=loaded.images)


def answer(question: Question, *, notice: Callable[[str], None]) -> dict[str, Result]:
    """Evaluate a run, a folder or a file.

    Args:
        question: what to evaluate, against what, by what.
        notice: told what the user should know besides.

    Raises:
        UserError: something named is not there or cannot be compared.
    """
    if question.count < LEAST_IMAGES:
        raise UserError(
            f"The number of images was {question.count}: expected at least {LEAST_IMAGES}, and "
            "thousands for figures to rely on."
        )
    run = Run(question.source) if is_run(question.source) else None
    reference = find_reference(question, run)
    net_name = question.features or net_for_data(reference.source)
    with tuned_processor():
        net = feature_net(net_name, device=choose_device("auto"))
        names = choose([name for name in question.metrics.split(",") if name], net)
        reals = reference.load(question.split)
        fakes = samples(question, run, len(reals.images))
        count = agreed_count(question, min(len(fakes.images), len(reals.images)), notice)
        fake = draw(fakes, count, "samples", question.seed)
        real, others = draw_reals(reference, reals, question, count)
        results = evaluate(fake, real, net=net, names=names, seed=question.seed, others=others)
    for name, result in results.items():
        if warning := result.card["warning"]:
            notice(f"Do not rely on {name}: {warning}")
    return results


def is_run(source: str) -> bool:
    """Whether a path is a run directory, and not a folder of images."""
    return RunDirectory(source).exists()


def find_reference(question: Question, run: Run | None) -> Reference:
    """Take the reference that was named, or else what the run was trained on.

    Raises:
        UserError: there is neither.
    """
    if question.reference is not None:
        return Reference(source=question.reference)
    if run is None:
        raise UserError(
            f"'{question.source}' is no run, so the real images to compare with are not known. "
            "Name them with --reference: a data set such as mnist, a folder or an .npz file."
        )
    settings = run.config
    size = parse_size(settings.size) if settings.size else None
    return Reference(source=settings.data, size=size, channels=settings.channels)


def agreed_count(question: Question, there: int, notice: Callable[[str], None]) -> int:
    """Choose how many images each side has: as many as asked for, but no more than are there.

    Raises:
        UserError: there are too few for any figure.
    """
    if there < LEAST_IMAGES:
        raise UserError(
            f"There are {there} images to compare: expected at least {LEAST_IMAGES} on either "
            "side, and thousands for figures to rely on."
        )
    if there < question.count:
        notice(f"Comparing {there:,} images on either side: there are no more.")
    return min(question.count, there)


def draw_reals(
    reference: Reference, reals: Subject, question: Question, count: int
) -> tuple[Subject, Subject | None]:
    """Choose the reference images, and as many other real ones for the floor, if there are any."""
    seed = question.seed
    real = draw(reals, count, "reference", seed)
    if not reference.has_splits:
        there = len(reals.images) >= 2 * count
        return real, draw(reals, count, "reference", seed, skip=count) if there else None
    try:
        others = reference.load("train" if question.split == "test" else "test")
    except UserError:  # a folder of IDX files may hold one split only
        return real, None
    there = len(others.images) >= count
    return real, draw(others, count, "floor", seed) if there else None


def samples(question: Question, run: Run | None, most: int) -> Subject:
    """Load the samples, or let the run make as many as were asked for but no more than `most`."""
    if run is None:
        images = data.load(question.source).images
        return Subject(name=question.source, split=None, images=images)
    pixels = run.sample(
        min(question.count, most),
        seed=question.seed,
        raw=question.raw,
        checkpoint=question.checkpoint,
    )
    weights = "G itself" if question.raw else "average of G"
    return Subject(
        name=f"{run.path} ({weights}, checkpoint {question.checkpoint})",
        split=None,
        images=torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(),
    )


def draw(whole: Subject, count: int, purpose: str, seed: int, *, skip: int = 0) -> Subject:
    """Choose images at random, in an order that purpose and seed decide, after `skip` others."""
    generator = torch.Generator().manual_seed(stream_seed("evaluate", purpose, seed))
    order = torch.randperm(len(whole.images), generator=generator)
    # In the set's own order, so that all of its images are the set, whatever the seed.
    chosen = order[skip : skip + count].sort().values
    return replace(whole, images=whole.images[chosen])


def results_json(results: dict[str, Result]) -> dict[str, Any]:
    """The results as `--json` prints them."""
    return {"metrics": {name: asdict(result) for name, result in results.items()}}


def results_table(results: dict[str, Result]) -> Table:
    """One row a figure, with the floor beside it; below, what all the cards have in common."""
    made = table("metric", "value", "spread", "real against real", "better")
    for name, result in results.items():
        card = result.card
        spread = "" if card["spread"] is None else f"± {shown(card['spread'])}"
        floor = "unknown" if card["floor"] is None else shown(card["floor"])
        made.add_row(name, shown(result.value), spread, floor, card["better"])
    made.caption = caption(card)
    made.caption_justify = "left"
    return made


def caption(card: dict[str, Any]) -> str:
    """The circumstances of all figures in a few lines."""
    fake, real, others = card["evaluated"], card["reference"], card["floor_of"]
    weights = (card["features_sha256"] or "unknown")[:12]
    lines = [
        f"{fake['n']:,} images of {fake['name']}",
        f"against {described(real)}, seed {card['seed']}",
        f"features: {card['features']} (sha256 {weights}), {card['resize']}",
        "real against real: "
        + (described(others) if others else "unknown, for want of as many other real images"),
    ]
    return "\n".join(lines)


def described(card: dict[str, Any]) -> str:
    """A set of real images in a few words."""
    split = f", split {card['split']}" if card["split"] else ""
    return f"{card['n']:,} images of {card['name']}{split}"


def shown(value: Value) -> str:
    """A figure for people: five digits, or a share in percent for each class."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {share:.1%}" for name, share in value.items())
    return f"{value:.5g}"
