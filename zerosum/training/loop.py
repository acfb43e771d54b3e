"""The training loop. It plays rounds until the budget of real images is spent.

It knows no recipe, net, loss, penalty or data set: a `Game` plays, a loader deals, a
`RunDirectory` keeps, a `Callback` watches. Progress is counted in real images; epochs follow.
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from zerosum.errors import UserError
from zerosum.game.core import Game
from zerosum.training import distributed
from zerosum.training.checkpoint import Snapshot
from zerosum.training.early_stopping import best_record, collapse, score_of, stalled, verdict_of
from zerosum.training.interfaces import Callback, Evaluation, Loader
from zerosum.training.log import History
from zerosum.training.round import play_round
from zerosum.training.run_directory import RunDirectory
from zerosum.training.signals import Interrupted, StopFlag, stop_flag
from zerosum.training.state import State, align_statistics, not_finite
from zerosum.training.stopwatch import Stopwatch


class TrainingDiverged(UserError):
    """A loss or a weight became NaN or infinite.

    Attributes:
        saved: the run's config.json, where another process keeps it.
    """

    exit_code = 1
    saved: Mapping[str, Any] | None = None


class OutputLost(UserError):
    """Nobody gets what the training shows; it has stopped, and saved.

    Its exit code is 141 where the reader has left, as that of a process which SIGPIPE ends, else 1.
    """

    def __init__(self, failure: OSError, message: str) -> None:
        super().__init__(message)
        self.exit_code = 141 if failure.errno == errno.EPIPE else 1


class DataLost(UserError):
    """The images cannot be read any more, as where a disk or a server is gone; it is saved."""

    exit_code = 1


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long to train and how often to report, all of it in real images.

    Attributes:
        budget: to train on.
        images_per_epoch: in the data set.
        log_every: between ticks, each a line of the log.
        sample_every: between pictures.
        checkpoint_every: between checkpoints.
        evaluate_every: between evaluations; 0 for none.
        patience: epochs without a better metric after which to stop; None for never.
        supervised: whether to stop when the training has collapsed, and to keep a checkpoint of
            where it was healthy last.
        seed: decides every random number.
        bf16: whether nets multiply in bfloat16.
    """

    budget: int
    images_per_epoch: int
    log_every: int
    sample_every: int
    checkpoint_every: int
    evaluate_every: int
    patience: float | None
    supervised: bool
    seed: int | str
    bf16: bool


