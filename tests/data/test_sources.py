import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import zerosum
import zerosum.data
from zerosum.data import ImageSet, Reader, fit_array, has_splits, load, register_reader
from zerosum.data.catalog import IDX_FILES, locate
from zerosum.data.sources import READERS
from zerosum.errors import UserError


def test_importing_the_package_does_not_import_torch():
    code = (
        "import sys, zerosum.data; assert zerosum.data.DATASETS; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_all_that_is_exported_exists():
    for name in zerosum.data.__all__:
        assert getattr(zerosum.data, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = zerosum.data.lode


def test_torchvision_is_never_imported():
    load("mnist", split="test")
    assert "torchvision" not in sys.modules


def test_an_unknown_name_lists_the_known_ones_and_the_closest():
    with pytest.raises(UserError) as caught:
        load("minst")
    assert str(caught.value) == (
        "There is no data set 'minst'. Did you mean 'mnist'? Valid names: cifar10, fashion-mnist, "
        "grid, mnist, mnist-colors, mnist-edges, ring, stacked-mnist. Nor is there a file or "
        "folder of that name."
    )


def test_a_folder_needs_no_separator_to_be_found(paint, monkeypatch):
    monkeypatch.chdir(paint("1.png").parent)
    assert load("pictures").name == "pictures"


def test_a_name_wins_over_a_folder_of_that_name(paint, monkeypatch):
    folder = paint("1.png")
    monkeypatch.chdir(folder.parent)
    folder.rename("mnist")
    assert len(load("mnist", split="test")) == 10_000
    assert len(load("./mnist")) == 1


@pytest.mark.parametrize("form", [str, lambda path: path])
def test_a_missing_path_names_the_closest_there_is(paint, form):
    folder = paint("1.png")
    with pytest.raises(
        UserError, match=r"no file or folder '.*pitures'\. Did you mean '.*pictures'"
    ):
        load(form(folder.with_name("pitures")))


def test_a_missing_path_without_a_neighbour_or_a_folder(tmp_path):
    with pytest.raises(UserError, match=r"There is no file or folder 'nowhere\.zip'\.$"):
        load("nowhere.zip")
    with pytest.raises(UserError, match="its folder does not exist either"):
        load(tmp_path / "a" / "b")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "There is no data set ''"),
        ("x\0y", "cannot be read"),
        ("x" * 300, "cannot be read"),
    ],
)
def test_what_cannot_be_a_path_is_an_error(source, message):
    with pytest.raises(UserError, match=message):
        load(source)


def test_a_file_of_another_kind_is_an_error(paint):
    folder = paint("1.png")
    with pytest.raises(
        UserError, match=r"1\.png is not a source of images.*give the folder"
    ) as caught:
        load(folder / "1.png")
    assert all(reader.name in str(caught.value) for reader in READERS)
    with pytest.raises(UserError, match="There is no file or folder"):
        load(folder / "1.png" / "deeper")


def test_the_home_folder_is_understood(paint, monkeypatch):
    monkeypatch.setenv("HOME", str(paint("1.png").parent))
    assert len(load("~/pictures")) == 1


def test_an_unknown_split_is_an_error():
    with pytest.raises(UserError, match=r"There is no split 'tset'\. Did you mean 'test'"):
        load("mnist", split="tset")


def test_size_and_channels_apply_to_named_data():
    assert load("mnist", split="test", size=(16, 8), channels=3).shape == (3, 16, 8)
    with pytest.raises(UserError, match="cannot have 2 channels"):
        load("mnist", channels=2)


class TestHasSplits:
    def test_a_named_set_has(self):
        assert has_splits("mnist")
        assert has_splits("stacked-mnist")

    def test_a_folder_of_images_has_not(self, tmp_path):
        assert not has_splits(tmp_path)
        assert not has_splits(str(tmp_path / "absent.npz"))

    def test_a_folder_of_idx_files_has_if_both_are_there(self, tmp_path):
        folder = locate("mnist")
        for name in IDX_FILES[:2]:
            shutil.copy(folder / name, tmp_path)
        assert not has_splits(tmp_path)
        for name in IDX_FILES[2:]:
            shutil.copy(folder / name, tmp_path)
        assert has_splits(tmp_path)


class TestRegisteredReader:
    """A user's own format: a folder with train.bin and test.bin, 8×8 bytes an image."""

    @pytest.fixture
    def source(self, tmp_path, monkeypatch):
        monkeypatch.setattr("zerosum.data.sources.READERS", list(READERS))
        folder = tmp_path / "raw"
        folder.mkdir()
        numbers = np.random.default_rng(0)
        for split, count in (("train", 40), ("test", 20)):
            numbers.integers(0, 256, (count, 8, 8), np.uint8).tofile(folder / f"{split}.bin")
        Image.new("L", (8, 8)).save(folder / "preview.png")
        return folder

    @pytest.fixture
    def reader(self):
        def load_raw(path, *, split, wanted, strict):
            pixels = np.fromfile(path / f"{split}.bin", np.uint8).reshape(-1, 8, 8, 1)
            images = torch.from_numpy(fit_array(pixels, wanted))
            return ImageSet(images=images, labels=None, classes=(), name=path.name)

        return Reader(
            name="a folder of .bin files",
            detects=lambda path: (path / "train.bin").is_file(),
            load=load_raw,
            has_splits=lambda path: (path / "test.bin").is_file(),
        )

    def test_it_is_asked_before_the_others_and_knows_splits(self, source, reader):
        assert (len(load(source)), has_splits(source)) == (1, False)  # the preview, as a folder
        register_reader(reader)
        assert (len(load(source)), len(load(source, split="test"))) == (40, 20)
        assert has_splits(source)
        assert not has_splits(source.parent)
        assert load(source, size=(4, 6), channels=3).shape == (3, 4, 6)
        (source / "test.bin").unlink()
        assert not has_splits(source)

    def test_other_sources_are_read_as_before(self, source, reader, paint):
        register_reader(reader)
        assert len(load(paint("1.png", "2.png"))) == 2
        assert len(load("mnist", split="test")) == 10_000

    def test_the_same_name_replaces_and_the_known_kinds_are_listed(self, source, reader):
        register_reader(reader)
        register_reader(replace(reader, detects=lambda path: False))
        assert len(load(source)) == 1
        with pytest.raises(UserError, match=r"Expected one of: a folder of \.bin files; a \.zip"):
            load(source / "train.bin")

    @pytest.mark.slow
    def test_it_can_be_trained_on(self, source, reader, tmp_path):
        register_reader(reader)
        run = zerosum.train(
            "vanilla",
            data=str(source),
            **{"epochs": 1, "batch_size": 16, "hidden": (8,), "latent_size": 4},
            out=tmp_path / "run",
            quiet=True,
        )
        assert run.image_shape == (1, 8, 8)
        assert run.log()[-1]["seen"] == 40


def test_a_path_that_may_not_be_looked_at_is_an_error(tmp_path, monkeypatch):
    def forbidden(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(
        "zerosum.data.sources.READERS", [replace(READERS[0], detects=forbidden), *READERS]
    )
    with pytest.raises(UserError, match="cannot be read: Permission denied"):
        load(tmp_path)
