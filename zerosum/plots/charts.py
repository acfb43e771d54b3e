"""Line charts as SVG text, in plain Python.

They stand by themselves, on white and on dark backgrounds: lines have a contrast of 3:1 with both,
and text has one of 4.5:1 with white and with black. Lines differ in their dashes as well as in
their colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from zerosum.plots.labels import label_base, text_width

# Blue, vermillion, green and purple of Okabe and Ito's palette for the colour-blind; its other
# colours are too pale on white, and give way to a brown and a gray.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#c06a98", "#8f6a00", "#767676")
DASHES = ("none", "7 3", "2 3", "9 3 2 3", "14 4", "4 4")
TEXT, GRID = "#767676", "#8888884d"
WIDTH, HEIGHT = 640, 260  # and one row of the legend
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 34, 40
ROW, LONGEST_NAME = 19, 60
AIR, AIR_FOR_LABEL = 0.06, 0.16  # beyond the values, as a share of their range
MOST_POINTS = 800
LOG_RATIO = 20


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a chart.

    Attributes:
        name: what the legend calls it; lines of one name share their style and entry.
        points: (x, y), finite, in the order of x.
        style: which colour and dashes.
        mark: a point to mark, if any.
        label: what is written beside the mark.
    """

    name: str
    points: Sequence[tuple[float, float]]
    style: int = 0
    mark: tuple[float, float] | None = None
    label: str = ""


@dataclass(frozen=True)
class Scale:
    """Where values lie on an axis: from `low` to `high` in the data, `start` to `end` in pixels."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The place of a value."""
        low, high, value = (
            math.log10(number) if self.log else number for number in (self.low, self.high, value)
        )
        return self.start + (self.end - self.start) * (value - low) / (high - low)


def curve_svg(lines: Sequence[Line], *, title: str, x_label: str = "epoch") -> str:
    """Draw lines into one chart, 640 wide and about 280 high, that scales to any width.

    The vertical axis is logarithmic when positive values span more than a factor of 20.

    Args:
        lines: at least one that has a point; every x is positive.
        title: stands above; a reader of the screen reads it too.
        x_label: stands below.
    """
    xs, ys = ([point[axis] for line in lines for point in line.points] for axis in (0, 1))
    log = min(ys) > 0 and max(ys) / min(ys) > LOG_RATIO
    across = Scale(0, max(xs), LEFT, WIDTH - RIGHT)
    air = AIR_FOR_LABEL if any(line.label for line in lines) else AIR
    pad = padded_log if log else padded
    up = Scale(*pad(ys, air), HEIGHT - BOTTOM, TOP, log)
    entries, height = legend(lines)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}" font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        text(LEFT, 18, title, anchor="start", size=14),
        text(WIDTH - RIGHT, HEIGHT - 5, x_label, anchor="end"),
        *y_axis(up),
        *x_axis(across),
        *(draw_line(line, across, up) for line in lines if line.points),
        *(drawn for line in lines if line.mark for drawn in draw_mark(line, across, up)),
        *entries,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def padded(values: Sequence[float], share: float = AIR) -> tuple[float, float]:
    """The range of values with some air; never empty."""
    low, high = min(values), max(values)
    air = share * (high - low) if high > low else max(abs(high) * 0.1, 0.5)
    return low - air, high + air


def padded_log(values: Sequence[float], share: float = AIR) -> tuple[float, float]:
    """The same for a logarithmic axis."""
    air = (max(values) / min(values)) ** share
    return min(values) / air, max(values) * air


