from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from zerosum.game.core import Game, Play, Player, image_gradients
from zerosum.game.generation import Generation
from zerosum.game.penalties import r1, r2
from zerosum.nets import mlp

SHAPE = (1, 2, 3)


def player(net, **objective):
    return Player(net=net, optimizer=torch.optim.SGD(net.parameters(), lr=0.1), objective=objective)


def game_of(D=None, **changes):
    torch.manual_seed(0)
    G = mlp.Generator(SHAPE, latent_size=4, hidden=[5])
    D = D or mlp.Discriminator(SHAPE, hidden=[5])
    parts = {"G": player(G), "D": player(D), "forward": Generation(latent_size=4)}
    return Game(**(parts | changes))


class Counted:
    """A critic that counts how often it is asked, and about how many images."""

    def __init__(self, net):
        self.net = net
        self.asked = []

    def __call__(self, images):
        self.asked.append(len(images))
        return self.net(images, images.new_empty(len(images), 0))


@pytest.fixture
def make_play():
    torch.manual_seed(1)
    net = mlp.Discriminator(SHAPE, hidden=[5])
    real, fake = torch.randn(2, 6, *SHAPE)
    condition = torch.empty(6, 0)
    return lambda **more: Play(
        critic=Counted(net), real=real, fake=fake, condition=condition, seen=6, **more
    )


class TestLogits:
    def test_nothing_is_asked_that_no_term_wants(self, make_play):
        play = make_play()
        assert play.critic.asked == []
        assert play.fake_logits.shape == (6, 1)
        assert play.critic.asked == [6]

    def test_each_is_computed_once(self, make_play):
        play = make_play()
        assert play.real_logits is play.real_logits
        assert play.fake_logits is play.fake_logits
        assert play.critic.asked == [6, 6]

    def test_one_pass_asks_once_about_both(self, make_play):
        play = make_play(in_one_pass=True)
        assert play.real_logits is not play.fake_logits
        assert play.real_logits.shape == play.fake_logits.shape == (6, 1)
        assert play.critic.asked == [12]

    def test_one_pass_gives_what_two_give(self, make_play):
        one, two = make_play(in_one_pass=True), make_play()
        torch.testing.assert_close(one.real_logits, two.real_logits)
        torch.testing.assert_close(one.fake_logits, two.fake_logits)
        assert not torch.allclose(one.real_logits, one.fake_logits)

    @pytest.mark.parametrize("in_one_pass", [False, True])
    def test_they_are_float32_under_autocast(self, make_play, in_one_pass):
        play = make_play(in_one_pass=in_one_pass)
        with torch.autocast("cpu", torch.bfloat16):
            assert play.critic(play.real).dtype == torch.bfloat16
            assert play.real_logits.dtype == play.fake_logits.dtype == torch.float32


