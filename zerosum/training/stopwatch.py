"""How long a run has trained, and how fast."""

from __future__ import annotations

import time

from zerosum.training.state import Progress


class Stopwatch:
    """Time spent training, over all sessions, and the pace of the epoch under way."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._started = self._lap_started = self._looked = time.monotonic()
        self._seconds_before = progress.seconds
        self._lap_seen = progress.seen

    def since_look(self) -> float:
        """Seconds since the last look or lap."""
        return time.monotonic() - self._looked

    def look(self) -> None:
        """Note that a look was taken."""
        self._looked = time.monotonic()

    def note(self) -> None:
        """Write the time spent so far into the progress."""
        self.progress.seconds = self._seconds_before + time.monotonic() - self._started

    def lap(self) -> dict[str, float]:
        """End the epoch: the images a second in it, and the seconds of the whole run."""
        self.note()
        now = time.monotonic()
        images = self.progress.seen - self._lap_seen
        rate = images / max(now - self._lap_started, 1e-9)
        self._lap_started = self._looked = now
        self._lap_seen = self.progress.seen
        return {"images_per_second": round(rate, 1), "seconds": round(self.progress.seconds, 3)}
