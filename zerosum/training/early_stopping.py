"""Whether a run still gets better, or has collapsed, by its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Log = Sequence[Mapping[str, Any]]

COLLAPSES = ("D has won", "collapsing")
"""The verdicts from which a training does not recover by itself."""
LOOKS = 2
"""How many evaluations in a row have to say so."""


def score_of(record: Mapping[str, Any]) -> float | None:
    """The metric by which the best checkpoint is chosen, lower is better: the record's first.

    None where an epoch was not evaluated.
    """
    return next(iter(record.get("metrics", {}).values()), None)


def best_record(log: Log) -> Mapping[str, Any] | None:
    """The record with the lowest score, the earliest of equals; None where none has a score."""
    scored = [record for record in log if score_of(record) is not None]
    return min(scored, key=lambda record: score_of(record) or 0.0, default=None)


def stalled(log: Log, patience: float | None) -> bool:
    """Whether the last `patience` epochs, or more, brought no better score; never if it is None."""
    best = best_record(log)
    if patience is None or best is None:
        return False
    newest = max(record["epoch"] for record in log if score_of(record) is not None)
    return bool(newest - best["epoch"] >= patience)


def verdict_of(record: Mapping[str, Any]) -> str | None:
    """What an evaluation has judged of the training's health; None where there was none."""
    health = record.get("health")
    return health.get("verdict") if isinstance(health, dict) else None


def collapse(log: Log) -> Mapping[str, Any] | None:
    """The newest evaluated record, if the last two say that the training has collapsed."""
    judged = [record for record in log if verdict_of(record) is not None][-LOOKS:]
    if len(judged) < LOOKS or any(verdict_of(record) not in COLLAPSES for record in judged):
        return None
    return judged[-1]
