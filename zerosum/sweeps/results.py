"""What a sweep came to: as a table, as a page, and as the command that trains the winner."""

from __future__ import annotations

import shlex
import statistics
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich.console
from rich.text import Text

from zerosum.comparison.significance import Difference, Estimate, difference, estimate
from zerosum.comparison.tables import difference_lines, interval_shown
from zerosum.config.base import as_flag
from zerosum.experiment import called_as
from zerosum.pages import render, svg_url, write_html
from zerosum.plots.charts import Row, Slice, bars, dots, slices
from zerosum.plots.tables import table
from zerosum.sweeps.plan import PAGE, Plan
from zerosum.sweeps.space import Choices, Range
from zerosum.sweeps.study import FAILED, SAME_AS, counted, name_of, ranked

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

LEAST_TRIALS, BEST_SHARE = 20, 0.5
"""Completed trials, below which nobody can tell which setting is important; and how many of them
count as the best. Of a tenth, optuna's default, twelve trials have one, which is chance."""
SHOWN = 10
"""Trials in the terminal; the page has all of them."""


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """One trial.

    Attributes:
        number: counted from 0.
        run: the name of its run directory in the sweep's folder.
        settings: what was tried, by setting.
        state: complete, pruned, failed or running.
        value: the best of its logged metric so far; None where there is none.
        note: why it failed, or which trial has the same settings.
    """

    number: int
    run: str
    settings: Mapping[str, Any]
    state: str
    value: float | None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One of the best settings, trained again with several seeds.

    Attributes:
        rank: 1 for those of the best trial.
        trial: the number of that trial.
        run: its name.
        values: the metric by seed; None where the training broke off: it diverged, or
            `--on-collapse stop` ended it.
    """

    rank: int
    trial: int
    run: str
    values: Mapping[int, float | None]

    @property
    def name(self) -> str:
        """What it is called."""
        return f"best-{self.rank}"

    @property
    def found(self) -> dict[int, float]:
        """The values that there are."""
        return {seed: value for seed, value in self.values.items() if value is not None}

    @property
    def estimate(self) -> Estimate | None:
        """Their mean and its interval; None where a seed broke off, which no mean may hide."""
        whole = len(self.found) == len(self.values)
        return estimate(list(self.found.values())) if whole and self.found else None


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """A sweep, as far as it has come.

    Attributes:
        path: its folder.
        plan: what was asked for.
        trials: all that count, in their order.
        candidates: the best settings with several seeds, if that was asked for.
        best: the number of the winning trial; None where none was completed.
        command: the command that trains the winner, ready to paste.
        page: the page with table and plots.
    """

    path: Path
    plan: Plan
    trials: tuple[TrialResult, ...]
    candidates: tuple[Candidate, ...]
    best: int | None
    command: str | None

    @property
    def page(self) -> Path:
        """The page with the table and the plots."""
        return self.path / PAGE

    @property
    def best_settings(self) -> Mapping[str, Any] | None:
        """The settings of the winner, by name."""
        return next((each.settings for each in self.trials if each.number == self.best), None)

    @property
    def value(self) -> float | None:
        """The metric of the winning trial."""
        return next((each.value for each in self.trials if each.number == self.best), None)

    @property
    def differences(self) -> list[Difference]:
        """The winner against each other candidate, seed by seed."""
        chosen = next((each for each in self.candidates if each.trial == self.best), None)
        others = [each for each in self.candidates if each is not chosen]
        return [
            difference(
                f"{chosen.name} against {other.name}",
                other.found,
                chosen.found,
                better=self.plan.better,
                same_data=True,
            )
            for other in others
            if chosen is not None
        ]

    @property
    def sorted_trials(self) -> list[TrialResult]:
        """The completed ones first, the best of them first; then pruned, running and failed."""
        sign = -1 if self.plan.better == "higher" else 1
        order = ("complete", "pruned", "running", "failed")
        return sorted(
            self.trials,
            key=lambda each: (
                order.index(each.state),
                float("inf") if each.value is None else sign * each.value,
                each.number,
            ),
        )


def results_of(
    study: Study, plan: Plan, folder: Path, candidates: Sequence[Candidate]
) -> SweepResult:
    """Read a study, and name the winner: by the mean over seeds where there are several."""
    trials = study.get_trials(deepcopy=False)
    best = next((trial.number for trial in ranked(study)), None)
    sign = -1 if plan.better == "higher" else 1
    means = {
        each.trial: sign * statistics.fmean(each.found.values())
        for each in candidates
        if each.estimate is not None
    }
    if means:
        best = min(means, key=lambda number: means[number])
    command = None
    if best is not None:
        first, *rest = plan.command(plan.values(trials[best].params))
        assert first == "zerosum"
        command = f"{called_as()} {shlex.join(rest)}"
    return SweepResult(
        path=folder,
        plan=plan,
        trials=tuple(trial_result(trial, plan) for trial in counted(trials)),
        candidates=tuple(candidates),
        best=best,
        command=command,
    )


def trial_result(trial: FrozenTrial, plan: Plan) -> TrialResult:
    """What is to be known of a trial."""
    from optuna.trial import TrialState

    states = {
        TrialState.COMPLETE: "complete",
        TrialState.PRUNED: "pruned",
        TrialState.FAIL: "failed",
    }
    pick = max if plan.better == "higher" else min
    reached = pick(trial.intermediate_values.values(), default=None)
    note = str(trial.user_attrs.get(FAILED, ""))
    if SAME_AS in trial.user_attrs:
        note = f"as trial {trial.user_attrs[SAME_AS]}"
    return TrialResult(
        number=trial.number,
        run=name_of(trial),
        settings=plan.values(trial.params),
        state=states.get(trial.state, "running"),
        value=trial.value if trial.state == TrialState.COMPLETE else reached,
        note=note,
    )


def cells(trial: TrialResult, plan: Plan) -> list[str]:
    """A trial's row, without its place."""
    given = trial.settings
    settings = [as_flag(given[name]) if name in given else "" for name in plan.space]
    value = "" if trial.value is None else f"{trial.value:.4g}"
    state = trial.state if trial.state != "complete" else ""
    return [trial.run, value, *settings, ": ".join(part for part in (state, trial.note) if part)]


