"""Points in the plane through the real commands, a few hundred of them."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import zerosum
from zerosum import data
from zerosum.cli.main import run
from zerosum.data.spec import DataSpec
from zerosum.plots.charts import CAPTION, SIDE, scatter
from zerosum.tasks import TASKS, task_of_data, task_on
from zerosum.tasks.points import PointPresentation

RUN = "runs/vanilla-ring"
SMALL = ("--batch-size", "64", "--hidden", "16", "24", "--device", "cpu", "--sample-every", "1")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A directory and a cache of their own, where the data set has 400 and 300 points."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
    about = data.DATASETS["ring"]
    few = replace(about.mixture, counts={"train": 400, "test": 300})
    monkeypatch.setitem(data.DATASETS, "ring", replace(about, mixture=few))
    return tmp_path


@pytest.fixture
def trained(here):
    """A run of one epoch."""
    assert train("--epochs", "1", "--evaluate-every", "1") == 0
    return zerosum.load(RUN)


def train(*flags):
    return run(["train", "--data", "ring", *SMALL, *flags])


def test_a_run_draws_checks_and_keeps_itself(trained):
    assert trained.image_shape == (2, 1, 1)
    (record,) = trained.log()
    assert record["metrics"]["frechet_ring"] > 0.01
    assert set(record["health"]["signals"]["missing"]) < set(data.DATASETS["ring"].classes)
    with Image.open(f"{RUN}/generated_epoch_1.png") as picture:
        assert picture.size == (SIDE, SIDE + CAPTION)
    with Image.open(f"{RUN}/film.gif") as film:
        assert film.size == (SIDE, SIDE + CAPTION)


def test_a_training_says_that_these_are_points_and_what_to_try(here, capsys):
    assert train("--epochs", "1", "--evaluate-every", "0") == 0
    said = capsys.readouterr().out
    assert "400 points in the plane, 8 classes" in said
    assert f"zerosum sample {RUN} -n 2500 --out samples.png" in said


def test_a_picture_is_a_scatter_plot_over_the_modes_where_they_are_known():
    points = np.zeros((4, 2), np.float32)
    drawn, plain = (
        PointPresentation().picture(points, data=of).tobytes() for of in ("ring", "mine.npz")
    )
    assert drawn == scatter(points, data.DATASETS["ring"].mixture).tobytes()
    assert plain == scatter(points).tobytes() != drawn


@pytest.mark.parametrize(
    ("name", "shape", "found"),
    [
        ("generation", (2, 1, 1), "points"),
        ("generation", (2, 1, 2), "generation"),
        ("translation", (4, 8, 8), "translation"),
    ],
)
def test_the_task_follows_from_the_recipes_and_the_data(name, shape, found):
    assert task_on(name, DataSpec(shape=shape)) is TASKS[found]


def test_before_a_load_it_follows_from_the_datas_name():
    assert [task_of_data(name) for name in ("grid", "mnist", "ring/folder")] == [
        TASKS["points"],
        TASKS["generation"],
        TASKS["generation"],
    ]


@pytest.mark.slow
def test_it_resumes_to_the_same_points(trained):
    shutil.copytree(RUN, "whole")
    assert train("--epochs", "3", "--evaluate-every", "1") == 0
    assert train("--epochs", "3", "--evaluate-every", "1", "--out", "at-once") == 0
    resumed, whole = (zerosum.load(path).sample(5) for path in (RUN, "at-once"))
    assert np.array_equal(resumed, whole)


def test_samples_are_floats(trained):
    points = trained.sample(300)
    assert (points.shape, points.dtype) == ((300, 2), np.float32)
    assert len(np.unique(points)) > 256  # no byte could hold them
    assert np.abs(points).max() < 1
    assert trained.interpolate(3, count=4).shape == (3, 4, 2)


@pytest.mark.slow
def test_samples_as_files(trained, capsys):
    assert run(["sample", RUN, "-n", "20", "--out", "points.npz"]) == 0
    assert np.array_equal(np.load("points.npz")["points"], trained.sample(20))
    assert run(["sample", RUN, "--out", "points.png"]) == 0
    assert run(["sample", RUN, "-n", "2", "--out", "walk.gif"]) == 0
    for name, frames in (("points.png", 1), ("walk.gif", 60)):
        with Image.open(name) as picture:
            assert picture.size == (SIDE, SIDE + CAPTION)
            assert getattr(picture, "n_frames", 1) in {frames, *range(2, frames)}
    assert run(["sample", RUN, "--out", "folder"]) == 2
    assert "make no folder of images" in capsys.readouterr().err


def test_evaluate(trained, capsys):
    capsys.readouterr()
    assert run(["evaluate", RUN, "--json"]) == 0
    output = capsys.readouterr()
    found = json.loads(output.out)["metrics"]
    floors = {name: found[name]["card"]["floor"] for name in ("modes", "high_quality")}
    assert floors == {"modes": 8, "high_quality": pytest.approx(0.989, abs=0.03)}
    assert found["modes"]["value"] < 8
    assert found["frechet_ring"]["value"] > found["frechet_ring"]["card"]["floor"]
    assert "LPIPS" not in output.err


def test_real_points_of_a_file_are_as_good_as_real_ones(here, capsys):
    np.savez("real.npz", points=data.load("ring").images.flatten(1).numpy())
    asked = ("--metrics", "modes,mode_kl,high_quality", "--json")
    assert run(["evaluate", "real.npz", "--reference", "ring", *asked]) == 0
    found = json.loads(capsys.readouterr().out)["metrics"]
    assert found["modes"]["value"] == 8
    assert found["mode_kl"]["value"] < 0.05
    assert found["high_quality"]["value"] == pytest.approx(0.989, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--metrics", "lpips_diversity"), "Points in the plane are no images"),
        (("--neighbours", "sheet.png"), "Points in the plane are no images"),
        (("--features", "digits"), "by a feature net for images"),
        (("--features", "random", "--metrics", "fid"), "by a feature net for images"),
        (("--reference", "mnist", "--metrics", "fid"), "by a feature net for images"),
        (("--size", "8"), "Leave --size and --channels out"),
    ],
)
def test_what_is_for_images_only_is_refused(trained, capsys, flags, complaint):
    assert run(["evaluate", RUN, *flags]) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("flags", [("--size", "8"), ("--channels", "1")])
def test_points_cannot_be_trained_on_in_another_shape(capsys, flags):
    assert train(*flags) == 2
    assert "'ring' is of points in the plane" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [("--hflip",), ("--augment", "cutout"), ("--augment", "color")])
def test_points_have_nothing_to_augment(capsys, flags):
    assert train(*flags) == 2
    assert "have no pixels to mirror, shift or cut out" in capsys.readouterr().err


def test_points_of_ones_own_are_refused_before_the_training(here, capsys):
    np.savez("mine.npz", points=np.random.RandomState(0).uniform(-1, 1, (200, 2)))
    assert run(["train", "--data", "mine.npz", *SMALL, "--epochs", "1"]) == 2
    output = capsys.readouterr()
    assert "Only those of the data sets ring and grid are known" in output.err
    assert "Epoch" not in output.out


def test_the_list_of_data_has_them(capsys):
    assert run(["data"]) == 0
    listed = capsys.readouterr().out
    assert "8 Gaussians" in listed
    assert "25 Gaussians" in listed
