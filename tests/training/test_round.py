"""One round against loops written by hand; and four further recipes, as evidence that the
abstraction carries them without a line of the library changing."""

from dataclasses import dataclass, replace
from functools import cached_property

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss

from zerosum.game.core import Batch, Game, Play, Player
from zerosum.game.generation import Generation
from zerosum.game.losses import discriminator_cross_entropy, generator_cross_entropy
from zerosum.game.penalties import r1, r2
from zerosum.nets import mlp
from zerosum.seeds import enter_stream
from zerosum.training.passes import Stream
from zerosum.training.round import play_round, play_turn
from zerosum.training.step_stats import StepStats

CPU = torch.device("cpu")
SHAPE = (1, 3, 4)
SEED = 11
STREAM = Stream(CPU, SEED, 0)


def make_game(*, D_terms=None, G_terms=None, constraint=None, turns="DG"):
    torch.manual_seed(0)
    G = mlp.Generator(SHAPE, latent_size=5, hidden=[7])
    D = mlp.Discriminator(SHAPE, hidden=[7])

    def player(net, terms, constraint=None):
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-2, betas=(0.5, 0.9))
        return Player(net=net, optimizer=optimizer, objective=terms, constraint=constraint)

    return Game(
        G=player(G, G_terms or {"cross_entropy": generator_cross_entropy}),
        D=player(D, D_terms or {"cross_entropy": discriminator_cross_entropy}, constraint),
        forward=Generation(latent_size=5),
        turns=turns,
    )


class Loader:
    """Deals batches of random images that the number of the batch decides."""

    def __init__(self, shape=SHAPE, batch=6):
        self.shape, self.batch = shape, batch
        self.dealt = []

    def next_batch(self):
        generator = torch.Generator().manual_seed(len(self.dealt))
        images = torch.rand(self.batch, *self.shape, generator=generator) * 2 - 1
        self.dealt.append(images)
        return images, None


def play(game, rounds=1, loader=None, bf16=False):
    """Play rounds from the start, and return the stats and the loader."""
    loader, stats, seen = loader or Loader(), StepStats(), 0
    for number in range(rounds):
        seen += play_round(
            game,
            loader.next_batch,
            seed=SEED,
            turn_index=number * len(game.turns),
            seen=seen,
            bf16=bf16,
            stats=stats,
        )
    return stats, loader


def weights(net):
    return [tensor.clone() for tensor in net.state_dict().values()]


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


class Watched:
    """A term that remembers the Plays it was given."""

    def __init__(self, term):
        self.term, self.plays = term, []

    def __call__(self, play):
        self.plays.append(play)
        return self.term(play)


