"""The checkup: that it changes nothing, and that each failure of a training sounds its alarm."""

from dataclasses import asdict, replace

import pytest
import torch
from torch import nn

from zerosum import data
from zerosum.callbacks.monitor import Monitor, evaluating, logged_signals, noise_like
from zerosum.data.images import ImageSet, to_float, to_uint8
from zerosum.data.spec import DataSpec
from zerosum.game.core import Batch
from zerosum.metrics.features import feature_net
from zerosum.metrics.health import beats_noise
from zerosum.recipes import get
from zerosum.recipes.gan import build
from zerosum.seeds import enter_stream
from zerosum.training.ema import EMA
from zerosum.training.log import History
from zerosum.training.passes import Stream
from zerosum.training.round import play_turn
from zerosum.training.state import State
from zerosum.training.step_stats import StepStats


def vanilla(**settings):
    return get("vanilla").configure(settings)


CPU = torch.device("cpu")
NUM_TRAINING = 1200


def thinned(split, count):
    """Every so-manieth image of MNIST, all classes alike."""
    whole = data.load("mnist", split=split)
    step = len(whole) // count
    return replace(whole, images=whole.images[::step][:count], labels=whole.labels[::step][:count])


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZEROSUM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield thinned("train", NUM_TRAINING), thinned("test", 1000)


@pytest.fixture
def state():
    enter_stream(CPU, "init", 0)
    game = build(vanilla(hidden=(32,)), DataSpec(shape=(1, 28, 28)), device=CPU)
    return State(game, EMA(game.G.net, half_life=1000))


class Shows(nn.Module):
    """A G that shows images of a list, chosen by z."""

    def __init__(self, images):
        super().__init__()
        self.register_buffer("images", images)
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, z, condition):
        chosen = (z[:, 0] * 1e4).long().remainder(len(self.images))
        return self.images[chosen] + 0 * self.unused


def with_G(state, net):
    """The state with another G, and an average that is the same."""
    game = replace(state.game, G=replace(state.game.G, net=net))
    return State(game, EMA(net, half_life=0))


def looks(checkup, count=4):
    """So many looks in a row, each knowing the ones before."""
    log = []
    for epoch in range(1, count + 1):
        checkup.state.progress.seen += 300_000
        log.append({"epoch": epoch, **asdict(checkup(History(tuple(log))))})
    return log


def checkup_of(state, digits, *, held_out=True):
    training, others = digits
    net = feature_net("digits", device=CPU)
    return Monitor(state, training, others if held_out else None, net=net, seed=0)


@pytest.mark.slow
class TestAlarms:
    def test_real_digits_that_were_not_trained_on_are_healthy(self, state, digits):
        G = Shows(to_float(thinned("train", 30_000).images[1::2]))
        record = looks(checkup_of(with_G(state, G), digits))[-1]
        assert record["health"]["verdict"] == "healthy", record
        signals = record["health"]["signals"]
        assert signals["diversity"] == pytest.approx(1, abs=0.1)
        assert signals["identical"] < 0.1
        assert record["metrics"]["frechet_digits"] < 2

    def test_a_copied_training_set_is_memorising(self, state, digits):
        G = Shows(to_float(digits[0].images))
        record = looks(checkup_of(with_G(state, G), digits))[-1]
        assert record["health"]["verdict"] == "memorising", record
        assert record["health"]["signals"]["near"] > 0.9

    def test_copies_are_found_without_held_out_images_too(self, state, digits):
        G = Shows(to_float(digits[0].images))
        record = looks(checkup_of(with_G(state, G), digits, held_out=False))[-1]
        assert record["health"]["verdict"] == "memorising", record

    def test_a_G_of_one_image_has_collapsed(self, state, digits):
        G = Shows(to_float(digits[0].images[:1]))
        record = looks(checkup_of(with_G(state, G), digits))[-1]
        assert record["health"]["verdict"] == "collapsing"
        assert "nearly identical" in record["health"]["why"]

    def test_a_G_without_two_of_the_classes_is_collapsing_and_they_are_named(self, state, digits):
        fresh = thinned("train", 6000)
        kept = (fresh.labels != 3) & (fresh.labels != 8)
        G = Shows(to_float(fresh.images[kept][1::2]))
        record = looks(checkup_of(with_G(state, G), digits))[-1]
        assert record["health"]["verdict"] == "collapsing"
        assert "hardly any samples of 3, 8" in record["health"]["why"]

    def test_noise_is_too_early_to_tell(self, state, digits):
        noise = torch.rand(1000, 1, 28, 28, generator=torch.Generator().manual_seed(1))
        record = looks(checkup_of(with_G(state, Shows(noise * 2 - 1)), digits), 1)[-1]
        assert record["health"]["verdict"] != "healthy", record

    def test_against_a_frozen_G_D_wins(self, state, digits):
        evaluate = checkup_of(state, digits)
        images = to_float(digits[0].images)
        log = []
        for epoch in range(1, 5):
            for start in range(0, len(images), 100):  # G has no turns
                stream = Stream(CPU, epoch, start)
                stream.enter()
                batch = Batch(images[start : start + 100])
                rules = {"seen": 0, "bf16": False, "stats": StepStats(), "stream": stream}
                play_turn(state.game, "D", batch, **rules)
            state.progress.seen += 300_000
            log.append({"epoch": epoch, **asdict(evaluate(History(tuple(log))))})
        assert log[-1]["health"]["verdict"] == "D has won", log[-1]
        assert log[-1]["health"]["signals"]["G_gradient"] == 0


