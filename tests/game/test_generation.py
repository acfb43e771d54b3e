"""Forward passes: what each player is given, with classes, packs and an auxiliary classifier."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from zerosum.game.augment import Augmentation
from zerosum.game.core import Batch, Game, Player
from zerosum.game.generation import Generation
from zerosum.game.losses import discriminator_cross_entropy, generator_cross_entropy
from zerosum.nets import mlp

SHAPE = (1, 2, 3)
CPU = torch.device("cpu")


def player(net, term):
    return Player(net=net, optimizer=torch.optim.SGD(net.parameters()), objective={"it": term})


def game_of(D=None, *, G=None, forward=None):
    torch.manual_seed(0)
    G = G or mlp.Generator(SHAPE, latent_size=4, hidden=[5])
    D = D or mlp.Discriminator(SHAPE, hidden=[5])
    return Game(
        G=player(G, generator_cross_entropy),
        D=player(D, discriminator_cross_entropy),
        forward=forward or Generation(latent_size=4),
    )


class TestGeneration:
    BATCH = Batch(torch.randn(6, *SHAPE))

    def forward(self, game, turn):
        torch.manual_seed(5)
        return game.forward(game, turn, self.BATCH, seen=60)

    def test_on_ds_turn_the_fakes_are_constants(self):
        play = self.forward(game_of(), "D")
        assert not play.fake.requires_grad
        assert play.fake_logits.requires_grad

    def test_on_gs_turn_the_fakes_carry_gs_graph(self):
        game = game_of()
        play = self.forward(game, "G")
        gradients = torch.autograd.grad(play.fake_logits.sum(), game.G.parameters)
        assert all(gradient.abs().sum() > 0 for gradient in gradients)

    def test_both_turns_make_the_same_fakes_of_the_same_stream(self):
        game = game_of()
        assert torch.equal(self.forward(game, "D").fake, self.forward(game, "G").fake)

    def test_the_fakes_are_gs_images_of_normal_z(self):
        game = game_of()
        play = self.forward(game, "D")
        torch.manual_seed(5)
        with torch.no_grad():
            expected = game.G.net(torch.randn(6, 4), torch.empty(6, 0))
        assert torch.equal(play.fake, expected)
        assert torch.equal(play.real, self.BATCH.real)
        assert (play.condition.shape, play.seen) == ((6, 0), 60)

    def test_one_pass_only_on_ds_turn_and_without_batch_norm(self):
        class Normalised(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(6), nn.Linear(6, 1))

            def forward(self, images, condition):
                return self.layers(images)

        assert self.forward(game_of(), "D").in_one_pass
        assert not self.forward(game_of(), "G").in_one_pass
        assert not self.forward(game_of(Normalised()), "D").in_one_pass

    def test_the_critic_repeats_the_condition_for_batches_laid_end_to_end(self):
        D = mlp.Discriminator(SHAPE, hidden=[5], condition_size=2)
        G = mlp.Generator(SHAPE, latent_size=4, hidden=[5], condition_size=2)
        forward = Generation(latent_size=4, num_classes=2)
        batch = Batch(self.BATCH.real, torch.tensor([0, 1, 1, 0, 1, 0]))
        play = forward(game_of(D, G=G, forward=forward), "D", batch, 60)
        condition = torch.eye(2)[batch.labels]
        assert torch.equal(play.condition, condition)
        both = D(torch.cat([play.real, play.fake]), condition.repeat(2, 1))
        assert torch.equal(torch.cat([play.real_logits, play.fake_logits]), both)

    def test_the_figures_are_ds_mean_verdicts_as_probabilities(self):
        game = game_of()
        play = self.forward(game, "D")
        metrics = game.forward.scalars(play)
        for name, images in (("D(x)", play.real), ("D(G(z))", play.fake)):
            expected = torch.sigmoid(game.D.net(images, torch.empty(6, 0))).mean()
            torch.testing.assert_close(metrics[name], expected.detach())
            assert not metrics[name].requires_grad


class TestPacks:
    def test_D_judges_so_many_images_together_and_their_classes(self):
        forward = Generation(latent_size=4, num_classes=2, packed=2)
        D = mlp.Discriminator(SHAPE, hidden=[5], condition_size=2, pack=2)
        G = mlp.Generator(SHAPE, latent_size=4, hidden=[5], condition_size=2)
        labels = torch.tensor([0, 1, 1, 0])
        play = forward(
            game_of(D, G=G, forward=forward), "D", Batch(torch.randn(4, *SHAPE), labels), 4
        )
        assert play.real_logits.shape == play.fake_logits.shape == (2, 1)
        pairs = play.real.reshape(2, 2, 2, 3)
        expected = D(pairs, torch.eye(2)[labels].reshape(2, 4))
        torch.testing.assert_close(play.real_logits, expected)

    @given(st.integers(1, 9), st.integers(1, 4))
    def test_a_batch_is_cut_to_whole_packs(self, count, size):
        batch = Batch(torch.arange(count).view(-1, 1, 1, 1).float(), torch.arange(count))
        cut = batch.whole_packs(size)
        assert len(cut) == max(count - count % size, size)
        assert cut.real.flatten().tolist() == cut.labels.tolist()
        assert set(cut.labels.tolist()) <= set(range(count))
        if count >= size:
            assert cut.real.equal(batch.real[: len(cut)])


def test_half_of_the_reals_are_mirrored_and_no_fakes():
    forward = Generation(latent_size=4, flips=True)
    real = torch.arange(3.0).expand(200, 1, 2, 3)
    torch.manual_seed(0)
    play = forward(game_of(forward=forward), "D", Batch(real), 200)
    mirrored = (play.real == real.flip(3)).all(dim=(1, 2, 3))
    straight = (play.real == real).all(dim=(1, 2, 3))
    assert (mirrored ^ straight).all()
    assert 60 < mirrored.sum() < 140


def test_the_augmentation_is_what_the_deal_remembers_and_it_follows_D():
    augmentation = Augmentation(["cutout"], channels=1, target=0.6)
    forward = Generation(latent_size=4, augmentation=augmentation)
    assert forward.memory is augmentation
    play = forward(game_of(forward=forward), "D", Batch(torch.randn(6, *SHAPE)), 6)
    sure = replace(play, critic=lambda images: torch.ones(len(images), 1))
    for _ in range(Augmentation.ADJUST_EVERY):
        forward.observe(sure)
    expected = Augmentation.ADJUST_EVERY * 6 / Augmentation.IMAGES_TO_FULL
    assert augmentation.p == pytest.approx(expected)


class TestClassifier:
    def forward(self):
        forward = Generation(latent_size=4, num_classes=3, classifier=True)
        G = mlp.Generator(SHAPE, latent_size=4, hidden=[5], condition_size=3)
        D = mlp.Discriminator(SHAPE, hidden=[5], outputs=4)
        game = game_of(D, G=G, forward=forward)
        labels = torch.tensor([2, 0, 1, 1])
        return game, forward(game, "D", Batch(torch.randn(4, *SHAPE), labels), 4)

    def test_D_gives_a_verdict_and_a_logit_for_each_class(self):
        game, play = self.forward()
        answer = game.D.net(play.real, torch.empty(4, 0))
        torch.testing.assert_close(play.real_logits, answer[:, :1])
        torch.testing.assert_close(play.real_classes, answer[:, 1:])
        assert play.labels.tolist() == [2, 0, 1, 1]
        assert play.verdict(play.fake).shape == (4, 1)

    def test_the_log_says_how_many_classes_D_names(self):
        game, play = self.forward()
        named = play.real_classes.argmax(1) == play.labels
        assert game.forward.scalars(play)["accuracy"] == named.float().mean()
