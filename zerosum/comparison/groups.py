"""Runs sorted into groups that differ only in their seeds, and what to call each group."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zerosum.config.base import FREE_ON_RESUME
from zerosum.errors import UserError
from zerosum.inference.run import Run
from zerosum.training.log import History
from zerosum.training.run_directory import find_run

SHORT_SHA256 = 8


@dataclass(frozen=True, eq=False)
class Trained:
    """A run with its settings and its log."""

    run: Run
    saved: dict[str, Any]  # config.json
    history: History

    @property
    def path(self) -> Path:
        """The run directory, as the user wrote it."""
        return self.run.path

    @property
    def seed(self) -> int:
        """The seed of the training."""
        return self.run.config.seed

    @property
    def data_sha256(self) -> str:
        """The content of the data set."""
        return str(self.saved.get("data_sha256"))

    @property
    def stem(self) -> str:
        """The path without the seed that `train --seeds` adds to it."""
        return re.sub(r"-seed-\d+$", "", str(self.path))

    @property
    def settings(self) -> dict[str, Any]:
        """What makes the run the candidate that it is: its recipe, data, and config but the seed.

        What a resumed run may change is no part of it, such as how often it reports. The data are
        told by their content: where they lay does not matter.
        """
        config = self.run.config.model_dump(mode="json")
        # When to stop is another matter than when to report: it decides what comes of a run. Of
        # the two budgets only the one that holds.
        unused = "images" if config["images"] is None else "epochs"
        free = (FREE_ON_RESUME - {"patience"}) | {"seed", unused}
        kept = {name: value for name, value in config.items() if name not in free}
        return {"recipe": self.run.recipe, "data": self.data_sha256, **kept, "from": self.source}

    @property
    def source(self) -> str | None:
        """What the run's first weights are, unless chance drew them.

        Told by the path without a seed, since runs of several seeds may each begin with the run of
        its own seed.
        """
        record = self.saved.get("started_from")
        if record is None:
            return None
        stem = re.sub(r"-seed-\d+$", "", record["path"])
        return f"{stem}:{record['checkpoint']}:{','.join(record['parts'])}"

    @property
    def is_whole(self) -> bool:
        """Whether the run has spent its budget."""
        config = self.run.config
        if config.images is not None:
            return self.history.seen >= config.images
        return self.history.epochs >= (config.epochs or 0)


@dataclass(frozen=True, eq=False)
class Group:
    """Runs of one candidate, at most one a seed, in the order of their seeds."""

    name: str
    runs: tuple[Trained, ...]


def open_runs(paths: Sequence[Path]) -> list[Trained]:
    """Open runs and read their logs; a path that is named twice counts once.

    Raises:
        UserError: a path holds no run, or one that cannot be read.
    """
    found_paths = [find_run(path) for path in reversed(paths)]
    distinct = list({path.resolve(): path for path in found_paths}.values())[::-1]
    found = []
    for path in distinct:
        run = Run(path)
        try:
            history = run.directory.history()
        except OSError as error:
            raise UserError(
                f"The log '{run.directory.log_path}' cannot be read: {error.strerror}."
            ) from None
        found.append(Trained(run, run.directory.read_config(), history))
    return found


def grouped(runs: Sequence[Trained]) -> list[Group]:
    """Sort runs into groups, in the order in which the user named the first of each.

    Runs of the same settings whose seeds repeat, from two versions of the code say, are told apart
    by their paths.

    Raises:
        UserError: two runs have the same settings, seed and path but for its `-seed-N`.
    """
    sorted_runs: dict[str, list[Trained]] = {}
    for run in runs:
        sorted_runs.setdefault(json.dumps(run.settings), []).append(run)
    parts = [part for same in sorted_runs.values() for part in without_repeats(same)]
    parts.sort(key=lambda part: min(runs.index(run) for run in part))
    names = group_names([part[0] for part in parts])
    return [
        Group(name, tuple(sorted(part, key=lambda run: run.seed)))
        for name, part in zip(names, parts, strict=True)
    ]


def without_repeats(same: Sequence[Trained]) -> list[list[Trained]]:
    """Split runs of the same settings by path, if their seeds repeat."""
    if len({run.seed for run in same}) == len(same):
        return [list(same)]
    by_stem: dict[str, list[Trained]] = {}
    for run in same:
        by_stem.setdefault(run.stem, []).append(run)
    for part in by_stem.values():
        by_seed: dict[int, Trained] = {}
        for run in part:
            if run.seed in by_seed:
                raise UserError(
                    f"'{by_seed[run.seed].path}' and '{run.path}' were both trained with seed "
                    f"{run.seed} and the same settings: counted twice, a run would make the "
                    "intervals too narrow. Leave one of them out."
                )
            by_seed[run.seed] = run
    return list(by_stem.values())


def group_names(firsts: Sequence[Trained]) -> list[str]:
    """Name groups, each given by one of its runs, by what differs, or else by their paths."""
    recipes = {run.run.recipe for run in firsts}
    names = []
    for run in firsts:
        rivals = [other.settings for other in firsts if other.run.recipe == run.run.recipe]
        differing = [
            f"{name}={shown_setting(run, name)}"
            for name, value in run.settings.items()
            if any(rival.get(name) != value for rival in rivals)
        ]
        names.append(" ".join([run.run.recipe] * (len(recipes) > 1) + differing))
    return [
        name if name and names.count(name) == 1 else f"{name} {run.stem}".strip()
        for name, run in zip(names, firsts, strict=True)
    ]


def shown_setting(run: Trained, name: str) -> str:
    """A setting's value in a group's name."""
    value = run.settings.get(name, "")
    if name == "data":
        return f"{run.run.config.data} ({value[:SHORT_SHA256]})"
    if value is None:
        return "none"
    if name == "from":
        return Path(value.partition(":")[0]).name
    return "-".join(map(str, value)) if isinstance(value, list) else str(value)
