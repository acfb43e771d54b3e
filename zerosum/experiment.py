"""One training from its images to its film: where the parts meet.

Data, recipe, loop, run directory, pictures and score know nothing of one another; here they are
put together.
"""

from __future__ import annotations

import math
import shlex
import shutil
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from zerosum import recipes
from zerosum._version import __version__
from zerosum.callbacks.console import PROMISE_SECONDS, in_pace, in_time, in_words
from zerosum.config.base import Settings, unread
from zerosum.config.specs import parse_size
from zerosum.data.catalog import DATASETS
from zerosum.data.images import ImageSet
from zerosum.data.loader import Loader, Position
from zerosum.data.spec import DataSpec
from zerosum.errors import UserError
from zerosum.game.core import Batch, Game
from zerosum.hardware import GIB, exhaustion_explained, memory_bytes, require_memory
from zerosum.plots.curves import draw_curve
from zerosum.plots.film import FRAME_MILLISECONDS, read_frame, save_film
from zerosum.seeds import enter_stream
from zerosum.tasks import TASKS, Task, task_on
from zerosum.tasks.inspection import facts, understanding
from zerosum.training.early_stopping import best_record, score_of, stalled
from zerosum.training.ema import EMA
from zerosum.training.footprint import bytes_of_round
from zerosum.training.interfaces import Callback, Evaluation
from zerosum.training.log import History
from zerosum.training.loop import Loop, Schedule
from zerosum.training.pace import images_per_second, work
from zerosum.training.precision import (
    SLOWER,
    WORTH,
    bf16_pace,
    heaviest_products,
    products_of,
)
from zerosum.training.resume import require_same_run, restore_newest
from zerosum.training.run_directory import RunDirectory
from zerosum.training.state import Progress, State
from zerosum.training.warm_start import Fit, WarmStart

# Four bytes each for the weight, its gradient and Adam's two moments, half of that for the average
# of G, and while a checkpoint is written all but the gradients twice more.
BYTES_PER_WEIGHT = 4 * (4.5 + 2 * 3.5)

DAY = 24 * 3600
"""Seconds beyond which a new training is only begun by somebody who knows that."""
FEW_IMAGES = 1000
"""Trainings of no more than so many images are not timed beforehand."""
LARGE = 256
"""Sides beyond which the memory of a round is told before the first one."""
LEAST_BATCH = 4
FAST = 2
"""How many times the pace of a day's training need not be measured any better."""
MUCH_FASTER = 4
"""The pace from which a flag that does not fit alone is named beside fewer images."""
LEAST_SIDE = 8
"""No narrower nets and no smaller images are suggested."""


def load_images(recipe: str, config: Settings, callback: Callback) -> ImageSet:
    """Load what the config says, and warn of what is likely not meant."""
    images = TASKS[recipes.get(recipe).task].load_split(config, "train")
    for warning in images.report.warnings:
        callback.notice(f"WARNING: {warning}")
    return images


def settle_own(
    recipe: str,
    config: Settings,
    images: ImageSet,
    saved: Mapping[str, Any] | None,
    device: torch.device,
    callback: Callback,
) -> tuple[Settings, dict[str, Any]]:
    """Fill in what follows from number and size of a user's own images, and from the device.

    Args:
        recipe: the recipe's name.
        config: its settings.
        images: what is trained on.
        saved: of a run that goes on, its config.json: its defaults count, whatever would follow
            today. None for a new run.
        device: where it is trained.
        callback: told which defaults a new run takes.

    Returns:
        The settings, and the defaults to keep in config.json.
    """
    about = recipes.get(recipe)
    if about.own is None or config.data in DATASETS or images.spec.are_points:
        return config, {}
    if saved is not None:
        kept = dict(saved.get("own_defaults", {}))
        return about.on_own(config, kept)[0], kept
    values = about.own(config, count=len(images), channels=images.shape[0], device=device.type)
    config, taken = about.on_own(config, values)
    if taken:
        flags = " ".join(
            f"--{name.replace('_', '-')} {value}"
            for name, value in taken.items()
            if value is not None
        )
        callback.notice(
            f"Defaults for {len(images):,} images of your own: {flags}. What you give counts "
            "before them."
        )
    return config, taken