class TestCheckup:
    def test_the_same_players_give_the_same_signs(self, state, digits):
        first, second = (asdict(checkup_of(state, digits)(History())) for _ in range(2))
        assert first == second

    @pytest.mark.parametrize("world", [2, 3, 13])
    def test_shared_out_it_finds_the_same_to_the_last_bit(self, state, digits, in_shares, world):
        """With more processes than groups of samples, too: some have none."""
        whole = asdict(checkup_of(state, digits)(History()))
        assert whole == asdict(in_shares(world, lambda: checkup_of(state, digits)(History())))

    def test_shared_out_no_two_make_the_same_samples_but_for_the_ends_of_chunks(
        self, state, digits, in_shares
    ):
        monitor = checkup_of(state, digits)
        looked_at = []
        monitor.net = replace(
            monitor.net,
            look=lambda images, look=monitor.net.look: looked_at.append(images) or look(images),
        )
        in_shares(3, lambda: len(monitor._own_samples()))
        assert sum(map(len, looked_at)) == NUM_TRAINING

    def test_it_touches_no_state(self, state, digits):
        before = state.snapshot().tensors
        checkup_of(state, digits)(History())
        after = state.snapshot().tensors
        assert before.keys() == after.keys()
        assert all(before[name].equal(after[name]) for name in before)

    def test_other_images_than_digits_are_judged_by_random_features(self, tmp_path, monkeypatch):
        monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path))
        pixels = torch.randint(0, 256, (40, 3, 12, 10), dtype=torch.uint8)
        images = ImageSet(images=pixels, labels=None, classes=(), name="noise")
        game = build(vanilla(hidden=(8,)), DataSpec(shape=(3, 12, 10)), device=CPU)
        state = State(game, EMA(game.G.net, half_life=0))
        examination = Monitor(state, images, None, net=feature_net("random", device=CPU), seed=0)(
            History()
        )
        assert examination.metrics["frechet_random"] > 0
        assert examination.health["signals"]["train_separation"] is None
        assert examination.health["signals"]["missing"] == []


def test_evaluating_leaves_statistics_and_modes_as_they_were():
    norm = nn.BatchNorm1d(2)
    frozen = nn.Dropout().eval()
    net = nn.Sequential(norm, frozen)
    with evaluating(net):
        assert not norm.training
        net(torch.randn(8, 2))
    assert norm.training
    assert not frozen.training
    assert norm.num_batches_tracked == 0


def test_colour_noise_is_not_healthy(tmp_path, monkeypatch):
    """As was said of r3gan after 427 images."""
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path))
    generator = torch.Generator().manual_seed(0)
    blobs = torch.rand(300, 3, 4, 4, generator=generator).mul(2).sub(1)
    real = torch.nn.functional.interpolate(blobs, scale_factor=4.0, mode="bilinear")
    images = ImageSet(images=to_uint8(real), labels=None, classes=(), name="blobs")
    game = build(vanilla(hidden=(8,)), DataSpec(shape=(3, 16, 16)), device=CPU)
    noise, tints = (torch.randn(5000, 3, s, s, generator=generator) for s in (16, 1))
    state = with_G(
        State(game, EMA(game.G.net, half_life=0)),
        Shows((0.3 * noise + 0.5 * tints).clamp(-1, 1)),
    )
    checkup = Monitor(state, images, None, net=feature_net("random", device=CPU), seed=0)
    assert checkup._noise > 1
    assert not beats_noise(checkup(History()).health["signals"]["metric"], checkup._noise)
    well = with_G(state, Shows(real))
    checkup = Monitor(well, images, None, net=feature_net("random", device=CPU), seed=0)
    assert beats_noise(checkup(History()).health["signals"]["metric"], checkup._noise)


def test_noise_has_the_mean_and_the_variance_of_each_channel():
    images = torch.tensor([100, 140], dtype=torch.uint8)[:, None, None, None].repeat(20, 2, 8, 8)
    images[:, 1] += 50
    noise = noise_like(images, 100).float()
    assert noise.shape == (100, 2, 8, 8)
    assert noise.mean((0, 2, 3)).tolist() == pytest.approx([120, 170], abs=1)
    assert noise.std((0, 2, 3)).tolist() == pytest.approx([20, 20], abs=1)
    assert noise_like(images, 100).equal(noise.to(torch.uint8))


def test_a_log_of_other_signs_is_no_history():
    assert (
        logged_signals(
            History(({"epoch": 1}, {"health": {"verdict": "healthy", "signals": {"metric": 1.0}}}))
        )
        == []
    )


def test_of_large_images_d_is_asked_about_a_few_at_a_time(state, digits, monkeypatch):
    training, _ = digits
    asked = []
    kind = type(state.game.forward)
    forward = kind.__call__

    def counted(self, game, turn, batch, seen):
        asked.append(len(batch))
        return forward(self, game, turn, batch, seen)

    monkeypatch.setattr(kind, "__call__", counted)
    monkeypatch.setattr("zerosum.callbacks.monitor.ASKED_ENTRIES", 100 * 28 * 28)
    real, fake = checkup_of(state, digits)._logits(training)
    assert len(real) == len(fake) == sum(asked) == min(1000, len(training))
    assert max(asked) <= 100
