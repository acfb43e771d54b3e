import numpy as np
import pytest
import torch

from zerosum.data import has_splits, load
from zerosum.errors import UserError

GRAY = np.arange(2 * 5 * 6, dtype=np.uint8).reshape(2, 5, 6)
COLOUR = np.arange(2 * 5 * 6 * 3, dtype=np.uint8).reshape(2, 5, 6, 3)


@pytest.fixture
def save(tmp_path):
    def write(*args, **arrays):
        path = tmp_path / "samples.npz"
        np.savez_compressed(path, *args, **arrays)
        return path

    return write


def test_gray_images_with_labels(save):
    images = load(save(images=GRAY, labels=np.array([2, 0], np.int32)))
    assert np.array_equal(images.images[:, 0].numpy(), GRAY)
    assert images.labels.tolist() == [1, 0]
    assert (images.classes, images.name) == (("0", "2"), "samples")


@pytest.mark.parametrize(
    "array", [COLOUR, COLOUR.transpose(0, 3, 1, 2), np.asfortranarray(COLOUR)], ids=str
)
def test_colour_images_with_channels_last_or_first(save, array):
    images = load(save(images=array))
    assert np.array_equal(images.images.numpy(), COLOUR.transpose(0, 3, 1, 2))
    assert (images.labels, images.classes) == (None, ())


def test_where_both_could_be_channels_the_last_are(save):
    assert load(save(images=np.zeros((2, 3, 7, 4), np.uint8)), channels=4).shape == (4, 3, 7)


def test_an_array_without_a_name_or_the_only_one_of_its_kind(save):
    assert len(load(save(GRAY, np.zeros(9)))) == 2
    assert len(load(save(pictures=GRAY, other=np.zeros(9)))) == 2


def test_size_and_channels_apply(save):
    assert load(save(images=GRAY), size=(3, 4), channels=3).shape == (3, 3, 4)
    assert load(save(images=COLOUR), channels=1).shape == (1, 5, 6)


def test_transparency_is_composed_on_white(save):
    clear = np.zeros((2, 5, 6, 4), np.uint8)
    assert load(save(images=clear)).images.min() == 255


BAD = {
    "floats": ({"images": GRAY / 255}, r"float64 of shape \(2, 5, 6\), .*--range 0:1"),
    "dimensions": ({"images": GRAY[0]}, r"uint8 of shape \(5, 6\); expected an array 'images'"),
    "channels": ({"images": np.zeros((2, 17, 6, 17), np.uint8)}, r"\(2, 17, 6, 17\); expected"),
    "no-images": ({"images": GRAY[:0]}, r"\(0, 5, 6\); expected"),
    "ambiguous": ({"one": GRAY, "two": GRAY}, r"holds one \(2, 5, 6\); two \(2, .*x_train"),
    "nothing": ({}, "holds nothing; expected"),
    "objects": ({"images": np.array([GRAY, "x"], object)}, "pickled objects, which are never"),
    "label-type": ({"images": GRAY, "labels": np.zeros(2)}, "labels in .* are float64 of shape"),
    "label-count": (
        {"images": GRAY, "labels": np.zeros(3, int)},
        r"expected one for each .*\(2,\)",
    ),
    "label-unnamed": (
        {"images": GRAY, "labels": np.array([0, 2]), "classes": np.array(["a", "b"])},
        "go from 0 to 2, and it names 2 classes",
    ),
}


@pytest.mark.parametrize(("arrays", "message"), BAD.values(), ids=BAD.keys())
def test_a_bad_array_is_an_error_that_says_what_was_found(save, arrays, message):
    with pytest.raises(UserError, match=message) as caught:
        load(save(**arrays))
    assert "samples.npz" in str(caught.value)


@pytest.mark.parametrize("damage", [lambda c: c[:-40], lambda c: b"", lambda c: b"hello"])
def test_a_damaged_file_is_an_error(save, damage):
    path = save(images=GRAY)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"samples\.npz is damaged"):
        load(path)


class TestPoints:
    """Points in the plane, as `sample` writes them."""

    def test_are_read_with_labels(self, save):
        points = np.array([[0.25, -0.5], [3, 0]])
        found = load(save(points=points, labels=np.array([1, 0])))
        assert (found.shape, str(found.images.dtype)) == ((2, 1, 1), "torch.float32")
        assert found.images.flatten(1).tolist() == points.tolist()
        assert (found.labels.tolist(), found.classes) == ([1, 0], ("0", "1"))

    @pytest.mark.parametrize(
        "points",
        [
            np.zeros((3, 3)),
            np.zeros((0, 2)),
            np.zeros((3, 2), int),
            np.zeros((2, 2, 1, 1)),
            np.array([[0, np.nan]]),
        ],
        ids=lambda points: f"{points.dtype}-{points.shape}",
    )
    def test_others_are_refused(self, save, points):
        with pytest.raises(UserError, match=r"expected finite floats of the shape \(n, 2\)"):
            load(save(points=points))

    @pytest.mark.parametrize("wanted", [{"size": (8, 8)}, {"channels": 3}])
    def test_have_no_pixels(self, save, wanted):
        with pytest.raises(UserError, match=r"no pixels\. Leave --size, --channels"):
            load(save(points=np.zeros((2, 2))), **wanted)


