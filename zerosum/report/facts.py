"""What a run directory tells of its run, without its weights: settings, log, data, pictures.

Whatever is missing or damaged is left out: a report of half a run is better than none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zerosum.config.base import as_flag, restore
from zerosum.data.catalog import DATASETS
from zerosum.errors import UserError
from zerosum.reading import read_json
from zerosum.recipes import RECIPES
from zerosum.recipes.saved import command_of
from zerosum.recipes.table import Recipe
from zerosum.training.early_stopping import stalled
from zerosum.training.log import History
from zerosum.training.run_directory import RunDirectory


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A setting's name, its value and the recipe's, both as behind a flag, and if they differ."""

    name: str
    value: str
    recipes: str | None = None
    differs: bool = False


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A run, as its directory tells of it.

    Attributes:
        directory: the run directory.
        recipe: the recipe's name.
        data: the data set's name, or the path as it was given.
        saved: config.json.
        understood: data.json; {} where there is none.
        history: the log.
        budget: images to train on in all; None where it cannot be known.
        settings: all of them, in the order of the flags.
        command: the command that trains such a run; None of a recipe that is not known here.
        circumstances: the torch version, device and threads of the newest checkpoint.
        pictures: the epoch and the file of each picture.
    """

    directory: RunDirectory
    recipe: str
    data: str
    saved: dict[str, Any]
    understood: dict[str, Any]
    history: History
    budget: int | None
    settings: list[Setting]
    command: str | None
    circumstances: dict[str, Any]
    pictures: list[tuple[float, Path]]

    @property
    def name(self) -> str:
        """What the run is called."""
        return self.directory.path.resolve().name

    @property
    def state(self) -> str:
        """How far it got: "begun", "complete", "stalled" (by --patience) or "part"."""
        if not self.history.records:
            return "begun"
        if self.budget is not None and self.history.seen >= self.budget:
            return "complete"
        patience = self.saved["config"].get("patience")
        return "stalled" if stalled(self.history.records, patience) else "part"

    @property
    def task(self) -> str:
        """What G does, as the recipe says; "" of a recipe that is not known here."""
        return RECIPES[self.recipe].task if self.recipe in RECIPES else ""


def collect(directory: RunDirectory) -> Facts:
    """Read a run directory.

    Raises:
        UserError: there is no run, or its config.json cannot be read.
        OSError: the log is there and cannot be read.
    """
    saved = directory.read_config()
    history = directory.history()
    try:
        config = saved["config"]
        recipe, data = str(saved["recipe"]), str(config["data"])
        saved["classes"] = list(map(str, saved.get("classes") or []))
        saved["image_shape"] = list(map(int, saved["image_shape"]))
        budget = budget_of(saved, history)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"The run's '{directory.config_path}' is not as train writes it: {error!r}. Restore "
            "that file from a copy."
        ) from None
    settings, command = compared(RECIPES.get(recipe), saved, budget)
    return Facts(
        directory=directory,
        recipe=recipe,
        data=data,
        saved=saved,
        understood=read_object(directory.data_path),
        history=history,
        budget=budget,
        settings=settings,
        command=command,
        circumstances=circumstances(directory),
        pictures=list(directory.pictures_by_epoch().items()),
    )


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object; {} where there is none that can be read."""
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def budget_of(saved: dict[str, Any], history: History) -> int | None:
    """The budget in images."""
    config = saved["config"]
    if config.get("images") is not None:
        return int(config["images"])
    if config.get("epochs") is None:
        return None
    count = saved.get("num_images")  # which runs of 0.1 do not say
    if count is None and history.epochs:
        count = history.seen / history.epochs
    return None if count is None else round(float(config["epochs"]) * count)


def compared(
    recipe: Recipe | None, saved: dict[str, Any], budget: int | None
) -> tuple[list[Setting], str | None]:
    """Hold a run's settings against its recipe's, and say by which command they are had."""
    raw = saved["config"]
    settings = defaults = None
    if recipe is not None:
        try:
            settings = restore(recipe.config, dict(raw))
            if saved.get("num_images") and budget is not None:
                settings = settings.unsettled(budget)
            defaults = recipe.configure({"data": settings.data})
        except (UserError, TypeError, AttributeError):
            settings = defaults = None
    if settings is None or defaults is None:
        return [Setting(name=str(key), value=as_flag(raw[key])) for key in raw], None
    listed = [
        Setting(
            name=name,
            value=as_flag(getattr(settings, name)),
            recipes=as_flag(getattr(defaults, name)),
            differs=getattr(settings, name) != getattr(defaults, name),
        )
        for name in type(settings).model_fields
    ]
    return listed, command_of(saved, settings, defaults)


def circumstances(directory: RunDirectory) -> dict[str, Any]:
    """Under what the newest checkpoint was made; {} where none says it."""
    for seen in reversed(directory.checkpoints.seen()):
        found = read_object(directory.checkpoints.path(seen) / "state.json").get("circumstances")
        if isinstance(found, dict):
            return found
    return {}


def is_named(data: str) -> bool:
    """Whether data are a data set that has a name, and not a user's own."""
    return data in DATASETS
