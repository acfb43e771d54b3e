"""Data sets of Hugging Face, from a cache on this machine, as it is after one was got."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from zerosum.cli.main import run
from zerosum.data import has_splits, hugging_face, load
from zerosum.data.hugging_face import Address, parse_address
from zerosum.data.store import in_memory
from zerosum.errors import UserError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf:owner/name", Address(name="owner/name")),
        ("hf:mnist", Address(name="mnist")),
        ("hf:a/b?image=x&label=y", Address(name="a/b", image="x", label="y")),
        ("hf:a/b?label=", Address(name="a/b", label="")),
        ("hf:a/b?config=c&image=an%20x", Address(name="a/b", image="an x", config="c")),
    ],
)
def test_addresses(text, expected):
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["hf:", "hf:a/b/c", "hf:/etc", "hf:../x", "hf:a b", "hf:a/../b"])
def test_what_is_none(text):
    with pytest.raises(UserError, match="is no name of a data set of Hugging Face: expected hf:"):
        parse_address(text)


def test_an_option_that_is_none():
    with pytest.raises(UserError, match=r"has an option 'images'. Did you mean 'image'\?"):
        parse_address("hf:a/b?images=x")


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "datasets", None)
    hugging_face.tables_of.cache_clear()
    with pytest.raises(UserError, match=r"pip install 'zerosum\[hf\]'"):
        load("hf:owner/name")


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return {"bytes": file.getvalue(), "path": None}


class Hub:
    """The cache of `datasets`, without a connection."""

    def __init__(self, folder, datasets, monkeypatch):
        self.datasets = datasets
        self.folder = folder
        for name, value in (
            ("HF_CACHE_HOME", folder),
            ("HF_DATASETS_CACHE", folder / "datasets"),
            ("HF_HUB_OFFLINE", True),
        ):
            monkeypatch.setattr(datasets.config, name, value)
        import huggingface_hub.constants

        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)

    def add(self, name, features, **splits):
        """Keep a data set as if it had been got: splits are columns by name."""
        datasets = self.datasets
        raw = self.folder / "raw" / name.replace("/", "-") / "data"
        raw.mkdir(parents=True)
        for split, columns in splits.items():
            table = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
            table.to_parquet(raw / f"{split}-00000-of-00001.parquet")
        cache = self.folder / "made" / name.replace("/", "-")
        datasets.load_dataset(str(raw.parent), cache_dir=str(cache))
        (info,) = cache.rglob("dataset_info.json")
        home = (
            self.folder / "datasets" / name.replace("/", "___") / "default" / "0.0.0" / ("a" * 40)
        )
        shutil.copytree(info.parent, home)
        for file in home.glob("*.arrow"):
            split = file.name.rpartition("-")[2]
            file.rename(home / f"{name.rpartition('/')[2]}-{split}")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets", reason="the package datasets is not installed")
    datasets.disable_progress_bars()
    hugging_face.tables_of.cache_clear()
    yield Hub(tmp_path / "hf", datasets, monkeypatch)
    hugging_face.tables_of.cache_clear()


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (20, 6, 8, 3), np.uint8)


@pytest.fixture
def pets(hub, pixels):
    """20 images to train on and 6 to test on, of which one has no class."""
    datasets = hub.datasets
    names = ["cat", "dog", "eel"]
    hub.add(
        "owner/pets",
        {"picture": datasets.Image(), "kind": datasets.ClassLabel(names=names), "id": int_of(hub)},
        train={
            "picture": [png(image) for image in pixels],
            "kind": [number % 2 for number in range(20)],
            "id": list(range(20)),
        },
        test={
            "picture": [png(image) for image in pixels[:6]],
            "kind": [0, 1, 0, 1, -1, 0],
            "id": list(range(6)),
        },
    )
    return "hf:owner/pets"


def int_of(hub):
    return hub.datasets.Value("int64")


def test_columns_are_found_and_images_are_those_of_the_files(pets, pixels):
    found = load(pets)
    assert found.shape == (3, 6, 8)
    assert np.array_equal(in_memory(found.images).permute(0, 2, 3, 1).numpy(), pixels)
    assert found.classes == ("cat", "dog")
    assert found.labels.tolist() == [number % 2 for number in range(20)]
    assert found.name == "owner-pets"
    assert (found.report.origin, found.report.held_out) == (
        "hf:owner/pets, its split train",
        "its split test",
    )


def test_splits_and_images_without_a_class(pets):
    assert has_splits(pets)
    found = load(pets, split="val")
    assert len(found) == 5
    assert [str(note) for note in found.report.left_out] == ["1 image without a class"]
    with pytest.raises(UserError, match="has a held-out split of its own"):
        load(pets, hold_out=0.5)


def test_settings_are_those_of_other_images(pets):
    assert load(pets, size=(4, 4), channels=1).shape == (1, 4, 4)
    assert load(pets + "?label=").labels is None


def test_they_may_be_kept_on_disk(pets, pixels, tmp_path, monkeypatch):
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
    found = load(pets, tier="disk")
    assert found.images.kept.startswith("on disk")
    assert np.array_equal(in_memory(found.images).permute(0, 2, 3, 1).numpy(), pixels)
    assert found.fingerprint() == load(pets).fingerprint()


def test_columns_that_are_not_there(pets):
    with pytest.raises(UserError, match=r"no column of images 'pictur'. Did you mean 'picture'\?"):
        load(pets + "?image=pictur")
    with pytest.raises(UserError, match=r"no column 'king'. Did you mean 'kind'\?"):
        load(pets + "?label=king")


def test_several_columns_are_asked_for(hub, pixels):
    datasets = hub.datasets
    image, label = datasets.Image(), datasets.ClassLabel(names=["a", "b"])
    columns = {
        "one": [png(each) for each in pixels[:4]],
        "two": [png(each) for each in pixels[4:8]],
        "fine": [0, 1, 0, 1],
        "coarse": [0, 0, 1, 1],
    }
    features = {"one": image, "two": image, "fine": label, "coarse": label}
    hub.add("owner/many", features, train=columns)
    with pytest.raises(UserError, match=r"has 2 columns of images.*'hf:owner/many\?image=one' or"):
        load("hf:owner/many")
    with pytest.raises(UserError, match=r"2 columns of classes. Say which: 'hf:owner/many\?label="):
        load("hf:owner/many?image=two")
    assert load("hf:owner/many?image=two&label=coarse").labels.tolist() == [0, 0, 1, 1]


def test_texts_may_be_classes_and_a_damaged_image_is_left_out(hub, pixels):
    images = [png(each) for each in pixels[:5]]
    images[2] = {"bytes": b"nothing", "path": None}
    hub.add(
        "owner/texts",
        {"image": hub.datasets.Image(), "label": hub.datasets.Value("string")},
        everything={"image": images, "label": ["b", "a", "a", "b", "a"]},
    )
    found = load("hf:owner/texts")
    assert found.classes == ("a", "b")
    assert found.labels.tolist() == [1, 0, 1, 0]
    assert len(found.skipped) == 1
    assert not has_splits("hf:owner/texts")


def test_a_table_cannot_name_files_of_this_machine(hub, pixels, tmp_path):
    Image.fromarray(pixels[0]).save(tmp_path / "private.png")
    hub.add(
        "owner/bad",
        {"image": hub.datasets.Image()},
        train={
            "image": [
                png(pixels[0]),
                {"bytes": None, "path": str(tmp_path / "private.png")},
            ]
        },
    )
    assert len(load("hf:owner/bad")) == 1


def test_one_that_is_nowhere_is_one_message(hub, capsys):
    assert run(["data", "inspect", "hf:owner/absent"]) == 2
    assert "'hf:owner/absent' could not be had, neither from the hub nor" in capsys.readouterr().err


def test_one_without_images(hub):
    hub.add("owner/numbers", {"x": int_of(hub)}, train={"x": [1, 2]})
    with pytest.raises(UserError, match="has no columns of images; its columns: x"):
        load("hf:owner/numbers")
