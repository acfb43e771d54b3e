"""A run's configuration: every field is a flag, a line of a TOML file and an entry of config.json.

`Settings` holds what every run has; `gan.py` and `translation.py` extend it, and what a recipe sets
otherwise stands in the table of recipes. Values are validated once, here at the edge.
Torch is not imported: the command line builds its help from these classes.
"""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from zerosum.config.specs import (
    Fit,
    Tier,
    parse_loggers,
    parse_range,
    parse_size,
    read_range,
    read_size,
)
from zerosum.errors import UserError, shown, unknown_name


def number_in_text(value: object) -> object:
    """Read a flag's text as the number it is; pydantic does so for `int`, not for `Literal`."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def as_text(value: object) -> object:
    """Take what is as natural in Python: 14 for "14", (48, 64) for "48x64", a path, a device.

    True is no number.
    """
    if isinstance(value, list | tuple):
        return "x".join(map(str, value))
    named = isinstance(value, os.PathLike) or type(value).__name__ == "device"
    return str(value) if named or type(value) is int else value


def as_names(value: object) -> object:
    """Take names as a list, which is as natural in Python and in TOML, for "a,b"."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else value


def checked_by(parse: Callable[[str], object]) -> AfterValidator:
    """Let a setting be a text that can be parsed."""

    def check(text: str) -> str:
        parse(text)
        return text

    return AfterValidator(check)


Text = Annotated[str, BeforeValidator(as_text)]
Count = Annotated[int, Field(ge=1, le=10**12)]
Breadth = Annotated[int, Field(ge=1, le=2**20)]
"""Of a part of a net. Somebody else's settings are believed up to what could ever be trained."""
MOST_LAYERS = 1000
Interval = Annotated[int | float, Field(gt=0, allow_inf_nan=False)]
"""In epochs, of which it may be a part."""
Rate = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Beta = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


@dataclass(frozen=True)
class ReadBy:
    """Marks a setting that not everything reads: who does, and whether that is so of settings."""

    reader: str
    reads: Callable[[Any], bool]