class TestSplits:
    def test_of_medmnist_and_of_keras(self, save):
        medical = {
            f"{split}_{what}": array
            for split, images in (("train", GRAY), ("val", GRAY[:1]), ("test", GRAY[1:]))
            for what, array in (("images", images), ("labels", np.full((len(images), 1), 5)))
        }
        path = save(**medical)
        assert has_splits(path)
        train, val, test = (load(path, split=split) for split in ("train", "val", "test"))
        assert (len(train), len(val), len(test)) == (2, 1, 1)
        assert not torch.equal(val.images, test.images)
        assert train.classes == ("5",)
        assert "val_images in it" in train.report.held_out
        path = save(x_train=GRAY, y_train=np.arange(2), x_test=GRAY[:1], y_test=np.zeros(1, int))
        assert (len(load(path)), len(load(path, split="val"))) == (2, 1)

    def test_of_training_images_alone_there_is_no_other(self, save):
        path = save(train_images=GRAY)
        assert not has_splits(path)
        assert len(load(path, split="test")) == 2


class TestRange:
    CT = (np.arange(2 * 5 * 6).reshape(2, 5, 6) * 60 - 1000).astype(np.int16)

    def test_values_are_brought_to_black_and_white_and_said(self, save):
        path = save(images=self.CT)
        with pytest.raises(UserError, match=r"values from -1000 to 2540\..*--range -1000:2540"):
            load(path)
        images = load(path, value_range=(-1000, 2540))
        assert (images.images.min(), images.images.max()) == (0, 255)
        assert torch.equal(images.images, load(path, value_range="auto").images)
        assert (
            images.report.values == "-1,000 to 2,540, of which -1,000 becomes black and 2,540 white"
        )

    def test_twelve_bits_in_sixteen_are_warned_of(self, save):
        images = load(save(images=(self.CT + 1000).astype(np.uint16)))
        (warning,) = images.report.warnings
        assert "the brightest 14" in warning

    def test_of_eight_bits_a_range_is_refused(self, save):
        with pytest.raises(UserError, match="--range would change nothing"):
            load(save(images=GRAY), value_range=(0, 100))


def test_up_to_16_channels_that_are_no_colours(save):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 6, 7), np.uint8)
    images = load(save(images=pixels))
    assert np.array_equal(images.images.numpy(), pixels.transpose(0, 3, 1, 2))
    assert load(save(images=pixels), size=(4, 3)).shape == (7, 4, 3)
    with pytest.raises(UserError, match="7 channels, which are no colours"):
        load(save(images=pixels), channels=3)


def test_a_single_array_in_an_npy(tmp_path):
    np.save(tmp_path / "a.npy", GRAY)
    images = load(tmp_path / "a.npy")
    assert (images.shape, images.name) == ((1, 5, 6), "a")


@pytest.mark.parametrize(
    ("shape", "read", "is_guess"),
    [
        ((2, 5, 32, 20), (5, 32, 20), False),
        ((2, 32, 20, 5), (5, 32, 20), False),
        ((20, 5, 16, 16), (5, 16, 16), True),
        ((20, 16, 16, 5), (5, 16, 16), True),
        ((2, 8, 8, 3), (3, 8, 8), False),
        ((2, 3, 8, 8), (3, 8, 8), False),
        ((2, 3, 7, 4), (4, 3, 7), True),
        ((2, 2, 9, 8), (8, 2, 9), True),
    ],
    ids=str,
)
def test_where_the_channels_are(save, shape, read, is_guess):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    wanted = 4 if read[0] == 4 else None
    images = load(save(images=pixels), channels=wanted)
    assert images.shape == read
    is_first = shape[1] == read[0]
    planes = pixels if is_first else pixels.transpose(0, 3, 1, 2)
    assert np.array_equal(images.images.numpy(), planes)
    assert any("last or first" in each for each in images.report.warnings) == is_guess


def test_a_layout_in_the_file_counts(save):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 16, 16), np.uint8)
    images = load(save(images=pixels, layout="NHWC"))
    assert (images.shape, images.report.warnings) == ((16, 5, 16), ())


def test_an_unknown_layout_is_refused(save):
    with pytest.raises(UserError, match=r"no layout 'CHW'.*NCHW, NHWC"):
        load(save(images=COLOUR, layout="CHW"))


@pytest.mark.parametrize(
    ("images", "labels"),
    [("X", "y"), ("images", "label"), ("Images", "LABELS"), ("train_images", "train_labels")],
)
def test_other_spellings_of_images_and_labels(save, images, labels):
    found = load(save(**{images: GRAY, labels: np.array([3, 5])}))
    assert (len(found), found.classes, found.report.left_out) == (2, ("3", "5"), ())


def test_splits_in_capitals(save):
    one = np.array([7])
    path = save(X_train=GRAY, y_train=np.array([7, 8]), X_test=GRAY[1:], y_test=one)
    assert has_splits(path)
    train, held_out = load(path), load(path, split="test")
    assert (len(train), train.classes, len(held_out)) == (2, ("7", "8"), 1)
    assert (train.report.left_out, held_out.report.left_out) == ((), ())
    assert train.report.held_out == "X_test in it"


def test_what_is_not_read_is_said(save):
    report = load(save(images=GRAY, x=GRAY, Z=np.zeros(9))).report
    (note,) = report.left_out
    assert str(note) == "2 of its arrays, not read: x, Z"
