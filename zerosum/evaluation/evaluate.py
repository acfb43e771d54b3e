"""`zerosum evaluate`: from what a user names, a run or a path, to metrics."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from zerosum.config.base import read_size
from zerosum.data.catalog import DATASETS, mixture_of
from zerosum.errors import UserError
from zerosum.evaluation.images import (
    Notice,
    RealImages,
    Source,
    agreed_counts,
    draw,
    draw_others,
    make_samples,
    require_seed,
)
from zerosum.evaluation.neighbours import find_copies
from zerosum.evaluation.selection import Wanted, choose_instruments
from zerosum.evaluation.translation import HELD_OUT, Targets, choose_kinds, translate, why_no_pairs
from zerosum.hardware import tuned_processor
from zerosum.inference.run import Run
from zerosum.metrics import diversity, lpips
from zerosum.metrics.evaluate import ImageCollection, MetricResult
from zerosum.metrics.protocols import Protocol, agree
from zerosum.metrics.registry import LEAST_IMAGES
from zerosum.training.run_directory import RunDirectory, no_run_here


@dataclass(frozen=True, kw_only=True)
class EvalConfig:
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
    ema: bool = True
    checkpoint: str = "newest"
    neighbours: Path | None = None


def evaluate_source(question: EvalConfig, *, notice: Notice) -> dict[str, MetricResult]:
    """Evaluate a run, a folder or a file.

    Args:
        question: what to evaluate, against what, by what.
        notice: told what the user should know besides.

    Raises:
        UserError: something named is not there or cannot be compared.
    """
    require_seed(question.seed)
    run = Run(question.source) if is_run(question.source) else None
    terms = settle(question, run)
    reference = find_reference(question, run, notice)
    wanted, targets = Wanted(terms.metrics), None
    if mixture_of(reference.name) is not None:
        require_no_images(question, terms)
    if run is not None and run.source_channels:
        targets = reference if isinstance(reference, Targets) else Targets(run, notice)
        wanted = want_of_translations(question, terms, targets, notice)
    with tuned_processor():
        instruments = choose_instruments(wanted, terms, reference, notice)
        if targets is not None:
            of_sets = wanted.sets is not None
            sides = translations(question, terms, targets, reference, notice, of_sets=of_sets)
        else:
            sides = subjects(question, terms, run, reference, notice)
        results = instruments.judge(*sides, seed=question.seed)
        if question.neighbours is not None:
            assert instruments.net is not None
            results |= find_copies(
                sides[0],
                reference,
                net=instruments.net,
                out=question.neighbours,
                seed=question.seed,
                notice=notice,
            )
    if instruments.missing:
        notice(f"{lpips.HOW_TO_GET} Went on without {' and '.join(instruments.missing)}.")
    for name, result in results.items():
        if warning := result.card["warning"]:
            notice(f"Do not rely on {name}: {warning}")
    return {
        name: replace(result, card={"protocol": terms.protocol, **result.card})
        for name, result in results.items()
    }


def settle(question: EvalConfig, run: Run | None) -> Protocol:
    """Settle the terms of a question.

    Args:
        question: what is asked.
        run: the run that it is asked of, if it is one.

    Raises:
        UserError: as `agree`.
    """
    split = question.split
    if run is not None and run.source_channels:
        if question.reference is not None:  # whose splits are called otherwise, if it has any
            split = "test" if split == "val" else split
        elif question.protocol is None:
            split = split or HELD_OUT
    return agree(
        question.protocol,
        features=question.features,
        resize=question.resize,
        split=split,
        count=question.count,
        metrics=tuple(name.strip() for name in question.metrics.split(",") if name.strip()),
    )


def require_no_images(question: EvalConfig, terms: Protocol) -> None:
    """Refuse to ask of points in the plane what only images have.

    Raises:
        UserError: it was asked.
    """
    if diversity.NAME in terms.metrics or question.neighbours is not None:
        what = "--neighbours" if question.neighbours else diversity.NAME
        raise UserError(
            f"Points in the plane are no images to look at, as {what} does. Leave it out."
        )


def want_of_translations(
    question: EvalConfig, terms: Protocol, targets: Targets, notice: Notice
) -> Wanted:
    """Choose the metrics of a run that translates images.

    Raises:
        UserError: something was asked that such a run does not answer.
    """
    if question.neighbours is not None:
        raise UserError(
            f"The run '{question.source}' makes images of images, and --neighbours is for images "
            "made of noise. Leave it out."
        )
    shaped = question.size is not None or question.channels is not None
    if shaped and question.reference is None:
        raise UserError(
            f"The run '{question.source}' is given its own data as it was trained on them, and "
            "--size and --channels are for another --reference. Leave them out."
        )
    obstacle = why_no_pairs(targets, reference=question.reference, protocol=question.protocol)
    return choose_kinds(terms.metrics, targets, split=terms.split, obstacle=obstacle, notice=notice)


def translations(
    question: EvalConfig,
    terms: Protocol,
    targets: Targets,
    reference: RealImages,
    notice: Notice,
    *,
    of_sets: bool,
) -> tuple[ImageCollection, ImageCollection, ImageCollection | None]:
    """Choose sources and translate them; then as `subjects`, but of pairs alone there is no floor.

    Outputs stand in the order of the reference, so that each keeps its own target.
    """
    reals = reference.load(terms.split)
    split = terms.split if reference is targets else question.split or HELD_OUT
    sources = targets.sources(split)
    there = len(sources.images), len(reals.images)
    least = LEAST_IMAGES if of_sets else 1
    count, num_reals = agreed_counts(terms, *there, notice, least=least)
    seed = question.seed
    others = None
    if of_sets:
        others = draw_others(reference, reals, terms, seed=seed, taken=num_reals, count=count)
    sources = draw(sources, count, "reference", seed)
    fake = translate(targets, sources, seed=seed, ema=question.ema, checkpoint=question.checkpoint)
    return fake, draw(reals, num_reals, "reference", seed), others


def subjects(
    question: EvalConfig, terms: Protocol, run: Run | None, reference: RealImages, notice: Notice
) -> tuple[ImageCollection, ImageCollection, ImageCollection | None]:
    """Choose samples, reference images, and other real ones for the floor, if there are any."""
    reals = reference.load(terms.split)
    if run is None:
        shape = (read_size(question.size), question.channels)
        fakes = Source(question.source, *shape, notice).load("train")
    else:
        most, _ = terms.counts(len(reals.images))
        fakes = make_samples(
            run, most, seed=question.seed, ema=question.ema, checkpoint=question.checkpoint
        )
    num_fakes, num_reals = agreed_counts(terms, len(fakes.images), len(reals.images), notice)
    seed = question.seed
    return (
        draw(fakes, num_fakes, "samples", seed),
        draw(reals, num_reals, "reference", seed),
        draw_others(reference, reals, terms, seed=seed, taken=num_reals, count=num_fakes),
    )


def is_run(source: str) -> bool:
    """Whether a path is a run directory, and not a folder of images."""
    return RunDirectory(source).exists()


def find_reference(question: EvalConfig, run: Run | None, notice: Notice) -> RealImages:
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
    if run.source_channels:
        return Targets(run, notice)
    settings = run.config
    return Source(
        settings.data, size or read_size(settings.size), channels or settings.channels, notice
    )
