"""Players made of settings: what they minimise, what steps them, what changes meanwhile."""

import math

import pytest
import torch
from torch import nn
from torch.optim import Adam, RMSprop

from zerosum.config.base import validate
from zerosum.config.gan import GanSettings
from zerosum.errors import UserError
from zerosum.recipes.players import (
    build_objective,
    build_player,
    build_schedules,
    score_fn,
    weighted,
)


def settings(**changes):
    return validate(GanSettings, {"images": 1000, **changes}).settled(1000)


class TestObjective:
    def test_penalties_stand_beside_the_losses_of_d_alone(self):
        D = nn.Linear(3, 1)
        plain = build_objective(settings(), D)
        with_penalties = build_objective(settings(penalty="r1:2,r2:3"), D)
        assert with_penalties.D.keys() - plain.D.keys() == {"r1", "r2"}
        assert with_penalties.G.keys() == plain.G.keys()

    def test_a_penalty_needs_images_that_are_judged_alone(self):
        D = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
        build_objective(settings(), D)
        with pytest.raises(UserError, match="r1"):
            build_objective(settings(penalty="r1:2"), D)

    def test_terms_are_weighed_and_none_is_left_where_the_weight_is_0(self):
        terms = {"one": lambda play: play, "two": lambda play: 10 * play}
        heavy = weighted(terms, 3.0)
        assert {name: term(2.0) for name, term in heavy.items()} == {"one": 6.0, "two": 60.0}
        assert weighted(terms, 0.0) == {}


class TestPlayer:
    @pytest.mark.parametrize(("name", "kind"), [("adam", Adam), ("rmsprop", RMSprop)])
    def test_is_stepped_by_the_optimizer_that_was_chosen(self, name, kind):
        net = nn.Linear(2, 1)
        betas = {"betas": (0.1, 0.7)} if name == "adam" else {}
        player = build_player(settings(optimizer=name, **betas), net, {}, 0.25)
        assert type(player.optimizer) is kind
        (group,) = player.optimizer.param_groups
        assert group["lr"] == 0.25
        assert group["params"] == list(net.parameters())
        assert group.get("betas") == betas.get("betas")

    def test_is_kept_inside_the_clip(self):
        net = nn.Linear(2, 1)
        with torch.no_grad():
            net.weight.copy_(torch.tensor([[-3.0, 0.01]]))
        player = build_player(settings(), net, {}, 0.1, clip=0.5)
        player.constraint(net)
        assert net.weight.tolist() == [[-0.5, pytest.approx(0.01)]]
        assert build_player(settings(), net, {}, 0.1).constraint is None


class TestSchedules:
    def test_there_are_none_without_annealing(self):
        assert build_schedules(settings(), 0.5) == {}

    def test_the_rate_falls_along_a_cosine_to_its_share(self):
        rate = build_schedules(settings(anneal=1000, lr_end=0.1), 0.5)["lr"]
        assert rate(0) == 0.5
        assert rate(500) == pytest.approx((0.5 + 0.05) / 2)
        assert rate(250) == pytest.approx(0.05 + 0.45 * (1 + math.cos(math.pi / 4)) / 2)
        assert rate(1000) == rate(2000) == pytest.approx(0.05)

    def test_or_along_a_line_from_half_way_on(self):
        changes = {"anneal": 1000, "lr_end": 0.1, "lr_schedule": "linear"}
        rate = build_schedules(settings(**changes), 0.5)["lr"]
        assert rate(0) == rate(500) == 0.5
        assert rate(750) == pytest.approx(0.275)
        assert rate(1000) == pytest.approx(0.05)

    def test_the_second_beta_moves_and_the_first_stays(self):
        changes = {"anneal": 1000, "betas": (0.1, 0.9), "anneal_beta": 0.99}
        betas = build_schedules(settings(**changes), 0.5)["betas"]
        assert betas(0) == (0.1, 0.9)
        assert betas(500) == (0.1, pytest.approx(0.945))
        assert betas(1000) == (0.1, pytest.approx(0.99))


@pytest.mark.parametrize("loss", ["non-saturating", "minimax"])
def test_cross_entropy_makes_probabilities(loss):
    logits = torch.tensor([-2.0, 0.0, 3.0])
    expected = 1 / (1 + (-logits).exp())
    torch.testing.assert_close(score_fn(settings(loss=loss))(logits), expected)


@pytest.mark.parametrize("loss", ["hinge", "wasserstein", "least-squares"])
def test_other_losses_leave_logits_as_they_are(loss):
    logits = torch.tensor([-2.0, 0.0, 3.0])
    assert torch.equal(score_fn(settings(loss=loss))(logits), logits)
