"""Metrics as a table for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict
from html import escape
from typing import Any

from rich.table import Table

from zerosum.metrics.evaluate import MetricResult
from zerosum.metrics.registry import METRICS, Value
from zerosum.plots.tables import table

COLUMNS = ("metric", "value", "spread", "real against real", "better")
MOST_SHARES = 20  # in one cell of a table
EXTREME_SHARES = 3


def results_json(results: dict[str, MetricResult]) -> dict[str, Any]:
    """The results as `--json` prints them."""
    return {"metrics": {name: asdict(result) for name, result in results.items()}}


def results_table(results: dict[str, MetricResult]) -> Table:
    """One row a metric, with the floor beside it; below, what all the cards have in common."""
    made = table(*COLUMNS)
    first = next(iter(results.values())).card
    others = []
    for row, (name, result) in zip(rows_of(results), results.items(), strict=True):
        made.add_row(*row)
        card = result.card
        if card["features"] != first["features"]:
            floor_of = card["floor_of"]
            floor = f"; real against real: {described(floor_of)}" if floor_of else ""
            others.append(f"{name}: {seen_by(card)}{floor}")
    fake, real, floor_of = first["evaluated"], first["reference"], first["floor_of"]
    protocol = f", protocol {first['protocol']}" if first.get("protocol") else ""
    lines = [
        f"{fake['n']:,} images of {fake['name']}",
        f"against {described(real)}, seed {first['seed']}{protocol}",
        f"features: {seen_by(first)}",
    ]
    if not first.get("paired"):
        unknown = "unknown, for want of as many other real images"
        lines.append(f"real against real: {described(floor_of) if floor_of else unknown}")
    made.caption = "\n".join([*lines, *others])
    made.caption_justify = "left"
    return made


def rows_of(results: dict[str, MetricResult]) -> list[tuple[str, ...]]:
    """Of each metric what stands in the `COLUMNS`."""
    rows: list[tuple[str, ...]] = []
    for name, result in results.items():
        card = result.card
        spread = "" if card["spread"] is None else f"± {shown(card['spread'])}"
        # Pairs that are the same have no error, and so no finite ratio of signal to error.
        value = "infinite" if name == "psnr" and result.value is None else shown(result.value)
        floor = "" if card.get("paired") else shown(card["floor"])  # which pairs have none of
        rows.append((titled(name), value, spread, floor, card["better"]))
    return rows


class Metrics(dict[str, MetricResult]):
    """Metrics by name, that a notebook shows as a table."""

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{column}</th>' for column in COLUMNS)
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in rows_of(self)
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def titled(name: str) -> str:
    """A metric's name, with its unit or scale if it has one."""
    metric = METRICS.get(name)
    return f"{name} ({metric.unit})" if metric and metric.unit else name


def seen_by(card: dict[str, Any]) -> str:
    """Through what net, and at what size, images were looked at."""
    if card["features"] == "pixels":
        return "pixels as they are"
    weights = (card["features_sha256"] or "unknown")[:12]
    return f"{card['features']} (sha256 {weights}), {card['resize']}"


def described(card: dict[str, Any]) -> str:
    """A set of real images in a few words."""
    if card["n"] is None:
        return f"the statistics {card['name']}"
    split = f", split {card['split']}" if card["split"] else ""
    return f"{card['n']:,} images of {card['name']}{split}"


def shown(value: Value | None) -> str:
    """A metric for people: five digits, or a share in percent for each class."""
    if value is None:
        return "unknown"
    if isinstance(value, dict):
        return shown_shares(value)
    return f"{value:.5g}"


def shown_shares(shares: dict[str, float]) -> str:
    """Shares in percent: all of them, or of very many the largest and the smallest."""
    if len(shares) <= MOST_SHARES:
        return ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    most, least = (
        ", ".join(f"{name} {share:.2%}" for name, share in some)
        for some in (ordered[:EXTREME_SHARES], ordered[-EXTREME_SHARES:])
    )
    return f"{len(shares):,} of them, most {most}, least {least}"
