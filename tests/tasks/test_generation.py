"""What the task of making images says of them, and the picture of an epoch."""

import pytest
import torch
from PIL import Image, ImageChops

import zerosum
from zerosum.data import load
from zerosum.data.images import ImageSet
from zerosum.preparation import build_game
from zerosum.tasks.generation import Generation
from zerosum.training.ema import EMA
from zerosum.training.run_directory import RunDirectory
from zerosum.training.state import State


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 28, 20), "images of 28×20 gray"),
        ((3, 28, 20), "images of 28×20 RGB"),
        ((4, 28, 20), "images of 28×20 RGBA"),
        ((5, 28, 20), "images of 28×20 pixels, 5 channels"),
    ],
)
def test_images_are_described(shape, words):
    images = torch.zeros((3, *shape), dtype=torch.uint8)
    assert Generation().describe(ImageSet(name="", images=images, labels=None, classes=())) == words


def prepared(run: zerosum.Run):
    """A game like that of a run, and a painter of it for each seed."""
    images = load(run.config.data)
    game = build_game("vanilla", run.config, images, device=torch.device("cpu"))
    state = State(game, EMA(game.G.net, half_life=0))
    directory = RunDirectory(run.path)

    def paint_of(seed):
        config = run.config.model_copy(update={"seed": seed})
        return Generation().painter(state, config, None, directory), directory

    return state, paint_of


def drawn(paint, directory, epoch):
    paint(epoch)
    with Image.open(directory.pictures()[-1]) as picture:
        return picture.copy()


def same(one, other):
    return one.size == other.size and ImageChops.difference(one, other).getbbox() is None


def test_the_same_z_is_shown_each_time_and_the_seed_decides_it(run):
    _, paint_of = prepared(run)
    first = drawn(*paint_of(1), 101)
    paint, directory = paint_of(1)
    assert same(drawn(paint, directory, 102), first)
    torch.rand(100)  # whatever else is drawn in between
    assert same(drawn(paint, directory, 103), first)
    assert not same(drawn(*paint_of(2), 104), first)


def test_it_shows_g_as_it_stands(run):
    state, paint_of = prepared(run)
    paint, directory = paint_of(1)
    before = drawn(paint, directory, 101)
    with torch.no_grad():
        for weight in state.ema.net.parameters():
            weight.add_(0.5)
    assert not same(drawn(paint, directory, 102), before)
