"""A new run whose nets begin with another run's weights; optimizers and all else start fresh."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from zerosum.errors import UserError, and_more, unknown_name
from zerosum.game.core import Game
from zerosum.reading import read_json
from zerosum.training.checkpoint import MANIFEST, TENSORS
from zerosum.training.run_directory import RunDirectory
from zerosum.training.state import Progress, State

GROUPS = {"G": "G", "D": "D", "ema": "average"}
"""The parts of a run that another may begin with, and their groups in a checkpoint."""


@dataclass(frozen=True, kw_only=True)
class WarmStart:
    """What to begin with, as a user asks for it.

    Attributes:
        run: the run directory.
        checkpoint: "newest", "best", or the images seen at one that is kept.
        parts: of "G", "D" and "ema", the moving average of G.
    """

    run: Path
    checkpoint: str = "newest"
    parts: tuple[str, ...] = tuple(GROUPS)

    def __post_init__(self) -> None:
        for part in self.parts:
            if part not in GROUPS:
                raise unknown_name("part of a run", part, GROUPS)
        if "ema" in self.parts and "G" not in self.parts:
            raise UserError(
                "--from-parts ema without G: the average would be that of another G. Expected "
                "G,ema, or G alone, whose average then begins anew."
            )

    @classmethod
    def asked(
        cls,
        run: Path | str | None,
        parts: str | Sequence[str] | None = None,
        checkpoint: str | int | None = None,
    ) -> WarmStart | None:
        """Read what is asked for on the command line or in Python; None where it is nothing.

        Raises:
            UserError: a part is unknown, or something is asked of no run.
        """
        if run is None:
            for flag, value in {"--from-parts": parts, "--from-checkpoint": checkpoint}.items():
                if value is not None:
                    raise UserError(f"{flag} would change nothing: it is read by --from RUN.")
            return None
        named = parts.split(",") if isinstance(parts, str) else parts
        return cls(
            run=Path(run),
            checkpoint="newest" if checkpoint is None else str(checkpoint),
            parts=tuple(GROUPS) if named is None else tuple(part.strip() for part in named),
        )

    def resolved(self) -> WarmStart:
        """The same by its whole path and with its parts in order, as `recorded` gives it."""
        return WarmStart.recorded({"started_from": self.record}) or self

    @classmethod
    def recorded(cls, saved: Mapping[str, Any]) -> WarmStart | None:
        """What a run began with, by its config.json; None where it began with nothing."""
        record = saved.get("started_from")
        if record is None:
            return None
        return cls(
            run=Path(record["path"]),
            checkpoint=record["checkpoint"],
            parts=tuple(record["parts"]),
        )

    @property
    def record(self) -> dict[str, Any]:
        """What config.json says of it before it is read."""
        return {
            "path": str(self.run.resolve()),
            "checkpoint": self.checkpoint,
            "parts": [part for part in GROUPS if part in self.parts],
        }

    def fit(self, game: Game, notice: Callable[[str], None]) -> Fit:
        """Read the weights, and find the layers of a game that they fit.

        Args:
            game: the new run's.
            notice: told of damaged checkpoints that are passed over.

        Raises:
            UserError: there is no such run or checkpoint, no layer fits, or one that is to stay
                as it is (`--freeze-d`) does not.
        """
        directory = RunDirectory(self.run)
        saved = directory.read_config()
        snapshot = directory.checkpoints.load(self.checkpoint, notice)
        try:
            seen = Progress.of(snapshot.facts).seen
        except (LookupError, TypeError) as error:
            raise UserError(
                f"The checkpoint '{self.checkpoint}' of '{self.run}' is not as train writes it: "
                f"{error}. Name another with --from-checkpoint."
            ) from None
        manifest = read_json(directory.checkpoints.path(seen) / MANIFEST)
        before = (saved.get("started_from") or {}).get("ema_seen", 0)
        record = {
            **self.record,
            "seen": seen,
            "sha256": manifest[TENSORS]["sha256"],
            "ema_seen": seen + before if "ema" in self.parts else 0,
        }
        nets = {"G": game.G.net, "D": game.D.net, "ema": game.G.net}
        taken: dict[str, dict[str, Tensor]] = {}
        fresh: list[str] = []
        for part in record["parts"]:
            taken[part], left = fitting(nets[part], snapshot.group(GROUPS[part]))
            if part != "ema":  # whose layers are G's
                fresh += [f"{part} {layer}" for layer in left]
        self._require_weights(game, taken, fresh)
        return Fit(record=record, taken=taken, fresh=tuple(fresh))

    def _require_weights(
        self, game: Game, taken: Mapping[str, Mapping[str, Tensor]], fresh: Sequence[str]
    ) -> None:
        if not any(taken.values()):
            raise UserError(
                f"No layer of the run '{self.run}' fits these nets: {and_more(fresh)}. Expected "
                "nets of the same kind: leave out the settings that shape them, or give those of "
                "that run."
            )
        frozen = [name for name, p in game.D.net.named_parameters() if not p.requires_grad]
        unfit = [layer_of(name) for name in frozen if name not in taken.get("D", {})]
        if unfit:
            layers = and_more([*dict.fromkeys(unfit)])
            raise UserError(
                f"--freeze-d would keep layers of D as chance drew them, because those of the run "
                f"'{self.run}' do not fit or are not asked for: {layers}. Freeze fewer, or "
                "give nets and images of the same form."
            )


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Weights of another run that fit a game.

    Attributes:
        record: what config.json says of where they come from.
        taken: by part, tensors by their names.
        fresh: the layers left as they were drawn, each with why.
    """

    record: dict[str, Any]
    taken: Mapping[str, Mapping[str, Tensor]]
    fresh: tuple[str, ...]

    def take_up(self, state: State) -> None:
        """Put them into the nets; the average is G's own where it is not among the parts."""
        G = state.game.G.net
        for part, net in {"G": G, "D": state.game.D.net}.items():
            put(net, self.taken.get(part, {}))
        state.ema.net.load_state_dict(G.state_dict())
        put(state.ema.net, self.taken.get("ema", {}))

    def told(self) -> str:
        """Say where the nets come from, and which layers do not."""
        parts = ", ".join(self.record["parts"])
        text = f"Starting from '{self.record['path']}' at {self.record['seen']:,} images: {parts}."
        if self.fresh:
            text += f" Left fresh, since they do not fit: {and_more(self.fresh)}."
        return text


