"""What folders and archives share; decoding is in test_decode.py, names in test_names.py."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zerosum.data import has_splits, load
from zerosum.errors import UserError
from zerosum.plots.film import save_film
from zerosum.plots.grids import save_sample, save_sheet


def noise(*shape, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))


def levels(images):
    return images.images[:, 0, 0, 0].tolist()


def told(notes):
    return [str(note) for note in notes]


def zipped(folder: Path) -> Path:
    archive = folder.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*.*")):
            # As some programs on Windows write it.
            file.write(path, "top\\" + str(path.relative_to(folder)).replace("/", "\\"))
    return archive


class TestSplits:
    NAMES = ("train/cat/1.png", "train/dog/2.png", "valid/cat/3.png", "valid/dog/4.png")

    @pytest.mark.parametrize("pack", [lambda folder: folder, zipped], ids=["folder", "zip"])
    def test_they_hold_classes_and_what_is_held_out_is_not_trained_on(self, paint, pack):
        source = pack(paint(*self.NAMES))
        train, val, test = (load(source, split=split) for split in ("train", "val", "test"))
        assert has_splits(source)
        assert (levels(train), train.classes, train.labels.tolist()) == (
            [0, 10],
            ("cat", "dog"),
            [0, 1],
        )
        assert levels(val) == levels(test) == [20, 30]
        assert (train.report.origin, train.report.held_out) == (
            f"{source}/train",
            f"{source}/valid",
        )

    def test_what_lies_beside_them_is_left_out_and_told(self, paint):
        images = load(paint(*self.NAMES, "more/5.png"))
        assert levels(images) == [0, 10]
        assert told(images.report.left_out) == [
            "1 image beside the folders of the splits, such as more/5.png"
        ]

    def test_to_hold_out_of_what_is_held_out_already_is_refused(self, paint):
        with pytest.raises(UserError, match="held-out split of its own"):
            load(paint(*self.NAMES), hold_out=0.1)


class TestWhatIsLeftOut:
    def test_run_directories_wherever_they_are(self, paint):
        folder = paint("1.png", "runs/a/generated_epoch_1.png", "2.png")
        config = {"format": 1, "recipe": "dcgan", "config": {}}
        (folder / "runs/a/config.json").write_text(json.dumps(config))
        images = load(folder)
        assert levels(images) == [0, 20]
        assert told(images.report.left_out) == ["1 run directory of zerosum, such as runs/a"]
        with pytest.raises(UserError, match="is a run directory, whose pictures are no data"):
            load(folder / "runs/a")

    def test_another_programs_config_is_no_run(self, paint):
        folder = paint("1.png", "a/2.png")
        for content in ("{}", "[1]", "no json", "[" * 10**5):
            (folder / "a" / "config.json").write_text(content)
            assert len(load(folder)) == 2

    def test_pictures_and_films_of_samples(self, paint):
        folder = paint("1.png", "2.png", mode="RGB")
        save_sheet(noise(9, 9, 3), folder / "samples.png")
        frames = [noise(9, 9, 3, seed=seed) for seed in range(2)]
        for name in ("walk.gif", "walk.webp"):
            save_film(frames, folder / name, frame_milliseconds=50)
        images = load(folder, strict=True)
        assert len(images) == 2
        assert told(images.report.left_out) == [
            "3 pictures of samples that zerosum made, such as samples.png"
        ]
        for path in (folder / "1.png", folder / "2.png"):
            path.unlink()
        with pytest.raises(UserError, match="pictures of samples that zerosum made"):
            load(folder)

    def test_samples_among_images_and_not_those_that_lie_alone(self, paint):
        folder = paint("1.png")
        (folder / "samples").mkdir()
        save_sample(noise(4, 4), folder / "samples" / "0.png")
        images = load(folder)
        assert (len(images), images.classes) == (1, ())
        assert told(images.report.left_out) == ["1 sample that zerosum made, such as samples/0.png"]
        assert len(load(folder / "samples")) == 1

    def test_files_of_other_kinds_are_counted_by_kind(self, paint):
        folder = paint("1.png")
        for name in ("2.raw", "10.RAW", "noname", ".hidden.raw"):
            (folder / name).touch()
        assert told(load(folder).report.left_out) == [
            "2 files of a kind that is not read here, .raw, such as 2.raw",
            "1 file of a kind that is not read here, without a suffix, such as noname",
        ]

    def test_of_nothing_but_others_the_error_names_them(self, paint):
        folder = paint()
        (folder / "a.raw").touch()
        with pytest.raises(UserError, match=r"holds no images.*It holds 1 file.*\.raw"):
            load(folder)

    def test_what_cannot_be_decoded(self, paint):
        folder = paint("1.png")
        (folder / "2.png").write_text("no image")
        (note,) = load(folder).report.left_out
        assert str(note).startswith("1 file that cannot be decoded, such as 2.png: not an image")

    def test_one_stray_beside_the_classes(self, paint):
        images = load(paint("a/1.png", "a/2.png", "b/3.png", "4.png"))
        assert (images.classes, levels(images)) == (("a", "b"), [0, 10, 20])
        assert told(images.report.left_out) == ["1 image without a class, such as 4.png"]
        assert load(images.report.origin, size=(8, 8)).report.changed[0].count == 3


class TestWhatIsChanged:
    def test_crops_and_enlargements_are_told_with_the_sizes_there_were(self, paint):
        folder = paint("1.png", size=(8, 4))
        paint("2.png", size=(2, 2))
        report = load(folder, size=(4, 4)).report
        assert report.sizes == ((2, 2), (4, 8))
        assert told(report.changed) == [
            "1 cropped to the aspect of 4×4, such as 1.png",
            "1 enlarged to 4×4, such as 2.png",
        ]
        assert told(load(folder, size=(4, 4), fit="squash").report.changed)[1] == (
            "1 squashed to 4×4, such as 1.png"
        )

    def test_images_as_they_were_wanted_have_nothing_to_tell(self, paint):
        report = load(paint("1.png")).report
        assert (report.sizes, report.changed, report.left_out) == ((), (), ())

    def test_frames_on_demand(self, paint):
        folder = paint("a/1.png", "b/2.png")
        pages = [Image.new("L", (4, 4), level) for level in (50, 60, 70)]
        pages[0].save(folder / "b" / "3.tif", save_all=True, append_images=pages[1:])
        first = load(folder)
        assert levels(first) == [0, 10, 50]
        assert "first is used, such as b/3.tif" in str(first.report.changed[0])
        every = load(folder, all_frames=True)
        assert (levels(every), every.labels.tolist()) == ([0, 10, 50, 60, 70], [0, 1, 1, 1, 1])
        assert every.report.changed == ()


class TestRange:
    @pytest.fixture
    def twelve_bits(self, tmp_path):
        for index, low in enumerate((0, 100)):
            values = np.linspace(low, 4095 - low, 64).reshape(8, 8).astype(np.uint16)
            Image.fromarray(values).save(tmp_path / f"{index}.png")
        return tmp_path

    def test_few_levels_are_warned_of(self, twelve_bits):
        report = load(twelve_bits).report
        assert report.values == "0 to 4,095 of 65,535"
        assert "17 levels of gray are left" in report.warnings[0]

    def test_it_is_of_the_whole_set(self, twelve_bits):
        given, auto = (load(twelve_bits, value_range=each) for each in ((0, 4095), "auto"))
        assert np.array_equal(given.images, auto.images)
        assert (int(given.images[0].max()), int(given.images[1].max())) == (255, 249)
        assert auto.report.warnings == ()

    def test_found_for_all_it_is_that_of_the_training_images(self, tmp_path):
        for split, highest in (("train", 1000), ("test", 4000)):
            (tmp_path / split).mkdir()
            values = np.linspace(0, highest, 64).reshape(8, 8).astype(np.uint16)
            Image.fromarray(values).save(tmp_path / split / "1.png")
        test = load(tmp_path, split="test", value_range="auto").images
        assert (test == 255).float().mean() > 0.7

    def test_floats_and_signed_values(self, tmp_path):
        values = np.linspace(-1000, 3000, 64, dtype=np.float32).reshape(8, 8)
        Image.fromarray(values).save(tmp_path / "1.tif")
        with pytest.raises(UserError, match=r"values from -1000 to 3000.*--range -1000:3000"):
            load(tmp_path)
        assert int(load(tmp_path, value_range=(-1000, 3000)).images.min()) == 0

    def test_of_eight_bits_it_is_refused(self, paint):
        with pytest.raises(UserError, match="--range would change nothing"):
            load(paint("1.png"), value_range=(0, 10))


def test_files_of_labels_lie_beside_the_images(paint):
    folder = paint("top/a/1.png", "top/a/2.png")
    labels = {"labels": [["a/1.png", 5], ["a/2.png", 3]]}
    (folder / "top" / "dataset.json").write_text(json.dumps(labels))
    images = load(folder)
    assert (images.classes, images.labels.tolist()) == (("3", "5"), [1, 0])
    (folder / "top" / "dataset.json").write_text("{")
    with pytest.raises(UserError, match=r"top/dataset\.json cannot be read"):
        load(folder)


def test_each_split_has_the_labels_that_lie_nearest(paint):
    folder = paint("train/0.png", "train/1.png", "test/0.png", "test/1.png")
    (folder / "train" / "labels.csv").write_text("0.png,a\n1.png,b\n")
    (folder / "test" / "Labels.csv").write_text("0.png,b\n1.png,a\n")
    train, test = (load(folder, split=split) for split in ("train", "test"))
    assert [train.classes[label] for label in train.labels] == ["a", "b"]
    assert [test.classes[label] for label in test.labels] == ["b", "a"]


def test_labels_of_the_training_images_alone_leave_the_others_without(paint):
    folder = paint("train/x0.png", "train/x1.png", "test/y0.png")
    (folder / "labels.csv").write_text("id,breed\nx0,pug\nx1,husky\n")
    assert load(folder).classes == ("husky", "pug")
    assert load(folder, split="test").labels is None


def test_a_held_out_folder_of_one_class_is_of_that_class(paint):
    folder = paint("train/cat/0.png", "train/dog/1.png", "test/dog/2.png")
    test = load(folder, split="test")
    assert (test.classes, test.labels.tolist()) == (("dog",), [0])


def test_a_class_that_is_called_as_a_split_is_warned_of(paint):
    warnings = load(paint("train/1.png", "unlabeled/2.png")).report.warnings
    assert any("'train' is taken for a class" in warning for warning in warnings)


def test_heic_is_read_where_the_package_is(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    picture = noise(16, 16, 3)
    pillow_heif.from_pillow(picture).save(tmp_path / "1.heic", quality=-1)
    assert load(tmp_path).shape == (3, 16, 16)
