"""What a sweep tries: for each setting of a recipe a range, or choices.

`lr=1e-4..1e-3:log,n-critic=1,2,5` is cut at its commas; what holds a "=" begins a setting, and what
follows without one are further choices of it. Nothing here imports torch or optuna.
"""

from __future__ import annotations

import itertools
import math
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from zerosum.config.base import Settings, as_flag, modern_names
from zerosum.errors import UserError, shown, unknown_name
from zerosum.recipes import Recipe

EXAMPLE = "lr=1e-4..1e-3:log,n-critic=1,2,5"
MOST_CHECKED = 1000
"""Combinations that are tried on the recipe before the first training; of more, so many."""
NOT_SWEPT = {
    **dict.fromkeys(
        ("data", "size", "channels", "fit", "range", "hold_out"),
        "it decides which images the metric compares with, and trials could not be compared",
    ),
    **dict.fromkeys(
        ("epochs", "images", "evaluate_every"),
        "trials are compared evaluation by evaluation, so all have the same budget",
    ),
    "seed": "the best of many seeds is luck. Give --seeds 3 to train the best settings with three",
    **dict.fromkeys(
        ("device", "data_tier", "sample_every", "checkpoint_every", "strict"),
        "it changes no result",
    ),
}
"""Settings that a sweep leaves alone, and why."""


@dataclass(frozen=True, kw_only=True)
class Range:
    """All numbers from `low` to `high`, both included; whole ones if both are whole."""

    low: float
    high: float
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def samples(self) -> tuple[Any, ...]:
        """Values by which to tell whether the recipe takes the range: its ends."""
        return self.low, self.high

    def value(self, drawn: Any) -> Any:
        """The setting's value, of what optuna has drawn: with four digits, as one would type it."""
        return drawn if self.whole else min(max(float(f"{drawn:.4g}"), self.low), self.high)

    def __str__(self) -> str:
        return f"{self.low}..{self.high}{':log' * self.log}"


@dataclass(frozen=True, kw_only=True)
class Choices:
    """A few values, each by its text as one would write it behind the flag.

    Attributes:
        texts: the texts; optuna draws one of them.
        several: whether a value is a tuple, its parts set apart by blanks.
        optional: whether "none" is None, and not a text like the others.
    """

    texts: tuple[str, ...]
    several: bool = False
    optional: bool = False

    @property
    def samples(self) -> tuple[Any, ...]:
        """All of the values."""
        return tuple(map(self.value, self.texts))

    def value(self, drawn: Any) -> Any:
        """The setting's value, of the text that optuna has drawn."""
        if drawn == "none" and self.optional:
            return None
        return tuple(drawn.split()) if self.several else drawn

    def __str__(self) -> str:
        return ",".join(self.texts)


Space = Mapping[str, Range | Choices]


def read_space(over: str | Mapping[str, Any], recipe: Recipe) -> dict[str, Range | Choices]:
    """Read what to try, as text, or in Python as {setting: text or list of choices}.

    Raises:
        UserError: a setting is unknown, or one that a sweep leaves alone, or its values are
            neither a range nor choices.
    """
    if isinstance(over, str):
        given: Mapping[str, Any] = split(over)
    elif isinstance(over, Mapping):
        given = over
    else:
        raise UserError(f"over: received {shown(over)}, expected such as '{EXAMPLE}', or a dict.")
    named: dict[str, Any] = {}
    for name, values in given.items():
        ((setting, _),) = modern_names({str(name).strip().lstrip("-").replace("-", "_"): 0}).items()
        if setting not in recipe.config.model_fields:
            raise unknown_name(
                "setting",
                str(name),
                [each.replace("_", "-") for each in recipe.config.model_fields],
            )
        if setting in NOT_SWEPT:
            flag = setting.replace("_", "-")
            raise UserError(f"'{flag}' cannot be swept: {NOT_SWEPT[setting]}.")
        if setting in named:
            raise UserError(f"'{name}' stands in --over twice: expected each setting once.")
        named[setting] = values
    if not named:
        raise UserError(f"There is nothing in --over: expected such as {EXAMPLE}.")
    return {name: read_values(name, values, recipe.config) for name, values in named.items()}


def split(text: str) -> dict[str, list[str]]:
    """Cut the text into settings with their values.

    Raises:
        UserError: it begins with a value, or names a setting twice.
    """
    found: dict[str, list[str]] = {}
    name = None
    for token in text.split(","):
        if "=" in token:
            name, _, token = token.partition("=")
            name = name.strip()
            if name in found:
                raise UserError(f"'{name}' stands in --over twice: expected each setting once.")
            found[name] = []
        if name is None:
            raise UserError(
                f"--over begins with '{token.strip()}', expected a setting and its values, such "
                f"as {EXAMPLE}."
            )
        found[name].append(token.strip())
    return found