def ticks(low: float, high: float, *, most: int = 6) -> list[float]:
    """Round values between low and high, 1, 2 or 5 times a power of ten apart."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten between low and high, with 2 and 5 times them where there are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    times = (1, 2, 5) if len(powers) < 6 else (1,)
    every = max(1, len(powers) // 8)
    values = (time * 10.0**power for power in powers if power % every == 0 for time in times)
    return [value for value in values if low <= value <= high]


def y_axis(up: Scale) -> list[str]:
    """Lines across with their values."""
    parts = []
    for value in (log_ticks if up.log else ticks)(up.low, up.high):
        y = up.at(value)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>'
        )
        parts.append(text(LEFT - 7, y + 4, f"{value:.4g}", anchor="end"))
    if up.log:
        parts.append(text(WIDTH - RIGHT, 18, "log scale", anchor="end", size=11))
    return parts


def x_axis(across: Scale) -> list[str]:
    """Epochs, which are whole."""
    values = [value for value in ticks(across.low, across.high, most=8) if value == round(value)]
    return [text(across.at(value), HEIGHT - BOTTOM + 17, f"{value:.0f}") for value in values]


def draw_line(line: Line, across: Scale, up: Scale) -> str:
    """A line, or a dot where there is one point only."""
    points = thinned(line.points)
    colour, dash = style(line)
    places = [f"{across.at(x):.1f},{up.at(y):.1f}" for x, y in points]
    if len(places) == 1:
        x, y = places[0].split(",")
        return f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>'
    return (
        f'<polyline points="{" ".join(places)}" fill="none" stroke="{colour}" stroke-width="1.8" '
        f'stroke-linejoin="round" stroke-dasharray="{dash}"/>'
    )


def draw_mark(line: Line, across: Scale, up: Scale) -> list[str]:
    """A ring around a point, and its label where there is room."""
    assert line.mark is not None
    x, y = across.at(line.mark[0]), up.at(line.mark[1])
    colour, _ = style(line)
    told = escape(f"{line.name}: {line.mark[1]:.4g} at {line.mark[0]:g}")
    ring = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}" fill-opacity="0.35" '
        f'stroke="{colour}" stroke-width="2"><title>{told}</title></circle>'
    )
    if not line.label:
        return [ring]
    anchor, share = ("start", 0.0) if x < WIDTH / 3 else ("middle", 0.5)
    if x > 2 * WIDTH / 3:
        anchor, share = "end", 1.0
    width = text_width(line.label)
    places = [(across.at(a), up.at(b)) for a, b in thinned(line.points)]
    left = x - share * width
    base = label_base(places, (x, y), left=left, right=left + width)
    return [ring, text(x, base, line.label, anchor=anchor)]


def legend(lines: Sequence[Line]) -> tuple[list[str], int]:
    """The names with their styles under the chart, in as many rows as they need.

    Returns:
        What to draw, and the height of the whole chart.
    """
    named: dict[str, Line] = {}
    for line in lines:
        if line.name and line.points:
            named.setdefault(line.name, line)
    parts, x, y = [], float(LEFT), HEIGHT + ROW - 5
    for name, line in named.items():
        colour, dash = style(line)
        shown = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
        width = 46 + text_width(shown)
        if x > LEFT and x + width > WIDTH:
            x, y = float(LEFT), y + ROW
        parts.append(
            f'<line x1="{x:.0f}" x2="{x + 24:.0f}" y1="{y - 4}" y2="{y - 4}" stroke="{colour}" '
            f'stroke-width="2.5" stroke-dasharray="{dash}"/>'
        )
        parts.append(text(x + 30, y, shown, anchor="start"))
        x += width
    return parts, y + 6 if named else HEIGHT


def style(line: Line) -> tuple[str, str]:
    """The colour and dashes of a line."""
    return COLOURS[line.style % len(COLOURS)], DASHES[line.style % len(DASHES)]


def text(x: float, y: float, content: str, *, anchor: str = "middle", size: int = 12) -> str:
    """A piece of text."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'fill="{TEXT}">{escape(content)}</text>'
    )


def thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """At most 800 points, at even distances, the first and the last among them."""
    if len(points) <= MOST_POINTS:
        return points
    last = len(points) - 1
    return [points[round(index * last / (MOST_POINTS - 1))] for index in range(MOST_POINTS)]
