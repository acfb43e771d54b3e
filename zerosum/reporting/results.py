"""Figures as a table for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.table import Table

from zerosum.metrics.evaluate import Result
from zerosum.metrics.figures import Value
from zerosum.reporting.tables import table


def results_json(results: dict[str, Result]) -> dict[str, Any]:
    """The results as `--json` prints them."""
    return {"metrics": {name: asdict(result) for name, result in results.items()}}


def results_table(results: dict[str, Result]) -> Table:
    """One row a figure, with the floor beside it; below, what all the cards have in common."""
    made = table("metric", "value", "spread", "real against real", "better")
    for name, result in results.items():
        card = result.card
        spread = "" if card["spread"] is None else f"± {shown(card['spread'])}"
        floor = "unknown" if card["floor"] is None else shown(card["floor"])
        made.add_row(name, shown(result.value), spread, floor, card["better"])
    made.caption = caption(next(iter(results.values())).card)
    made.caption_justify = "left"
    return made


def caption(card: dict[str, Any]) -> str:
    """The circumstances of all figures in a few lines."""
    fake, real, others = card["evaluated"], card["reference"], card["floor_of"]
    weights = (card["features_sha256"] or "unknown")[:12]
    lines = [
        f"{fake['n']:,} images of {fake['name']}",
        f"against {described(real)}, seed {card['seed']}",
        f"features: {card['features']} (sha256 {weights}), {card['resize']}",
        "real against real: "
        + (described(others) if others else "unknown, for want of as many other real images"),
    ]
    return "\n".join(lines)


def described(card: dict[str, Any]) -> str:
    """A set of real images in a few words."""
    split = f", split {card['split']}" if card["split"] else ""
    return f"{card['n']:,} images of {card['name']}{split}"


def shown(value: Value) -> str:
    """A figure for people: five digits, or a share in percent for each class."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {share:.1%}" for name, share in value.items())
    return f"{value:.5g}"
