"""What the commands and the Python package share: train a recipe, load a run, evaluate samples.

How a training is put together from its parts is settled in `experiment.py`.
"""

from __future__ import annotations

import os
import shlex
import threading
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, overload

import torch

from zerosum import recipes
from zerosum.callbacks.console import ConsoleCallback, WarningCallback
from zerosum.callbacks.loggers import require_packages
from zerosum.callbacks.loggers.feed import LogFeed
from zerosum.callbacks.notebook import NotebookCallback, in_notebook
from zerosum.comparison.compare import compare as compare_runs
from zerosum.comparison.tables import comparison_json
from zerosum.config.base import Settings, modern_names
from zerosum.config.specs import parse_loggers
from zerosum.data import DATASETS
from zerosum.data.images import ImageSet, safe_name
from zerosum.data.python_data import keep_python_data
from zerosum.errors import UserError, path_like, shown, unknown_name, whole_number
from zerosum.evaluation.evaluate import EvalConfig, evaluate_source
from zerosum.evaluation.pairs import evaluate_pairs
from zerosum.evaluation.statistics import evaluate_against_statistics, save_statistics
from zerosum.evaluation.tables import Metrics
from zerosum.experiment import (
    describe,
    follow_loop,
    leading,
    let_go,
    open_run,
    require_start,
    run_loop,
)
from zerosum.export.opening import open_model
from zerosum.hardware import (
    choose_device,
    repeatable_convolutions,
    tuned_processor,
)
from zerosum.inference.exported import Exported
from zerosum.inference.model import takes_raw
from zerosum.inference.run import Run, print_notice
from zerosum.metrics.evaluate import MetricResult
from zerosum.metrics.statistics import are_statistics
from zerosum.preparation import (
    build_game,
    lies_channels_last,
    load_images,
    require_patience,
    require_room,
    require_same_command,
    require_same_images,
    require_size,
    settle_own,
    settle_precision,
)
from zerosum.recipes.saved import recipe_to_start, saved_recipe, saved_settings
from zerosum.seeds import own_randomness
from zerosum.training import distributed, torchrun
from zerosum.training.interfaces import Callback, Callbacks
from zerosum.training.layout import asks_for_channels_last
from zerosum.training.loop import TrainingDiverged
from zerosum.training.precision import arithmetic_in
from zerosum.training.resume import settled_as_begun, with_nets_as_begun
from zerosum.training.run_directory import RUNS, RunDirectory
from zerosum.training.warm_start import WarmStart

TRAINING = threading.Lock()


@overload
def train(
    recipe: str = ...,
    *,
    out: Path | str | None = ...,
    fresh: bool = ...,
    seeds: None = ...,
    callbacks: Sequence[Callback] = ...,
    quiet: bool = ...,
    **settings: Any,
) -> Run: ...
@overload
def train(
    recipe: str = ...,
    *,
    out: Path | str | None = ...,
    fresh: bool = ...,
    seeds: int,
    callbacks: Sequence[Callback] = ...,
    quiet: bool = ...,
    **settings: Any,
) -> list[Run]: ...
def train(
    recipe: str | None = None,
    *,
    out: Path | str | None = None,
    fresh: bool = False,
    seeds: int | None = None,
    resume: Path | str | None = None,
    start_from: Path | str | None = None,
    from_parts: str | Sequence[str] | None = None,
    from_checkpoint: str | int | None = None,
    callbacks: Sequence[Callback] = (),
    quiet: bool = False,
    **settings: Any,
) -> Run | list[Run]:
    """Train a recipe; go on where the run directory left off, if there is one.

    Args:
        recipe: a name from `zerosum.recipes.RECIPES`, or your own as "my_module.py:RECIPE"; by
            default "vanilla", or that of the run to resume or to start from, if it is not your own.
        out: the run directory; by default `runs/<recipe>-<data>`.
        fresh: remove the run that is there and start over.
        seeds: train so many runs in a row, from `seed` on, in OUT-seed-0 and so on.
        resume: a run directory to go on with, in place of `out`. The run's own settings hold, but
            for those given here that may change: how often it reports, and a larger budget.
        start_from: a run directory whose G, D and average of G a new run begins with; data,
            rates and all else are free. Settings that shape the nets are that run's unless given,
            where it is of the same recipe. Layers that do not fit are left fresh and named.
        from_parts: those of "G", "D" and "ema" to begin with, by default all.
        from_checkpoint: of `start_from`, "newest", "best", or the images seen at one it keeps.
        callbacks: what else watches the training, see `zerosum.callbacks.Callback`.
        quiet: whether to leave out the lines and the bar, in a terminal or a notebook; warnings are
            printed, on standard error.
        settings: fields of the recipe's config, such as `data`, `epochs` or `learning_rate`. Data
            may be images that are there already, too: an array, (images, labels), a torch Dataset,
            see `zerosum.data.python_data`.

    Returns:
        The finished run. If it was complete before, nothing is trained. With `seeds`, the runs
        in the order of their seeds, those that diverged among them.

    Raises:
        UserError: a name, value, file or folder is not usable; the message says what to do.
        TrainingDiverged: a loss or weight became NaN or infinite.
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
    """
    if recipe is not None and not isinstance(recipe, str):
        raise UserError(f"The recipe: received {shown(recipe)}, expected a name such as 'dcgan'.")
    if not isinstance(settings.get("data", ""), str | os.PathLike):
        settings["data"] = str(keep_python_data(settings["data"]))
    count = None if seeds is None else whole_number("seeds", seeds)
    callback = Callbacks([watcher(quiet=quiet), *callbacks])
    given, inherited = modern_names(settings, warn), {}
    start = WarmStart.asked(start_from, from_parts, from_checkpoint)
    if resume is not None:
        require_alone(resume, out=out, fresh=fresh, seeds=count, start=start)
        out = Path(resume)
        saved = RunDirectory(out).read_config()
        recipe, found = saved_recipe(out, saved, named=recipe)
        inherited, start = saved_settings(out, saved, found), WarmStart.recorded(saved)
    elif start is not None:
        recipe, _, inherited = recipe_to_start(
            start.run, named=recipe, out=None if out is None else Path(out)
        )
    recipe = recipe or "vanilla"
    config = recipes.find(recipe).configure(given, inherited=inherited)
    how: dict[str, Any] = {"fresh": fresh, "given": given, "start": start, "callback": callback}
    if count is not None:
        return train_seeds(recipe, config, count=count, out=out, **how)
    return train_config(recipe, config, out=out, **how)


