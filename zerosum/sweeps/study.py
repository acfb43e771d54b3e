"""The study of a sweep: what optuna keeps of its trials, in a file of the folder or a database.

A trial that optuna calls failed without a reason of ours was cut short: by Ctrl-C, a kill or a
power cut. It is continued by a new trial with the same parameters, in the same run directory; so
the one left behind counts no more.
"""

from __future__ import annotations

import os
import platform
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zerosum.errors import UserError, pip_install
from zerosum.sweeps.plan import DATABASE, Plan, differences

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

RUN, CONTINUES, FAILED, SURPLUS, SAME_AS = "run", "continues", "failed", "surplus", "same_as"
HOST, PROCESS = "host", "process"
"""What a trial notes of itself, in its attributes."""

PLAN = "plan"
HEARTBEAT, GRACE = 60, 240
"""Seconds between two signs of life of a trial, and without one after which it counts as dead. Of a
process on this machine it is known at once."""
STARTUP_TRIALS, WARMUP_EVALUATIONS = 5, 2
"""No trial is pruned before so many have ended, nor before its evaluation after so many: the first
look at a GAN tells little."""


def require_optuna() -> None:
    """Make sure that optuna is there.

    Raises:
        UserError: it is not.
    """
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise UserError(
            f"A sweep needs the package optuna, which is not installed: {pip_install('sweep')}"
        ) from None


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Let optuna neither log nor warn of what is experimental in it, and set that back."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


def open_study(folder: Path, plan: Plan, storage: str | None) -> Study:
    """Create the study of a sweep, or open the one that is there.

    A study in which no trial has reached a single value yet is begun anew if it is of another plan:
    a mistyped metric should cost no folder.

    Args:
        folder: the sweep's; it gives the study in a database its name.
        plan: the sweep.
        storage: the URL of a database; None for the file in the folder.

    Raises:
        UserError: the database cannot be used, or holds another sweep under this name.
    """
    import optuna

    url = storage or f"sqlite:///{(folder / DATABASE).resolve()}"
    name = folder.resolve().name
    engine = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}
    with database_failures(url):
        opened = optuna.storages.RDBStorage(
            url, engine_kwargs=engine, heartbeat_interval=HEARTBEAT, grace_period=GRACE
        )

        def create() -> Study:
            return optuna.create_study(
                storage=opened,
                study_name=name,
                direction="maximize" if plan.better == "higher" else "minimize",
                load_if_exists=True,
                pruner=optuna.pruners.MedianPruner(
                    n_startup_trials=STARTUP_TRIALS, n_warmup_steps=WARMUP_EVALUATIONS
                ),
            )

        names = [each.study_name for each in optuna.get_all_study_summaries(opened)]
        if name in names:
            found = optuna.load_study(study_name=name, storage=opened)
            saved = found.user_attrs.get(PLAN)
            lines = differences(saved, plan) if saved else []
            if lines and any(trial.intermediate_values for trial in found.trials):
                raise UserError(
                    f"There is another sweep in '{folder}':\n"
                    + "\n".join(lines)
                    + "\nGive what it was begun with, or choose another folder with --out."
                )
            if lines:
                optuna.delete_study(study_name=name, storage=opened)
        study = create()
        study.set_user_attr(PLAN, plan.as_json())
    return study


@contextmanager
def database_failures(url: str) -> Iterator[None]:
    """Turn what a database refuses into the error that says what to do.

    Raises:
        UserError: it cannot be used.
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, ImportError, optuna.exceptions.StorageInternalError) as error:
        raise UserError(
            f"The database of the sweep, {masked(url)}, cannot be used: {said_by(error)}. Expected "
            "the URL of a database that is there and its driver installed, or leave --storage out "
            f"for the file {DATABASE} in the sweep's folder."
        ) from None


def masked(url: str) -> str:
    """A database's URL without its password."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "whose URL cannot be read"


def said_by(error: BaseException) -> str:
    """The first line of what a database says, which holds no password."""
    cause = getattr(error, "orig", None) or error.__cause__ or error
    if "parse" in str(cause):  # which quotes the URL
        return "that is no URL, such as postgresql://user@host/sweeps"
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    return lines[0].rstrip(".")


