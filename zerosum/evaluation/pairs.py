"""`zerosum evaluate --paired`: images against the very ones that they should be, pair by pair.

Two pictures are in memory at a time, however many there are.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from torch import Tensor

from zerosum.data.decode import Format, Undecodable, decode
from zerosum.data.folder import read_file
from zerosum.data.matching import match_folders
from zerosum.data.names import printable
from zerosum.errors import UserError, and_more, unknown_name
from zerosum.evaluation.evaluate import (
    PACE_SECONDS,
    EvalConfig,
    is_run,
    loading_of,
    without_weights,
)
from zerosum.evaluation.images import Notice
from zerosum.evaluation.tables import shown, titled
from zerosum.hardware import choose_device, tuned_processor
from zerosum.metrics.channels import with_channels
from zerosum.metrics.evaluate import MetricResult, versions
from zerosum.metrics.paired import PairMetric, load_pair_metrics, mean_result
from zerosum.metrics.registry import METRICS
from zerosum.metrics.weight_files import LPIPS
from zerosum.plots.tables import table
from zerosum.reading import expanded
from zerosum.seeds import stream_seed

FOREIGN = (
    *("protocol", "split", "features", "resize", "ema", "checkpoint", "neighbours", "recipe"),
    "save_stats",
)
"""What a user may ask of sets of images but not of pairs."""


class Side:
    """One side's images as they pass by."""

    def __init__(self, name: str) -> None:
        self._name, self._count = name, 0
        self._shapes: set[tuple[int, ...]] = set()
        self._digest = hashlib.sha256()

    def add(self, image: Tensor) -> None:
        """Take note of an image, uint8 (c, h, w)."""
        self._count += 1
        self._shapes.add(tuple(image.shape))
        self._digest.update(repr(tuple(image.shape)).encode())
        self._digest.update(image.contiguous().numpy().data)

    def card(self) -> dict[str, Any]:
        """What a metric card says of the side; shape is None where there are several."""
        return {
            "name": self._name,
            "split": None,
            "n": self._count,
            "shape": list(next(iter(self._shapes))) if len(self._shapes) == 1 else None,
            "sha256": self._digest.hexdigest(),
        }


def evaluate_pairs(config: EvalConfig, *, notice: Notice) -> dict[str, MetricResult]:
    """Compare each image of a folder with the one of the same name in the reference folder.

    Args:
        config: what to compare with what, by what.
        notice: told what the user should know besides.

    Raises:
        UserError: something named is not there, asks what pairs cannot answer, or no pair can be
            compared.
    """
    refuse_foreign(config)
    pairs, alone = find_pairs(config, notice)
    wanted = Format(**loading_of(config))
    sides = Side(config.source), Side(str(config.reference))
    with tuned_processor():
        pair_metrics = load_pair_metrics(
            choose_metrics(config, notice), choose_device(config.device)
        )
        values, skipped = compare(pairs, pair_metrics, wanted, sides=sides, notice=notice)
    if skipped:
        notice(f"Left out, because they cannot be decoded: {and_more(skipped)}.")
    common = {
        "evaluated": sides[0].card(),
        "reference": sides[1].card(),
        "floor_of": None,
        "size": config.size,
        "without_partner": alone,
        "undecodable": len(skipped),
        "seed": config.seed,
        "versions": versions(),
    }
    results = {
        name: mean_result(pair_metrics[name], found, common) for name, found in values.items()
    }
    for name, made in results.items():
        if warning := made.card["warning"]:
            notice(f"Of {name}: {warning}")
    return results


def choose_metrics(config: EvalConfig, notice: Notice) -> tuple[str, ...]:
    """Choose the metrics: those that were named, or else all that can be had.

    Raises:
        UserError: one is unknown, or is none of pairs.
    """
    known = [name for name, metric in METRICS.items() if metric.needs == "pairs"]
    names = tuple(name.strip() for name in config.metrics.split(",") if name.strip())
    for name in names:
        if name not in known:
            raise unknown_name("metric of pairs", name, known)
    if names:
        return names
    found, missing = without_weights(known)
    if missing:
        notice(f"{LPIPS.how_to_get} Going on without {' and '.join(missing)}.")
    return found


def refuse_foreign(config: EvalConfig) -> None:
    """Refuse a run, and flags that say nothing of pairs, rather than ignore them."""
    if is_run(config.source):
        raise UserError(
            f"'{config.source}' is a run, and --paired compares two folders. Leave it out: of a "
            "run that has learnt from pairs their metrics come along."
        )
    if config.reference is None:
        raise UserError("--paired compares two folders: name the second one with --reference.")
    for field in fields(config):
        if field.name in FOREIGN and getattr(config, field.name) != field.default:
            flag = "no-ema" if field.name == "ema" else field.name.replace("_", "-")
            raise UserError(
                f"--{flag} has no meaning with --paired, which compares the images of two folders "
                "one by one. Leave one of the two out."
            )
    if config.count is not None and config.count < 1:
        raise UserError(f"The number of pairs was {config.count}: expected at least 1.")


