"""Counts the modes that recipes find among Gaussians in the plane, and draws what they make.

    python benchmarks/toys.py                  # every row that is not complete yet: half an hour
    python benchmarks/toys.py vanilla-ring     # one row

Each row is `zerosum train --seeds 5`, in runs/toys/, and `zerosum evaluate -n 2500` of each run's
newest checkpoint. A run that was begun goes on, one that is complete is judged anew from what is
kept. Metrics go to docs/toys.json, from which the table in docs/toys.md is made; once the rows that
a data set's picture shows are there, it is drawn, of the runs of seed 0.
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

from PIL import Image, ImageDraw, ImageFont

import zerosum
from zerosum import recipes
from zerosum.api import print_notice, train_seeds
from zerosum.comparison.checkpoints import compute_metrics
from zerosum.comparison.groups import open_runs
from zerosum.config.base import Settings
from zerosum.data.catalog import DATASETS, mixture_of
from zerosum.evaluation.evaluate import EvalConfig
from zerosum.plots.charts import INK, scatter

HERE = Path(__file__).parent.parent
RESULTS, PAGE = HERE / "docs" / "toys.json", HERE / "docs" / "toys.md"
BEGIN, END = "<!-- made by benchmarks/toys.py: begin -->", "<!-- end -->"
METRICS = ("modes", "high_quality", "mode_kl")
SEEDS, POINTS = 5, 2_500  # points a run is judged by, as in PacGAN's paper
TITLE = 30  # pixels above each panel
PALETTE = 32  # colours of a picture, which has three and their mixtures


@dataclass(frozen=True, kw_only=True)
class Row:
    """A recipe, on either data set."""

    recipe: str
    command: str  # what a picture and the table call it
    settings: Mapping[str, Any] = field(default_factory=dict)


RECIPES = {
    "vanilla": Row(recipe="vanilla", command="vanilla"),
    # Half as many rows of logits in a batch, and half as much again of them.
    "pack-2": Row(
        recipe="vanilla",
        command="vanilla --pack 2 --images 3000000",
        settings={"pack": 2, "images": 3_000_000},
    ),
    "r3gan": Row(recipe="r3gan", command="r3gan"),
}
PANELS = ("vanilla", "pack-2", "r3gan")
DATA = ("ring", "grid")
NAMES = [f"{name}-{data}" for data in DATA for name in RECIPES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(NAMES)}")
    names = parser.parse_args().rows or NAMES
    if unknown := set(names) - set(NAMES):
        sys.exit(f"There is no row {', '.join(sorted(unknown))}. Choose of {', '.join(NAMES)}.")
    for name in names:
        found = judged(name)
        # Read only now: another row may have been trained beside this one.
        known = {**known_figures(), name: found}
        known = {name: known[name] for name in NAMES if name in known}
        RESULTS.write_text(json.dumps(known, indent=1) + "\n", "utf-8")
        write_table(known)
        data = name.rpartition("-")[2]
        if all(f"{recipe}-{data}" in known for recipe in PANELS):
            draw(data)


def known_figures() -> dict[str, Any]:
    """The metrics of all rows so far."""
    return json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}


def settled(name: str) -> tuple[Row, Settings, Path]:
    """A row's recipe, its settings, and the directory of its runs but for their seeds."""
    recipe, _, data = name.rpartition("-")
    row = RECIPES[recipe]
    config = recipes.get(row.recipe).configure({"data": data, **row.settings})
    return row, config, Path("runs") / "toys" / name


def judged(name: str) -> dict[str, Any]:
    """Train a row's runs, or go on with them, and compute the metrics of every seed."""
    row, config, out = settled(name)
    are_new = not any(out.parent.glob(f"{out.name}-seed-*"))
    began = time.process_time()
    runs = train_seeds(row.recipe, config, count=SEEDS, out=out)
    seconds = (time.process_time() - began) / SEEDS
    question = EvalConfig(source="", metrics=",".join(METRICS), count=POINTS, checkpoint="newest")
    metrics = {}
    for run in open_runs([run.path for run in runs]):
        results = compute_metrics(run, question, notice=print_notice)
        metrics[str(run.seed)] = {metric: results[metric]["value"] for metric in METRICS}
    return {
        "recipe": row.command,
        "data": config.data,
        "of": len(DATASETS[config.data].classes),
        # Of processor time, since other jobs may share the machine.
        "seconds": round(seconds, 1) if are_new else known_figures().get(name, {}).get("seconds"),
        "seeds": metrics,
    }


def write_table(known: Mapping[str, Any]) -> None:
    """Put the table of all rows between the marks in docs/toys.md."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = [
        "| data | recipe | modes, every seed | mean | of | points of high quality "
        "| KL of the modes' shares | seconds a run |",
        "|---|---|---|---|---|---|---|---|",
        *map(table_row, known.values()),
    ]
    PAGE.write_text(f"{before}{BEGIN}\n{chr(10).join(lines)}\n{END}{after}", "utf-8")


def table_row(row: Mapping[str, Any]) -> str:
    """A line of the table: means over the seeds, but for the modes, of which each is told."""
    modes, quality, divergence = (
        [seed[metric] for seed in row["seeds"].values()] for metric in METRICS
    )
    seconds = "" if row["seconds"] is None else f"{row['seconds']:.0f}"
    return (
        f"| {row['data']} | {row['recipe']} | {', '.join(map(str, modes))} | {mean(modes):.1f} "
        f"| {row['of']} | {mean(quality):.1%} | {mean(divergence):.3f} | {seconds} |"
    )


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def draw(data: str) -> None:
    """Draw what the recipes' runs of seed 0 make, side by side."""
    panels = list(titled_panels(data))
    width, height = panels[0].size
    picture = Image.new("RGB", (width * len(panels), height), "white")
    for index, panel in enumerate(panels):
        picture.paste(panel, (index * width, 0))
    few = picture.quantize(PALETTE, dither=Image.Dither.NONE)
    few.save(HERE / "docs" / "images" / f"toys_{data}.png", optimize=True)


def titled_panels(data: str) -> Iterator[Image.Image]:
    """A scatter plot of each recipe's points, under the recipe's name."""
    for name in PANELS:
        row, _, out = settled(f"{name}-{data}")
        run = zerosum.load(out.with_name(f"{out.name}-seed-0"))
        plot = scatter(run.sample(POINTS), mixture_of(data))
        panel = Image.new("RGB", (plot.width, plot.height + TITLE), "white")
        panel.paste(plot, (0, TITLE))
        ImageDraw.Draw(panel).text((8, 5), row.command, INK, ImageFont.load_default(17))
        yield panel


if __name__ == "__main__":
    main()
