"""What becomes of a training that has collapsed: it goes back to where it was healthy.

A restart takes up the last checkpoint that was judged healthy, with random numbers of their own; a
seed that collapses again and again gives way to the next one. All of it is part of the progress
that a checkpoint keeps, so that a restarted run resumes as exactly as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from zerosum.errors import UserError
from zerosum.training.checkpoint import Snapshot
from zerosum.training.early_stopping import verdict_of
from zerosum.training.interfaces import Callback
from zerosum.training.run_directory import RunDirectory
from zerosum.training.state import Progress, State

MOST_SEEDS = 3
"""Seeds that are tried in one run: settings under which so many collapse are not unlucky."""


class Supervisor:
    """Takes one run's training back, as often as it may."""

    def __init__(
        self,
        state: State,
        directory: RunDirectory,
        *,
        seed: int,
        restarts: int,
        fresh: Callable[[int], Snapshot] | None,
        callback: Callback,
    ) -> None:
        """Take the parts of a run.

        Args:
            state: what is trained; it stands where the run was left.
            directory: where the run is kept.
            seed: the config's.
            restarts: how often a seed may be restarted.
            fresh: the state before the first round under a seed; None where a run began with the
                weights of another, and has no seed to begin anew with.
            callback: what watches the training.
        """
        self.state = state
        self.directory = directory
        self.first_seed = seed
        self.restarts = restarts
        self.fresh = fresh
        self.callback = callback

    @property
    def seed(self) -> int:
        """The seed that the run is trained with by now."""
        past = self.state.progress.restarts
        return int(past[-1]["seed"]) if past else self.first_seed

    @property
    def stream(self) -> int | str:
        """What decides the random numbers of its turns: the seed, and a restart's own number."""
        past = self.state.progress.restarts
        return f"{self.seed}/restart/{len(past)}" if past else self.seed

    def restart(self, collapsed: Mapping[str, Any]) -> bool:
        """Go back, and save, so that a kill from now on finds the run restarted.

        Args:
            collapsed: the record of the evaluation that ended the training.

        Returns:
            Whether there was anywhere left to go; if not, nothing has changed.
        """
        planned = self._plan()
        if planned is None:
            return False
        snapshot, seed, attempt = planned
        progress = self.state.progress
        before = Progress.of(snapshot.facts)
        verdict, epoch = verdict_of(collapsed), collapsed["epoch"]
        entry = {
            "verdict": verdict,
            "at": progress.seen,
            "back_to": before.seen,
            "seed": seed,
            "attempt": attempt,
        }
        past, seconds = progress.restarts, progress.seconds
        self.state.restore(snapshot)
        self.state.progress.restarts = [*past, entry]
        self.state.progress.seconds = seconds
        checkpoints = self.directory.checkpoints
        with self.directory.storage_failures():
            # First the checkpoint: the log alone, cut, would not know of the collapse any more.
            checkpoints.save(
                self.state.snapshot(),
                seen=before.seen,
                score=snapshot.facts.get("score"),
                healthy=True,
            )
        self.settle()
        where = (
            f"back to {before.seen:,} images with fresh random numbers: restart {attempt} of "
            f"{self.restarts}"
            if attempt
            else f"from the start with seed {seed}"
        )
        self.callback.notice(f"WARNING: {verdict} at epoch {epoch:g}. Going on {where}.")
        return True

    def settle(self) -> None:
        """Bring the run directory to where a restarted run stands, whatever a kill left undone."""
        progress, directory = self.state.progress, self.directory
        if not progress.restarts:
            return
        with directory.storage_failures():
            directory.cut_log(progress.log_bytes)
            epoch = directory.history().epochs
            for number, picture in directory.pictures_by_epoch().items():
                if number > epoch:  # of what was discarded
                    picture.unlink()
        directory.write_config({**directory.read_config(), "restarts": progress.restarts})

    def _plan(self) -> tuple[Snapshot, int, int] | None:
        """What to go on from, under which seed, as which attempt of it; None if all are spent."""
        past = self.state.progress.restarts
        attempt = int(past[-1]["attempt"]) + 1 if past else 1
        if attempt <= self.restarts and (snapshot := self._healthy()) is not None:
            return snapshot, self.seed, attempt
        seed = self.seed + 1
        if self.fresh is None or seed >= self.first_seed + MOST_SEEDS:
            return None
        return self.fresh(seed), seed, 0

    def _healthy(self) -> Snapshot | None:
        """The last healthy checkpoint; without one, the state before the first round."""
        seen = self.directory.checkpoints.last_healthy()
        if seen is None:
            return None if self.fresh is None else self.fresh(self.seed)
        try:
            return self.directory.checkpoints.load(seen, self.callback.notice)
        except UserError as damage:  # it says which, and the start is left
            self.callback.notice(f"WARNING: {damage}")
            return None if self.fresh is None else self.fresh(self.seed)
