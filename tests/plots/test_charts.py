import json
import logging
import re
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

from zerosum.data.catalog import mixture_of
from zerosum.plots.charts import (
    BRINK,
    CAPTION,
    COLOURS,
    DASHES,
    EDGE,
    MOST_POINTS,
    SIDE,
    TEXT,
    Line,
    Row,
    Slice,
    bars,
    curves,
    dots,
    scatter,
    slices,
)

SVG = "{http://www.w3.org/2000/svg}"
EVIL = '<script>alert("1")</script>&'
RING = mixture_of("ring")


def drawn(lines, title="metric"):
    return ElementTree.fromstring(curves({title: lines}))


def texts(svg):
    return [element.text for element in svg.iter(f"{SVG}text")]


def place(svg, content):
    """Where a text's base line is, the lowest of its kind: points from the left and the top."""
    found = [each for each in svg.iter(f"{SVG}text") if each.text == content]
    return max(((float(each.get("x")), float(each.get("y"))) for each in found), key=lambda p: p[1])


def style(element):
    return dict(part.split(": ") for part in element.get("style", "").split("; ") if part)


def strokes(svg):
    """The points of every line with a colour of ours, in points from the left and the top."""
    found = []
    for path in svg.iter(f"{SVG}path"):
        numbers = re.findall(r"[ML] (\S+) (\S+)", path.get("d"))
        if style(path).get("stroke") in COLOURS and path.get("clip-path"):
            found.append([tuple(map(float, pair)) for pair in numbers])
    return found


def heights(svg):
    return [y for _, y in strokes(svg)[0]]


def rings(svg):
    return [(float(each.get("x")), float(each.get("y"))) for each in svg.iter(f"{SVG}use")]


