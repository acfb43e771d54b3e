"""A run's samples as files of each kind."""

import numpy as np
import pytest
from PIL import Image

from zerosum.errors import UserError
from zerosum.inference.model import Sampled
from zerosum.inference.sample_files import WALK_STEPS, class_parts, read_latents, write_samples
from zerosum.plots.grids import Presentation
from zerosum.tasks.points import PointPresentation


def test_each_kind_holds_the_samples_that_python_gives(run, tmp_path):
    samples = run.sample(3, seed=5)
    write_samples(run, tmp_path / "deep/er/three.npz", presentation=Presentation(), count=3, seed=5)
    with np.load(tmp_path / "deep/er/three.npz") as arrays:
        assert np.array_equal(arrays["images"], samples)
    write_samples(run, tmp_path / "three", presentation=Presentation(), count=3, seed=5)
    assert sorted(path.name for path in (tmp_path / "three").iterdir()) == [
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

    def __init__(self, *, told=True, weight=1.0, count=3):
        self.count = count
        self.told = None
        if told:
            self.told = np.full((count, 2), 1 - weight, np.float32)
            self.told[np.arange(count), np.arange(count) % 2] = weight

    def sample_with_inputs(self, *_, **__):
        z = np.ones((self.count, 5), np.float32)
        return Sampled(np.zeros((self.count, 4, 4, 1), np.uint8), z, self.told)


@pytest.mark.parametrize(
    ("made", "presentation", "names"),
    [
        (Made(), Presentation(), {"images", "z", "labels", "classes"}),
        (Made(told=False), Presentation(), {"images", "z"}),
        (Made(weight=0.7), Presentation(), {"images", "z"}),
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
    assert sorted(path.stem for path in (tmp_path / "out").iterdir()) == names


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


class TestLatents:
    """What is read from files, and that samples are made again of it."""

    def test_an_array_of_samples_is_made_again_of_its_own_z(self, run, tmp_path):
        write_samples(run, tmp_path / "a.npz", presentation=Presentation(), count=3, truncation=0.5)
        with np.load(tmp_path / "a.npz") as arrays:
            images = arrays["images"]
        z = read_latents(tmp_path / "a.npz")
        assert np.array_equal(run.sample(z=z), images)
        assert np.array_equal(run.sample(z=z[2:]), images[2:])
        np.save(tmp_path / "z.npy", z[1:2])
        assert np.array_equal(run.sample(1, z=read_latents(tmp_path / "z.npy")), images[1:2])

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (None, "No such file"),
            (b"no array", "cannot be read"),
            ({"images": np.ones(3)}, "holds images, and no z"),
            (np.array([{}], object), "cannot be read"),
        ],
    )
    def test_files_that_hold_none(self, tmp_path, content, said):
        path = tmp_path / "z.npy"
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, dict):
            with path.open("wb") as file:
                np.savez(file, **content)
        elif content is not None:
            np.save(path, content, allow_pickle=True)
        with pytest.raises(UserError, match=said):
            read_latents(path)

    @pytest.mark.parametrize(
        ("how", "said"),
        [
            ({"z": np.ones((2, 3))}, "have 3 numbers each: this G takes 4"),
            ({"z": np.ones(4)}, r"are float64 of shape \(4,\): expected floats of the shape"),
            ({"z": np.array([["a"] * 4])}, "expected floats"),
            ({"z": np.full((1, 4), np.nan)}, "NaN or infinity"),
            ({"z": np.ones((2, 4)), "count": 3}, "Asked for 3 images of 2 latents"),
            ({"truncation": 1.5}, "truncation was 1.5: expected a number from 0 to 1"),
            ({"truncation": float("nan")}, "truncation was nan"),
            ({"class_mix": {"0": 1.0}}, "this G knows no classes. Leave --class-mix out"),
        ],
    )
    def test_what_g_cannot_take(self, run, how, said):
        with pytest.raises(UserError, match=said):
            run.sample(**how)


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
