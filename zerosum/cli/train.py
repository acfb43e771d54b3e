"""`zerosum train`: a flag for every setting of the recipe, with the default that it will use."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from pydantic import BaseModel, create_model

from zerosum.cli.compare import compare
from zerosum.config.base import is_saved_config, modern_names, read_toml, unread
from zerosum.data.catalog import DATASETS
from zerosum.errors import UserError
from zerosum.recipes import RECIPES, Recipe, find
from zerosum.recipes.own import is_own
from zerosum.recipes.own_data import NAMES
from zerosum.streams import quiet_interrupts

DEFAULT_RECIPE = "vanilla"
Values = Mapping[str, Any]
ConfigFile = Annotated[
    Path | None,
    Parameter(
        help="A TOML file of settings, recipe and out, or a run's config.json; flags overrule it."
    ),
]


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What a command line trains, before its flags are read.

    Attributes:
        name: the recipe's.
        recipe: the recipe.
        file: the settings in the TOML file that `--config` names.
        inherited: the settings of a run that is gone on with, or whose config.json `--config`
            names, or those of the nets that a new run starts from; they take the place of the
            recipe's defaults.
        saved: that run's config.json.
    """

    name: str
    recipe: Recipe
    file: Values = field(default_factory=dict)
    inherited: Values = field(default_factory=dict)
    saved: Values = field(default_factory=dict)


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
    named = tokens[0] if tokens and not tokens[0].startswith("-") else None
    chosen = choose(named, tokens)
    command = train_command(chosen, value_of("--data", tokens))
    if named is None or chosen.name == DEFAULT_RECIPE:
        app.default(default_command(command))
    for name, recipe in RECIPES.items():
        app.command(command if name == chosen.name else stub(recipe), name=name)
    return app


def setting_flags(chosen: Chosen, given: Values, data: str | None) -> Any:
    """The annotation of a parameter that takes a flag for every setting of what is chosen.

    Args:
        chosen: the recipe, and the settings that flags overrule.
        given: the settings of its config file.
        data: what the flags name to train on; None if they do not.
    """
    model = flags_of(
        chosen.recipe,
        given if data is None else {**given, "data": data},
        inherited=chosen.inherited,
    )
    return Annotated[model | None, Parameter(name="*", negative_bool="no-")]


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


def choose(named: str | None, tokens: Sequence[str]) -> Chosen:
    """Find out what is to be trained, and with whose settings.

    Args:
        named: the recipe that the user names, if any.
        tokens: what follows `train`.

    Raises:
        UserError: nobody knows the recipe, a file cannot be read, or it is of another recipe.
    """
    config, resumed = value_of("--config", tokens), value_of("--resume", tokens)
    source = value_of("--from", tokens)
    saved_in = Path(config) if config and is_saved_config(Path(config)) else None
    file = modern_names(read_toml(Path(config)), tell) if config and not saved_in else {}
    in_file = recipe_of(file) if "recipe" in file else None
    file.pop("recipe", None)
    if not resumed and not saved_in and not source:
        name = named or in_file or DEFAULT_RECIPE
        return Chosen(name=name, recipe=find_recipe(name), file=file)

    with quiet_interrupts():
        from zerosum.recipes.saved import recipe_to_start, saved_recipe, saved_settings
        from zerosum.training.run_directory import RunDirectory, read_config_file

    if resumed and saved_in:
        raise UserError(
            "--config with a run's config.json beside --resume: a run goes on with its own "
            "settings. Leave one of them out."
        )
    if source and not resumed and not saved_in:
        out = value_of("--out", tokens) or file.get("out")
        name, recipe, inherited = recipe_to_start(
            Path(source), named=named or in_file, out=Path(out) if out else None
        )
        return Chosen(name=name, recipe=recipe, file=file, inherited=inherited)
    path = saved_in or Path(resumed or "")
    saved = read_config_file(path) if saved_in else RunDirectory(path).read_config()
    name, recipe = saved_recipe(path, saved, named=named)
    inherited = saved_settings(path, saved, recipe)
    return Chosen(name=name, recipe=recipe, file=file, inherited=inherited, saved=saved)


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


