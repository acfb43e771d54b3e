"""Loggers: where a run's log is sent beside its own file, a module for each backend.

A backend is imported when it is asked for, and needs the extra of its name: `pip install
'zerosum[tensorboard]'`. `feed.py` reads the run's log and sends what a logger does not have yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from zerosum.errors import UserError, pip_install


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What there is to send of one moment of a run.

    Attributes:
        step: real images seen.
        scalars: numbers by name, such as `loss_D`, `metrics/frechet_digits`.
        texts: texts by name, such as the verdict on the training's health.
        picture: the picture drawn then, a PNG.
    """

    step: int
    scalars: Mapping[str, float] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    picture: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Sent:
    """The run whose log is sent.

    Attributes:
        path: the run directory.
        identity: a name that no other run has; the same each time that the run goes on.
        part: of a training that had collapsed and was restarted, what its log is since then, such
            as "restart-1"; None before.
        settings: its settings, and what else config.json says of it.
    """

    path: Path
    identity: str
    part: str | None = None
    settings: Mapping[str, Any]

    def named(self, name: str) -> str:
        """A name of this part of the run."""
        return f"{name}-{self.part}" if self.part else name


class Logger(Protocol):
    """One backend. Whatever it raises ends the sending to it, and nothing else."""

    @property
    def last_step(self) -> int | None:
        """The last step that the backend itself has of this run; None where it cannot tell."""
        ...

    @property
    def where(self) -> str:
        """Where a person finds what was sent."""
        ...

    def send(self, entry: Entry) -> None:
        """Send an entry; steps only grow."""
        ...

    def close(self) -> None:
        """Send what is waiting, and end."""
        ...


def open_logger(name: str, run: Sent) -> Logger:
    """Open a backend of `zerosum.config.specs.LOGGERS` for a run that begins or goes on."""
    module = import_module(f"{__name__}.{name}")
    logger: Logger = module.open_run(run)
    return logger


def require_packages(names: Sequence[str]) -> None:
    """Refuse loggers whose packages are not there, before anything is trained.

    Raises:
        UserError: one is not there; the message names the extra.
    """
    for name in names:
        if find_spec(name) is None:
            raise UserError(
                f"The logger {name} needs the package {name}, which is not installed. Install it "
                f"with {pip_install(name)}, or leave the logger out."
            )
