"""The run directory: what a training leaves behind, readable by people and programs.

runs/vanilla-mnist/
config.json   data.json   log.jsonl   curve.svg   generated_epoch_10.png …   film.gif
data.png   report.html   progress.json   checkpoints/<images seen>/
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

from PIL import Image

from zerosum.errors import UserError, did_you_mean, shown
from zerosum.files import WRITING, cannot_write, sweep, temporary_path, write_whole
from zerosum.reading import expanded, open_file, read_bytes, read_json
from zerosum.training.checkpoint import (
    Checkpoints,
    NoCheckpoints,
    is_whole,
    read_progress,
    to_json,
)
from zerosum.training.log import History, read_log
from zerosum.training.saved_config import require_form

RUNS = Path("runs")
"""Where runs lie when the user does not say, each in a folder of its own."""

FORMAT = 1
"""The version of the run directory's format; raised when older code could no longer read it."""

CONFIG, LOG, FILM, CURVE, LOCK = "config.json", "log.jsonl", "film.gif", "curve.svg", ".lock"
LOGGERS = "loggers.json"
FOLDERS_OF_LOGGERS = ("tensorboard", "wandb")
DATA, EXAMPLES = "data.json", "data.png"
REPORT, PROGRESS = "report.html", "progress.json"
PLAY = "play.html"
EXPORTED = "generator.json"
"""What tells that a folder is an export, and no run."""


CHOOSE_ANOTHER = (
    "Expected a folder that can be written, with space left. Choose another with --out."
)


class StorageFailed(UserError):
    """A checkpoint, picture or log could not be written; what was there before is whole."""

    exit_code = 1


