"""How samples lie in files: what others read in them, and that nothing but the images decides."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from zerosum.errors import UserError
from zerosum.game.sampling import CHUNK
from zerosum.inference import sample_forms
from zerosum.inference.sample_forms import (
    Arrays,
    Naming,
    ParquetShards,
    Pngs,
    WebDatasetShards,
    images_a_unit,
    require_parquet,
)
from zerosum.inference.sampler import Sampled

COUNT = 300
CLASSES = ("cat", "a/b 🐦")


def naming(*, labelled=True):
    parts = {"cat": "cat", "a/b 🐦": "a-b"}
    return Naming(seed=5, classes=CLASSES, parts=parts, labelled=labelled)


def made(start, stop, *, told=True):
    """Samples in pieces of 100, of which each image tells its index and its class."""
    for first in range(start, stop, 100):
        index = np.arange(first, min(first + 100, stop))
        samples = np.zeros((len(index), 4, 4, 3), np.uint8)
        samples[:, 0, 0, 0], samples[:, 0, 0, 1] = index % 256, index // 256
        classes = np.eye(2, dtype=np.float32)[index % 2]
        z = np.repeat(index[:, None], 2, axis=1).astype(np.float32)
        yield Sampled(samples, z, classes if told else None)


def written(kind, folder, *, told=True, labelled=True, **how):
    folder.mkdir()
    named = naming(labelled=labelled)
    form = kind(folder, count=COUNT, images_a_unit=CHUNK, naming=named, **how)
    for unit in range(form.num_units):
        form.write(unit, made(*form.bounds(unit), told=told))
    return form


def index_of(content):
    pixel = np.asarray(Image.open(io.BytesIO(content)))[0, 0]
    return int(pixel[0]) + 256 * int(pixel[1])


def test_pngs_are_called_by_index_seed_and_class(tmp_path):
    form = written(Pngs, tmp_path / "out")
    names = sorted(path.name for path in form.folder.iterdir())
    assert len(names) == COUNT
    assert (names[0], names[299]) == ("000000_seed5_cat.png", "000299_seed5_a-b.png")
    for name in (names[0], names[299]):
        assert index_of((form.folder / name).read_bytes()) == int(name[:6])
    assert {form.unit_of(name) for name in names} == {0, 1}
    assert [form.size_of(unit) for unit in (0, 1)] == [256, 44]
    for foreign in (
        "000300_seed5_cat.png",
        "000000_seed6_cat.png",
        "000000.png",
        "0_seed5.png",
        "000000_seed5_cat copy.png",
    ):
        assert form.unit_of(foreign) is None


class TestWebDataset:
    def test_an_image_and_its_class_have_one_key(self, tmp_path):
        form = written(WebDatasetShards, tmp_path / "out")
        with tarfile.open(tmp_path / "out/samples-00001.tar") as tar:
            assert tar.getnames()[:3] == ["00000256.png", "00000256.cls", "00000256.txt"]
            read = {name: tar.extractfile(name).read() for name in tar.getnames()}
        assert index_of(read["00000299.png"]) == 299
        assert (read["00000299.cls"], read["00000299.txt"].decode()) == (b"1", CLASSES[1])
        assert form.unit_of("samples-00001.tar") == 1
        for foreign in ("samples-00002.tar", "samples-1.tar", "samples-00001.parquet"):
            assert form.unit_of(foreign) is None

    def test_the_same_images_make_the_same_bytes(self, tmp_path):
        for name in "ab":
            written(WebDatasetShards, tmp_path / name)
        shards = [(tmp_path / name / "samples-00000.tar").read_bytes() for name in "ab"]
        assert shards[0] == shards[1]

    def test_without_classes_there_are_images_alone(self, tmp_path):
        written(WebDatasetShards, tmp_path / "out", told=False)
        with tarfile.open(tmp_path / "out/samples-00000.tar") as tar:
            assert {name.rpartition(".")[2] for name in tar.getnames()} == {"png"}

    def test_a_mixture_in_the_set_leaves_none_a_label(self, tmp_path):
        written(WebDatasetShards, tmp_path / "out", labelled=False)
        with tarfile.open(tmp_path / "out/samples-00000.tar") as tar:
            assert {name.rpartition(".")[2] for name in tar.getnames()} == {"png"}

    # It leaves its files to be closed by whoever collects them.
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_the_library_of_that_name_reads_it(self, tmp_path):
        webdataset = pytest.importorskip("webdataset", reason="the package webdataset is missing")
        written(WebDatasetShards, tmp_path / "out")
        shards = sorted(str(path) for path in (tmp_path / "out").iterdir())
        read = list(webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8"))
        assert len(read) == COUNT
        assert read[299]["png"][0, 0].tolist() == [299 - 256, 1, 0]
        assert (read[299]["cls"], read[299]["txt"]) == (1, CLASSES[1])


class TestParquet:
    def test_images_are_as_data_sets_of_hugging_face_have_them(self, tmp_path):
        parquet = pytest.importorskip("pyarrow.parquet", reason="the package pyarrow is missing")
        written(ParquetShards, tmp_path / "out")
        table = parquet.read_table(tmp_path / "out/samples-00001.parquet").to_pylist()
        assert len(table) == 44
        assert index_of(table[43]["image"]["bytes"]) == 299
        assert (table[43]["image"]["path"], table[43]["label"]) == ("00000299.png", 1)
        schema = parquet.read_schema(tmp_path / "out/samples-00001.parquet")
        told = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        assert told["image"] == {"_type": "Image"}
        assert told["label"]["names"] == list(CLASSES)

    def test_without_classes_there_is_no_such_column(self, tmp_path):
        parquet = pytest.importorskip("pyarrow.parquet", reason="the package pyarrow is missing")
        written(ParquetShards, tmp_path / "out", told=False)
        assert parquet.read_schema(tmp_path / "out/samples-00000.parquet").names == ["image"]

    def test_without_the_library_it_is_named(self, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
        with pytest.raises(UserError, match=r"zerosum\[parquet\]"):
            require_parquet()


class TestArrays:
    def test_parts_become_one_file(self, tmp_path):
        form = written(Arrays, tmp_path / "parts", array="images")
        form.join(tmp_path / "all.npz", form.read)
        with np.load(tmp_path / "all.npz") as arrays:
            assert arrays.files == ["images", "z", "labels", "classes"]
            assert arrays["images"].shape == (COUNT, 4, 4, 3)
            assert arrays["images"].dtype == np.uint8
            assert np.array_equal(arrays["z"][:, 0], np.arange(COUNT))
            assert np.array_equal(arrays["images"][:, 0, 0, 0], np.arange(COUNT) % 256)
            assert arrays["labels"].dtype == np.int64
            assert arrays["classes"][arrays["labels"]].tolist() == [*CLASSES] * (COUNT // 2)

    def test_a_failure_leaves_no_half_of_it(self, tmp_path):
        form = written(Arrays, tmp_path / "parts", array="images")

        def fail(unit):
            if unit:
                raise OSError(28, "No space left on device")
            return form.read(unit)

        with pytest.raises(OSError, match="No space"):
            form.join(tmp_path / "all.npz", fail)
        assert [path.name for path in tmp_path.iterdir()] == ["parts"]


@pytest.mark.parametrize(
    ("kind", "shape", "count"),
    [
        (Pngs, (3, 1024, 1024), CHUNK),
        (Arrays, (3, 1024, 1024), CHUNK),
        (WebDatasetShards, (3, 64, 64), 21 * CHUNK),
        (ParquetShards, (1, 8, 8), sample_forms.MOST_BLOCKS * CHUNK),
    ],
)
def test_a_unit_is_whole_blocks_of_about_as_many_bytes(kind, shape, count):
    assert images_a_unit(kind, shape) == count
