"""A comparison as one HTML file that stands by itself: no scripts, nothing loaded from elsewhere.

What users have named, paths and settings, is escaped by the template, and a strict content security
policy would keep even what slipped through from running.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from zerosum._version import __version__
from zerosum.comparison.compare import ComparedMetric, Comparison
from zerosum.comparison.dots import Row, dots_svg
from zerosum.comparison.groups import Group, Trained, shown_setting
from zerosum.comparison.tables import difference_lines, estimate_cells, metric_title, seed_shown
from zerosum.errors import UserError
from zerosum.metrics.registry import better
from zerosum.plots.charts import Line, curve_svg
from zerosum.plots.film import read_frame

MOST_PIXELS = 480
"""Wider pictures are made smaller: a page of many runs should stay light."""


def write_page(comparison: Comparison, out: Path) -> None:
    """Write the page, whole or not at all.

    Args:
        comparison: what it tells.
        out: a file that ends in .html; its folder is made.

    Raises:
        UserError: the file has another ending or cannot be written.
    """
    require_html(out)
    temporary = out.with_name(f".{out.name}.writing")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(page(comparison), encoding="utf-8")
        temporary.replace(out)
    except OSError as error:
        raise UserError(
            f"Could not write '{out}': {error.strerror}. Choose another file with --out."
        ) from None


def require_html(out: Path) -> None:
    """Refuse to write a page over what is likely something else.

    Raises:
        UserError: the name does not end in .html.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise UserError(
            f"Received --out {out}: expected a name that ends in .html, such as compare.html."
        )


def page(comparison: Comparison) -> str:
    """Render the page."""
    css = resources.files("zerosum").joinpath("pages/page.css").read_text("utf-8")
    names = [group.name for group in comparison.groups]
    num_runs = sum(len(group.runs) for group in comparison.groups)
    environment = Environment(
        loader=PackageLoader("zerosum", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template("compare.html.jinja").render(
        policy=policy(css),
        css=Markup(css),
        title=" against ".join(names) if len(names) < 3 else f"{len(names)} groups compared",
        subtitle=f"{num_runs} runs, by their training seeds",
        verdicts=list(verdicts(comparison)),
        metrics=[metric_rows(metric, comparison.groups) for metric in comparison.metrics],
        remarks=comparison.remarks,
        metric_curves=list(metric_curves(comparison.groups)),
        loss_curves=list(loss_curves(comparison.groups)),
        grids=[group_pictures(group) for group in comparison.groups],
        **settings(comparison.groups),
        version=__version__,
    )


def policy(css: str) -> str:
    """Allow this style and pictures in the file itself, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'"
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
    parts = list(zip(groups, metric.values, metric.estimates, strict=True))
    rows = [
        {
            "group": group.name,
            "cells": estimate_cells(found),
            "seeds": [seed_shown(run, values.get(run.seed)) for run in group.runs],
        }
        for group, values, found in parts
    ]
    dots = [
        Row(name=group.name, values=tuple(values.items()), style=style, estimate=found)
        for style, (group, values, found) in enumerate(parts)
    ]
    title = metric_title(metric)
    return {"title": title, "rows": rows, "dots": Markup(dots_svg(dots, title=title))}


def metric_curves(groups: Sequence[Group]) -> Iterator[Markup]:
    """Every logged metric over the epochs."""
    names = dict.fromkeys(
        name for group in groups for run in group.runs for name in run.history.metrics
    )
    for name in names:
        yield Markup(curve_svg(list(metric_lines(groups, name)), title=name))


def metric_lines(groups: Sequence[Group], name: str) -> Iterator[Line]:
    """A line for every run that has logged a metric."""
    for style, group in enumerate(groups):
        for run in group.runs:
            if points := run.history.metrics.get(name):
                best = run.history.best(name, better=better(name))
                yield Line(name=group.name, points=points, style=style, mark=best)


def loss_curves(groups: Sequence[Group]) -> Iterator[Markup]:
    """Both players' losses over the epochs."""
    for player in ("D", "G"):
        lines = [
            Line(name=group.name, points=run.history.series(f"loss_{player}"), style=style)
            for style, group in enumerate(groups)
            for run in group.runs
        ]
        if any(line.points for line in lines):
            yield Markup(curve_svg(lines, title=f"loss {player}, means over the epoch"))


def group_pictures(group: Group) -> dict[str, Any]:
    """The last picture of every run of a group."""
    return {"name": group.name, "pictures": [last_picture(run) for run in group.runs]}


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
            source = embedded(read_frame(path))
        except (OSError, SyntaxError):  # Pillow calls a broken PNG a SyntaxError
            continue
        epoch = path.stem.rpartition("_")[2]
        return {**shown, "source": source, "caption": f"{run.path}, seed {run.seed}, epoch {epoch}"}
    return shown


def embedded(picture: Image.Image) -> str:
    """A picture as a data URL, encoded anew so that it holds nothing but its pixels."""
    if picture.width > MOST_PIXELS:
        height = max(1, round(picture.height * MOST_PIXELS / picture.width))
        picture = picture.resize((MOST_PIXELS, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


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