def put(net: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Fill some of a net's parameters and buffers."""
    net.load_state_dict({**net.state_dict(), **tensors})


def fitting(net: nn.Module, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Find the layers of a net that tensors fit, each whole or not at all.

    Returns:
        The tensors that fit, and the layers with weights that none fit, each with why. There are
        no tensors where no layer with weights fits: counters of BatchNorm fit everywhere.
    """
    own, weights = net.state_dict(), {name for name, _ in net.named_parameters()}
    layers: dict[str, list[str]] = {}
    for name in own:
        layers.setdefault(layer_of(name), []).append(name)
    taken: dict[str, Tensor] = {}
    left = []
    for layer, names in layers.items():
        unlike = [n for n in names if n not in tensors or tensors[n].shape != own[n].shape]
        if not unlike:
            taken |= {name: tensors[name] for name in names}
        elif weights & {*names}:
            left.append(f"{layer} ({difference(own[unlike[0]], tensors.get(unlike[0]))})")
    return (taken if weights & taken.keys() else {}), left


def layer_of(name: str) -> str:
    """The layer that a tensor of a net belongs to; spectral norm adds levels to the name."""
    return (
        name.partition(".parametrizations.")[0]
        if ".parametrizations." in name
        else (name.rpartition(".")[0] or name)
    )


def difference(here: Tensor, there: Tensor | None) -> str:
    """Say how a tensor's shape differs."""
    if there is None:
        return "not there"
    before, now = ("×".join(map(str, tensor.shape)) or "a number" for tensor in (there, here))
    return f"{before} there, {now} here"
