"""How far a training is, in a small file of the run directory, for pages that watch it.

The file is no part of the run: nothing is read from it again, and a disk that takes no more of it
stops no training.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from zerosum.callbacks.console import Pace
from zerosum.files import write_whole
from zerosum.training.interfaces import Callback

EVERY_SECONDS = 1.0
"""Between two writes, but for the first and the last."""


class ProgressCallback(Callback):
    """Writes `progress.json`: whole, at most once a second, without waiting for the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._facts: dict[str, Any] = {}

    def begin(self, *, seen: int, budget: int, images_per_epoch: int) -> None:
        """Say that a training is under way."""
        self._pace = Pace(seen)
        self._facts = {
            "state": "training",
            "seen": seen,
            "budget": budget,
            "images_per_epoch": images_per_epoch,
        }
        self._write()

    def update(self, *, seen: int, losses: Mapping[str, float]) -> None:
        """Say where it is, unless that was said within the last second."""
        if time.monotonic() - self._written < EVERY_SECONDS:
            return
        self._facts |= {
            "seen": seen,
            "images_per_second": round(self._pace.at(seen), 1),
            **{name: losses[name] for name in ("loss_D", "loss_G") if name in losses},
        }
        self._write()

    def tick(self, record: Mapping[str, Any]) -> None:
        """As `update`; the last one before the end counts too."""
        self._facts["seen"] = record["seen"]
        self.update(seen=record["seen"], losses=record)

    def end(self) -> None:
        """Say that nobody trains any more."""
        self._facts["state"] = "ended"
        self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        with suppress(OSError):
            write_whole(self.path, json.dumps(self._facts) + "\n")
