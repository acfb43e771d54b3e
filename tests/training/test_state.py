import pytest
import torch

from zerosum.data.spec import DataSpec
from zerosum.errors import UserError
from zerosum.recipes import get
from zerosum.recipes.gan import build
from zerosum.training.checkpoint import Snapshot
from zerosum.training.ema import EMA
from zerosum.training.round import play_round
from zerosum.training.state import Progress, State, not_finite


def vanilla(**settings):
    return get("vanilla").configure(settings)


CPU = torch.device("cpu")
SHAPE = (1, 4, 4)


def new_state(seed=0, **settings):
    torch.manual_seed(seed)
    game = build(vanilla(hidden=(6,), latent_size=3, **settings), DataSpec(shape=SHAPE), device=CPU)
    return State(game, EMA(game.G.net, half_life=50))


def train(state, rounds):
    numbers = torch.Generator().manual_seed(state.progress.turns)
    for _ in range(rounds):
        progress = state.progress
        progress.seen += play_round(
            state.game,
            lambda: (torch.rand(5, *SHAPE, generator=numbers) * 2 - 1, None),
            seed=0,
            turn_index=progress.turns,
            seen=progress.seen,
            bf16=False,
            stats=state.stats,
        )
        progress.turns += 2
        state.ema.update(images=5, seen=progress.seen)


def same(first, second):
    assert first.tensors.keys() == second.tensors.keys()
    for name, tensor in first.tensors.items():
        assert torch.equal(tensor, second.tensors[name]), name
    assert first.facts == second.facts
    return True


@pytest.fixture
def trained():
    state = new_state()
    train(state, rounds=3)
    return state


def test_a_snapshot_holds_all_that_the_next_round_depends_on(trained):
    snapshot = trained.snapshot()
    assert {name.split("/")[0] for name in snapshot.tensors} == {
        "G",
        "D",
        "average",
        "optimizer_G",
        "optimizer_D",
        "tally",
    }
    assert snapshot.facts["progress"]["turns"] == 6
    # Adam's step counts bias correction: without it a resumed run would leap.
    assert snapshot.tensors["optimizer_G/0.step"] == 3
    assert len(snapshot.group("optimizer_D")) == 3 * len(trained.game.D.parameters)
    assert len(snapshot.tensors["tally/D/cross_entropy"]) == 3


def test_another_game_takes_it_up_exactly(trained):
    restored = new_state(seed=1)
    restored.restore(trained.snapshot())
    assert same(restored.snapshot(), trained.snapshot())


def test_and_goes_on_exactly_as_the_first_would(trained):
    restored = new_state(seed=1)
    restored.restore(trained.snapshot())
    train(trained, rounds=4)
    train(restored, rounds=4)
    assert same(restored.snapshot(), trained.snapshot())


def test_a_snapshot_does_not_change_when_training_goes_on(trained):
    snapshot = trained.snapshot()
    copies = {name: tensor.clone() for name, tensor in snapshot.tensors.items()}
    train(trained, rounds=1)
    assert all(torch.equal(snapshot.tensors[name], copy) for name, copy in copies.items())


def test_restoring_does_not_tie_the_game_to_the_snapshot(trained):
    snapshot = trained.snapshot()
    copies = {name: tensor.clone() for name, tensor in snapshot.tensors.items()}
    restored = new_state()
    restored.restore(snapshot)
    train(restored, rounds=1)
    assert all(torch.equal(snapshot.tensors[name], copy) for name, copy in copies.items())


def test_learning_rates_follow_from_the_config_not_the_checkpoint(trained):
    restored = new_state(learning_rate=0.5)
    restored.restore(trained.snapshot())
    assert restored.game.G.optimizer.param_groups[0]["lr"] == 0.5


def test_an_untrained_state_can_be_saved_too():
    state = new_state()
    restored = new_state(seed=1)
    restored.restore(state.snapshot())
    assert same(restored.snapshot(), state.snapshot())
    assert restored.progress == Progress()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t, f: t.update({"G/layers.0.weight": torch.zeros(2, 2)}), "layers.0.weight"),
        (lambda t, f: t.pop("D/layers.0.bias"), "layers.0.bias"),
        (lambda t, f: t.update({"average/other": torch.zeros(1)}), "other"),
        (lambda t, f: t.update({"optimizer_G/x.step": torch.zeros(1)}), "'x'"),
        (lambda t, f: t.update({"optimizer_G/99.exp_avg": torch.zeros(1)}), "range"),
        (lambda t, f: t.update({"optimizer_G/0.exp_avg": torch.zeros(2)}), "exp_avg"),
        (lambda t, f: f["progress"].update({"speed": 3}), "speed"),
        (lambda t, f: f.pop("progress"), "progress"),
    ],
)
def test_a_checkpoint_of_another_game_is_refused_by_name(trained, change, named):
    snapshot = trained.snapshot()
    change(snapshot.tensors, snapshot.facts)
    with pytest.raises(UserError, match=r"(?s)does not fit this game: .*--fresh") as error:
        new_state().restore(snapshot)
    assert named in str(error.value)


def test_a_tensor_that_is_not_finite_is_named():
    tensors = {"G/ok": torch.ones(3), "stats/count": torch.tensor([1, 2]), "G/empty": torch.ones(0)}
    assert not_finite(Snapshot(tensors, {})) is None
    for bad in (float("nan"), float("inf"), -float("inf")):
        spoilt = Snapshot({**tensors, "D/w": torch.tensor([0.0, bad])}, {})
        assert not_finite(spoilt) == "D/w"