class TestCurves:
    def test_higher_is_drawn_higher_and_distances_are_kept(self):
        low, high, middle = heights(drawn([Line(name="", points=[(1, 2), (2, 6), (3, 4)])]))
        assert high < middle < low
        assert middle == pytest.approx((low + high) / 2, abs=0.02)

    def test_epochs_begin_at_0_and_need_not_be_whole(self):
        svg = drawn([Line(name="", points=[(0.25, 2), (0.5, 6), (1.5, 4)])])
        first, second, last = (x for x, _ in strokes(svg)[0])
        assert last - second == pytest.approx(4 * (second - first), abs=0.05)
        assert place(svg, "0")[0] == pytest.approx(first - (second - first), abs=0.05)
        assert "0.2" in texts(svg)

    def test_values_far_apart_are_drawn_in_their_ratios(self):
        svg = drawn([Line(name="", points=[(1, 1), (2, 10), (3, 100)])])
        low, middle, high = heights(svg)
        assert middle == pytest.approx((low + high) / 2, abs=0.02)
        assert {"log scale", "1", "10", "100"} <= set(texts(svg))

    def test_what_is_not_positive_or_near_is_never_drawn_in_ratios(self):
        assert "log scale" not in texts(drawn([Line(name="", points=[(1, 0), (2, 100)])]))
        assert "log scale" not in texts(drawn([Line(name="", points=[(1, 10), (2, 100)])]))

    def test_values_very_far_apart_have_few_ticks(self):
        svg = drawn([Line(name="", points=[(1, 1e-12), (2, 1e12)])])
        assert 3 <= sum(text.startswith("1e") for text in texts(svg)) <= 12

    @pytest.mark.parametrize("points", [[(1, 5), (2, 5)], [(1, 0), (2, 0)], [(1, -3), (2, -3)]])
    def test_a_constant_is_a_level_line(self, points):
        (first, second) = heights(drawn([Line(name="", points=points)]))
        assert first == second

    @pytest.mark.parametrize("point", [(1, 5), (7, 1e-9), (0.05, 0)])
    def test_one_point_is_a_dot(self, point):
        assert len(rings(drawn([Line(name="", points=[point])]))) == 1
        assert not rings(drawn([Line(name="", points=[point, (8, 1)])]))

    def test_the_mark_is_on_its_point_with_its_label(self):
        line = Line(name="a", points=[(1, 5), (2, 3)], mark=(2, 3), label="best 3")
        svg = drawn([line])
        assert rings(svg) == [pytest.approx(strokes(svg)[0][-1], abs=0.01)]
        assert "best 3" in texts(svg)

    @pytest.mark.parametrize(("shape", "side"), [((9, 1, 9), 1), ((1, 9, 1), -1)])
    def test_the_label_stands_where_the_line_is_not(self, shape, side):
        """Below a minimum, above a maximum; inside the chart, above the numbers of the axis."""
        points = list(enumerate(shape, 1))
        svg = drawn([Line(name="", points=points, mark=points[1], label="best")], title="title")
        y, mark = place(svg, "best")[1], rings(svg)[0][1]
        assert side * (y - mark) > 0
        assert place(svg, "title")[1] < y - 7 < y + 2 < place(svg, "0")[1] - 7

    def test_the_legend_names_each_style_once(self):
        lines = [Line(name=name, points=[(1, 1)]) for name in ("a", "a", "_b", "")]
        lines.append(Line(name="absent", points=[]))
        shown = texts(drawn(lines))
        assert [text for text in shown if text in ("a", "_b", "absent", "")] == ["a", "_b"]

    def test_a_long_legend_makes_the_chart_higher_and_stays_inside(self):
        lines = [Line(name=f"{n} " + "x" * 70, points=[(1, 1)], style=n) for n in range(5)]
        svg, small = drawn(lines), drawn(lines[:1])
        height = float(svg.get("viewBox").split()[3])
        assert height > float(small.get("viewBox").split()[3]) + 30
        names = [text for text in texts(svg) if "xx" in text]
        assert len(names) == 5
        assert all(len(name) == 60 and name.endswith("…") for name in names)
        assert all(0 < place(svg, name)[1] < height for name in names)
        assert place(svg, names[1])[1] > place(svg, names[0])[1] + 9

    def test_charts_stand_below_one_another_and_short_names_in_a_row(self):
        line = Line(name="", points=[(1, 1), (2, 2)])
        losses = [Line(name=f"loss {player}", points=[(1, 1), (2, 2)]) for player in "DG"]
        svg = ElementTree.fromstring(curves({"first": [line], "second": losses}))
        assert place(svg, "first")[1] + 100 < place(svg, "second")[1]
        assert place(svg, "loss D")[1] == place(svg, "loss G")[1] > place(svg, "second")[1] + 100
        assert svg.find(f"{SVG}title").text == "first; second"

    def test_many_points_are_thinned_from_end_to_end_and_weigh_little(self):
        noise = np.random.default_rng(0).random(20_000)
        content = curves({"": [Line(name="", points=list(enumerate(noise)))]})
        (points,) = strokes(ElementTree.fromstring(content))
        assert 0.9 * MOST_POINTS < len(points) <= MOST_POINTS
        svg = ElementTree.fromstring(content)
        assert points[0][0] == pytest.approx(place(svg, "0")[0], abs=0.5)
        assert points[-1][0] == pytest.approx(place(svg, "20000")[0], abs=0.5)
        assert len(content) < 25_000


class TestDots:
    ROWS = (
        Row(name="base", values=(1, 2, 3), mean=2, interval=(0, 4)),
        Row(name="_other", values=(), mean=None),
        Row(name="third", values=(2.5,), mean=2.5),
    )

    def test_a_row_a_group_and_a_dot_a_run(self):
        svg = ElementTree.fromstring(dots(self.ROWS, title="metric"))
        assert place(svg, "base")[1] < place(svg, "_other")[1] < place(svg, "third")[1]
        row = [x for x, y in rings(svg) if y < place(svg, "_other")[1]]
        mean, *values = row  # the mean stands at the middle one
        assert values[1] == pytest.approx(mean, abs=0.01)
        assert values[2] - values[1] == pytest.approx(values[1] - values[0], abs=0.01)
        assert len(rings(svg)) == 4 + 0 + 2

    def test_the_interval_is_as_long_as_it_is(self):
        svg = ElementTree.fromstring(dots(self.ROWS, title="metric"))
        ((low, _), (high, _)) = strokes(svg)[0]
        xs = [x for x, _ in rings(svg)]
        assert high - low == pytest.approx(4 * (xs[2] - xs[1]), abs=0.05)

    def test_values_far_apart_are_drawn_in_their_ratios_even_where_the_interval_is_negative(self):
        rows = [Row(name="a", values=(1, 10, 100), mean=37, interval=(-99, 173))]
        svg = ElementTree.fromstring(dots(rows, title="metric"))
        assert "log scale" in texts(svg)
        _, low, middle, high = (x for x, _ in rings(svg))
        assert middle == pytest.approx((low + high) / 2, abs=0.02)
        assert 0 < low < high < float(svg.get("viewBox").split()[2])

    def test_one_value_can_be_drawn(self):
        assert dots([Row(name="a", values=(0,), mean=0)], title="t").count("<use") == 2


