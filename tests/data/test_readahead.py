"""Results come in the jobs' own order, however far threads are ahead."""

import threading
from functools import partial
from itertools import count

import pytest

from zerosum.data.readahead import ReadAhead


def test_results_come_in_order_and_no_further_ahead_than_asked():
    taken = []

    def jobs():
        for number in count():
            taken.append(number)
            yield partial(int, number)

    ahead = ReadAhead(depth=3)
    ahead.start(jobs())
    assert [next(ahead) for _ in range(20)] == list(range(20))
    assert len(taken) == 20 + 3


def test_a_slow_job_does_not_let_a_quick_one_pass():
    gate = threading.Event()
    ahead = ReadAhead(depth=2)

    def slow():
        gate.wait(10)
        return "slow"

    def quick():
        gate.set()
        return "quick"

    ahead.start([slow, quick])
    assert [next(ahead), next(ahead)] == ["slow", "quick"]


def test_a_new_start_forgets_what_was_read():
    ahead = ReadAhead(depth=4)
    ahead.start(partial(int, number) for number in range(100))
    assert next(ahead) == 0
    ahead.start(partial(int, number) for number in range(50, 100))
    assert [next(ahead), next(ahead)] == [50, 51]


def test_an_error_is_raised_where_its_result_is_asked_for():
    def fail():
        raise OSError("gone")

    ahead = ReadAhead(depth=4)
    ahead.start([partial(int, 1), fail, partial(int, 3)])
    assert next(ahead) == 1
    with pytest.raises(OSError, match="gone"):
        next(ahead)
    assert next(ahead) == 3


def test_waiting_takes_nothing_and_reads_as_far_as_it_waits():
    ahead = ReadAhead(depth=2)
    ahead.start(partial(int, number) for number in count())
    ahead.wait(5, stopped=lambda: False)
    assert [next(ahead) for _ in range(6)] == list(range(6))


def test_waiting_raises_what_would_be_raised_later():
    def fail():
        raise OSError("gone")

    ahead = ReadAhead(depth=2)
    ahead.start([partial(int, 1), fail, partial(int, 3)])
    ahead.wait(1, stopped=lambda: False)
    with pytest.raises(OSError, match="gone"):
        ahead.wait(2, stopped=lambda: False)
    assert next(ahead) == 1


def test_who_is_to_stop_waits_no_longer(monkeypatch):
    monkeypatch.setattr("zerosum.data.readahead.LOOK_SECONDS", 0.01)
    gate = threading.Event()
    asked = []

    def stopped():
        asked.append(None)
        return len(asked) == 3

    def slow():
        gate.wait(30)
        return "slow"

    ahead = ReadAhead(depth=2)
    ahead.start([slow])
    ahead.wait(1, stopped=stopped)
    assert len(asked) == 3
    assert not gate.is_set()
    gate.set()
    assert next(ahead) == "slow"


def test_a_timeout_of_a_job_is_its_failure():
    def fail():
        raise TimeoutError("the disk")

    ahead = ReadAhead(depth=1)
    ahead.start([fail])
    with pytest.raises(TimeoutError, match="the disk"):
        ahead.wait(1, stopped=lambda: False)
