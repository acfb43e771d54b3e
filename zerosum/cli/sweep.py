"""`zerosum sweep`: a flag for every setting of the recipe, as `train` has, and what to try."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from zerosum.cli.show import show
from zerosum.cli.train import Chosen, ConfigFile, about, choose, setting_flags, stub, value_of
from zerosum.recipes import RECIPES
from zerosum.streams import quiet_interrupts

HELP = "Train a recipe many times, to find its best settings; goes on where it left off."


def sweep_app(tokens: Sequence[str]) -> App:
    """Make the command for one command line: only the recipe that it names has its flags.

    Args:
        tokens: what follows `sweep`.

    Raises:
        UserError: nobody knows the recipe.
    """
    app = App(name="sweep", help=HELP, help_format="plaintext")
    named = tokens[0] if tokens and not tokens[0].startswith("-") else None
    chosen = choose(named, tokens)
    command = sweep_command(chosen, value_of("--data", tokens))
    if named is None:
        app.default(command)
    for name, recipe in RECIPES.items():
        app.command(command if name == chosen.name else stub(recipe), name=name)
    return app


def sweep_command(chosen: Chosen, data: str | None) -> Callable[..., None]:
    """Make the command that sweeps a recipe.

    Args:
        chosen: the recipe, and the settings that flags overrule.
        data: what the flags name to train on; None if they do not.
    """
    recipe = chosen.recipe
    in_file = {setting: value for setting, value in chosen.file.items() if setting != "out"}
    place = Path(str(chosen.file["out"])) if "out" in chosen.file else None

    def command(
        *,
        settings: Any = None,
        over: Annotated[
            str,
            Parameter(
                help="What to try: settings with a range, LOW..HIGH or LOW..HIGH:log, or choices, "
                "as in lr=1e-4..1e-3:log,n-critic=1,2,5."
            ),
        ],
        metric: Annotated[
            str,
            Parameter(help="The metric that is to become best, as the runs log it."),
        ],
        trials: Annotated[
            int, Parameter(help="Trainings in all, those of earlier and other processes included.")
        ] = 30,
        workers: Annotated[
            int, Parameter(help="Processes that train side by side, sharing the processors.")
        ] = 1,
        seeds: Annotated[
            int | None,
            Parameter(
                help="Train the best three settings with so many seeds, from --seed on, and choose "
                "by their means."
            ),
        ] = None,
        out: Annotated[
            Path | None, Parameter(help="The sweep's folder. [default: sweeps/RECIPE-DATA]")
        ] = None,
        storage: Annotated[
            str | None,
            Parameter(
                help="URL of a database, for several machines: postgresql://USER@HOST/NAME. "
                "[default: study.db in the folder]"
            ),
        ] = None,
        sampler_seed: Annotated[int, Parameter(help="Decides what is tried.")] = 0,
        config: ConfigFile = None,
    ) -> None:
        with quiet_interrupts():
            from zerosum.sweeps.plan import make_plan
            from zerosum.sweeps.results import tables
            from zerosum.sweeps.space import read_space
            from zerosum.sweeps.sweep import ask, carry_out

        flags = settings.model_dump(exclude_unset=True) if settings else {}
        given = {**in_file, **flags}
        checked = recipe.configure(in_file, flags, inherited=chosen.inherited)
        plan = make_plan(
            chosen.name,
            read_space(over, recipe),
            metric,
            checked,
            given=given,
            inherited=chosen.inherited,
            sampler_seed=sampler_seed,
        )
        asked = ask(
            chosen.name,
            checked,
            out=out or place,
            storage=storage,
            trials=trials,
            workers=workers,
            seeds=seeds,
        )
        result = carry_out(plan, asked, say=print)
        show(tables(result))
        print(f"Page: {result.page}")
        if result.command is not None:  # in one piece, however narrow the terminal
            print(f"The winner:\n{result.command}")

    command.__annotations__["settings"] = setting_flags(chosen, in_file, data)
    command.__doc__ = about(recipe)
    return command
