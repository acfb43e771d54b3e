"""Going on with a run: only with the same run, and only from a checkpoint that is whole."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

from zerosum.config.base import Settings, conflicts, modern_names, restore
from zerosum.config.gan import OF_NETS
from zerosum.errors import UserError
from zerosum.training.interfaces import Callback
from zerosum.training.run_directory import RunDirectory
from zerosum.training.state import State, circumstances
from zerosum.training.warm_start import WarmStart


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
        told = snapshot.facts.get("circumstances")
        before = told.get(name, now) if isinstance(told, dict) else now
        if before != now:
            callback.notice(
                f"NOTE: {name} was {before} when this run was saved, and is {now}: going on, "
                "but its numbers may differ in the last bits from a run in one go."
            )


def check_log(state: State, directory: RunDirectory, callback: Callback) -> None:
    """Warn, of a run that goes on, of a log that is not the one which its checkpoint knows.

    Early stopping, the best checkpoint and `compare` go by the log; the run keeps that it was so.
    """
    progress = state.progress
    doubt = directory.log_doubt({**asdict(progress), "log_doubted": 0})  # of which it was warned
    if doubt is not None:
        progress.log_doubted = progress.seen
        callback.notice(
            f"WARNING: {doubt} Early stopping, the best checkpoint and compare go by what "
            f"'{directory.log_path}' holds now. Restore it from a copy, if there is one."
        )


def cut_log(state: State, directory: RunDirectory) -> None:
    """Bring the log back to where the checkpoint stands, and know it as it is then."""
    progress = state.progress
    progress.log_bytes = directory.cut_log(progress.log_bytes)
    progress.log_sha256 = directory.log_sha256(progress.log_bytes)


def settled_as_begun(
    config: Settings, num_images: int, saved: Mapping[str, Any] | None
) -> Settings:
    """Put numbers in the place of what follows from the budget: in a run that goes on, its own.

    So a run whose budget is raised is annealed over the images that it began with.

    Args:
        config: the settings.
        num_images: how many the data set has.
        saved: config.json of the run that goes on; None for a new one.
    """
    settled = config.settled(config.budget(num_images))
    if saved is None:
        return settled
    begun = modern_names(saved["config"])
    following = [name for name, value in config if getattr(settled, name) != value]
    return settled.model_copy(
        update={name: begun[name] for name in following if begun.get(name) is not None}
    )


def with_nets_as_begun(
    config: Settings,
    saved: Mapping[str, Any],
    *,
    start: WarmStart | None,
    given: Collection[str] | None,
) -> Settings:
    """Keep a run's nets as they are: those of the run that it began with may have changed since.

    Args:
        config: the settings to go on with.
        saved: the run's config.json, of the same recipe.
        start: the weights that it is asked to have begun with.
        given: the names of the settings that the user gave; None for all.
    """
    if start is None or given is None or WarmStart.recorded(saved) != start.resolved():
        return config
    begun = restore(type(config), saved["config"])
    kept = (OF_NETS & type(config).model_fields.keys()) - {*given}
    return config.model_copy(update={name: getattr(begun, name) for name in kept})


def require_same_run(
    directory: RunDirectory,
    description: dict[str, Any],
    config: Settings,
    *,
    given: Collection[str] | None = None,
) -> None:
    """Refuse to go on with a run of another recipe, other data or another config.

    Args:
        directory: the run's.
        description: what its config.json would be now.
        config: the settings to go on with.
        given: the names of those that the user gave; None for all.

    Raises:
        UserError: it is another run; what differs is named, flag by flag.
    """
    saved = directory.read_config()
    if not directory.checkpoints.seen():
        return  # nothing was learnt that could be mixed up
    differing = other_recipe(saved, description)
    same_recipe = not differing
    differing += other_start(saved, description)
    differing += other_data(saved, description, config.data)
    if same_recipe:
        before = restore(type(config), saved["config"])
        differing += conflicts(before, config, num_images=description["num_images"], given=given)
    if differing:
        lines = "\n  ".join(differing)
        run = shlex.quote(str(directory.path))
        raise UserError(
            f"The run '{directory.path}' cannot go on with\n  {lines}\n"
            "A run that goes on ends as if it had never stopped, and these decide what its weights "
            f"become. To go on with it as it is: zerosum train --resume {run}. To begin another "
            f"from its weights: --from {run} and another --out. To begin another from nothing: "
            "another --out, or --fresh, which removes this one."
        )


def other_recipe(saved: Mapping[str, Any], description: Mapping[str, Any]) -> list[str]:
    """Say in a line whether a run is of another recipe; a user's own may be named by any path."""
    (then, before), (now, after) = (
        (str(about.get("recipe")), about.get("recipe_file", {}).get("sha256"))
        for about in (saved, description)
    )
    same_file = before is not None and before == after
    if then != now and not (same_file and then.partition(":")[2] == now.partition(":")[2]):
        return [f"recipe: the run has '{then}', received '{now}'"]
    return [f"recipe: the file of '{now}' has changed since"] * (before != after)


def other_start(saved: Mapping[str, Any], description: Mapping[str, Any]) -> list[str]:
    """Say in a line whether a run began with other weights than those asked for now."""
    before, now = (WarmStart.recorded(about) for about in (saved, description))
    if before == now:
        return []
    had, received = (
        "nothing"
        if start is None
        else f"'{start.run}', {','.join(start.parts)} of the {start.checkpoint} checkpoint"
        for start in (before, now)
    )
    return [f"--from: the run began from {had}, received {received}"]


def other_data(saved: Mapping[str, Any], description: Mapping[str, Any], data: str) -> list[str]:
    """Say in a line each what is not as the images that a run was trained on."""
    lines = []
    before, now = saved.get("image_shape"), description["image_shape"]
    if before != now:
        lines.append(
            f"the images: the run has {shape_in_words(before)}, received {shape_in_words(now)}"
        )
    if saved.get("data_sha256") != description["data_sha256"]:
        count, then = description["num_images"], saved.get("num_images")
        if then in (None, count):
            lines.append(f"--data: the {count:,} images of '{data}' are not those the run has seen")
        else:
            lines.append(
                f"--data: the run has seen {then:,} images, received '{data}' with {count:,}"
            )
    return lines


def shape_in_words(shape: Any) -> str:
    """The form of images, (c, h, w), in words."""
    channels, height, width = shape
    return f"{height}×{width} in {channels} channel{'s' * (channels != 1)}"
