"""What is told while something long goes on, and that of what is short nothing is."""

import pytest

from zerosum.data import progress as module
from zerosum.data.progress import left, progress


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass as the test wants."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_at_times(clock, capfd):
    with progress("Decoding images", 1000) as advance:
        for _ in range(7):
            clock[0] += 10
            advance(100)
    assert capfd.readouterr().err == "Decoding images: 400 of 1,000, about 60 s left\n"


def test_what_is_short_tells_nothing(capfd):
    with progress("Decoding images", 1) as advance:
        advance(1)
    assert capfd.readouterr() == ("", "")


def test_a_person_sees_a_bar_only_where_it_takes_long(monkeypatch, clock, capfd):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes the pipe for a terminal
    with progress("Decoding images", 4) as advance:
        advance(1)
    assert capfd.readouterr().err == ""
    with progress("Decoding images", 4) as advance:
        clock[0] += 2
        advance(1)
    assert "1/4" in capfd.readouterr().err


def test_an_error_ends_the_bar(monkeypatch, clock, capfd):
    monkeypatch.setenv("FORCE_COLOR", "1")

    def fail():
        with progress("Decoding images", 4) as advance:
            clock[0] += 2
            advance(1)
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert capfd.readouterr().err.endswith("\x1b[2K")  # the line is empty again


def test_long_times_are_in_minutes():
    assert (left(1, 4, 10), left(1, 100, 10)) == ("about 30 s", "about 16 min")
