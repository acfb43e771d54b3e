"""`zerosum compare`: runs against runs, over seeds, with no more certainty than there is.

By default the metrics are those that the trainings have logged, which takes no time: of each run
its best and its last. Metrics of `--metrics` are computed from checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zerosum.comparison.caveats import caveats, on_cards
from zerosum.comparison.checkpoints import compute_metrics
from zerosum.comparison.groups import Group, grouped, open_runs
from zerosum.comparison.significance import Difference, Estimate, difference, estimate
from zerosum.errors import UserError
from zerosum.evaluation.evaluate import EvalConfig
from zerosum.metrics.registry import METRICS, better, read_names
from zerosum.training.log import History, Point, is_number

Notice = Callable[[str], None]
BY_CLASS = ("classes",)
"""The metrics that are no single number."""


@dataclass(frozen=True, kw_only=True)
class ComparedMetric:
    """One metric of all runs.

    Attributes:
        name: such as `frechet_digits`.
        kind: which value of each run: "best logged", "last logged" or "checkpoint best".
        better: "lower", "higher", or what it should be like.
        values: for each group, by seed; a run that has none is missing.
        estimates: for each group, of the mean; None for a group without values.
        differences: of every group but the first against the first.
    """

    name: str
    kind: str
    better: str
    values: tuple[dict[int, float], ...]
    estimates: tuple[Estimate | None, ...]
    differences: tuple[Difference, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All there is to tell of some runs.

    Attributes:
        groups: of runs that differ only in their seeds, the first the one to compare with.
        metrics: the metrics, those asked for before those logged.
        caveats: what the reader must know besides.
        computed: for each run's path the metrics computed, each with its card.
    """

    groups: tuple[Group, ...]
    metrics: tuple[ComparedMetric, ...]
    caveats: tuple[str, ...]
    computed: dict[Path, dict[str, Any]] = field(default_factory=dict)


def compare(
    paths: Sequence[Path],
    *,
    config: EvalConfig | None = None,
    notice: Notice = lambda text: None,
) -> Comparison:
    """Compare runs, those that differ only in their seed as one group.

    Args:
        paths: run directories, two at least.
        config: metrics to compute from the checkpoints; None for the logged ones alone. Its
            source is not read.
        notice: told how far the computing is.

    Raises:
        UserError: a path is no run, there are fewer than two, or there is nothing to compare.
    """
    if config is not None:
        require_single_values(config.metrics)
    runs = open_runs(paths)
    if len(runs) < 2:
        raise UserError(
            f"Received {len(runs)} {'run' if len(runs) == 1 else 'runs'}: comparing needs two or "
            "more. Name their directories, as in 'zerosum compare runs/a runs/b'; to look at one "
            "run, there are its curve.svg and 'zerosum evaluate'."
        )
    groups = grouped(runs)
    metrics, computed = logged_metrics(groups), {}
    if config is not None:
        computed = {run.path: compute_metrics(run, config, notice=notice) for run in runs}
        kind = f"checkpoint {config.checkpoint}"
        metrics = [*computed_metrics(groups, computed, kind), *metrics]
    if not metrics:
        raise UserError(
            "None of these runs has logged a metric. Train with --evaluate-every 5, or let metrics "
            "be computed from the checkpoints: --metrics fid,precision,recall."
        )
    counts = [found.count for each in metrics for found in each.estimates if found is not None]
    return Comparison(
        groups=tuple(groups),
        metrics=tuple(metrics),
        caveats=(
            *caveats(
                groups,
                counts=counts,
                num_differences=sum(len(each.differences) for each in metrics),
            ),
            *on_cards(list(computed.values())),
        ),
        computed=computed,
    )


def require_single_values(metrics: str) -> None:
    """Refuse metrics that nobody knows, or that are no single number, before any is computed.

    Raises:
        UserError: there is such a metric.
    """
    single = [name for name in METRICS if name not in BY_CLASS]
    for name in read_names(metrics.split(","))[0]:
        if name not in single:
            raise UserError(
                f"The metric '{name}' is a number for each class, of which there is no mean over "
                f"seeds. Expected metrics of a single value: {', '.join(single)}. To see it, "
                f"there is 'zerosum evaluate RUN --metrics {name}'."
            )


def logged_metrics(groups: Sequence[Group]) -> list[ComparedMetric]:
    """The metrics in the logs: of each its best and its last value in every run."""
    names = dict.fromkeys(
        name for group in groups for run in group.runs for name in run.history.metrics
    )
    kinds: dict[str, Callable[[History, str], Point]] = {
        "best logged": lambda history, name: history.best(name, better=better(name)),
        "last logged": History.final,
    }
    return [
        build_metric(
            name,
            kind=kind,
            better=better(name),
            groups=groups,
            values=[
                {
                    run.seed: pick(run.history, name)[1]
                    for run in group.runs
                    if name in run.history.metrics
                }
                for group in groups
            ],
        )
        for name in names
        for kind, pick in kinds.items()
    ]


def computed_metrics(
    groups: Sequence[Group], computed: dict[Path, dict[str, Any]], kind: str
) -> list[ComparedMetric]:
    """The metrics that were computed, but those that are no single number, such as class shares."""
    cards = {
        name: result["card"]
        for results in computed.values()
        for name, result in results.items()
        if is_number(result["value"])
    }
    return [
        build_metric(
            name,
            kind=kind,
            better=card["better"],
            groups=groups,
            values=[
                {
                    run.seed: float(computed[run.path][name]["value"])
                    for run in group.runs
                    if name in computed[run.path] and is_number(computed[run.path][name]["value"])
                }
                for group in groups
            ],
        )
        for name, card in cards.items()
    ]


def build_metric(
    name: str,
    *,
    kind: str,
    better: str,
    groups: Sequence[Group],
    values: Sequence[dict[int, float]],
) -> ComparedMetric:
    """Add estimates and differences to the metrics of groups."""
    first = groups[0]
    differences = (
        difference(
            group.name,
            values[0],
            others,
            better=better,
            same_data=group.runs[0].data_sha256 == first.runs[0].data_sha256,
        )
        for group, others in list(zip(groups, values, strict=True))[1:]
    )
    return ComparedMetric(
        name=name,
        kind=kind,
        better=better,
        values=tuple(values),
        estimates=tuple(estimate(list(each.values())) if each else None for each in values),
        differences=tuple(differences),
    )