def require_room(
    recipe: str, config: Settings, images: ImageSet, device: torch.device, callback: Callback
) -> None:
    """Say what a round of large images takes of the device's memory, before it is taken.

    Raises:
        UserError: it is more than there is.
    """
    height, width = images.shape[1:]
    if max(height, width) <= LARGE:
        return
    outline = build_game(recipe, config, images, device=torch.device("meta"))
    batch = outline_batch(config, images, images.shape)
    needed = bytes_of_round(outline, batch) + BYTES_PER_WEIGHT * outline.num_weights
    what = f"A round of {len(batch)} images of {height}×{width} pixels"
    callback.notice(f"{what} takes about {needed / GIB:.1f} GiB of memory, or more.")
    memory = memory_bytes()
    if device.type == "cuda":
        memory = torch.cuda.mem_get_info(device)[0]
    require_memory(needed, memory=memory, what=what, advice=needs_less(config))


def require_size(recipe: str, config: Settings) -> None:
    """Refuse a size that the recipe's nets cannot make, before images are decoded for minutes.

    Raises:
        UserError: they cannot.
    """
    about = recipes.get(recipe)
    if config.size is None or about.origin is not None:  # what a user's own recipe takes is unknown
        return
    channels = config.channels or 3
    pair = about.task != "generation"
    spec = DataSpec(
        shape=(channels * (1 + pair), *parse_size(config.size)),
        classes=("", ""),
        source_channels=channels * pair,
    )
    meta = torch.device("meta")
    with meta:
        recipes.build(recipe, config.settled(1), spec, device=meta)


def build_game(recipe: str, config: Settings, images: ImageSet, *, device: torch.device) -> Game:
    """Build the game, after making sure that this machine can hold it; on "meta", its outline.

    Raises:
        UserError: it cannot.
    """
    make = partial(
        recipes.build,
        recipe,
        config,
        images.spec,
    )
    if device.type == "meta":  # where weights have shapes and take no memory
        with device:
            return make(device=device)
    if device.type == "cpu":
        outline = build_game(recipe, config, images, device=torch.device("meta"))
        require_memory(
            BYTES_PER_WEIGHT * outline.num_weights,
            memory=memory_bytes(),
            what=f"Training the {outline.num_weights:,} weights of G and D at this size",
            advice="Choose narrower nets, or smaller images with --size.",
        )
    enter_stream(torch.device("cpu"), "init", config.seed)
    return make(device=device)


def settle_precision(
    recipe: str,
    config: Settings,
    images: ImageSet,
    directory: RunDirectory,
    device: torch.device,
    callback: Callback,
) -> Settings:
    """Put what is faster here in the place of `--precision auto`, and warn where bf16 is slower.

    A run keeps what was chosen when it began, on whatever machine it goes on.
    """
    if config.precision == "auto" and directory.checkpoints.seen():
        kept = directory.read_config().get("config", {}).get("precision", "fp32")
        return config.model_copy(update={"precision": kept})
    if config.precision == "fp32":
        return config
    outline = build_game(recipe, config, images, device=torch.device("meta"))
    batch = outline_batch(config, images, images.shape)
    with exhaustion_explained(f"batches of {len(batch)} images", advice=needs_less(config)):
        products = heaviest_products(outline, batch)
        pace = bf16_pace(products, device) if products else 1.0
    found = f"bf16 runs at {pace:.2f} times the pace of fp32 in this recipe's largest products here"
    if not products:
        found = "this recipe's nets have no products that could be measured"
    if config.precision == "auto":
        config = config.model_copy(update={"precision": "bf16" if pace >= WORTH else "fp32"})
        callback.notice(f"Precision {config.precision}: {found}.")
    elif pace < SLOWER:
        callback.notice(f"WARNING: {found}. --precision fp32 is faster; auto measures and chooses.")
    return config


def outline_batch(config: Settings, images: ImageSet, shape: tuple[int, int, int]) -> Batch:
    """A batch of images of this shape without content, on "meta", as such data has it."""
    meta, size = torch.device("meta"), min(config.batch_size, len(images))
    labels = None if images.labels is None else torch.empty(size, dtype=torch.int64, device=meta)
    return Batch(torch.empty(size, *shape, device=meta), labels)


