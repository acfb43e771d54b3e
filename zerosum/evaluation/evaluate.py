"""`zerosum evaluate`: from what a user names, a run or a path, to metrics."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zerosum.config.specs import Fit, read_range, read_size
from zerosum.data.catalog import DATASETS
from zerosum.data.images import to_array, to_tensor
from zerosum.data.splits import no_split
from zerosum.data.store import Images, in_memory
from zerosum.errors import UserError
from zerosum.evaluation.images import (
    Notice,
    RealImages,
    Source,
    agreed_counts,
    draw,
    draw_others,
)
from zerosum.evaluation.neighbours import find_copies
from zerosum.evaluation.stores import LOADED_BYTES, Drawn
from zerosum.evaluation.translation import HELD_OUT, Targets
from zerosum.hardware import choose_device, tuned_processor
from zerosum.inference.run import Run
from zerosum.metrics import lpips
from zerosum.metrics.evaluate import (
    MOST_KEPT,
    ImageCollection,
    MetricResult,
    choose,
    evaluate,
    evaluate_images,
)
from zerosum.metrics.features import Answer, FeatureNet, feature_net, net_for_data
from zerosum.metrics.paired import judge_pairs, load_pair_metrics
from zerosum.metrics.protocols import Protocol, agree
from zerosum.metrics.registry import LEAST_IMAGES, METRICS, read_names
from zerosum.metrics.weight_files import INCEPTION, LPIPS
from zerosum.reading import expanded
from zerosum.tasks import task_of_data
from zerosum.training.run_directory import RunDirectory, find_run, no_run_here

MOST_SEEDS = 2**32
PACE_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """What to evaluate, against what, by what; the flags of the command."""

    source: str
    reference: str | None = None
    protocol: str | None = None
    split: str | None = None
    features: str | None = None
    resize: str | None = None
    size: str | None = None
    channels: int | None = None
    fit: Fit | None = None
    range: str | None = None
    count: int | None = None
    metrics: str = ""
    recipe: str | None = None
    seed: int = 0
    ema: bool = True
    checkpoint: str = "newest"
    device: str = "auto"
    neighbours: Path | None = None
    save_stats: Path | None = None


def evaluate_source(config: EvalConfig, *, notice: Notice) -> dict[str, MetricResult]:
    """Evaluate a run, a folder or a file.

    Args:
        config: what to evaluate, against what, by what.
        notice: told what the user should know besides.

    Raises:
        UserError: something named is not there or cannot be compared.
    """
    require_seed(config.seed)
    device = choose_device(config.device)
    config, run = open_source(config)
    protocol = agreed_protocol(config, run)
    reference = find_reference(config, run, notice)
    targets = None
    if run is not None and run.source_channels:
        targets = reference if isinstance(reference, Targets) else Targets(run, notice)
    split_of = targets or reference
    if config.split is not None and not (reference.has_splits or split_of.has_splits):
        raise no_split(f"'{reference.name}'", config.split)
    names, missing = choose_metrics(config, protocol, reference, targets, notice)
    of_features: Sequence[str] = [name for name in names if METRICS[name].of_features]
    of_pairs = [name for name in names if METRICS[name].needs == "pairs"]
    net = None
    with tuned_processor():
        if of_features or config.neighbours:
            net = telling_pace(choose_net(protocol, reference, notice, device), notice)
            if of_features:
                of_features = choose(of_features if protocol.metrics else (), net)
        nets = {
            name: lpips.lpips_net(net_name, device=device)
            for name in names
            if METRICS[name].needs == "images" and (net_name := METRICS[name].lpips)
        }
        pair_metrics = load_pair_metrics(of_pairs, device) if of_pairs else {}
        if run is not None and config.reference is None and targets is None:
            warn_of_training_images(reference, notice)
        fake, real, others = draw_sides(
            config, protocol, run, reference, targets, notice, of_sets=len(of_pairs) < len(names)
        )
        results: dict[str, MetricResult] = {}
        if net is not None and of_features:
            results = evaluate(
                fake, real, net=net, names=of_features, seed=config.seed, others=others
            )
        for name in names:
            if METRICS[name].needs == "images":
                results[name] = evaluate_images(
                    name, fake, real, seed=config.seed, net=nets.get(name)
                )
        if pair_metrics:
            results |= judge_pairs(fake, real, pair_metrics=pair_metrics, seed=config.seed)
        if net is not None and config.neighbours is not None:
            results |= find_copies(
                fake, reference, net=net, out=config.neighbours, seed=config.seed, notice=notice
            )
    if missing:
        notice(f"{LPIPS.how_to_get} Went on without {' and '.join(missing)}.")
    drawn = {name: told for name, each in results.items() if (told := each.card.get("drawn"))}
    if drawn:
        notice(
            f"Of {MOST_KEPT:,} images, drawn by the seed, where there are more: {', '.join(drawn)}."
        )
    for name, result in results.items():
        if warning := result.card["warning"]:
            notice(f"Do not rely on {name}: {warning}")
    return {
        name: replace(result, card={"protocol": protocol.protocol, **result.card})
        for name, result in results.items()
    }


def require_seed(seed: int) -> None:
    """Refuse a seed that numpy's generator, whose subsets torch-fidelity draws, does not take.

    Raises:
        UserError: it is one.
    """
    if not 0 <= seed < MOST_SEEDS:
        raise UserError(f"The seed was {seed}: expected 0 to {MOST_SEEDS - 1}.")


def warn_of_training_images(reference: RealImages, notice: Notice) -> None:
    """Say where nothing is held out of what a run was trained on."""
    if not reference.has_splits:
        notice(
            f"'{reference.name}' has no images that were held out: the metrics are against images "
            "that were trained on, and flatter. --hold-out 0.1 in training keeps some."
        )


def agreed_protocol(config: EvalConfig, run: Run | None) -> Protocol:
    """Settle what a comparison is made by.

    Args:
        config: what is asked.
        run: the run that it is asked of, if it is one.

    Raises:
        UserError: as `agree`, or a metric is unknown.
    """
    metrics, features = read_names(config.metrics.split(","), config.features)
    split = config.split
    if run is not None and run.source_channels:
        if config.reference is not None:  # whose splits are called otherwise, if it has any
            split = "test" if split == "val" else split
        elif config.protocol is None:
            split = split or HELD_OUT
    return agree(
        config.protocol,
        features=features,
        resize=config.resize,
        split=split,
        count=config.count,
        metrics=metrics,
    )


def open_source(config: EvalConfig) -> tuple[EvalConfig, Run | None]:
    """Open the run that the source is, if it is one; the config then has its path.

    Raises:
        UserError: there is a run, and it cannot be opened.
    """
    if not is_run(config.source):
        return config, None
    run = Run(config.source, recipe=config.recipe)
    return replace(config, source=str(run.path)), run


def is_run(source: str) -> bool:
    """Whether a source is a run directory, or the name of one, and no images by that name."""
    if RunDirectory(source).exists():
        return True
    names_images = source in DATASETS or expanded(source).exists()
    return not names_images and RunDirectory(find_run(source)).exists()


def find_reference(config: EvalConfig, run: Run | None, notice: Notice) -> RealImages:
    """Take the reference that was named, or else what the run was trained on.

    Raises:
        UserError: there is neither.
    """
    if config.reference is not None:
        return Source(config.reference, loading_of(config), notice)
    if run is None:
        named = config.source in DATASETS
        if not named and not expanded(config.source).exists():
            raise UserError(
                f"{no_run_here(Path(config.source))} Nor is there a file or folder of images."
            )
        raise UserError(
            f"'{config.source}' is no run, so the real images to compare with are not known. "
            "Name them with --reference: a data set such as mnist, a folder or an .npz file."
        )
    if run.source_channels:
        return Targets(run, notice)
    asked = loading_of(config)
    given = {name: value for name, value in asked.items() if value is not None}
    if config.fit is None and "size" not in given:
        given.pop("fit", None)
    return Source(run.config.data, {**run.config.loading(), **given}, notice)


def loading_of(config: EvalConfig) -> dict[str, Any]:
    """How images that are read are brought to their form, as `zerosum.data.load` takes it."""
    return {
        "size": read_size(config.size),
        "channels": config.channels,
        "fit": config.fit or "crop",
        "value_range": read_range(config.range),
    }


def choose_metrics(
    config: EvalConfig,
    protocol: Protocol,
    reference: RealImages,
    targets: Targets | None,
    notice: Notice,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Choose the metrics: those that were named, or else all that can be had.

    Args:
        config: what is asked.
        protocol: which names the metrics.
        reference: the real images.
        targets: what the outputs of a run that translates images should be.
        notice: told if images are too few for metrics of sets.

    Returns:
        Names in `METRICS`; where none was named, among them some that a feature net may not allow.
        And those that would be among them if the LPIPS weights were on this machine.

    Raises:
        UserError: something was asked that cannot be answered of such images.
    """
    no_images = task_of_data(reference.name).presentation.no_images
    looked_at = [name for name in protocol.metrics if METRICS[name].needs == "images"]
    if config.neighbours is not None:
        looked_at.append("--neighbours")
    if looked_at and no_images:
        raise UserError(f"{no_images} to look at, as {looked_at[-1]} does. Leave it out.")
    if targets is not None:
        refuse_foreign(config)
    obstacle = None  # in the way of holding each output against its own target
    if targets is None:
        obstacle = "here nobody knows which that is; of two folders, --paired tells it by the names"
    elif not targets.matched:
        obstacle = f"the run '{config.source}' was trained without pairs, so there is none"
    elif config.reference is not None:
        obstacle = f"which one of '{config.reference}' that is, is not known"
    elif config.protocol is not None:
        obstacle = f"the protocol '{config.protocol}' has no such metrics"
    for name in protocol.metrics:
        if METRICS[name].needs == "pairs" and obstacle:
            raise UserError(
                f"The metric '{name}' holds each output against the very image that it should be, "
                f"and {obstacle}. Leave it out."
            )
    if protocol.metrics:
        return protocol.metrics, ()
    of_sets = True
    if targets is not None and not obstacle:
        count = len(targets.load(protocol.split).images)
        of_sets = count >= LEAST_IMAGES
        if not of_sets:
            notice(f"{count} images are too few for metrics of sets: these are of pairs alone.")
    return without_weights(
        [
            name
            for name, metric in METRICS.items()
            if (not obstacle if metric.needs == "pairs" else of_sets)
            and not (no_images and metric.needs == "images")
        ]
    )


