from functools import partial

import pytest
import torch
from torch import nn

from zerosum.deals import Generation
from zerosum.game import Game, Play, Player
from zerosum.nets import mlp

SHAPE = (1, 2, 3)


def player(net, **objective):
    return Player(net=net, optimizer=torch.optim.SGD(net.parameters(), lr=0.1), objective=objective)


def game_of(D=None, **changes):
    torch.manual_seed(0)
    G = mlp.Generator(SHAPE, latent_size=4, hidden=[5])
    D = D or mlp.Discriminator(SHAPE, hidden=[5])
    parts = {"G": player(G), "D": player(D), "deal": Generation(latent_size=4)}
    return Game(image_shape=SHAPE, **(parts | changes))


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
        assert game_of(D).couples_the_batch is couples
