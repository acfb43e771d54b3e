"""A sweep from its first trial to the winner: by one process, or by workers side by side."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zerosum import recipes
from zerosum.api import default_directory, train_config
from zerosum.config.base import Settings, as_flag, modern_names
from zerosum.data.python_data import keep_python_data
from zerosum.errors import UserError, whole_number
from zerosum.reading import expanded
from zerosum.sweeps.plan import Plan, claim, keep, make_plan, plan_from_json
from zerosum.sweeps.results import Candidate, SweepResult, results_of, write_page
from zerosum.sweeps.space import read_space
from zerosum.sweeps.study import (
    FAILED,
    SAME_AS,
    SURPLUS,
    counted,
    database_failures,
    name_of,
    open_study,
    quiet_optuna,
    ranked,
    recover,
    require_optuna,
)
from zerosum.sweeps.trial import Surplus, TrialFailed, best_of, objective
from zerosum.sweeps.workers import run_workers
from zerosum.training.early_stopping import stalled
from zerosum.training.interfaces import Callback, Callbacks
from zerosum.training.loop import TrainingDiverged
from zerosum.training.run_directory import RunDirectory

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

SWEEPS = Path("sweeps")
"""Where sweeps lie when the user does not say."""
BEST = 3
"""Settings that are trained again, with several seeds."""
LOOK_SECONDS = 2.0
"""Between two looks at what other processes are still at."""

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How a sweep is carried out; another command may go on with it otherwise.

    Attributes:
        folder: the sweep's.
        storage: the URL of a database, or None for a file in the folder.
        trials: how many there are to be in all.
        workers: processes of this machine.
        seeds: with how many seeds the best settings are trained again; 0 for not at all.
    """

    folder: Path
    storage: str | None
    trials: int
    workers: int
    seeds: int


def sweep(
    recipe: str,
    over: str | Mapping[str, Any],
    *,
    metric: str,
    trials: int = 30,
    workers: int = 1,
    seeds: int | None = None,
    out: Path | str | None = None,
    storage: str | None = None,
    sampler_seed: int = 0,
    callbacks: Sequence[Callback] = (),
    quiet: bool = False,
    **settings: Any,
) -> SweepResult:
    """Train a recipe many times, each with settings chosen by how the others went.

    The same call again goes on where it was interrupted. Each trial is an ordinary run directory.

    Args:
        recipe: a name from `zerosum.recipes.RECIPES`, or your own as "my_module.py:RECIPE".
        over: what to try, as `--over` takes it, such as "lr=1e-4..1e-3:log,n-critic=1,2,5"; or
            settings with such a text or a list of choices each.
        metric: the metric, as the runs log it, that is to become best, such as "frechet_digits".
        trials: how many in all, those of other processes and of calls before this one included.
        workers: processes that train side by side.
        seeds: train the best three settings with so many seeds, and choose by their means.
        out: the sweep's folder; by default `sweeps/<recipe>-<data>`.
        storage: the URL of a database, for several machines; by default a file in the folder.
        sampler_seed: decides what is tried.
        callbacks: what watches the trainings; with one worker only.
        quiet: whether to leave out the line a trial.
        settings: fields of the recipe's config that all trials share.

    Returns:
        The trials, the best settings, and the command that trains them.

    Raises:
        UserError: a name, value, file or folder is not usable; the message says what to do.
        Interrupted: Ctrl-C or SIGTERM; what was trained is saved.
    """
    if not isinstance(settings.get("data", ""), str | os.PathLike):
        settings["data"] = str(keep_python_data(settings["data"]))
    found = recipes.find(recipe)
    given = modern_names(settings)
    config = found.configure(given)
    plan = make_plan(
        recipe,
        read_space(over, found),
        metric,
        config,
        given=given,
        inherited={},
        sampler_seed=whole_number("sampler_seed", sampler_seed),
    )
    asked = ask(
        recipe, config, out=out, storage=storage, trials=trials, workers=workers, seeds=seeds
    )
    if callbacks and asked.workers > 1:
        raise UserError("callbacks: they watch one process; leave workers out, or callbacks.")
    return carry_out(plan, asked, say=ignore if quiet else print, callbacks=callbacks)


def ignore(text: str) -> None:
    """Say nothing."""


