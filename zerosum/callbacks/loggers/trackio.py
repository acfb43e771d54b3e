"""trackio: SQLite on this machine, in TRACKIO_DIR, shown by `trackio show`.

Where the user's own settings of trackio name a Space or a server, it goes there.
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from importlib import import_module
from typing import Any

from zerosum.callbacks.loggers import Entry, Sent

PROJECT = "zerosum"


class TrackioLogger:
    """See `zerosum.callbacks.loggers.Logger`."""

    where = f"trackio show --project {PROJECT}"
    """The command that shows it."""

    def __init__(self, run: Sent) -> None:
        trackio: Any = import_module("trackio")  # whose functions have no types
        from trackio.sqlite_storage import SQLiteStorage

        self._trackio = trackio
        with redirect_stdout(io.StringIO()):  # what it says is for those who call it by hand
            self._run = trackio.init(
                PROJECT,
                name=run.named(run.identity),
                config=dict(run.settings),
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        # What it writes a moment later may be lost in a kill: its own storage knows best. A copy
        # that is elsewhere it cannot ask.
        local = self._run.url is None
        step = (
            SQLiteStorage.get_max_step_for_run(PROJECT, run.named(run.identity)) if local else None
        )
        self.last_step: int | None = (step or 0) if local else None

    def send(self, entry: Entry) -> None:
        """Hand an entry to trackio's own thread, which writes it within half a second."""
        values: dict[str, object] = {**entry.scalars, **entry.texts}
        if entry.picture is not None:
            values["samples"] = self._trackio.Image(entry.picture)
        self._run.log(values, step=entry.step)

    def close(self) -> None:
        """Wait until all is written."""
        with redirect_stdout(io.StringIO()):
            self._trackio.finish()


def open_run(run: Sent) -> TrackioLogger:
    """Begin a run of trackio, or go on with the one of this name."""
    return TrackioLogger(run)