CHARTS = {
    "curves": lambda name: curves(
        {name: [Line(name=name, points=[(1, 1)], mark=(1, 1), label=name)]}
    ),
    "dots": lambda name: dots([Row(name=name, values=(1, 2), mean=1.5)], title=name),
}


@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)
class TestAnyChart:
    @pytest.mark.parametrize("name", [EVIL, "$x$ costs $1", r"\frac{1}{2}_^", "]]>", "{{ 7*7 }}"])
    def test_names_are_shown_as_they_are_and_run_nothing(self, chart, name):
        svg = ElementTree.fromstring(chart(name))
        assert svg.find(f"{SVG}title").text == name
        assert texts(svg).count(name) >= 2
        assert not list(svg.iter(f"{SVG}script"))
        assert not [key for each in svg.iter() for key in each.attrib if key.startswith("on")]

    def test_what_does_not_print_is_replaced(self, chart):
        svg = ElementTree.fromstring(chart("a\x00\nb\udc80").encode())
        assert texts(svg).count("a??b?") >= 2

    def test_letters_that_the_fonts_lack_are_the_readers_to_show(self, chart, recwarn, capfd):
        assert "学习率" in texts(ElementTree.fromstring(chart("学习率")))
        assert not list(recwarn)
        assert capfd.readouterr() == ("", "")

    def test_the_same_again_whatever_the_users_settings(self, chart):
        first = chart("a")
        assert chart("a") == first
        changed = {"font.size": 30, "axes.facecolor": "black", "svg.hashsalt": None}
        with matplotlib.rc_context(changed):
            assert chart("a") == first
            assert matplotlib.rcParams["font.size"] == 30

    def test_it_is_transparent_and_its_text_is_gray_and_text(self, chart):
        svg = ElementTree.fromstring(chart("a"))
        assert all(style(each)["fill"] == TEXT for each in svg.iter(f"{SVG}text"))
        areas = [each for each in svg.iter(f"{SVG}path") if style(each) == {"fill": "none"}]
        assert len(areas) >= 2  # the figure and the chart
        assert not re.search("white|#ffffff|black|#000000", ElementTree.tostring(svg, "unicode"))


def test_lines_can_be_told_from_white_and_dark_and_without_colour():
    for colour in COLOURS:
        assert contrast(colour, "#ffffff") >= 3
        assert contrast(colour, "#14171a") >= 3
    assert contrast(TEXT, "#ffffff") >= 4.5
    assert contrast(TEXT, "#000000") >= 4.5
    assert len(set(COLOURS)) == len(set(DASHES)) == len(COLOURS) == len(DASHES)


def contrast(first, second):
    """WCAG 2.1's contrast ratio."""
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


ALONE = """
import json, logging, os, sys
from zerosum.plots.charts import Line, Row, curves, dots, scatter
assert "matplotlib" not in sys.modules
import numpy
curves({"学": [Line(name="学", points=[(1, 1)])]})
dots([Row(name="a", values=(1,))], title="a")
scatter(numpy.zeros((3, 2), "float32"))
import matplotlib
json.dump({
    "windows": "matplotlib.pyplot" in sys.modules,
    "size": matplotlib.rcParams["font.size"],
    "level": logging.getLogger("matplotlib").level,
}, sys.stdout)
"""


