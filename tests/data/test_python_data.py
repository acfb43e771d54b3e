import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

import zerosum
from zerosum.data import load
from zerosum.data.python_data import keep_python_data
from zerosum.errors import UserError

GRAY = np.random.default_rng(0).integers(0, 256, (6, 8, 8), np.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))


class Pictures:
    """A dataset as torchvision has them."""

    classes = ("cat", "dog")

    def __len__(self):
        return len(GRAY)

    def __getitem__(self, index):
        return Image.fromarray(GRAY[index]), index % 2


@pytest.mark.parametrize(
    "data",
    [
        GRAY,
        GRAY.astype(np.int64),
        GRAY / 255,
        torch.from_numpy(GRAY)[:, None],
        torch.from_numpy(GRAY)[:, None].float() / 127.5 - 1,
        TensorDataset(torch.from_numpy(GRAY)[:, None].float() / 255),
        Pictures(),
        list(GRAY),
    ],
    ids=["uint8", "int64", "floats", "tensor", "normalised", "TensorDataset", "PIL", "list"],
)
def test_the_same_images_whatever_they_are_in(data):
    images = load(keep_python_data(data))
    assert np.array_equal(images.images[:, 0].numpy(), GRAY)


def test_labels_and_names_of_classes():
    images = load(keep_python_data((GRAY, [7, 3, 7, 3, 3, 3])))
    assert (images.classes, images.labels.tolist()) == (("3", "7"), [1, 0, 1, 0, 0, 0])
    images = load(keep_python_data(Pictures()))
    assert (images.classes, images.labels.tolist()) == (("cat", "dog"), [0, 1] * 3)
    assert load(keep_python_data(images)).classes == ("cat", "dog")


def test_a_tensor_has_its_channels_first():
    data = torch.zeros(2, 3, 4, 3, dtype=torch.uint8)
    assert load(keep_python_data(data)).shape == (3, 4, 3)


def test_the_file_is_named_by_its_content():
    assert keep_python_data(GRAY) == keep_python_data(GRAY.copy())
    assert keep_python_data(GRAY) != keep_python_data(GRAY[::-1])


def test_a_run_of_them_is_gone_on_with(tmp_path):
    settings = {"hidden": (4,), "latent_size": 2, "evaluate_every": 0, "quiet": True}
    run = zerosum.train("vanilla", data=GRAY, epochs=1, out=tmp_path / "run", **settings)
    again = zerosum.train("vanilla", data=GRAY, epochs=2, out=tmp_path / "run", **settings)
    assert (len(run.log()), len(again.log())) == (2, 2)
    with pytest.raises(UserError, match="not those the run has seen"):
        zerosum.train("vanilla", data=GRAY[::-1], epochs=3, out=tmp_path / "run", **settings)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (5, "received 5"),
        ({"a": GRAY}, "received"),
        (GRAY[0], r"uint8 of shape \(8, 8\)"),
        (GRAY[:0], r"shape \(0, 8, 8\)"),
        (GRAY.astype(float), "values from 0 to 255: expected uint8"),
        ((GRAY, [1, 2]), "expected one for each of the 6 images"),
        ([GRAY[0], "x"], "item 1 is"),
        ([GRAY[0], GRAY[0, :4]], "differ in size"),
        ([], "no images"),
    ],
    ids=["number", "dict", "one", "none", "floats", "labels", "text", "sizes", "empty"],
)
def test_mistakes_are_a_sentence(data, said):
    with pytest.raises(UserError, match=said) as error:
        keep_python_data(data)
    assert len(str(error.value)) < 400