def watcher(*, quiet: bool) -> Callback:
    """What shows a training where it runs: in a terminal, in a notebook, or only its warnings."""
    if quiet:
        return WarningCallback()
    return NotebookCallback() if in_notebook() else ConsoleCallback()


def require_alone(
    resume: Path | str,
    *,
    out: Path | str | None = None,
    fresh: bool = False,
    seeds: int | None = None,
    start: WarmStart | None = None,
) -> None:
    """Refuse what contradicts going on with the run in a directory.

    Raises:
        UserError: a flag beside it does.
    """
    run = shlex.quote(str(resume))
    reasons = {
        f"--out: the run goes on where it is. To train it elsewhere, copy {run} there and resume "
        f"the copy; for a new run from its weights, give --from {run} beside --out": out,
        "--fresh: it would remove the run that is to go on. Leave one of them out": fresh,
        "--from: a run goes on with its own weights. Leave one of them out": start,
        "--seeds: a run has one seed, and goes on with that. Leave one of them out": seeds,
    }
    for reason, received in reasons.items():
        if received:
            raise UserError(f"--resume does not go with {reason}.")


def warn(text: str) -> None:
    """Warn of a name that will not be understood for ever."""
    warnings.warn(text, FutureWarning, stacklevel=4)


def load(path: Path | str, *, recipe: str | None = None) -> Run | Exported:
    """Open a run directory, or a generator that was exported.

    Args:
        path: a run directory, or the name of one in `runs/`; a folder that `zerosum export` wrote,
            or its model.onnx; or hf://OWNER/NAME on the hub, of which only JSON and safetensors
            are read.
        recipe: of a run of your own recipe, the module that holds it, such as
            "my_module.py:RECIPE"; its code is run.

    Raises:
        UserError: there is no run in it, it is damaged, or of a recipe that has to be named.
    """
    return open_model(path, recipe=recipe)


@takes_raw
def evaluate(
    source: Run | Path | str,
    *,
    paired: bool = False,
    notice: Callable[[str], None] | None = None,
    **flags: Any,
) -> Metrics:
    """Measure how close samples come to real images.

    Args:
        source: a run, a run directory or the name of one in `runs/`; a folder of images or an .npz
            file.
        paired: whether to compare two folders image by image, matched by name.
        notice: told what else there is to know; by default it is printed on standard error.
        flags: what `zerosum evaluate --help` lists, such as `reference`, `features`, `protocol` or
            `count`; `metrics` may be a list. `save_stats` writes a file and compares nothing.

    Returns:
        By name, metrics with their `value` and the `card` that says how it was come by: a dict,
        which a notebook shows as a table.

    Raises:
        UserError: a name, value, file or folder is not usable; the message says what to do.
    """
    expected = "a run, or the path of a run directory, a folder of images or an .npz file"
    path = source.path if isinstance(source, Run) else path_like("The samples", source, expected)
    config = eval_config_of(path, flags)
    return Metrics(evaluate_config(config, paired=paired, notice=notice or print_notice))