def columns(plan: Plan) -> list[str]:
    """The heads of `cells`."""
    return ["run", plan.metric, *(name.replace("_", "-") for name in plan.space), "state"]


def counts_text(result: SweepResult) -> str:
    """How many trials there are of each kind."""
    states = [trial.state for trial in result.trials]
    kinds = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    return f"{len(states)} trial{'s' * (len(states) != 1)}: {', '.join(kinds)}" if states else ""


def verdict(result: SweepResult) -> Iterator[str]:
    """What may be said of the winner, a sentence each."""
    if result.best is None:
        yield "No trial was completed, so there is no winner."
        return
    if not result.candidates:
        run = next(trial.run for trial in result.trials if trial.number == result.best)
        yield f"Best: {run}, {result.plan.metric} {result.value:.4g}, of a single seed."
        yield "The best of many is partly luck: --seeds 3 trains the best three again."
        return
    for each in result.candidates:
        lost = [seed for seed, value in each.values.items() if value is None]
        if lost:
            yield f"{each.name} broke off with seed {', '.join(map(str, lost))}, and cannot win."
    if all(each.estimate is None for each in result.candidates):
        yield "So the winner is that of the trials, of a single seed."
        return
    won = next(each for each in result.candidates if each.trial == result.best)
    yield f"Best: {won.name}, the settings of {won.run}."
    for found in result.differences:
        yield f"{found.name}: {'. '.join([found.verdict, *difference_lines(found)])}."
    if not all(found.shown for found in result.differences):
        yield (
            "Its mean is the best, but the difference is not shown against all of the others: more "
            "seeds would tell."
        )


def tables(result: SweepResult) -> rich.console.Group:
    """The best trials, the candidates over seeds, and the verdict."""
    parts: list[rich.console.RenderableType] = []
    made = table(*columns(result.plan))
    made.title = Text(f"{result.plan.metric}, best logged ({result.plan.better} is better)")
    made.title_justify = "left"
    for trial in result.sorted_trials[:SHOWN]:
        made.add_row(*(Text(cell) for cell in cells(trial, result.plan)))
    parts += [made, Text(counts_text(result))]
    if result.candidates:
        seeds = table(*CANDIDATE_COLUMNS)
        for each in result.candidates:
            seeds.add_row(*(Text(cell) for cell in candidate_cells(each)))
        parts += [Text(), seeds]
    parts += [Text(sentence) for sentence in verdict(result)]
    return rich.console.Group(*parts)


