"""The probability of augmentation: how it is applied, and what moves it."""

import copy

import pytest
import safetensors.torch
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from zerosum.config.specs import POLICIES
from zerosum.game.augment import Augmentation

CHANNELS = pytest.mark.parametrize("channels", [1, 3, 4])


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def adaptive(p=0.0, *, policies=POLICIES, channels=3, target=0.6):
    augment = Augmentation(policies, channels=channels, target=target)
    augment.climbed.fill_(round(p * augment.IMAGES_TO_FULL))
    return augment


def verdicts(real, fake):
    """Logits (n, 1): so many that say real, and so many that say fake."""
    return torch.cat([torch.full((real, 1), 0.3), torch.full((fake, 1), -7.0)])


# How p is applied.


@CHANNELS
def test_images_pass_untouched_where_p_is_0(channels):
    images = torch.randn(8, channels, 5, 7)
    assert torch.equal(adaptive(0.0, channels=channels)(images), images)


@CHANNELS
def test_every_policy_is_applied_where_p_is_1(channels):
    for seed in range(5):
        torch.manual_seed(seed)
        after = adaptive(1.0, policies=["color", "cutout"], channels=channels)(
            torch.ones(50, channels, 8, 8)
        )
        assert (after[:, 0] == 0).flatten(1).any(1).all()
        assert (after[:, 0] != 1).flatten(1).all()


def test_each_policy_meets_each_image_with_probability_p_whatever_the_others_do():
    after = adaptive(0.3, policies=["color", "cutout"], channels=1)(torch.ones(10_000, 1, 8, 8))
    colored = after.flatten(1).amax(1) != 1
    cut = (after == 0).flatten(1).any(1)
    for share, expected in [(colored, 0.3), (cut, 0.3), (colored & cut, 0.09)]:
        deviation = (expected * (1 - expected) / 10_000) ** 0.5
        assert abs(share.float().mean() - expected) < 5 * deviation


@pytest.mark.parametrize("channels", [1, 4])
def test_gradients_pass_twice_through_what_is_applied_to_some(channels):
    augment = adaptive(0.5, channels=channels).double()
    images = torch.randn(3, channels, 4, 3, dtype=torch.float64, requires_grad=True)

    def seeded(images):
        torch.manual_seed(3)
        return augment(images)

    assert gradcheck(seeded, images)
    assert gradgradcheck(seeded, images)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_dtype_is_kept(dtype):
    assert adaptive(0.5)(torch.randn(4, 3, 8, 8).to(dtype)).dtype == dtype


# What moves p.


def test_p_rises_from_0_to_1_in_half_a_million_images_if_d_is_always_sure():
    augment = adaptive()
    path = []
    for _ in range(5000):
        augment.observe(verdicts(100, 0))
        path.append(augment.p.item())
    assert path[-1] == 1.0
    assert path[2499] == 0.5
    assert max(path[:-1]) < 1
    for _ in range(8):
        augment.observe(verdicts(100, 0))
    assert augment.p == 1


@pytest.mark.parametrize("real", [0, 3, 5, 7])
def test_p_stays_at_0_while_d_is_not_too_sure(real):
    augment = adaptive()
    for _ in range(40):
        augment.observe(verdicts(real, 10 - real))
    assert augment.p == 0


def test_p_falls_as_fast_as_it_rises():
    augment = adaptive(0.5)
    for _ in range(100):
        augment.observe(verdicts(0, 100))
    assert augment.p.item() == pytest.approx(0.5 - 10_000 / 500_000)
    for _ in range(100):
        augment.observe(verdicts(100, 0))
    assert augment.p == 0.5


def test_p_stays_where_the_verdicts_are_on_target():
    augment = adaptive(0.25)
    for _ in range(40):
        augment.observe(verdicts(8, 2))  # 0.8 - 0.2 = 0.6
    assert augment.p == 0.25


@pytest.mark.parametrize(("target", "direction"), [(0.5, 1), (0.7, -1)])
def test_the_target_decides_the_direction(target, direction):
    augment = adaptive(0.25, target=target)
    for _ in range(4):
        augment.observe(verdicts(8, 2))
    assert augment.p.item() == pytest.approx(0.25 + direction * 40 / 500_000)


