"""A comparison as tables for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import rich.console
from rich.table import Table
from rich.text import Text

from zerosum.comparison.compare import ComparedMetric, Comparison
from zerosum.comparison.groups import Group, Trained
from zerosum.comparison.significance import CONFIDENCE, Difference, Estimate, Interval
from zerosum.metrics.registry import better
from zerosum.plots.tables import table


def comparison_tables(comparison: Comparison) -> rich.console.Group:
    """For each metric a table of the groups, every seed, and the differences; then the caveats."""
    parts: list[rich.console.RenderableType] = []
    for metric in comparison.metrics:
        parts.append(metric_table(metric, comparison.groups))
        parts += [
            Text(f"{group.name}, by seed: {seeds_shown(group, values)}")
            for group, values in zip(comparison.groups, metric.values, strict=True)
        ]
        parts.append(Text())
        parts += [difference_text(each, comparison.groups[0].name) for each in metric.differences]
        parts.append(Text())
    # As Text: a path in brackets is no markup.
    parts += [Text(f"• {caveat}") for caveat in comparison.caveats]
    return rich.console.Group(*parts)


def metric_table(metric: ComparedMetric, groups: tuple[Group, ...]) -> Table:
    """One row a group: what its metrics say of their mean."""
    made = table("group", "seeds", "mean", "median", "95 % interval")
    made.title = Text(metric_title(metric))
    made.title_justify = "left"
    for group, found in zip(groups, metric.estimates, strict=True):
        made.add_row(Text(group.name), *estimate_cells(found))
    return made


def difference_text(difference: Difference, first: str) -> Text:
    """A difference in a few lines, which a narrow terminal can break as it likes."""
    text = Text(f"{difference.name} against {first}: ")
    text.append(difference.verdict, style="bold" if difference.shown else "")
    return text.append("".join(f". {line}" for line in difference_lines(difference)) + ".")


def difference_lines(difference: Difference) -> Iterator[str]:
    """What a difference rests on."""
    found = difference.estimate
    if found is None:
        return
    pairs = "pair" if found.count == 1 else "pairs"
    yield f"{found.count} {pairs} by seed: mean {found.mean:+.4g}, median {found.median:+.4g}"
    if found.interval is not None:
        yield f"95 %: {interval_shown(found.interval, '+')}"
    if difference.wins is not None:
        yield f"Better in {difference.wins} of {found.count} {pairs}"


def metric_title(metric: ComparedMetric) -> str:
    """A metric's name, and how to read it."""
    reading = (
        f"{metric.better} is better"
        if metric.better in ("lower", "higher")
        else f"better when {metric.better}"
    )
    return f"{metric.name}, {metric.kind} ({reading})"


def estimate_cells(found: Estimate | None) -> list[str]:
    """Count, mean, median and interval; blanks where there is no value."""
    if found is None:
        return ["0", "", "", ""]
    return [
        str(found.count),
        f"{found.mean:.4g}",
        f"{found.median:.4g}",
        interval_shown(found.interval),
    ]


def interval_shown(interval: Interval | None, sign: str = "") -> str:
    """Both ends, or why there are none."""
    if interval is None:
        return "too few"
    return f"{interval.low:{sign}.4g} to {interval.high:{sign}.4g}"


def seed_shown(run: Trained, value: float | None) -> str:
    """A seed with its metric, and with the last verdict on the run's health if it is an alarm."""
    shown = "none" if value is None else f"{value:.4g}"
    alarm = run.history.alarm
    return f"{run.seed}: {shown}" + (f" ({alarm})" if alarm else "")


def seeds_shown(group: Group, values: dict[int, float]) -> str:
    """Every seed of a group."""
    return "  ".join(seed_shown(run, values.get(run.seed)) for run in group.runs)


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as `--json` prints it."""
    return {
        "groups": [group_json(group, comparison.computed) for group in comparison.groups],
        "metrics": [metric_json(metric, comparison.groups) for metric in comparison.metrics],
        "caveats": list(comparison.caveats),
        "intervals": {
            "confidence": CONFIDENCE,
            "kind": "Student's: mean ± t s / sqrt(n)",
            "shown": "leaves out 0",
        },
    }


def group_json(group: Group, computed: dict[Any, Any]) -> dict[str, Any]:
    """A group with its runs."""
    runs = [
        {
            "path": str(run.path),
            "seed": run.seed,
            "epochs": run.history.epochs,
            "seen": run.history.seen,
            "whole": run.is_whole,
            "health": run.history.health,
            "alarms": [
                dict(zip(("verdict", "first_epoch", "last_epoch"), alarm, strict=True))
                for alarm in run.history.alarms
            ],
            "logged": {
                name: {
                    kind: dict(zip(("epoch", "value"), point, strict=True))
                    for kind, point in (
                        ("best", run.history.best(name, better=better(name))),
                        ("last", run.history.final(name)),
                    )
                }
                for name in run.history.metrics
            },
            "computed": computed.get(run.path, {}),
        }
        for run in group.runs
    ]
    return {"name": group.name, "settings": group.runs[0].settings, "runs": runs}


def metric_json(metric: ComparedMetric, groups: tuple[Group, ...]) -> dict[str, Any]:
    """A metric over groups and seeds."""
    return {
        "name": metric.name,
        "kind": metric.kind,
        "better": metric.better,
        "groups": [
            {
                "name": group.name,
                "seeds": {str(seed): value for seed, value in values.items()},
                "estimate": asdict(found) if found else None,
            }
            for group, values, found in zip(groups, metric.values, metric.estimates, strict=True)
        ],
        "differences": [asdict(difference) for difference in metric.differences],
    }
