"""Charts: lines over epochs, dots of seeds, trials over settings, points in the plane.

matplotlib draws them. All but the points in the plane come as SVG with a transparent background
that stands on white and on dark pages: colours have a contrast of 3:1 with both, text has one of
4.5:1 with white and with black, and lines differ in their dashes as well as in their colour. The
same input gives the same bytes. matplotlib is imported where it draws, and leaves nothing behind:
no setting, no warning, no window.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from PIL import Image

from zerosum.data.arrays import Points
from zerosum.data.mixture import Centre, Mixture
from zerosum.metrics.modes import count_gaussian_modes
from zerosum.metrics.tallies import GOOD_DEVIATIONS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import LogLocator

# Blue, vermillion, green and purple of Okabe and Ito's palette for the colour-blind; its other
# colours are too pale on white, and give way to a brown and a gray.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#c06a98", "#8f6a00", "#767676")
DASHES = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), (0, (8, 2)), (0, (2, 2)))
TEXT, GRID, INK = "#767676", "#88888855", "#444444"
STYLE = {
    "axes.facecolor": "none",
    "axes.labelcolor": TEXT,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    **{f"axes.spines.{side}": False for side in ("left", "right", "top", "bottom")},
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.08,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "grid.color": GRID,
    **dict.fromkeys(("legend.borderpad", "legend.borderaxespad"), 0),
    "legend.frameon": False,
    "legend.handlelength": 3,
    "lines.linewidth": 1.4,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "zerosum",
    "text.color": TEXT,
    "text.parse_math": False,  # a dollar in a name is a dollar
    **{f"{axis}tick.color": TEXT for axis in "xy"},
    **{f"{axis}tick.major.size": 0 for axis in "xy"},
}
WIDTH = 6.4  # inches, of 72 points
MOST_POINTS, LONGEST_NAME, LETTERS_A_ROW = 800, 60, 76
LOG_RATIO = 20
SIDE, CAPTION, DPI = 480, 46, 100  # of a scatter plot, in pixels
EDGE, BRINK = 1.05, 1.03
"""A scatter plot shows the plane from -EDGE to EDGE, a little more than a Tanh reaches. What lies
outside is drawn at the brink."""
ROOM = 0.013
"""How much wider than 99 % of its Gaussian a circle is, so that it hides none of the dots."""


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


@dataclass(frozen=True, kw_only=True)
class Row:
    """A group of runs: its name, the value of each, their mean and an interval of it, if any."""

    name: str
    values: Sequence[float]
    mean: float | None = None
    interval: tuple[float, float] | None = None


def curves(panels: Mapping[str, Sequence[Line]]) -> str:
    """Draw lines over epochs as SVG that scales to any width, in charts below one another.

    A vertical axis is logarithmic where positive values span more than a factor of 20.

    Args:
        panels: by the title of each chart its lines, of which one at least has a point.
    """
    drawn = {title: [line for line in lines if line.points] for title, lines in panels.items()}
    names = [{shown(line.name): line for line in lines if line.name} for lines in drawn.values()]
    columns = [LETTERS_A_ROW // (max(map(len, each), default=0) + 8) or 1 for each in names]
    heights = [2.6 + 0.17 * -(-len(each) // n) for each, n in zip(names, columns, strict=True)]
    with matplotlib_alone():
        figure, rows = new_figure(heights)
        for axes, (title, lines), n in zip(rows, drawn.items(), columns, strict=True):
            handles = {shown(line.name): draw_line(axes, line) for line in lines}
            handles.pop("", None)
            if handles:
                legend = axes.legend(handles.values(), handles.keys(), ncols=n, loc="upper left")
                legend.set_bbox_to_anchor((0, -0.19), axes.transAxes)
            axes.margins(y=0.2 if any(line.label for line in lines) else 0.06)
            scale(axes, "y", title, [value for line in lines for _, value in line.points])
            axes.set_xlim(left=0)
            axes.xaxis.set_major_formatter("{x:g}")
            axes.set_xlabel("epoch", loc="right", labelpad=1)
        return to_svg(figure, title="; ".join(map(shown, panels)))


def draw_line(axes: Axes, line: Line) -> Line2D:
    """Draw a line, or a dot where there is one point only, and its mark with the label.

    A mark is the best of its line, at its bottom or at its top: beyond it there is room.
    """
    count = len(line.points)
    kept = np.linspace(0, count - 1, min(count, MOST_POINTS)).round().astype(int)
    xs, ys = np.array(line.points, dtype=float)[kept].T
    colour, dashes = COLOURS[line.style % len(COLOURS)], DASHES[line.style % len(DASHES)]
    (made,) = axes.plot(xs, ys, color=colour, ls=dashes, marker="o" if count == 1 else "", ms=4)
    if line.mark is not None:
        axes.plot(*line.mark, "o", ms=7, mfc=colour + "59", mec=colour, mew=1.4)
        at_bottom = line.mark[1] <= np.median(ys)
        share = line.mark[0] / xs[-1]
        axes.annotate(
            shown(line.label),
            line.mark,
            (0, -8 if at_bottom else 8),
            textcoords="offset points",
            ha="left" if share < 1 / 3 else "right" if share > 2 / 3 else "center",
            va="top" if at_bottom else "bottom",
        ).set_in_layout(False)
    return made


def dots(rows: Sequence[Row], *, title: str) -> str:
    """Draw groups of runs as SVG: a row each, with a dot a run, the mean and its interval.

    The axis is logarithmic where positive values span more than a factor of 20.

    Args:
        rows: the groups, of which one at least has a value.
        title: stands above.
    """
    with matplotlib_alone():
        figure, (axes,) = new_figure([0.7 + 0.55 * len(rows)])
        for y, row in enumerate(rows):
            colour = COLOURS[y % len(COLOURS)]
            axes.text(0, y - 0.3, shown(row.name), transform=axes.get_yaxis_transform())
            if row.interval is not None:
                axes.plot(row.interval, (y, y), color=colour + "4d", lw=6, solid_capstyle="round")
            if row.mean is not None:
                axes.plot(row.mean, y, "|", color=colour, ms=14, mew=2.2)
            axes.plot(row.values, [y] * len(row.values), "o", ms=6, mfc=colour + "99", mec=colour)
        scale(axes, "x", title, [value for row in rows for value in row.values])
        axes.set_ylim(len(rows) - 0.5, -0.7)
        axes.set_yticks([])
        return to_svg(figure, title=shown(title))


@dataclass(frozen=True, kw_only=True)
class Slice:
    """What trials came to over one of their settings.

    Attributes:
        name: the setting.
        points: (setting, value) of trials that were trained to the end, in the order of trials.
        given_up: the same of trials that were not; their values are what they had come to.
        choices: the setting's texts, in order, where it is no number.
        log: whether the setting's axis is logarithmic.
    """

    name: str
    points: Sequence[tuple[float | str, float]]
    given_up: Sequence[tuple[float | str, float]] = ()
    choices: Sequence[str] = ()
    log: bool = False


def slices(each: Sequence[Slice], *, title: str) -> str:
    """Draw charts below one another as SVG: a metric over each setting, a dot a trial.

    Later trials are darker; trials that were given up are crosses.

    Args:
        each: the settings, of which each has a point of either kind.
        title: what the vertical axis shows; logarithmic where it spans more than a factor of 20.
    """
    with matplotlib_alone():
        figure, rows = new_figure([2.3] * len(each))
        for axes, part in zip(rows, each, strict=True):
            texts = {text: at for at, text in enumerate(part.choices)}

            def place(x: float | str, texts: Mapping[str, int] = texts) -> float:
                return texts[str(x)] if texts else float(x)

            count = len(part.points)
            for order, (x, y) in enumerate(part.points):
                shade = round(70 + 150 * (order + 1) / count)
                axes.plot(place(x), y, "o", ms=6, mfc=f"{COLOURS[0]}{shade:02x}", mec=COLOURS[0])
            for x, y in part.given_up:
                axes.plot(place(x), y, "x", ms=6, color=COLOURS[1])
            scale(axes, "y", title, [y for _, y in (*part.points, *part.given_up)])
            axes.margins(x=0.06, y=0.1)
            if texts:
                axes.set_xlim(-0.5, len(texts) - 0.5)
                axes.set_xticks(range(len(texts)), [shown(text) for text in texts])
            else:
                if part.log:
                    axes.set_xscale("log")
                    xs = [float(x) for x, _ in (*part.points, *part.given_up)]
                    axes.xaxis.set_major_locator(log_locator(min(xs), max(xs)))
                axes.xaxis.set_major_formatter("{x:.3g}")
                axes.xaxis.set_minor_formatter("")
                axes.grid(axis="x")
            axes.set_xlabel(shown(part.name), loc="right", labelpad=1)
        return to_svg(figure, title=f"{shown(title)} over each setting")


def bars(shares: Mapping[str, float], *, title: str) -> str:
    """Draw numbers from 0 on as SVG: a bar each, with its name and the number.

    Args:
        shares: by name, at least one.
        title: stands above.
    """
    with matplotlib_alone():
        figure, (axes,) = new_figure([0.6 + 0.42 * len(shares)])
        for y, (name, share) in enumerate(shares.items()):
            axes.barh(y, share, height=0.32, color=COLOURS[0])
            axes.text(0, y - 0.24, f"{shown(name)}  {share:.2f}", va="bottom")
        axes.set_title(shown(title))
        axes.set_xlim(left=0)
        axes.set_ylim(len(shares) - 0.6, -0.8)
        axes.set_xticks([])
        axes.set_yticks([])
        return to_svg(figure, title=shown(title))


def scatter(points: Points, mixture: Mixture | None = None) -> Image.Image:
    """Draw points as blue dots, inside circles where 99 % of the data's points are.

    Args:
        points: float (n, 2), n at least 1. One outside of the picture is drawn at its brink.
        mixture: the data's Gaussians, if they are known: a circle around each.

    Returns:
        A picture of the plane, and below it what was found, in words.
    """
    caption = f"{len(points):,} points between {-EDGE} and {EDGE}"
    centres: Sequence[Centre] = ()
    radius = 0.0
    if mixture is not None:
        centres, radius = mixture.centres, GOOD_DEVIATIONS * mixture.deviation + ROOM
        found = count_gaussian_modes(
            torch.from_numpy(points), torch.tensor(centres), deviation=mixture.deviation
        )
        caption = (
            f"{found.covered} of {len(centres)} modes (circles) are found by {len(points):,} "
            f"points,\n{found.good:.1%} of which lie within {GOOD_DEVIATIONS} standard deviations "
            "of one"
        )
    with matplotlib_alone():
        from matplotlib.figure import Figure
        from matplotlib.patches import Circle

        height = SIDE + CAPTION
        figure = Figure((SIDE / DPI, height / DPI))
        axes = figure.add_axes(
            (0, CAPTION / height, 1, SIDE / height), xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE)
        )
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set(visible=True, color="#cccccc")
        for centre in centres:
            axes.add_patch(Circle(centre, radius, fill=False, ec=COLOURS[1], lw=0.8))
        axes.plot(*np.clip(points, -BRINK, BRINK).T, "o", ms=2, mew=0, alpha=0.5, color=COLOURS[0])
        figure.text(8 / SIDE, (CAPTION - 6) / height, caption, color=INK, size=10, va="top")
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=DPI, facecolor="white")
        return Image.open(file).convert("RGB")


@contextmanager
def matplotlib_alone() -> Iterator[None]:
    """Draw with our settings, whatever the user's are, and neither print nor warn.

    It would speak of a home that cannot be written and of letters that its fonts lack, which the
    reader's have.
    """
    log = logging.getLogger("matplotlib")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import matplotlib.style

            with matplotlib.style.context(["default", STYLE]):
                yield
    finally:
        log.setLevel(level)


def new_figure(heights: Sequence[float]) -> tuple[Figure, list[Axes]]:
    """A figure with charts below one another, each of so many inches."""
    from matplotlib.figure import Figure

    figure = Figure((WIDTH, sum(heights)))
    charts = figure.subplots(len(heights), squeeze=False, height_ratios=heights)
    return figure, list(charts[:, 0])


def scale(axes: Axes, axis: Literal["x", "y"], title: str, values: Sequence[float]) -> None:
    """Title a chart, and draw lines at round values of an axis, logarithmic if they span much."""
    from matplotlib.ticker import NullLocator

    axes.set_title(shown(title))
    low, high = min(values), max(values)
    which = axes.xaxis if axis == "x" else axes.yaxis
    if low > 0 and high / low > LOG_RATIO:
        axes.set(**{f"{axis}scale": "log"})
        which.set_major_locator(log_locator(low, high))
        which.set_minor_locator(NullLocator())
        axes.set_title("log scale", loc="right", fontsize=8)
    which.set_major_formatter("{x:.4g}")
    axes.grid(axis=axis)


def log_locator(low: float, high: float) -> LogLocator:
    """Round values of a logarithmic axis."""
    from matplotlib.ticker import LogLocator

    return LogLocator(subs=(1, 2, 5) if high / low < 1e4 else (1,))


def to_svg(figure: Figure, *, title: str) -> str:
    """A figure as SVG text, which begins with its title, for readers of the screen too."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Title": title, "Date": None, "Creator": None})
    # A hundredth of a point is all that anybody sees.
    point = r'(?m)(^|")([ML] \S+\.\d\d)\d* (\S+\.\d\d)\d* $'
    return re.sub(point, r"\1\2 \3", file.getvalue())


def shown(name: str) -> str:
    """A name as a chart can show it: not too long, and without what does not print."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in name)
    return clean if len(clean) <= LONGEST_NAME else clean[: LONGEST_NAME - 1] + "…"
