import pytest

from zerosum.training import stopwatch
from zerosum.training.state import Progress
from zerosum.training.stopwatch import Stopwatch


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until it is moved."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr(stopwatch.time, "monotonic", lambda: Clock.now)
    return Clock


def test_a_lap_has_its_own_pace_and_the_seconds_of_the_whole_run(clock):
    progress = Progress(seen=500, seconds=60.0)  # of an earlier session
    watch = Stopwatch(progress)
    clock.now += 4
    progress.seen += 200
    assert watch.lap() == {"images_per_second": 50.0, "seconds": 64.0}
    clock.now += 1
    progress.seen += 10
    assert watch.lap() == {"images_per_second": 10.0, "seconds": 65.0}


def test_seconds_are_written_into_the_progress(clock):
    progress = Progress(seconds=2.0)
    watch = Stopwatch(progress)
    clock.now += 3
    watch.note()
    watch.note()  # noting twice counts nothing twice
    assert progress.seconds == 5.0


def test_looks_are_counted_from_the_last_look_or_lap(clock):
    watch = Stopwatch(Progress())
    clock.now += 3
    assert watch.since_look() == 3
    watch.look()
    clock.now += 1
    assert watch.since_look() == 1
    watch.lap()
    assert watch.since_look() == 0


def test_a_lap_that_took_no_time_divides_by_nothing(clock):
    assert Stopwatch(Progress()).lap()["images_per_second"] == 0
