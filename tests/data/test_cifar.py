import numpy as np
import pytest

from zerosum.data import has_splits, load
from zerosum.data.catalog import CIFAR_CLASSES, CIFAR_FILES, locate
from zerosum.errors import UserError


def batch(*labels: int) -> bytes:
    """Records of images that are red on their first row, green at their last pixel."""
    planes = np.zeros((len(labels), 3, 32, 32), np.uint8)
    planes[:, 0, 0, :] = 200
    planes[:, 1, -1, -1] = 100
    planes[:, 2] = np.arange(len(labels)).reshape(-1, 1, 1)
    return np.concatenate(
        [np.array(labels, np.uint8)[:, None], planes.reshape(len(labels), -1)], axis=1
    ).tobytes()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache with a small CIFAR-10 in it: two images in each file to train on, one to test."""
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path))
    folder = tmp_path / "cifar10"
    folder.mkdir()
    for number, name in enumerate(CIFAR_FILES):
        (folder / name).write_bytes(batch(number) if name.startswith("test") else batch(number, 9))
    return folder


@pytest.mark.parametrize("by_name", [True, False])
def test_records_become_images_by_name_or_by_folder(folder, by_name):
    source = "cifar10" if by_name else folder
    train, test = load(source), load(source, split="test")
    assert train.shape == (3, 32, 32)
    assert train.classes == CIFAR_CLASSES
    assert train.labels.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
    assert test.labels.tolist() == [5]
    red, green, blue = train.images[1]
    assert red[0].eq(200).all()
    assert red[1:].eq(0).all()
    assert green.nonzero().tolist() == [[31, 31]]
    assert blue.eq(1).all()
    assert train.name == "cifar10"
    assert has_splits(source)


def test_size_and_channels_apply(folder):
    assert load(folder, size=(28, 28), channels=1).shape == (1, 28, 28)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"data_batch_2\.bin holds 0 bytes, and no whole number of images"),
        (batch(1)[:-1], r"holds 3,072 bytes.*expected 3,073 for each.*unpack"),
        (batch(3, 10), r"an image of the class 10: expected 0 to 9"),
    ],
    ids=["empty", "truncated", "another-format"],
)
def test_a_bad_file_is_named_with_what_was_found(folder, content, message):
    (folder / CIFAR_FILES[1]).write_bytes(content)
    with pytest.raises(UserError, match=message):
        load("cifar10")


def test_a_missing_file_is_named_in_a_folder_and_advice_is_given_for_the_name(folder):
    (folder / CIFAR_FILES[2]).unlink()
    with pytest.raises(UserError, match=r"data_batch_3\.bin cannot be read: No such file"):
        load(folder)
    assert load(folder, split="test").labels.tolist() == [5]
    with pytest.raises(
        UserError, match=r"'cifar10' is not on this machine.*zerosum data get cifar10"
    ):
        load("cifar10")


@pytest.mark.skipif(locate("cifar10") is None, reason="CIFAR-10 is not on this machine")
def test_cifar10_is_the_original():
    """By the mean of each channel, which is in many a program."""
    train = load("cifar10")
    assert (len(train), train.labels.bincount().tolist()) == (50_000, [5_000] * 10)
    means = train.images.float().div(255).mean(dim=(0, 2, 3))
    assert means.tolist() == pytest.approx([0.4914, 0.4822, 0.4465], abs=5e-5)