def train_command(chosen: Chosen, data: str | None) -> Callable[..., None]:
    """Make the command that trains a recipe, with a flag for every setting.

    Args:
        chosen: the recipe, and the settings that flags overrule.
        data: what the flags name to train on; None if they do not.
    """
    file, recipe = chosen.file, chosen.recipe
    in_file = {setting: value for setting, value in file.items() if setting != "out"}
    place = Path(str(file["out"])) if "out" in file else None

    def command(
        *,
        settings: Any = None,
        config: ConfigFile = None,
        resume: Annotated[
            Path | None,
            Parameter(help="Go on with the run in this directory: it needs no other flag."),
        ] = None,
        out: Annotated[
            Path | None, Parameter(help="The run directory. [default: runs/RECIPE-DATA]")
        ] = None,
        fresh: Annotated[
            bool, Parameter(help="Remove the run that is there and start over.")
        ] = False,
        from_: Annotated[
            Path | None,
            Parameter(
                name="--from",
                help="Start a new run from the weights of the run in this directory. Settings that "
                "shape the nets are its own unless given, where the recipe is the same.",
            ),
        ] = None,
        from_parts: Annotated[
            str | None, Parameter(help="What to start from: of G, D and ema. [default: G,D,ema]")
        ] = None,
        from_checkpoint: Annotated[
            str | None,
            Parameter(help="newest, best, or the images seen at one it keeps. [default: newest]"),
        ] = None,
        seeds: Annotated[
            int | None,
            Parameter(help="Train so many runs, from --seed on, in OUT-seed-0 …; compare them."),
        ] = None,
        yes: Annotated[
            bool, Parameter(help="Begin a training of more than a day without asking.")
        ] = False,
    ) -> None:
        with quiet_interrupts():
            from zerosum.api import require_alone, train_config, train_seeds
            from zerosum.training.warm_start import WarmStart

        flags = settings.model_dump(exclude_unset=True) if settings else {}
        checked = recipe.configure(in_file, flags, inherited=chosen.inherited)
        if checked.on_collapse is None and checked.evaluate_every != 0 and watched():
            checked = checked.model_copy(update={"on_collapse": "stop"})
        start = WarmStart.asked(from_, from_parts, from_checkpoint)
        if resume is not None:
            require_alone(resume, out=out, fresh=fresh, seeds=seeds, start=start)
            out = resume
        out = out or place
        start = start or WarmStart.recorded(chosen.saved if from_ is None else {})
        how: dict[str, Any] = {
            "out": out,
            "fresh": fresh,
            "given": {*in_file, *flags},
            "start": start,
            "confirm": None if yes or not at_a_terminal() else Question(),
        }
        if seeds is None:
            train_config(chosen.name, checked, **how)
        else:
            runs = train_seeds(chosen.name, checked, count=seeds, **how)
            evaluated = checked.evaluate_every != 0
            leads = os.environ.get("RANK", "0") == "0"
            if seeds > 1 and evaluated and leads:  # or there is nothing to compare them by
                compare(*(run.path for run in runs))

    command.__annotations__["settings"] = setting_flags(chosen, in_file, data)
    command.__doc__ = about(recipe)
    return command


def tell(text: str) -> None:
    """Say what else there is to know."""
    print(f"zerosum: {text}", file=sys.stderr)


def at_a_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


def watched() -> bool:
    """Whether somebody at a terminal sees what the training says."""
    return at_a_terminal() and sys.stdout is not None and sys.stdout.isatty()


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


def flags_of(recipe: Recipe, given: Values, *, inherited: Values | None = None) -> type[BaseModel]:
    """Make the model that reads the flags: the settings, each checked by itself.

    Whether they go together is for `Recipe.configure` to say, once the config file and the defaults
    have been added. The defaults shown are those that will be used beside what is given.
    """
    try:
        config = recipe.configure(given, inherited=inherited)
    except UserError:  # which flags may mend
        config = recipe.configure({name: given[name] for name in given.keys() & {"data"}})
    ignored = unread(config)
    fields: dict[str, Any] = {}
    for name, setting in recipe.config.model_fields.items():
        shown = copy(setting)
        shown.default = getattr(config, name)
        if shown.default is not None:  # which is shown in the place of what None would mean
            shown.description = str(setting.description).partition(" [default:")[0]
        if recipe.own and config.data not in DATASETS and name in NAMES:
            shown.description = (
                f"{shown.description} Unless given, may follow from number and size of your images."
            )
        if name in ignored:
            shown.description = f"{shown.description} Read by {ignored[name]}."
        fields[name] = (setting.annotation, shown)
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
        resume: Path | None = None,
        out: Path | None = None,
        fresh: bool = False,
        from_: Path | None = None,
        from_parts: str | None = None,
        from_checkpoint: str | None = None,
        seeds: int | None = None,
        yes: bool = False,
    ) -> None:
        if recipe:
            find(recipe)
            raise UserError(
                f"The recipe '{recipe}' stood behind flags. Write its name first, as in "
                f"'zerosum train {recipe} --epochs 5'."
            )
        train_default(
            settings=settings,
            config=config,
            resume=resume,
            out=out,
            fresh=fresh,
            from_=from_,
            from_parts=from_parts,
            from_checkpoint=from_checkpoint,
            seeds=seeds,
            yes=yes,
        )

    command.__annotations__ |= train_default.__annotations__
    return command
