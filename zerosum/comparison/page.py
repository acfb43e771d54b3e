"""A comparison as one HTML file that stands by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from zerosum.comparison.compare import ComparedMetric, Comparison
from zerosum.comparison.groups import Group, Trained, shown_setting
from zerosum.comparison.tables import difference_lines, estimate_cells, metric_title, seed_shown
from zerosum.metrics.registry import better
from zerosum.pages import SHARPER_BELOW, picture_url, render, svg_url
from zerosum.plots.charts import Line, Row, curves, dots
from zerosum.plots.film import read_frame


def page(comparison: Comparison) -> str:
    """Render the page."""
    groups = comparison.groups
    names = [group.name for group in groups]
    return render(
        "compare.html.jinja",
        title=" against ".join(names) if len(names) < 3 else f"{len(names)} groups compared",
        subtitle=f"{sum(len(group.runs) for group in groups)} runs, by their training seeds",
        verdicts=list(verdicts(comparison)),
        metrics=[metric_rows(metric, groups) for metric in comparison.metrics],
        caveats=comparison.caveats,
        curves=list(run_curves(groups)),
        grids=[
            {"name": group.name, "pictures": [last_picture(run) for run in group.runs]}
            for group in groups
        ],
        **settings(groups),
    )


def verdicts(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """A card for every difference from the first group."""
    for metric in comparison.metrics:
        for each in metric.differences:
            yield {
                "metric": metric_title(metric),
                "text": f"{each.name} is {each.verdict}" if each.shown else each.verdict,
                "shown": each.shown,
                "group": each.name,
                "first": comparison.groups[0].name,
                # A hyphen may end a line, and part a number from its sign.
                "lines": [line.replace("-", "−") for line in difference_lines(each)],
            }


def metric_rows(metric: ComparedMetric, groups: Sequence[Group]) -> dict[str, Any]:
    """The table of one metric, and its chart."""
    title, rows, chart = metric_title(metric), [], []
    for group, values, found in zip(groups, metric.values, metric.estimates, strict=True):
        seeds = [seed_shown(run, values.get(run.seed)) for run in group.runs]
        rows.append({"group": group.name, "cells": estimate_cells(found), "seeds": seeds})
        between = found and found.interval
        chart.append(
            Row(
                name=group.name,
                values=tuple(values.values()),
                mean=found.mean if found else None,
                interval=(between.low, between.high) if between else None,
            )
        )
    return {"title": title, "rows": rows, "dots": svg_url(dots(chart, title=title))}


def run_curves(groups: Sequence[Group]) -> Iterator[dict[str, Any]]:
    """Every logged metric and both players' losses over the epochs, a line a run."""
    runs = [(style, group.name, run) for style, group in enumerate(groups) for run in group.runs]
    for name in dict.fromkeys(name for _, _, run in runs for name in run.history.metrics):
        lines = [
            Line(
                name=group,
                points=run.history.metrics[name],
                style=style,
                mark=run.history.best(name, better=better(name)),
            )
            for style, group, run in runs
            if name in run.history.metrics
        ]
        yield {"title": name, "chart": svg_url(curves({name: lines})), "whole": True}
    for name in ("loss D", "loss G"):
        lines = [
            Line(name=group, points=run.history.series(name.replace(" ", "_")), style=style)
            for style, group, run in runs
        ]
        if any(line.points for line in lines):
            yield {"title": name, "chart": svg_url(curves({name: lines})), "whole": False}


def last_picture(run: Trained) -> dict[str, Any]:
    """The last picture of a run that can be read, with its caption."""
    shown = {
        "path": str(run.path),
        "health": run.history.alarm,
        "source": None,
        "caption": f"{run.path}, seed {run.seed}: no picture",
    }
    for path in reversed(run.run.directory.pictures()):
        try:
            source, width, _ = picture_url(read_frame(path))
        except (OSError, SyntaxError):  # Pillow calls a broken PNG a SyntaxError
            continue
        epoch = path.stem.rpartition("_")[2]
        return {
            **shown,
            "source": source,
            "kind": "pixels" if width < SHARPER_BELOW else "",
            "caption": f"{run.path}, seed {run.seed}, epoch {epoch}",
        }
    return shown


def settings(groups: Sequence[Group]) -> dict[str, Any]:
    """The settings in which the groups differ, as a table."""
    all_settings = [group.runs[0].settings for group in groups]
    names = [
        name
        for name in dict.fromkeys(name for each in all_settings for name in each)
        if any(each.get(name) != all_settings[0].get(name) for each in all_settings)
    ]
    common = ", ".join(
        f"{name} {shown_setting(groups[0].runs[0], name)}"
        for name, value in all_settings[0].items()
        if name not in names and value is not None
    )
    rows = [
        {"group": group.name, "cells": [shown_setting(group.runs[0], name) for name in names]}
        for group in groups
    ]
    return {
        "settings_note": f"In common: {common}.",
        "settings": {"names": names, "rows": rows} if names else None,
    }