def require_patience(
    recipe: str,
    config: Settings,
    images: ImageSet,
    device: torch.device,
    callback: Callback,
    confirm: Callable[[str], None],
) -> None:
    """Find out how fast a new training will be, and make sure that somebody wants to wait for it.

    Rounds are timed on a game that is thrown away: nothing that the training depends on is touched.

    Args:
        recipe: the recipe's name.
        config: its settings.
        images: what is trained on.
        device: where.
        callback: told how long it will take where the first round alone takes long.
        confirm: told of a training that would take more than a day, with flags that would fit.

    Raises:
        UserError: nobody does; or the device's memory does not suffice.
    """
    budget = config.budget(len(images))
    if budget <= FEW_IMAGES:
        return
    game = build_game(recipe, config, images, device=device)
    with exhaustion_explained(f"batches of {config.batch_size} images", advice=needs_less(config)):
        pace = images_per_second(
            game,
            images,
            batch_size=config.batch_size,
            least=max(LEAST_BATCH, getattr(config, "pack", 1)),
            enough=FAST * budget / DAY,
            bf16=config.precision == "bf16",
        )
    del game  # before the real one takes its memory
    if budget / pace <= DAY:
        if config.batch_size / pace > PROMISE_SECONDS:
            callback.notice(
                f"About {in_pace(pace)}: {in_time(budget / pace)} in all, and "
                f"{in_time(config.batch_size / pace)} until the bar moves."
            )
        return
    ways = {"images": f"--images {rounded_down(pace * DAY)}"}
    both: dict[str, str] = {}
    for flag, faster in faster_ways(recipe, config, images, pace):
        kind = flag.split()[0]
        if budget / faster <= DAY:  # of the widths, and of the sizes, the largest is named
            ways.setdefault(kind, f"{flag} (about {in_time(budget / faster)})")
        elif faster >= MUCH_FASTER * pace:
            both.setdefault(kind, f"{flag} --images {rounded_down(faster * DAY)}")
    ways = both | ways
    threads = torch.get_num_threads()
    where = f"this CPU, {threads} thread{'s' * (threads != 1)}" if device.type == "cpu" else device
    confirm(
        f"{budget:,} images would take about {in_time(budget / pace)} on {where}: "
        f"{in_pace(pace)}. Within a day: {', or '.join(ways.values())}."
    )


def faster_ways(
    recipe: str, config: Settings, images: ImageSet, pace: float
) -> Iterator[tuple[str, float]]:
    """Narrower nets, and smaller images, by halves.

    Yields:
        A flag, and the pace to expect with it, by the arithmetic that it leaves.
    """

    def work_of(changed: Settings, shape: tuple[int, int, int]) -> float:
        meta = torch.device("meta")
        pixels = replace(images, images=torch.empty(0, *shape, dtype=torch.uint8))
        outline = build_game(recipe, changed, pixels, device=meta)
        batch = outline_batch(config, images, shape)
        return work(products_of(outline, batch), len(batch))

    channels, height, width = images.shape
    whole = work_of(config, images.shape)
    if not whole:  # a user's nets may be of products that are not counted
        return
    if "width" in type(config).model_fields and "width" not in unread(config):
        for narrower in halves(config.model_dump()["width"]):
            changed = config.model_copy(update={"width": narrower})
            yield f"--width {narrower}", pace * whole / work_of(changed, images.shape)
    if height == width:
        for side in halves(height):
            with suppress(UserError):  # the nets may not come in this size
                yield f"--size {side}", pace * whole / work_of(config, (channels, side, side))


