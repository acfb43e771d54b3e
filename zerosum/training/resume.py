"""Going on with a run: only with the same run, and only from a checkpoint that is whole."""

from __future__ import annotations

from typing import Any

from zerosum.config.base import Settings, conflicts, restore
from zerosum.errors import UserError
from zerosum.training.interfaces import Callback
from zerosum.training.run_directory import RunDirectory
from zerosum.training.state import State, circumstances


def restore_newest(state: State, directory: RunDirectory, callback: Callback) -> None:
    """Take up the newest checkpoint that is whole; say loudly which are not.

    Raises:
        UserError: there are checkpoints, and none of them is whole.
    """
    snapshot = directory.checkpoints.read_newest_whole(callback.notice)
    if snapshot is None:
        return
    state.restore(snapshot)
    for name, now in circumstances(state.game.device).items():
        before = snapshot.facts.get("circumstances", {}).get(name, now)
        if before != now:
            callback.notice(
                f"NOTE: {name} was {before} when this run was saved, and is {now}: going on, "
                "but its numbers may differ in the last bits from a run in one go."
            )


def require_same_run(
    directory: RunDirectory, description: dict[str, Any], config: Settings
) -> None:
    """Refuse to go on with a run of another recipe, other data or another config.

    Raises:
        UserError: it is another run; the fields that differ are named.
    """
    saved = directory.read_config()
    if not directory.checkpoints.seen():
        return  # nothing was learnt that could be mixed up
    same_recipe = saved.get("recipe") == description["recipe"] or is_same_own(saved, description)
    differing = [
        f"{name}: the run has {saved.get(name)!r}, received {description[name]!r}"
        for name, same in (
            ("recipe", same_recipe),
            ("image_shape", saved.get("image_shape") == description["image_shape"]),
        )
        if not same
    ]
    if file_of(saved).get("sha256") != file_of(description).get("sha256"):
        differing.append(f"recipe: the file of '{description['recipe']}' has changed since")
    if saved.get("data_sha256") != description["data_sha256"]:
        differing.append(f"data: the images of {config.data!r} are not those the run has seen")
    if same_recipe:
        differing += conflicts(restore(type(config), saved["config"]), config)
    if differing:
        lines = "\n  ".join(differing)
        raise UserError(
            f"The folder '{directory.path}' holds another run. They differ in\n  {lines}\n"
            "Give the run's own settings to go on with it, choose another folder with --out, or "
            "start over with --fresh."
        )


def is_same_own(saved: dict[str, Any], description: dict[str, Any]) -> bool:
    """Whether two runs are of one recipe in one file, however its path was spelled."""
    path = file_of(saved).get("path")
    names = [str(each["recipe"]).rpartition(":")[2] for each in (saved, description)]
    return path is not None and path == file_of(description).get("path") and len({*names}) == 1


def file_of(run: dict[str, Any]) -> dict[str, Any]:
    """The file that a run's own recipe was taken from: path and sha256, {} of all others."""
    return run.get("recipe_file") or {}
