"""Callbacks as one, and what an evaluation puts into the log."""

import inspect
from pathlib import Path

import pytest

from zerosum.training.interfaces import Callback, Callbacks, Evaluation

MOMENTS = {
    "begin": {"seen": 1, "budget": 9, "images_per_epoch": 3},
    "update": {"seen": 2, "losses": {"loss_D": 0.5, "loss_G": 1.5}},
    "tick": {"record": {"epoch": 1}},
    "picture": {"path": Path("generated_epoch_1.png")},
    "notice": {"text": "look"},
    "lost_output": {},
    "end": {},
}


class Scribe(Callback):
    """Writes down who was told, of which moment and what."""


def tell(moment):
    def told(self, *args, **state):
        self.told.append((self, moment, args, state))

    return told


for moment in MOMENTS:
    setattr(Scribe, moment, tell(moment))


def scribes(count):
    told = []
    made = [Scribe() for _ in range(count)]
    for scribe in made:
        scribe.told = told
    return made, told


def test_every_moment_is_tried():
    methods = {name for name, _ in inspect.getmembers(Callback, inspect.isfunction)}
    assert methods == set(MOMENTS)


@pytest.mark.parametrize("moment", MOMENTS)
def test_each_is_told_the_same_in_turn(moment):
    (first, second), told = scribes(2)
    getattr(Callbacks([first, second]), moment)(**MOMENTS[moment])
    assert [who for who, *_ in told] == [first, second]
    for _, of, args, state in told:
        assert of == moment
        assert [*args, *state.values()] == list(MOMENTS[moment].values())


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_callback_may_leave_any_moment_out(moment):
    (scribe,), told = scribes(1)
    assert getattr(Callback(), moment)(**MOMENTS[moment]) is None
    getattr(Callbacks([Callback(), scribe]), moment)(**MOMENTS[moment])
    assert len(told) == 1


def test_the_first_lost_output_counts():
    class Lost(Callback):
        def __init__(self, failure):
            self.failure = failure

        def lost_output(self):
            return self.failure

    first, second = OSError("first"), OSError("second")
    callbacks = Callbacks([Callback(), Lost(None), Lost(first), Lost(second)])
    assert callbacks.lost_output() is first
    assert Callbacks([Callback()]).lost_output() is None


def test_where_nothing_judges_the_health_the_log_says_nothing_of_it():
    assert Evaluation(metrics={"fid": 3.0}).record() == {"metrics": {"fid": 3.0}}
    judged = Evaluation(metrics={}, health={"verdict": "healthy"})
    assert judged.record() == {"metrics": {}, "health": {"verdict": "healthy"}}