class Loop:
    """One training, from where its state stands to the end of the budget."""

    UPDATE_SECONDS = 1.0
    """Between looks at the losses; each look waits for the device once."""

    def __init__(
        self,
        state: State,
        loader: Loader,
        directory: RunDirectory,
        *,
        schedule: Schedule,
        callback: Callback,
        draw: Callable[[float, History], None],
        evaluate: Callable[[History], Evaluation],
    ) -> None:
        """Take the parts of a run.

        Args:
            state: what is trained.
            loader: where the real images come from; it stands where the state's progress says.
            directory: where everything is kept.
            schedule: how long to train, how often to report.
            callback: what watches the training.
            draw: makes the picture of an epoch, whose number it is given beside the log so far.
            evaluate: judges the players as they stand, knowing the log so far; the state in which
                the first of its metrics was lowest is kept as a checkpoint.
        """
        self.state = state
        self.loader = loader
        self.directory = directory
        self.schedule = schedule
        self.callback = callback
        self.draw = draw
        self.evaluate = evaluate
        self.history = directory.history()
        self._saved_at: int | None = None
        self._stalled = False
        self.collapse: Mapping[str, Any] | None = None

    def run(self) -> None:
        """Train until the budget is spent, or nothing is gained any more, and save.

        A supervised training that collapses ends too, and `collapse` is then the record that says
        so.

        Raises:
            Interrupted: a signal came; the state is saved.
            OutputLost: standard output takes no more; the state is saved.
            DataLost: the images cannot be read any more; the state is saved.
            TrainingDiverged: a loss or weight is not finite; the last good checkpoint is kept.
            StorageFailed: the disk is full or not writable; what was saved before is whole.
        """
        self.callback.begin(
            seen=self.state.progress.seen,
            budget=self.schedule.budget,
            images_per_epoch=self.schedule.images_per_epoch,
        )
        try:
            with stop_flag() as flag:
                self._play(flag)
        finally:
            self.callback.end()

    def _play(self, flag: StopFlag) -> None:
        state, schedule, progress = self.state, self.schedule, self.state.progress
        clock = Stopwatch(progress)
        if progress.seen < schedule.budget:
            self._require_data(flag)
            (signal_number,) = distributed.largest(flag.signal_number or 0)
            if signal_number:
                raise Interrupted(
                    signal_number,
                    f"Stopped at {progress.seen:,} images, before a round was played. Run the same "
                    "command again to go on from there.",
                )
        while progress.seen < schedule.budget and not self._ended:
            before = progress.seen
            dealt = play_round(
                state.game,
                self.loader.next_batch,
                seed=schedule.seed,
                turn_index=progress.turns,
                seen=before,
                bf16=schedule.bf16,
                stats=state.stats,
            )
            progress.seen += dealt
            progress.turns += len(state.game.turns)
            position = self.loader.position
            progress.epoch, progress.offset = position.epoch, position.offset
            state.ema.update(images=dealt, seen=progress.seen)

            self._report(before, clock)
            if clock.since_look() > self.UPDATE_SECONDS:
                self._look()
                clock.look()

            lost, lost_data = self.callback.lost_output(), self._lost_data(flag)
            # One process that leaves alone would keep the others waiting: all leave, or none.
            signal_number, failure, no_data = distributed.largest(
                flag.signal_number or 0,
                0 if lost is None else lost.errno or errno.EIO,
                bool(lost_data),
            )
            if signal_number:
                clock.note()
                raise Interrupted(signal_number, self._stop())
            if failure:
                clock.note()
                lost = lost or OSError(failure, os.strerror(failure))
                why = f", because standard output takes no more ({lost.strerror})"
                raise OutputLost(lost, self._stop(why))
            if no_data:
                clock.note()
                lost_data = lost_data or "Another process cannot read the images any more."
                raise DataLost(f"{lost_data} {self._stop()}")

    @property
    def _ended(self) -> bool:
        return self._stalled or self.collapse is not None

    def _report(self, before: int, clock: Stopwatch) -> None:
        """Log, show, draw and save what came due in the round that began at `before` images."""
        schedule, seen = self.schedule, self.state.progress.seen
        spent = seen >= schedule.budget

        def due(every: int) -> bool:
            # Not `seen % every == 0`: a round of many batches may step over the mark.
            return every > 0 and (spent or seen // every > before // every)

        if due(schedule.log_every) or due(schedule.evaluate_every):
            record = self._tick(before, clock, evaluated=due(schedule.evaluate_every))
            self._stalled = stalled(self.history.records, schedule.patience)
            self.collapse = collapse(self.history.records) if schedule.supervised else None
            if due(schedule.sample_every) or self._ended:
                self._draw(record["epoch"])
            self.callback.tick(record)
            best = best_record(self.history.records)
            is_best = best is not None and best["seen"] == seen
            healthy = schedule.supervised and verdict_of(record) == "healthy"
            if due(schedule.checkpoint_every) or self._ended or is_best or healthy:
                self._save(score_of(record), healthy=healthy)
            return
        if due(schedule.sample_every):
            self._draw(self._epoch(before))
        if due(schedule.checkpoint_every):
            self._require_finite_losses(self.state.stats.means())
            clock.note()
            self._save()

    def _tick(self, before: int, clock: Stopwatch, *, evaluated: bool) -> dict[str, Any]:
        """Write a line of the log, with an evaluation or without."""
        schedule, progress = self.schedule, self.state.progress
        means = self.state.stats.means()
        self._require_finite_losses(means)
        record: dict[str, Any] = {
            "epoch": self._epoch(before),
            "seen": progress.seen,
            **({"restarts": len(progress.restarts)} if progress.restarts else {}),
            **losses(means),
            **means,
            **clock.lap(),
        }
        if evaluated:
            self._require_finite_state(self.state.snapshot())
            align_statistics(self.state)
            record |= self.evaluate(self.history).record()
        record = distributed.from_first(record)
        with self.directory.storage_failures():
            log_bytes = self.directory.append_log(record)
            log_sha256 = self.directory.log_sha256(log_bytes)
        self.history = self.history.followed_by(record)
        on_mark = progress.seen // schedule.log_every > before // schedule.log_every
        if on_mark:
            self.state.stats.clear()
        if on_mark or progress.seen < schedule.budget:
            progress.log_bytes, progress.log_sha256 = log_bytes, log_sha256
        # Else the budget ends between two marks. Should it be raised, the tick goes on with its
        # stats, and its record replaces this one.
        return record

    def _draw(self, epoch: float) -> None:
        with self.directory.storage_failures():
            self.draw(epoch, self.history)

    def _epoch(self, before: int) -> float:
        """The epoch that ended in the round that began at `before`, or the point in mid-epoch."""
        progress, images = self.state.progress, self.schedule.images_per_epoch
        ended = progress.seen // images > before // images
        return progress.epoch if ended else round(progress.seen / images, 3)

    def _look(self) -> None:
        """Show the losses since the tick, and stop within seconds if they are not finite."""
        means = self.state.stats.means()
        if not means:  # a tick has just been shown
            return
        self._require_finite_losses(means)
        self.callback.update(seen=self.state.progress.seen, losses=losses(means))

    def _stop(self, why: str = "") -> str:
        """Save, and say how to go on."""
        self._require_finite_losses(self.state.stats.means())
        self._save()
        return (
            f"Stopped at {self.state.progress.seen:,} images{why}, and saved in "
            f"'{self.directory.path}'. Run the same command again to go on from there."
        )

    def _require_data(self, flag: StopFlag) -> None:
        """Make sure that a round can be played to its end: in the middle nothing could be saved.

        Where a signal comes meanwhile, nothing is made sure, and no round may follow.

        Raises:
            UserError: the images cannot be read.
        """
        self.loader.require_batches(
            self.state.game.turns.count("D"), stopped=lambda: flag.signal_number is not None
        )

    def _lost_data(self, flag: StopFlag) -> str:
        """Why the next round cannot be played for want of images; "" where it can, or is none."""
        if self.state.progress.seen >= self.schedule.budget or self._ended:
            return ""
        try:
            self._require_data(flag)
        except UserError as problem:
            return str(problem)
        return ""

    def _save(self, score: float | None = None, *, healthy: bool = False) -> None:
        progress = self.state.progress
        if progress.seen == self._saved_at:
            return
        snapshot = self.state.snapshot()
        self._require_finite_state(snapshot)
        if distributed.world() > 1:
            distributed.require_alike(
                {"the sum of the weights": sum_of_weights(self.state.game)},
                "They have computed otherwise: expected processors, or GPUs, of one kind.",
            )
        with self.directory.storage_failures():
            self.directory.checkpoints.save(
                snapshot, seen=progress.seen, score=score, healthy=healthy
            )
        self._saved_at = progress.seen

    def _require_finite_state(self, snapshot: Snapshot) -> None:
        name = not_finite(snapshot)
        if name is not None:
            raise self._diverged(f"'{name}' holds values that are not finite")

    def _require_finite_losses(self, means: Mapping[str, float]) -> None:
        if all(math.isfinite(mean) for mean in means.values()):
            return
        found = self.state.stats.first_not_finite()
        if found is None:
            raise self._diverged("a loss became too large for its mean to be a number")
        name, index, value = found
        # The scalars of a turn, such as D(x), have no player in their name: they are D's.
        turn, term = name.split("/", 1) if "/" in name else ("D", name)
        turns = self.state.game.turns
        # Values are kept since the last tick: their end is now, so count back from there.
        last = len(self.state.stats.values[name]) - 1
        rounds_ago = (last - index) // turns.count(turn)
        raise self._diverged(
            f"the term '{term}' of {turn}'s turn became {value} in round "
            f"{self.state.progress.turns // len(turns) - rounds_ago:,} of the run"
        )

    def _diverged(self, what: str) -> TrainingDiverged:
        saved = self.directory.checkpoints.seen()
        kept = (
            f"The checkpoint at {saved[-1]:,} images, before this, is kept."
            if saved
            else "There was no checkpoint before this."
        )
        return TrainingDiverged(
            f"Training diverged: {what}. {kept} Nothing later was saved. A lower learning rate "
            "helps most often; another --seed tells whether it was chance."
        )


def sum_of_weights(game: Game) -> str:
    """The sum of all weights of G and D, to the last bit."""
    sums = [p.detach().double().sum() for player in (game.G, game.D) for p in player.parameters]
    return float(torch.stack(sums).sum()).hex()


def losses(means: Mapping[str, float]) -> dict[str, float]:
    """Each player's loss: the sum of its terms' means, `D/cross_entropy` and so on."""
    return {
        f"loss_{player}": sum(
            value for name, value in means.items() if name.startswith(f"{player}/")
        )
        for player in ("D", "G")
    }
