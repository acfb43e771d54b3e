import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import BCELoss

from zerosum.config import specs as names
from zerosum.game.core import Play
from zerosum.game.losses import (
    OBJECTIVES,
    Objective,
    classification,
    discriminator_cross_entropy,
    generator_cross_entropy,
    generator_minimax,
    l1,
    least_squares,
)

LOGITS = st.lists(st.floats(-20, 20), min_size=1, max_size=8)


def play_of(real, fake):
    """A Play whose images are the logits themselves: D is the identity."""
    as_images = [torch.as_tensor(values).reshape(-1, 1) for values in (real, fake)]
    return Play(
        critic=lambda images: images,
        real=as_images[0],
        fake=as_images[1],
        condition=torch.empty(len(real), 0),
        seen=0,
    )


def textbook(logits, label):
    """Binary cross entropy of a sigmoid's output, as in every tutorial, in float64."""
    return BCELoss()(torch.sigmoid(logits), torch.full_like(logits, label))


def with_gradients(loss, *inputs):
    leaves = [torch.tensor(values, dtype=torch.float64, requires_grad=True) for values in inputs]
    value = loss(*leaves)
    return [value, *torch.autograd.grad(value, leaves, materialize_grads=True)]


@given(LOGITS, LOGITS)
def test_d_minimises_the_two_cross_entropies_of_the_textbook(real, fake):
    ours = with_gradients(lambda r, f: discriminator_cross_entropy(play_of(r, f)), real, fake)
    theirs = with_gradients(lambda r, f: textbook(r, 1) + textbook(f, 0), real, fake)
    for mine, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.double(), expected, rtol=1e-5, atol=1e-6)


@given(LOGITS)
def test_g_minimises_the_cross_entropy_of_its_fakes_being_called_real(fake):
    ours = with_gradients(lambda f: generator_cross_entropy(play_of(f, f)), fake)
    theirs = with_gradients(lambda f: textbook(f, 1), fake)
    for mine, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.double(), expected, rtol=1e-5, atol=1e-6)


def test_a_d_that_cannot_tell_costs_two_and_one_log_2():
    play = play_of(torch.zeros(7), torch.zeros(7))
    assert discriminator_cross_entropy(play).item() == pytest.approx(2 * math.log(2))
    assert generator_cross_entropy(play).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("real", [-1000.0, 1000.0])
@pytest.mark.parametrize("fake", [-1000.0, 1000.0])
def test_extreme_logits_cost_what_they_are_wrong_by(real, fake):
    play = play_of(torch.tensor([real]), torch.tensor([fake]))
    assert discriminator_cross_entropy(play).item() == max(0, -real) + max(0, fake)
    assert generator_cross_entropy(play).item() == max(0, -fake)


def test_gs_gradient_does_not_vanish_when_d_is_sure():
    _, gradient = with_gradients(lambda f: generator_cross_entropy(play_of(f, f)), [-30.0, -1000.0])
    torch.testing.assert_close(gradient, torch.full((2,), -0.5, dtype=torch.float64))
    # The saturating form, log(1 - D(G(z))), would have left G nothing to learn from.
    _, saturating = with_gradients(lambda f: (1 - f.sigmoid()).log().mean(), [-30.0])
    assert saturating.abs().max() < 1e-12


LOG_2 = math.log(2)


def only(terms):
    """The one term of a player."""
    (term,) = terms.values()
    return term


def loss_of(name, turn):
    """An objective's loss of a player, as a function of real and fake logits in float64."""
    term = only(getattr(OBJECTIVES[name], turn))
    return lambda real, fake: term(SimpleNamespace(real_logits=real, fake_logits=fake))


def rows(*values):
    return torch.tensor(values, dtype=torch.float64).reshape(-1, 1)


# What each player minimises on real logits (2, -1/2) and fake logits (1, -3), by the papers'
# formulas, written out.
REAL, FAKE = (2.0, -0.5), (1.0, -3.0)


def log_d(logit):
    return -math.log(1 + math.exp(-logit))


