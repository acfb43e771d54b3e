"""The progress of a training in a notebook: a bar and the newest picture, redrawn in place."""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Mapping
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

from zerosum.callbacks.console import Pace, in_clock, in_pace
from zerosum.reading import read_bytes
from zerosum.training.interfaces import Callback

REDRAW_SECONDS = 0.5
"""Between two drawings of the bar, so that a training of many short epochs floods nobody."""


def in_notebook() -> bool:
    """Whether this code runs in a Jupyter kernel; IPython is not imported to find out."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class NotebookCallback(Callback):
    """Two outputs of the cell, each replaced and never added to: the bar with words, the picture.

    The words stay when the training is over. A frontend that shows no HTML gets them as text.
    """

    def __init__(self) -> None:
        self._notices: list[str] = []
        self._words: list[str] = []
        self._judged: list[str] = []
        self._shown: set[str] = set()
        self._ids = {"bar": uuid4().hex, "picture": uuid4().hex}
        self._drawn = 0.0
        self._seen, self._budget, self._epochs, self._images_per_epoch = 0, 0, 0, 1
        self._pace = Pace(0)

    def begin(self, *, seen: int, budget: int, images_per_epoch: int) -> None:
        """Show an empty bar, or one as far along as the run that is resumed."""
        self._seen, self._budget, self._images_per_epoch = seen, budget, images_per_epoch
        self._epochs = -(-budget // images_per_epoch)
        self._pace, self._words, self._judged = Pace(seen), [], []
        self._draw()

    def update(self, *, seen: int, losses: Mapping[str, float]) -> None:
        """Move the bar on."""
        self._seen = seen
        pace = self._pace.at(seen)
        epoch = min(seen // self._images_per_epoch + 1, self._epochs)
        self._words = [
            f"epoch {epoch}/{self._epochs}",
            f"{seen / self._budget:.0%}",
            in_pace(pace),
            f"ETA {in_clock(max(0, self._budget - seen) / pace) if pace else '-'}",
            f"Loss D: {losses['loss_D']:.4f}, Loss G: {losses['loss_G']:.4f}",
        ]
        if time.monotonic() - self._drawn > REDRAW_SECONDS:
            self._draw()

    def tick(self, record: Mapping[str, Any]) -> None:
        """Take the metric and the verdict along."""
        if "metrics" in record:
            name, value = next(iter(record["metrics"].items()))
            self._judged = [f"{name} {value:.4g}"]
            if "health" in record:
                self._judged.append(record["health"]["verdict"])
        self.update(seen=record["seen"], losses=record)

    def picture(self, path: Path) -> None:
        """Show it in the place of the one before."""
        content = base64.b64encode(read_bytes(path)).decode("ascii")
        self._show("picture", {"image/png": content, "text/plain": str(path)})

    def notice(self, text: str) -> None:
        """Add it to what the person should know."""
        self._notices.append(text)
        self._draw()

    def end(self) -> None:
        """Leave the bar where the training ended."""
        self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        words, told = " · ".join([*self._words, *self._judged]), "\n".join(self._notices)
        bar = (
            f'<progress value="{min(self._seen, self._budget)}" max="{self._budget}" '
            'style="width: 100%" aria-label="training"></progress>'
            if self._budget
            else ""
        )
        html = f"{bar}<div>{escape(words)}</div>"
        if told:
            html += f'<pre style="white-space: pre-wrap">{escape(told)}</pre>'
        self._show("bar", {"text/html": html, "text/plain": "\n".join(filter(None, [words, told]))})

    def _show(self, which: str, content: Mapping[str, str]) -> None:
        output: Any = import_module("IPython.display")  # whose functions have no types
        show = output.update_display if which in self._shown else output.display
        self._shown.add(which)
        show(content, raw=True, display_id=self._ids[which])