class TestARound:
    def test_is_bit_for_bit_the_loop_that_one_would_write_by_hand(self):
        game = make_game()
        play(game, rounds=5)

        twin = make_game()  # trained below with nothing of the library but its nets
        G, D = twin.G.net, twin.D.net
        loader, nothing = Loader(), torch.empty(6, 0)
        ones, zeros = torch.ones(6, 1), torch.zeros(6, 1)
        for step in range(5):
            real, _ = loader.next_batch()
            enter_stream(CPU, "turn", SEED, 2 * step)
            fake = G(torch.randn(6, 5), nothing).detach()
            logits = D(torch.cat([real, fake]), nothing)
            loss = binary_cross_entropy_with_logits(logits[:6], ones)
            loss = loss + binary_cross_entropy_with_logits(logits[6:], zeros)
            twin.D.optimizer.zero_grad()
            loss.backward()
            twin.D.optimizer.step()

            enter_stream(CPU, "turn", SEED, 2 * step + 1)
            loss = binary_cross_entropy_with_logits(D(G(torch.randn(6, 5), nothing), nothing), ones)
            twin.G.optimizer.zero_grad()
            loss.backward()
            twin.G.optimizer.step()

        assert same(weights(game.G.net), weights(G))
        assert same(weights(game.D.net), weights(D))
        assert not same(weights(G), weights(make_game().G.net))

    def test_one_players_turn_leaves_the_other_untouched(self):
        game = make_game()
        before, gradients = {}, []

        def opponent_is_untouched_since(turn, net):
            assert same(before[turn], weights(net))

        class Spying(Generation):
            def __call__(self, game, turn, batch, seen):
                before[turn] = weights(game.player("G" if turn == "D" else "D").net)
                if turn == "G":
                    opponent_is_untouched_since("D", game.G.net)
                    assert all(p.grad is None for p in game.G.parameters)
                    gradients.extend(p.grad.clone() for p in game.D.parameters)
                return super().__call__(game, turn, batch, seen)

        play(Game(G=game.G, D=game.D, forward=Spying(latent_size=5)))
        opponent_is_untouched_since("G", game.D.net)
        assert same(gradients, [p.grad for p in game.D.parameters])

    def test_a_round_counts_the_images_it_dealt(self):
        game, stats = make_game(turns="DDG"), StepStats()
        dealt = play_round(
            game, Loader().next_batch, seed=0, turn_index=0, seen=0, bf16=False, stats=stats
        )
        assert dealt == 12

    def test_each_turn_of_d_is_dealt_a_batch_and_gs_turn_replays_the_last(self):
        D_term, G_term = Watched(discriminator_cross_entropy), Watched(generator_cross_entropy)
        game = make_game(D_terms={"it": D_term}, G_terms={"it": G_term}, turns="DDDDDG")
        stats, loader = play(game, rounds=2)

        assert len(loader.dealt) == 10
        assert all(p.real is b for p, b in zip(D_term.plays, loader.dealt, strict=True))
        assert [p.real for p in G_term.plays] == [loader.dealt[4], loader.dealt[9]]
        assert [p.seen for p in D_term.plays] == [6 * n for n in range(1, 11)]
        assert [p.seen for p in G_term.plays] == [30, 60]
        assert {name: len(values) for name, values in stats.values.items()} == {
            "D/it": 10,
            "D(x)": 10,
            "D(G(z))": 10,
            "G/it": 2,
        }

    def test_every_turn_draws_fakes_of_its_own(self):
        D_term, G_term = Watched(discriminator_cross_entropy), Watched(generator_cross_entropy)
        # Without learning, equal z would give equal fakes.
        game = make_game(D_terms={"it": D_term}, G_terms={"it": G_term}, turns="DDG")
        for group in (*game.G.optimizer.param_groups, *game.D.optimizer.param_groups):
            group["lr"] = 0.0
        play(game, rounds=2)
        fakes = {tuple(p.fake.flatten().tolist()) for p in D_term.plays + G_term.plays}
        assert len(fakes) == 6

    def test_a_turn_depends_on_its_number_and_not_on_what_was_drawn_before(self):
        first, second = make_game(), make_game()
        play(first)
        torch.randn(1000)
        play(second)
        assert same(weights(first.G.net), weights(second.G.net))

    def test_the_terms_of_a_player_add_up(self):
        def twice(play):
            return 2 * discriminator_cross_entropy(play)

        several = make_game(D_terms={"a": discriminator_cross_entropy, "b": twice})
        summed = make_game(D_terms={"ab": lambda p: 3 * discriminator_cross_entropy(p)})
        stats, _ = play(several)
        play(summed)
        torch.testing.assert_close(weights(several.D.net), weights(summed.D.net))
        assert stats.means()["D/b"] == pytest.approx(2 * stats.means()["D/a"])

    def test_the_constraint_holds_after_each_of_ds_turns(self):
        norms = []

        def halve(net):
            with torch.no_grad():
                for parameter in net.parameters():
                    parameter.mul_(0.5)
            norms.append(sum(p.square().sum() for p in net.parameters()).item())

        constrained, free = make_game(constraint=halve, turns="DDG"), make_game(turns="DDG")
        start = sum(p.square().sum() for p in free.D.net.parameters()).item()
        play(constrained)
        assert len(norms) == 2
        assert norms[1] < norms[0] < start

    def test_bf16_is_for_the_nets_only(self):
        term = Watched(discriminator_cross_entropy)
        game = make_game(D_terms={"it": term})
        stats, _ = play(game, rounds=2, bf16=True)
        assert term.plays[0].fake.dtype == torch.bfloat16
        assert {p.dtype for p in game.D.parameters} == {torch.float32}
        moments = game.D.optimizer.state_dict()["state"][0]
        assert moments["exp_avg"].dtype == moments["exp_avg_sq"].dtype == torch.float32
        assert {v.dtype for values in stats.values.values() for v in values} == {torch.float32}

    def test_nothing_that_is_tallied_holds_a_graph(self):
        stats, _ = play(make_game())
        assert not any(v.requires_grad for values in stats.values.values() for v in values)