def evaluate_config(
    config: EvalConfig, *, paired: bool, notice: Callable[[str], None]
) -> dict[str, MetricResult]:
    """Evaluate by what was asked; see `evaluate`."""
    if paired:
        return evaluate_pairs(config, notice=notice)
    if config.save_stats is not None:
        return save_statistics(config, notice=notice)
    if config.reference is not None and are_statistics(config.reference):
        return evaluate_against_statistics(config, notice=notice)
    return evaluate_source(config, notice=notice)


def compare(
    *runs: Run | Path | str,
    metrics: str | Sequence[str] | None = None,
    count: int | None = None,
    checkpoint: str | int = "best",
    seed: int = 0,
    notice: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Compare runs over their training seeds, as `zerosum compare` does.

    Runs that differ in their seed alone are one group; every group is held against the first.

    Args:
        runs: two runs or run directories, or more.
        metrics: metrics to compute from the checkpoints, such as "fid,precision" or a list; by
            default none, the logged metrics alone.
        count: images on either side, for `metrics`.
        checkpoint: "newest", "best", or the images seen at one that all runs keep, for `metrics`.
        seed: decides the samples, for `metrics`.
        notice: told what else there is to know; by default it is printed on standard error.

    Returns:
        What `zerosum compare --json` prints: "groups" of runs, "metrics" with every value, means,
        intervals and differences, "caveats", and the kind of the "intervals".

    Raises:
        UserError: these are not two runs or more, or a metric is unknown or cannot be computed.
    """
    expected = "runs, or the paths of run directories"
    paths = [
        run.path if isinstance(run, Run) else Path(path_like("The runs", run, expected))
        for run in runs
    ]
    config = None
    if metrics:
        flags = {"metrics": metrics, "count": count, "checkpoint": str(checkpoint), "seed": seed}
        config = eval_config_of("", flags)
    return comparison_json(compare_runs(paths, config=config, notice=notice or print_notice))


def eval_config_of(source: Path | str, flags: dict[str, Any]) -> EvalConfig:
    """Read flags as Python users write them: paths, lists and tuples besides text.

    Raises:
        UserError: there is no such flag.
    """
    known = {field.name for field in fields(EvalConfig)} - {"source"}
    for name in flags:
        if name not in known:
            raise unknown_name("setting", name, known)
    values: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    for name, separator in (("metrics", ","), ("size", "x")):
        if isinstance(values.get(name), list | tuple):
            values[name] = separator.join(map(str, values[name]))
    for name in ("count", "seed"):
        if name in values:
            values[name] = whole_number(name, values[name])
    if "reference" in values:
        expected = "a data set's name, or the path of a folder of images or an .npz file"
        values["reference"] = path_like("The reference", values["reference"], expected)
    for name, kind in (
        *(("size", str), ("device", str)),
        *(("neighbours", Path), ("save_stats", Path)),
    ):
        if name in values:
            values[name] = kind(values[name])
    return EvalConfig(source=str(source), **values)


def train_seeds(
    recipe: str,
    config: Settings,
    *,
    count: int,
    out: Path | str | None = None,
    fresh: bool = False,
    given: Collection[str] | None = None,
    start: WarmStart | None = None,
    callback: Callback | None = None,
    confirm: Callable[[str], None] | None = None,
) -> list[Run]:
    """Train with `count` seeds in a row, from the config's on; each goes on where it left off.

    Args:
        recipe: a name from `zerosum.recipes.RECIPES`.
        config: its settings.
        count: how many runs.
        out: the run directories without `-seed-0` and so on, by default `runs/<recipe>-<data>`.
        fresh: remove the runs that are there and start over.
        given: the names of the settings that the user gave; None for all.
        start: the weights that all of them begin with, if not with fresh ones.
        callback: what watches the trainings; by default the lines and the bar in the terminal.
        confirm: as of `train_config`.

    Returns:
        The runs in the order of their seeds, those that diverged among them.

    Raises:
        UserError: as `train`; but a run that diverges only says so, and the next one begins.
    """
    if count < 1:
        raise UserError(f"The number of seeds was {count}: expected at least 1.")
    callback = (callback or ConsoleCallback()) if torchrun.leads() else Callback()
    stem = Path(out or default_directory(recipe, config))
    runs = []
    for seed in range(config.seed, config.seed + count):
        path = stem.with_name(f"{stem.name}-seed-{seed}")
        callback.notice(f"Seed {seed}, in {path}:")
        seeded = config.model_copy(update={"seed": seed})
        try:
            run = train_config(
                recipe,
                seeded,
                out=path,
                fresh=fresh,
                given=given,
                start=start,
                callback=callback,
                confirm=confirm,
            )
        except TrainingDiverged as divergence:
            callback.notice(str(divergence))
            let_go()
            run = Run(path, saved=divergence.saved)
        runs.append(run)
    return runs


def default_directory(recipe: str, config: Settings) -> Path:
    """Where a run lies when the user does not say."""
    name = config.data if config.data in DATASETS else safe_name(Path(config.data))
    module, _, attribute = recipe.rpartition(":")
    own = [safe_name(Path(module.removesuffix(".py")))] if module else []
    return RUNS / "-".join([*own, attribute, name])


def train_config(
    recipe: str,
    config: Settings,
    *,
    out: Path | str | None = None,
    fresh: bool = False,
    given: Collection[str] | None = None,
    start: WarmStart | None = None,
    callback: Callback | None = None,
    confirm: Callable[[str], None] | None = None,
) -> Run:
    """Train with a validated config; see `train`.

    Args:
        recipe: a name from `zerosum.recipes.RECIPES`.
        config: its settings.
        out: the run directory.
        fresh: remove the run that is there and start over.
        given: the names of the settings that the user gave, for messages; None for all.
        start: the weights that a new run begins with, if not with fresh ones.
        callback: what watches the training; by default the lines and the bar in the terminal.
        confirm: told when a new run would take more than a day, before anything is written; it
            raises an error to leave it. By default it is said, and the training goes on.
    """
    callback = callback or ConsoleCallback()
    loggers = parse_loggers(config.log)
    require_packages(loggers)
    device = choose_device(torchrun.own_device(config.device))
    torchrun.meet(device)
    let_go()
    if distributed.rank():
        callback = Callback()  # the process that leads tells
    with (
        one_at_a_time(),
        tuned_processor(),
        repeatable_convolutions(),
        own_randomness(device),
        gradients_allowed(),
        arithmetic_in(config.precision, device),
    ):
        require_same_command(recipe, config)
        require_size(recipe, config)
        images = load_images(recipe, config, callback)
        require_same_images(config, images)
        directory = RunDirectory(out or default_directory(recipe, config))
        if distributed.rank():
            return follow(recipe, images, directory, device)
        goes_on = not fresh and directory.exists() and bool(directory.checkpoints.seen())
        saved = directory.read_config() if goes_on else None
        config, own_defaults = settle_own(recipe, config, images, saved, device, callback)
        config = settled_as_begun(config, len(images), saved)
        if saved is not None and saved.get("recipe") == recipe:
            config = with_nets_as_begun(config, saved, start=start, given=given)
        require_start(config, start, directory)
        if not goes_on and distributed.world() == 1:  # or the others would have to play along
            require_patience(recipe, config, images, device, callback, confirm or callback.notice)
        require_room(recipe, config, images, device, callback)
        last = lies_channels_last(saved, device)
        game = build_game(recipe, config, images, device=device, channels_last=last)
        fit = start.fit(game, callback.notice) if start and saved is None else None
        started_from = fit.record if fit else started_as_recorded(start, saved or {})
        directory.claim()
        with directory.locked():  # before anything in it is read, changed or removed
            directory.sweep()
            if fresh:
                directory.remove()
            config = settle_precision(recipe, config, images, directory, device, callback)
            description = describe(recipe, config, images, started_from=started_from) | {
                **({"own_defaults": own_defaults} if own_defaults else {}),
                **({"channels_last": True} if last and asks_for_channels_last(game) else {}),
            }
            open_run(directory, description, config, given=given)
            with LogFeed(directory, loggers, callback.notice) as feed:
                watching = Callbacks([callback, feed])
                distributed.from_first((config, description))
                with leading():
                    run_loop(recipe, game, config, images, directory, callback=watching, fit=fit)
    return Run(directory.path)


def follow(recipe: str, images: ImageSet, directory: RunDirectory, device: torch.device) -> Run:
    """Train as the process that leads says, until it has finished.

    Returns:
        The run, whose files are where that process has written them.
    """
    nothing: Any = None
    config, description = distributed.from_first((nothing, nothing))
    last = lies_channels_last(description, device)
    try:
        follow_loop(recipe, config, images, directory, device=device, channels_last=last)
    except TrainingDiverged as divergence:
        divergence.saved = description
        raise
    return Run(directory.path, saved=description)


def started_as_recorded(start: WarmStart | None, saved: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a run that goes on says of its first weights: what it said, if the same are asked for.

    Its source need not be there any more.
    """
    if start is None:
        return None
    record = saved.get("started_from")
    return record if record and WarmStart.recorded(saved) == start.resolved() else start.record


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Refuse a second training in this process: torch's random generators serve only one.

    Raises:
        UserError: another thread is training.
    """
    if not TRAINING.acquire(blocking=False):
        raise UserError(
            "Another training is under way in this process, and they would share torch's random "
            "numbers. Wait for it, or start a process of its own."
        )
    try:
        yield
    finally:
        TRAINING.release()


@contextmanager
def gradients_allowed() -> Iterator[None]:
    """Train even where the caller has switched gradients off."""
    with torch.inference_mode(False), torch.enable_grad():
        yield