def find_pairs(config: EvalConfig, notice: Notice) -> tuple[Sequence[tuple[Path, Path]], int]:
    """Match the two folders, and say which files have no partner.

    Returns:
        The pairs, of which as many are drawn as were asked for, and the number of files without a
        partner.
    """
    folders = (expanded(str(name)) for name in (config.source, config.reference))
    match = match_folders(*folders)
    if match.alone:
        names = [printable(str(path)) for path in match.alone]
        notice(f"Left out for want of a partner: {and_more(names)}.")
    pairs = match.pairs
    if config.count is not None and config.count < len(pairs):
        seed = stream_seed("evaluate", "pairs", config.seed)
        order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(seed))
        pairs = tuple(pairs[index] for index in sorted(order[: config.count].tolist()))
    return pairs, len(match.alone)


def compare(
    pairs: Sequence[tuple[Path, Path]],
    pair_metrics: dict[str, PairMetric],
    wanted: Format,
    *,
    sides: tuple[Side, Side],
    notice: Notice,
) -> tuple[dict[str, list[float]], list[str]]:
    """Decode and compare pair by pair.

    Returns:
        Each metric's values, and why pairs were skipped.

    Raises:
        UserError: a pair differs in size or cannot be compared, or none can be decoded.
    """
    values: dict[str, list[float]] = {name: [] for name in pair_metrics}
    skipped = []
    said = time.monotonic()
    for number, paths in enumerate(pairs):
        try:
            images = load_pair(paths, wanted)
        except Undecodable as problem:
            skipped.append(str(problem))
            continue
        for side, image in zip(sides, images, strict=True):
            side.add(image)
        for name, metric in pair_metrics.items():
            try:
                values[name].append(metric.of(*images))
            except UserError as error:
                raise UserError(f"{printable(str(paths[0]))}: {error}") from None
        if time.monotonic() - said >= PACE_SECONDS:
            said = time.monotonic()
            notice(f"Compared {number + 1:,} of {len(pairs):,} pairs.")
    if len(skipped) == len(pairs):
        raise UserError(f"None of the {len(pairs)} pairs can be decoded: {and_more(skipped)}.")
    return values, skipped


def load_pair(paths: tuple[Path, Path], wanted: Format) -> tuple[Tensor, Tensor]:
    """Decode two images, uint8 (c, h, w); a gray one beside a coloured one becomes RGB.

    Raises:
        Undecodable: one of them is damaged or no image.
        UserError: their sizes differ.
    """
    images = []
    for path in paths:
        try:
            # Pillow's warnings are either about damage, which the reason tells, or of no concern.
            with warnings.catch_warnings(action="ignore"):
                pixels = decode(read_file(path), wanted)
        except Undecodable as problem:
            raise Undecodable(f"{printable(str(path))}: {printable(str(problem))}") from None
        images.append(torch.tensor(pixels).permute(2, 0, 1))
    one, other = images
    if one.shape[1:] != other.shape[1:]:
        sizes = [f"{height}×{width}" for _, height, width in (one.shape, other.shape)]
        first, second = (printable(str(path)) for path in paths)
        raise UserError(
            f"The images of a pair differ in size (height×width): {first} is {sizes[0]}, {second} "
            f"is {sizes[1]}. Choose one size for all with --size N."
        )
    if len(one) != len(other):
        one, other = (with_channels(image[None], 3)[0] for image in images)
    return one, other


def pairs_table(results: dict[str, MetricResult]) -> Table:
    """One row a metric; below, what was compared."""
    made = table("metric", "mean", "over pairs", "better", "seen by")
    for name, found in results.items():
        card = found.card
        spread = "" if card["spread"] is None else f"± {shown(card['spread'])}"
        sha256 = f" (sha256 {card['features_sha256'][:12]})" if card["features_sha256"] else ""
        # Pairs that are the same have no error, and so no finite ratio of signal to error.
        value = "infinite" if found.value is None else shown(found.value)
        made.add_row(titled(name), value, spread, card["better"], card["features"] + sha256)
    fake, real = card["evaluated"], card["reference"]
    made.caption = f"{fake['n']:,} pairs of {fake['name']} and {real['name']}"
    made.caption_justify = "left"
    return made
