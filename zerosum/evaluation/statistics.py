"""`zerosum evaluate` with statistics files: a reference that is one, and writing one."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from zerosum.errors import UserError
from zerosum.evaluation.evaluate import (
    EvalConfig,
    agreed_protocol,
    load_samples,
    open_source,
    require_seed,
    telling_pace,
    translated,
)
from zerosum.evaluation.images import Notice, draw
from zerosum.evaluation.translation import HELD_OUT, Targets
from zerosum.hardware import choose_device, tuned_processor
from zerosum.inference.run import Run
from zerosum.metrics.embedding import embed, embed_reference, unseen
from zerosum.metrics.evaluate import ImageCollection, MetricResult, evaluate
from zerosum.metrics.features import feature_net, net_for_data
from zerosum.metrics.inception import RESIZES
from zerosum.metrics.protocols import DEFAULT_COUNT
from zerosum.metrics.registry import LEAST_IMAGES, METRICS
from zerosum.metrics.statistics import read_statistics, write_statistics

INCEPTION_FEATURES = 2048
OF_IMAGES = ("protocol", "split", "neighbours")
"""What asks for the images of a reference."""
OF_A_COMPARISON = ("reference", "protocol", "metrics", "neighbours")
"""What has no meaning where nothing is compared."""


def evaluate_against_statistics(config: EvalConfig, *, notice: Notice) -> dict[str, MetricResult]:
    """Evaluate a run, a folder or a file against a reference of which statistics are all there is.

    Args:
        config: what to evaluate; its reference is a file of statistics.
        notice: told what the user should know besides.

    Raises:
        UserError: something named is not there, or needs more than statistics.
    """
    statistics = read_statistics(str(config.reference))
    require_unset(config, OF_IMAGES, f"'{config.reference}' holds statistics and no images")
    require_seed(config.seed)
    device = choose_device(config.device)
    config, run = open_source(config)
    asked = agreed_protocol(replace(config, reference=None), run)
    enough = [name for name, metric in METRICS.items() if metric.needs == "moments"]
    for name in asked.metrics:
        if name not in enough:
            raise UserError(
                f"The metric '{name}' needs images of the reference, and '{config.reference}' "
                f"holds statistics alone. Expected {' or '.join(enough)}; or name the images with "
                "--reference."
            )
    if not asked.metrics:
        notice(f"Of statistics there is {', '.join(enough)} alone: the others need images.")
    features, resize = asked.features or statistics.features, config.resize
    if features is None and statistics.size == INCEPTION_FEATURES:
        features = "inception"
    if features is None:
        raise UserError(
            f"'{config.reference}' does not say which net its {statistics.size:,} features are of. "
            "Name it with --features."
        )
    if features == "inception" and resize is None:
        told = (statistics.resize or "").partition(":")[0]
        resize = told if told in RESIZES else None
        if not told:
            notice(
                f"'{config.reference}' does not say how its images were resized; here it is as "
                "torch-fidelity does. For a file of pytorch-fid's, add --resize pytorch-fid."
            )
    with tuned_processor():
        net = telling_pace(feature_net(features, device=device, resize=resize), notice)
        fakes = samples_of(config, run, notice, most=config.count or DEFAULT_COUNT)
        results = evaluate(
            fakes, statistics, net=net, names=asked.metrics or enough, seed=config.seed
        )
    for name, result in results.items():
        if warning := result.card["warning"]:
            notice(f"Do not rely on {name}: {warning}")
    return {
        name: replace(result, card={"protocol": None, **result.card})
        for name, result in results.items()
    }


def save_statistics(config: EvalConfig, *, notice: Notice) -> dict[str, MetricResult]:
    """Write the statistics of the source, all of its images unless a number is asked for.

    Args:
        config: the source, and the file to write.
        notice: told what was written, and what the user should know besides.

    Returns:
        No metrics: nothing is compared.

    Raises:
        UserError: something named is not there, compares, or the file cannot be written.
    """
    out = config.save_stats
    assert out is not None
    require_unset(config, OF_A_COMPARISON, "--save-stats describes the source and compares nothing")
    if out.suffix.lower() != ".npz":
        raise UserError(f"The statistics cannot be '{out.name}': expected a name ending in .npz.")
    require_seed(config.seed)
    device = choose_device(config.device)
    config, run = open_source(config)
    asked = agreed_protocol(config, run)
    data = config.source if run is None else run.config.data
    with tuned_processor():
        name = asked.features or net_for_data(data)
        net = telling_pace(feature_net(name, device=device, resize=config.resize), notice)
        most = config.count or (None if run is None else DEFAULT_COUNT)
        images = samples_of(config, run, notice, most=most)
        keep: dict[str, Any] = {"keep_features": False, "keep_logits": False}
        if run is not None:
            net.expect(len(images.images))
            moments = embed(net, images.images, **keep).moments
        else:  # real images, which are remembered
            net.expect(unseen(net, images.images, **keep))
            moments = embed_reference(net, images.images, **keep).moments
    write_statistics(out, moments, net)
    split = f", split {images.split}" if images.split else ""
    notice(
        f"Wrote {out}: mu and sigma of {moments.count:,} images of {images.name}{split}, "
        f"{len(moments.mean):,} features of {net.name}."
    )
    return {}


def require_unset(config: EvalConfig, names: tuple[str, ...], why: str) -> None:
    """Refuse flags that have no meaning here.

    Raises:
        UserError: there is one.
    """
    for field in fields(config):
        if field.name in names and getattr(config, field.name) != field.default:
            raise UserError(f"Received --{field.name}, but {why}. Leave one of the two out.")


def samples_of(
    config: EvalConfig, run: Run | None, notice: Notice, *, most: int | None
) -> ImageCollection:
    """The images that a source stands for: samples, translations of held-out images, or its own.

    Raises:
        UserError: they are too few.
    """
    targets = Targets(run, notice) if run is not None and run.source_channels else None
    if targets is not None:
        found = targets.sources(config.split or HELD_OUT)
    else:
        found = load_samples(config, run, most or 0, notice, split=config.split or "train")
    if len(found.images) < LEAST_IMAGES:
        raise UserError(
            f"There are {len(found.images)} images: expected at least {LEAST_IMAGES}, and "
            "thousands for metrics to rely on."
        )
    if most is not None and most < len(found.images):
        found = draw(found, most, "samples", config.seed)
    return found if targets is None else translated(config, targets, found)