BY_HAND = {
    ("non-saturating", "D"): -sum(map(log_d, (2, -0.5, -1, 3))) / 2,
    ("non-saturating", "G"): -sum(map(log_d, (1, -3))) / 2,
    ("minimax", "D"): -sum(map(log_d, (2, -0.5, -1, 3))) / 2,
    ("minimax", "G"): sum(map(log_d, (-1, 3))) / 2,
    ("least-squares", "D"): (1 + 2.25) / 4 + (1 + 9) / 4,
    ("least-squares", "G"): (0 + 16) / 4,
    ("wasserstein", "D"): -1 - 0.75,
    ("wasserstein", "G"): 1.0,
    ("hinge", "D"): (0 + 1.5) / 2 + (2 + 0) / 2,
    ("hinge", "G"): 1.0,
    ("relativistic", "D"): -sum(map(log_d, (1, 2.5))) / 2,
    ("relativistic", "G"): -sum(map(log_d, (-1, -2.5))) / 2,
}

# The same where D says 0 of everything.
UNDECIDED = {
    "non-saturating": (2 * LOG_2, LOG_2),
    "minimax": (2 * LOG_2, -LOG_2),
    "least-squares": (0.5, 0.5),
    "wasserstein": (0, 0),
    "hinge": (2, 0),
    "relativistic": (LOG_2, LOG_2),
}


class TestEveryObjective:
    def test_is_named_where_torch_is_not_needed(self):
        assert tuple(OBJECTIVES) == names.LOSSES
        assert {name for name, _ in BY_HAND} == set(UNDECIDED) == set(OBJECTIVES)

    @pytest.mark.parametrize(("name", "turn"), BY_HAND)
    def test_is_its_papers_formula(self, name, turn):
        value = loss_of(name, turn)(rows(*REAL), rows(*FAKE))
        assert value.shape == ()
        assert value.item() == pytest.approx(BY_HAND[name, turn], rel=1e-12)

    @pytest.mark.parametrize(("name", "turn"), BY_HAND)
    def test_has_the_gradient_of_its_finite_differences(self, name, turn):
        loss = loss_of(name, turn)
        inputs = rows(*REAL).requires_grad_(), rows(*FAKE).requires_grad_()
        # G's losses of most games do not depend on real logits; a term of nothing makes them.
        assert torch.autograd.gradcheck(lambda r, f: loss(r, f) + 0 * r.sum(), inputs)

    @pytest.mark.parametrize("name", OBJECTIVES)
    def test_at_equilibrium(self, name):
        zeros = rows(0, 0, 0)
        values = [loss_of(name, turn)(zeros, zeros).item() for turn in "DG"]
        assert values == pytest.approx(UNDECIDED[name], abs=1e-12)

    @pytest.mark.parametrize("name", OBJECTIVES)
    def test_d_wants_reals_up_and_fakes_down_and_g_fakes_up(self, name):
        real, fake = rows(0.25).requires_grad_(), rows(0.5).requires_grad_()
        up, down = torch.autograd.grad(loss_of(name, "D")(real, fake), (real, fake))
        assert up < 0 < down
        (up,) = torch.autograd.grad(loss_of(name, "G")(real, fake), fake)
        assert up < 0

    @pytest.mark.parametrize("name", OBJECTIVES)
    @pytest.mark.parametrize("extreme", [-1e4, 1e4])
    def test_stays_finite(self, name, extreme):
        real, fake = torch.tensor([[extreme]]), torch.tensor([[-extreme]])
        for turn in "DG":
            leaves = real.clone().requires_grad_(), fake.clone().requires_grad_()
            value = loss_of(name, turn)(*leaves)
            gradients = torch.autograd.grad(value, leaves, materialize_grads=True)
            assert all(tensor.isfinite().all() for tensor in (value, *gradients))

    @pytest.mark.parametrize("name", OBJECTIVES)
    def test_counts_a_batch_laid_end_to_end_twice_as_once(self, name):
        for turn in "DG":
            once = loss_of(name, turn)(rows(*REAL), rows(*FAKE))
            twice = loss_of(name, turn)(rows(*REAL, *REAL), rows(*FAKE, *FAKE))
            torch.testing.assert_close(once, twice)