class TestGradients:
    def test_of_one_pass_they_are_those_of_two_and_of_passes_of_their_own(self, make_play):
        one, two = make_play(in_one_pass=True), make_play()
        for name, images in (("real_gradient", one.real), ("fake_gradient", one.fake)):
            expected = image_gradients(two.critic, images)
            assert expected.shape == (6, 6)
            torch.testing.assert_close(getattr(one, name), expected)
            torch.testing.assert_close(getattr(two, name), expected)
        assert not torch.allclose(one.real_gradient, one.fake_gradient)

    def test_they_come_of_the_passes_that_gave_the_logits(self, make_play):
        for in_one_pass, asked in ((True, [12]), (False, [6, 6])):
            play = make_play(in_one_pass=in_one_pass)
            _ = play.real_logits, play.fake_logits
            _ = play.real_gradient, play.fake_gradient
            assert play.critic.asked == asked

    def test_a_row_of_several_logits_has_that_of_their_sum(self, make_play):
        def patches(images):
            return torch.stack([images[:, 0, 0, 0], 3 * images[:, 0, 1, 2]], dim=1)

        play = replace(make_play(in_one_pass=True), critic=patches)
        expected = torch.tensor([[1.0, 0, 0, 0, 0, 3]]).expand(6, 6)
        assert torch.equal(play.real_gradient, expected)
        assert torch.equal(play.fake_gradient, expected)

    def test_a_row_that_judges_a_pack_has_that_of_all_its_images(self, make_play):
        def of_pairs(images):
            return images.reshape(len(images) // 2, -1).square().sum(1, keepdim=True) / 2

        play = replace(make_play(in_one_pass=True), critic=of_pairs)
        assert torch.equal(play.real_gradient, play.real.reshape(3, 12))
        assert torch.equal(play.fake_gradient, play.fake.reshape(3, 12))

    @pytest.mark.parametrize("asked_first", ["logits", "gradients"])
    def test_d_learns_the_same_of_penalties_in_one_pass_as_in_passes_of_their_own(
        self, make_play, asked_first
    ):
        def taught(penalise, *, in_one_pass):
            play = make_play(in_one_pass=in_one_pass)
            weights = [*play.critic.net.parameters()]
            if asked_first == "gradients":
                loss = penalise(play) + (play.fake_logits - play.real_logits).square().mean()
            else:
                loss = (play.fake_logits - play.real_logits).square().mean() + penalise(play)
            return torch.autograd.grad(loss, weights, materialize_grads=True)

        def separately(play):
            halves = [image_gradients(play.critic, images) for images in (play.real, play.fake)]
            return sum(0.3 / 2 * half.square().sum(1).mean() for half in halves)

        def shared(play):
            return r1(0.3)(play) + r2(0.3)(play)

        expected = taught(separately, in_one_pass=False)
        for in_one_pass in (False, True):
            found = taught(shared, in_one_pass=in_one_pass)
            for mine, theirs in zip(found, expected, strict=True):
                torch.testing.assert_close(mine, theirs)
        assert all(gradient.any() for gradient in expected[::2])  # the layers' weights

    @pytest.mark.parametrize("in_one_pass", [False, True])
    def test_images_that_carry_a_graph_learn_nothing_of_them(self, make_play, in_one_pass):
        start = torch.randn(6, *SHAPE, requires_grad=True)
        play = replace(make_play(in_one_pass=in_one_pass), fake=2 * start)
        loss = (play.real_gradient + play.fake_gradient).square().sum()
        weight = next(play.critic.net.parameters())
        of_images, of_weights = torch.autograd.grad(
            loss, [start, weight], allow_unused=True, retain_graph=True
        )
        assert of_images is None
        assert of_weights.any()
        torch.testing.assert_close(play.fake_gradient, image_gradients(play.critic, play.fake))
        (of_images,) = torch.autograd.grad(play.fake_logits.sum(), start)  # as G has to
        assert of_images.any()

    @pytest.mark.parametrize("in_one_pass", [False, True])
    @pytest.mark.parametrize("on_gs_turn", [False, True])
    def test_fakes_in_half_precision_have_them_in_the_datas(
        self, make_play, in_one_pass, on_gs_turn
    ):
        play = make_play(in_one_pass=in_one_pass)
        half = play.fake.bfloat16().requires_grad_(on_gs_turn)
        play = replace(play, fake=half)
        with torch.autocast("cpu", torch.bfloat16):
            assert play.fake_gradient.dtype == play.real_gradient.dtype == torch.float32


class TestGame:
    @pytest.mark.parametrize("turns", ["DG", "DDDDDG", "DGG", "DGDG"])
    def test_a_round_is_any_turns_that_begin_with_d(self, turns):
        assert game_of(turns=turns).turns == turns

    @pytest.mark.parametrize("turns", ["", "D", "G", "DD", "GD", "dg", "DXG", "D G"])
    def test_other_turns_are_refused(self, turns):
        with pytest.raises(ValueError, match="expected the letters D and G, D first"):
            game_of(turns=turns)

    def test_a_letter_names_a_player(self):
        game = game_of()
        assert game.player("G") is game.G
        assert game.player("D") is game.D

    def test_its_weights_are_those_of_both(self):
        assert game_of().num_weights == (4 * 5 + 5 + 5 * 6 + 6) + (6 * 5 + 5 + 5 + 1)

    def test_frozen_parameters_are_not_the_players(self):
        net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
        net[0].requires_grad_(False)
        assert [p.shape for p in player(net).parameters] == [(1, 3), (1,)]

    @pytest.mark.parametrize(
        ("layer", "couples"),
        [
            (partial(nn.BatchNorm2d, 4), True),
            (partial(nn.SyncBatchNorm, 4), True),
            (partial(nn.InstanceNorm2d, 4), False),
            (partial(nn.GroupNorm, 2, 4), False),
        ],
    )
    def test_only_batch_norm_couples_the_images_of_a_batch(self, layer, couples):
        D = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Sequential(layer()))
        assert game_of(D).has_batch_norm is couples
