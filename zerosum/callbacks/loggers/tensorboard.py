"""TensorBoard: event files in the run's own folder, RUN/tensorboard.

All of a step is one event, so that a kill leaves a step whole or not there at all. Events are
written here and not by TensorBoard's own writer, whose thread prints a traceback when a disk is
full.
"""

from __future__ import annotations

import io
import json
import os
import platform
import shlex
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from PIL import Image

from zerosum.callbacks.loggers import Entry, Sent
from zerosum.reading import read_bytes


class TensorBoardLogger:
    """See `zerosum.callbacks.loggers.Logger`."""

    def __init__(self, run: Sent) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        self.folder = run.path / "tensorboard" / (run.part or "")
        self.last_step: int | None = last_step_in(self.folder)
        self._settings: Mapping[str, Any] | None = None if self.last_step else run.settings
        self.folder.mkdir(parents=True, exist_ok=True)
        # One of its own each time: behind a step that was cut short nothing would be read.
        name = f"events.out.tfevents.{time.time_ns()}.{platform.node()}.{os.getpid()}"
        self._file = (self.folder / name).open("xb")
        self._records = RecordWriter(self._file)
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))

    @property
    def where(self) -> str:
        """The command that shows it."""
        return f"tensorboard --logdir {shlex.quote(str(self.folder))}"

    def send(self, entry: Entry) -> None:
        """Write one event, which is in the file when this returns."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        # As code, in which nothing is markup.
        texts = {name: f"    {text}" for name, text in entry.texts.items()}
        if self._settings is not None:
            lines = json.dumps(self._settings, indent=2).splitlines()
            texts["settings"] = "\n".join(f"    {line}" for line in lines)
            self._settings = None
        values = [
            *(Summary.Value(tag=name, simple_value=value) for name, value in entry.scalars.items()),
            *(text_value(name, text) for name, text in texts.items()),
        ]
        if entry.picture is not None:
            values.append(Summary.Value(tag="samples", image=as_image(entry.picture)))
        self._write(Event(wall_time=time.time(), step=entry.step, summary=Summary(value=values)))

    def _write(self, event: Any) -> None:
        try:
            self._records.write(event.SerializeToString())
            self._file.flush()
        except OSError:
            with suppress(OSError):  # what it holds back would fail again
                self._file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def text_value(name: str, text: str) -> Any:
    """A text, which is Markdown, as TensorBoard takes it."""
    summary: Any = import_module("torch.utils.tensorboard.summary")
    return summary.text(name, text).value[0]


def as_image(path: Path) -> Any:
    """A PNG as TensorBoard takes it, whose bytes are kept."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    content = read_bytes(path)
    with Image.open(io.BytesIO(content)) as image:
        width, height = image.size
        channels = len(image.getbands())
    return Summary.Image(
        height=height, width=width, colorspace=channels, encoded_image_string=content
    )


def last_step_in(folder: Path) -> int:
    """The last step that event files in a folder have; 0 if there are none.

    A step that a kill cut short at a file's end is not counted.
    """
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    paths = sorted(folder.glob("events.out.tfevents.*"))
    return max((e.step for path in paths for e in EventFileLoader(str(path)).Load()), default=0)


def open_run(run: Sent) -> TensorBoardLogger:
    """Open RUN/tensorboard, in which each process that trains the run writes a file."""
    return TensorBoardLogger(run)