class TestMinimax:
    def test_g_minimises_what_d_maximises(self):
        fake = torch.tensor(FAKE)
        play = play_of(fake, fake)
        d_of_fakes = torch.nn.functional.binary_cross_entropy(fake.sigmoid(), torch.zeros(2))
        assert generator_minimax(play).item() == pytest.approx(-d_of_fakes.item())

    def test_g_learns_little_when_d_is_sure_and_the_other_form_much(self):
        # d/dl log(1 - sigmoid(l)) = -sigmoid(l); d/dl -log sigmoid(l) = sigmoid(l) - 1.
        _, saturating = with_gradients(lambda f: generator_minimax(play_of(f, f)), [-10.0, -30.0])
        expected = -torch.tensor([-10.0, -30.0], dtype=torch.float64).sigmoid() / 2
        torch.testing.assert_close(saturating, expected)
        _, other = with_gradients(lambda f: generator_cross_entropy(play_of(f, f)), [-10.0, -30.0])
        torch.testing.assert_close(other, -0.5 - expected)

    def test_both_have_the_same_gradient_where_d_cannot_tell(self):
        for term in (generator_minimax, generator_cross_entropy):
            _, gradient = with_gradients(lambda f, term=term: term(play_of(f, f)), [0.0])
            assert gradient.item() == -0.5


class TestLeastSquares:
    def test_the_three_labels_are_the_papers(self):
        objective = least_squares(a=-1, b=1, c=0)
        play = SimpleNamespace(real_logits=rows(3), fake_logits=rows(5))
        assert only(objective.D)(play).item() == (3 - 1) ** 2 / 2 + (5 + 1) ** 2 / 2
        assert only(objective.G)(play).item() == 5**2 / 2

    def test_each_player_is_content_where_its_labels_are(self):
        objective = least_squares(a=-2, b=3, c=7)
        contented = SimpleNamespace(real_logits=rows(3, 3), fake_logits=rows(-2, -2))
        assert only(objective.D)(contented).item() == 0
        contented = SimpleNamespace(real_logits=rows(9), fake_logits=rows(7))
        assert only(objective.G)(contented).item() == 0


class TestHinge:
    def test_d_learns_nothing_from_what_is_beyond_the_margins(self):
        real, fake = rows(1.5, 0.5).requires_grad_(), rows(-1.5, -0.5).requires_grad_()
        gradients = torch.autograd.grad(loss_of("hinge", "D")(real, fake), (real, fake))
        assert gradients[0].flatten().tolist() == [0, -0.5]
        assert gradients[1].flatten().tolist() == [0, 0.5]

    def test_the_right_verdicts_cost_nothing_and_the_wrong_ones_cost(self):
        loss = loss_of("hinge", "D")
        assert loss(rows(1, 4), rows(-1, -4)).item() == 0
        assert loss(rows(-1), rows(1)).item() == 4

    def test_g_has_no_margin(self):
        _, gradient = with_gradients(lambda f: loss_of("hinge", "G")(f, f), [50.0, -50.0])
        assert gradient.tolist() == [-0.5, -0.5]


class TestRelativistic:
    def test_the_players_are_each_other_with_reals_and_fakes_exchanged(self):
        real, fake = rows(*REAL), rows(*FAKE)
        one, other = loss_of("relativistic", "D"), loss_of("relativistic", "G")
        assert torch.equal(one(real, fake), other(fake, real))
        assert not torch.equal(one(real, fake), other(real, fake))

    def test_only_the_difference_within_a_pair_counts(self):
        loss = loss_of("relativistic", "D")
        real, fake, shift = rows(*REAL), rows(*FAKE), rows(100, -7)
        torch.testing.assert_close(loss(real, fake), loss(real + shift, fake + shift))
        assert not torch.isclose(loss(real, fake), loss(real, fake.flip(0)))

    def test_real_and_fake_logits_have_opposite_gradients(self):
        for turn in "DG":
            _, of_real, of_fake = with_gradients(loss_of("relativistic", turn), REAL, FAKE)
            assert torch.equal(of_real, -of_fake)
            assert of_fake.abs().min() > 0