@pytest.mark.slow
def test_in_a_process_without_home_or_display_it_leaves_nothing_behind(tmp_path):
    """No folder for matplotlib's settings can be made below a file."""
    file = tmp_path / "file"
    file.write_text("")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ALONE],
        env={"HOME": str(file), "XDG_CACHE_HOME": str(file), "XDG_CONFIG_HOME": str(file)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found == {"windows": False, "size": 10, "level": logging.NOTSET}


def pixels(points, mixture=None):
    """The plane without its frame and caption, int (h, w, 3)."""
    picture = scatter(np.array(points, np.float32), mixture)
    assert (picture.size, picture.mode) == ((SIDE, SIDE + CAPTION), "RGB")
    return np.asarray(picture).astype(int)[:SIDE][2:-2, 2:-2]


def blue(plane):
    """Where samples are drawn: (row, column) of bluish pixels."""
    return np.argwhere(plane[..., 2] - plane[..., 0] > 60) + 2


def orange(plane):
    """Where modes are drawn."""
    return np.argwhere(plane[..., 0] - plane[..., 2] > 60) + 2


def to_pixels(points):
    """Where points (n, 2) should be drawn: (row, column)."""
    return ((np.array(points)[:, ::-1] * (-1, 1) / EDGE + 1) * SIDE / 2) - 0.5


class TestScatter:
    def test_a_point_is_drawn_where_it_is_and_up_is_up(self):
        found = blue(pixels([[0.5, 0.8]])).mean(axis=0)
        assert found == pytest.approx(to_pixels([[0.5, 0.8]])[0], abs=1)

    def test_a_point_outside_is_drawn_at_the_brink(self):
        found = blue(pixels([[7, 0]])).mean(axis=0)
        assert found == pytest.approx(to_pixels([[BRINK, 0]])[0], abs=1)

    def test_many_points_are_darker_than_one(self):
        one, many = pixels([[0, 0]]), pixels(np.zeros((20, 2)))
        assert many.sum() < one.sum()
        assert blue(many).mean(axis=0) == pytest.approx(blue(one).mean(axis=0), abs=0.5)

    def test_every_mode_has_a_circle_around_it_even_without_points(self):
        found = orange(pixels([[0, 0]], RING))
        places = to_pixels(RING.centres)
        distances = np.linalg.norm(found[:, None] - places[None], axis=2)
        assert distances.min(axis=1).max() < 12  # nothing is anywhere else
        assert set(distances.argmin(axis=1)) == set(range(8))  # none has been left out
        assert distances.min() > 3 * RING.deviation / EDGE * SIDE / 2  # and no dot is hidden
        assert not len(orange(pixels([[0, 0]])))

    def test_the_background_is_white(self):
        plane = pixels([[0, 0]], RING)
        assert (plane.min(axis=2) == 255).mean() > 0.9

    @pytest.mark.parametrize(
        ("centres", "covered"), [(RING.centres, 8), (RING.centres[:3], 3), (((0, 0),), 0)]
    )
    def test_the_caption_counts(self, centres, covered, monkeypatch):
        written = []
        monkeypatch.setattr(
            "matplotlib.figure.Figure.text",
            lambda self, x, y, text, **more: written.append(text),
        )
        scatter(np.array(centres, np.float32), RING)
        count = len(centres)
        assert written[0].startswith(f"{covered} of 8 modes (circles) are found by {count} poi")
        assert f"{100 if covered else 0:.1f}% of which" in written[0]
        scatter(np.array(centres, np.float32))
        assert written[1] == f"{count} points between -1.05 and 1.05"


class TestSlices:
    RATE = Slice(
        name="rate",
        points=[(1e-4, 5.0), (1e-2, 4.0), (1e-3, 3.0)],
        given_up=[(1e-3, 6.0)],
        log=True,
    )
    BETAS = Slice(
        name="betas", points=[("0 0.9", 5.0), ("0.5 0.9", 4.0)], choices=["0 0.9", "0.5 0.9"]
    )

    def test_a_chart_a_setting(self):
        svg = ElementTree.fromstring(slices([self.RATE, self.BETAS], title="metric"))
        shown = texts(svg)
        assert {"rate", "betas", "0 0.9", "0.5 0.9", "0.001"} <= set(shown)
        assert shown.count("metric") == 2

    def test_only_trials_that_were_given_up_can_be_drawn(self):
        alone = Slice(name="rate", points=[], given_up=[(1e-3, 6.0)], log=True)
        assert "rate" in texts(ElementTree.fromstring(slices([alone], title="metric")))

    def test_later_dots_are_darker(self):
        svg = slices([self.RATE], title="metric")
        found = [float(value) for value in re.findall(r"fill-opacity: ([0-9.]+)", svg)]
        assert len(found) >= 2
        assert sorted(set(found)) == list(dict.fromkeys(found))

    def test_names_run_nothing(self):
        evil = Slice(name=EVIL, points=[(EVIL, 1.0)], choices=[EVIL])
        svg = slices([evil], title=EVIL)
        assert "<script>" not in svg
        assert slices([evil], title=EVIL) == svg


def test_bars_name_their_number():
    svg = ElementTree.fromstring(bars({"rate": 0.875, EVIL: 0.125}, title="importance"))
    assert "rate  0.88" in texts(svg) or "rate  0.87" in texts(svg)
    assert any(EVIL in (text or "") for text in texts(svg))
