import pytest

from zerosum.plots.labels import ABOVE, BELOW, clipped, label_base, text_width


def test_chinese_signs_are_wider():
    assert text_width("学习率") > text_width("abc") > text_width("ab") > text_width("") == 0


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([(0, 50), (100, 100), (200, 50)], BELOW),
        ([(0, 150), (100, 100), (200, 150)], ABOVE),
        ([(0, 0), (100, 100)], BELOW),
        ([(100, 100)], ABOVE),
    ],
)
def test_a_label_goes_where_the_line_is_farther_off(places, expected):
    assert label_base(places, (100, 100), left=60, right=140) == 100 + expected


def test_a_steep_line_between_two_points_counts():
    """None of its points lies beside the label, and yet it crosses the place above."""
    places = [(95, 300), (100, 100), (105, -300)]
    assert label_base(places, (100, 100), left=101, right=160) == 100 + BELOW


def test_a_line_is_cut_where_the_label_ends():
    assert clipped([(0, 0), (10, 20)], 2, 5) == [(2, 4), (5, 10)]
    assert clipped([(0, 0), (10, 20)], 20, 30) == []
