"""Images of two domains in every layout, with A and B told apart by their gray levels."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zerosum.data import canvas, pairs
from zerosum.data.domains import has_validation
from zerosum.data.pairs import load_pairs
from zerosum.data.store import Stacked
from zerosum.errors import UserError
from zerosum.plots.grids import save_sample

FACADES = Path(__file__).parents[3] / "shared" / "data" / "facades"
B = 100  # what is added to the number of an image of B


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "my data"
    folder.mkdir()
    return folder


def write(path, level, size=(4, 4), **options):
    """Write a flat image: gray for a number, RGB for three of them; size is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = "L" if isinstance(level, int) else "RGB"
    Image.new(mode, size, level).save(path, **options)


def write_both(path, left, right, half=(4, 4)):
    """Write an image of two flat halves."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside_each_other(left, right, half).save(path)


def beside_each_other(left, right, half=(4, 4)):
    image = Image.new("L", (2 * half[0], half[1]), right)
    image.paste(left, (0, 0, *half))
    return image


def load(root, **changes):
    settings = {"split": "train", "size": None, "channels": None, "direction": "AtoB"}
    return load_pairs(root, **(settings | changes))


def levels(images):
    """The gray levels (source, target) of every image, having checked that both are flat."""
    assert (images.images.amin((2, 3)) == images.images.amax((2, 3))).all()
    pixels = images.images[:, :, 0, 0]
    return list(zip(pixels[:, 0].tolist(), pixels[:, images.source_channels].tolist(), strict=True))


class TestSideBySide:
    def test_the_left_half_is_a_and_the_direction_swaps_them(self, root):
        for number in (10, 9, 1):
            write_both(root / f"{number}.png", number, B + number)
        images = load(root)
        assert (images.shape, images.source_channels, images.matched) == ((2, 4, 4), 1, True)
        assert (images.labels, images.classes, images.name) == (None, (), "my-data")
        assert levels(images) == [(1, B + 1), (9, B + 9), (10, B + 10)]
        assert levels(load(root, direction="BtoA")) == [(B + 1, 1), (B + 9, 9), (B + 10, 10)]
        assert levels(load(root, matched=False)) == levels(images)
        assert not load(root, matched=False).matched

    def test_halves_are_cut_first_and_then_resized(self, root):
        # Were the whole image fitted to the aspect, most of both halves would be cropped away.
        write_both(root / "1.png", 0, 255, half=(30, 20))
        images = load(root, size=(16, 16))
        assert images.shape == (2, 16, 16)
        assert levels(images) == [(0, 255)]

    def test_halves_may_be_taller_than_wide(self, root):
        write_both(root / "1.png", 1, 2, half=(2, 6))
        assert load(root).shape == (2, 6, 2)
        assert levels(load(root)) == [(1, 2)]

    def test_pixels_are_those_of_the_file(self, root):
        whole = np.random.default_rng(0).integers(0, 256, (3, 10, 3), np.uint8)
        Image.fromarray(whole).save(root / "1.png")
        stacked = load(root).images[0].permute(1, 2, 0).numpy()
        assert (stacked == np.concatenate([whole[:, :5], whole[:, 5:]], axis=2)).all()

    def test_subfolders_are_no_classes(self, root):
        write_both(root / "cats" / "1.png", 1, 2)
        write_both(root / "dogs" / "2.png", 3, 4)
        images = load(root)
        assert (levels(images), images.labels, images.classes) == ([(1, 2), (3, 4)], None, ())

    def test_two_folders_of_the_same_names_are_domains_by_other_names(self, root):
        for folder in ("images", "masks"):
            write_both(root / folder / "1.png", 1, 2)
        with pytest.raises(UserError, match=r"images; masks.*call them A and B"):
            load(root)

    def test_run_directories_and_translations_among_them_are_no_pairs(self, root):
        write_both(root / "1.png", 1, 2)
        write_both(root / "runs" / "p" / "generated_epoch_1.png", 3, 4)
        config = '{"format": 1, "recipe": "pix2pix", "config": {}}'
        (root / "runs" / "p" / "config.json").write_text(config)
        save_sample(beside_each_other(5, 6), root / "1-translated.png")
        images = load(root)
        assert levels(images) == [(1, 2)]
        assert [str(note) for note in images.report.left_out] == [
            "1 sample that zerosum made, such as 1-translated.png",
            "1 run directory of zerosum, such as runs/p",
        ]

    def test_without_pairs_domains_of_other_names_are_not_cut_in_half(self, root):
        write_both(root / "horses" / "1.png", 1, 2)
        write_both(root / "zebras" / "1.png", 3, 4)
        with pytest.raises(UserError, match=r"lie in folders inside it: horses; zebras"):
            load(root, matched=False)

    def test_one_colour_image_makes_all_of_them_rgb(self, root):
        write_both(root / "1.png", 10, 20)
        write(root / "2.png", (1, 2, 3), size=(8, 4))
        write_both(root / "3.png", 30, 40)
        images = load(root)
        assert images.source_channels == 3
        assert images.images[:, :, 0, 0].tolist() == [
            [10, 10, 10, 20, 20, 20],
            [1, 2, 3, 1, 2, 3],
            [30, 30, 30, 40, 40, 40],
        ]
        assert load(root, channels=1).shape == (2, 4, 4)
        assert load(root, channels=4).images[0, :, 0, 0].tolist() == [10] * 3 + [255] + [20] * 3 + [
            255
        ]

    def test_a_rotation_in_exif_is_undone_before_the_cut(self, root):
        upright = beside_each_other(1, 2, half=(4, 6))
        exif = Image.Exif()
        exif[0x0112] = 6  # to be shown turned by 90° clockwise
        upright.transpose(Image.Transpose.ROTATE_90).save(root / "1.png", exif=exif)
        assert load(root).shape == (2, 6, 4)
        assert levels(load(root)) == [(1, 2)]

    def test_an_odd_width_has_no_middle(self, root):
        write_both(root / "1.png", 1, 2)
        write(root / "2.png", 3, size=(7, 4))
        with pytest.raises(UserError, match=r"2\.png in .*my data is 7 pixels wide.*left half"):
            load(root)
        with pytest.raises(UserError, match=r"2\.png"):
            load(root, size=(4, 4))

    def test_sizes_must_agree_unless_one_is_wanted(self, root):
        write_both(root / "1.png", 1, 2)
        write_both(root / "2.png", 3, 4, half=(6, 4))
        with pytest.raises(UserError, match=r"1\.png is 4×4, 2\.png is 4×6.*--size N"):
            load(root)
        assert levels(load(root, size=(4, 4))) == [(1, 2), (3, 4)]

    def test_damage_is_skipped_or_with_strict_an_error(self, root):
        write_both(root / "train" / "1.png", 1, 2)
        (root / "train" / "2.png").write_text("hello")
        write_both(root / "train" / "3.png", 3, 4)
        images = load(root)
        assert levels(images) == [(1, 2), (3, 4)]
        assert [line.split(": ")[0] for line in images.skipped] == ["train/2.png"]
        with pytest.raises(UserError, match=r"1 of the 3 images in .*cannot be decoded.*2\.png"):
            load(root, strict=True)

    def test_more_than_memory_holds_is_an_error(self, root, monkeypatch):
        write_both(root / "1.png", 1, 2)
        monkeypatch.setattr(canvas, "memory_bytes", lambda: 2 * 4 * 4 - 1)
        with pytest.raises(UserError, match="would take about"):
            load(root, tier="memory")
        monkeypatch.setattr(canvas, "memory_bytes", lambda: 2 * 4 * 4)
        assert len(load(root, tier="memory")) == 1


class TestTwoFolders:
    def test_partners_share_their_name_but_for_the_suffix(self, root):
        for number in (10, 9, 1):
            write(root / "A" / f"{number}.png", number)
            write(root / "B" / f"{number}.bmp", B + number)
        images = load(root)
        assert levels(images) == [(1, B + 1), (9, B + 9), (10, B + 10)]
        assert (images.labels, images.skipped, images.name) == (None, (), "my-data")
        assert levels(load(root, direction="BtoA")) == [(B + 1, 1), (B + 9, 9), (B + 10, 10)]

    def test_partners_stay_together_where_suffixes_change_the_order(self, root):
        # "a.png" comes after "a+.bmp", but "a" before "a+".
        for number, (first, second) in enumerate([("a.png", "a+.png"), ("a+.bmp", "a.bmp")]):
            write(root / "A" / first, number)
            write(root / "B" / second, B + 1 - number)
        assert levels(load(root)) == [(0, B), (1, B + 1)]

    def test_files_without_a_partner_are_left_out_and_named(self, root):
        for number in (1, 2):
            write(root / "A" / "train" / f"{number}.png", number)
        for number in (2, 3):
            write(root / "B" / "train" / f"{number}.png", B + number)
        images = load(root)
        assert levels(images) == [(2, B + 2)]
        assert images.skipped == (
            "A/train/1.png: no partner in B/train",
            "B/train/3.png: no partner in A/train",
        )
        assert set(load(root, direction="BtoA").skipped) == set(images.skipped)
        assert levels(load(root, strict=True)) == [(2, B + 2)]

    def test_the_partner_of_a_damaged_file_is_left_out(self, root):
        for number in range(5):
            write(root / "A" / f"{number}.png", number)
            write(root / "B" / f"{number}.png", B + number)
        (root / "A" / "1.png").write_bytes(b"")
        (root / "B" / "3.png").write_bytes(b"")
        images = load(root)
        assert levels(images) == [(0, B), (2, B + 2), (4, B + 4)]
        assert images.skipped == ("A/1.png: the file is empty", "B/3.png: the file is empty")
        with pytest.raises(UserError, match=r"1 of the 5 images in .*A cannot be decoded: A/1\."):
            load(root, strict=True)

    def test_when_damage_leaves_no_pair_that_is_said(self, root):
        for number in (1, 2):
            write(root / "A" / f"{number}.png", number)
            write(root / "B" / f"{number}.png", number)
        (root / "A" / "1.png").write_bytes(b"")
        (root / "B" / "2.png").write_bytes(b"")
        with pytest.raises(UserError, match=r"No pair .* is left.*A/1\.png: the file is empty"):
            load(root)

    def test_a_domain_is_gray_when_all_of_its_images_are(self, root):
        write(root / "A" / "1.png", 10)
        write(root / "A" / "2.png", 20)
        write(root / "B" / "1.png", 30)
        write(root / "B" / "2.png", (1, 2, 3))
        images = load(root)
        assert images.source_channels == 1
        assert images.images[:, :, 0, 0].tolist() == [[10, 30, 30, 30], [20, 1, 2, 3]]
        swapped = load(root, direction="BtoA")
        assert swapped.source_channels == 3
        assert swapped.images[1, :, 0, 0].tolist() == [1, 2, 3, 20]
        assert (load(root, channels=3).shape, load(root, channels=1).shape) == (
            (6, 4, 4),
            (2, 4, 4),
        )

    def test_a_rotation_in_exif_is_undone(self, root):
        exif = Image.Exif()
        exif[0x0112] = 6
        write(root / "A" / "1.png", 1, size=(4, 6), exif=exif)
        write(root / "B" / "1.png", 2, size=(6, 4))
        assert load(root).shape == (2, 4, 6)

    def test_partners_are_of_one_size_unless_one_is_wanted(self, root):
        write(root / "A" / "1.png", 1)
        write(root / "B" / "1.png", 2, size=(6, 6))
        with pytest.raises(UserError, match=r"A/1\.png is 4×4, B/1\.png is 6×6.*--size N"):
            load(root)
        images = load(root, size=(3, 8))
        assert (images.shape, levels(images)) == ((2, 3, 8), [(1, 2)])

    def test_without_a_common_name_there_are_no_pairs(self, root):
        write(root / "A" / "1.png", 1)
        write(root / "B" / "2.png", 2)
        with pytest.raises(UserError, match=r"No image in .* has a partner.*1\.png.*2\.png"):
            load(root)

    def test_both_copies_have_to_fit_into_memory(self, root, monkeypatch):
        write(root / "A" / "1.png", 1)
        write(root / "B" / "1.png", 2)
        monkeypatch.setattr(pairs, "memory_bytes", lambda: 4 * 4 * 4 - 1)
        with pytest.raises(UserError, match="1 pairs of images of 4×4 pixels would take about"):
            load(root, tier="memory")
        apart = load(root)
        monkeypatch.setattr(pairs, "memory_bytes", lambda: 4 * 4 * 4)
        whole = load(root, tier="memory")
        assert isinstance(apart.images, Stacked)
        assert torch.equal(whole.images, apart.images[:])


class TestUnmatched:
    @pytest.mark.parametrize(("first", "second"), [("A", "B"), ("trainA", "trainB")])
    def test_images_of_the_smaller_domain_repeat_in_turn(self, root, first, second):
        for number in range(5):
            write(root / first / f"photo{number}.png", number)
        for number in range(2):
            write(root / second / f"{number}.png", B + number)
        images = load(root, matched=False)
        expected = [(0, B), (1, B + 1), (2, B), (3, B + 1), (4, B)]
        assert (levels(images), images.matched) == (expected, False)
        swapped = load(root, matched=False, direction="BtoA")
        assert levels(swapped) == [(target, source) for source, target in expected]

    def test_names_mean_nothing_and_damage_is_skipped_alone(self, root):
        write(root / "A" / "1.png", 1)
        write(root / "A" / "1.bmp", 2)
        (root / "B").mkdir()
        (root / "B" / "1.png").touch()
        write(root / "B" / "2.png", (1, 2, 3))
        images = load(root, matched=False)
        assert images.images[:, :, 0, 0].tolist() == [[2, 1, 2, 3], [1, 1, 2, 3]]
        assert images.skipped == ("B/1.png: the file is empty",)

    def test_an_empty_domain_is_an_error(self, root):
        write(root / "A" / "1.png", 1)
        (root / "B").mkdir()
        with pytest.raises(UserError, match=r"B holds no images: expected files ending in \.png"):
            load(root, matched=False)


@pytest.mark.parametrize("matched", [True, False])
def test_a_split_is_read_from_its_folder_under_the_name_of_the_whole(root, matched):
    for level, split in enumerate(("train", "val")):
        write_both(root / "halves" / split / "1.png", level, B + level)
        for domain, add in (("A", 0), ("B", B)):
            write(root / "folders" / split / domain / "1.png", level + add)
    for name in ("halves", "folders"):
        for level, split in ((0, "train"), (1, "val"), (1, "test")):
            images = load(root / name, split=split, matched=matched)
            assert (levels(images), images.name) == ([(level, B + level)], name)


@pytest.mark.parametrize("matched", [True, False])
def test_without_splits_each_of_them_is_the_training_set(root, matched):
    write(root / "A" / "1.png", 3)
    write(root / "B" / "1.png", 4)
    for split in ("train", "val", "test"):
        assert levels(load(root, split=split, matched=matched)) == [(3, 4)]


@pytest.mark.parametrize("matched", [True, False])
def test_the_set_depends_on_names_and_not_on_the_order_of_directories(root, monkeypatch, matched):
    for number in range(12):
        write(root / "A" / f"{number}.png", number)
        write(root / "B" / f"{number}.png", B + number)
    before = load(root, matched=matched).fingerprint()
    original = os.walk

    def backwards(top, **options):
        for folder, subfolders, files in original(top, **options):
            yield folder, subfolders, files[::-1]

    monkeypatch.setattr(os, "walk", backwards)
    assert load(root, matched=matched).fingerprint() == before
    assert levels(load(root, matched=matched)) == [(number, B + number) for number in range(12)]


def test_an_empty_folder_shows_what_is_expected(root):
    with pytest.raises(UserError, match=r"my data holds no images.*left half.* A and B"):
        load(root)


def test_a_path_that_is_no_folder_is_refused(root):
    with pytest.raises(UserError, match="no file or folder"):
        load(root / "missing")


def test_a_hostile_name_cannot_reach_the_terminal(root):
    write(root / "A" / "1.png", 1)
    write(root / "B" / "1.png", 1)
    write(root / "B" / "\x1b[2J.png", 1)
    (line,) = load(root).skipped
    assert line.isprintable()


@pytest.mark.skipif(not FACADES.is_dir(), reason="the facades are not on this machine")
class TestFacades:
    @pytest.mark.parametrize(("split", "count"), [("train", 400), ("val", 100), ("test", 106)])
    def test_photographs_are_on_the_left_and_labels_on_the_right(self, split, count):
        images = load(FACADES, split=split, size=(64, 64), direction="BtoA")
        assert (len(images), images.shape, images.source_channels) == (count, (6, 64, 64), 3)
        # Labels are painted in pure colours, which photographs of houses are not.
        pixels = images.images.float()
        labels, photographs = (
            (half.amax(1) - half.amin(1)).mean((1, 2)) for half in (pixels[:, :3], pixels[:, 3:])
        )
        assert labels.min() > 150
        assert photographs.max() < 100

    def test_by_themselves_they_have_256_pixels(self):
        images = load(FACADES, split="val")
        assert (len(images), images.shape, images.skipped) == (100, (6, 256, 256), ())
        assert has_validation(FACADES)
