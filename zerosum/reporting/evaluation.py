"""`zerosum evaluate`: from what a user names, a run or a path, to figures."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from zerosum.data.catalog import DATASETS, mixture_of
from zerosum.errors import UserError
from zerosum.metrics import diversity, lpips
from zerosum.metrics.evaluate import Result, Subject, evaluate
from zerosum.metrics.features import Answer, FeatureNet, feature_net, net_for_data
from zerosum.metrics.figures import choose
from zerosum.metrics.inception import HOW_TO_GET
from zerosum.metrics.protocols import Terms, agree
from zerosum.reporting.neighbours import judge_copies, save_sheet
from zerosum.reporting.subjects import (
    Notice,
    Source,
    agreed_counts,
    draw,
    draw_others,
    make_samples,
    read_size,
)
from zerosum.run import Run
from zerosum.training.machine import choose_device, tuned_processor
from zerosum.training.run_directory import RunDirectory, no_run_here

PACE_SECONDS = 30
MOST_SEEDS = 2**32
MOST_SEARCHED = 20_000


@dataclass(frozen=True, kw_only=True)
class Question:
    """What the user wants to know; the flags of the command."""

    source: str
    reference: str | None = None
    protocol: str | None = None
    split: str | None = None
    features: str | None = None
    resize: str | None = None
    size: str | None = None
    channels: int | None = None
    count: int | None = None
    metrics: str = ""
    seed: int = 0
    raw: bool = False
    checkpoint: str = "newest"
    neighbours: Path | None = None


def answer(question: Question, *, notice: Notice) -> dict[str, Result]:
    """Evaluate a run, a folder or a file.

    Args:
        question: what to evaluate, against what, by what.
        notice: told what the user should know besides.

    Raises:
        UserError: something named is not there or cannot be compared.
    """
    insist_on_seed(question.seed)
    terms = agree(
        question.protocol,
        features=question.features,
        resize=question.resize,
        split=question.split,
        count=question.count,
        metrics=tuple(name.strip() for name in question.metrics.split(",") if name.strip()),
    )
    run = Run(question.source) if is_run(question.source) else None
    reference = find_reference(question, run, notice)
    of_points = mixture_of(reference.name) is not None
    if of_points:
        insist_on_no_images(question, terms)
    with tuned_processor():
        net = telling_pace(choose_net(terms, reference, notice), notice)
        names = choose(terms.metrics, net)
        perceptual = None if of_points else choose_lpips(terms)
        fake, real, others = subjects(question, terms, run, reference, notice)
        seed = question.seed
        results = {}
        if names:
            results = evaluate(fake, real, net=net, names=names, seed=seed, others=others)
        if perceptual is not None:
            results |= diversity.judge_diversity(fake, real, net=perceptual, seed=seed)
        if question.neighbours is not None:
            results |= copies(question, reference, fake, net, notice)
    if perceptual is None and not terms.metrics and not of_points:
        notice(f"{lpips.HOW_TO_GET} Went on without {diversity.NAME}.")
    for name, result in results.items():
        if warning := result.card["warning"]:
            notice(f"Do not rely on {name}: {warning}")
    return {
        name: replace(result, card={"protocol": terms.protocol, **result.card})
        for name, result in results.items()
    }


def choose_net(terms: Terms, reference: Source, notice: Notice) -> FeatureNet:
    """Take the feature net that was named, or one for the data, of those on this machine."""
    name = terms.features or net_for_data(reference.name)
    if terms.features is None and name == "random":
        notice(f"{HOW_TO_GET} Going on with random features, which are no FID.")
    return feature_net(name, device=choose_device("auto"), resize=terms.resize)


def insist_on_no_images(question: Question, terms: Terms) -> None:
    """Refuse to ask of points in the plane what only images have.

    Raises:
        UserError: it was asked.
    """
    if diversity.NAME in terms.metrics or question.neighbours is not None:
        what = "--neighbours" if question.neighbours else diversity.NAME
        raise UserError(
            f"Points in the plane are no images to look at, as {what} does. Leave it out."
        )


def choose_lpips(terms: Terms) -> lpips.Lpips | None:
    """Load the net of the samples' diversity, if that was asked for, or all that can be had was.

    Raises:
        UserError: it was asked for by name, and its weights are not on this machine.
    """
    asked = diversity.NAME in terms.metrics
    if asked or (not terms.metrics and lpips.locate() is not None):
        return lpips.lpips_net(device=choose_device("auto"))
    return None


def subjects(
    question: Question, terms: Terms, run: Run | None, reference: Source, notice: Notice
) -> tuple[Subject, Subject, Subject | None]:
    """Choose samples, reference images, and other real ones for the floor, if there are any."""
    reals = reference.load(terms.split)
    if run is None:
        shape = (read_size(question.size), question.channels)
        fakes = Source(question.source, *shape, notice).load("train")
    else:
        most, _ = terms.counts(len(reals.images))
        fakes = make_samples(
            run, most, seed=question.seed, raw=question.raw, checkpoint=question.checkpoint
        )
    num_fakes, num_reals = agreed_counts(terms, len(fakes.images), len(reals.images), notice)
    seed = question.seed
    return (
        draw(fakes, num_fakes, "samples", seed),
        draw(reals, num_reals, "reference", seed),
        draw_others(reference, reals, terms, seed=seed, taken=num_reals, count=num_fakes),
    )


def copies(
    question: Question,
    reference: Source,
    fake: Subject,
    net: FeatureNet,
    notice: Notice,
) -> dict[str, Result]:
    """Judge whether samples are copies of the train split, and write the picture of pairs.

    Raises:
        UserError: there are no held-out images to compare with.
    """
    assert question.neighbours is not None
    if not reference.has_splits:
        raise UserError(
            f"'{reference.name}' has no test split, and without images that were held out of the "
            "training nearest neighbours prove nothing. Name a --reference with both splits, or "
            "leave --neighbours out."
        )
    training, held_out = reference.load("train"), reference.load("test")
    if len(training.images) > MOST_SEARCHED:
        notice(
            f"Copies are looked for among {MOST_SEARCHED:,} of the {len(training.images):,} images "
            "of the training split."
        )
        training = draw(training, MOST_SEARCHED, "searched", 0)
    results, sheet = judge_copies(fake, training, held_out, net=net, seed=question.seed)
    if sheet is None:
        notice("The samples differ in shape from the training images: no pixels were compared.")
    else:
        save_sheet(sheet, question.neighbours)
        notice(f"Wrote {question.neighbours}: samples, each with its nearest training image.")
    return results


def telling_pace(net: FeatureNet, notice: Notice) -> FeatureNet:
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


def insist_on_seed(seed: int) -> None:
    """Refuse a seed that numpy's generator, whose subsets torch-fidelity draws, does not take.

    Raises:
        UserError: it is below 0 or too large.
    """
    if not 0 <= seed < MOST_SEEDS:
        raise UserError(f"The seed was {seed}: expected 0 to {MOST_SEEDS - 1}.")


def is_run(source: str) -> bool:
    """Whether a path is a run directory, and not a folder of images."""
    return RunDirectory(source).exists()


def find_reference(question: Question, run: Run | None, notice: Notice) -> Source:
    """Take the reference that was named, or else what the run was trained on.

    Raises:
        UserError: there is neither.
    """
    size, channels = read_size(question.size), question.channels
    if question.reference is not None:
        return Source(question.reference, size, channels, notice)
    named = question.source in DATASETS
    if run is None and not named and not Path(question.source).expanduser().exists():
        raise UserError(no_run_here(Path(question.source)))
    if run is None:
        raise UserError(
            f"'{question.source}' is no run, so the real images to compare with are not known. "
            "Name them with --reference: a data set such as mnist, a folder or an .npz file."
        )
    settings = run.config
    return Source(
        settings.data, size or read_size(settings.size), channels or settings.channels, notice
    )
