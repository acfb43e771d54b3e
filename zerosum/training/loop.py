"""The training loop. It plays rounds until the budget of real images is spent.

It knows no recipe, net, loss, penalty or data set: a `Game` plays, a loader deals, a
`RunDirectory` keeps, a `Callback` shows. Progress is counted in real images; epochs follow from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from zerosum.errors import UserError
from zerosum.training.checkpoint import Snapshot
from zerosum.training.early_stopping import best_record, score_of, stalled
from zerosum.training.interfaces import Callback, Evaluation, Loader
from zerosum.training.round import play_round
from zerosum.training.run_directory import RunDirectory
from zerosum.training.signals import Interrupted, StopFlag, stop_flag
from zerosum.training.state import State, not_finite
from zerosum.training.stopwatch import Stopwatch


class TrainingDiverged(UserError):
    """A loss or a weight became NaN or infinite."""

    exit_code = 1


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long to train and how often to report.

    Attributes:
        budget: real images to train on.
        images_per_epoch: images in the data set.
        sample_every: epochs between pictures.
        checkpoint_every: epochs between checkpoints.
        evaluate_every: epochs between evaluations; 0 for none.
        stop_after_no_gain: epochs without a better metric after which to stop; None for never.
        seed: decides every random number.
        bf16: whether nets multiply in bfloat16.
    """

    budget: int
    images_per_epoch: int
    sample_every: int
    checkpoint_every: int
    evaluate_every: int
    stop_after_no_gain: int | None
    seed: int
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
        watcher: Callback,
        draw: Callable[[int], None],
        evaluate: Callable[[], Evaluation],
    ) -> None:
        """Take the parts of a run.

        Args:
            state: what is trained.
            loader: where the real images come from; it stands where the state's progress says.
            directory: where everything is kept.
            schedule: how long to train, how often to report.
            watcher: what shows the run to a person.
            draw: makes the picture of an epoch, whose number it is given.
            evaluate: judges the players as they stand; the state in which the first of its metrics
                was lowest is kept as a checkpoint.
        """
        self.state = state
        self.loader = loader
        self.directory = directory
        self.schedule = schedule
        self.watcher = watcher
        self.draw = draw
        self.evaluate = evaluate
        self._saved_at: int | None = None
        self._stalled = False

    def run(self) -> None:
        """Train until the budget is spent, or nothing is gained any more, and save.

        Raises:
            Interrupted: a signal came; the state is saved.
            TrainingDiverged: a loss or weight is not finite; the last good checkpoint is kept.
            StorageFailed: the disk is full or not writable; what was saved before is whole.
        """
        self.watcher.begin(
            seen=self.state.progress.seen,
            budget=self.schedule.budget,
            images_per_epoch=self.schedule.images_per_epoch,
        )
        try:
            with self.directory.storage_failures(), stop_flag() as flag:
                self._play(flag)
        finally:
            self.watcher.end()

    def _play(self, flag: StopFlag) -> None:
        state, schedule, progress = self.state, self.schedule, self.state.progress
        clock = Stopwatch(progress)
        while progress.seen < schedule.budget and not self._stalled:
            epoch_before = progress.epoch
            dealt = play_round(
                state.game,
                self.loader.next_batch,
                seed=schedule.seed,
                turn_index=progress.turns,
                seen=progress.seen,
                bf16=schedule.bf16,
                stats=state.stats,
            )
            progress.seen += dealt
            progress.turns += len(state.game.turns)
            progress.epoch, progress.offset = (
                self.loader.position.epoch,
                self.loader.position.offset,
            )
            state.ema.update(images=dealt, seen=progress.seen)

            if progress.epoch > epoch_before or progress.seen >= schedule.budget:
                self._end_epoch(epoch_before=epoch_before, clock=clock)
            elif clock.since_look() > self.UPDATE_SECONDS:
                self._look()
                clock.look()

            if flag.signal_number is not None:
                clock.note()
                self._stop(flag.signal_number)

    def _end_epoch(self, *, epoch_before: int, clock: Stopwatch) -> None:
        """Log, show, draw and save what is due at the end of an epoch, or of the budget in it."""
        progress, schedule = self.state.progress, self.schedule
        number = max(progress.epoch, epoch_before + 1)
        spent = progress.seen >= schedule.budget

        def due(every: int, *, done: bool) -> bool:
            # Not `number % every == 0`: a round of many turns may end several small epochs.
            return every > 0 and (done or number // every > epoch_before // every)

        means = self.state.stats.means()
        self._require_finite_losses(means, epoch=epoch_before + 1)
        record: dict[str, Any] = {
            "epoch": number,
            "seen": progress.seen,
            **losses(means),
            **means,
            **clock.lap(),
        }
        if due(schedule.evaluate_every, done=spent):
            self._require_finite_state(self.state.snapshot())
            record |= self.evaluate().record()
        log_bytes = self.directory.append_log(record)
        if progress.epoch > epoch_before:
            progress.log_bytes = log_bytes
            self.state.stats.clear()
        # Else the budget ends in mid-epoch. Should it be raised, the epoch goes on with its stats,
        # and its record replaces this one.
        log = self.directory.log()
        self._stalled = stalled(log, schedule.stop_after_no_gain)
        done = spent or self._stalled
        if due(schedule.sample_every, done=done):
            self.draw(number)
        self.watcher.epoch(record)
        best = best_record(log)
        if due(schedule.checkpoint_every, done=done) or (best and best["epoch"] == number):
            self._save(score_of(record))

    def _look(self) -> None:
        """Show the losses of the epoch so far, and stop within seconds if they are not finite."""
        means = self.state.stats.means()
        self._require_finite_losses(means, epoch=self.state.progress.epoch + 1)
        self.watcher.update(seen=self.state.progress.seen, losses=losses(means))

    def _stop(self, signal_number: int) -> None:
        means = self.state.stats.means()
        self._require_finite_losses(means, epoch=self.state.progress.epoch + 1)
        self._save()
        raise Interrupted(
            signal_number,
            f"Stopped at {self.state.progress.seen:,} images, and saved in "
            f"'{self.directory.path}'. Run the same command again to go on from there.",
        )

    def _save(self, score: float | None = None) -> None:
        progress = self.state.progress
        if progress.seen == self._saved_at:
            return
        snapshot = self.state.snapshot()
        self._require_finite_state(snapshot)
        self.directory.checkpoints.save(snapshot, seen=progress.seen, score=score)
        self._saved_at = progress.seen

    def _require_finite_state(self, snapshot: Snapshot) -> None:
        name = not_finite(snapshot)
        if name is not None:
            raise self._diverged(f"'{name}' holds values that are not finite")

    def _require_finite_losses(self, means: Mapping[str, float], *, epoch: int) -> None:
        if all(math.isfinite(mean) for mean in means.values()):
            return
        name, index, value = self.state.stats.first_not_finite() or ("", 0, math.nan)
        # The metrics of a turn, such as D(x), have no player in their name: they are D's.
        turn, term = name.split("/", 1) if "/" in name else ("D", name)
        round_number = index // self.state.game.turns.count(turn) + 1
        raise self._diverged(
            f"the term '{term}' of {turn}'s turn became {value} in round {round_number} of "
            f"epoch {epoch}"
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


def losses(means: Mapping[str, float]) -> dict[str, float]:
    """Each player's loss: the sum of its terms' means, `D/cross_entropy` and so on."""
    return {
        f"loss_{player}": sum(
            value for name, value in means.items() if name.startswith(f"{player}/")
        )
        for player in ("D", "G")
    }
