"""`zerosum train`: a command for every recipe, with a flag for every field of its config."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from pydantic import BaseModel, create_model

from zerosum.cli.evaluate import compare
from zerosum.config.base import Settings, read_toml, validate
from zerosum.errors import UserError
from zerosum.recipes import RECIPES, get

DEFAULT_RECIPE = "vanilla"

train = App(
    name="train",
    help="Train a recipe, or go on with a run: the same command again resumes it.",
    help_format="plaintext",
)


def train_command(recipe: str) -> Callable[..., None]:
    """Make the command that trains a recipe, with a flag for every field of its config."""

    def command(
        *,
        settings: Any = None,
        config: Annotated[
            Path | None, Parameter(help="A TOML file of settings; flags overrule it.")
        ] = None,
        out: Annotated[
            Path | None, Parameter(help="The run directory. [default: runs/RECIPE-DATA]")
        ] = None,
        fresh: Annotated[
            bool, Parameter(help="Remove the run that is there and start over.")
        ] = False,
        seeds: Annotated[
            int | None,
            Parameter(help="Train so many runs, from --seed on, in OUT-seed-0 …; compare them."),
        ] = None,
    ) -> None:
        from zerosum.api import train_config, train_seeds

        flags = settings.model_dump(exclude_unset=True) if settings else {}
        values = {**(read_toml(config) if config else {}), **flags}
        checked = validate(RECIPES[recipe].config, values)
        if seeds is None:
            train_config(recipe, checked, out=out, fresh=fresh)
        else:
            runs = train_seeds(recipe, checked, count=seeds, out=out, fresh=fresh)
            evaluated = checked.evaluate_every != 0
            if seeds > 1 and evaluated:  # or there is nothing to compare them by
                compare(*(run.path for run in runs))

    kind: type[Settings] = RECIPES[recipe].config
    command.__annotations__["settings"] = Annotated[
        flags_of(kind) | None, Parameter(name="*", negative_bool="no-")
    ]
    about = f"{RECIPES[recipe].summary} ({RECIPES[recipe].source})"
    command.__doc__ = "\n\n".join([about, *defaults_on_data(kind)])
    return command


def flags_of(kind: type[Settings]) -> type[BaseModel]:
    """Make the model that reads the flags: a config's fields, each checked by itself.

    Whether they go together is `validate`'s to say, once the config file and the defaults for the
    data have been added.
    """
    fields: dict[str, Any] = {
        name: (field.annotation, field) for name, field in kind.model_fields.items()
    }
    return create_model(f"{kind.__name__}Flags", __doc__=kind.__doc__, **fields)


def defaults_on_data(kind: type[Settings]) -> Iterator[str]:
    """Say which defaults differ for which data sets, in the words of the flags."""
    by_flags: dict[str, list[str]] = {}
    for data, defaults in kind.on_data.items():
        spelling = " ".join(
            spelled(name.replace("_", "-"), value)
            for name, value in defaults.items()
            if value is not None  # which no flag can say
        )
        by_flags.setdefault(spelling, []).append(data)
    for flags, names in by_flags.items():
        yield f"Defaults with --data {' or '.join(names)}: {flags}"


def spelled(flag: str, value: object) -> str:
    """A flag with its value, as the command takes it."""
    if isinstance(value, bool):
        return f"--{flag}" if value else f"--no-{flag}"
    return " ".join([f"--{flag}", *map(str, value if isinstance(value, tuple) else [value])])


def default_train_command() -> Callable[..., None]:
    """Make the command for `train` without a recipe's name in front: it trains the default.

    A name that is known makes a command of its own, so any name that arrives here is a mistake.
    """
    train_default = train_command(DEFAULT_RECIPE)

    def command(
        recipe: Annotated[str, Parameter(help="The recipe's name, in front of all flags.")] = "",
        /,
        *,
        settings: Any = None,
        config: Path | None = None,
        out: Path | None = None,
        fresh: bool = False,
        seeds: int | None = None,
    ) -> None:
        if recipe:
            get(recipe)
            raise UserError(
                f"The recipe '{recipe}' stood behind flags. Write its name first, as in "
                f"'zerosum train {recipe} --epochs 5'."
            )
        train_default(settings=settings, config=config, out=out, fresh=fresh, seeds=seeds)

    command.__annotations__ |= train_default.__annotations__
    return command


for _name in RECIPES:
    train.command(train_command(_name), name=_name)
train.default(default_train_command())