class TestL1:
    """Of images (2, 1, 1, 2), the D of which is of no account."""

    def play(self, real, fake):
        images = [torch.tensor(values).reshape(2, 1, 1, 2) for values in (real, fake)]
        none = torch.empty(2, 0)
        return Play(critic=None, real=images[0], fake=images[1], condition=none, seen=0)

    @pytest.mark.parametrize("weight", [1.0, 100.0])
    def test_it_is_the_mean_over_pixels_times_the_weight(self, weight):
        play = self.play([0.0, 1.0, -1.0, 0.5], [0.25, 1.0, 1.0, 0.0])
        assert l1(weight)(play) == weight * (0.25 + 0 + 2 + 0.5) / 4

    def test_it_is_nothing_where_the_output_is_the_target(self):
        assert l1(100)(self.play([0.5] * 4, [0.5] * 4)) == 0

    def test_each_pixel_has_the_same_say_however_wrong_it_is(self):
        play = self.play([0.0] * 4, [0.1, -0.1, 0.9, -0.9])
        play.fake.requires_grad_()
        (gradient,) = torch.autograd.grad(l1(100)(play), play.fake)
        assert gradient.flatten().tolist() == [25, -25, 25, -25]


class TestClassification:
    LABELS = torch.tensor([0, 2])

    def play(self, real, fake):
        tensors = [torch.tensor(logits, dtype=torch.float64) for logits in (real, fake)]
        return SimpleNamespace(real_classes=tensors[0], fake_classes=tensors[1], labels=self.LABELS)

    def test_nothing_known_of_the_classes_costs_their_logarithm(self):
        play = self.play([[0.0] * 3] * 2, [[5.0] * 3] * 2)
        assert only(classification().D)(play).item() == pytest.approx(2 * math.log(3))
        assert only(classification().G)(play).item() == pytest.approx(math.log(3))

    def test_it_is_the_mean_log_probability_of_the_right_classes(self):
        real, fake = [[1.0, 2.0, 3.0], [0.0, -1.0, 1.0]], [[2.0, 0.0, 0.0], [1.0, 1.0, 4.0]]

        def by_hand(logits):
            right = [
                math.exp(row[label]) / sum(map(math.exp, row))
                for row, label in zip(logits, self.LABELS.tolist(), strict=True)
            ]
            return -sum(map(math.log, right)) / 2

        play, objective = self.play(real, fake), classification(weight=3.0)
        assert only(objective.D)(play).item() == pytest.approx(3 * (by_hand(real) + by_hand(fake)))
        assert only(objective.G)(play).item() == pytest.approx(3 * by_hand(fake))

    def test_both_players_want_the_fakes_told(self):
        for turn in "DG":
            play = self.play([[0.0] * 3] * 2, [[0.0] * 3] * 2)
            play.fake_classes.requires_grad_()
            value = only(getattr(classification(), turn))(play)
            (gradient,) = torch.autograd.grad(value, play.fake_classes)
            right = torch.nn.functional.one_hot(self.LABELS, 3).bool()
            assert (gradient[right] < 0).all()
            assert (gradient[~right] > 0).all()

    def test_it_is_joined_to_an_adversarial_objective(self):
        joined = OBJECTIVES["hinge"] | classification()
        assert set(joined.D) == set(joined.G) == {"hinge", "classification"}
        assert set(OBJECTIVES["hinge"].D) == {"hinge"}

    def test_of_two_terms_with_one_name_the_later_counts(self):
        first, second = (Objective(D={"a": len}, G={}), Objective(D={"a": sum}, G={"b": max}))
        assert first | second == second
