import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

import zerosum
from zerosum.data import load
from zerosum.data.decode import Format, fit
from zerosum.data.python_data import keep_python_data
from zerosum.errors import UserError
from zerosum.files import cache_folder

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


def test_the_range_of_floats_is_that_of_all_items():
    bright = np.stack([GRAY[0] // 4 + 180, GRAY[1]])
    items = [torch.from_numpy(each)[None] / 127.5 - 1 for each in bright]
    assert items[0].min() > 0
    assert np.array_equal(load(keep_python_data(items)).images[:, 0].numpy(), bright)


def test_bfloat16_is_read():
    data = torch.tensor([-1.0, 1.0]).bfloat16().repeat(2, 1, 4, 4)
    assert load(keep_python_data(data)).images.unique().tolist() == [0, 255]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "HSV", "LAB", "I"])
def test_pictures_of_any_mode_are_as_files_are(mode):
    colors = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3), np.uint8)
    rgb = [Image.fromarray(each) for each in colors]
    if mode == "LAB":
        pictures = [Image.frombytes("LAB", (8, 8), each.tobytes()) for each in colors]
    else:
        pictures = [each.convert(mode) for each in rgb]
    images = load(keep_python_data(pictures)).images.permute(0, 2, 3, 1).numpy()
    expected = np.stack([fit(picture, Format()) for picture in pictures])
    assert np.array_equal(images, expected)


def test_tensors_of_any_number_of_channels_keep_them_first():
    data = torch.randint(0, 256, (2, 5, 4, 16), dtype=torch.uint8)
    images = load(keep_python_data(data))
    assert torch.equal(images.images, data)
    assert images.report.warnings == ()
    assert torch.equal(load(keep_python_data(images)).images, data)


def test_labels_of_any_kind_that_says_one_an_image():
    pairs = [(image, torch.tensor([index])) for index, image in enumerate(GRAY)]
    assert load(keep_python_data(pairs)).labels.tolist() == list(range(6))
    assert load(keep_python_data((list(GRAY), np.arange(6)[:, None]))).labels.tolist() == [
        *range(6)
    ]
    assert load(keep_python_data([(image, None) for image in GRAY])).labels is None
    texts = np.array([*"aabbab"], object)
    assert load(keep_python_data((GRAY, texts))).classes == ("a", "b")


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
        (np.zeros((32, 32, 3), np.uint8), r"\(32, 32, 3\), which looks like a single image"),
        (torch.zeros(3, 32, 32), r"\(3, 32, 32\), which looks like a single image"),
        (torch.zeros(4, 32, 32, 3), r"\(4, 32, 32, 3\), whose channels seem to be last"),
        (torch.zeros(4, 20, 32, 32), r"\(4, 20, 32, 32\).*c is at most 16"),
        ([(GRAY[0], 1), (GRAY[1], None), GRAY[2]], "2 of the 3 labels are missing"),
        ((GRAY, [0, 1, None, 0, 1, 0]), r"1 of the 6 labels are missing .*image 2"),
        ((GRAY, np.eye(6, dtype=int)), r"int64 of shape \(6, 6\): .*argmax\(1\)"),
        ([(GRAY[0], torch.eye(6)[0])], r"label of image 0 is .*argmax\(\)"),
        ([(GRAY[0], {"box": 1})], "label of image 0 is {'box': 1}"),
        ((GRAY, torch.rand(6)), "labels in the data are float32"),
        ((GRAY, 5), "The labels: received 5"),
        ([GRAY[0], GRAY[1] / 255], "differ in type"),
    ],
    ids=[
        *("number", "dict", "one", "none", "floats", "labels", "text", "sizes", "empty"),
        *("image", "image-tensor", "last", "channels", "missing", "missing-list", "one-hot"),
        *("one-hot-item", "object", "float-labels", "no-labels", "types"),
    ],
)
def test_mistakes_are_a_sentence(data, said):
    with pytest.raises(UserError, match=said) as error:
        keep_python_data(data)
    assert len(str(error.value)) < 400
    assert not list(cache_folder().rglob("*.npz"))
