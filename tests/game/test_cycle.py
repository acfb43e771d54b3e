"""The deal of translation without pairs: two domains, two ways, two judges, two pools."""

import pytest
import torch
from torch import nn

from zerosum.errors import UserError
from zerosum.game.core import Batch, Game, Player
from zerosum.game.cycle import (
    CycleTranslation,
    DiscriminatorPair,
    GeneratorPair,
    both_ways,
    cycle,
    identity,
    require_equal_channels,
)
from zerosum.game.losses import OBJECTIVES
from zerosum.game.pool import Pool
from zerosum.game.sampling import draw_inputs
from zerosum.game.translation import Views

SHAPE = (2, 4, 6)  # a channel each
OWN = (1, 4, 6)
CPU = torch.device("cpu")


class Way(nn.Module):
    """x -> scale x + shift."""

    def __init__(self, scale=1.0, shift=0.0):
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.tensor(scale)), shift

    def forward(self, images):
        return self.scale * images + self.shift


class Spy(nn.Module):
    """A D of two patches that remembers what it was shown."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))
        self.shown = []

    def forward(self, images, condition):
        assert condition.shape[1] == 0
        self.shown.append(images.detach())
        mean = self.weight * images.mean(dim=(1, 2, 3))
        return torch.stack([mean, mean + 1], dim=1)


def player(net, terms):
    return Player(net=net, optimizer=torch.optim.SGD(net.parameters()), objective=terms)


def game_of(AB=None, BA=None, *, D=None, views=None, pool=0, score_fn=torch.sigmoid):
    objective = both_ways(OBJECTIVES["least-squares"])
    return Game(
        G=player(GeneratorPair(AB=AB or Way(2.0), BA=BA or Way(3.0)), objective.G),
        D=player(DiscriminatorPair(A=D or Spy(2.0), B=Spy(5.0)), objective.D),
        forward=CycleTranslation(
            source_channels=1,
            views=views or Views(),
            pools=(Pool(pool, OWN), Pool(pool, OWN)),
            score_fn=score_fn,
        ),
    )


@pytest.fixture
def batch():
    return Batch(torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(0)) - 0.5)


def deal(game, turn, batch):
    torch.manual_seed(0)
    return game.forward(game, turn, batch, seen=60)


def size_of(images):
    """The mean absolute value of images."""
    return images.abs().mean()


class TestPlay:
    def test_each_domain_is_played_in_its_own_right(self, batch):
        play = deal(game_of(), "D", batch)
        A, B = batch.real.split(1, dim=1)
        assert torch.equal(play.a.real, A)
        assert torch.equal(play.a.fake, 3 * B)
        assert torch.equal(play.b.real, B)
        assert torch.equal(play.b.fake, 2 * A)
        assert play.seen == play.a.seen == play.b.seen == 60

    def test_each_d_sees_its_own_domain_alone(self, batch):
        game = game_of()
        play = deal(game, "D", batch)
        for side, net in ((play.a, game.D.net.A), (play.b, game.D.net.B)):
            assert side.real_logits.shape == side.fake_logits.shape == (5, 2)
            (shown,) = net.shown  # both in one pass
            assert torch.equal(shown, torch.cat([side.real, side.fake]))

    def test_one_batch_norm_is_enough_for_two_passes(self, batch):
        class Normalised(Spy):
            def __init__(self):
                super().__init__(1.0)
                self.norm = nn.BatchNorm2d(1)

        play = deal(game_of(D=Normalised()), "D", batch)
        assert not play.a.in_one_pass
        assert not play.b.in_one_pass

    def test_on_ds_turn_the_fakes_are_constants_and_on_gs_they_carry_its_graph(self, batch):
        play = deal(game_of(), "D", batch)
        assert not any(images.requires_grad for images in (play.a.fake, play.b.fake, *play.fresh))
        play = deal(game_of(), "G", batch)
        assert play.a.fake.requires_grad
        assert play.b.fake.requires_grad

    def test_the_images_of_a_and_b_are_seen_through_views_of_their_own(self, batch):
        same = batch.real[:, :1].repeat(8, 2, 1, 1)
        play = deal(game_of(views=Views(flips=True)), "G", Batch(same))
        alike = (play.a.real == play.b.real).all(dim=(1, 2, 3))
        assert alike.any()
        assert not alike.all()

    def test_called_the_generators_translate_a_to_b(self, batch):
        ways = game_of().G.net
        assert torch.equal(ways(batch.real), 2 * batch.real)


class TestCycle:
    def test_it_costs_nothing_where_the_ways_are_inverse(self, batch):
        play = deal(game_of(Way(-1.0), Way(-1.0)), "G", batch)
        assert cycle(10)(play) == 0
        torch.testing.assert_close(identity(1)(play), 4 * size_of(batch.real))  # A and B

    def test_identity_costs_nothing_where_nothing_changes(self, batch):
        play = deal(game_of(Way(), Way()), "G", batch)
        assert identity(5)(play) == cycle(10)(play) == 0

    @pytest.mark.parametrize(("there", "back"), [(0.25, 0.25), (0.5, -0.125), (-0.5, -0.25)])
    def test_shifts_add_up(self, batch, there, back):
        play = deal(game_of(Way(1.0, there), Way(1.0, back)), "G", batch)
        round_trip, stay = abs(there + back), abs(there) + abs(back)
        assert cycle(10)(play).item() == pytest.approx(10 * 2 * round_trip, rel=1e-5)
        assert identity(5)(play).item() == pytest.approx(5 * stay, rel=1e-5)

    def test_which_way_is_gone(self, batch):
        # AB doubles and BA triples: round trips make sixfold of everything, and what stays in A
        # goes the way into A.
        play = deal(game_of(), "G", batch)
        A, B = map(size_of, batch.real.split(1, dim=1))
        torch.testing.assert_close(cycle(10)(play), 10 * 5 * (A + B))
        torch.testing.assert_close(identity(5)(play), 5 * (2 * A + 1 * B))

    def test_identity_needs_equal_channels(self):
        require_equal_channels(3, 3)
        with pytest.raises(UserError, match=r"1 of A, 3 of B.*--identity 0"):
            require_equal_channels(1, 3)


class TestGradients:
    def test_each_term_teaches_the_d_of_its_domain_alone(self, batch):
        game = game_of()
        play = deal(game, "D", batch)
        A, B = game.D.net.A.weight, game.D.net.B.weight
        for name, mine, other in (("least_squares_A", A, B), ("least_squares_B", B, A)):
            loss = game.D.objective[name](play)
            gradients = torch.autograd.grad(loss, [mine, other], allow_unused=True)
            assert gradients[0].abs() > 0
            assert gradients[1] is None

    def test_each_adversarial_term_teaches_the_way_into_its_domain_and_the_cycle_both(self, batch):
        game = game_of()
        play = deal(game, "G", batch)
        AB, BA = game.G.net.AB.scale, game.G.net.BA.scale
        for term, taught in (
            (game.G.objective["least_squares_A"], [False, True]),
            (game.G.objective["least_squares_B"], [True, False]),
            (cycle(10), [True, True]),
            (identity(5), [True, True]),
        ):
            gradients = torch.autograd.grad(
                term(play), [AB, BA], allow_unused=True, retain_graph=True
            )
            assert [gradient is not None for gradient in gradients] == taught

    @pytest.mark.parametrize("loss", OBJECTIVES)
    def test_both_ways_plays_each_term_on_each_side(self, batch, loss):
        objective = OBJECTIVES[loss]
        for turn in "DG":
            play = deal(game_of(), turn, batch)
            terms, sides = getattr(objective, turn), getattr(both_ways(objective), turn)
            assert list(sides) == [f"{name}_{side}" for side in "AB" for name in terms]
            for name, term in terms.items():
                assert torch.equal(sides[f"{name}_A"](play), term(play.a))
                assert torch.equal(sides[f"{name}_B"](play), term(play.b))


class TestPools:
    def test_on_ds_turns_old_fakes_are_shown_and_on_gs_never(self, batch):
        game = game_of(pool=5)
        first = deal(game, "D", batch)
        assert torch.equal(first.a.fake, first.fresh[0])
        game.forward.observe(first)
        later = Batch(batch.real + 1)
        second = deal(game, "D", later)
        for play, old, new in (
            (second.a, first.fresh[0], second.fresh[0]),
            (second.b, first.fresh[1], second.fresh[1]),
        ):
            is_new = (play.fake == new).all(dim=(1, 2, 3))
            assert 0 < is_new.sum() < 5
            assert all((old == image).all(dim=(1, 2, 3)).any() for image in play.fake[~is_new])
        game.forward.observe(second)
        third = deal(game, "G", Batch(batch.real + 2))
        assert torch.equal(third.a.fake, third.fresh[0])
        assert torch.equal(third.b.fake, third.fresh[1])

    def test_they_remember_new_fakes_and_are_the_deals_memory(self, batch):
        game = game_of(pool=5)
        play = deal(game, "D", batch)
        assert not any(tensor.any() for tensor in game.forward.memory.state_dict().values())
        game.forward.observe(play)
        state = game.forward.memory.state_dict()
        assert state.keys() == {"0.images", "0.count", "1.images", "1.count"}
        assert torch.equal(state["0.images"][:5], play.fresh[0])
        assert torch.equal(state["1.images"][:5], play.fresh[1])


class TestWhatIsShown:
    def test_pictures_of_noise_are_refused(self):
        with pytest.raises(UserError, match="zerosum translate RUN IMAGE"):
            draw_inputs(game_of().forward.inputs, 3, CPU)

    def test_a_strip_goes_there_and_back_from_either_side(self, batch):
        game = game_of(views=Views(enlarge=2, flips=True))
        A, B = batch.real.split(1, dim=1)
        panels = game.forward.strip(game.G.net, batch.real)
        for panel, expected in zip(panels, (A, 2 * A, 6 * A, B, 3 * B, 6 * B), strict=True):
            torch.testing.assert_close(panel, expected)

    @pytest.mark.parametrize("score_fn", [torch.sigmoid, lambda logits: 3 * logits])
    def test_figures_are_means_over_both_domains_and_all_patches(self, batch, score_fn):
        game = game_of(score_fn=score_fn)
        play = deal(game, "D", batch)
        scalars = game.forward.scalars(play)
        assert not any(metric.requires_grad for metric in scalars.values())
        for name, images in (
            ("D(x)", (play.a.real, play.b.real)),
            ("D(G(z))", (play.a.fake, play.b.fake)),
        ):
            patches = [
                weight * side.mean(dim=(1, 2, 3)) + patch
                for weight, side in zip((2, 5), images, strict=True)
                for patch in (0, 1)
            ]
            torch.testing.assert_close(scalars[name], score_fn(torch.cat(patches)).mean())
