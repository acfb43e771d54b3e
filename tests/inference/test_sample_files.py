"""A run's samples as files of each kind."""

import numpy as np
import pytest
import torch
from PIL import Image

from zerosum.data.spec import DataSpec
from zerosum.errors import UserError
from zerosum.inference.sample_files import MIX_STEPS, WALK_STEPS, class_parts, write_samples
from zerosum.inference.sample_sets import RECORD
from zerosum.inference.sampler import Sampled
from zerosum.plots.grids import Presentation
from zerosum.tasks.points import PointPresentation


def test_each_kind_holds_the_samples_that_python_gives(run, tmp_path):
    samples = run.sample(3, seed=5)
    write_samples(run, tmp_path / "deep/er/three.npz", presentation=Presentation(), count=3, seed=5)
    with np.load(tmp_path / "deep/er/three.npz") as arrays:
        assert np.array_equal(arrays["images"], samples)
    write_samples(run, tmp_path / "three", presentation=Presentation(), count=3, seed=5)
    assert sorted(path.name for path in (tmp_path / "three").iterdir()) == [
        RECORD,
        "000000_seed5.png",
        "000001_seed5.png",
        "000002_seed5.png",
    ]
    with Image.open(tmp_path / "three/000002_seed5.png") as image:
        assert np.array_equal(np.asarray(image), samples[2, :, :, 0])


def test_a_walk_takes_all_its_steps(run, tmp_path):
    write_samples(run, tmp_path / "walk.GIF", presentation=Presentation(), count=1)
    with Image.open(tmp_path / "walk.GIF") as film:
        assert film.n_frames <= WALK_STEPS  # Pillow joins frames that are alike
        assert film.n_frames > WALK_STEPS / 2


class Made:
    """A run that makes images of two classes, if it tells them, or between them."""

    classes = ("cats", "../small birds")
    data = "animals"
    spec = DataSpec(shape=(1, 4, 4))

    def __init__(self, *, told=True, weight=1.0, count=3):
        self.count = count
        self.told = None
        if told:
            self.told = np.full((count, 2), 1 - weight, np.float32)
            self.told[np.arange(count), np.arange(count) % 2] = weight
        self.one_hot = weight == 1

    def sample_with_inputs(self, *_, **__):
        z = np.ones((self.count, 5), np.float32)
        return Sampled(np.zeros((self.count, 4, 4, 1), np.uint8), z, self.told)

    def sampler(self, *_, **__):
        return self

    def pieces(self, start, stop):
        yield self.sample_with_inputs()

    def fingerprint(self):
        return "0" * 64

    def fingerprint_of_given(self):
        return None

    def choose_device(self, device):
        return torch.device("cpu")


@pytest.mark.parametrize(
    ("made", "presentation", "names"),
    [
        (Made(), Presentation(), {"images", "z", "labels", "classes"}),
        (Made(told=False), Presentation(), {"images", "z"}),
        (Made(weight=0.7), Presentation(), {"images", "z", "class_weights", "classes"}),
        (Made(told=False), PointPresentation(), {"points", "z"}),
    ],
)
def test_arrays_are_called_what_they_are(tmp_path, made, presentation, names):
    write_samples(made, tmp_path / "made.npz", presentation=presentation)
    with np.load(tmp_path / "made.npz") as arrays:
        assert set(arrays.files) == names
        assert arrays["z"].shape == (3, 5)
        if "labels" in names:
            assert arrays["labels"].dtype == np.int64
            assert arrays["classes"][arrays["labels"]].tolist() == [
                "cats",
                "../small birds",
                "cats",
            ]


@pytest.mark.parametrize(
    ("made", "z", "names"),
    [
        (Made(), None, ["000000_seed7_cats", "000001_seed7_small-birds", "000002_seed7_cats"]),
        (Made(), np.ones((3, 5)), ["000000_cats", "000001_small-birds", "000002_cats"]),
        (Made(weight=0.7, count=1), None, ["000000_seed7"]),
        (Made(told=False, count=1), None, ["000000_seed7"]),
    ],
)
def test_files_are_named_by_index_seed_and_class(tmp_path, made, z, names):
    write_samples(made, tmp_path / "out", presentation=Presentation(), seed=7, z=z)
    assert sorted(path.stem for path in (tmp_path / "out").glob("*.png")) == names


@pytest.mark.parametrize(
    ("classes", "parts"),
    [
        (("-1", "1", "+1"), ["-1", "1", "+1"]),
        (("🐱 猫", "🐶 犬", "हिन्दी"), ["猫", "犬", "हिन्दी"]),
        (("🐱", "🐶", "a b", "a/b"), ["0", "1", "a-b_2", "a-b_3"]),
        (("a/b", "a b", "a-b_1"), ["0_a-b", "1_a-b", "2_a-b_1"]),
        (("x" * 90 + "1", "x" * 90 + "2"), ["x" * 48 + "_0", "x" * 48 + "_1"]),
        (("../up", "..", "c:\\d"), ["up", "1", "c-d"]),
    ],
)
def test_file_names_tell_classes_apart(classes, parts):
    assert class_parts(classes) == dict(zip(classes, parts, strict=True))


