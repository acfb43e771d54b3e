"""The curve of a run, `curve.svg`: its metrics over the epochs, and below them its losses."""

from __future__ import annotations

import re
from pathlib import Path

from zerosum.plots.charts import WIDTH, Line, curve_svg
from zerosum.training.log import History, read_history
from zerosum.training.run_directory import RunDirectory


def draw_curve(directory: RunDirectory) -> Path | None:
    """Write the curve of a run into its directory, whole or not at all.

    A run that was never evaluated has its losses only; one without a whole epoch has no curve.

    Returns:
        The file, or None if there is nothing to draw.

    Raises:
        OSError: the log cannot be read or the file cannot be written.
    """
    panels = run_panels(read_history(directory))
    if not panels:
        return None
    target = directory.curve_path
    temporary = target.with_name(f".{target.name}.writing")
    temporary.write_text(stacked(panels), encoding="utf-8")
    temporary.replace(target)
    return target


def run_panels(history: History) -> list[str]:
    """The charts of one run: one a metric, its best epoch marked, and one of the losses."""
    panels = []
    for name, points in history.metrics.items():
        best = history.best(name)
        label = f"best {best[1]:.4g} at epoch {best[0]}"
        panels.append(curve_svg([Line(name="", points=points, mark=best, label=label)], title=name))
    losses = [
        Line(name=f"loss {player}", points=history.series(f"loss_{player}"), style=style)
        for style, player in enumerate("DG")
    ]
    if any(line.points for line in losses):
        panels.append(curve_svg(losses, title="losses, means over the epoch"))
    return panels


def stacked(panels: list[str]) -> str:
    """Put charts below one another in one SVG."""
    parts, y = [], 0
    for panel in panels:
        match = re.search(rf'viewBox="0 0 {WIDTH} (\d+)"', panel)
        assert match is not None
        height = int(match[1])
        parts.append(panel.replace("<svg ", f'<svg y="{y}" width="{WIDTH}" height="{height}" ', 1))
        y += height + 14
    size = f'width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{"".join(parts)}</svg>\n'