class FromTheReals(Generation):
    """Takes z from the real images, so that each has the same fake in whatever part it is."""

    def __call__(self, game, turn, batch, seen):
        z = batch.real.flatten(1)[:, : self.latent_size]
        with torch.set_grad_enabled(turn == "G"):
            fake = game.G.net(z, z.new_empty(len(z), 0))
        return replace(super().__call__(game, turn, batch, seen), fake=fake)


class TestParts:
    def gradients(self, turn, *, images, parts):
        """Of the player on turn, and how many images each part had."""
        term = Watched(discriminator_cross_entropy if turn == "D" else generator_cross_entropy)
        game = make_game(D_terms={"it": term, "r1": r1(3.0), "r2": r2(0.5)}, G_terms={"it": term})
        game = replace(game, forward=FromTheReals(latent_size=5), parts=parts)
        batch = Batch(*Loader(batch=images).next_batch())
        play_turn(game, turn, batch, seen=0, bf16=False, stats=StepStats(), stream=STREAM)
        return [p.grad for p in game.player(turn).parameters], [len(p.real) for p in term.plays]

    @pytest.mark.parametrize("turn", ["D", "G"])
    @pytest.mark.parametrize(
        ("images", "parts", "sizes"),
        [(10, 2, [5, 5]), (10, 4, [2, 3, 2, 3]), (7, 3, [2, 2, 3]), (2, 5, [1, 1])],
    )
    def test_the_gradients_are_those_of_the_whole_batch(self, turn, images, parts, sizes):
        whole, together = self.gradients(turn, images=images, parts=1)
        parted, alone = self.gradients(turn, images=images, parts=parts)
        assert (together, alone) == ([images], sizes)
        assert all(gradient.any() for gradient in whole)
        torch.testing.assert_close(parted, whole)

    def test_there_is_one_step_a_turn_and_one_figure(self):
        game = replace(make_game(turns="DDG"), parts=3)
        stats, _ = play(game, rounds=2)
        for player, turns in (("D", 4), ("G", 2)):
            (first, *_) = game.player(player).optimizer.state_dict()["state"].values()
            assert first["step"] == turns
            assert len(stats.values[f"{player}/cross_entropy"]) == turns

    @pytest.mark.parametrize("parts", [2, 4])
    def test_what_is_logged_is_the_mean_over_the_whole_batch(self, parts):
        def logged(parts):
            terms = {"it": discriminator_cross_entropy}
            game = make_game(D_terms=terms, G_terms={"it": generator_cross_entropy})
            game = replace(game, forward=FromTheReals(latent_size=5), parts=parts)
            stats = StepStats()
            batch = Batch(*Loader(batch=10).next_batch())
            play_turn(game, "D", batch, seen=0, bf16=False, stats=stats, stream=STREAM)
            return stats.means()

        assert logged(parts) == pytest.approx(logged(1), rel=1e-5)


# --- further recipes ------------------------------------------------------------------------------


def critic_loss(play):
    return play.fake_logits.mean() - play.real_logits.mean()