@pytest.mark.parametrize(("channels", "shown"), [(2, [0, 1, 0]), (5, [0, 1, 2])])
def test_pictures_of_more_channels_show_three_and_say_so(tmp_path, capsys, channels, shown):
    made = Made(told=False, count=1)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 4, 4, channels), np.uint8)
    made.spec = DataSpec(shape=(channels, 4, 4))
    made.sample_with_inputs = lambda *_, **__: Sampled(pixels, np.ones((1, 5), np.float32), None)
    for out, file in (("out", "out/000000_seed0.png"), ("one.png", "one.png")):
        write_samples(made, tmp_path / out, presentation=Presentation())
        with Image.open(tmp_path / file) as image:
            assert np.array_equal(np.asarray(image), pixels[0][..., shown])
        assert f"{channels} channels" in capsys.readouterr().err
    write_samples(made, tmp_path / "all.npz", presentation=Presentation())
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("count", "as_grid", "size"),
    [(1, False, (4, 4)), (1, True, (8 * 21, 8 * 21)), (2, False, (14 * 21, 8 * 21))],
)
def test_a_single_image_is_itself_unless_a_grid_is_asked_for(tmp_path, count, as_grid, size):
    made = Made(count=count)
    write_samples(made, tmp_path / "one.png", presentation=Presentation(), as_grid=as_grid)
    with Image.open(tmp_path / "one.png") as image:
        assert image.size == size


class TestMix:
    """From one sample to another, as a row or as a film."""

    def test_as_a_row(self, run, tmp_path):
        write_samples(run, tmp_path / "row.png", presentation=Presentation(), mix=(2, 5))
        with Image.open(tmp_path / "row.png") as image:
            assert image.size == ((9 * 10 + 2) * 10, (10 + 2) * 10)

    def test_as_a_film_it_goes_there_and_back(self, tmp_path, monkeypatch):
        made, shown = Made(told=False, count=MIX_STEPS), []
        pixels = np.arange(MIX_STEPS, dtype=np.uint8)[:, None, None, None] * np.ones(
            (1, 4, 4, 1), np.uint8
        )
        given = {}

        def sample(count, **how):
            given.update(how, count=count)
            return Sampled(pixels, np.ones((MIX_STEPS, 5), np.float32), None)

        made.sample_with_inputs = sample
        monkeypatch.setattr(
            "zerosum.inference.sample_files.save_film",
            lambda frames, *_, **__: shown.extend(np.asarray(each).min() for each in frames),
        )
        write_samples(made, tmp_path / "mix.gif", presentation=Presentation(), mix=(2, 5))
        assert (given["mix"], given["count"]) == ((2, 5), MIX_STEPS)
        assert shown == [*range(MIX_STEPS), *reversed(range(MIX_STEPS - 1))]

    def test_files_of_it_are_no_samples_of_a_seed(self, run, tmp_path):
        write_samples(run, tmp_path / "out", presentation=Presentation(), mix=(2, 5), count=2)
        names = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
        assert names == ["000000.png", "000001.png"]


class TestRefusals:
    """They come before anything is made: there is no run to make it."""

    def test_another_suffix(self, tmp_path):
        with pytest.raises(UserError, match=r"cannot be written as 'some\.jpg'"):
            write_samples(None, tmp_path / "some.jpg", presentation=Presentation(), count=1)

    def test_a_folder_in_which_something_is(self, tmp_path):
        (tmp_path / "mine.txt").write_text("mine")
        with pytest.raises(UserError, match="is not empty"):
            write_samples(None, tmp_path, presentation=Presentation(), count=1)

    @pytest.mark.parametrize(
        ("name", "how", "said"),
        [
            ("a.gif", {"as_grid": True}, "--grid is for a .png of images: 'a.gif' is none"),
            ("a.webp", {"z": np.ones((1, 4))}, "walks through z of its own"),
            ("a.mp4", {}, "'a.mp4' needs the program ffmpeg"),
        ],
    )
    def test_what_a_film_cannot_be(self, tmp_path, monkeypatch, name, how, said):
        monkeypatch.setenv("PATH", "")
        with pytest.raises(UserError, match=said):
            write_samples(None, tmp_path / name, presentation=Presentation(), **how)

    def test_points_as_a_folder(self, tmp_path):
        with pytest.raises(UserError, match="make no folder of images"):
            write_samples(None, tmp_path / "out", presentation=PointPresentation(), count=1)
        assert not (tmp_path / "out").exists()

    def test_a_place_that_cannot_be_written(self, run, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(UserError, match=r"file/grid\.png"):
            write_samples(run, tmp_path / "file/grid.png", presentation=Presentation(), count=1)
