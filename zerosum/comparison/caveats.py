"""What stands under a comparison: all that keeps its metrics from saying what they seem to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from zerosum.comparison.groups import Group, Trained
from zerosum.comparison.significance import LEAST_SEEDS
from zerosum.evaluation.tables import described, seen_by
from zerosum.training.saved_config import restarts_of

FEW_SEEDS = 10


def caveats(
    groups: Sequence[Group], *, counts: Sequence[int], num_differences: int
) -> Iterator[str]:
    """Say what the reader must know, the worst first.

    Args:
        groups: of runs that differ only in their seeds.
        counts: over how many seeds each mean is.
        num_differences: how many verdicts there are.
    """
    runs = [run for group in groups for run in group.runs]
    one_data = len({group.runs[0].data_sha256 for group in groups}) == 1
    yield from on_data(groups)
    yield from on_runs(runs)
    yield from on_budgets(groups)
    yield from on_seeds(groups)
    yield from on_intervals(counts)
    if num_differences > 1 and one_data:
        yield (
            f"{num_differences} differences are judged here, each by itself: of twenty that are "
            "none, about one is shown by chance."
        )
    if any(run.history.metrics for run in runs):
        evaluated = {len(points) for run in runs for points in run.history.metrics.values()}
        unequal = (
            f" Here, runs were evaluated between {min(evaluated)} and {max(evaluated)} times."
            if len(evaluated) > 1
            else ""
        )
        yield (
            "The best logged metric of a run is chosen by that metric, so it flatters, and the "
            f"more so the oftener a run is evaluated.{unequal}"
        )


def on_data(groups: Sequence[Group]) -> Iterator[str]:
    """Other data make other metrics."""
    if len({group.runs[0].data_sha256 for group in groups}) > 1:
        yield (
            "WARNING: these groups were trained on different data. Metrics against different "
            "images cannot be compared."
        )


def on_runs(runs: Sequence[Trained]) -> Iterator[str]:
    """Runs that are not what they should be; each is shown all the same."""
    for run in runs:
        history, config = run.history, run.run.config
        if history.damaged:
            yield (
                f"WARNING: in the log of '{run.path}' {history.damaged} damaged "
                f"{'line was' if history.damaged == 1 else 'lines were'} left out."
            )
        if doubt := run.run.directory.doubt_of_log():
            yield f"WARNING: '{run.path}': {doubt} Its logged metrics may not be its own."
        if not run.is_whole:
            of = f"{config.images:,} images" if config.images else f"{config.epochs} epochs"
            yield (
                f"'{run.path}' stands at epoch {history.epochs:g} ({history.seen:,} images) of "
                f"{of}: unfinished, or stopped early."
            )
        if not history.metrics:
            yield f"'{run.path}' has logged no metric: it is not in the logged metrics' means."
        yield from on_health(run)
        yield from on_restarts(run)
    versions = sorted({str(run.saved.get("zerosum")) for run in runs})
    if len(versions) > 1:
        yield (
            f"The runs were last trained by different versions of zerosum: {', '.join(versions)}."
        )


def on_health(run: Trained) -> Iterator[str]:
    """The alarms of a training: the one it ended with, and those that were over by then."""
    history = run.history
    over = history.alarms[:-1] if history.alarm else history.alarms
    if history.alarm:
        yield f"'{run.path}' was last judged '{history.alarm}'. It counts like the rest."
    if over:
        told = ", ".join(
            f"'{verdict}' at epoch{f' {first:g}' if first == last else f's {first:g} to {last:g}'}"
            for verdict, first, last in over
        )
        yield f"'{run.path}' had alarms in mid-run: {told}."


def on_restarts(run: Trained) -> Iterator[str]:
    """What a training cost besides its budget, because it had collapsed."""
    restarts = restarts_of(run.saved)
    if not restarts:
        return
    discarded = sum(each["at"] - each["back_to"] for each in restarts)
    seed = restarts[-1]["seed"]
    other = f", and ended with seed {seed}" if seed != run.seed else ""
    yield (
        f"'{run.path}' collapsed and was restarted {len(restarts)} "
        f"time{'s' * (len(restarts) != 1)}{other}: {discarded:,} more images than its budget."
    )


def on_budgets(groups: Sequence[Group]) -> Iterator[str]:
    """Who trains longer may be better for that alone."""
    budgets = {
        group.name: f"{config.images:,} images" if config.images else f"{config.epochs} epochs"
        for group in groups
        for config in [group.runs[0].run.config]
    }
    if len(set(budgets.values())) > 1:
        told = "; ".join(f"{name}: {budget}" for name, budget in budgets.items())
        yield f"The groups had different budgets. {told}."


def on_seeds(groups: Sequence[Group]) -> Iterator[str]:
    """Seeds without a partner are in the means, but in no pair."""
    first = {run.seed for run in groups[0].runs}
    for group in groups[1:]:
        lonely = sorted(first ^ {run.seed for run in group.runs})
        if lonely:
            yield (
                f"Only one of '{groups[0].name}' and '{group.name}' has "
                f"{'seed' if len(lonely) == 1 else 'seeds'} {', '.join(map(str, lonely))}: in the "
                "means, but in no paired difference."
            )


def on_intervals(counts: Sequence[int]) -> Iterator[str]:
    """How far to trust so few seeds."""
    if counts and min(counts) < LEAST_SEEDS:
        yield f"Fewer than {LEAST_SEEDS} seeds give no interval. Train more: --seeds 5."
    rough = [count for count in counts if LEAST_SEEDS <= count < FEW_SEEDS]
    if rough:
        yield (
            f"{min(rough)} seeds make rough intervals: they hold the true mean in 95 % of cases if "
            "the metric is normal over seeds, but with 5 seeds in two cases of three where one "
            "seed in five collapses. A difference counts as shown only if its interval leaves out "
            "0."
        )


def on_cards(computed: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The circumstances of the metrics that were computed, and their warnings, each once."""
    lines: dict[str, None] = {}
    for results in computed:
        for name, result in results.items():
            card = result["card"]
            if card["warning"]:
                lines[f"Do not rely on {name}: {card['warning']}"] = None
            lines[
                f"Metrics of checkpoints: {card['evaluated']['n']:,} samples of each against "
                f"{described(card['reference'])}, seed {card['seed']}; features: {seen_by(card)}. "
                "--json has every card."
            ] = None
    yield from lines
