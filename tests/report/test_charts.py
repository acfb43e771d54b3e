import re
from xml.etree import ElementTree

import pytest

from zerosum.report.charts import (
    Axis,
    Band,
    Line,
    line_chart,
    log_ticks,
    sparkline,
    ticks,
    vertical,
)

EVIL = "<img src=x onerror=alert(1)>\"'&"


def chart(points, **how):
    options = {"name": "m", "summary": "s", "x_title": "epochs", "x_end": 10, **how}
    return str(line_chart([Line(name="m", points=points)], **options))


def test_ticks_are_round():
    assert ticks(0, 10, 5) == [0, 2, 4, 6, 8, 10]
    assert ticks(-0.13, 0.21, 5) == [-0.1, 0.0, 0.1, 0.2]
    assert log_ticks(0.9, 1100, 5) == [1, 10, 100, 1000]
    assert log_ticks(8, 60, 5) == [10, 20, 50]
    assert len(log_ticks(1e-12, 1e12, 5)) <= 5


@pytest.mark.parametrize(
    ("values", "log"), [([1, 100], True), ([0, 100], False), ([-1, 5], False), ([3.0], False)]
)
def test_the_axis_shows_all_values(values, log):
    axis = vertical(values)
    assert axis.log == log
    assert all(0 <= axis.at(value) <= 1 for value in values)
    assert axis.ticks(5)


def test_an_axis_of_one_place():
    assert Axis(2.0, 2.0).at(2.0) == 0


def test_a_line_goes_through_its_points():
    made = chart([(0, 0.0), (5, 50.0), (10, 100.0)])
    path = re.search(r'd="M([^"]+)"', made)[1]
    places = [tuple(map(float, place.split())) for place in path.split("L")]
    assert [x for x, _ in places] == [0, 500, 1000]
    assert places[0][1] > places[1][1] > places[2][1]  # downwards in the drawing is lower


def test_it_is_well_formed_and_has_no_style_of_its_own():
    made = chart(
        [(1, 3.0), (2, 1.0)],
        name=EVIL,
        summary=EVIL,
        bands=[Band(name=EVIL, start=1, end=1)],
        mark=(2, 1.0),
        mark_text=EVIL,
    )
    tree = ElementTree.fromstring(made)
    assert not any("style" in element.attrib for element in tree.iter())
    assert not [element for element in tree.iter() if element.tag == "img"]
    (drawing,) = [element for element in tree.iter() if element.get("role") == "img"]
    assert EVIL in drawing.get("aria-label")
    (band,) = [element for element in tree.iter() if element.get("class") == "band"]
    assert float(band.get("width").rstrip("%")) > 0.5  # a single look can be seen


def test_one_point_is_a_dot_and_many_are_thinned():
    assert 'class="dot c0"' in chart([(1, 2.0)])
    long = chart([(index / 100, float(index)) for index in range(1000)])
    assert long.count("L") < 401
    assert len(long) < 12_000


def test_a_spark_needs_two_points():
    assert sparkline([(1, 2.0)]) == ""
    assert "path" in sparkline([(1, 2.0), (2, 2.0)])


def test_enormous_values_are_drawn_at_the_rim():
    axis = vertical([1e308, -1e308, 1.0])
    assert axis.ticks(5)
    assert 0 <= axis.at(1e308) <= 1
    assert Axis(0, 1).at(1e308) == 2


@pytest.mark.parametrize("values", [(1e308, -1e308, 0.0), (5e-324, 1.0), (1e-310, 1e100)])
def test_a_chart_of_any_finite_values_is_drawn(values):
    made = chart(list(enumerate(values)))
    assert not {"nan", "inf"} & set(re.findall("[a-z]+", made))


def test_the_spark_of_enormous_values_shows_which_is_more():
    made = str(sparkline([(0, 1e308), (1, -1e308)]))
    high, low = re.search(r'd="M0.0 ([\d.]+)L1000.0 ([\d.]+)"', made).groups()
    assert 0 < float(high) < float(low) < 1000
