"""One round of a game, eagerly: each player on turn steps once against the other.

This is the whole of adversarial training; everything else is bookkeeping. Nothing here reads a
value back to the host, so a GPU never waits for Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.utils.parametrizations import _SpectralNorm

from zerosum.game.core import Batch, Game, Player
from zerosum.game.share import Share
from zerosum.seeds import enter_stream
from zerosum.training import distributed
from zerosum.training.step_stats import StepStats


def play_round(
    game: Game,
    next_batch: Callable[[], tuple[Tensor, Tensor | None]],
    *,
    seed: int | str,
    turn_index: int,
    seen: int,
    bf16: bool,
    stats: StepStats,
) -> int:
    """Play each of `game.turns` once.

    Args:
        game: the game.
        next_batch: deals real images and their labels; asked once for each turn of D.
        seed: with `turn_index`, decides every random number of a turn; a text where a collapsed
            training was restarted.
        turn_index: turns played in the run before this round.
        seen: real images dealt in the run before this round.
        bf16: whether nets multiply in bfloat16; losses, weights and Adam stay in float32.
        stats: collects every term's value.

    Returns:
        The real images dealt in this round.
    """
    dealt = 0
    for turn in game.turns:
        stream = Stream(game.device, seed, turn_index)
        stream.enter()
        if turn == "D":
            batch = Batch(*next_batch())
            dealt += len(batch)
        play_turn(game, turn, batch, seen=seen + dealt, bf16=bf16, stats=stats, stream=stream)
        turn_index += 1
    return dealt


@dataclass(frozen=True)
class Stream:
    """The random numbers of one turn."""

    device: torch.device
    seed: int | str
    turn_index: int

    def enter(self) -> None:
        """Go to their beginning."""
        enter_stream(self.device, "turn", self.seed, self.turn_index)


def play_turn(
    game: Game,
    turn: str,
    batch: Batch,
    *,
    seen: int,
    bf16: bool,
    stats: StepStats,
    stream: Stream,
) -> None:
    """Let one player minimise the sum of its terms by one step.

    Every process plays its own images of the batch, in parts if the game says so, and all make the
    same step.
    """
    player = game.player(turn)
    apply_schedules(player, seen)
    for parameter in player.parameters:
        parameter.grad = None
    plays, values = [], []
    for share, part in shares(game, batch, stream):
        with under_way(share), torch.autocast(game.device.type, torch.bfloat16, enabled=bf16):
            play = game.forward(game, turn, part, seen)
            terms = {name: term(play) for name, term in player.objective.items()}
            scalars = game.forward.scalars(play) if turn == "D" else {}
        # Gradients of this player's weights and of nothing else: the opponent gets none, needs no
        # freezing, and the half of the backward pass that would compute them is never run.
        weight = 1.0 if share is None else share.weight
        torch.autograd.backward(total(terms.values()) * weight, inputs=player.parameters)
        named = {f"{turn}/{name}": value for name, value in terms.items()} | dict(scalars)
        values.append({name: value.detach() * weight for name, value in named.items()})
        if turn == "D":  # or nobody observes it, and it holds graphs
            plays.append((share, play))
    stats.add(summed(player, {name: total(part[name] for part in values) for name in values[0]}))
    player.optimizer.step()
    if player.constraint is not None:
        player.constraint(player.net)
    for share, play in plays:
        with under_way(share):
            game.forward.observe(play)


def shares(game: Game, batch: Batch, stream: Stream) -> Iterator[tuple[Share | None, Batch]]:
    """Cut a batch into what this process plays of it, one pass after the other.

    Every pass draws the random numbers of the whole batch from their beginning, and takes its own.
    Packs stay whole.
    """
    rank, world = distributed.rank(), distributed.world()
    if world == 1 and (game.parts == 1 or len(batch) == 1):
        yield None, batch
        return
    size = game.pack
    batch = batch.whole_packs(size)
    packs = len(batch) // size
    # As many parts for every process, or they would wait for one another; and none without images,
    # unless there are more processes than packs.
    parts = max(1, min(game.parts, packs // world))
    cuts = [packs * piece // (world * parts) * size for piece in range(world * parts + 1)]
    own = [*pairwise(cuts)][rank * parts : (rank + 1) * parts]
    iterated = power_iterations(game) if parts > 1 else []
    before = [tensor.clone() for tensor in iterated]
    for number, (start, stop) in enumerate(own):
        if number:
            stream.enter()
            # One iteration for each pass over the whole batch, not for each part of it.
            for tensor, kept in zip(iterated, before, strict=True):
                tensor.copy_(kept)
        counts = stop > start
        if not counts:
            start, stop = 0, size
        share = Share(
            start=start,
            stop=stop,
            total=len(batch),
            counts=counts,
            is_last=number == len(own) - 1,
            in_parts=parts > 1,
            reals=batch.real,
            place=(rank, world),
            add_up=distributed.add_up,
            batch_norm=world > 1 and game.batch_norm == "global",
        )
        yield share, batch.rows(start, stop)


def power_iterations(game: Game) -> list[Tensor]:
    """What spectral norm moves on in every pass, whatever the images are."""
    nets = (game.G.net, game.D.net)
    norms = (each for net in nets for each in net.modules() if isinstance(each, _SpectralNorm))
    return [tensor for norm in norms for tensor in norm.buffers()]


def under_way(share: Share | None) -> AbstractContextManager[None]:
    """Let what is computed inside be of a share, if the batch is played in such."""
    return nullcontext() if share is None else share.under_way()


def summed(player: Player, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Add up a player's gradients, in place, and the values of its terms over all processes."""
    if distributed.world() == 1:
        return dict(values)
    learning = [p for p in player.parameters if p.grad is not None]
    found = distributed.flat_sum(
        [*(p.grad for p in learning if p.grad is not None), *values.values()]
    )
    for parameter, gradient in zip(learning, found, strict=False):
        parameter.grad = gradient
    return dict(zip(values, found[len(learning) :], strict=True))


def apply_schedules(player: Player, seen: int) -> None:
    """Set what changes in a player's optimizer."""
    for name, schedule in player.schedules.items():
        value = schedule(seen)
        for group in player.optimizer.param_groups:
            group[name] = value


def total(values: Iterable[Tensor]) -> Tensor:
    """The sum: of a player's terms, its loss."""
    first, *rest = values
    for value in rest:
        first = first + value
    return first
