"""Checkpoints that can be trusted: complete or absent, verified on reading, never pickled.

A checkpoint is a directory named by the images seen:

    checkpoints/600000/  state.safetensors  state.json  manifest.json

It is written to a temporary directory beside it, flushed to disk, and renamed, so that a kill or a
full disk at any moment leaves the older ones as they were. The manifest holds each file's size and
sha256: neither torch nor safetensors would notice a flipped bit. What the tensors mean is settled
in `state.py`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from zerosum.errors import UserError
from zerosum.files import flush_folder, write_whole
from zerosum.reading import parse_json, read_bytes, read_json

TENSORS, FACTS, MANIFEST = "state.safetensors", "state.json", "manifest.json"
TEMPORARY = ".writing-"


class Damaged(Exception):
    """A checkpoint that does not match its manifest; the message says how."""


@dataclass(frozen=True)
class Snapshot:
    """What a checkpoint holds: tensors by name, and facts that JSON can tell."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    def group(self, name: str) -> dict[str, Tensor]:
        """The tensors whose names begin with `name/`, without that beginning."""
        prefix = f"{name}/"
        return {
            key.removeprefix(prefix): tensor
            for key, tensor in self.tensors.items()
            if key.startswith(prefix)
        }


class Checkpoints:
    """The checkpoints of one run.

    Keeps the newest `KEEP`, where saves were given a score the best, and the newest of those called
    healthy. Two, because the newest may be the one that a failing disk has damaged.
    """

    KEEP = 2

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def seen(self) -> list[int]:
        """The images seen at each checkpoint, oldest first."""
        if not self.directory.is_dir():
            return []
        return sorted(int(path.name) for path in self.directory.iterdir() if path.name.isdecimal())

    def path(self, seen: int) -> Path:
        """Where the checkpoint of so many images is."""
        return self.directory / str(seen)

    def save(
        self,
        snapshot: Snapshot,
        *,
        seen: int,
        score: float | None = None,
        healthy: bool = False,
    ) -> Path:
        """Write a checkpoint and sweep away what is no longer kept.

        Args:
            snapshot: what to keep.
            seen: real images seen, which names the checkpoint.
            score: a metric of quality, lower is better; the best is never swept away.
            healthy: whether the training was judged so; the newest such is never swept away.

        Raises:
            OSError: the disk is full or not writable. Older checkpoints are as they were.
        """
        target = self.path(seen)
        temporary = self.directory / f"{TEMPORARY}{seen}-{os.getpid()}"
        self.directory.mkdir(parents=True, exist_ok=True)
        self.sweep()
        temporary.mkdir()
        try:
            files = {
                TENSORS: safetensors.torch.save(snapshot.tensors),
                FACTS: to_json(
                    {**snapshot.facts, "score": score, **({"healthy": True} if healthy else {})}
                ),
            }
            manifest = {
                name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
                for name, data in files.items()
            }
            for name, data in {**files, MANIFEST: to_json(manifest)}.items():
                write_whole(temporary / name, data, durable=True)
            flush_folder(temporary)
            if target.exists():
                # Only a damaged one can be here: a run goes on from the newest that verifies.
                target.rename(self.directory / f"{TEMPORARY}replaced-{seen}")
            temporary.rename(target)
            flush_folder(self.directory)
        finally:
            self.sweep()
        self._sweep(newest=seen)
        return target

    def newest(self) -> Iterator[tuple[int, Snapshot | Damaged]]:
        """Read the checkpoints, newest first, each whole or with what is wrong with it."""
        for seen in reversed(self.seen()):
            try:
                yield seen, read(self.path(seen))
            except Damaged as damage:
                yield seen, damage

    def resolve(self, name: str | int) -> int:
        """Find which checkpoint is meant.

        Args:
            name: "newest", "best", or the images seen at one of those kept.

        Returns:
            The images seen at it.

        Raises:
            UserError: there is none, or not that one.
        """
        kept = self.seen()
        if not kept:
            raise UserError(
                f"The run '{self.directory.parent}' has no checkpoint yet: train it first, or "
                "longer."
            )
        if name == "newest":
            return kept[-1]
        if name == "best" and (best := self.best(kept)) is not None:
            return best
        if name == "best":
            raise UserError(
                f"The run '{self.directory.parent}' has no best checkpoint: nothing was evaluated "
                f"yet. It keeps: {', '.join(map(str, kept))}; expected one of them, or newest."
            )
        for seen in kept:
            if str(seen) == str(name):
                return seen
        raise UserError(
            f"The run '{self.directory.parent}' has no checkpoint '{name}'. It keeps: "
            f"{', '.join(map(str, kept))}; expected one of them, newest or best."
        )

    def load(self, name: str | int, notice: Callable[[str], None]) -> Snapshot:
        """Read the checkpoint that is meant, see `resolve`; the newest is the newest whole one.

        Raises:
            UserError: there is none, not that one, or it is damaged.
        """
        if name == "newest" and (snapshot := self.read_newest_whole(notice)):
            return snapshot
        seen = self.resolve(name)
        try:
            return read(self.path(seen))
        except Damaged as damage:
            raise UserError(
                f"The checkpoint '{self.path(seen)}' is damaged: {damage}. Choose another "
                f"with --checkpoint; the run keeps {', '.join(map(str, self.seen()))}."
            ) from None

    def read_newest_whole(self, notice: Callable[[str], None]) -> Snapshot | None:
        """Read the newest checkpoint that is whole, and say loudly which newer ones are not.

        Returns:
            The checkpoint, or None if there is none at all.

        Raises:
            UserError: there are checkpoints, and none of them is whole.
        """
        damages: list[str] = []
        for seen, snapshot in self.newest():
            if isinstance(snapshot, Snapshot):
                for damage in damages:
                    notice(
                        f"WARNING: damaged checkpoint {damage}. Falling back to {seen:,} images."
                    )
                return snapshot
            damages.append(f"{self.path(seen)}: {snapshot}")
        if damages:
            raise UserError(
                f"No checkpoint of '{self.directory.parent}' is whole: {'; '.join(damages)}. "
                "Restore one from a copy, or start over with --fresh."
            )
        return None

    def best(self, among: Sequence[int] | None = None) -> int | None:
        """The images seen at the checkpoint with the lowest score, if any has one."""
        among = self.seen() if among is None else among
        scores = {seen: read_fact(self.path(seen), "score") for seen in among}
        scored = {seen: score for seen, score in scores.items() if score is not None}
        return min(scored, key=lambda seen: scored[seen], default=None)

    def last_healthy(self, among: Sequence[int] | None = None) -> int | None:
        """The images seen at the newest checkpoint that was called healthy, if any was."""
        among = self.seen() if among is None else among
        healthy = [seen for seen in among if read_fact(self.path(seen), "healthy")]
        return max(healthy, default=None)

    def _sweep(self, *, newest: int) -> None:
        # Later ones than the newest are damaged: the run went on from one before them.
        good = [seen for seen in self.seen() if seen <= newest]
        self.keep_only({*good[-self.KEEP :], self.best(good), self.last_healthy(good)})

    def keep_only(self, kept: Collection[int | None]) -> None:
        """Remove all checkpoints but those of so many images seen.

        Raises:
            OSError: they cannot be removed.
        """
        for seen in self.seen():
            if seen not in kept:
                # Renamed first, so that a kill half-way leaves no checkpoint with files missing.
                doomed = self.directory / f"{TEMPORARY}swept-{seen}"
                self.path(seen).rename(doomed)
        self.sweep()

    def sweep(self) -> None:
        """Remove what was not written, or not removed, to its end."""
        for path in self.directory.glob(f"{TEMPORARY}*"):
            shutil.rmtree(path, ignore_errors=True)