def without_weights(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Part metrics that nobody asked for into those that can be had, and those that lack weights.

    The weights are LPIPS's. A metric that is never computed unless it is named is in neither part.
    """
    welcome = [name for name in names if METRICS[name].by_default]
    missing = tuple(
        name
        for name in welcome
        if (net := METRICS[name].lpips) and LPIPS.locate(lpips.TRUNKS[net].file) is None
    )
    return tuple(name for name in welcome if name not in missing), missing


def refuse_foreign(config: EvalConfig) -> None:
    """Refuse what outputs of a run that translates cannot be asked.

    Raises:
        UserError: it was asked.
    """
    if config.neighbours is not None:
        raise UserError(
            f"The run '{config.source}' makes images of images, and --neighbours is for images "
            "made of noise. Leave it out."
        )
    shaped = (config.size, config.channels, config.fit, config.range)
    if config.reference is None and any(each is not None for each in shaped):
        raise UserError(
            f"The run '{config.source}' is given its own data as it was trained on them, and "
            "--size, --channels, --fit and --range are for another --reference. Leave them out."
        )


def choose_net(
    protocol: Protocol, reference: RealImages, notice: Notice, device: torch.device
) -> FeatureNet:
    """Take the feature net that was named, or one for the data, of those on this machine."""
    name = protocol.features or net_for_data(reference.name)
    if protocol.features is None and name == "random":
        notice(f"{INCEPTION.how_to_get} Going on with random features, which are no FID.")
    return feature_net(name, device=device, resize=protocol.resize)


def telling_pace(net: FeatureNet, notice: Notice) -> FeatureNet:
    """A net that says how long it will take, and then how far it is: Inception takes its time.

    The first images warm up, and the pace of the next ones tells; a net that is done within
    `PACE_SECONDS` says nothing.
    """
    total = seen = warm_up = 0
    began = said = 0.0
    announced = False

    def expect(num_images: int) -> None:
        nonlocal total, seen, announced
        total, seen, announced = num_images, 0, False

    def look(images: Tensor) -> Answer:
        nonlocal began, said, seen, warm_up, announced
        answer = net.look(images)
        now = time.monotonic()
        seen += len(images)
        if seen == len(images):
            began, said, warm_up = now, now, seen
            return answer
        each = (now - began) / (seen - warm_up)
        remaining = (total - seen) * each
        if not announced and remaining >= PACE_SECONDS:
            notice(
                f"{net.name} is shown {total:,} images, {1 / each:,.1f} a second: about "
                f"{in_words(remaining)}."
            )
        elif now - said >= PACE_SECONDS:
            said = now
            notice(
                f"{net.name} has seen {seen:,} of {total:,} images: about {in_words(remaining)} "
                "to go."
            )
        announced = True
        return answer

    return replace(net, look=look, expect=expect)


def in_words(seconds: float) -> str:
    """A stretch of time, such as "40 seconds", "12 minutes" or "3.5 hours"."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def draw_sides(
    config: EvalConfig,
    protocol: Protocol,
    run: Run | None,
    reference: RealImages,
    targets: Targets | None,
    notice: Notice,
    *,
    of_sets: bool,
) -> tuple[ImageCollection, ImageCollection, ImageCollection | None]:
    """Choose samples, reference images, and other real ones for the floor, if there are any.

    Outputs of a run that translates images stand in the order of the reference, so that each keeps
    its own target. Of pairs alone there is no floor.
    """
    seed = config.seed
    reals = reference.load(protocol.split)
    if targets is not None:
        split = protocol.split if reference is targets else config.split or HELD_OUT
        fakes = targets.sources(split)
    else:
        most = 0 if run is None else protocol.counts(len(reals.images))[0]
        fakes = load_samples(config, run, most, notice)
    num_fakes, num_reals = agreed_counts(
        protocol,
        len(fakes.images),
        len(reals.images),
        notice,
        least=LEAST_IMAGES if of_sets else 1,
    )
    fakes = draw(fakes, num_fakes, "reference" if targets else "samples", seed)
    if targets is not None:
        fakes = translated(config, targets, fakes)
    others = None
    if of_sets:
        others = draw_others(
            reference, reals, protocol, seed=seed, taken=num_reals, count=num_fakes
        )
    return fakes, draw(reals, num_reals, "reference", seed), others