def ask(
    recipe: str,
    config: Settings,
    *,
    out: Path | str | None,
    storage: str | None,
    trials: int,
    workers: int,
    seeds: int | None,
) -> Asked:
    """Check how a sweep is to be carried out.

    Raises:
        UserError: a number is none, or too small.
    """
    for name, value in (("trials", trials), ("workers", workers), ("seeds", seeds)):
        if value is not None and whole_number(name, value) < 1:
            raise UserError(f"The number of {name} was {value}: expected at least 1.")
    folder = expanded(out) if out else SWEEPS / default_directory(recipe, config).name
    return Asked(folder=folder, storage=storage, trials=trials, workers=workers, seeds=seeds or 0)


def carry_out(
    plan: Plan, asked: Asked, *, say: Say, callbacks: Sequence[Callback] = ()
) -> SweepResult:
    """Run the trials that are left, train the best again if asked, and write the page.

    Raises:
        UserError: as `sweep`.
        Interrupted: a signal came.
    """
    require_optuna()
    claim(asked.folder)
    with quiet_optuna():
        study = open_study(asked.folder, plan, asked.storage)
        keep(asked.folder, plan)
        count = len(counted(study.get_trials(deepcopy=False)))
        if count:
            say(f"Going on with '{asked.folder}': {count} of {asked.trials} trials are there.")
        if asked.workers == 1:
            run_trials(study, plan, asked, say=say, callbacks=callbacks)
        elif left(study, asked.trials):
            run_workers(job(plan, asked), count=asked.workers)
        candidates: list[Candidate] = []
        if asked.seeds:
            wait_for_others(study, say)
            chosen = ranked(study)[:BEST]
            if chosen:
                say(f"Training the best {len(chosen)} with {asked.seeds} seeds each.")
                numbers = [trial.number for trial in chosen]
                if asked.workers == 1:
                    run_seeds(study, plan, asked, numbers, say=say, callbacks=callbacks)
                else:
                    run_workers(job(plan, asked, numbers), count=asked.workers)
                candidates = [
                    candidate(plan, asked, rank, trial) for rank, trial in enumerate(chosen, 1)
                ]
        result = results_of(study, plan, asked.folder, candidates)
        write_page(result, study)
    return result


def job(plan: Plan, asked: Asked, numbers: Sequence[int] = ()) -> dict[str, Any]:
    """What a worker has to do, as JSON: trials, or the seeds of the trials that are named."""
    return {
        "plan": plan.as_json(),
        "folder": str(asked.folder),
        "storage": asked.storage,
        "trials": asked.trials,
        "workers": asked.workers,
        "seeds": asked.seeds,
        "numbers": list(numbers),
    }


def work(job: Mapping[str, Any], index: int) -> None:
    """Do the work of one worker, in a process of its own.

    Args:
        job: as `job` gives it.
        index: which of the workers this is, from 0.
    """
    plan = plan_from_json(job["plan"])
    recipes.find(plan.recipe)
    asked = Asked(
        folder=Path(job["folder"]),
        storage=job["storage"],
        trials=job["trials"],
        workers=job["workers"],
        seeds=job["seeds"],
    )
    with quiet_optuna():
        study = open_study(asked.folder, plan, asked.storage)
        if job["numbers"]:
            run_seeds(study, plan, asked, job["numbers"], say=print, index=index)
        else:
            run_trials(study, plan, asked, say=print)


def left(study: Study, trials: int) -> bool:
    """Whether there is a trial left to begin, or one to continue."""
    from optuna.trial import TrialState

    recover(study)
    found = study.get_trials(deepcopy=False)
    waiting = any(trial.state == TrialState.WAITING for trial in found)
    return waiting or len(counted(found)) < trials


def run_trials(
    study: Study, plan: Plan, asked: Asked, *, say: Say, callbacks: Sequence[Callback] = ()
) -> None:
    """Run one trial after the other until there are enough.

    Raises:
        UserError: something is wrong that would be wrong with every trial.
        Interrupted: a signal came; the trial under way is saved, and will be continued.
    """
    value_of = objective(plan, asked.folder, trials=asked.trials, callbacks=callbacks)

    def told(study: Study, trial: FrozenTrial) -> None:
        if SURPLUS not in trial.user_attrs:
            say(line_of(study, trial, plan, asked.trials))

    with database_failures(asked.storage or "sqlite://"):
        while left(study, asked.trials):
            study.optimize(value_of, n_trials=1, catch=(TrialFailed, Surplus), callbacks=[told])