class NoCheckpoints(Checkpoints):
    """Those of a run that another process leads, which saves them: there are none here."""

    def seen(self) -> list[int]:
        """None."""
        return []

    def save(
        self,
        snapshot: Snapshot,
        *,
        seen: int,
        score: float | None = None,
        healthy: bool = False,
    ) -> Path:
        """Write nothing."""
        return self.path(seen)


def read(path: Path) -> Snapshot:
    """Read a checkpoint and hold it against its manifest.

    Raises:
        Damaged: a file is missing, or differs from the manifest in size or sha256.
    """
    try:
        manifest = read_json(path / MANIFEST)
        files = {name: verified(path / name, **manifest[name]) for name in (TENSORS, FACTS)}
        facts = parse_json(files[FACTS])
        if not isinstance(facts, dict):
            raise Damaged(f"{FACTS} holds no JSON object")
        return Snapshot(safetensors.torch.load(files[TENSORS]), facts)
    except safetensors.SafetensorError as error:
        raise Damaged(f"{TENSORS} is not readable ({error})") from None
    except OSError as error:
        raise Damaged(f"{Path(error.filename or path).name}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"{MANIFEST} is not readable ({error})") from None


def read_fact(path: Path, name: str) -> float | None:
    """A number that a checkpoint was saved with, without reading its tensors; None if it is none.

    True counts as 1.
    """
    try:
        value = read_json(path / FACTS).get(name)
    except (OSError, ValueError, AttributeError):
        return None
    return float(value) if isinstance(value, int | float) else None


TYPES = {"seen": int, "log_bytes": int, "log_sha256": str, "log_doubted": int}
"""Of what is read of a training's progress where nothing else of a checkpoint is."""


def read_progress(path: Path) -> dict[str, Any]:
    """How far a training was at a checkpoint, without reading its tensors; {} if it is unknown."""
    try:
        found = read_json(path / FACTS)["progress"]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    if not isinstance(found, dict):
        return {}
    typed = all(isinstance(found[name], kind) for name, kind in TYPES.items() if name in found)
    return found if typed else {}


def is_whole(path: Path) -> bool:
    """Whether a checkpoint matches its manifest."""
    try:
        read(path)
    except Damaged:
        return False
    return True


def verified(path: Path, *, size: int, sha256: str) -> bytes:
    """Read a file that must have this size and checksum."""
    data = read_bytes(path)
    if len(data) != size:
        raise Damaged(f"{path.name} has {len(data)} bytes, its manifest says {size}")
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Damaged(f"{path.name} does not match the sha256 in its manifest")
    return data


def to_json(value: Mapping[str, Any]) -> bytes:
    """JSON for people to read too; NaN and infinity, which JSON lacks, are refused."""
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()
