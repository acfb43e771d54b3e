import numpy as np
import pytest

from zerosum.data import load
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
    assert images.labels.tolist() == [2, 0]
    assert (images.classes, images.name) == (("0", "1", "2"), "samples")


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
    "floats": ({"images": GRAY / 255}, r"float64 of shape \(2, 5, 6\); expected .* uint8.*round"),
    "dimensions": ({"images": GRAY[0]}, r"uint8 of shape \(5, 6\); expected an array 'images'"),
    "channels": ({"images": np.zeros((2, 5, 6, 2), np.uint8)}, r"\(2, 5, 6, 2\); expected"),
    "no-images": ({"images": GRAY[:0]}, r"\(0, 5, 6\); expected"),
    "ambiguous": ({"x_test": GRAY, "x_train": GRAY}, r"holds x_test \(2, 5, 6\), x_train \(2, "),
    "nothing": ({}, "holds nothing; expected"),
    "objects": ({"images": np.array([GRAY, "x"], object)}, "pickled objects, which are never"),
    "label-type": ({"images": GRAY, "labels": np.zeros(2)}, "labels in .* are float64 of shape"),
    "label-count": ({"images": GRAY, "labels": np.zeros(3, int)}, r"expected integers of .*\(2,\)"),
    "label-negative": ({"images": GRAY, "labels": np.array([-1, 0])}, "go from -1 to 0; expected"),
    "label-huge": ({"images": GRAY, "labels": np.array([0, 10**9])}, "from 0 to 1000000000"),
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


def test_a_single_array_under_the_wrong_name_is_an_error(tmp_path):
    with (tmp_path / "samples.npz").open("wb") as file:
        np.save(file, GRAY)
    with pytest.raises(UserError, match=r"is a single \.npy array; expected"):
        load(tmp_path / "samples.npz")


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
        with pytest.raises(UserError, match=r"no pixels\. Leave --size and --channels out"):
            load(save(points=np.zeros((2, 2))), **wanted)