def test_p_moves_every_fourth_time_by_the_images_of_all_four():
    augment = adaptive()
    path = []
    for batch in (1, 20, 300, 4000, 5, 5, 5, 5):
        augment.observe(verdicts(batch, 0))
        path.append(round(augment.p.item() * 500_000))
    assert path == [0, 0, 0, 4321, 4321, 4321, 4321, 4341]


def test_the_verdicts_of_all_four_turns_count():
    augment = adaptive(0.25)
    for real in (10, 10, 10, 1):  # 31 of 40: a mean sign of 0.55, though three turns are at 1
        augment.observe(verdicts(real, 10 - real))
    assert augment.p < 0.25


def test_many_small_steps_are_as_exact_as_few_large_ones():
    augment = adaptive()
    for _ in range(2000):
        augment.observe(verdicts(1, 0))
    assert augment.p == 2000 / 500_000


def test_verdicts_on_packs_count_for_all_of_their_images():
    augment = adaptive()
    for _ in range(4):
        augment.observe(verdicts(32, 0), images=64)
    assert augment.climbed == 256


def test_a_map_of_verdicts_for_each_image_counts_as_one_image():
    augment = adaptive()
    maps = verdicts(4, 6)[:, :, None, None].expand(-1, -1, 3, 3).contiguous()
    maps[4:, :, :, 1:] = 1.0  # 4 + 6 * 2/3 of 10 say real: a mean sign of 0.6
    for _ in range(4):
        augment.observe(maps)
    assert augment.climbed == 0
    maps[4, 0, 0, 0] = 1.0
    for _ in range(4):
        augment.observe(maps)
    assert augment.climbed == 40


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_verdicts_of_any_precision_and_with_a_graph_are_welcome(dtype):
    augment = adaptive()
    for _ in range(4):
        augment.observe((verdicts(300, 0).requires_grad_() * 2).to(dtype))
    assert augment.climbed == 1200
    assert not augment.climbed.requires_grad


def test_without_a_target_nothing_moves_and_nothing_is_kept():
    augment = Augmentation(POLICIES, channels=3)
    for _ in range(8):
        augment.observe(verdicts(10_000, 0))
    assert augment.p == 1
    assert not augment.state_dict()


# State.


@pytest.mark.parametrize("saved_after", range(9))
def test_a_restored_one_goes_on_bit_for_bit(saved_after):
    def live(augment, turns):
        path = []
        for turn in turns:
            torch.manual_seed(turn)
            images = augment(torch.randn(16, 3, 8, 8))
            augment.observe(images.mean((2, 3))[:, :1] + 0.2)
            path.append((images, augment.p.clone()))
        return path

    whole = live(adaptive(0.4), range(20))
    first = adaptive(0.4)
    live(first, range(saved_after))
    saved = safetensors.torch.save(first.state_dict())
    second = Augmentation(POLICIES, channels=3, target=0.6)
    second.load_state_dict(safetensors.torch.load(saved))
    for ours, theirs in zip(live(second, range(saved_after, 20)), whole[saved_after:], strict=True):
        assert all(map(torch.equal, ours, theirs))
    assert len({p.item() for _, p in whole}) > 2, "p moved meanwhile"


def test_casting_the_module_does_not_round_p():
    augment = adaptive(0.123456)
    assert copy.deepcopy(augment).bfloat16().p == augment.p


def test_nothing_is_read_back_to_the_host(monkeypatch):
    # On the meta device there are no values to read.
    augment = adaptive().to("meta")
    for _ in range(5):
        assert augment(torch.empty(4, 3, 8, 8, device="meta")).is_meta
        augment.observe(torch.empty(4, 1, device="meta"))

    def refuse(*_):
        raise AssertionError("a value was read back")

    for name in ("item", "tolist", "cpu", "numpy", "nonzero", "__bool__", "__int__", "__float__"):
        monkeypatch.setattr(Tensor, name, refuse)
    augment = adaptive(0.5)
    for _ in range(5):
        augment.observe(augment(torch.randn(4, 3, 8, 8)).mean((2, 3))[:, :1])
