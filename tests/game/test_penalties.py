"""Penalties against closed forms, finite differences and a double backward written differently."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from zerosum.config import specs as names
from zerosum.errors import UserError
from zerosum.game.core import Game, Play, Player, image_gradients
from zerosum.game.generation import Generation
from zerosum.game.packing import pack
from zerosum.game.penalties import (
    PENALTIES,
    clip,
    dragan,
    gradient_penalty,
    r1,
    r2,
    require_lone_images,
    terms,
)
from zerosum.game.schedules import linear
from zerosum.nets import dcgan, mlp, r3gan, resnet
from zerosum.nets.layers import Options
from zerosum.training.round import play_round
from zerosum.training.step_stats import StepStats

SHAPE = (2, 4, 3)
ONE_SIDED = partial(gradient_penalty, one_sided=True)
ALL = [*PENALTIES.values(), ONE_SIDED]
NAMES = [*PENALTIES, "one-sided"]
every_penalty = pytest.mark.parametrize("penalty", ALL, ids=NAMES)


def play_of(critic, *, images=6, seen=0, dtype=torch.float64, shape=SHAPE):
    """Random images under a critic; real and fake ones are not alike."""
    generator = torch.Generator().manual_seed(1)
    real, fake = torch.randn(2, images, *shape, generator=generator, dtype=dtype)
    condition = torch.empty(images, 0, dtype=dtype)
    return Play(critic=critic, real=real, fake=2 * fake, condition=condition, seen=seen)


class Linear(nn.Module):
    """D(x) = w x + 3, whose gradient is w everywhere."""

    def __init__(self, length):
        super().__init__()
        direction = torch.randn(24, generator=torch.Generator().manual_seed(2)).double()
        self.w = nn.Parameter(length * direction / direction.norm())

    def forward(self, images):
        return images.flatten(1) @ self.w[:, None] + 3


def smooth_net(scale=1.0, dtype=torch.float64):
    """A convolutional D with curvature everywhere, so that no derivative is trivially zero."""
    torch.manual_seed(0)
    layers = nn.Conv2d(2, 5, 3, padding=1), nn.Tanh(), nn.Conv2d(5, 4, 2), nn.Softplus()
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * 3 * 2, 1)).to(dtype)
    with torch.no_grad():
        net[-1].weight.mul_(scale)
    return net


def of_weights(term, play, net, bf16=False):
    """The gradient of a term by the net's weights, in one row; 0 for weights it does not read.

    As a round takes it: the term under autocast, where it is bf16, and backward outside.
    """
    torch.manual_seed(7)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        value = term(replace(play))  # which has seen nothing yet
    parts = torch.autograd.grad(value, [*net.parameters()], materialize_grads=True)
    return torch.cat([part.flatten() for part in parts])


class TestALinearD:
    def test_is_charged_half_its_slope_squared_by_r1_and_r2(self):
        D = Linear(3.0)
        for penalty in (r1, r2):
            assert penalty(0.5)(play_of(D)).item() == pytest.approx(0.5 / 2 * 3**2, rel=1e-12)
            # d/dw weight / 2 |w|^2 = weight w
            torch.testing.assert_close(of_weights(penalty(0.5), play_of(D), D), 0.5 * D.w.detach())

    @pytest.mark.parametrize("length", [0.25, 1.0, 4.0])
    @pytest.mark.parametrize("penalty", [gradient_penalty, dragan])
    def test_is_charged_its_slopes_distance_from_1(self, penalty, length):
        D = Linear(length)
        value = penalty(10)(play_of(D)).item()
        assert value == pytest.approx(10 * (length - 1) ** 2, abs=1e-12)
        expected = 20 * (length - 1) * D.w.detach() / length
        torch.testing.assert_close(of_weights(penalty(10), play_of(D), D), expected)

    @pytest.mark.parametrize("length", [0.25, 1.0, 4.0])
    def test_is_charged_by_the_one_sided_penalty_only_when_too_steep(self, length):
        value = ONE_SIDED(10)(play_of(Linear(length))).item()
        assert value == pytest.approx(10 * max(0, length - 1) ** 2, abs=1e-12)

    @every_penalty
    def test_that_is_flat_has_finite_gradients(self, penalty):
        D = Linear(1.0)
        with torch.no_grad():
            D.w.zero_()
        value = penalty(10)(play_of(D))
        assert value.item() == (10 if penalty in (gradient_penalty, dragan) else 0)
        assert of_weights(penalty(10), play_of(D), D).isfinite().all()


class TestWhereDIsAsked:
    """A critic x -> |x|^2 / 2 has x for its gradient, and so tells which images it was shown."""

    @staticmethod
    def critic(images):
        return images.flatten(1).square().sum(1, keepdim=True) / 2

    def shown(self, penalty, play):
        seen = []

        def spy(images):
            seen.append(images.detach().clone())
            return self.critic(images)

        penalty(1.0)(replace(play, critic=spy))
        (images,) = seen
        return images

    def test_r1_at_the_reals_and_r2_at_the_fakes(self):
        play = play_of(self.critic)
        for penalty, images in ((r1, play.real), (r2, play.fake)):
            expected = images.square().sum().item() / 2 / len(images)
            assert penalty(1.0)(play).item() == pytest.approx(expected, rel=1e-12)
            assert torch.equal(self.shown(penalty, play), images)

    def test_the_gradient_penalty_on_the_line_between_each_pair(self):
        play = play_of(self.critic)
        images = self.shown(gradient_penalty, play)
        along = (images - play.fake) / (play.real - play.fake)
        t = along.flatten(1).mean(dim=1)
        torch.testing.assert_close(along, t.view(-1, 1, 1, 1).expand_as(along))
        assert ((t >= 0) & (t < 1)).all()
        assert t.unique().numel() == len(images)

    def test_the_gradient_penalty_all_along_that_line(self):
        play = play_of(self.critic, images=2000)
        t = (self.shown(gradient_penalty, play) - play.fake) / (play.real - play.fake)
        t = t.flatten(1).median(dim=1).values
        # A uniform number's mean and variance, within four standard errors.
        assert t.mean().item() == pytest.approx(0.5, abs=4 * math.sqrt(1 / 12 / 2000))
        assert t.var().item() == pytest.approx(1 / 12, abs=4 * math.sqrt(1 / 180 / 2000))

    def test_dragan_a_little_above_the_reals(self):
        play = play_of(self.critic, images=2000)
        reach = play.real.std(correction=0).item() / 2
        moved = (self.shown(dragan, play) - play.real) / reach
        assert moved.min() >= 0
        assert moved.max() < 1
        # The mean of t u for independent uniform t and u is 1/4; of an image whose t is known,
        # t/2: the images differ more than the noise of their pixels alone would make them.
        assert moved.mean().item() == pytest.approx(0.25, abs=0.02)
        assert moved.flatten(1).mean(dim=1).std().item() == pytest.approx(
            math.sqrt(1 / 48), abs=0.03
        )

    @pytest.mark.parametrize("penalty", [gradient_penalty, dragan])
    def test_random_draws_come_from_the_default_generator(self, penalty):
        play, values = play_of(self.critic), []
        for seed in (3, 3, 4):
            torch.manual_seed(seed)
            values.append(penalty(1.0)(play).item())
        assert values[0] == values[1] != values[2]

    def test_r1_and_r2_draw_nothing(self):
        before = torch.get_rng_state()
        for penalty in (r1, r2):
            penalty(1.0)(play_of(self.critic))
        assert torch.equal(before, torch.get_rng_state())


def expected_at(penalty, net, weights, images):
    """The penalty by torch.func: per-image gradients by vmap, no sums over a batch, no views."""

    def logit(image):
        return functional_call(net, weights, (image[None],)).squeeze()

    slopes = vmap(grad(logit))(images)
    squares = (slopes**2).sum(dim=(1, 2, 3))
    if penalty in (r1, r2):
        return 0.7 / 2 * squares.mean()
    surplus = squares**0.5 - 1
    return 0.7 * (surplus.clamp(min=0) if penalty is ONE_SIDED else surplus).pow(2).mean()


@pytest.mark.parametrize("scale", [0.5, 20.0], ids=["flat", "steep"])
@every_penalty
def test_value_and_gradient_are_those_of_another_double_backward(penalty, scale):
    net, shown = smooth_net(scale), []

    def critic(images):
        shown.append(images.detach().clone())
        return net(images)

    play = play_of(critic)
    ours = of_weights(penalty(0.7), play, net)
    weights = {name: weight.detach() for name, weight in net.named_parameters()}
    of = partial(expected_at, penalty, net, images=shown[0])
    theirs = grad(lambda weights: of(weights))(weights)
    torch.testing.assert_close(ours, torch.cat([part.flatten() for part in theirs.values()]))
    torch.manual_seed(7)
    torch.testing.assert_close(penalty(0.7)(play).detach(), of(weights))
    assert (ours.abs().max() > 0) == (penalty is not ONE_SIDED or scale > 1)


@every_penalty
def test_the_gradient_is_that_of_finite_differences(penalty):
    net = smooth_net(20.0)
    play, step = play_of(net), 1e-6
    ours = of_weights(penalty(0.7), play, net)
    weights = nn.utils.parameters_to_vector(net.parameters()).detach()
    direction = torch.randn(len(weights), dtype=torch.float64)

    def value(shift):
        nn.utils.vector_to_parameters(weights + shift * direction, net.parameters())
        torch.manual_seed(7)
        return penalty(0.7)(replace(play)).item()  # a Play remembers what it has seen

    slope = (value(step) - value(-step)) / (2 * step)
    assert slope == pytest.approx((ours @ direction).item(), rel=1e-6)


class TestWhatLearns:
    @every_penalty
    def test_only_d(self, penalty):
        net = smooth_net()
        play = play_of(net)
        maker = torch.ones((), dtype=torch.float64, requires_grad=True)
        play = replace(play, fake=play.fake * maker, real=play.real * maker)
        assert of_weights(penalty(1.0), play, net).abs().max() > 0 or penalty is ONE_SIDED
        (nothing,) = torch.autograd.grad(penalty(1.0)(play), maker, allow_unused=True)
        assert nothing is None

    @every_penalty
    def test_the_images_are_left_alone(self, penalty):
        play = play_of(smooth_net())
        before = play.real.clone(), play.fake.clone()
        penalty(1.0)(play)
        assert torch.equal(before[0], play.real)
        assert torch.equal(before[1], play.fake)
        assert not play.real.requires_grad
        assert not play.fake.requires_grad

    def test_r2_does_not_look_at_the_reals_nor_r1_at_the_fakes(self):
        net = smooth_net()
        play = play_of(net)
        for penalty, other in ((r1, "fake"), (r2, "real")):
            changed = replace(play, **{other: getattr(play, other) * 5})
            assert penalty(1.0)(changed).item() == penalty(1.0)(play).item()

    @pytest.mark.parametrize("name", PENALTIES)
    def test_a_round_with_it_trains_and_gives_g_no_gradient_on_ds_turn(self, name):
        torch.manual_seed(0)
        G = mlp.Generator(SHAPE, latent_size=4, hidden=[5])
        D = mlp.Discriminator(SHAPE, hidden=[5])
        score = {"score": lambda play: play.fake_logits.mean()}
        objective = score | terms(names.parse_penalties(f"{name}:0.5"))
        game = Game(
            G=Player(net=G, optimizer=torch.optim.SGD(G.parameters(), lr=0.1), objective=score),
            D=Player(net=D, optimizer=torch.optim.SGD(D.parameters(), lr=0.1), objective=objective),
            forward=Generation(latent_size=4),
            turns="DDG",
        )
        before = [p.clone() for p in D.parameters()]
        stats = StepStats()
        images = torch.randn(6, *SHAPE)
        watched = []
        G.register_forward_hook(lambda *_: watched.append([p.grad for p in G.parameters()]))
        play_round(
            game, lambda: (images, None), seed=1, turn_index=0, seen=0, bf16=False, stats=stats
        )
        assert all(gradient is None for gradient in watched[-1])  # after two turns of D
        assert any(not torch.equal(a, b) for a, b in zip(before, D.parameters(), strict=True))


class TestWeights:
    @every_penalty
    def test_a_penalty_is_proportional_to_its_weight(self, penalty):
        values = []
        for weight in (1.0, 2.5):
            torch.manual_seed(0)
            values.append(penalty(weight)(play_of(smooth_net(20.0))).item())
        assert values[1] == pytest.approx(2.5 * values[0])
        assert values[0] > 0

    @every_penalty
    def test_a_schedule_is_read_at_the_images_seen(self, penalty):
        term = penalty(linear(4, 0, images=100))
        values = []
        for seen in (0, 75, 100):
            torch.manual_seed(0)
            values.append(term(play_of(smooth_net(20.0), seen=seen)).item())
        assert values[1] == pytest.approx(values[0] / 4)
        assert values[2] == 0


class TestPacks:
    """A D that judges two images at once, stacked on the channels."""

    def test_the_images_of_a_pack_count_as_one(self):
        weights = torch.randn(2 * 24, dtype=torch.float64)
        weights *= 2 / weights.norm()

        def packed(images):
            return pack(images, 2).flatten(1) @ weights[:, None].requires_grad_()

        play = play_of(packed)
        assert image_gradients(packed, play.real).shape == (3, 48)
        assert r1(1.0)(play).item() == pytest.approx(2**2 / 2)
        assert gradient_penalty(10)(play).item() == pytest.approx(10 * (2 - 1) ** 2)
        assert dragan(10)(play).item() == pytest.approx(10 * (2 - 1) ** 2)

    def test_rows_are_the_gradients_of_their_own_packs(self):
        net = nn.Sequential(nn.Conv2d(4, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(6, 1)).double()
        images = torch.randn(6, *SHAPE, dtype=torch.float64)
        ours = image_gradients(lambda images: net(pack(images, 2)), images)
        for row, two in zip(ours, images.split(2), strict=True):
            alone = image_gradients(lambda images: net(pack(images, 2)), two)
            torch.testing.assert_close(row, alone[0])


class TestHalfPrecision:
    """Under bf16 autocast, as the round runs the terms of a bf16 run, against float32."""

    @staticmethod
    def relative_error(term, net, *, critic=None, **shape):
        play = play_of(critic or net, **({"images": 16} | shape), dtype=torch.float32)
        full = of_weights(term, play, net)
        assert full.abs().max() > 0
        return ((of_weights(term, play, net, bf16=True) - full).norm() / full.norm()).item()

    @staticmethod
    def net(slope=None):
        """A leaky D, whose mean slope may be set."""
        torch.manual_seed(0)
        layers = [nn.Conv2d(2, 16, 3, padding=1), nn.LeakyReLU(0.2)]
        layers += [nn.Conv2d(16, 16, 2), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(16 * 6, 1)]
        net = nn.Sequential(*layers)
        return net if slope is None else TestHalfPrecision.with_slope(slope, net)

    @staticmethod
    def with_slope(slope, net):
        mean = image_gradients(net, torch.randn(64, *SHAPE)).norm(dim=1).mean().item()
        with torch.no_grad():
            net[-1].weight.mul_(slope / mean)
        return net

    @pytest.mark.parametrize("penalty", [r1, r2])
    def test_r1_and_r2_agree_to_five_percent(self, penalty):
        error = self.relative_error(penalty(1.0), self.net())
        assert 0 < error < 0.05  # not 0: the products are in bf16

    @pytest.mark.parametrize("penalty", [r1, r2])
    @pytest.mark.parametrize("nets", ["mlp", "dcgan", "resnet", "r3gan"])
    def test_so_they_do_on_the_Ds_of_the_recipes(self, nets, penalty):
        torch.manual_seed(0)
        shape, options = (1, 28, 28), Options(width=8)
        D = {
            "mlp": lambda: mlp.Discriminator(shape, hidden=[512, 256]),
            "dcgan": lambda: dcgan.Discriminator(shape, options=options, norm="none"),
            "resnet": lambda: resnet.Discriminator(shape, options=options),
            "r3gan": lambda: r3gan.Discriminator(shape, options=options),
        }[nets]()
        for weights in D.parameters():
            if weights.dim() > 1 and not weights.any():  # R3GAN's branches would be cut off
                nn.init.normal_(weights, 0.0, 0.1)

        def critic(images):
            return D(images, images.new_empty(len(images), 0))

        error = self.relative_error(penalty(1.0), D, critic=critic, images=32, shape=shape)
        assert 0 < error < 0.05

    @pytest.mark.parametrize("slope", [1.0, 5.0])
    @pytest.mark.parametrize("penalty", [gradient_penalty, dragan])
    def test_those_that_centre_on_1_are_exact(self, penalty, slope):
        assert self.relative_error(penalty(1.0), self.net(slope)) == 0

    def test_because_bf16_would_be_far_off_where_the_slope_is_right(self):
        def careless(play):
            return (image_gradients(play.critic, play.real).norm(dim=1) - 1).square().mean()

        def nearly_linear(slope):
            torch.manual_seed(0)
            net = nn.Sequential(nn.Flatten(), nn.Linear(24, 64), nn.Softplus(), nn.Linear(64, 1))
            with torch.no_grad():
                net[1].weight.mul_(0.1)
            return self.with_slope(slope, net)

        near, far = (self.relative_error(careless, nearly_linear(slope)) for slope in (1.0, 5.0))
        assert near > 0.1
        assert far < 0.05

    @every_penalty
    def test_autocasts_cache_of_cast_weights_does_not_cut_the_gradient(self, penalty):
        # Where D is first asked without gradients, autocast may keep its weights as cast then;
        # were they used again, the penalty would teach D nothing.
        net = self.net(slope=5.0)
        play = play_of(net, dtype=torch.float32)

        def asked_before(play):
            with torch.no_grad():
                net(play.real)
            return penalty(1.0)(play)

        ours = of_weights(asked_before, play, net, bf16=True)
        assert torch.equal(ours, of_weights(penalty(1.0), play, net, bf16=True))
        assert ours.abs().max() > 0

    @every_penalty
    def test_beside_other_terms_it_adds_its_own_gradient(self, penalty):
        # They share autocast's cast weights.
        net = self.net(slope=5.0)

        def both(play):
            return play.fake_logits.mean() + penalty(1.0)(play)

        def gradient(term):
            return of_weights(term, play_of(net, dtype=torch.float32), net, bf16=True)

        alone = gradient(lambda play: play.fake_logits.mean()) + gradient(penalty(1.0))
        torch.testing.assert_close(
            gradient(both), alone, rtol=0.02, atol=0.02 * alone.abs().max().item()
        )

    @every_penalty
    def test_fakes_that_g_made_in_bf16_are_raised_to_the_datas_precision(self, penalty):
        net = self.net(slope=5.0)
        play = play_of(net, dtype=torch.float32)
        half, same = (
            replace(play, fake=fake)
            for fake in (play.fake.bfloat16(), play.fake.bfloat16().float())
        )
        ours, theirs = (of_weights(penalty(1.0), play, net, bf16=True) for play in (half, same))
        assert torch.equal(ours, theirs)
        with torch.autocast("cpu", torch.bfloat16):
            assert penalty(1.0)(half).dtype == torch.float32


class TestClip:
    def test_every_weight_is_inside_and_those_that_were_are_untouched(self):
        net = smooth_net()
        before = [p.detach().clone() for p in net.parameters()]
        clip(0.05)(net)
        for now, then in zip(net.parameters(), before, strict=True):
            assert now.abs().max() <= 0.05
            assert torch.equal(now, then.clamp(-0.05, 0.05))
            assert now.requires_grad
        assert any((then.abs() > 0.05).any() for then in before)

    def test_statistics_are_not_weights(self):
        net = nn.BatchNorm1d(3)
        clip(0.01)(net)
        assert net.running_var.tolist() == [1, 1, 1]
        assert net.weight.tolist() == pytest.approx([0.01] * 3)


class TestByName:
    def test_the_names_are_those_known_without_torch(self):
        assert tuple(PENALTIES) == names.PENALTIES

    def test_a_flags_text_becomes_terms_by_the_logs_names(self):
        found = terms(names.parse_penalties("gradient-penalty:10,r1:0.5,r2:2,dragan:3"))
        assert list(found) == ["gradient_penalty", "r1", "r2", "dragan"]
        play = play_of(Linear(3.0))
        values = [term(play).item() for term in found.values()]
        assert values == pytest.approx([10 * 4, 0.5 * 9 / 2, 2 * 9 / 2, 3 * 4])

    def test_every_weight_may_become_a_schedule(self):
        specs = names.parse_penalties("r1:8,gradient-penalty:4:one-sided")
        found = terms(specs, weigh=lambda weight: linear(weight, weight / 2, images=100))
        for seen, share in ((0, 1), (100, 0.5)):
            values = [term(play_of(Linear(2.0), seen=seen)).item() for term in found.values()]
            assert values == pytest.approx([share * 8 * 2, share * 4])

    def test_one_sided_is_heeded(self):
        flat = play_of(Linear(0.5))
        two_sided, one_sided = (
            terms(names.parse_penalties(text))["gradient_penalty"](flat).item()
            for text in ("gradient-penalty:10", "gradient-penalty:10:one-sided")
        )
        assert (two_sided, one_sided) == (pytest.approx(2.5), 0)


class TestBatchNorm:
    @pytest.mark.parametrize("layer", [nn.BatchNorm2d(4), nn.SyncBatchNorm(4)])
    def test_is_refused_with_the_reason_and_the_way_out(self, layer):
        D = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Sequential(layer))
        with pytest.raises(UserError, match=r"'r1' .* BatchNorm, .* whole batch.* --d-norm none"):
            require_lone_images(D, "r1")

    @pytest.mark.parametrize("layer", [nn.InstanceNorm2d(4), nn.GroupNorm(2, 4), nn.LayerNorm(3)])
    def test_norms_of_one_image_are_welcome(self, layer):
        require_lone_images(nn.Sequential(nn.Conv2d(1, 4, 3), layer), "r1")

    def test_it_is_refused_for_good_reason(self):
        # One image's gradient changes with its neighbours: it is not that image's own.
        D = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(24), nn.Tanh(), nn.Linear(24, 1)).double()
        images = torch.randn(4, *SHAPE, dtype=torch.float64)
        others = torch.cat([images[:1], 3 * images[1:]])
        assert not torch.allclose(image_gradients(D, images)[0], image_gradients(D, others)[0])