class Settings(BaseModel):
    """What every run has. Recipes change the defaults and add their own fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Text = Field("mnist", description="A data set's name, or the path of your own images.")
    size: Annotated[Text, checked_by(parse_size)] | None = Field(
        None, description="Crop and resize images to N or HEIGHTxWIDTH pixels, such as 64 or 48x64."
    )
    channels: Annotated[Literal[1, 3, 4] | None, BeforeValidator(number_in_text)] = Field(
        None, description="1 for gray, 3 for RGB, 4 for RGBA. By default what the images have."
    )
    fit: Annotated[Fit, ReadBy("--size", lambda s: s.size is not None)] = Field(
        "crop",
        description="How images of another aspect get --size: crop, pad, squash, or short-side.",
    )
    range: Annotated[str, checked_by(parse_range)] | None = Field(
        None,
        description="LOW:HIGH, the values that become black and white in images of more than 8 "
        "bits, such as 0:4095; or auto, those of the whole set.",
    )
    hold_out: float = Field(
        0,
        ge=0,
        lt=1,
        description="Share of the images to keep from training, such as 0.1, where no folder does.",
    )
    strict: bool = Field(False, description="Stop at an undecodable image instead of skipping it.")
    data_tier: Tier = Field(
        "auto",
        description="Where images are kept: on the device, in memory, decoded on disk, or auto, "
        "the first in which they fit. It changes no result.",
    )
    epochs: Count | None = Field(100, description="Passes over the data set.")
    images: Count | None = Field(
        None, description="Real images to train on in all, instead of --epochs."
    )
    batch_size: Count = Field(128, description="Real images a turn.")
    seed: int = Field(0, ge=0, description="Decides every random number of the run.")
    device: Annotated[Text, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = Field(
        "auto", description="auto, cpu, cuda, cuda:N or mps."
    )
    precision: Literal["fp32", "bf16", "auto", "fp64"] = Field(
        "fp32",
        description="bf16 is faster on some hardware; auto measures it, and takes it there. fp64 "
        "is slow, and for proofs.",
    )
    ema_half_life: int = Field(
        20_000, ge=0, description="Images over which the average of G forgets half; 0: no average."
    )
    sample_every: Interval | None = Field(
        None, description="Epochs between pictures. [default: so that there are about ten]"
    )
    checkpoint_every: Interval | None = Field(
        None, description="Epochs between checkpoints. [default: a twentieth of the training]"
    )
    evaluate_every: Annotated[int | float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        None,
        description="Epochs between evaluations of the average of G; the best is kept. 0: none. "
        "[default: so that there are about twenty]",
    )
    patience: Count | None = Field(
        None, description="Stop when so many epochs have brought no better metric."
    )
    on_collapse: Literal["stop", "restart", "continue"] | None = Field(
        None,
        description="What to do when D has won or G is collapsing, at two evaluations in a row: "
        "stop; restart from the last healthy checkpoint with fresh random numbers; or continue. "
        "[default: stop in a terminal, else continue]",
    )
    restarts: Annotated[
        Count, ReadBy("--on-collapse restart", lambda s: s.on_collapse == "restart")
    ] = Field(3, description="Restarts of a seed, after which the next seed is tried.")
    log: Annotated[str, BeforeValidator(as_names), checked_by(parse_loggers)] = Field(
        "none",
        description="Send the log on as well: tensorboard, wandb, trackio, with commas between.",
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.epochs is None and self.images is None:
            raise ValueError("expected --epochs or --images")
        if self.patience is not None and self.evaluate_every == 0:
            raise ValueError("expected --evaluate-every above 0 beside --patience")
        if self.on_collapse in ("stop", "restart") and self.evaluate_every == 0:
            raise ValueError(
                f"expected --evaluate-every above 0 beside --on-collapse {self.on_collapse}"
            )
        return self

    def loading(self) -> dict[str, Any]:
        """How images are brought to their form, as `zerosum.data.load` takes it."""
        return {
            "size": read_size(self.size),
            "channels": self.channels,
            "fit": self.fit,
            "value_range": read_range(self.range),
            "hold_out": self.hold_out,
            "tier": self.data_tier,
        }

    def budget(self, num_images: int) -> int:
        """Real images to train on in all, with so many in the data set."""
        return self.images or (self.epochs or 0) * num_images

    def settled(self, budget: int) -> Self:
        """Put numbers in the place of what follows from the budget, in images."""
        return self

    def unsettled(self, budget: int) -> Self:
        """The inverse of `settled`, for another training with these settings."""
        return self

    def ends_with_budget(self, budget: int) -> bool:
        """Whether something that changes in training is made to end with a budget, in images."""
        return False

    def beyond_annealing(self, seen: int, budget: int) -> str | None:
        """What becomes of a training whose budget goes on after the annealing, if it does.

        Args:
            seen: images trained on so far.
            budget: images to train on in all.
        """
        return None

    def ticks(self, num_images: int) -> Ticks:
        """How often to report, with so many images in the data set.

        Where nothing is asked for, it follows from the budget: about ten pictures and twenty
        evaluations, each at the end of an epoch unless epochs are long; a checkpoint each twentieth
        at the latest, in mid-epoch if need be, so that a power cut costs no more; and a line of the
        log an epoch, but never more than a thousand lines.
        """
        budget = self.budget(num_images)
        unit = min(num_images, LONG_EPOCH)

        def asked(epochs: float | None) -> int | None:
            return None if epochs is None else max(round(epochs * num_images), int(epochs > 0))

        def about(parts: int, rounded: Callable[[float], int] = round) -> int:
            return unit * max(1, rounded(budget / parts / unit))

        sample, checkpoint, evaluate = map(
            asked, (self.sample_every, self.checkpoint_every, self.evaluate_every)
        )
        twentieth = about(20, int) if budget >= 20 * unit else max(1, budget // 20)
        return Ticks(
            log=about(1000, math.ceil),
            sample=about(10) if sample is None else sample,
            checkpoint=twentieth if checkpoint is None else checkpoint,
            evaluate=about(20) if evaluate is None else evaluate,
        )


LONG_EPOCH = 60_000
"""Images after which a line of the log is due even if the epoch is not over; MNIST has so many."""


@dataclass(frozen=True, kw_only=True)
class Ticks:
    """Real images between two lines of the log, pictures, checkpoints and evaluations."""

    log: int
    sample: int
    checkpoint: int
    evaluate: int


# What a resumed run may change: how often it reports; where the images are, since a checksum sees
# to it that they are the same, and where they are kept meanwhile; and the device, whose arithmetic
# differs in the last bits. The budget, `epochs` or `images`, may be raised as well, which
# `conflicts` sees to.
FREE_ON_RESUME = frozenset(
    {
        "sample_every",
        "checkpoint_every",
        "evaluate_every",
        "patience",
        "on_collapse",
        "restarts",
        "data",
        "strict",
        "data_tier",
        "device",
        "log",
    }
)

SomeSettings = TypeVar("SomeSettings", bound=Settings)


def validate(kind: type[SomeSettings], values: Mapping[str, Any]) -> SomeSettings:
    """Build settings; what is not given is the field's own default.

    Raises:
        UserError: a field is unknown or its value is not valid; all such fields are named.
    """
    for name in values:
        if name not in kind.model_fields:
            raise unknown_name("setting", name, kind.model_fields)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise UserError(explain(error)) from None


def restore(kind: type[SomeSettings], saved: Mapping[str, Any]) -> SomeSettings:
    """Build settings from what a run of this or of an older version has saved."""
    return validate(kind, modern_names(saved))


OLD_NAMES = {
    "d_turns": "n_critic",
    "parts": "grad_accumulation",
    "flips": "hflip",
    "tapers_above": "full_width_up_to",
    "stop_after_no_gain": "patience",
    "anneal_rate": "lr_end",
    "anneal_along": "lr_schedule",
}
"""Settings by their names in 0.1, which are understood for one version more."""
OLD_VALUES = {"lr_schedule": {"line": "linear"}}
SPELLINGS = {"lr": "learning_rate"}
"""Second spellings, which stay."""


def modern_names(
    values: Mapping[str, Any], tell: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Give settings the names, and the values, of today.

    Args:
        values: by name.
        tell: told of each old name that is met, in one line.
    """
    found = {}
    for name, value in values.items():
        new = OLD_NAMES.get(name) or SPELLINGS.get(name, name)
        if name in OLD_NAMES:
            tell(f"'{name.replace('_', '-')}' is now called '{new.replace('_', '-')}'.")
        if isinstance(value, str):
            value = OLD_VALUES.get(new, {}).get(value, value)
        found[new] = value
    return found