class RunDirectory:
    """The files of one run.

    Attributes:
        path: the folder.
        config_path: the configuration, JSON.
        data_path: what was understood of the data, JSON.
        log_path: one JSON object a line, one line a tick.
        film_path: the film of all pictures.
        curve_path: the chart of metrics and losses.
        loggers_path: what was sent to which logger, JSON.
        examples_path: a picture of some of the data.
        report_path: the report, a page.
        play_path: the page to play with its generator, where somebody has asked for it.
        progress_path: how far a training is, JSON, for those who watch it.
        checkpoints: the checkpoints.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = expanded(path)
        self.config_path = self.path / CONFIG
        self.data_path = self.path / DATA
        self.log_path = self.path / LOG
        self.film_path = self.path / FILM
        self.curve_path = self.path / CURVE
        self.loggers_path = self.path / LOGGERS
        self.examples_path = self.path / EXAMPLES
        self.report_path = self.path / REPORT
        self.play_path = self.path / PLAY
        self.progress_path = self.path / PROGRESS
        self.checkpoints = Checkpoints(self.path / "checkpoints")
        self._hashed = hashlib.sha256(), 0  # of the log, and how many bytes of it

    def exists(self) -> bool:
        """Whether there is a run here."""
        return self.config_path.is_file()

    def claim(self) -> None:
        """Make the folder if it is not there; refuse one that holds something else than a run.

        Raises:
            UserError: the path is a file, or a folder of something else, or cannot be written.
        """
        if self.path.is_file():
            raise UserError(f"'{self.path}' is a file: expected a folder for the run, as --out.")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            names = {path.name for path in self.path.iterdir() if path.suffix != WRITING}
        except OSError as error:
            raise cannot_write(self.path, error, CHOOSE_ANOTHER) from None
        # Alone, these are what a kill before the first config, or --fresh, leaves behind.
        if names - {LOCK} and (CONFIG not in names or self.is_foreign()):
            raise UserError(
                f"The folder '{self.path}' is not empty and holds no run. Choose another "
                "with --out, so that nothing in it is lost."
            )

    def is_foreign(self) -> bool:
        """Whether the config is another program's. A damaged one may be ours."""
        try:
            return "format" not in read_json(self.config_path)
        except (OSError, ValueError, TypeError):
            return False

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write the configuration, whole or not at all.

        Raises:
            UserError: the folder cannot be written.
        """
        try:
            write_whole(self.config_path, to_json({"format": FORMAT, **config}), durable=True)
        except OSError as error:
            raise cannot_write(self.path, error, CHOOSE_ANOTHER) from None

    def write_data(self, facts: Mapping[str, Any]) -> None:
        """Write what was understood of the data, whole or not at all."""
        with self.storage_failures():
            write_whole(self.data_path, to_json(facts))

    def read_config(self) -> dict[str, Any]:
        """Read what `write_config` was given.

        Raises:
            UserError: there is no run here, the file is damaged, or of a newer format.
        """
        if not self.exists():
            raise UserError(no_run_here(self.path))
        return read_config_file(self.config_path)

    def remove(self) -> None:
        """Remove the run's own files.

        Raises:
            UserError: they cannot be removed.
        """
        try:
            # Renamed first: what a kill leaves of them would be a run without a whole checkpoint.
            if self.checkpoints.directory.is_dir():
                doomed = temporary_path(self.checkpoints.directory)
                self.checkpoints.directory.rename(doomed)
                shutil.rmtree(doomed)
            for folder in (self.path / name for name in FOLDERS_OF_LOGGERS):
                if folder.is_dir():
                    shutil.rmtree(folder)
            files = [
                self.data_path,
                self.log_path,
                self.film_path,
                self.curve_path,
                self.loggers_path,
                self.examples_path,
                self.report_path,
                self.play_path,
                self.progress_path,
                *self.pictures(),
            ]
            for path in [*files, self.config_path]:
                path.unlink(missing_ok=True)
            self.sweep()
        except OSError as error:
            raise cannot_write(self.path, error, CHOOSE_ANOTHER) from None

    def sweep(self) -> None:
        """Remove what a kill has left half written, or half removed; for who has the lock."""
        sweep(self.path)
        self.checkpoints.sweep()

    def discard(self) -> list[str]:
        """Remove the run, and its folder if nothing else is in it.

        Returns:
            The names of what else is in it, which stays.

        Raises:
            UserError: another process is training in it, or the files cannot be removed.
        """
        with self.locked():
            self.remove()
            try:
                (self.path / LOCK).unlink(missing_ok=True)
                others = sorted(path.name for path in self.path.iterdir())
                if not others:
                    self.path.rmdir()
            except OSError as error:
                raise cannot_write(self.path, error, CHOOSE_ANOTHER) from None
        return others

    def is_training(self) -> bool:
        """Whether a process is training in it; False where the system cannot tell."""
        try:
            import fcntl

            with os.fdopen(os.open(self.path / LOCK, os.O_RDONLY | os.O_NONBLOCK)) as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except (ImportError, OSError):  # Windows; or nobody has ever trained here
            return False
        return False

    def save_picture(self, picture: Image.Image, epoch: float) -> None:
        """Save the picture of an epoch, or of a point inside one, whole or not at all."""
        content = io.BytesIO()
        picture.save(content, format="PNG")
        write_whole(self.picture_path(epoch), content.getvalue())

    def picture_path(self, epoch: float) -> Path:
        """Where the picture of an epoch is, or of a point inside one."""
        return self.path / f"generated_epoch_{epoch}.png"

    def pictures(self) -> list[Path]:
        """The pictures so far, in the order of their epochs."""
        return list(self.pictures_by_epoch().values())

    def pictures_by_epoch(self) -> dict[float, Path]:
        """The pictures so far, each with its epoch, in their order."""
        found = {
            float(match[1]): path
            for path in self.path.glob("generated_epoch_*.png")
            if (match := re.fullmatch(r"generated_epoch_(\d+(?:\.\d+)?)\.png", path.name))
        }
        return {epoch: found[epoch] for epoch in sorted(found)}

    def append_log(self, record: Mapping[str, Any]) -> int:
        """Add a line to the log, on the disk when this returns, and return the log's length."""
        with self.log_path.open("a", encoding="utf-8") as log:
            log.write(json.dumps(record, allow_nan=False) + "\n")
            log.flush()
            os.fsync(log.fileno())
            return log.tell()

    def cut_log(self, length: int) -> int:
        """Drop what was logged after a checkpoint; the resumed run will log it again.

        A log that is shorter than the checkpoint knew was cut by somebody: what is left of a line
        at its end is dropped as well.

        Returns:
            The log's length.
        """
        if not self.log_path.exists():
            return 0
        self._hashed = hashlib.sha256(), 0
        kept = read_bytes(self.log_path)[:length].rfind(b"\n") + 1
        os.truncate(self.log_path, kept)
        return kept

    def log_sha256(self, length: int) -> str:
        """The sha256 of the log's first bytes, so many or all there are; "" where there are none.

        A training asks for it at each tick: what it has hashed, it does not read again.
        """
        if length < self._hashed[1]:
            self._hashed = hashlib.sha256(), 0
        digest, start = self._hashed
        if length > start and self.log_path.exists():
            with open_file(self.log_path) as log:
                log.seek(start)
                more = log.read(length - start)
            digest.update(more)
            self._hashed = digest, start + len(more)
        return digest.hexdigest() if self._hashed[1] else ""

    def log_doubt(self, progress: Mapping[str, Any]) -> str | None:
        """Say what a checkpoint knows of the log that the log does not bear out.

        Args:
            progress: what the checkpoint's facts say of it.

        Returns:
            A sentence; None where all is well, or where the checkpoint is of an older version.
        """
        length, known = progress.get("log_bytes", 0), progress.get("log_sha256", "")
        doubted, seen = progress.get("log_doubted", 0), progress.get("seen", 0)
        if doubted:
            return f"The log was found cut or changed when the run went on at {doubted:,} images."
        self._hashed = hashlib.sha256(), 0  # of what is there now, whatever was
        if not known or self.log_sha256(length) == known:
            return None
        size = self.log_path.stat().st_size if self.log_path.exists() else 0
        if size >= length:
            return f"The log up to {seen:,} images is not the one that the training wrote."
        end = self.history().seen
        left = f"ends at {end:,} images" if end else "is empty" if size else "is gone"
        return f"The log {left}, and the checkpoint at {seen:,} knows {length - size:,} bytes more."

    def doubt_of_log(self) -> str | None:
        """Hold the log against the newest checkpoint that is whole, see `log_doubt`."""
        for seen in reversed(self.checkpoints.seen()):
            progress = read_progress(self.checkpoints.path(seen))
            if not progress:
                continue  # damaged
            doubt = self.log_doubt(progress)
            if doubt is None or is_whole(self.checkpoints.path(seen)):
                return doubt
        return None

    def history(self) -> History:
        """Read the log."""
        return read_log(self.log_path)

    @contextmanager
    def storage_failures(self) -> Iterator[None]:
        """Turn what the disk refuses inside into the error that says how to go on.

        Raises:
            StorageFailed: the disk is full or not writable.
        """
        try:
            yield
        except BrokenPipeError:  # whoever read our output has left; the disk is well
            raise
        except OSError as error:
            advice = (
                "The checkpoints before are as they were: make room and run the same command again."
            )
            raise StorageFailed(str(cannot_write(self.path, error, advice))) from error

    def locked(self) -> AbstractContextManager[Any]:
        """Keep other processes from training in this run directory.

        Raises:
            UserError: another process is at it, or the folder cannot be written.
        """
        try:
            import fcntl
        except ImportError:  # Windows: two trainings of one run are the user's to avoid.
            return nullcontext()
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK  # a pipe is an error
            file: IO[str] = os.fdopen(os.open(self.path / LOCK, flags, 0o666), "w")
        except OSError as error:
            raise cannot_write(self.path, error, CHOOSE_ANOTHER) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise UserError(
                f"Another process is training in '{self.path}'. Wait for it, or choose another "
                "folder with --out."
            ) from None
        return file


