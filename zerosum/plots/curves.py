"""The curve of a run, `curve.svg`: its metrics over the epochs, and below them its losses."""

from __future__ import annotations

from pathlib import Path

from zerosum.files import write_whole
from zerosum.metrics.registry import better
from zerosum.plots.charts import Line, curves
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
    write_whole(target, curves(panels))
    return target


def run_panels(history: History) -> dict[str, list[Line]]:
    """The charts of one run: one a metric, its best marked, and one of the losses."""
    panels = {}
    for name, points in history.metrics.items():
        best = history.best(name, better=better(name))
        label = f"best {best[1]:.4g} at epoch {best[0]:g}"
        panels[name] = [Line(name="", points=points, mark=best, label=label)]
    losses = [
        Line(name=f"loss {player}", points=history.series(f"loss_{player}"), style=style)
        for style, player in enumerate("DG")
    ]
    if any(line.points for line in losses):
        panels["losses"] = losses
    return panels
