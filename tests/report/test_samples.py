import json

import numpy as np
import pytest
import torch

import zerosum
from zerosum.errors import UserError
from zerosum.report.samples import is_cheap, make_pictures


def test_walks_are_the_same_each_time_and_leave_randomness_alone(run):
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    made = make_pictures(run, neighbours=False)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert made.walk.size == (10 * 10 + 2, 4 * 10 + 2)  # of 8×8, with a line around each
    assert made.classes is None
    assert made.neighbours is None
    again = make_pictures(zerosum.load(run.path), neighbours=False)
    assert again.walk.tobytes() == made.walk.tobytes()


def test_it_is_the_best_checkpoint_that_makes_them(run):
    assert make_pictures(run, neighbours=False).checkpoint == run.directory.checkpoints.best()


def test_a_row_a_class(train_tiny, tmp_path):
    run = train_tiny(tmp_path / "run", conditioning="concat")
    made = make_pictures(run, neighbours=False)
    assert made.classes_shown == 2
    assert made.classes.size == (8 * 10 + 2, 2 * 10 + 2)


def test_nearest_training_images(run):
    made = make_pictures(run, neighbours=True)
    assert made.neighbours.size == (6 * 10 + 2, 4 * 10 + 2)
    pixels = np.asarray(made.neighbours)[:, :]
    second = pixels[2:10, 12:20]  # the training image of the first pair
    training = np.load(run.config.data)["images"]
    assert any(np.array_equal(second, image) for image in training)


def test_other_data_are_refused(run):
    path = run.config.data
    np.savez(path, images=np.zeros((40, 8, 8), np.uint8), labels=np.arange(40) % 2)
    with pytest.raises(UserError, match=r"not what .* was trained on"):
        make_pictures(run, neighbours=True)


def test_points_and_translations_have_none(pairs, tmp_path):
    run = zerosum.train(
        "pix2pix",
        data=str(pairs),
        epochs=1,
        width=2,
        d_layers=1,
        size=16,
        out=tmp_path / "p",
        quiet=True,
    )
    assert make_pictures(run, neighbours=False) is None
    with pytest.raises(UserError, match="does not make images of noise"):
        make_pictures(run, neighbours=True)


def test_without_a_checkpoint_there_is_nothing_to_make(make_run):
    run = zerosum.load(make_run("a").path)
    assert make_pictures(run, neighbours=False) is None


def test_large_images_are_not_made_unasked(make_run):
    directory = make_run("a")
    assert is_cheap(zerosum.load(directory.path))
    saved = json.loads(directory.config_path.read_text())
    directory.config_path.write_text(json.dumps({**saved, "image_shape": [3, 128, 128]}))
    assert not is_cheap(zerosum.load(directory.path))
