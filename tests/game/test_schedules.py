import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerosum.game.schedules import cosine, linear

VALUES = st.floats(-100, 100)
IMAGES = st.integers(1, 10**8)


@given(VALUES, VALUES, IMAGES)
def test_every_schedule_ends_exactly_where_it_should_and_stays_there(start, end, images):
    for schedule in (cosine(start, end, images=images), linear(start, end, images=images)):
        assert schedule(0) == start
        assert schedule(images) == schedule(images + 1) == schedule(10**9) == end


@given(VALUES, VALUES, IMAGES)
def test_every_schedule_is_monotone_and_continuous_at_its_end(start, end, images):
    for schedule in (cosine(start, end, images=images), linear(start, end, images=images)):
        values = [schedule(images * step // 16) for step in range(17)]
        falling = sorted(values, reverse=start > end)
        assert values == pytest.approx(falling, abs=1e-12)
        assert values[-1] == end
    assert linear(start, end, images=10**6)(10**6 - 1) == pytest.approx(end, abs=1e-3)


def test_the_cosine_is_half_way_in_the_middle_and_flat_at_its_ends():
    schedule = cosine(2e-4, 5e-5, images=1_000_000)
    assert schedule(500_000) == pytest.approx((2e-4 + 5e-5) / 2)
    assert schedule(250_000) == pytest.approx(5e-5 + 1.5e-4 * (1 + math.sqrt(0.5)) / 2)
    moved = [abs(schedule(seen + 1000) - schedule(seen)) for seen in (0, 499_500, 999_000)]
    assert moved[0] < moved[1] / 100 > moved[2]


def test_it_rises_as_well_as_it_falls():
    schedule = cosine(0.9, 0.99, images=100)
    assert [round(schedule(seen), 4) for seen in (0, 50, 100)] == [0.9, 0.945, 0.99]


def test_the_line_holds_its_start_until_it_begins():
    schedule = linear(2e-4, 0, images=200, begin=100)
    assert [schedule(seen) for seen in (0, 50, 100)] == [2e-4] * 3
    assert schedule(150) == pytest.approx(1e-4)
    assert schedule(175) == pytest.approx(5e-5)
    assert schedule(200) == 0


def test_a_line_that_begins_at_its_end_is_a_step():
    schedule = linear(1, 0, images=100, begin=100)
    assert [schedule(seen) for seen in (0, 99, 100)] == [1, 1, 0]
