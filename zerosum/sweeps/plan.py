"""What a sweep is: its recipe, settings, space and metric, as sweep.json keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zerosum._version import __version__
from zerosum.config.base import Settings, as_flag, unread
from zerosum.errors import UserError
from zerosum.files import WRITING, cannot_write, write_whole
from zerosum.metrics.registry import METRICS
from zerosum.recipes import get
from zerosum.sweeps.space import Space, as_json, as_text, from_json, require_fitting

SWEEP, PAGE, DATABASE = "sweep.json", "sweep.html", "study.db"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One sweep; what it may change on going on, such as the number of trials, is no part of it.

    Attributes:
        recipe: the recipe's name.
        space: what is tried.
        metric: the logged metric by which trials are compared.
        better: "lower" or "higher".
        settings: those that the user gave, for all trials.
        inherited: those of a run whose config.json was given; they take the recipe's place.
        sampler_seed: decides what is tried, as far as several workers let it be decided.
    """

    recipe: str
    space: Space
    metric: str
    better: str
    settings: Mapping[str, Any]
    inherited: Mapping[str, Any]
    sampler_seed: int = 0

    def configure(self, values: Mapping[str, Any]) -> Settings:
        """The settings of one training, of values from the space.

        Raises:
            UserError: the recipe does not take them.
        """
        return get(self.recipe).configure(self.settings, values, inherited=self.inherited)

    def values(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Values from the space, of what optuna has drawn."""
        return {
            name: values.value(params[name])
            for name, values in self.space.items()
            if name in params  # or the process died while they were drawn
        }

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON; `plan_from_json` reads it."""
        return {
            "zerosum": __version__,
            "recipe": self.recipe,
            "over": as_json(self.space),
            "metric": self.metric,
            "better": self.better,
            "settings": dict(self.settings),
            "inherited": dict(self.inherited),
            "sampler_seed": self.sampler_seed,
        }

    def command(self, values: Mapping[str, Any]) -> list[str]:
        """The command that trains with values from the space, word by word."""
        words = ["zerosum", "train", self.recipe]
        config = self.configure(values)
        idle = unread(config)
        plain = get(self.recipe).configure({"data": config.data})
        for name in type(config).model_fields:
            value = getattr(config, name)
            # What another run's config.json gave is spelt out: nobody has to keep that file.
            differs = bool(self.inherited) and value != getattr(plain, name) and name not in idle
            if name in self.settings or name in values or differs:
                words += flag_words(name, value)
        return words


def make_plan(
    recipe: str,
    space: Space,
    metric: str,
    config: Settings,
    *,
    given: Mapping[str, Any],
    inherited: Mapping[str, Any],
    sampler_seed: int,
) -> Plan:
    """Make a plan of what a user gave, and see to it that it can be followed.

    Args:
        recipe: the recipe's name, known to `zerosum.recipes`.
        space: what is tried.
        metric: what the runs log, such as frechet_digits.
        config: the settings, without the space's.
        given: those of them that the user gave.
        inherited: those of another run.
        sampler_seed: decides what is tried.

    Raises:
        UserError: the metric has no better or worse, the runs are not evaluated, or the recipe
            does not take the space.
    """
    # As JSON: a worker of its own process, or of tomorrow, must read the very same.
    plain = config.model_dump(mode="json")
    settings = {name: plain[name] for name in given if given[name] is not None}
    plan = Plan(
        recipe=recipe,
        space=space,
        metric=metric,
        better=direction(metric),
        settings=settings,
        inherited={name: plain[name] for name in inherited if name not in settings},
        sampler_seed=sampler_seed,
    )
    if config.evaluate_every == 0:
        raise UserError(
            "Received --evaluate-every 0: trials are compared by what their runs log at each "
            "evaluation. Leave it out."
        )
    require_fitting(space, get(recipe), plan.settings, plan.inherited)
    return plan


def direction(metric: str) -> str:
    """Whether a logged metric is better "lower" or "higher".

    Raises:
        UserError: it is neither.
    """
    known = METRICS.get(metric.removeprefix("val_"))
    better = known.better if known else "lower"
    if better not in ("lower", "higher"):
        raise UserError(
            f"--metric {metric} is better when {better}: expected one to make lower or higher, "
            "such as frechet_digits."
        )
    return better


def plan_from_json(saved: Mapping[str, Any]) -> Plan:
    """Read what `Plan.as_json` gave."""
    return Plan(
        recipe=saved["recipe"],
        space=from_json(saved["over"]),
        metric=saved["metric"],
        better=saved["better"],
        settings=saved["settings"],
        inherited=saved["inherited"],
        sampler_seed=saved["sampler_seed"],
    )


def differences(saved: Mapping[str, Any], asked: Plan) -> list[str]:
    """In what a plan differs from the one that a sweep was begun with, a line each."""
    before = plan_from_json(saved)
    pairs = {
        "the recipe": (before.recipe, asked.recipe),
        "--over": (as_text(before.space), as_text(asked.space)),
        "--metric": (before.metric, asked.metric),
        "--sampler-seed": (str(before.sampler_seed), str(asked.sampler_seed)),
    }
    for name in dict.fromkeys([*before.settings, *asked.settings]):
        flag = f"--{name.replace('_', '-')}"
        pairs[flag] = (said(before.settings, name), said(asked.settings, name))
    lines = [f"{what}: the sweep has {a}, received {b}" for what, (a, b) in pairs.items() if a != b]
    if before.inherited != asked.inherited:
        lines.append("--config: the sweep has other settings of a run")
    return lines


def said(settings: Mapping[str, Any], name: str) -> str:
    """A setting's value, or that it was not given."""
    if name not in settings:
        return "the default"
    value = settings[name]
    return as_flag(tuple(value) if isinstance(value, list) else value)


def flag_words(name: str, value: Any) -> list[str]:
    """A setting as one types it; None, which is what leaving it out means, as nothing."""
    flag = name.replace("_", "-")
    if value is None:
        return []
    if isinstance(value, bool):
        return [f"--{'' if value else 'no-'}{flag}"]
    parts = value if isinstance(value, tuple | list) else (value,)
    return [f"--{flag}", *map(str, parts)]


def claim(folder: Path) -> None:
    """Make a sweep's folder if it is not there; refuse one that holds something else.

    Raises:
        UserError: it is a file or no sweep's, or cannot be made.
    """
    if folder.is_file():
        raise UserError(f"'{folder}' is a file: expected a folder for the sweep, as --out.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in folder.iterdir() if path.suffix != WRITING}
    except OSError as error:
        raise cannot_write(folder, error) from None
    if names and not names & {SWEEP, DATABASE}:  # a kill may have come between the two
        raise UserError(
            f"The folder '{folder}' is not empty and holds no sweep. Choose another with --out, so "
            "that nothing in it is lost."
        )


def keep(folder: Path, plan: Plan) -> None:
    """Write sweep.json, for people and programs; what counts is what the study knows of it.

    Raises:
        UserError: it cannot be written.
    """
    try:
        write_whole(folder / SWEEP, json.dumps(plan.as_json(), indent=2) + "\n", durable=True)
    except OSError as error:
        raise cannot_write(folder / SWEEP, error) from None
