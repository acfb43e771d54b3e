"""`zerosum evaluate`: from what a user names, a run or a path, to figures."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from zerosum import data
from zerosum.config import parse_size
from zerosum.data.idx import is_idx_folder
from zerosum.errors import UserError
from zerosum.metrics.evaluate import Result, Subject, evaluate
from zerosum.metrics.features import Answer, FeatureNet, feature_net, net_for_data
from zerosum.metrics.figures import LEAST_IMAGES, choose
from zerosum.reporting.neighbours import judge_copies, save_sheet
from zerosum.run import Run
from zerosum.seeds import stream_seed
from zerosum.training.machine import choose_device, tuned_processor
from zerosum.training.run_directory import RunDirectory

PACE_SECONDS = 30


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
    neighbours: Path | None = None


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
        net = telling_pace(feature_net(net_name, device=choose_device("auto")), notice)
        names = choose([name for name in question.metrics.split(",") if name], net)
        reals = reference.load(question.split)
        fakes = samples(question, run, len(reals.images))
        count = agreed_count(question, min(len(fakes.images), len(reals.images)), notice)
        fake = draw(fakes, count, "samples", question.seed)
        real, others = draw_reals(reference, reals, question, count)
        results = evaluate(fake, real, net=net, names=names, seed=question.seed, others=others)
        if question.neighbours is not None:
            results |= copies(question, reference, fake, net, notice)
    for name, result in results.items():
        if warning := result.card["warning"]:
            notice(f"Do not rely on {name}: {warning}")
    return results


def copies(
    question: Question,
    reference: Reference,
    fake: Subject,
    net: FeatureNet,
    notice: Callable[[str], None],
) -> dict[str, Result]:
    """Judge whether samples are copies of the train split, and write the picture of pairs.

    Raises:
        UserError: there are no held-out images to compare with.
    """
    assert question.neighbours is not None
    if not reference.has_splits:
        raise UserError(
            f"'{reference.source}' has no test split, and without images that were held out of the "
            "training nearest neighbours prove nothing. Name a --reference with both splits, or "
            "leave --neighbours out."
        )
    training, held_out = reference.load("train"), reference.load("test")
    results, sheet = judge_copies(fake, training, held_out, net=net, seed=question.seed)
    if sheet is None:
        notice("The samples differ in shape from the training images: no pixels were compared.")
    else:
        save_sheet(sheet, question.neighbours)
        notice(f"Wrote {question.neighbours}: samples, each with its nearest training image.")
    return results


def telling_pace(net: FeatureNet, notice: Callable[[str], None]) -> FeatureNet:
    """A net that says now and then how far it is: Inception on a CPU takes its time."""
    began = said = time.monotonic()
    seen = 0

    def look(images: Tensor) -> Answer:
        nonlocal said, seen
        answer = net.look(images)
        seen += len(images)
        now = time.monotonic()
        if now - said >= PACE_SECONDS:
            said = now
            notice(f"{net.name} has seen {seen:,} images, {seen / (now - began):,.1f} a second.")
        return answer

    return replace(net, look=look)


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
