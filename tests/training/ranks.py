"""Plays 20 rounds of many small games, as one process or as one of several, and keeps the
weights.

`python ranks.py OUT PARTS PRECISION CASE…`; torchrun's variables say which process it is. Process 0
writes OUT/CASE.safetensors. `test_distributed.py` compares them.
"""

import sys
from dataclasses import replace
from pathlib import Path

import safetensors.torch
import torch

from zerosum.data.spec import DataSpec
from zerosum.game.penalties import r1
from zerosum.recipes import RECIPES
from zerosum.training import distributed, torchrun
from zerosum.training.ema import EMA
from zerosum.training.passes import own_rows
from zerosum.training.precision import arithmetic_in
from zerosum.training.round import play_round
from zerosum.training.state import State

CPU = torch.device("cpu")
ROUNDS = 20
SIZES = (6, 6, 5, 6, 1, 3)
"""Images of the batches, in turn: uneven ones, and one that leaves some processes without any."""
PAIRS = {"data": "mine", "size": "16", "width": 2, "batch_size": 6, "d_layers": 1}
SMALL = {"data": "mine", "batch_size": 6, "latent_size": 4}
OWN = {"sagan": {"attention": "G:8,D:4"}}
NETS = {"mlp": {"hidden": (6, 5)}, "r3gan": {"width": 32}}
CHANGED = {
    "vanilla in packs": ("vanilla", {"pack": 2, "penalty": "dragan:3"}),
    "vanilla augmented": (
        "vanilla",
        {
            "augment": "color,translation,cutout",
            "augment_target": 0.1,
            "hflip": True,
            "conditioning": "concat",
        },
    ),
    "vanilla with spectral norm": (
        "vanilla",
        {"spectral_norm": "both", "loss": "hinge", "n_critic": 2, "penalty": "r1:0.1"},
    ),
    "dcgan in packs": ("dcgan", {"pack": 3, "augment": "translation", "conditioning": "concat"}),
    "pix2pix with BatchNorm": ("pix2pix", {"norm": "batch", "d_norm": "batch", "dropout": 0.3}),
    "pix2pix by dragan": ("pix2pix", {"penalty": "dragan:1", "n_critic": 2}),
    "cyclegan with BatchNorm": ("cyclegan", {"pool": 7, "blocks": 1, "d_norm": "batch"}),
}
"""Recipes with settings that draw, or look at the batch, in other ways."""
TWICE = "dcgan differentiated twice"
"""Through BatchNorm, which penalties on D refuse; a user's own term may do it."""
CASES = [*RECIPES, *CHANGED, TWICE]


def build(case):
    """The game of a case, and the form of its data."""
    if case == TWICE:
        game, spec = build("dcgan")
        objective = {**game.D.objective, "r1": r1(0.5)}
        return replace(game, D=replace(game.D, objective=objective)), spec
    name, changes = CHANGED.get(case, (case, {}))
    recipe = RECIPES[name]
    pairs = recipe.task != "generation"
    if name == "cyclegan":
        changes = {"pool": 7, "blocks": 1, **changes}
    config = recipe.configure({"data": "mine"}, PAIRS if pairs else SMALL, changes)
    if not pairs:
        nets = {**NETS.get(config.nets, {"width": 4}), **OWN.get(name, {})}
        config = recipe.configure({"data": "mine"}, SMALL, nets, changes)
    spec = DataSpec(shape=(1, 8, 8), classes=("a", "b", "c"))
    if pairs:
        spec = DataSpec(shape=(2, 16, 16), source_channels=1)
    torch.manual_seed(3)
    return recipe.build(config.settled(5000), spec, device=CPU), spec


def play(case, *, parts=1, bf16=False):
    """What a run's checkpoint would hold of a game after its rounds."""
    game, spec = build(case)
    game = replace(game, parts=parts)
    state = State(game, EMA(game.G.net, half_life=100))
    dealt = 0

    def next_batch():
        nonlocal dealt
        size = SIZES[dealt % len(SIZES)]
        generator = torch.Generator().manual_seed(dealt)
        dealt += 1
        images = torch.rand(size, *spec.shape, generator=generator) * 2 - 1
        labels = torch.arange(size) % 3 if spec.classes else None
        if distributed.world() == 1:
            return images, labels
        start, stop = own_rows(game, size)  # no process has the others' images
        return images[start:stop], labels if labels is None else labels[start:stop], start, size

    seen = turns = 0
    for _ in range(ROUNDS):
        count = play_round(
            game,
            next_batch,
            seed=5,
            turn_index=turns,
            seen=seen,
            bf16=bf16,
            stats=state.stats,
        )
        seen, turns = seen + count, turns + len(game.turns)
        state.ema.update(images=count, seen=seen)
    return state.snapshot().tensors


def main():
    out, parts, precision, *cases = sys.argv[1:]
    torch.set_num_threads(1)
    torchrun.meet(CPU)
    for case in cases or CASES:
        with arithmetic_in(precision, CPU):
            tensors = play(case, parts=int(parts))
        if distributed.rank() == 0:
            safetensors.torch.save_file(tensors, Path(out) / f"{case}.safetensors")


if __name__ == "__main__":
    main()
