"""A chart of one metric in every run: a row a group, a dot a seed, the mean and its interval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from zerosum.comparison.significance import Estimate
from zerosum.plots.charts import (
    COLOURS,
    GRID,
    LEFT,
    LOG_RATIO,
    RIGHT,
    WIDTH,
    Scale,
    log_ticks,
    padded,
    padded_log,
    text,
    ticks,
)

TOP, ROW_HEIGHT, BOTTOM = 34, 58, 26


@dataclass(frozen=True, kw_only=True)
class Row:
    """A group: its name, its metrics with their seeds, its style, and the estimate of the mean."""

    name: str
    values: Sequence[tuple[int, float]]
    style: int
    estimate: Estimate | None


def dots_svg(rows: Sequence[Row], *, title: str) -> str:
    """Draw the metrics of groups, one at least, along one axis.

    The axis is logarithmic when positive values span more than a factor of 20.
    """
    values = [value for row in rows for _, value in row.values]
    log = min(values) > 0 and max(values) / min(values) > LOG_RATIO
    across = Scale(*(padded_log(values) if log else padded(values)), LEFT, WIDTH - RIGHT, log)
    floor = TOP + ROW_HEIGHT * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {floor + BOTTOM}" '
        f'role="img" aria-label="{escape(title)}" font-family="system-ui, sans-serif">',
        f"<title>{escape(title)}</title>",
        text(LEFT, 18, title, anchor="start", size=14),
        *axis(across, floor),
        *(part for index, row in enumerate(rows) for part in draw_row(row, across, index)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def axis(across: Scale, floor: float) -> Iterator[str]:
    """Lines down with their values below."""
    for value in (log_ticks if across.log else ticks)(across.low, across.high):
        x = across.at(value)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{floor}" stroke="{GRID}"/>'
        yield text(x, floor + 17, f"{value:.4g}")
    if across.log:
        yield text(WIDTH - RIGHT, 18, "log scale", anchor="end", size=11)


def draw_row(row: Row, across: Scale, index: int) -> Iterator[str]:
    """A group's name, and under it the interval, the mean and the dots."""
    top, colour = TOP + ROW_HEIGHT * index, COLOURS[row.style % len(COLOURS)]
    y = top + 38
    yield text(LEFT, top + 18, row.name, anchor="start")
    if row.estimate is not None:
        mean = across.at(row.estimate.mean)
        if interval := row.estimate.bootstrap:
            low, high = across.at(interval.low), across.at(interval.high)
            yield (
                f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="{colour}" '
                'stroke-width="7" stroke-opacity="0.3" stroke-linecap="round"/>'
            )
        yield (
            f'<path d="M{mean:.1f} {y - 9}v18" stroke="{colour}" stroke-width="3">'
            f"<title>mean {row.estimate.mean:.4g}</title></path>"
        )
    for seed, value in row.values:
        yield (
            f'<circle cx="{across.at(value):.1f}" cy="{y}" r="4.5" fill="{colour}" '
            f'fill-opacity="0.6" stroke="{colour}"><title>seed {seed}: {value:.4g}</title></circle>'
        )