class Elsewhere(RunDirectory):
    """The run directory of a training that another process leads: nothing is read or written."""

    def __init__(self, path: Path | str, history: History) -> None:
        """Take what the other process has found in the log."""
        super().__init__(path)
        self.checkpoints = NoCheckpoints(self.checkpoints.directory)
        self._history = history

    def append_log(self, record: Mapping[str, Any]) -> int:
        """Write nothing."""
        return 0

    def history(self) -> History:
        """The log as it was read by the process that leads."""
        return self._history


def find_run(path: Path | str) -> Path:
    """The run directory that is meant: the path itself, or else a run of that name in `RUNS`.

    Where there is neither, it is the path.
    """
    path, named = Path(path), RUNS / path
    return named if not (path / CONFIG).is_file() and (named / CONFIG).is_file() else path


def read_config_file(path: Path) -> dict[str, Any]:
    """Read a run's config.json, or a copy of it.

    Raises:
        UserError: the file is missing, damaged, no run's or of a newer format.
    """
    try:
        config = read_json(path)
        found = config.pop("format")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"The run's '{path}' cannot be read ({error}). Restore that file from a copy, or train "
            "anew: with --fresh in the same folder, or in another."
        ) from None
    if found != FORMAT:
        raise UserError(
            f"The run '{path.parent}' has format {shown(found)}, and this zerosum reads format "
            f"{FORMAT}. Upgrade zerosum, or choose another --out."
        )
    try:
        return require_form(config)
    except ValueError as error:
        raise UserError(
            f"The run's '{path}' is not as train writes it: {error}. Restore that file from a copy."
        ) from None


def no_run_here(path: Path) -> str:
    """Say that a path holds no run, and which runs are beside it or else in `RUNS`."""
    message = f"There is no run in '{path}': expected a folder with a {CONFIG}, as train makes it."
    if (path / EXPORTED).is_file():
        return (
            f"'{path}' holds an exported generator, which sample and translate take: this "
            "needs the run itself."
        )
    for where, folder in (("beside it", path.parent), (f"in {RUNS}/", RUNS)):
        runs = sorted(str(config.parent) for config in folder.glob(f"*/{CONFIG}"))
        if runs:
            hint = did_you_mean(path.name, [Path(run).name for run in runs])
            return f"{message}{hint} Runs {where}: {', '.join(runs)}."
    return message
