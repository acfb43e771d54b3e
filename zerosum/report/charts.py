"""Charts that belong to their page: SVG inside of it, in the page's colours, light and dark.

Charts that stand by themselves are matplotlib's, in `plots/`. These are drawn at each look of a
live page in no time, keep the size of their letters on a telephone, and hold no style of their own,
which the page's policy would forbid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

Point = tuple[float, float]

MOST_POINTS = 400
LOG_RATIO = 20
"""A vertical axis is logarithmic where positive values span more than this factor."""
MARK_ROOM = 0.2
"""For a mark's text, which stands beyond the line, not on it."""
UNITS = 1000
"""Of the drawing's own, across and down; the page stretches them."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a chart: what the legend calls it, and its points (x, y) in the order of x."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True, kw_only=True)
class Band:
    """A stretch of the x axis that is shaded, and what for."""

    name: str
    start: float
    end: float


ENORMOUS, MINUTE = 1e100, 1e-100


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`, with ticks at round values."""

    low: float
    high: float
    log: bool = False

    def at(self, value: float) -> float:
        """Where a value lies, 0 at the low end and 1 at the high one."""
        low, high = self.scaled(self.low), self.scaled(self.high)
        place = (self.scaled(clamped(value)) - low) / ((high - low) or 1.0)
        return max(-1.0, min(2.0, place))

    def scaled(self, value: float) -> float:
        """The value, or its logarithm."""
        return math.log10(value) if self.log else value

    def ticks(self, most: int) -> list[float]:
        """Round values in it, not more than so many if it can be."""
        return (
            log_ticks(self.low, self.high, most) if self.log else ticks(self.low, self.high, most)
        )


def clamped(value: float) -> float:
    """A value that arithmetic with others can bear: a loss may be finite and still enormous."""
    return max(-ENORMOUS, min(ENORMOUS, value))


def ticks(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between two numbers."""
    rough = (high - low) / most or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in (1, 2, 5, 10) if power * each >= rough * 0.9999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{index * step:.10g}") for index in range(first, last + 1)]


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Powers of ten between two positive numbers, with 2 and 5 times them where there is room."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [
            float(f"{factor * 10.0**power:.10g}")
            for power in powers
            for factor in factors
            if low * 0.999 <= factor * 10.0**power <= high * 1.001
        ]
        if len(found) <= most:
            return found
    return found[:: -(-len(found) // most)]


def vertical(values: Sequence[float], *, room: float = 0.08) -> Axis:
    """The axis that shows all values, with a share of their span as room beyond them."""
    low, high = clamped(min(values)), clamped(max(values))
    if low > MINUTE and high / low > LOG_RATIO:
        factor = (high / low) ** room
        return Axis(low / factor, high * factor, log=True)
    beyond = room * (high - low) or abs(high) * 0.1 or 1.0
    return Axis(low - beyond, high + beyond)


def line_chart(
    lines: Sequence[Line],
    *,
    name: str,
    summary: str,
    x_title: str,
    x_end: float,
    bands: Sequence[Band] = (),
    mark: Point | None = None,
    mark_text: str = "",
) -> Markup:
    """Draw lines over the epochs.

    Args:
        lines: at most two, with a point each at least.
        name: what the chart shows, for readers of the screen.
        summary: what can be seen in it, for the same.
        x_title: stands at the right end of the x axis.
        x_end: where that ends; it begins at 0.
        bands: what is shaded.
        mark: a point to mark, if any.
        mark_text: stands beside the mark.
    """
    values = [value for line in lines for _, value in line.points]
    y = vertical(values) if mark is None else vertical(values, room=MARK_ROOM)
    x = Axis(0.0, x_end)
    parts = [
        Markup('<div class="chart"><svg role="img" aria-label="{}">').format(f"{name}. {summary}"),
    ]
    for band in bands:
        start, end = max(0.0, x.at(band.start)), min(1.0, x.at(band.end))
        width = max(end - start, 0.006)  # of a single look, too, something can be seen
        parts.append(
            Markup(
                '<rect class="band" x="{}" y="0" width="{}" height="100%"><title>{}</title></rect>'
            ).format(percent(start), percent(width), band.name)
        )
    for tick in y.ticks(5):
        place = percent(1 - y.at(tick))
        parts.append(
            Markup(
                '<line class="grid" x1="0" x2="100%" y1="{}" y2="{}"/>'
                '<text x="-8" y="{}" dy=".32em" text-anchor="end">{}</text>'
            ).format(place, place, place, f"{tick:,.10g}")
        )
    for tick in x.ticks(6):
        if x.at(tick) < 0.79:  # there stands the title
            parts.append(
                Markup('<text x="{}" y="100%" dy="1.5em" text-anchor="middle">{}</text>').format(
                    percent(x.at(tick)), f"{tick:,.10g}"
                )
            )
    parts.append(
        Markup('<text x="100%" y="100%" dy="1.5em" text-anchor="end">{}</text>').format(x_title)
    )
    parts.append(stretched([(line.points, x, y) for line in lines]))
    for index, line in enumerate(lines):
        if len(line.points) == 1:
            parts.append(dot(line.points[0], x, y, f"dot c{index}", 3.5))
    if mark is not None:
        share, height = x.at(mark[0]), y.at(mark[1])
        anchor = "start" if share < 0.3 else "end" if share > 0.7 else "middle"
        parts.append(dot(mark, x, y, "mark", 5))
        parts.append(
            Markup('<text class="mark" x="{}" y="{}" dy="{}" text-anchor="{}">{}</text>').format(
                percent(share),
                percent(1 - height),
                "1.7em" if mark[1] <= np.median(values) else "-.8em",
                anchor,
                mark_text,
            )
        )
    parts.append(Markup("</svg></div>"))
    return Markup("").join(parts)


def sparkline(points: Sequence[Point]) -> Markup:
    """A small line without axes, or nothing of a single point; words beside it tell the same."""
    if len(points) < 2:
        return Markup("")
    low, high = (clamped(pick(value for _, value in points)) for pick in (min, max))
    room = 0.1 * (high - low) or 1.0
    x, y = Axis(points[0][0], points[-1][0]), Axis(low - room, high + room)
    return Markup('<svg class="spark" aria-hidden="true">{}</svg>').format(
        stretched([(points, x, y)])
    )


def stretched(drawn: Sequence[tuple[Sequence[Point], Axis, Axis]]) -> Markup:
    """Lines in a drawing that is stretched to its place, their widths not."""
    paths = []
    for index, (points, x, y) in enumerate(drawn):
        kept = np.linspace(0, len(points) - 1, min(len(points), MOST_POINTS)).round().astype(int)
        steps = [
            f"{UNITS * x.at(points[at][0]):.1f} {UNITS * (1 - y.at(points[at][1])):.1f}"
            for at in kept
        ]
        paths.append(Markup('<path class="c{}" d="M{}"/>').format(index, "L".join(steps)))
    return Markup(
        '<svg viewBox="0 0 {} {}" preserveAspectRatio="none" width="100%" height="100%">{}</svg>'
    ).format(UNITS, UNITS, Markup("").join(paths))


def dot(point: Point, x: Axis, y: Axis, kind: str, radius: float) -> Markup:
    """A dot at a point."""
    return Markup('<circle class="{}" cx="{}" cy="{}" r="{}"/>').format(
        kind, percent(x.at(point[0])), percent(1 - y.at(point[1])), radius
    )


def percent(share: float) -> str:
    """A share as SVG writes it."""
    return f"{100 * share:.2f}%"
