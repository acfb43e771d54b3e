"""`zerosum train`: a flag for every setting of the recipe, with the default that it will use."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from pydantic import BaseModel, create_model

from zerosum.cli.compare import compare
from zerosum.config.base import modern_names, read_toml, unread
from zerosum.data.catalog import DATASETS
from zerosum.errors import UserError
from zerosum.recipes import RECIPES, Recipe, find
from zerosum.recipes.own import is_own
from zerosum.recipes.own_data import NAMES

DEFAULT_RECIPE = "vanilla"
Values = Mapping[str, Any]


def train_app(tokens: Sequence[str]) -> App:
    """Make the command for one command line: only the recipe that it names has its flags.

    Args:
        tokens: what follows `train`.

    Raises:
        UserError: nobody knows the recipe.
    """
    app = App(
        name="train",
        help="Train a recipe, or go on with a run: the same command again resumes it.",
        help_format="plaintext",
    )
    data, config = value_of("--data", tokens), value_of("--config", tokens)
    file = modern_names(read_toml(Path(config)), tell) if config else {}
    is_named = bool(tokens) and not tokens[0].startswith("-")
    named = tokens[0] if is_named else recipe_of(file)
    file.pop("recipe", None)
    command = train_command(named, find_recipe(named), file, data)
    if not is_named or named == DEFAULT_RECIPE:
        app.default(default_command(command))
    for name, recipe in RECIPES.items():
        app.command(command if name == named else stub(recipe), name=name)
    return app


def spelled_out(tokens: Sequence[str]) -> list[str]:
    """Let what follows the recipe's name be the data: `dcgan mnist` means `dcgan --data mnist`.

    Raises:
        UserError: the data are named by --data too.
    """
    if len(tokens) < 2 or tokens[0].startswith("-") or tokens[1].startswith("-"):
        return list(tokens)
    recipe, data, *rest = tokens
    if value_of("--data", rest) is not None:
        raise UserError(
            f"The data were named twice: '{data}' behind the recipe, and by --data. Leave one out."
        )
    return [recipe, "--data", data, *rest]


def recipe_of(file: Values) -> str:
    """The recipe that a config file names, or the default.

    Raises:
        UserError: it is no name, or one of a user's own recipe, whose code only runs where it is
            named on the command line.
    """
    name = file.get("recipe", DEFAULT_RECIPE)
    if not isinstance(name, str):
        raise UserError(f'recipe in the config file: received {name!r}, expected such as "dcgan".')
    if is_own(name):
        raise UserError(
            f"The config file names the recipe '{name}', a file whose code would be run. Name it "
            f"on the command line: zerosum train {name} --config …"
        )
    return name


def find_recipe(name: str) -> Recipe:
    """Look up the recipe; answer a data set's name or a path in its place with what was meant."""
    if name not in RECIPES and not is_own(name) and (name in DATASETS or Path(name).exists()):
        raise UserError(
            f"There is no recipe '{name}', but data of that name. Write a recipe's name first, as "
            f"in 'zerosum train dcgan {name}'."
        )
    return find(name)


def value_of(flag: str, tokens: Sequence[str]) -> str | None:
    """What a flag is given on a command line, if it is."""
    for token, following in pairwise([*tokens, None]):
        if token == flag:
            return following
        if token is not None and token.startswith(f"{flag}="):
            return token.partition("=")[2]
    return None


def about(recipe: Recipe) -> str:
    """A recipe in a line."""
    return f"{recipe.summary} ({recipe.source})"


def stub(recipe: Recipe) -> Callable[[], None]:
    """A command that is listed and nothing more."""

    def command() -> None: ...

    command.__doc__ = about(recipe)
    return command