def unread(settings: Settings) -> dict[str, str]:
    """The settings that nothing would read, each with what would read it."""
    return {
        name: marker.reader
        for name, field in type(settings).model_fields.items()
        for marker in field.metadata
        if isinstance(marker, ReadBy) and not marker.reads(settings)
    }


def require_read(settings: Settings, given: Iterable[str]) -> None:
    """Refuse settings that a user has given and that would change nothing.

    Raises:
        UserError: there are such settings; each is named with what would read it.
    """
    ignored = unread(settings)
    lines = [
        f"--{name.replace('_', '-')} would change nothing: it is read by {ignored[name]}."
        for name in given
        if name in ignored
    ]
    if lines:
        raise UserError("\n".join([*lines, "Leave it out, or choose what reads it."]))


def explain(error: ValidationError) -> str:
    """Say what is wrong with each field, in one line each."""
    lines = []
    for problem in error.errors():
        message = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        if problem["type"] == "string_pattern_mismatch":  # what the pattern means, in words
            message = "auto, cpu, cuda, cuda:N or mps"
        if problem["loc"]:
            flag = str(problem["loc"][0]).replace("_", "-")
            received = f"--{flag}: received {shown(problem['input'])},"
        else:  # of several settings that do not go together
            received = "The settings do not fit together:"
        lines.append(f"{received} expected {expected(message)}.")
    return "\n".join(lines)


def expected(message: str) -> str:
    """Turn pydantic's "greater than 0" or our own "expected ..." into what follows "expected"."""
    if message == "Field required":  # of a tuple that is too short
        return "more values"
    return message.removeprefix("expected ").removeprefix("Tuple should have ").rstrip(".")


MOST_TOML = 16_384
"""Bytes of a file of settings; those with all settings have some 3,000. tomllib takes time that
grows with the square of a key's dots."""


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file of settings; dashes in names stand for underscores, as in flags.

    Raises:
        UserError: the file is missing, unreadable, too large or not TOML.
    """
    try:
        with path.open("rb") as file:  # which may be a pipe, as of a shell's <(...)
            content = file.read(MOST_TOML + 1)
        if len(content) > MOST_TOML:
            raise ValueError(f"it has more than {MOST_TOML:,} bytes")
        values = tomllib.loads(content.decode())
    except OSError as error:
        raise UserError(
            f"Could not read the config file '{path}': {error.strerror}. Expected a TOML file "
            "with lines such as `epochs = 5`, or the config.json of a run."
        ) from None
    except (ValueError, RecursionError) as error:  # of nesting, and numbers of 5,000 digits
        reason = "it is nested too deep" if isinstance(error, RecursionError) else error
        raise UserError(f"The config file '{path}' is not valid TOML: {reason}.") from None
    return {name.replace("-", "_"): value for name, value in values.items()}


def is_saved_config(path: Path) -> bool:
    """Whether a file of settings is a run's config.json, or a copy of it, and not TOML."""
    return path.suffix.lower() == ".json"


def conflicts(
    saved: Settings, asked: Settings, *, num_images: int, given: Collection[str] | None = None
) -> list[str]:
    """List the flags in which a resumed run's config may not differ from the saved one, but does.

    How often the run reports may change, and so may what nothing reads, which 0.1 let a user give.
    The budget may grow but not shrink.

    Args:
        saved: what the run was trained with.
        asked: what it is to go on with.
        num_images: how many the data set has now.
        given: the names of the settings that the user gave; None for all.
    """

    def differing(name: str, before: str, now: str) -> str:
        asked_for = given is None or name in given
        how = "received" if asked_for else "not given here, where the default is"
        return f"--{name.replace('_', '-')}: the run has {before}, {how} {now}"

    lines = []
    idle = unread(saved).keys() & unread(asked).keys()
    for name in type(saved).model_fields:
        before, now = getattr(saved, name), getattr(asked, name)
        if before == now or name in FREE_ON_RESUME or name in idle or name in ("epochs", "images"):
            continue
        lines.append(differing(name, as_flag(before), as_flag(now)))
    if asked.budget(num_images) < saved.budget(num_images):
        name = "images" if asked.images else "epochs"
        unit = "images" if saved.images else "epochs"
        before = as_flag(getattr(saved, unit)) + f" {unit}" * (unit != name)
        lines.append(f"{differing(name, before, as_flag(getattr(asked, name)))}; it can only grow")
    return lines


def as_flag(value: object) -> str:
    """A setting's value as a user would write it behind its flag."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "on", False: "off"}[value]
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