def halves(value: int) -> Iterator[int]:
    """The half of a number, the half of that, and so on."""
    while (value := value // 2) >= LEAST_SIDE:
        yield value


def rounded_down(count: float) -> int:
    """A number of images in two digits that count, and zeros."""
    unit = 10 ** max(0, math.floor(math.log10(max(count, 1))) - 1)
    return int(count // unit * unit)


def require_start(config: Settings, start: WarmStart | None, directory: RunDirectory) -> None:
    """Refuse a run that begins with itself, or keeps layers of D as chance drew them.

    Raises:
        UserError: it would.
    """
    if start is not None and start.run.resolve() == directory.path.resolve():
        raise UserError(
            f"--from names the run '{start.run}', and the new run would be in the same folder. "
            "Choose another with --out."
        )
    if getattr(config, "freeze_d", 0) and (start is None or "D" not in start.parts):
        raise UserError(
            "--freeze-d keeps D's first blocks as they are, and without another run's D they are "
            "as chance drew them. Give --from RUN beside it, or leave it out."
        )


def open_run(
    directory: RunDirectory,
    description: dict[str, Any],
    config: Settings,
    *,
    given: Collection[str] | None = None,
) -> None:
    """Begin a run, or make sure that the one which is there is the same.

    Args:
        directory: the run's.
        description: its config.json.
        config: its settings.
        given: the names of those that the user gave; None for all.

    Raises:
        UserError: it is another run, or the directory cannot be written.
    """
    if directory.exists():
        require_same_run(directory, description, config, given=given)
    directory.write_config(description)


def run_loop(
    recipe: str,
    game: Game,
    config: Settings,
    images: ImageSet,
    directory: RunDirectory,
    *,
    callback: Callback,
    fit: Fit | None = None,
) -> None:
    """Restore the game, where there is something to restore, and play it to the budget's end.

    Args:
        recipe: the recipe's name.
        game: the game.
        config: its settings.
        images: what is trained on.
        directory: where it is kept; it has a config.json.
        callback: what watches the training.
        fit: weights of another run that a new one begins with.
    """
    task = task_on(recipes.get(recipe).task, images.spec)
    started = directory.read_config().get("started_from") or {}
    head_start = started.get("ema_seen", 0)
    state = State(game, EMA(game.G.net, half_life=config.ema_half_life, head_start=head_start))
    loader = Loader(images, batch_size=config.batch_size, seed=config.seed, device=game.device)
    budget, ticks = config.budget(len(images)), config.ticks(len(images))

    if fit is not None:
        fit.take_up(state)
        callback.notice(fit.told())
        with directory.storage_failures():  # so that the run goes on when the other is gone
            directory.checkpoints.save(state.snapshot(), seen=0)
    restore_newest(state, directory, callback)
    progress = state.progress
    loader.seek(Position(seed=config.seed, epoch=progress.epoch, offset=progress.offset))
    if progress.seen < budget:  # or the log is whole, even if it ends between two ticks
        with directory.storage_failures():
            directory.cut_log(progress.log_bytes)
            forget_score(state, directory)
    history = directory.history()
    if history.damaged:
        callback.notice(
            f"WARNING: {history.damaged} damaged lines of '{directory.log_path}' are left out."
        )
    if reason := finished(config, budget, progress, history):
        callback.notice(f"The run '{directory.path}' is complete: {reason}.")
        make_film(directory, callback)  # a signal may have come just before it was made
        return
    evaluate_every = ticks.evaluate
    if evaluate_every and len(images) < task.least_images:
        evaluate_every = 0
        callback.notice(
            f"{len(images)} images are too few to compare G's with: there will be no evaluations"
            + (", and so no early stopping." if config.patience else ".")
        )
    if progress.seen:
        callback.notice(f"Going on with '{directory.path}' at {progress.seen:,} images.")

    held_out = task.held_out(config, images, callback.notice)
    others = None if held_out is images else held_out  # of pairs all may have to serve
    understood = understanding(task, config, images, others)
    callback.notice("\n".join([header(recipe, task, config, images, game), *understood]))
    if progress.seen and (told := config.beyond_annealing(progress.seen, budget)):
        callback.notice(told)
    directory.write_data(facts(images, others))
    paint = task.painter(state, config, held_out, directory)

    def draw(epoch: float, history: History) -> None:
        paint(epoch)
        draw_curve(history, directory.curve_path)

    loop = Loop(
        state,
        loader,
        directory,
        schedule=Schedule(
            budget=budget,
            images_per_epoch=len(images),
            log_every=ticks.log,
            sample_every=ticks.sample,
            checkpoint_every=ticks.checkpoint,
            evaluate_every=evaluate_every,
            patience=config.patience,
            seed=config.seed,
            bf16=config.precision == "bf16",
        ),
        callback=callback,
        draw=draw,
        evaluate=task.evaluator(state, config, images, held_out) if evaluate_every else never,
    )
    with exhaustion_explained(f"batches of {config.batch_size} images", advice=needs_less(config)):
        loop.run()
    make_film(directory, callback)
    own = f" --recipe {shlex.quote(recipe)}" if recipes.get(recipe).origin else ""
    path = shlex.quote(str(directory.path)) + own
    steps = [f"{called_as()} {step.removeprefix('zerosum ')}" for step in task.next_steps(path)]
    callback.notice(summary(directory, progress, steps))


def header(recipe: str, task: Task, config: Settings, images: ImageSet, game: Game) -> str:
    """Say what is about to be trained, on what, with what and how long."""
    classes = f", {len(images.classes)} classes" if images.classes else ""
    weights = [sum(p.numel() for p in player.net.parameters()) for player in (game.G, game.D)]
    threads = torch.get_num_threads()
    device = f"cpu, {threads} thread{'s' * (threads != 1)}" if game.device.type == "cpu" else ""
    budget = config.budget(len(images))
    epochs = budget / len(images)
    return (
        f"{recipe} on {config.data}: {len(images):,} {task.describe(images)}{classes}\n"
        f"G {weights[0]:,} weights, D {weights[1]:,}; {device or game.device}, {config.precision}; "
        f"{budget:,} images ({epochs:,.4g} epoch{'s' * (epochs != 1)}) "
        f"in batches of {min(config.batch_size, len(images))}"
    )


def forget_score(state: State, directory: RunDirectory) -> None:
    """Let a checkpoint go unscored whose record was cut from the log.

    A budget that ended in mid-epoch and is raised replaces that epoch's record by a later one. What
    the log, the curve and `--checkpoint best` call best must be the same.
    """
    seen = state.progress.seen
    records = directory.history().records
    logged = {record["seen"] for record in records if score_of(record) is not None}
    if seen not in logged and directory.checkpoints.best() == seen:
        directory.checkpoints.save(state.snapshot(), seen=seen)


def finished(config: Settings, budget: int, progress: Progress, history: History) -> str | None:
    """Say why there is nothing left to train, and what would change that, if that is so."""
    if progress.seen >= budget:
        ends = " (its schedules stay at their end)" * config.ends_with_budget(budget)
        return (
            f"{progress.seen:,} images. Raise {'--images' if config.images else '--epochs'} to "
            f"train it further{ends}, start a new run from it with --from, or start over with "
            "--fresh"
        )
    if stalled(history.records, config.patience):
        return (
            f"{config.patience} epochs brought no better metric. Raise "
            "--patience or leave it out to train it further"
        )
    return None


def make_film(directory: RunDirectory, callback: Callback) -> None:
    """Make the film of a run's pictures, leaving out what somebody has damaged."""
    frames = []
    for picture in directory.pictures():
        try:
            frames.append(read_frame(picture))
        except (OSError, SyntaxError) as error:  # Pillow calls a broken PNG a SyntaxError
            callback.notice(f"The film leaves out '{picture}', which cannot be read: {error}.")
    if frames:
        with directory.storage_failures():
            save_film(frames, directory.film_path, frame_milliseconds=FRAME_MILLISECONDS)


def describe(
    recipe: str,
    config: Settings,
    images: ImageSet,
    *,
    started_from: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What config.json says of a run.

    Args:
        recipe: the recipe's name.
        config: its settings.
        images: what is trained on.
        started_from: where its first weights come from, unless from chance.
    """
    origin = recipes.get(recipe).origin
    return {
        "zerosum": __version__,
        "recipe": recipe,
        **({"recipe_file": asdict(origin)} if origin else {}),
        **({"started_from": started_from} if started_from else {}),
        "image_shape": list(images.shape),
        "classes": list(images.classes),
        "source_channels": images.source_channels,
        "num_images": len(images),
        "data_path": None if config.data in DATASETS else str(Path(config.data).resolve()),
        "data_sha256": images.fingerprint(),
        "config": config.model_dump(mode="json"),
    }


def needs_less(config: Settings) -> str:
    """Say what makes a training need less of a device's memory, what changes least first."""
    ways = []
    if parts := getattr(config, "grad_accumulation", None):
        ways.append(f"--grad-accumulation {2 * parts}, which plays each batch in {2 * parts} parts")
    if config.precision == "fp32":
        ways.append("--precision bf16")
    if config.batch_size > 1:
        ways.append(f"--batch-size {config.batch_size // 2}")
    return f"Try {', or '.join([*ways, 'smaller images with --size'])}."


def never(history: History) -> Evaluation:
    """What evaluates a run that is not evaluated."""
    raise AssertionError("a run without evaluations was evaluated")


def called_as() -> str:
    """How the command is called here, so that a printed one works when it is pasted.

    In a clone, or an environment that is not active, no `zerosum` is on the PATH.
    """
    program = Path(sys.argv[0])
    if shutil.which("zerosum"):
        return "zerosum"
    if program.name == "zerosum":
        return shlex.quote(str(program))
    if program.name == "__main__.py" and program.parent.name == "zerosum":
        return f"{shlex.quote(sys.executable)} -m zerosum"
    return "zerosum"


def summary(directory: RunDirectory, progress: Progress, next_steps: list[str]) -> str:
    """Say what came of a run and what to try next."""
    pace = progress.seen / max(progress.seconds, 1e-9)
    lines = [f"Done: {progress.seen:,} images in {progress.seconds:,.0f} s ({pace:,.0f} images/s)."]
    log = directory.history().records
    if best := best_record(log):
        name, value = next(iter(best["metrics"].items()))
        newest = [record for record in log if score_of(record) is not None][-1]
        lines.append(
            f"  best      {name} {value:.4g} at epoch {best['epoch']:g} "
            f"(now {score_of(newest):.4g}); use it with --checkpoint best"
        )
        if "health" in newest:
            lines.append(f"  health    {in_words(newest['health'])}")
    lines += [
        f"  pictures  {directory.pictures()[-1]}",
        f"  curve     {directory.curve_path}",
        f"  film      {directory.film_path}",
    ]
    heads = ["  try       ", *[" " * 12] * 9]
    lines += [head + step for head, step in zip(heads, next_steps, strict=False)]
    return "\n".join(lines)
