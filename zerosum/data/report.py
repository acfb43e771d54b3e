"""What was understood of a source of images, and what was done to them: told before a training.

Imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from zerosum.data.names import natural_key, printable

Size = tuple[int, int]
"""Height and width in pixels."""
ValueRange = tuple[float, float] | Literal["auto"]
"""The values that become black and white; "auto" for the lowest and the highest of a set."""


@dataclass(frozen=True, kw_only=True)
class Note:
    """Something that is so of several images, or files.

    Attributes:
        what: in words that follow their number: "cropped to the aspect of 64×64".
        count: how many.
        example: the first of them, in natural order.
    """

    what: str
    count: int
    example: str

    def __str__(self) -> str:
        example = f", such as {self.example}" if self.example else ""
        what = self.what
        if self.count == 1:
            what = re.sub(r"^(file|image|picture|sample)s ", r"\1 ", what)
        return f"{self.count:,} {what}{example}"


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a reader has understood.

    Attributes:
        origin: what was read: a folder, or files.
        held_out: where the images lie that are not to train on; "" where there are none.
        sizes: of the images as they were, the smallest and the largest, by area; () where all
            images are of the size that they were brought to.
        values: what the pixels' values were, "0 to 4,095 of 65,535"; "" for 0 to 255.
        changed: what was done to images.
        left_out: what was not used, and why.
        warnings: what is likely not meant, in whole sentences.
    """

    origin: str = ""
    held_out: str = ""
    sizes: tuple[Size, ...] = ()
    values: str = ""
    changed: tuple[Note, ...] = ()
    left_out: tuple[Note, ...] = ()
    warnings: tuple[str, ...] = ()

    def with_more(
        self,
        *,
        changed: Iterable[Note] = (),
        left_out: Iterable[Note] = (),
        warnings: Iterable[str] = (),
        **facts: Any,
    ) -> Report:
        """The same and more: notes and warnings are added, all else replaced."""
        return replace(
            self,
            changed=(*self.changed, *changed),
            left_out=(*self.left_out, *left_out),
            warnings=(*self.warnings, *warnings),
            **facts,
        )

    def joined(self, other: Report) -> Report:
        """What is so of this and of another set together."""
        sizes = sorted({*self.sizes, *other.sizes}, key=lambda size: (size[0] * size[1], size))
        return replace(
            self,
            changed=together((*self.changed, *other.changed)),
            left_out=together((*self.left_out, *other.left_out)),
            warnings=(*self.warnings, *other.warnings),
            sizes=tuple(dict.fromkeys((sizes[0], sizes[-1]))) if sizes else (),
            held_out=" and ".join(filter(None, (self.held_out, other.held_out))),
            values=" and ".join(dict.fromkeys(filter(None, (self.values, other.values)))),
        )

    def lines(self) -> list[str]:
        """What a person should read of it, a line each; warnings are not among them."""
        rows = [
            ("from", self.origin),
            ("held out", self.held_out),
            ("sizes", " to ".join(dict.fromkeys(f"{h}×{w}" for h, w in self.sizes))),
            ("values", self.values),
            ("changed", "; ".join(map(str, self.changed))),
            ("left out", "; ".join(map(str, self.left_out))),
        ]
        return [f"  {head:9} {text}" for head, text in rows if text]

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        return asdict(self)


def together(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Add up the notes that say the same, with the example of the first."""
    found: dict[str, Note] = {}
    for note in notes:
        first = found.get(note.what)
        found[note.what] = replace(first, count=first.count + note.count) if first else note
    return tuple(found.values())


@dataclass
class Tally:
    """Counts what is so of images, one by one, in any order."""

    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, what: str, name: str) -> None:
        """Count one more, a file by its name."""
        self.examples.setdefault(what, []).append(name)

    def names(self) -> dict[str, str]:
        """What is so of each that was counted."""
        return {name: what for what, names in self.examples.items() for name in names}

    def notes(self, among: Collection[str] | None = None) -> tuple[Note, ...]:
        """What was counted, of these files alone if they are named; what is so of most first."""
        found = []
        for what, names in self.examples.items():
            if counted := [name for name in names if among is None or name in among]:
                example = printable(min(counted, key=natural_key))
                found.append(Note(what=what, count=len(counted), example=example))
        return tuple(sorted(found, key=lambda note: (-note.count, note.what)))


FEW_LEVELS = 32
"""Levels of 256 up to which images are taken for those of a wrong range."""


def values_in_words(
    lowest: float,
    highest: float,
    most: float,
    value_range: ValueRange | None,
    *,
    of_eight_bits: int = 0,
) -> str:
    """Say which values images of more than 8 bits have, and what becomes of them.

    Args:
        lowest: of all of their values.
        highest: likewise.
        most: that they could have.
        value_range: as it was asked for.
        of_eight_bits: how many other images there are beside them.
    """
    values = f"{lowest:,g} to {highest:,g}"
    if value_range is None:
        values += f" of {most:,g}"
    elif value_range == "auto":
        values += ", which become black and white"
    else:
        low, high = value_range
        values += f", of which {low:,g} becomes black and {high:,g} white"
    others = f"; {of_eight_bits:,} images have 8 bits, and 0 to 255" if of_eight_bits else ""
    return values + others


def few_levels(count: int, brightest: int, levels: int, values: str) -> str:
    """Warn of images so nearly flat that their range is hardly what was meant, or say "".

    Args:
        count: of the images.
        brightest: of their pixels, of 255.
        levels: from the darkest to the brightest.
        values: what `values_in_words` says of them, "" of 8 bits.
    """
    if levels > FEW_LEVELS:
        return ""
    if values:
        return (
            f"The {count:,} images have values from {values}: {levels} levels of gray are left of "
            f"256, the brightest {brightest}. Say which values are black and white with --range "
            "LOW:HIGH, or with --range auto."
        )
    return (
        f"The {count:,} images are nearly flat: {levels} of 256 levels occur, the brightest "
        f"{brightest}. Are these the images that you mean?"
    )
