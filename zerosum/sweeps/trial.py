"""One trial: an ordinary run directory, whose evaluations the study is told as it trains."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zerosum.api import train_config
from zerosum.errors import UserError
from zerosum.metrics.registry import better
from zerosum.streams import TERMINAL_GONE
from zerosum.sweeps.plan import Plan
from zerosum.sweeps.study import (
    CONTINUES,
    FAILED,
    HOST,
    PROCESS,
    SAME_AS,
    SURPLUS,
    begun_twice,
    name_of,
    place,
    process_name,
    sampler,
    suggest,
)
from zerosum.training.interfaces import Callback, Callbacks
from zerosum.training.loop import DataLost, OutputLost, TrainingDiverged
from zerosum.training.run_directory import RunDirectory, StorageFailed

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.trial import FrozenTrial

FIRST_FAILURES = 3
"""After so many trials without a single value, each failed by a mistake, a sweep gives up."""


class SweepStopped(UserError):
    """What would be wrong with every trial."""


class TrialFailed(Exception):
    """A trial came to nothing, and the sweep goes on; the reason stands in its attributes."""


class Surplus(Exception):
    """A trial beyond the number that was asked for, or begun twice."""


class ReportingCallback(Callback):
    """Reports each evaluation to the study, and leaves the training where the pruner says so.

    Steps are evaluations, counted from 0. Images would not do: a batch may step over the mark.
    """

    def __init__(self, trial: Trial, plan: Plan, directory: RunDirectory) -> None:
        self.trial = trial
        self.plan = plan
        self.directory = directory
        self._budget = self._step = self._told = 0

    def begin(self, *, seen: int, budget: int, images_per_epoch: int) -> None:
        """Report what the run has logged before it was interrupted."""
        self._budget, self._step = budget, 0
        for record in self.directory.history().records:
            self._report(record)

    def tick(self, record: Mapping[str, Any]) -> None:
        """Report an evaluation.

        Raises:
            TrialPruned: the pruner has given this training up.
        """
        from optuna import TrialPruned

        # At the end there is nothing to be saved any more.
        if self._report(record) and record["seen"] < self._budget and self.trial.should_prune():
            raise TrialPruned

    def notice(self, text: str) -> None:
        """Print warnings, of whichever trial."""
        if text.startswith("WARNING"):
            print(f"{self.directory.path.name}: {text}", file=sys.stderr)

    def lost_output(self) -> OSError | None:
        """As of a training in a terminal: without a reader of its lines it is saved and ends."""
        failure = getattr(sys.stdout, "failure", None)
        return failure if failure and failure.errno not in TERMINAL_GONE else None

    def _report(self, record: Mapping[str, Any]) -> bool:
        metrics = record.get("metrics")
        if not metrics:
            return False
        value = logged(metrics, self.plan.metric)
        if self._step >= self._told:  # else a training that went back is at this look once more
            self.trial.report(value, self._step)
            self._told += 1
        self._step += 1
        return True


def logged(metrics: Mapping[str, float], name: str) -> float:
    """A metric of an evaluation.

    Raises:
        SweepStopped: the runs do not log it.
    """
    if name not in metrics:
        raise SweepStopped(
            f"--metric: received {name}, which these runs do not log. Expected one of: "
            f"{', '.join(metrics)}."
        )
    return metrics[name]


def objective(
    plan: Plan, folder: Path, *, trials: int, callbacks: Sequence[Callback] = ()
) -> Callable[[Trial], float]:
    """Make what optuna asks for the value of a trial.

    Args:
        plan: the sweep.
        folder: its folder, where the run directories are made.
        trials: how many there are to be in all.
        callbacks: what else watches the trainings.
    """
    from optuna import TrialPruned
    from optuna.trial import TrialState

    def value_of(trial: Trial) -> float:
        study = trial.study
        trial.set_user_attr(HOST, platform.node())
        trial.set_user_attr(PROCESS, process_name(os.getpid()))
        others = study.get_trials(deepcopy=False)
        me = others[trial.number]
        before = place(me, others)
        if begun_twice(me, others) or (CONTINUES not in me.user_attrs and before >= trials):
            trial.set_user_attr(SURPLUS, True)
            raise Surplus
        study.sampler = sampler(plan, before)
        values = plan.values(suggest(plan, trial))
        same = trained_before(trial, plan, values)
        if same is not None:
            trial.set_user_attr(SAME_AS, same.number)
            if same.state == TrialState.PRUNED or same.value is None:
                raise TrialPruned
            return same.value
        directory = RunDirectory(folder / name_of(me))
        try:
            return trained(trial, plan, values, directory, callbacks)
        except (SweepStopped, StorageFailed, OutputLost, DataLost):
            trial.set_user_attr(FAILED, "the sweep was stopped")
            raise
        except UserError as error:
            reason = str(error).replace("\n", " ")
            trial.set_user_attr(FAILED, reason)
            if not isinstance(error, TrainingDiverged) and nothing_works(trial):
                raise SweepStopped(
                    f"The first {FIRST_FAILURES} trials failed, the last one since: {error}"
                ) from None
            raise TrialFailed(reason) from error

    return value_of


def trained_before(trial: Trial, plan: Plan, values: Mapping[str, Any]) -> FrozenTrial | None:
    """A trial that has ended with these very parameters: a second would come to the same."""
    from optuna.trial import TrialState

    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    return next(
        (
            other
            for other in trial.study.get_trials(deepcopy=False, states=ended)
            if plan.values(other.params) == values and SAME_AS not in other.user_attrs
        ),
        None,
    )


def trained(
    trial: Trial,
    plan: Plan,
    values: Mapping[str, Any],
    directory: RunDirectory,
    callbacks: Sequence[Callback],
) -> float:
    """Train, and give the best of the logged metric."""
    config = plan.configure(values)
    reporting = ReportingCallback(trial, plan, directory)
    run = train_config(
        plan.recipe,
        config,
        out=directory.path,
        fresh=CONTINUES not in trial.user_attrs,
        given=[*plan.settings, *values],
        callback=Callbacks([reporting, *callbacks]),
    )
    return best_of(run.directory, plan.metric)


def best_of(directory: RunDirectory, metric: str) -> float:
    """The best of a metric that a run has logged.

    Raises:
        SweepStopped: it has logged none of that name.
    """
    history = directory.history()
    if not history.metrics:
        raise SweepStopped(
            f"The run '{directory.path}' has logged no metric: its images are too few to compare "
            "G's with. A sweep needs more."
        )
    logged({name: points[0][1] for name, points in history.metrics.items()}, metric)
    return history.best(metric, better=better(metric))[1]


def nothing_works(trial: Trial) -> bool:
    """Whether the first trials have all failed, this one included."""
    others = trial.study.get_trials(deepcopy=False)
    if any(other.intermediate_values for other in others):
        return False
    return sum(FAILED in other.user_attrs for other in others) >= FIRST_FAILURES
