"""The state of a run: everything that the next round depends on, as tensors and a few facts.

G, D, both optimizers, the average of G, what the forward remembers, and the stats of the epoch so
far are tensors. The images seen, the turns played and the loader's position are facts. There is no
generator state and no fixed z: both follow from the seed (see `zerosum/seeds.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch
from torch import Tensor, nn

from zerosum.errors import UserError, shown
from zerosum.game.core import Game, Player
from zerosum.training import distributed
from zerosum.training.checkpoint import Snapshot
from zerosum.training.ema import EMA
from zerosum.training.layout import as_lies
from zerosum.training.step_stats import StepStats


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        seen: real images dealt.
        turns: turns played by either player.
        epoch: passes over the data that are complete.
        offset: images dealt of the pass under way.
        log_bytes: length of the log at this point; a resumed run cuts it back to this.
        log_sha256: of so much of the log; "" in checkpoints of older versions.
        log_doubted: images seen when the log was last found cut or changed by somebody; 0: never.
        seconds: time spent training, over all sessions, and what restarts have discarded.
        restarts: every restart of a collapsed training, see `supervisor.py`.
    """

    seen: int = 0
    turns: int = 0
    epoch: int = 0
    offset: int = 0
    log_bytes: int = 0
    seconds: float = 0.0
    restarts: list[dict[str, Any]] = field(default_factory=list)
    log_sha256: str = ""
    log_doubted: int = 0

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Progress:
        """Take that of a checkpoint's facts.

        Raises:
            LookupError, TypeError: they hold none, or one of another form.
        """
        told = cls(**facts["progress"])
        for entry in fields(cls):
            expected = type(getattr(cls(), entry.name))
            value = getattr(told, entry.name)
            if type(value) is not expected and not (expected is float and type(value) is int):
                raise TypeError(f"its {entry.name} is {shown(value)}")
        return told


@dataclass
class State:
    """A game, the average of its G, the stats of the epoch so far, and the progress."""

    game: Game
    ema: EMA
    stats: StepStats = field(default_factory=StepStats)
    progress: Progress = field(default_factory=Progress)

    def snapshot(self) -> Snapshot:
        """Copy everything to the CPU."""
        groups = {
            "G": self.game.G.net.state_dict(),
            "D": self.game.D.net.state_dict(),
            "average": self.ema.net.state_dict(),
            "optimizer_G": optimizer_state(self.game.G),
            "optimizer_D": optimizer_state(self.game.D),
            "deal": self.game.forward.memory.state_dict(),
            "tally": self.stats.state(),
        }
        tensors = {
            f"{group}/{name}": tensor.detach().cpu().contiguous().clone()
            for group, members in groups.items()
            for name, tensor in members.items()
        }
        return Snapshot(
            tensors,
            {
                "progress": asdict(self.progress),
                "circumstances": circumstances(self.game.device),
            },
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Take up a snapshot.

        Raises:
            UserError: its tensors are not those of this game.
        """
        try:
            load_net(self.game.G.net, snapshot.group("G"))
            load_net(self.game.D.net, snapshot.group("D"))
            load_net(self.ema.net, snapshot.group("average"))
            load_optimizer(self.game.G, snapshot.group("optimizer_G"))
            load_optimizer(self.game.D, snapshot.group("optimizer_D"))
            load_net(self.game.forward.memory, snapshot.group("deal"))
            device = self.game.device
            self.stats.restore(
                {name: values.to(device) for name, values in snapshot.group("tally").items()}
            )
            self.progress = Progress.of(snapshot.facts)
        except (RuntimeError, LookupError, TypeError, ValueError) as error:
            raise UserError(
                f"The checkpoint does not fit this game: {error}. It was probably made by another "
                "version of zerosum: use that version, or --fresh to start over."
            ) from None


def spread(state: State) -> None:
    """Give all processes the state that the first one has."""
    if distributed.world() == 1:
        return
    own = state.snapshot()
    forms = {name: (tensor.shape, tensor.dtype) for name, tensor in own.tensors.items()}
    forms, facts = distributed.from_first((forms, own.facts))
    leads = distributed.rank() == 0
    tensors = {
        name: distributed.tensor_from_first(
            own.tensors[name] if leads else torch.empty(shape, dtype=dtype)
        )
        for name, (shape, dtype) in forms.items()
    }
    if not leads:
        state.restore(Snapshot(tensors, facts))


def align_statistics(state: State) -> None:
    """Let all processes have what BatchNorm has seen at the first one, which is what a run keeps.

    Of statistics over all images they have the same anyway. No turn of a training reads them.
    """
    if distributed.world() == 1 or state.game.batch_norm == "global":
        return
    for net in (state.ema.net, state.game.G.net, state.game.D.net):
        for statistic in net.buffers():
            distributed.tensor_from_first(statistic)


def circumstances(device: torch.device) -> dict[str, str | int]:
    """What exactness depends on besides the state: a resumed run is told when it differs."""
    return {
        "torch": torch.__version__,
        "device": device.type,
        "threads": torch.get_num_threads(),
        "processes": distributed.world(),
    }


def not_finite(snapshot: Snapshot) -> str | None:
    """Name a tensor that holds NaN or infinity, if there is one."""
    for name, tensor in snapshot.tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            return name
    return None


def load_net(net: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Fill a net's parameters and buffers, all of them."""
    net.load_state_dict(tensors, strict=True)


def optimizer_state(player: Player) -> dict[str, Tensor]:
    """An optimizer's tensors, such as `0.exp_avg`, by the parameter's place in the net.

    Learning rates and betas are not among them: they follow from the config.
    """
    state: dict[int, dict[str, Tensor]] = player.optimizer.state_dict()["state"]
    return {f"{i}.{name}": tensor for i, own in state.items() for name, tensor in own.items()}


def load_optimizer(player: Player, tensors: Mapping[str, Tensor]) -> None:
    """Take up what `optimizer_state` gave."""
    parameters = [p for group in player.optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        # torch checks neither the place nor the shape, and takes the tensor itself, not a copy.
        if tensor.ndim and tensor.shape != parameters[int(index)].shape:
            raise ValueError(f"the optimizer's {key} has the shape {tuple(tensor.shape)}")
        parameter = parameters[int(index)]
        own = as_lies(tensor, parameter) if tensor.ndim else tensor.clone()
        state.setdefault(int(index), {})[name] = own
    groups = player.optimizer.state_dict()["param_groups"]
    player.optimizer.load_state_dict({"state": state, "param_groups": groups})
