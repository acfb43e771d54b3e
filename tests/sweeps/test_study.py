"""What is kept of trials, and what becomes of those whose process died."""

import os
import platform
import subprocess
import sys

import pytest

from zerosum.errors import UserError
from zerosum.sweeps.study import (
    CONTINUES,
    FAILED,
    HOST,
    PROCESS,
    RUN,
    SURPLUS,
    begun_twice,
    counted,
    has_gone,
    masked,
    name_of,
    open_study,
    place,
    process_name,
    quiet_optuna,
    ranked,
    recover,
    sampler,
)

optuna = pytest.importorskip("optuna", reason="optuna is not installed")
# Here trials are asked for one by one; a sweep has them optimized, where signs of life are given.
pytestmark = pytest.mark.filterwarnings("ignore:Heartbeat of storage")


@pytest.fixture
def study(tmp_path, make_a_plan):
    with quiet_optuna():
        yield open_study(tmp_path, make_a_plan(), None)


def begin(study, process, host=None):
    trial = study.ask()
    trial.set_user_attr(HOST, host or platform.node())
    trial.set_user_attr(PROCESS, process)
    trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    return trial


def dead_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return f"{process.pid}:1"


def test_what_a_dead_process_left_is_continued_once(study):
    lost = begin(study, dead_process())
    alive = begin(study, process_name(os.getpid()))
    elsewhere = begin(study, dead_process(), host="another machine")
    for _ in range(2):
        recover(study)
    states = [trial.state.name for trial in study.trials]
    assert states == ["FAIL", "RUNNING", "RUNNING", "WAITING"]
    again = study.ask()
    assert (
        again.suggest_float("learning_rate", 1e-4, 1e-2, log=True) == lost.params["learning_rate"]
    )
    assert again.user_attrs == {RUN: "trial-000", CONTINUES: lost.number}
    assert name_of(study.trials[again.number]) == "trial-000"
    assert [trial.number for trial in counted(study.trials)] == [
        alive.number,
        elsewhere.number,
        again.number,
    ]


def test_a_continuation_that_dies_before_its_first_word_is_continued_too(study):
    begin(study, dead_process())
    recover(study)
    study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)  # as by a kill; nothing was drawn
    recover(study)
    assert name_of(study.trials[-1]) == "trial-000"
    assert study.trials[-1].state.name == "WAITING"
    assert len(counted(study.trials)) == 1


def test_what_failed_for_a_reason_is_not_continued(study):
    trial = begin(study, process_name(os.getpid()))
    trial.set_user_attr(FAILED, "Training diverged.")
    study.tell(trial, state=optuna.trial.TrialState.FAIL)
    recover(study)
    assert len(study.trials) == len(counted(study.trials)) == 1


def test_a_number_that_another_process_has_now_is_told_apart(study):
    if process_name(os.getpid()) == str(os.getpid()):
        pytest.skip("this system does not tell when a process was started")
    begin(study, f"{os.getpid()}:1")
    assert has_gone(study.trials[0])


def test_two_continuations_of_one_trial_are_one_too_many(study):
    begin(study, dead_process())
    for _ in range(2):  # as two workers would that look at the same time
        study.enqueue_trial({"learning_rate": 1e-3}, user_attrs={RUN: "trial-000", CONTINUES: 0})
    first, second = study.trials[1:]
    assert not begun_twice(first, study.trials)
    assert begun_twice(second, study.trials)


def test_places_leave_out_what_does_not_count(study):
    for _ in range(3):
        begin(study, process_name(os.getpid()))
    study.tell(0, 1.0)
    surplus = study.ask()
    surplus.set_user_attr(SURPLUS, True)
    study.tell(surplus, state=optuna.trial.TrialState.FAIL)
    last = begin(study, process_name(os.getpid()))
    assert place(study.trials[last.number], study.trials) == 3


def test_the_best_come_first_and_each_setting_once(study):
    for value, rate in ((3.0, 1e-3), (1.0, 2e-3), (2.0, 3e-3), (1.0, 2e-3)):
        study.enqueue_trial({"learning_rate": rate})
        trial = begin(study, process_name(os.getpid()))
        study.tell(trial, value)
    assert [trial.number for trial in ranked(study)] == [1, 2, 0]


def test_each_place_draws_its_own_and_always_the_same(make_a_plan):
    def drawn(number):
        study = optuna.create_study(sampler=sampler(make_a_plan(), number))
        return study.ask().suggest_float("x", 0, 1)

    with quiet_optuna():
        assert drawn(0) == drawn(0)
        assert len({drawn(number) for number in range(5)}) == 5


def test_optuna_is_quiet_inside_and_as_before_outside():
    before = optuna.logging.get_verbosity()
    with quiet_optuna():
        assert optuna.logging.get_verbosity() > optuna.logging.CRITICAL
    assert optuna.logging.get_verbosity() == before


@pytest.mark.parametrize(
    "url",
    [
        "no url with hunter2",
        "sqlite:////nowhere/at/all.db",
        "postgresql+nodriver://me:hunter2@localhost/sweeps",
    ],
)
def test_a_database_that_cannot_be_used_is_said_without_its_password(url, tmp_path, make_a_plan):
    with pytest.raises(UserError, match="cannot be used") as caught, quiet_optuna():
        open_study(tmp_path, make_a_plan(), url)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in masked(url)


def test_a_damaged_file_is_said(tmp_path, make_a_plan):
    (tmp_path / "study.db").write_text("no database " * 100)
    with pytest.raises(UserError, match="file is not a database"), quiet_optuna():
        open_study(tmp_path, make_a_plan(), None)


def test_a_database_of_ones_own_serves_as_well(tmp_path, make_a_plan):
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    with quiet_optuna():
        first = open_study(tmp_path / "one" / "sweep", make_a_plan(), url)
        second = open_study(tmp_path / "two" / "sweep", make_a_plan(), url)
        begin(first, process_name(os.getpid()))
        assert len(second.trials) == 1
