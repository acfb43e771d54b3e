"""The pace that is measured before a training is under way."""

import pytest
import torch

from zerosum.data.images import ImageSet
from zerosum.data.spec import DataSpec
from zerosum.recipes import RECIPES
from zerosum.recipes.gan import build
from zerosum.training import pace
from zerosum.training.precision import Product

CPU = torch.device("cpu")


@pytest.fixture
def played(monkeypatch):
    """The sizes of the batches that are played, each of which takes a second."""
    sizes, now = [], [0.0]

    def play_round(game, next_batch, **_):
        sizes.append(len(next_batch()[0]))
        now[0] += 1
        return sizes[-1]

    monkeypatch.setattr(pace, "play_round", play_round)
    monkeypatch.setattr(pace, "perf_counter", lambda: now[0])
    return sizes


def measured(*, batch_size=64, enough=1e9, count=100):
    config = RECIPES["vanilla"].configure({"hidden": (4,), "latent_size": 2})
    game = build(config, DataSpec(shape=(1, 8, 8)), device=CPU)
    pixels = torch.zeros(count, 1, 8, 8, dtype=torch.uint8)
    images = ImageSet(images=pixels, labels=None, classes=(), name="x")
    return pace.images_per_second(
        game, images, batch_size=batch_size, least=4, enough=enough, bf16=False
    )


def test_batches_grow_while_there_is_time(played):
    assert measured() == 8
    assert played == [4, 4, 8]  # a round of 16 might end too late


def test_a_pace_that_is_enough_is_measured_once(played):
    assert measured(enough=3) == 4
    assert played == [4]


def test_no_batch_is_larger_than_the_training_has(played):
    assert measured(batch_size=3) == 3
    assert measured(count=2) == 2


def test_a_real_game_has_a_pace():
    assert measured(enough=1) > 1


def test_work_is_an_image_s():
    assert pace.work({Product("linear", (8, 3), (2, 3), work=96.0): 2}, 8) == 24
