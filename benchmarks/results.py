"""Trains recipes over several seeds, judges them, and writes their rows of docs/results.md.

    python benchmarks/results.py                  # every row that is not complete yet: hours
    python benchmarks/results.py vanilla-mnist    # one row

Each row is `zerosum train --seeds 5`, in runs/results/, and `zerosum evaluate` of each run's best
and newest checkpoint: 10,000 samples of the average of G against the 10,000 test images, in the
features of the classifier that knows the data's classes. A run that was begun goes on, one that is
complete is judged from what is kept. Figures go to docs/results.json, from which the table in
docs/results.md is made anew: a row more leaves the others as they are.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zerosum import recipes
from zerosum.api import print_notice, train_seeds
from zerosum.config import validate
from zerosum.metrics.bootstrap import estimate
from zerosum.reporting.evaluation import Question
from zerosum.reporting.groups import Trained, open_runs
from zerosum.reporting.measurements import measure
from zerosum.training.gain import best_record

HERE = Path(__file__).parent.parent
FIGURES, PAGE = HERE / "docs" / "results.json", HERE / "docs" / "results.md"
BEGIN, END = "<!-- made by benchmarks/results.py: begin -->", "<!-- end -->"
METRICS = "fid,kid,precision,recall,density,coverage,classifier_score,modes"
SEEDS = 5


@dataclass(frozen=True, kw_only=True)
class Row:
    """A recipe on a data set."""

    recipe: str
    settings: Mapping[str, Any] = field(default_factory=dict)


ROWS = {
    "vanilla-mnist": Row(recipe="vanilla", settings={"data": "mnist", "epochs": 50}),
    "vanilla-fashion-mnist": Row(
        recipe="vanilla", settings={"data": "fashion-mnist", "epochs": 50}
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}")
    names = parser.parse_args().rows or list(ROWS)
    if unknown := set(names) - ROWS.keys():
        sys.exit(f"There is no row {', '.join(sorted(unknown))}. Choose of {', '.join(ROWS)}.")
    for name in names:
        known = json.loads(FIGURES.read_text("utf-8")) if FIGURES.exists() else {}
        known[name] = judged(name, ROWS[name])
        FIGURES.write_text(json.dumps(known, indent=1) + "\n", "utf-8")
        write_table(known)


def judged(name: str, row: Row) -> dict[str, Any]:
    """Train a row's runs, or go on with them, and compute the figures of every seed."""
    config = validate(recipes.get(row.recipe).config, dict(row.settings))
    runs = train_seeds(row.recipe, config, count=SEEDS, out=Path("runs") / "results" / name)
    trained = open_runs([run.path for run in runs])
    found: dict[str, Any] = {"recipe": row.recipe, "settings": dict(row.settings), "seeds": {}}
    for run in trained:
        best = best_record(run.run.log())
        found["seeds"][run.seed] = {
            "best_epoch": best["epoch"] if best else None,
            **{checkpoint: figures(run, checkpoint) for checkpoint in ("best", "newest")},
        }
    return found


def figures(run: Trained, checkpoint: str) -> dict[str, Any]:
    """The figures of one checkpoint: values and floors, and the card that all have in common."""
    question = Question(source="", metrics=METRICS, checkpoint=checkpoint)
    results = measure(run, question, notice=print_notice)
    own = ("better", "floor", "spread", "warning")
    card = next(iter(results.values()))["card"]
    return {
        "card": {name: value for name, value in card.items() if name not in own},
        **{
            name: {"value": result["value"], "floor": result["card"]["floor"]}
            for name, result in results.items()
        },
    }


def write_table(known: Mapping[str, Any]) -> None:
    """Put the table of all rows between the marks in docs/results.md."""
    page = PAGE.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = [
        "| row | checkpoint | Fréchet distance, every seed | mean (95 % interval) | median "
        "| precision | recall | modes | floor |",
        "|---|---|---|---|---|---|---|---|---|",
        *(line for name, row in known.items() for line in table_rows(name, row)),
    ]
    PAGE.write_text(f"{before}{BEGIN}\n{chr(10).join(lines)}\n{END}{after}", "utf-8")


def table_rows(name: str, row: Mapping[str, Any]) -> Iterator[str]:
    """Two lines of a row: the best checkpoints and the last."""
    seeds = row["seeds"].values()
    for checkpoint, title in (("best", "best by its curve"), ("newest", "last")):
        results = [seed[checkpoint] for seed in seeds]
        distance = next(key for key in results[0] if key.startswith(("frechet_", "fid")))
        values = [result[distance]["value"] for result in results]
        found = estimate(values)
        interval = found.student
        shown = ", ".join(
            f"{value:.2f} ({seed['best_epoch']})" if checkpoint == "best" else f"{value:.2f}"
            for value, seed in zip(values, seeds, strict=True)
        )
        others = " | ".join(means(results, figure) for figure in ("precision", "recall", "modes"))
        between = f" ({interval.low:.1f} to {interval.high:.1f})" if interval else ""
        yield (
            f"| {name}, {distance} | {title} | {shown} | {found.mean:.2f}{between} "
            f"| {found.median:.2f} | {others} | {results[0][distance]['floor']:.2f} |"
        )


def means(results: list[Mapping[str, Any]], figure: str) -> str:
    """A figure's mean over the seeds, where there is such a figure."""
    values = [result[figure]["value"] for result in results if figure in result]
    return f"{sum(values) / len(values):.3g}" if values else ""


if __name__ == "__main__":
    main()