def sampler(plan: Plan, number: int) -> Any:
    """What chooses the parameters of a trial, by those before it.

    It is made anew for each: so a sweep that was interrupted draws what one without a break would
    have drawn, and no two workers draw the same.
    """
    import optuna

    seed = (plan.sampler_seed * 100_003 + number) % 2**32
    return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


def suggest(plan: Plan, trial: Any) -> dict[str, Any]:
    """Draw the parameters of a trial."""
    from zerosum.sweeps.space import Range

    drawn: dict[str, Any] = {}
    for name, values in plan.space.items():
        if not isinstance(values, Range):
            drawn[name] = trial.suggest_categorical(name, list(values.texts))
        elif values.whole:
            drawn[name] = trial.suggest_int(name, int(values.low), int(values.high), log=values.log)
        else:
            drawn[name] = trial.suggest_float(name, values.low, values.high, log=values.log)
    return drawn


def name_of(trial: FrozenTrial) -> str:
    """The name of a trial's run directory: its own, or that of the trial which it continues."""
    return str(trial.user_attrs.get(RUN, f"trial-{trial.number:03}"))


def process_name(pid: int) -> str:
    """A process by its number and, where Linux tells, when it was started: numbers come again."""
    try:
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return str(pid)
    return f"{pid}:{started}"


def has_gone(trial: FrozenTrial) -> bool:
    """Whether the process of a running trial was one of this machine, and is no more."""
    process = str(trial.user_attrs.get(PROCESS, ""))
    if trial.user_attrs.get(HOST) != platform.node() or not process:
        return False
    pid = int(process.partition(":")[0])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:  # it is another user's, who took over its number
        pass
    return process_name(pid) != process


def was_cut_short(trial: FrozenTrial) -> bool:
    """Whether a trial failed for no reason that it knew of."""
    from optuna.trial import TrialState

    known = trial.user_attrs.keys() & {FAILED, SURPLUS}
    return bool(trial.state == TrialState.FAIL and not known and params_of(trial))


def params_of(trial: FrozenTrial) -> dict[str, Any]:
    """A trial's parameters; of one that was cut short before it drew them, those it was to have."""
    return trial.params or dict(trial.system_attrs.get("fixed_params", {}))


def counted(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that count: not those which another one continues, and none beyond the number."""
    from optuna.trial import TrialState

    continued = {trial.user_attrs.get(CONTINUES) for trial in trials}
    return [
        trial
        for trial in trials
        if trial.number not in continued
        and SURPLUS not in trial.user_attrs
        # Killed between its birth and its first word, it has nothing to continue.
        and not (trial.state == TrialState.FAIL and not params_of(trial))
    ]


def recover(study: Study) -> None:
    """Have what was cut short continued; other machines' dead are known by their heartbeat."""
    import optuna
    from optuna.trial import TrialState

    for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
        if has_gone(trial):
            # Another worker may have been faster.
            with suppress(ValueError, optuna.exceptions.UpdateFinishedTrialError):
                study.tell(trial.number, state=TrialState.FAIL)
    optuna.storages.fail_stale_trials(study)
    trials = study.get_trials(deepcopy=False)
    continued = {trial.user_attrs.get(CONTINUES) for trial in trials}
    for trial in trials:
        if was_cut_short(trial) and trial.number not in continued:
            study.enqueue_trial(
                params_of(trial), user_attrs={RUN: name_of(trial), CONTINUES: trial.number}
            )


def begun_twice(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> bool:
    """Whether an earlier trial continues the same, since two workers saw it at the same time."""
    continues = trial.user_attrs.get(CONTINUES)
    return continues is not None and any(
        other.user_attrs.get(CONTINUES) == continues and other.number < trial.number
        for other in trials
    )


def place(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> int:
    """How many trials that count are before this one."""
    return sum(other.number < trial.number for other in counted(trials))


def ranked(study: Study) -> list[FrozenTrial]:
    """The completed trials, the best first, of equal parameters the first alone."""
    from optuna.study import StudyDirection
    from optuna.trial import TrialState

    sign = -1 if study.direction == StudyDirection.MAXIMIZE else 1
    done = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    done = sorted(done, key=lambda trial: (sign * (trial.value or 0.0), trial.number))
    distinct: dict[str, FrozenTrial] = {}
    for trial in done:
        distinct.setdefault(repr(sorted(trial.params.items())), trial)
    return list(distinct.values())