CANDIDATE_COLUMNS = ("settings", "of", "mean", "95 % interval", "by seed")


def candidate_cells(each: Candidate) -> list[str]:
    """A candidate's row."""
    found = each.estimate
    by_seed = ", ".join(
        f"{seed}: {'broke off' if value is None else format(value, '.4g')}"
        for seed, value in each.values.items()
    )
    mean = [f"{found.mean:.4g}", interval_shown(found.interval)] if found else ["", ""]
    return [each.name, each.run, *mean, by_seed]


def importance(study: Study) -> dict[str, float]:
    """How much of the trials' differences each setting explains, the most important first.

    By PED-ANOVA (Watanabe et al. 2023), which asks what sets the best trials apart. Empty where
    there are too few trials to tell, or a single setting.
    """
    import optuna
    from optuna.trial import TrialState

    done = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    if len(done) < LEAST_TRIALS or len(done[0].params) < 2:
        return {}
    with warnings.catch_warnings():
        # Where it cannot tell, it warns, and calls all of them equally important.
        warnings.simplefilter("error", UserWarning)
        try:
            return optuna.importance.get_param_importances(
                study,
                evaluator=optuna.importance.PedAnovaImportanceEvaluator(target_quantile=BEST_SHARE),
            )
        except (UserWarning, ValueError, RuntimeError):
            return {}


def write_page(result: SweepResult, study: Study) -> None:
    """Write the page.

    Raises:
        UserError: it cannot be written.
    """
    write_html(page(result, importance(study)), result.page)


def page(result: SweepResult, shares: Mapping[str, float]) -> str:
    """Render the page.

    Args:
        result: the sweep.
        shares: the importance of each setting.
    """
    plan = result.plan
    valued = [trial for trial in result.trials if trial.value is not None]
    parts = [slice_of(name, values, valued) for name, values in plan.space.items()]
    drawn = [part for part in parts if part.points or part.given_up]
    rows = [
        Row(
            name=each.name,
            values=tuple(each.found.values()),
            mean=each.estimate.mean if each.estimate else None,
            interval=(each.estimate.interval.low, each.estimate.interval.high)
            if each.estimate and each.estimate.interval
            else None,
        )
        for each in result.candidates
    ]
    named = {name.replace("_", "-"): share for name, share in shares.items()}
    title = f"{plan.metric} ({plan.better} is better)"
    return render(
        "sweep.html.jinja",
        title=f"Sweep of {plan.recipe}",
        subtitle=f"{result.path}: {counts_text(result)}",
        metric=plan.metric,
        better=plan.better,
        command=result.command,
        verdict=list(verdict(result)),
        columns=columns(plan),
        trials=[
            {"cells": cells(trial, plan), "state": trial.state, "won": trial.number == result.best}
            for trial in result.sorted_trials
        ],
        candidate_columns=CANDIDATE_COLUMNS,
        candidates=[candidate_cells(each) for each in result.candidates],
        dots=svg_url(dots(rows, title=title)) if any(row.values for row in rows) else None,
        importance=svg_url(bars(named, title="importance")) if named else None,
        slices=svg_url(slices(drawn, title=title)) if drawn else None,
        settings=", ".join(
            f"{name.replace('_', '-')} {as_flag(tuple(v) if isinstance(v, list) else v)}"
            for name, v in plan.settings.items()
        ),
    )


def slice_of(name: str, values: Range | Choices, trials: Sequence[TrialResult]) -> Slice:
    """The trials over one setting."""
    points: dict[bool, list[tuple[float | str, float]]] = {True: [], False: []}
    for trial in trials:
        if name in trial.settings and trial.value is not None:
            setting = trial.settings[name]
            x = as_flag(setting) if isinstance(values, Choices) else setting
            points[trial.state == "complete"].append((x, trial.value))
    return Slice(
        name=name.replace("_", "-"),
        points=points[True],
        given_up=points[False],
        choices=values.texts if isinstance(values, Choices) else (),
        log=isinstance(values, Range) and values.log,
    )
