"""The data sets that have a name: which they are, and where they are found."""

import gzip
import hashlib
import shutil
from pathlib import Path

import pytest

from zerosum.data import DATASETS, load
from zerosum.data.catalog import IDX_FILES, folders, locate, mixture_of
from zerosum.errors import UserError

MNIST = folders("mnist")[0]


CHECKSUMS = (
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)


def attribution() -> str:
    return (MNIST / "ATTRIBUTION.md").read_text()


@pytest.mark.parametrize(("file", "checksum"), [*zip(IDX_FILES, CHECKSUMS, strict=True)])
def test_mnist_is_the_original_and_its_attribution_says_so(file, checksum):
    content = gzip.decompress((MNIST / file).read_bytes())
    assert hashlib.sha256(content).hexdigest() == checksum
    name = file.removesuffix(".gz")
    row = next(line for line in attribution().splitlines() if f"`{name}`" in line)
    assert checksum in row


def test_the_attribution_names_authors_and_licence():
    for words in ("Yann LeCun", "Corinna Cortes", "CC BY-SA 3.0"):
        assert words in attribution()


@pytest.mark.parametrize(
    ("split", "num_images", "first"),
    [("train", 60_000, [5, 0, 4, 1]), ("test", 10_000, [7, 2, 1, 0])],
)
def test_mnist(split, num_images, first):
    images = load("mnist", split=split)
    assert (len(images), images.shape, images.name) == (num_images, (1, 28, 28), "mnist")
    assert images.labels.bincount().shape == (10,)
    assert images.labels[:4].tolist() == first
    assert images.classes == tuple("0123456789")


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path))
    return tmp_path / "fashion-mnist"


def test_fashion_mnist_is_read_from_the_cache(cache):
    shutil.copytree(MNIST, cache)
    images = load("fashion-mnist", split="test")
    assert (len(images), images.name) == (10_000, "fashion-mnist")
    assert images.classes[9] == "ankle boot"


def test_the_cache_comes_before_debians_package_and_has_a_default(cache, monkeypatch):
    assert folders("fashion-mnist") == (cache, Path("/usr/share/datasets/fashion-mnist"))
    monkeypatch.delenv("ZEROSUM_CACHE")
    assert folders("fashion-mnist")[0] == Path.home() / ".cache/zerosum/fashion-mnist"


def test_a_data_set_that_is_nowhere_says_how_to_get_it(cache, monkeypatch):
    monkeypatch.setattr("zerosum.data.catalog.folders", lambda name: (cache,))
    cache.mkdir()
    shutil.copy(MNIST / IDX_FILES[1], cache)  # one file of four does not do
    assert locate("fashion-mnist") is None
    with pytest.raises(
        UserError, match=r"not on this machine: looked for .*zerosum data get fashion-mnist"
    ):
        load("fashion-mnist")


def test_a_cache_that_may_not_be_looked_at_holds_none(monkeypatch):
    too_long = Path("/" + "x" * 300)  # an error for root too, whom nothing is forbidden
    monkeypatch.setattr("zerosum.data.catalog.folders", lambda name: (too_long,))
    assert locate("fashion-mnist") is None


def test_every_data_set_has_a_licence_and_an_origin():
    for about in DATASETS.values():
        assert about.licence
        assert about.origin
        assert about.classes or about.domains


def test_only_names_of_toys_have_gaussians():
    assert mixture_of("mnist") is None
    assert mixture_of("no/such/folder") is None
