"""The picture of an epoch."""

import torch
from PIL import Image, ImageChops

import zerosum
from zerosum.callbacks.pictures import painter
from zerosum.data import load
from zerosum.experiment import build_game
from zerosum.training.run_directory import RunDirectory


def prepared(run: zerosum.Run):
    """A game like that of a run, and a painter of it for each seed."""
    images = load(run.config.data)
    game = build_game("vanilla", run.config, images, device=torch.device("cpu"))
    directory = RunDirectory(run.path)
    return game, lambda seed: (painter(game, game.G.net, directory, count=4, seed=seed), directory)


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
    game, paint_of = prepared(run)
    paint, directory = paint_of(1)
    before = drawn(paint, directory, 101)
    with torch.no_grad():
        for weight in game.G.net.parameters():
            weight.add_(0.5)
    assert not same(drawn(paint, directory, 102), before)
