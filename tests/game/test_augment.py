"""What the augmentations do to images, and what controls their probability."""

import copy
from itertools import product

import pytest
import safetensors.torch
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import pad

from zerosum.config.specs import POLICIES
from zerosum.errors import UserError
from zerosum.game.augment import APPLY, Augmentation, color, cutout, flip, translation

SHAPES = [(1, 8, 8), (3, 6, 9), (4, 9, 5)]
"""(c, h, w): gray, RGB and RGBA, even and odd, square and not."""

CHANNELS = pytest.mark.parametrize("channels", [1, 3, 4])
SHAPE = pytest.mark.parametrize("shape", SHAPES, ids=str)
CHANGE = pytest.mark.parametrize("change", [*APPLY.values(), flip], ids=lambda f: f.__name__)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def seeded(change, seed=0):
    def run(images):
        torch.manual_seed(seed)
        return change(images)

    return run


def some_images(count, shape, dtype=torch.float32):
    numbers = torch.Generator().manual_seed(1)
    return torch.rand(count, *shape, generator=numbers, dtype=dtype) * 2 - 1


def test_every_name_has_its_function_in_the_order_of_the_names():
    assert tuple(APPLY) == POLICIES


# For each of them.


@SHAPE
@CHANGE
def test_it_is_differentiable_and_twice(change, shape):
    channels, height, width = shape
    # From four pixels a side there is something to translate.
    small = (channels, min(height, 5), min(width, 4))
    images = some_images(2, small, torch.float64).requires_grad_()
    assert gradcheck(seeded(change), images)
    assert gradgradcheck(seeded(change), images)


@pytest.mark.parametrize("shape", [(1, 4, 5), (4, 5, 4)], ids=str)
@CHANGE
def test_a_penalty_goes_through_a_curved_d_behind_it(change, shape):
    net = torch.nn.Sequential(torch.nn.Conv2d(shape[0], 2, 3), torch.nn.Softplus()).double()
    images = some_images(2, shape, torch.float64).requires_grad_()

    def r1(images):
        logits = net(seeded(change)(images)).sum()
        return torch.autograd.grad(logits, images, create_graph=True)[0].square().sum()

    assert gradcheck(r1, images)


@CHANGE
def test_every_image_has_its_own_numbers(change):
    # 32 pixels a side, so that two of few images hardly fall on the same place.
    images = some_images(1, (3, 32, 32)).expand(16, -1, -1, -1)
    different = {tuple(image.flatten().tolist()) for image in seeded(change)(images)}
    assert len(different) == 2 if change is flip else len(different) > 12


@CHANGE
def test_the_stream_decides_what_happens(change):
    images = some_images(16, (3, 16, 16))
    assert torch.equal(seeded(change, 7)(images), seeded(change, 7)(images))
    assert not torch.equal(seeded(change, 7)(images), seeded(change, 8)(images))


@SHAPE
@CHANGE
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("count", [1, 3])
def test_shape_and_dtype_are_kept_and_the_images_too(change, shape, dtype, count):
    images = some_images(count, shape, dtype)
    before = images.clone()
    after = change(images)
    assert (after.shape, after.dtype) == (images.shape, dtype)
    assert torch.equal(images, before)


@SHAPE
@CHANGE
def test_autocast_does_not_round_the_images(change, shape):
    images = some_images(4, shape)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = seeded(change)(images)
    assert torch.equal(rounded, seeded(change)(images))


@SHAPE
@CHANGE
def test_an_image_knows_nothing_of_its_batch(change, shape):
    images = some_images(4, shape)
    others = torch.cat([images[:2], torch.randn_like(images[2:])])
    assert torch.equal(seeded(change)(images)[:2], seeded(change)(others)[:2])


# Color.


def test_gray_images_change_in_brightness_and_contrast_only():
    images = some_images(2000, (1, 4, 4), torch.float64)
    after = color(images)
    middle, new_middle = (x.mean((1, 2, 3), keepdim=True) for x in (images, after))
    contrast = (after - new_middle).flatten(1).norm(dim=1) / (images - middle).flatten(1).norm(
        dim=1
    )
    torch.testing.assert_close(after - new_middle, (images - middle) * contrast.view(-1, 1, 1, 1))
    is_uniform(contrast, 0.5, 1.5)
    is_uniform((new_middle - middle).flatten(), -0.5, 0.5)


def is_uniform(values, low, high):
    """By the greatest distance between the distribution functions; 2.2 / sqrt(n) is 6e-5 likely."""
    unit = (values.double().sort().values - low) / (high - low)
    expected = (torch.arange(len(unit)) + 0.5) / len(unit)
    assert (unit - expected).abs().max() < 2.2 / len(unit) ** 0.5


def test_color_images_change_in_saturation_too():
    images = some_images(2000, (3, 4, 4), torch.float64)
    after = color(images)

    def luma_and_chroma(x):
        gray = x.mean(1, keepdim=True)
        return gray - gray.mean((2, 3), keepdim=True), x - gray

    (luma, chroma), (new_luma, new_chroma) = luma_and_chroma(images), luma_and_chroma(after)
    contrast = new_luma[:, :, :1, :1] / luma[:, :, :1, :1]
    torch.testing.assert_close(new_luma, luma * contrast)
    both = new_chroma[:, :1, :1, :1] / chroma[:, :1, :1, :1]
    torch.testing.assert_close(new_chroma, chroma * both)
    is_uniform(contrast.flatten(), 0.5, 1.5)
    is_uniform((both / contrast).flatten(), 0, 2)
    is_uniform((after.mean((1, 2, 3)) - images.mean((1, 2, 3))), -0.5, 0.5)
    # Each is drawn for itself.
    draws = torch.stack([contrast.flatten(), (both / contrast).flatten(), after.mean((1, 2, 3))])
    assert torch.corrcoef(draws).fill_diagonal_(0).abs().max() < 6 / 2000**0.5