def line_of(study: Study, trial: FrozenTrial, plan: Plan, trials: int) -> str:
    """What came of a trial, in a line."""
    from optuna.trial import TrialState

    found = counted(study.get_trials(deepcopy=False))
    ended = sum(other.state.is_finished() for other in found)
    head = f"[{ended}/{trials}] {name_of(trial)}: {settings_text(plan, trial.params)}"
    if FAILED in trial.user_attrs:
        return f"{head}: failed. {trial.user_attrs[FAILED]}"
    same = f" as trial {trial.user_attrs[SAME_AS]}" if SAME_AS in trial.user_attrs else ""
    best = ranked(study)[:1]
    so_far = f"; best {best[0].value:.4g}, {name_of(best[0])}" if best else ""
    if trial.state == TrialState.PRUNED:
        return f"{head}: pruned{same}{so_far}"
    return f"{head}: {plan.metric} {trial.value:.4g}{same}{so_far}"


def settings_text(plan: Plan, params: Mapping[str, Any]) -> str:
    """The settings of a trial in words."""
    return ", ".join(
        f"{name.replace('_', '-')} {as_flag(value)}" for name, value in plan.values(params).items()
    )


def wait_for_others(study: Study, say: Say) -> None:
    """Wait until no trial is running on any machine: only then the best are known."""
    from optuna.trial import TrialState

    told = False
    while running := study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
        if not told:
            say(f"Waiting for {len(running)} trials of other processes.")
        told = True
        time.sleep(LOOK_SECONDS)
        recover(study)


def directory_of(asked: Asked, rank: int, seed: int) -> RunDirectory:
    """Where one of the best settings is trained again."""
    return RunDirectory(asked.folder / f"best-{rank}-seed-{seed}")


def seeds_of(plan: Plan, asked: Asked) -> range:
    """The seeds with which the best settings are trained again, from the plan's own on."""
    first = int(plan.settings.get("seed", 0))
    return range(first, first + asked.seeds)


def run_seeds(
    study: Study,
    plan: Plan,
    asked: Asked,
    numbers: Sequence[int],
    *,
    say: Say,
    index: int = 0,
    callbacks: Sequence[Callback] = (),
) -> None:
    """Train the best settings again, with several seeds; what is complete stays as it is.

    Args:
        study: the study.
        plan: the sweep.
        asked: how it is carried out.
        numbers: the trials whose settings these are, the best first.
        say: told of each run.
        index: which of the workers this is; each has its share.
        callbacks: what watches the trainings.
    """
    trials = study.get_trials(deepcopy=False)
    runs = [
        (rank, trials[number], seed)
        for seed in seeds_of(plan, asked)
        for rank, number in enumerate(numbers, 1)
    ]
    for rank, trial, seed in runs[index :: asked.workers]:
        directory = directory_of(asked, rank, seed)
        config = plan.configure({**plan.values(trial.params), "seed": seed})
        while directory.is_training():  # another machine is at it
            time.sleep(LOOK_SECONDS)
        try:
            train_config(
                plan.recipe,
                config,
                out=directory.path,
                fresh=is_of_others(directory, config, plan),
                callback=Callbacks(callbacks),
            )
        except TrainingDiverged as divergence:
            say(f"{directory.path.name}: {divergence}")
        else:
            say(f"{directory.path.name}: {plan.metric} {best_of(directory, plan.metric):.4g}")


def is_of_others(directory: RunDirectory, config: Settings, plan: Plan) -> bool:
    """Whether a run is of settings that were among the best before there were more trials."""
    if not directory.exists():
        return False
    saved, asked = directory.read_config().get("config", {}), config.model_dump(mode="json")
    return any(saved.get(name) != asked[name] for name in plan.space)


def candidate(plan: Plan, asked: Asked, rank: int, trial: FrozenTrial) -> Candidate:
    """What came of one of the best settings with every seed."""
    values: dict[int, float | None] = {}
    for seed in seeds_of(plan, asked):
        directory = directory_of(asked, rank, seed)
        values[seed] = best_of(directory, plan.metric) if is_whole(directory) else None
    return Candidate(rank=rank, trial=trial.number, run=name_of(trial), values=values)


def is_whole(directory: RunDirectory) -> bool:
    """Whether a run has come to its end, by its budget or its patience."""
    if not directory.exists():
        return False
    saved, history = directory.read_config(), directory.history()
    config = saved["config"]
    budget = config["images"] or config["epochs"] * saved["num_images"]
    return history.seen >= budget or stalled(history.records, config["patience"])
