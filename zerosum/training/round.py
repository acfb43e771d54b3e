"""One round of a game, eagerly: each player on turn steps once against the other.

This is the whole of adversarial training; everything else is bookkeeping. Nothing here reads a
value back to the host, so a GPU never waits for Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from zerosum.game.core import Batch, Game, Player
from zerosum.training.interfaces import Dealt
from zerosum.training.passes import Stream, shares, summed, under_way
from zerosum.training.step_stats import StepStats


def play_round(
    game: Game,
    next_batch: Callable[[], Dealt],
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
