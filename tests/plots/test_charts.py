import re
from xml.etree import ElementTree

import pytest

from zerosum.plots.charts import (
    BOTTOM,
    COLOURS,
    DASHES,
    HEIGHT,
    MOST_POINTS,
    TEXT,
    TOP,
    Line,
    Scale,
    curve_svg,
    log_ticks,
    thinned,
    ticks,
)

SVG = "{http://www.w3.org/2000/svg}"


def drawn(lines, title="metric"):
    return ElementTree.fromstring(curve_svg(lines, title=title))


def texts(svg):
    return [element.text for element in svg.iter(f"{SVG}text")]


def heights(svg):
    """The places on the vertical axis of the first line's points, in pixels from the top."""
    points = svg.find(f"{SVG}polyline").get("points").split()
    return [float(point.split(",")[1]) for point in points]


def test_higher_is_drawn_higher_and_distances_are_kept():
    low, high, middle = heights(drawn([Line(name="", points=[(1, 2), (2, 6), (3, 4)])]))
    assert high < middle < low
    assert middle == pytest.approx((low + high) / 2, abs=0.1)


def test_values_far_apart_are_drawn_in_their_ratios():
    svg = drawn([Line(name="", points=[(1, 1), (2, 10), (3, 100)])])
    low, middle, high = heights(svg)
    assert middle == pytest.approx((low + high) / 2, abs=0.1)
    assert {"log scale", "1", "10", "100"} <= set(texts(svg))


def test_what_is_not_positive_is_never_drawn_in_ratios():
    assert "log scale" not in texts(drawn([Line(name="", points=[(1, 0), (2, 100)])]))
    assert "log scale" not in texts(drawn([Line(name="", points=[(1, 10), (2, 100)])]))


@pytest.mark.parametrize("points", [[(1, 5)], [(1, 5), (2, 5)], [(1, 0), (2, 0)], [(7, 1e-9)]])
def test_a_constant_can_be_drawn(points):
    svg = drawn([Line(name="", points=points)])
    shape = "circle" if len(points) == 1 else "polyline"
    assert len(svg.findall(f"{SVG}{shape}")) == 1


def test_the_mark_is_on_its_point_with_its_label():
    svg = drawn([Line(name="a", points=[(1, 5), (2, 3)], mark=(2, 3), label="best 3")])
    ring = svg.find(f"{SVG}circle")
    last = svg.find(f"{SVG}polyline").get("points").split()[-1]
    assert f"{ring.get('cx')},{ring.get('cy')}" == last
    assert ring.find(f"{SVG}title").text == "a: 3 at 2"
    assert "best 3" in texts(svg)


def test_the_legend_names_each_style_once():
    lines = [Line(name=name, points=[(1, 1)]) for name in ("a", "a", "b", "")]
    assert [text for text in texts(drawn(lines)) if text in ("a", "b")] == ["a", "b"]


def test_a_long_legend_makes_the_chart_higher_and_stays_inside():
    lines = [Line(name=f"{n} " + "x" * 55, points=[(1, 1)], style=n) for n in range(5)]
    svg = drawn(lines)
    height = int(svg.get("viewBox").split()[3])
    assert height > int(drawn(lines[:1]).get("viewBox").split()[3])
    assert all(0 < float(text.get("y")) < height for text in svg.iter(f"{SVG}text"))


def test_names_of_wide_letters_end_before_the_next_one_begins():
    names = ["spectral_norm=true mm", "batch_size=128 mm"]
    svg = drawn([Line(name=name, points=[(1, 1)], style=n) for n, name in enumerate(names)])
    start = next(float(each.get("x")) for each in svg.iter(f"{SVG}text") if each.text == names[0])
    second = [each for each in svg.iter(f"{SVG}line") if each.get("stroke-dasharray")][1]
    # DejaVu Sans, among the widest: 0.64 of its size a letter on average.
    assert float(second.get("x1")) > start + 0.64 * 12 * len(names[0])


@pytest.mark.parametrize(("shape", "side"), [((9, 1, 9), 1), ((1, 9, 1), -1)])
def test_the_label_stands_where_the_line_is_not(shape, side):
    """Below a minimum, above a maximum; inside the chart, above the numbers of the axis."""
    points = list(enumerate(shape, 1))
    svg = drawn([Line(name="", points=points, mark=points[1], label="best")])
    label = next(each for each in svg.iter(f"{SVG}text") if each.text == "best")
    y, mark = float(label.get("y")), float(svg.find(f"{SVG}circle").get("cy"))
    assert side * (y - mark) > 0
    assert TOP < y - 9 < y + 3 < HEIGHT - BOTTOM


def test_names_are_escaped():
    name = '<script>alert("1")</script>&'
    svg = drawn([Line(name=name, points=[(1, 1)], mark=(1, 1), label=name)], title=name)
    assert svg.get("aria-label") == svg.find(f"{SVG}title").text == name
    assert not list(svg.iter(f"{SVG}script"))


def test_nothing_a_content_policy_would_block():
    svg = curve_svg([Line(name="a", points=[(1, 1), (2, 3)], mark=(1, 1))], title="t")
    assert not re.search(r"style=|<style|href|url\(", svg)


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


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (0.13, 0.58, [0.2, 0.3, 0.4, 0.5]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


def test_log_ticks_are_round_and_few():
    assert log_ticks(4, 120) == pytest.approx([5, 10, 20, 50, 100])
    assert 3 <= len(log_ticks(1e-12, 1e12)) <= 10


def test_a_scale_meets_both_ends():
    for log in (False, True):
        scale = Scale(2, 50, 300, 10, log)
        assert (scale.at(2), scale.at(50)) == pytest.approx((300, 10))


def test_many_points_are_thinned_from_end_to_end():
    points = [(x, x) for x in range(100_000)]
    kept = thinned(points)
    assert len(kept) == MOST_POINTS
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert thinned(points[:5]) == points[:5]
