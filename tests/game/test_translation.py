"""The deal of translation from pairs: what G is given, what D sees, what a person is shown."""

import pytest
import torch
from torch import nn

from zerosum.errors import UserError
from zerosum.game.core import Batch, Game, Player
from zerosum.game.losses import discriminator_cross_entropy, generator_cross_entropy
from zerosum.game.sampling import draw_inputs
from zerosum.game.translation import Translation, Views

SHAPE = (3, 4, 6)  # one channel of source, two of target
CPU = torch.device("cpu")


class Painter(nn.Module):
    """Makes two channels of one, times a weight."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5))

    def forward(self, sources):
        return self.weight * torch.cat([sources, -sources], dim=1)


class Spy(nn.Module):
    """A D of two patches that remembers what it was shown."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))
        self.shown = []

    def forward(self, images, condition):
        self.shown.append((images.detach(), condition.detach()))
        mean = self.weight * images.mean(dim=(1, 2, 3))
        return torch.stack([mean, mean + 1], dim=1)


class Normalised(Spy):
    """One with BatchNorm, which couples the images of a batch."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(2)

    def forward(self, images, condition):
        return super().forward(self.norm(images), condition)


def player(net, term):
    return Player(net=net, optimizer=torch.optim.SGD(net.parameters()), objective={"it": term})


def game_of(*, views=None, D=None, **settings):
    return Game(
        G=player(Painter(), generator_cross_entropy),
        D=player(D or Spy(), discriminator_cross_entropy),
        forward=Translation(source_channels=1, views=views or Views(), **settings),
    )


@pytest.fixture
def batch():
    return Batch(torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(0)))


def deal(game, turn, batch):
    torch.manual_seed(0)
    return game.forward(game, turn, batch, seen=60)


class TestPlay:
    def test_g_makes_a_target_of_the_source(self, batch):
        game = game_of()
        play = deal(game, "D", batch)
        assert torch.equal(play.condition, batch.real[:, :1])
        assert torch.equal(play.real, batch.real[:, 1:])
        assert torch.equal(play.fake, game.G.net(play.condition))
        assert play.seen == 60

    def test_d_sees_each_image_beside_its_source(self, batch):
        game = game_of()
        play = deal(game, "D", batch)
        assert play.real_logits.shape == play.fake_logits.shape == (5, 2)
        ((images, sources),) = game.D.net.shown  # both in one pass
        assert torch.equal(images, torch.cat([play.real, play.fake]))
        assert torch.equal(sources, torch.cat([play.condition, play.condition]))

    def test_with_batch_norm_in_two_passes(self, batch):
        game = game_of(D=Normalised())
        play = deal(game, "D", batch)
        assert play.real_logits.shape == play.fake_logits.shape == (5, 2)
        assert [len(images) for images, _ in game.D.net.shown] == [5, 5]
        assert all(torch.equal(sources, play.condition) for _, sources in game.D.net.shown)

    def test_on_ds_turn_the_fakes_are_constants_and_on_gs_they_carry_its_graph(self, batch):
        game = game_of()
        play = deal(game, "D", batch)
        assert not play.fake.requires_grad
        assert play.fake_logits.requires_grad
        play = deal(game, "G", batch)
        assert not play.in_one_pass
        (gradient,) = torch.autograd.grad(play.fake_logits.sum(), game.G.parameters)
        assert gradient.abs() > 0

    def test_it_remembers_nothing(self, batch):
        game = game_of()
        game.forward.observe(deal(game, "D", batch))
        assert not game.forward.memory.state_dict()


class TestViews:
    VIEWS = Views(enlarge=1.5, flips=True)

    def test_a_source_and_its_target_are_seen_through_the_same_one(self, batch):
        gray = batch.real[:, :1].repeat(8, 1, 1, 1)
        views = deal(game_of(views=self.VIEWS), "G", Batch(torch.cat([gray, gray, gray], dim=1)))
        assert torch.equal(views.real, torch.cat([views.condition, views.condition], dim=1))
        assert not torch.equal(views.condition, gray)

    def test_neither_enlarged_nor_mirrored_unless_asked_for(self, batch):
        assert torch.equal(Views()(batch.real), batch.real)


class TestWhatIsShown:
    def test_pictures_of_noise_are_refused_and_the_way_out_is_named(self):
        with pytest.raises(UserError, match=r"nothing of noise.*zerosum translate RUN IMAGE"):
            draw_inputs(game_of().forward.inputs, 3, CPU)

    def test_a_strip_is_source_output_target_as_they_are(self, batch):
        game = game_of(views=Views(enlarge=2, flips=True))
        source, output, target = game.forward.strip(game.G.net, batch.real)
        assert torch.equal(source, batch.real[:, :1])
        assert torch.equal(output, game.G.net(source))
        assert torch.equal(target, batch.real[:, 1:])

    @pytest.mark.parametrize("score_fn", [torch.sigmoid, lambda logits: 3 * logits])
    def test_figures_are_means_over_patches_of_d_s_opinions(self, batch, score_fn):
        game = game_of(score_fn=score_fn)
        play = deal(game, "D", batch)
        scalars = game.forward.scalars(play)
        assert not any(metric.requires_grad for metric in scalars.values())
        for name, images in (("D(x)", play.real), ("D(G(z))", play.fake)):
            patch = 2 * images.mean(dim=(1, 2, 3))
            expected = (score_fn(patch) + score_fn(patch + 1)).mean() / 2
            torch.testing.assert_close(scalars[name], expected)
