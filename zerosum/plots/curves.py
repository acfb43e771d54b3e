"""The curve of a run, `curve.svg`: its metrics over the epochs, and below them its losses."""

from __future__ import annotations

import re
from pathlib import Path

from zerosum.metrics.registry import better
from zerosum.plots.charts import WIDTH, Line, curve_svg
from zerosum.training.log import History


def draw_curve(history: History, target: Path) -> Path | None:
    """Write the curve of a run, whole or not at all.

    A run that was never evaluated has its losses only; one without a tick has no curve.

    Returns:
        The file, or None if there is nothing to draw.

    Raises:
        OSError: the file cannot be written.
    """
    panels = run_panels(history)
    if not panels:
        return None
    temporary = target.with_name(f".{target.name}.writing")
    temporary.write_text(stacked(panels), encoding="utf-8")
    temporary.replace(target)
    return target


def run_panels(history: History) -> list[str]:
    """The charts of one run: one a metric, its best epoch marked, and one of the losses."""
    panels = []
    for name, points in history.metrics.items():
        best = history.best(name, better=better(name))
        label = f"best {best[1]:.4g} at epoch {best[0]:g}"
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