def read_values(name: str, given: Any, config: type[Settings]) -> Range | Choices:
    """Read the values of one setting: a text, or a list of texts and, in Python, of values.

    Raises:
        UserError: they are no range and no choices.
    """
    annotation = config.model_fields[name].annotation
    several = takes(tuple, annotation)
    flag = name.replace("_", "-")
    if isinstance(given, str):
        given = given.split(",")
    if not isinstance(given, Sequence):
        raise UserError(
            f"over: received {flag}={shown(given)}, expected '1e-4..1e-3:log' or a list."
        )
    texts = [" ".join(each.split()) if isinstance(each, str) else as_flag(each) for each in given]
    if len(texts) == 1 and ".." in texts[0]:
        if several:
            raise UserError(
                f"{flag}={texts[0]}: this setting has several parts, expected choices, such as "
                f"{flag}=0 0.9,0.5 0.999."
            )
        return read_range(flag, texts[0])
    for text in texts:
        if not text or ".." in text or text.endswith(":log"):
            raise UserError(
                f"{flag}={','.join(texts)}: expected one range LOW..HIGH or LOW..HIGH:log, or "
                "choices between commas."
            )
    if len(set(texts)) < len(texts):
        raise UserError(f"{flag}={','.join(texts)}: expected each choice once.")
    if len(texts) < 2:
        raise UserError(
            f"{flag}={texts[0] if texts else ''} leaves nothing to choose. Give --{flag} instead, "
            "or several values."
        )
    return Choices(texts=tuple(texts), several=several, optional=takes(type(None), annotation))


def read_range(flag: str, text: str) -> Range:
    """Read LOW..HIGH, or LOW..HIGH:log; whole numbers, if both are written so.

    Raises:
        UserError: it is none.
    """
    ends, colon, kind = text.partition(":")
    low_text, _, high_text = ends.partition("..")
    try:
        low, high = number(low_text), number(high_text)
    except ValueError:
        low = high = math.nan
    log = kind == "log"
    if not low < high or (colon and not log):
        raise UserError(
            f"{flag}={text}: expected LOW..HIGH with two numbers, LOW below HIGH, and :log behind "
            "them for a logarithmic scale."
        )
    if log and low <= 0:
        raise UserError(f"{flag}={text}: a logarithmic scale begins above 0.")
    both = isinstance(low, int) and isinstance(high, int)
    return Range(low=low if both else float(low), high=high if both else float(high), log=log)


def number(text: str) -> int | float:
    """A finite number, whole where it is written so.

    Raises:
        ValueError: it is none.
    """
    try:
        return int(text)
    except ValueError:
        found = float(text)
        if not math.isfinite(found):
            raise ValueError(text) from None
        return found


def takes(kind: type, annotation: Any) -> bool:
    """Whether a setting of such an annotation is of a type, or may be."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return takes(kind, get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return any(takes(kind, each) for each in get_args(annotation))
    return kind in (origin, annotation)


def as_json(space: Space) -> dict[str, Any]:
    """A space as sweep.json holds it."""
    return {
        name: {"low": values.low, "high": values.high, "log": values.log}
        if isinstance(values, Range)
        else {
            "choices": list(values.texts),
            "several": values.several,
            "optional": values.optional,
        }
        for name, values in space.items()
    }


def from_json(saved: Mapping[str, Mapping[str, Any]]) -> dict[str, Range | Choices]:
    """The inverse of `as_json`."""
    return {
        name: Choices(
            texts=tuple(values["choices"]),
            several=values["several"],
            optional=values["optional"],
        )
        if "choices" in values
        else Range(low=values["low"], high=values["high"], log=values["log"])
        for name, values in saved.items()
    }


def as_text(space: Space) -> str:
    """A space as one writes it behind --over."""
    return ",".join(f"{name.replace('_', '-')}={values}" for name, values in space.items())


def combinations(space: Space) -> Iterator[dict[str, Any]]:
    """Settings by which to tell whether the recipe takes all of a space.

    All combinations of choices and of the ends of ranges, or of so many that each value is met.
    """
    lists = [values.samples for values in space.values()]
    if math.prod(map(len, lists)) <= MOST_CHECKED:
        rows: Iterator[Sequence[Any]] = itertools.product(*lists)
    else:
        rows = zip(
            *(itertools.islice(itertools.cycle(each), max(map(len, lists))) for each in lists),
            strict=True,
        )
    for row in rows:
        yield dict(zip(space, row, strict=True))


def require_fitting(
    space: Space, recipe: Recipe, settings: Mapping[str, Any], inherited: Mapping[str, Any]
) -> None:
    """Refuse, before anything is trained, what the recipe would refuse in the middle of it.

    Raises:
        UserError: a setting is given beside --over as well; or a combination is not valid, or
            holds a setting that nothing would read.
    """
    for name in space:
        if settings.get(name) is not None:
            raise UserError(
                f"--{name.replace('_', '-')} is given, and stands in --over too. Leave one out."
            )
    for values in combinations(space):
        try:
            recipe.configure(settings, values, inherited=inherited)
        except UserError as error:
            tried = ", ".join(
                f"{name.replace('_', '-')} {as_flag(v)}" for name, v in values.items()
            )
            raise UserError(f"--over holds {tried}. {error}") from None