def train_command(name: str, recipe: Recipe, file: Values, data: str | None) -> Callable[..., None]:
    """Make the command that trains a recipe, with a flag for every setting.

    Args:
        name: the recipe's.
        recipe: the recipe.
        file: the settings in the file that `--config` names.
        data: what the flags name to train on; None if they do not.
    """
    in_file = {setting: value for setting, value in file.items() if setting != "out"}
    place = Path(str(file["out"])) if "out" in file else None

    def command(
        *,
        settings: Any = None,
        config: Annotated[
            Path | None,
            Parameter(help="A TOML file of settings, recipe and out; flags overrule it."),
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
        yes: Annotated[
            bool, Parameter(help="Begin a training of more than a day without asking.")
        ] = False,
    ) -> None:
        from zerosum.api import train_config, train_seeds

        flags = settings.model_dump(exclude_unset=True) if settings else {}
        checked = recipe.configure(in_file, flags)
        out = out or place
        confirm = None if yes or not at_a_terminal() else Question()
        if seeds is None:
            train_config(name, checked, out=out, fresh=fresh, confirm=confirm)
        else:
            runs = train_seeds(name, checked, count=seeds, out=out, fresh=fresh, confirm=confirm)
            evaluated = checked.evaluate_every != 0
            if seeds > 1 and evaluated:  # or there is nothing to compare them by
                compare(*(run.path for run in runs))

    command.__annotations__["settings"] = Annotated[
        flags_of(recipe, in_file if data is None else {**in_file, "data": data}) | None,
        Parameter(name="*", negative_bool="no-"),
    ]
    command.__doc__ = about(recipe)
    return command


def tell(text: str) -> None:
    """Say what else there is to know."""
    print(f"zerosum: {text}", file=sys.stderr)


def at_a_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


class Question:
    """Asks once, of several seeds too, whether a training that takes days is meant."""

    def __init__(self) -> None:
        self._answered = False

    def __call__(self, text: str) -> None:
        """Say what it would take, and go on only if told so.

        Raises:
            UserError: the answer was not yes.
        """
        tell(text)
        if self._answered:
            return
        print("Train all the same? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise UserError("Nothing was trained, and nothing was written.")
        self._answered = True


def flags_of(recipe: Recipe, given: Values) -> type[BaseModel]:
    """Make the model that reads the flags: the settings, each checked by itself.

    Whether they go together is for `Recipe.configure` to say, once the config file and the defaults
    have been added. The defaults shown are those that will be used beside what is given.
    """
    try:
        config = recipe.configure(given)
    except UserError:  # which flags may mend
        config = recipe.configure({name: given[name] for name in given.keys() & {"data"}})
    ignored = unread(config)
    fields: dict[str, Any] = {}
    for name, field in recipe.config.model_fields.items():
        shown = copy(field)
        shown.default = getattr(config, name)
        if shown.default is not None:  # which is shown in the place of what None would mean
            shown.description = str(field.description).partition(" [default:")[0]
        if recipe.own and config.data not in DATASETS and name in NAMES:
            shown.description = (
                f"{shown.description} Unless given, may follow from number and size of your images."
            )
        if name in ignored:
            shown.description = f"{shown.description} Read by {ignored[name]}."
        fields[name] = (field.annotation, shown)
    return create_model(f"{recipe.config.__name__}Flags", **fields)


def default_command(train_default: Callable[..., None]) -> Callable[..., None]:
    """Make the command for `train` without a recipe's name in front: it trains the default."""

    def command(
        recipe: Annotated[
            str,
            Parameter(
                help=f"The recipe's name, in front of all flags. [default: {DEFAULT_RECIPE}]",
                show_default=False,
            ),
        ] = "",
        /,
        *,
        settings: Any = None,
        config: Path | None = None,
        out: Path | None = None,
        fresh: bool = False,
        seeds: int | None = None,
        yes: bool = False,
    ) -> None:
        if recipe:
            find(recipe)
            raise UserError(
                f"The recipe '{recipe}' stood behind flags. Write its name first, as in "
                f"'zerosum train {recipe} --epochs 5'."
            )
        train_default(settings=settings, config=config, out=out, fresh=fresh, seeds=seeds, yes=yes)

    command.__annotations__ |= train_default.__annotations__
    return command
