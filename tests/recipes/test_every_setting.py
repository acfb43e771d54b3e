"""No setting is ignored in silence: whoever changes one gets another game, or is told why not."""

import copy

import pytest
import torch

from zerosum.config.base import unread
from zerosum.data.spec import DataSpec
from zerosum.errors import UserError
from zerosum.game.core import Batch
from zerosum.recipes import RECIPES, build, get

CPU = torch.device("cpu")
OF_THE_RUN = {
    *(
        "data",
        "size",
        "channels",
        "fit",
        "range",
        "hold_out",
        "data_tier",
        "all_frames",
        "strict",
        "direction",
        "batch_size",
        "seed",
        "device",
    ),
    *("epochs", "images", "precision", "ema_half_life", "patience"),
    *("on_collapse", "restarts"),
    *("sample_every", "checkpoint_every", "evaluate_every", "log"),
}
"""What the game does not depend on: the loader, the loop and the log read it, for every recipe."""
OTHERS = {  # values that differ from every recipe's
    "loss": "hinge-or-not",  # see `another`
    "targets": (0.1, 0.9, 0.8),
    "penalty": "r1:0.7",
    "clip": 0.3,
    "freeze_d": 1,
    "n_critic": 3,
    "batch_norm": "local",
    "optimizer": "rmsprop-or-not",
    "learning_rate": 3.3e-4,
    "d_learning_rate": 7.7e-4,
    "betas": (0.3, 0.77),
    "anneal": 333,
    "lr_schedule": "linear-or-not",
    "lr_end": 0.4,
    "anneal_penalty": 0.6,
    "anneal_beta": 0.5,
    "nets": "mlp-or-not",
    "latent_size": 5,
    "hidden": (7,),
    "width": 64,
    "full_width_up_to": 9,
    "spectral_norm": "both-or-not",
    "d_norm": "none-or-not",
    "attention": "G:14",
    "conditioning": "concat-or-not",
    "pack": 2,
    "augment": "cutout",
    "augment_target": 0.4,
    "hflip": None,
    "grad_accumulation": 2,
    "enlarge": 1.5,
    "d_layers": 2,
    "norm": "batch",
    "dropout": 0.25,
    "l1": 33.0,
    "adversarial": 0.5,
    "blocks": 2,
    "cycle": 3.0,
    "identity": 1.5,
    "pool": 9,
}
CHOICES = {
    "loss": ("hinge", "wasserstein"),
    "optimizer": ("rmsprop", "adam"),
    "lr_schedule": ("linear", "cosine"),
    "nets": ("mlp", "dcgan"),
    "spectral_norm": ("both", "none"),
    "d_norm": ("none", "batch"),
    "conditioning": ("concat", "none"),
}


def another(name, now):
    if isinstance(now, bool):
        return not now
    if name in CHOICES:
        first, second = CHOICES[name]
        return second if now == first else first
    return OTHERS[name]


def spec_of(recipe):
    if recipe.task == "generation":
        return DataSpec(shape=(1, 28, 28), classes=("a", "b", "c"))
    return DataSpec(shape=(2, 32, 32), source_channels=1)


def small(recipe):
    """What makes nets small without taking a setting out of the test."""
    fields = recipe.config.model_fields
    asked = {"data": "mine", "size": "32"} if "blocks" in fields or "l1" in fields else {}
    config = recipe.configure({"data": "mine", **asked})
    width = 32 if getattr(config, "nets", "") == "r3gan" else 4  # whose channels come in sixteens
    return {**asked, "data": "mine", **({} if "width" in unread(config) else {"width": width})}


