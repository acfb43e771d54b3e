"""The verdicts on a training's health, and each signal of them, in words of a language.

The log keeps a verdict, an English sentence and the signals; the sentence is made anew from the
signals, so that every language tells the same. `metrics/health.py` has what they mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zerosum.metrics.health import (
    COLLAPSED_DIVERSITY,
    COLLAPSED_IDENTICAL,
    COPIES_NEAR,
    COPIES_RATIO,
    FEW_MODES,
    MEMORISED_SEPARATION,
    WINDOW,
    WON_SEPARATION,
    wide_turns,
)
from zerosum.report.words import Words
from zerosum.training.log import is_number

VERDICTS = (
    *("healthy", "too early to tell", "forming", "D has won", "collapsing", "memorising"),
    *("oscillating", "worsening"),
)
Point = tuple[float, float]
Looks = Sequence[tuple[float, Mapping[str, Any]]]
"""The epoch of each evaluation, and what the log says of health there."""


@dataclass(frozen=True, kw_only=True)
class Signal:
    """One signal: its name, its last value, what that means, and its way over the epochs."""

    name: str
    value: str
    sentence: str
    points: list[Point]
    alarming: bool


def verdict_name(verdict: str, words: Words) -> str:
    """A verdict's name; one that we do not know is left as it is."""
    return words(f"verdict.{verdict}") if verdict in VERDICTS else verdict


def verdict_sentence(looks: Looks, words: Words) -> str:
    """Why the last verdict was given; of one that we do not know, what the log says."""
    _, health = looks[-1]
    signals, verdict = signals_of(health), health["verdict"]
    if verdict == "healthy":
        return words("why.healthy")
    try:
        if verdict in ("collapsing", "forming"):
            findings = list(missing_variety(signals, words))
            if findings:
                text = words("joint").join(findings)
                return words("sentence", text=text[:1].upper() + text[1:])
        if verdict == "D has won":
            return words("why.D has won", share=f"{signals['separation']:.1%}")
        if verdict == "memorising":
            near, ratio = signals.get("near"), signals.get("ratio")
            if near and ratio and near > COPIES_NEAR and ratio < COPIES_RATIO:
                return words("why.copies", share=f"{near:.0%}")
            return words("why.by heart", share=f"{signals['train_separation']:.0%}")
        metrics = [float(signals_of(each)["metric"]) for _, each in looks]
        if verdict == "oscillating":
            recent = metrics[-WINDOW:]
            return words("why.oscillating", turns=wide_turns(recent), looks=len(recent))
        if verdict == "worsening":
            return words("why.worsening", now=f"{metrics[-1]:.3g}", best=f"{min(metrics):.3g}")
        if verdict == "too early to tell":
            return words("why.too early to tell", now=f"{metrics[-1]:.3g}")
    except (KeyError, TypeError, ValueError):  # a log that somebody has changed
        pass
    return str(health.get("why") or "")


def missing_variety(signals: Mapping[str, Any], words: Words) -> Iterator[str]:
    """What the samples lack."""
    if missing := signals["missing"]:
        yield words("why.missing", classes=", ".join(map(str, missing)))
    if signals["identical"] > COLLAPSED_IDENTICAL:
        yield words("why.identical", share=f"{signals['identical']:.0%}")
    if signals["diversity"] < COLLAPSED_DIVERSITY:
        yield words("why.diversity", share=f"{signals['diversity']:.0%}")
    modes = signals["modes"]
    if modes is not None and modes < FEW_MODES and not missing:
        yield words("why.modes", share=f"{modes:.0%}")


def signal_rows(looks: Looks, words: Words) -> list[Signal]:
    """Every signal that was measured, as it was at the last look."""
    last = signals_of(looks[-1][1])
    rows = []
    for name, alarming in ALARMING.items():
        value = last.get(name)
        if name == "missing":
            if isinstance(value, list) and last.get("modes") is not None:
                key = "signal.missing.some" if value else "signal.missing.none"
                sentence = words(key, classes=", ".join(map(str, value)))
                points = [
                    (epoch, float(len(found)))
                    for epoch, each in looks
                    if isinstance(found := signals_of(each).get(name), list)
                ]
                rows.append(row(name, str(len(value)), sentence, points, bool(value), words))
            continue
        if not is_number(value):
            continue
        assert isinstance(value, int | float)
        shown = f"{value:.1%}" if name in SHARES else f"{value:.3g}"
        points = [
            (epoch, float(signals_of(each)[name]))
            for epoch, each in looks
            if is_number(signals_of(each).get(name))
        ]
        sentence = words(f"signal.{name}", value=shown)
        rows.append(row(name, shown, sentence, points, alarming(float(value)), words))
    return rows


def row(
    name: str, value: str, sentence: str, points: list[Point], alarming: bool, words: Words
) -> Signal:
    """One row, under the signal's name in the language."""
    return Signal(
        name=words(f"signal.{name}.name"),
        value=value,
        sentence=sentence,
        points=points,
        alarming=alarming,
    )


def signals_of(health: Mapping[str, Any]) -> Mapping[str, Any]:
    """The signals that a verdict rests on; none where the log has no such thing."""
    found: object = health.get("signals")
    return found if isinstance(found, dict) else {}


SHARES = ("separation", "train_separation", "diversity", "identical", "modes", "near")
ALARMING: dict[str, Callable[[Any], bool]] = {
    "separation": lambda value: value >= WON_SEPARATION,
    "train_separation": lambda value: value > MEMORISED_SEPARATION,
    "diversity": lambda value: value < COLLAPSED_DIVERSITY,
    "identical": lambda value: value > COLLAPSED_IDENTICAL,
    "missing": bool,
    "modes": lambda value: value < FEW_MODES,
    "near": lambda value: value > COPIES_NEAR,
    "ratio": lambda value: value < COPIES_RATIO,
    "gap": lambda value: False,
    "D_gradient": lambda value: False,
    "G_gradient": lambda value: False,
}
"""Signals in the order of the page, and beyond what a value by itself catches the eye."""