def load_samples(
    config: EvalConfig, run: Run | None, count: int, notice: Notice, *, split: str = "train"
) -> ImageCollection:
    """Let a run that makes images of noise make so many, or load all that a path holds."""
    if run is None:
        return Source(config.source, loading_of(config), notice).load(split)
    how: dict[str, Any] = {
        "seed": config.seed,
        "ema": config.ema,
        "checkpoint": config.checkpoint,
        "device": config.device,
    }
    images: Images
    if count * math.prod(run.spec.shape) > LOADED_BYTES and not run.spec.are_points:
        images = Drawn(run.sampler(count, **how), run.spec.shape)
    else:
        images = to_tensor(run.sample(count, **how))
    return ImageCollection(name=made_by(config), split=None, images=images)


def translated(config: EvalConfig, targets: Targets, sources: ImageCollection) -> ImageCollection:
    """Let a run that translates images translate sources."""
    outputs = targets.run.translate(
        to_array(in_memory(sources.images)),
        seed=config.seed,
        ema=config.ema,
        checkpoint=config.checkpoint,
        device=config.device,
    )
    name = f"{made_by(config)}, {' to '.join(targets.way)}"
    return replace(sources, name=name, images=to_tensor(outputs))


def made_by(config: EvalConfig) -> str:
    """What cards call the samples of a run."""
    weights = "average of G" if config.ema else "G itself"
    return f"{Path(config.source)} ({weights}, checkpoint {config.checkpoint})"