def fingerprint(recipe, values):
    """All that a game does: its nets, its steps, its terms at two points of a training."""
    config = recipe.configure(values).settled(1000)
    torch.manual_seed(0)
    spec = spec_of(recipe)
    game = recipe.build(config, spec, device=CPU)
    found = [game.turns, game.parts, game.batch_norm, repr(game.G.net), repr(game.D.net)]
    real = torch.rand(8, *spec.shape) * 2 - 1
    labels = torch.arange(8) % 3 if spec.classes else None
    for turn in "DG":
        player = game.player(turn)
        found += [type(player.optimizer).__name__, len(player.parameters)]
        found += [
            str({k: v for k, v in group.items() if k != "params"})
            for group in player.optimizer.param_groups
        ]
        found += [
            (name, schedule(seen))
            for name, schedule in sorted(player.schedules.items())
            for seen in (0, 200, 600)
        ]
        if player.constraint is not None:
            net = copy.deepcopy(player.net)
            for parameter in net.parameters():
                parameter.data.fill_(10.0)
            player.constraint(net)
            found.append(max(parameter.max().item() for parameter in net.parameters()))
        for seen in (8, 500):
            torch.manual_seed(1)
            play = game.forward(game, turn, Batch(real, labels), seen)
            for side in (play.a, play.b) if hasattr(play, "a") else (play,):
                weights = torch.linspace(0, 1, side.real.numel()).view_as(side.real)
                found.append((side.real * weights).sum().item())
            found += [(name, term(play).item()) for name, term in sorted(player.objective.items())]
    found += [
        f"{tuple(value.shape)} {value}" for value in game.forward.memory.state_dict().values()
    ]
    found += [str(getattr(game.forward.memory, name, "")) for name in ("policies", "target")]
    return found


def outcome(recipe, values):
    """The game's fingerprint, or why there is none."""
    try:
        return fingerprint(recipe, values)
    except UserError as refusal:
        return refusal


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        (name, setting)
        for name, recipe in RECIPES.items()
        for setting in recipe.config.model_fields
        if setting not in OF_THE_RUN
    ],
)
def test_a_change_changes_the_game_or_is_refused(name, setting):
    recipe = get(name)
    values = small(recipe)
    now = getattr(recipe.configure(values), setting)
    value = another(setting, now)
    assert value != now
    changed = outcome(recipe, {**values, setting: value})
    if isinstance(changed, UserError):
        assert f"--{setting.replace('_', '-')}" in str(changed)
    else:
        assert changed != fingerprint(recipe, values)


@pytest.mark.parametrize(
    ("recipe", "values", "reason"),
    [
        ("sngan", {"d_norm": "batch"}, "--d-norm would change nothing: it is read by --nets dcgan"),
        ("r3gan", {"d_norm": "batch"}, "--d-norm would change nothing"),
        ("vanilla", {"d_norm": "batch"}, "--d-norm would change nothing"),
        ("dcgan", {"hidden": (8,)}, "--hidden would change nothing: it is read by --nets mlp"),
        ("dcgan", {"full_width_up_to": 7}, "read by --nets resnet and r3gan"),
        ("vanilla", {"width": 8}, "read by --nets dcgan, resnet and r3gan"),
        ("vanilla", {"full_width_up_to": 7}, "--full-width-up-to would change nothing"),
        ("vanilla", {"targets": (0, 1, 1)}, "read by --loss least-squares"),
        ("wgan", {"data": "mine", "betas": (0.5, 0.9)}, "read by --optimizer adam"),
        ("dcgan", {"lr_end": 0.1}, "--lr-end would change nothing: it is read by --anneal"),
        ("dcgan", {"lr_schedule": "linear"}, "--lr-schedule would change nothing"),
        ("dcgan", {"anneal_penalty": 0.1}, "read by --anneal beside a --penalty"),
        ("dcgan", {"anneal_beta": 0.9}, "read by --anneal beside --optimizer adam"),
        ("dcgan", {"anneal": 100}, "without one of them nothing is annealed"),
    ],
)
def test_what_nothing_reads_is_refused_with_the_reason(recipe, values, reason):
    with pytest.raises(UserError) as refused:
        get(recipe).configure(values)
    assert reason in str(refused.value)


def test_what_is_read_elsewhere_is_not_refused():
    assert get("vanilla").configure({"nets": "dcgan", "width": 8}).width == 8
    assert get("dcgan").configure({"anneal": 100, "lr_end": 0.1}).lr_end == 0.1
    assert get("dcgan").configure({"loss": "least-squares", "targets": (0, 1, 1)})


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipes_own_defaults_are_never_refused(name):
    for data in ("mnist", "cifar10", "ring", "mine"):
        get(name).configure({"data": data})


def test_the_builder_is_the_recipes():
    config = get("vanilla").configure({"hidden": (3,)})
    assert build("vanilla", config, DataSpec(shape=(1, 4, 4)), device=CPU).turns == "DG"
