"""Trains recipes, judges them, and writes their rows of docs/results.md and docs/recipes.md.

    python benchmarks/results.py                  # every row that is not complete yet: hours
    python benchmarks/results.py vanilla-mnist    # one row
    python benchmarks/results.py --seeds 1        # only the first seed of each
    python benchmarks/results.py --pace           # images a second of every recipe, a minute in all

Each row is `zerosum train --seeds N`, in runs/results/, and `zerosum evaluate` of each run's best
and newest checkpoint: 10,000 samples of the average of G against the 10,000 test images, in the
features of the classifier that knows the data's classes, or in random ones. A run that was begun
goes on. The metrics of a seed go to docs/results.json as soon as it is judged, and a seed that is
there is not trained again; all tables are made anew from this file. The picture of a row is
`zerosum sample -n 32` of the last checkpoint of its first seed.

The pace is measured apart from the training, which may have shared the machine: run it alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from zerosum import data, recipes
from zerosum.api import print_notice, train_seeds
from zerosum.comparison.checkpoints import compute_metrics
from zerosum.comparison.groups import Trained, open_runs
from zerosum.comparison.significance import estimate
from zerosum.config.base import Settings
from zerosum.data.loader import Loader
from zerosum.evaluation.evaluate import EvalConfig
from zerosum.hardware import tuned_processor
from zerosum.metrics.features import cheap_net
from zerosum.plots.grids import grid
from zerosum.preparation import build_game
from zerosum.training.early_stopping import best_record
from zerosum.training.round import play_round
from zerosum.training.step_stats import StepStats

DOCS = Path(__file__).parent.parent / "docs"
RESULTS, PACES = DOCS / "results.json", DOCS / "paces.json"
PICTURES = Path("images") / "recipes"  # within the docs
BEGIN, END = "<!-- made by benchmarks/results.py, {}: begin -->", "<!-- end -->"
METRICS = "fid,kid,precision,recall,density,coverage"
BY_CLASSIFIER = ",classifier_score,modes"
GALLERIES = ("mnist", "fashion-mnist", "cifar10")
PACE_SECONDS = 5
SAMPLES, COLUMNS = 32, 8


@dataclass(frozen=True, kw_only=True)
class Row:
    """A recipe on a data set, with settings of its own where they differ from its defaults."""

    recipe: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 3

    @property
    def data(self) -> str:
        """What it is trained on."""
        name: str = self.settings["data"]
        return name

    @property
    def features(self) -> str:
        """The net that looks at its samples: Inception takes an hour of two cores for 10,000."""
        return cheap_net(self.data)

    @property
    def metrics(self) -> str:
        """What it is judged by: random features know no classes."""
        return METRICS if self.features == "random" else METRICS + BY_CLASSIFIER

    @property
    def command(self) -> str:
        """How a user would train it."""
        said = [
            f"--{name.replace('_', '-')} {value}"
            for name, value in self.settings.items()
            if (name, value) != ("data", "mnist")  # which is the default
        ]
        return " ".join(["zerosum train", self.recipe, *said])


ROWS = {
    "vanilla-mnist": Row(recipe="vanilla", settings={"data": "mnist", "epochs": 50}, seeds=5),
    "vanilla-fashion-mnist": Row(
        recipe="vanilla", settings={"data": "fashion-mnist", "epochs": 50}, seeds=5
    ),
    **{
        f"{recipe}-mnist": Row(recipe=recipe, settings={"data": "mnist", "precision": "bf16"})
        for recipe in (
            *("dcgan", "lsgan", "wgan", "wgan-gp", "sngan"),
            *("sagan", "cgan", "acgan", "dragan", "r3gan"),
        )
    },
    **{
        f"{recipe}-fashion-mnist": Row(
            recipe=recipe, settings={"data": "fashion-mnist", "precision": "bf16"}
        )
        for recipe in ("dcgan", "cgan", "wgan-gp", "r3gan")
    },
    # Whether what collapses late elsewhere does so here (StudioGAN's logs: DCGAN's best FID of 49
    # ends at 137, LSGAN's of 67 at 331), as far as two cores get: the default budget, narrow nets.
    **{
        f"{recipe}-cifar10": Row(
            recipe=recipe,
            settings={"data": "cifar10", "width": 32, "precision": "bf16"},
            seeds=1,
        )
        for recipe in ("dcgan", "lsgan")
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--pace", action="store_true", help="measure the pace, train nothing")
    parser.add_argument("--seeds", type=int, default=10, help="no more of each row than so many")
    arguments = parser.parse_args()
    names = arguments.rows or list(ROWS)
    if unknown := set(names) - ROWS.keys():
        sys.exit(f"There is no row {', '.join(sorted(unknown))}. Choose of {', '.join(ROWS)}.")
    for name in names:
        if arguments.pace:
            keep(PACES, name, pace(ROWS[name]))
        else:
            for seed in range(min(ROWS[name].seeds, arguments.seeds)):
                if str(seed) not in read(RESULTS).get(name, {}).get("seeds", {}):
                    judge(name, ROWS[name], seed)
        write_tables()


def read(path: Path) -> dict[str, Any]:
    """What is known so far, by row."""
    known: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return known


def keep(path: Path, name: str, found: Any) -> None:
    """Add what was found of a row, or replace what was known of it."""
    path.write_text(json.dumps(read(path) | {name: found}, indent=1) + "\n", "utf-8")


def config_of(row: Row) -> Settings:
    """The settings that a row is trained with."""
    return recipes.get(row.recipe).configure(row.settings)


def pace(row: Row) -> float:
    """Real images a second, while the rounds of a few seconds are played, on all of our share."""
    config, device = config_of(row), torch.device("cpu")
    with tuned_processor():
        images = data.load(config.data)
        config = config.settled(config.budget(len(images)))
        game = build_game(row.recipe, config, images, device=device)
        loader = Loader(images, batch_size=config.batch_size, seed=0, device=device)
        dealt, rules = 0, dict[str, Any](seed=0, turn_index=0, seen=0, stats=StepStats())
        rules["bf16"] = config.precision == "bf16"
        play_round(game, loader.next_batch, **rules)
        began = time.monotonic()
        while time.monotonic() - began < PACE_SECONDS:
            dealt += play_round(game, loader.next_batch, **rules)
    return dealt / (time.monotonic() - began)


def judge(name: str, row: Row, seed: int) -> None:
    """Train one seed of a row, or go on with it, and keep its metrics."""
    config = config_of(row).model_copy(update={"seed": seed})
    (run,) = train_seeds(row.recipe, config, count=1, out=Path("runs") / "results" / name)
    if seed == 0:
        (DOCS / PICTURES).mkdir(parents=True, exist_ok=True)
        picture = grid(run.sample(SAMPLES), columns=COLUMNS, scale=2)
        picture.save(DOCS / PICTURES / f"{name}.png", optimize=True)
    (trained,) = open_runs([run.path])
    best = best_record(run.log())
    found = {
        "best_epoch": best["epoch"] if best else None,
        **{checkpoint: metrics(trained, row, checkpoint) for checkpoint in ("best", "newest")},
    }
    about = {
        "recipe": row.recipe,
        "settings": dict(row.settings),
        "images": run.log()[-1]["seen"],
    }
    before = read(RESULTS).get(name, {}).get("seeds", {})  # only now: other rows may be trained too
    keep(RESULTS, name, about | {"seeds": before | {str(seed): found}})


def metrics(run: Trained, row: Row, checkpoint: str) -> dict[str, Any]:
    """The metrics of one checkpoint: values and floors, and the card that all have in common."""
    question = EvalConfig(
        source="", metrics=row.metrics, features=row.features, checkpoint=checkpoint
    )
    results = compute_metrics(run, question, notice=print_notice)
    own = ("better", "floor", "spread", "warning")
    card = next(iter(results.values()))["card"]
    return {
        "card": {name: value for name, value in card.items() if name not in own},
        **{
            name: {"value": result["value"], "floor": result["card"]["floor"]}
            for name, result in results.items()
        },
    }


def write_tables() -> None:
    """Put the tables of all rows between the marks in the docs."""
    known = {name: row for name, row in read(RESULTS).items() if name in ROWS}
    results = [
        "| row | checkpoint | Fréchet distance, every seed | mean (95 % interval) | median "
        "| precision | recall | modes | floor |",
        "|---|---|---|---|---|---|---|---|---|",
        *(line for name, row in known.items() for line in table_rows(name, row)),
    ]
    insert(DOCS / "results.md", "all", results)
    for data_name in GALLERIES:
        shown = {
            name: row
            for name, row in known.items()
            if ROWS[name].data == data_name and row["recipe"] != "vanilla"
        }
        gallery = [
            "| recipe | 32 samples, not chosen | Fréchet distance, last (best, epoch), every seed "
            "| precision | recall | trained on | at this pace |",
            "|---|---|---|---|---|---|---|",
            *(gallery_row(name, row) for name, row in shown.items()),
        ]
        insert(DOCS / "recipes.md", data_name, gallery)


def insert(page: Path, name: str, lines: list[str]) -> None:
    """Put lines between the marks of a page that bear a name."""
    begin = BEGIN.format(name)
    before, _, rest = page.read_text("utf-8").partition(begin)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{begin}\n{chr(10).join(lines)}\n{END}{after}", "utf-8")


def gallery_row(name: str, row: Mapping[str, Any]) -> str:
    """The line of a recipe, with the picture of its first seed."""
    seeds = list(row["seeds"].values())
    newest = [seed["newest"] for seed in seeds]
    distance = next(key for key in newest[0] if key.startswith(("frechet_", "fid")))
    distances = ", ".join(
        f"{seed['newest'][distance]['value']:.2f} "
        f"({seed['best'][distance]['value']:.2f}, {seed['best_epoch']})"
        for seed in seeds
    )
    speed = read(PACES).get(name)
    time_taken = f"{row['images'] / speed / 60:.0f} min at {speed:,.0f}/s" if speed else ""
    picture = f'<img src="{PICTURES / name}.png" width="246" alt="Samples of {row["recipe"]}">'
    return (
        f"| `{ROWS[name].command}` | {picture} | {distances} "
        f"| {means(newest, 'precision', digits=2)} | {means(newest, 'recall', digits=2)} "
        f"| {row['images']:,} images | {time_taken} |"
    )


def table_rows(name: str, row: Mapping[str, Any]) -> Iterator[str]:
    """Two lines of a row: the best checkpoints and the last."""
    seeds = row["seeds"].values()
    for checkpoint, title in (("best", "best by its curve"), ("newest", "last")):
        results = [seed[checkpoint] for seed in seeds]
        distance = next(key for key in results[0] if key.startswith(("frechet_", "fid")))
        values = [result[distance]["value"] for result in results]
        found = estimate(values)
        interval = found.interval
        shown = ", ".join(
            f"{value:.2f} ({seed['best_epoch']})" if checkpoint == "best" else f"{value:.2f}"
            for value, seed in zip(values, seeds, strict=True)
        )
        others = " | ".join(means(results, metric) for metric in ("precision", "recall", "modes"))
        between = f" ({interval.low:.1f} to {interval.high:.1f})" if interval else ""
        yield (
            f"| {name}, {distance} | {title} | {shown} | {found.mean:.2f}{between} "
            f"| {found.median:.2f} | {others} | {results[0][distance]['floor']:.2f} |"
        )


def means(results: list[Mapping[str, Any]], metric: str, *, digits: int = 3) -> str:
    """A metric's mean over the seeds, where there is such a metric."""
    values = [result[metric]["value"] for result in results if metric in result]
    return f"{sum(values) / len(values):.{digits}g}" if values else ""


if __name__ == "__main__":
    main()