def test_alpha_takes_no_part_in_color():
    images = some_images(5, (4, 6, 6))
    after = seeded(color)(images)
    assert torch.equal(after[:, 3], images[:, 3])
    assert torch.equal(after[:, :3], seeded(color)(images[:, :3]))


def test_color_may_leave_the_range_and_lets_gradients_pass_there():
    images = torch.ones(64, 1, 4, 4, requires_grad=True)
    after = color(images)
    outside = after > 1
    assert 0 < outside.float().mean() < 1
    (gradient,) = torch.autograd.grad(after[outside].sum(), images)
    torch.testing.assert_close(gradient.sum(), outside.sum().float())


# Translation.


@pytest.mark.parametrize(("height", "width"), [(8, 20), (11, 12), (3, 4)])
def test_translation_moves_by_each_whole_number_up_to_an_eighth_alike(height, width):
    images = some_images(1, (2, height, width)).expand(4000, -1, -1, -1)
    after = translation(images)
    up, across = round(height / 8 + 1e-9), round(width / 8 + 1e-9)
    shifts = [*product(range(-up, up + 1), range(-across, across + 1))]
    counts = []
    for down, right in shifts:
        blank = pad(images[0], (across, across, up, up))
        moved = blank[:, up - down :][:, :height][:, :, across - right :][:, :, :width]
        counts.append((after == moved).flatten(1).all(1).sum().item())
    assert sum(counts) == 4000
    mean = 4000 / len(shifts)
    assert max(abs(count - mean) for count in counts) < 5 * mean**0.5


@pytest.mark.parametrize(("height", "width", "most"), [(28, 28, (4, 4)), (8, 20, (1, 3))])
def test_translation_leaves_the_share_of_the_image_that_its_shifts_leave(height, width, most):
    after = translation(torch.ones(4000, 1, height, width))
    share = 1.0
    for size, reach in zip((height, width), most, strict=True):
        share *= 1 - sum(abs(shift) for shift in range(-reach, reach + 1)) / (2 * reach + 1) / size
    assert after.mean().item() == pytest.approx(share, abs=0.006)


# Cutout.


def holes(size):
    """The pixels (start, stop) that a hole may cover along a side, each alike likely."""
    width = (size + 1) // 2
    middles = range(size + 1) if width % 2 == 0 else range(size)
    starts = [middle - width // 2 for middle in middles]
    return [(max(start, 0), min(start + width, size)) for start in starts]


@pytest.mark.parametrize(("height", "width"), [(8, 6), (7, 5)])
def test_cutout_blanks_a_rectangle_of_half_the_sides_anywhere(height, width):
    images = some_images(1, (2, height, width)).expand(4000, -1, -1, -1)
    after = cutout(images)
    places = [*product(holes(height), holes(width))]
    counts = []
    for (top, bottom), (left, right) in places:
        expected = images[0].clone()
        expected[:, top:bottom, left:right] = 0
        counts.append((after == expected).flatten(1).all(1).sum().item())
    assert sum(counts) == 4000
    mean = 4000 / len(places)
    assert max(abs(count - mean) for count in counts) < 5 * mean**0.5


@pytest.mark.parametrize(("height", "width"), [(28, 28), (8, 20), (7, 5)])
def test_cutout_takes_the_share_of_the_image_that_its_holes_cover(height, width):
    after = cutout(torch.ones(4000, 1, height, width))
    share = 1.0
    for size in (height, width):
        covered = [stop - start for start, stop in holes(size)]
        share *= sum(covered) / len(covered) / size
    assert 1 - after.mean().item() == pytest.approx(share, abs=0.006)


# Flip.


def test_half_of_the_images_are_mirrored_and_nothing_else_happens():
    images = some_images(4000, (3, 2, 5))
    after = flip(images)
    mirrored = (after == images.flip(3)).flatten(1).all(1)
    assert torch.equal(after[~mirrored], images[~mirrored])
    assert abs(mirrored.float().mean() - 0.5) < 5 * 0.5 / 4000**0.5


# All together.


@SHAPE
def test_the_module_applies_its_policies_in_one_order(shape):
    images = some_images(4, shape)
    expected = seeded(lambda x: cutout(translation(color(x))))(images)
    for policies in (POLICIES, reversed(POLICIES), [*POLICIES, "color"]):
        augment = Augmentation(policies, channels=shape[0])
        assert torch.equal(seeded(augment)(images), expected)


def test_no_policy_is_the_identity():
    images = some_images(2, SHAPES[0])
    assert Augmentation((), channels=1)(images) is images


def test_color_is_refused_where_nobody_knows_what_the_channels_are():
    with pytest.raises(UserError, match=r"'color'.*2 channels"):
        Augmentation(POLICIES, channels=2)
    assert Augmentation(("translation",), channels=2)(some_images(1, (2, 4, 4))).shape[1] == 2


def test_printing_it_shows_what_it_does():
    assert repr(Augmentation(["cutout", "color"], channels=3, target=0.6)) == (
        "Augmentation(color, cutout, target=0.6)"
    )


def adaptive(p=0.0, *, policies=POLICIES, channels=3, target=0.6):
    augment = Augmentation(policies, channels=channels, target=target)
    augment.climbed.fill_(round(p * augment.IMAGES_TO_FULL))
    return augment


def verdicts(real, fake):
    """Logits (n, 1): so many that say real, and so many that say fake."""
    return torch.cat([torch.full((real, 1), 0.3), torch.full((fake, 1), -7.0)])


# The probability of augmentation: how it is applied.


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
