"""A run's configuration: every field is a flag, a line of a TOML file and an entry of config.json.

`Settings` holds what every run has, whatever its recipe; each recipe extends it in a small frozen
class of its own, `zerosum/recipes/<recipe>.py`. Values are validated once, here at the edge. Torch
is not imported: the command line builds its help from these classes.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from zerosum.errors import UserError, unknown_name


def number_in_text(value: object) -> object:
    """Read a flag's text as the number it is; pydantic does so for `int`, not for `Literal`."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Beta = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


class Settings(BaseModel):
    """What every run has. Recipes change the defaults and add their own fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = Field("mnist", description="A data set's name, or the path of your own images.")
    size: str | None = Field(
        None, description="Crop and resize images to N or HEIGHTxWIDTH pixels, such as 64 or 48x64."
    )
    channels: Annotated[Literal[1, 3, 4] | None, BeforeValidator(number_in_text)] = Field(
        None, description="1 for gray, 3 for RGB, 4 for RGBA. By default what the images have."
    )
    strict: bool = Field(False, description="Stop at an undecodable image instead of skipping it.")
    epochs: Count = Field(100, description="Passes over the data set.")
    images: Count | None = Field(
        None, description="Real images to train on in all, instead of --epochs."
    )
    batch_size: Count = Field(128, description="Real images a turn.")
    seed: int = Field(0, ge=0, description="Decides every random number of the run.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="bf16 is faster where the hardware multiplies it natively."
    )
    ema_half_life: int = Field(
        20_000, ge=0, description="Images over which the average of G forgets half; 0: no average."
    )
    sample_every: Count = Field(10, description="Epochs between pictures.")
    checkpoint_every: Count = Field(5, description="Epochs between checkpoints.")
    evaluate_every: int = Field(
        5,
        ge=0,
        description="Epochs between evaluations of the average of G; the best is kept. 0: none.",
    )
    stop_after_no_gain: Count | None = Field(
        None, description="Stop when so many epochs have brought no better figure."
    )

    @field_validator("stop_after_no_gain")
    @classmethod
    def _gain_is_measured(cls, epochs: int | None, others: ValidationInfo) -> int | None:
        if epochs is not None and others.data.get("evaluate_every") == 0:
            raise ValueError("expected --evaluate-every above 0 beside it, or no gain is ever seen")
        return epochs

    @field_validator("size", mode="before")
    @classmethod
    def _size_is_readable(cls, size: object) -> object:
        # In a TOML file and in Python, 64 is as natural as "64", and (48, 64) as "48x64".
        sides = [size] if type(size) is int else size
        text = "x".join(map(str, sides)) if isinstance(sides, list | tuple) else size
        if isinstance(text, str):
            parse_size(text)
        return text

    @field_validator("data", "device", mode="before")
    @classmethod
    def _python_objects_are_named(cls, value: object) -> object:
        # A pathlib.Path or a torch.device, from Python.
        named = isinstance(value, os.PathLike) or type(value).__name__ == "device"
        return str(value) if named else value

    @field_validator("device")
    @classmethod
    def _device_is_readable(cls, text: str) -> str:
        kind, _, index = text.partition(":")
        if kind not in ("auto", "cpu", "cuda", "mps") or (index and not index.isdecimal()):
            raise ValueError("expected auto, cpu, cuda, cuda:N or mps")
        return text


# What a resumed run may change: how often it reports; where the images are, since a checksum sees
# to it that they are the same; and the device, whose arithmetic differs in the last bits. The
# budget, `epochs` or `images`, may be raised as well, which `conflicts` sees to.
FREE_ON_RESUME = frozenset(
    {
        "sample_every",
        "checkpoint_every",
        "evaluate_every",
        "stop_after_no_gain",
        "data",
        "strict",
        "device",
    }
)

SomeSettings = TypeVar("SomeSettings", bound=Settings)


def parse_size(text: str) -> tuple[int, int]:
    """Read "64" or "48x64" as (height, width).

    Raises:
        ValueError: the text is neither, or a side is not positive.
    """
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise ValueError("expected N or HEIGHTxWIDTH, such as 64 or 48x64")
    return int(sides[0]), int(sides[-1])


def validate(kind: type[SomeSettings], values: dict[str, Any]) -> SomeSettings:
    """Build a config from values given by a user, whatever they came from.

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


def explain(error: ValidationError) -> str:
    """Say what is wrong with each field, in one line each."""
    lines = []
    for problem in error.errors():
        flag = "--" + str(problem["loc"][0]).replace("_", "-") if problem["loc"] else "the config"
        message = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        lines.append(f"{flag}: received {problem['input']!r}, expected {expected(message)}.")
    return "\n".join(lines)


def expected(message: str) -> str:
    """Turn pydantic's "greater than 0" or our own "expected ..." into what follows "expected"."""
    if message == "Field required":  # of a tuple that is too short
        return "more values"
    return message.removeprefix("expected ").removeprefix("Tuple should have ").rstrip(".")


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file of settings; dashes in names stand for underscores, as in flags.

    Raises:
        UserError: the file is missing, unreadable or not TOML.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"Could not read the config file '{path}': {error.strerror}. Expected a TOML file "
            "with lines such as `epochs = 5`."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"The config file '{path}' is not valid TOML: {error}.") from None
    return {name.replace("-", "_"): value for name, value in values.items()}


def conflicts(saved: Settings, asked: Settings) -> list[str]:
    """List the fields in which a resumed run's config may not differ from the saved one, but does.

    How often the run reports may change. The budget may grow but not shrink.
    """
    lines = []
    for name in type(saved).model_fields:
        before, now = getattr(saved, name), getattr(asked, name)
        if before == now or name in FREE_ON_RESUME:
            continue
        if name in ("epochs", "images") and None not in (before, now) and now > before:
            continue
        lines.append(f"{name}: the run has {before!r}, received {now!r}")
    return lines
