import gzip
import tracemalloc

import numpy as np
import pytest

from zerosum.data import load
from zerosum.data.idx import read_idx
from zerosum.errors import UserError


def idx(values: np.ndarray, kind: int = 8) -> bytes:
    header = bytes((0, 0, kind, values.ndim)) + np.array(values.shape, ">u4").tobytes()
    return header + values.tobytes()


IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
LABELS = np.array([0, 2], np.uint8)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(IMAGES))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS)))
    (tmp_path / "t10k-images.idx3-ubyte.gz").write_bytes(gzip.compress(idx(IMAGES[:1])))
    return tmp_path


def test_a_folder_of_idx_files_plain_or_compressed_in_either_spelling(folder):
    train = load(folder)
    assert train.shape == (1, 3, 4)
    assert np.array_equal(train.images[:, 0].numpy(), IMAGES)
    assert train.labels is not None
    assert train.labels.tolist() == [0, 1]
    assert train.classes == ("0", "2")
    test = load(folder, split="test")
    assert (len(test), test.labels, test.classes) == (1, None, ())


def test_size_and_channels_apply(folder):
    assert load(folder, size=(5, 5), channels=3).shape == (3, 5, 5)


def test_a_missing_split_is_named(folder):
    (folder / "t10k-images.idx3-ubyte.gz").unlink()
    with pytest.raises(UserError, match="no images of the split 'test': expected a file t10k-im"):
        load(folder, split="test")


def test_labels_must_match_images_in_number(folder):
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(idx(LABELS[:1]))
    with pytest.raises(UserError, match=r"holds 2 images, but .* holds 1 labels"):
        load(folder)


BAD = {
    "empty": (b"", "begins with nothing; expected 00 00 08 03"),
    "other-format": (b"\x89PNG....", "no IDX file: it begins with 89 50 4e 47"),
    "floats": (
        idx(IMAGES.astype(">f4"), 13),
        "32-bit floats in 3 dim.*expected unsigned bytes in 3",
    ),
    "dimensions": (idx(LABELS), "unsigned bytes in 1 dimensions; expected .* in 3"),
    "header-cut": (idx(IMAGES)[:9], "ends within its header"),
    "no-items": (idx(IMAGES[:0]), "is empty: its header announces 0×3×4"),
    "truncated": (idx(IMAGES)[:-20], "is truncated: its header announces 2×3×4"),
    "trailing": (idx(IMAGES) + b"x", "damaged: more than the announced 2×3×4"),
    "gigantic": (bytes((0, 0, 8, 3)) + b"\xff" * 12, "there cannot be more than"),
}


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_named_with_what_was_found(tmp_path, content, message, compress):
    path = tmp_path / "some-images-idx3-ubyte"
    path.write_bytes(compress(content))
    with pytest.raises(UserError, match=message) as caught:
        read_idx(path, num_dims=3)
    assert str(path) in str(caught.value)


def test_fewer_bytes_than_announced_are_counted(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(idx(IMAGES)[:-1]))
    with pytest.raises(UserError, match="but only 23 follow"):
        read_idx(path, num_dims=3)


@pytest.mark.parametrize("damage", [lambda c: c[:-12], lambda c: c[:-8] + b"\0" * 8])
def test_damaged_compression_is_an_error_of_the_file(tmp_path, damage):
    path = tmp_path / "images.gz"
    path.write_bytes(damage(gzip.compress(idx(IMAGES))))
    with pytest.raises(UserError, match=r"images\.gz cannot be read, or is damaged"):
        read_idx(path, num_dims=3)


def test_a_compression_bomb_is_not_unpacked_beyond_what_its_header_announces(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(idx(IMAGES) + bytes(10**7)))
    with pytest.raises(UserError, match="more than the announced 2×3×4 bytes follow"):
        read_idx(path, num_dims=3)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_idx(tmp_path / "nothing", num_dims=3)


def test_memory_is_asked_for_before_it_is_taken(folder, monkeypatch):
    many = np.zeros((200, 256, 256), np.uint8)
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(gzip.compress(idx(many), 1))
    monkeypatch.setattr("zerosum.data.idx.memory_bytes", lambda: 10**7)
    tracemalloc.start()
    with pytest.raises(UserError, match=r"The 200×256×256 values of .* would take about 0\.0 GiB"):
        load(folder)
    assert tracemalloc.get_traced_memory()[1] < 10**7
    monkeypatch.undo()
    tracemalloc.reset_peak()
    assert read_idx(path, num_dims=3).shape == (200, 256, 256)
    assert tracemalloc.get_traced_memory()[1] < 1.5 * many.size
    tracemalloc.stop()