def critic_praise(play):
    return -play.fake_logits.mean()


def gradient_penalty(play):
    """(|grad D| - 1)² on lines between real and fake images (arXiv 1704.00028)."""
    share = torch.rand(len(play.real), 1, 1, 1)
    between = (share * play.real + (1 - share) * play.fake).requires_grad_()
    (gradient,) = torch.autograd.grad(play.critic(between).sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


class Linear(nn.Module):
    """D(x) = w·x."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.linspace(-1, 2, 12))

    def forward(self, images, condition):
        return (images.flatten(1) @ self.w)[:, None]


class TestWassersteinWithGradientPenalty:
    def make(self, learning_rate=1e-2):
        torch.manual_seed(0)
        G, D = mlp.Generator(SHAPE, latent_size=5, hidden=[7]), Linear()
        return Game(
            G=Player(
                net=G,
                optimizer=torch.optim.SGD(G.parameters(), lr=learning_rate),
                objective={"critic": critic_praise},
            ),
            D=Player(
                net=D,
                optimizer=torch.optim.SGD(D.parameters(), lr=learning_rate),
                objective={"critic": critic_loss, "penalty": lambda p: 10 * gradient_penalty(p)},
            ),
            forward=Generation(latent_size=5),
            turns="DDDDDG",
        )

    def test_the_penalty_of_a_linear_critic_is_its_closed_form(self):
        game = self.make()
        norm = game.D.net.w.detach().norm()
        stats, _ = play(game)
        torch.testing.assert_close(stats.values["D/penalty"][0], 10 * (norm - 1) ** 2)

    def test_double_backward_gives_the_closed_forms_gradient(self):
        w = self.make().D.net.w.detach().clone().requires_grad_()
        term = Watched(critic_loss)
        game = self.make()
        game = Game(
            G=game.G,
            D=Player(
                net=game.D.net,
                optimizer=game.D.optimizer,
                objective={**game.D.objective, "critic": term},
            ),
            forward=game.forward,
            turns="DG",
        )
        play(game)
        (batch,) = term.plays
        expected = (batch.fake - batch.real).flatten(1).mean(0)
        expected = expected + 10 * 2 * (w.norm() - 1) * w / w.norm()
        torch.testing.assert_close(game.D.net.w.grad, expected.detach())

    def test_the_critics_gradient_comes_to_have_norm_one(self):
        game = self.make()
        assert game.D.net.w.norm().item() > 3
        play(game, rounds=100)
        assert game.D.net.w.norm().item() == pytest.approx(1, abs=0.2)


def test_weight_clipping_is_a_constraint():
    def clip(net):
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.clamp_(-0.01, 0.01)

    game = make_game(
        D_terms={"critic": critic_loss},
        G_terms={"critic": critic_praise},
        constraint=clip,
        turns="DDDDDG",
    )
    play(game, rounds=3)
    largest = [parameter.abs().max().item() for parameter in game.D.net.parameters()]
    assert max(largest) == pytest.approx(0.01)  # reached, since lr 0.01 would move beyond it
    assert max(p.abs().max() for p in game.G.net.parameters()) > 0.01


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """A deal of image-to-image: batches hold source and target one above the other."""

    def __call__(self, game, turn, batch, seen):
        source, target = batch.real.chunk(2, dim=2)
        with torch.set_grad_enabled(turn == "G"):
            fake = game.G.net(source)

        def critic(images):
            return game.D.net(torch.cat([source, images], dim=1))

        return Play(critic=critic, real=target, fake=fake, condition=source, seen=seen)

    memory = nn.Module()

    def observe(self, play): ...

    def scalars(self, play):
        return {"distance": l1_loss(play.fake, play.real)}


def test_a_paired_translation_learns_the_translation():
    torch.manual_seed(0)
    G, D = nn.Conv2d(1, 1, 1), nn.Conv2d(2, 1, 1)

    class Inversions(Loader):
        def next_batch(self):
            source, labels = super().next_batch()
            return torch.cat([source, -source], dim=2), labels

    game = Game(
        G=Player(
            net=G,
            optimizer=torch.optim.Adam(G.parameters(), lr=0.05),
            objective={
                "adversarial": lambda p: 0.01 * generator_cross_entropy(p),
                "l1": lambda p: 100 * l1_loss(p.fake, p.real),
            },
        ),
        D=Player(
            net=D,
            optimizer=torch.optim.Adam(D.parameters(), lr=0.001),
            objective={"adversarial": discriminator_cross_entropy},
        ),
        forward=Pairs(),
    )
    stats, _ = play(game, rounds=150, loader=Inversions())
    assert G.weight.item() == pytest.approx(-1, abs=0.1)
    assert stats.values["distance"][-1] < 0.1 < stats.values["distance"][0]


@dataclass(frozen=True, kw_only=True)
class CyclePlay:
    """Two domains: what each net makes of a batch of both."""

    G: nn.ModuleDict
    D: nn.ModuleDict
    a: torch.Tensor
    b: torch.Tensor
    learning: bool

    @cached_property
    def fake_b(self):
        with torch.set_grad_enabled(self.learning):
            return self.G["a_to_b"](self.a)

    @cached_property
    def fake_a(self):
        with torch.set_grad_enabled(self.learning):
            return self.G["b_to_a"](self.b)


class CycleDeal:
    def __call__(self, game, turn, batch, seen):
        a, b = batch.real.chunk(2, dim=1)
        return CyclePlay(G=game.G.net, D=game.D.net, a=a, b=b, learning=turn == "G")

    memory = nn.Module()

    def observe(self, play): ...

    def scalars(self, play):
        return {}


def squares(logits, label):
    return (logits - label).square().mean()


def both_real_and_fake(domain):
    def term(play):
        real, fake = (play.a, play.fake_a) if domain == "a" else (play.b, play.fake_b)
        return squares(play.D[domain](real), 1) + squares(play.D[domain](fake), 0)

    return term


def test_a_game_of_four_nets_has_a_deal_and_a_play_of_its_own():
    """CycleGAN (arXiv 1703.10593): b = 0.5 a + 0.25 without pairs; the cycles must close."""
    torch.manual_seed(0)
    G = nn.ModuleDict({"a_to_b": nn.Conv2d(1, 1, 1), "b_to_a": nn.Conv2d(1, 1, 1)})
    D = nn.ModuleDict({domain: nn.Conv2d(1, 1, 3, padding=1) for domain in "ab"})

    class Domains(Loader):
        def next_batch(self):
            (a, labels), (other, _) = super().next_batch(), super().next_batch()
            return torch.cat([a, 0.5 * other + 0.25], dim=1), labels

    def cycle(play):
        there_and_back = l1_loss(G["b_to_a"](play.fake_b), play.a)
        return 10 * (there_and_back + l1_loss(G["a_to_b"](play.fake_a), play.b))

    game = Game(
        G=Player(
            net=G,
            optimizer=torch.optim.Adam(G.parameters(), lr=0.01),
            objective={
                "to_b": lambda p: squares(p.D["b"](p.fake_b), 1),
                "to_a": lambda p: squares(p.D["a"](p.fake_a), 1),
                "cycle": cycle,
            },
        ),
        D=Player(
            net=D,
            optimizer=torch.optim.Adam(D.parameters(), lr=0.01),
            objective={"a": both_real_and_fake("a"), "b": both_real_and_fake("b")},
        ),
        forward=CycleDeal(),
    )
    before = weights(D)
    stats, _ = play(game, rounds=200, loader=Domains())
    assert not any(torch.equal(a, b) for a, b in zip(before, weights(D), strict=True))
    assert stats.values["G/cycle"][0] > 4
    assert stats.values["G/cycle"][-1] < 1
    assert set(stats.means()) == {"D/a", "D/b", "G/to_b", "G/to_a", "G/cycle"}
