import numpy as np
import pytest
from PIL import Image

from zerosum.cli.main import run as command
from zerosum.data.decode import SHEET as MARK
from zerosum.data.spec import DataSpec
from zerosum.errors import UserError
from zerosum.inference.direction_files import (
    STEPS,
    percent,
    read_directions,
    sheet,
    write_directions,
)
from zerosum.inference.directions import Directions
from zerosum.plots.grids import GAP, comfortable_scale


def test_a_command_writes_a_sheet_and_the_directions(run, tmp_path, capsys):
    out = tmp_path / "found"
    assert command(["directions", str(run.path), "-n", "3", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert [line.split(":")[0] for line in printed.splitlines()[:3]] == [
        "Direction 1",
        "Direction 2",
        "Direction 3",
    ]
    with np.load(out / "directions.npz") as arrays:
        assert arrays["vectors"].shape == (3, 4)
        assert (np.diff(arrays["shares"]) <= 0).all()
        told = {name: arrays[name].item() for name in ("seed", "checkpoint", "ema")}
        assert told == {"seed": 0, "checkpoint": 120, "ema": True}
        assert np.array_equal(arrays["vectors"], run.directions(3).vectors)
    with Image.open(out / "directions.png") as image:
        assert image.info["Software"] == MARK
    # The last line is a command that can be typed.
    typed = printed.splitlines()[-1].removeprefix("Try: zerosum ").split()
    assert command([*typed, "--out", str(tmp_path / "moved.png")]) == 0


def test_what_the_sheet_shows_is_what_sample_makes(run, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(
        "zerosum.inference.direction_files.sheet",
        lambda images, _: shown.append(images) or Image.new("L", (9, 9)),
    )
    found = write_directions(run, tmp_path / "out", count=4, seed=7)
    (images,) = shown
    assert images.shape == (4, 3, len(STEPS), 8, 8, 1)
    for number, step in ((1, -3), (3, 2), (4, 0)):
        for along in (None, found):
            made = run.sample(3, seed=7, directions={number: float(step)}, along=along)
            assert np.array_equal(images[number - 1, :, STEPS.index(step)], made)
    assert np.array_equal(images[0, :, 3], run.sample(3, seed=7))


def test_of_a_G_that_is_told_classes_the_sheet_shows_the_one_that_is_named(
    train_tiny, tmp_path, monkeypatch
):
    run = train_tiny(tmp_path / "told", conditioning="concat", epochs=1)
    shown = []
    monkeypatch.setattr(
        "zerosum.inference.direction_files.sheet",
        lambda images, _: shown.append(images[0, :, 3]) or Image.new("L", (9, 9)),
    )
    ways = [write_directions(run, tmp_path / str(label), label=label) for label in (None, 1)]
    assert np.array_equal(ways[0].vectors, ways[1].vectors)
    assert np.array_equal(shown[0], run.sample(3))
    assert np.array_equal(shown[1], run.sample(3, label=1))
    assert not np.array_equal(shown[0], shown[1])


def test_sample_moves_along_directions_of_a_file(run, tmp_path):
    out = tmp_path / "found"
    write_directions(run, out, count=2)
    base = ["sample", str(run.path), "-n", "5", "--truncation", "0.7"]
    steps = ["--direction", "1:-1", "--direction", "2:+2"]
    anew, along = tmp_path / "anew.npz", tmp_path / "along.npz"
    assert command([*base, *steps, "--out", str(anew)]) == 0
    assert (
        command([*base, *steps, "--along", str(out / "directions.npz"), "--out", str(along)]) == 0
    )
    vectors = run.directions(2).vectors
    z = (run.sample_with_inputs(5).z + (2 * vectors[1] - vectors[0])) * np.float32(0.7)
    with np.load(anew) as first, np.load(along) as second:
        assert np.array_equal(first["images"], second["images"])
        assert first["z"] == pytest.approx(z, abs=1e-6)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--direction", "99:+1"], "There is no direction 99: expected 1 to 4."),
        (["--direction", "0:+1"], "There is no direction 0: expected 1 to 4."),
        (["--direction", "x"], "The direction was 'x': expected its number and a step"),
        (["--along", "vectors.npz"], "no step along any of them"),
        (["--direction", "1:1", "--along", "vectors.npz"], "a z of 3 numbers: this G takes 4"),
        (["--direction", "3:1", "--along", "vectors.npz"], "no direction 3: expected 1 to 2"),
        (["--direction", "1:1", "--along", "none.npz"], "'none.npz' cannot be read"),
        (["--direction", "1:1e300"], "NaN or infinity"),
    ],
)
def test_mistakes_are_answered(run, tmp_path, monkeypatch, capsys, flags, said):
    monkeypatch.chdir(tmp_path)
    np.savez("vectors.npz", vectors=np.ones((2, 3)))
    assert command(["sample", str(run.path), *flags]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "samples.png").exists()


def test_what_has_no_directions_is_refused(run, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="number of directions was 0"):
        run.directions(0)
    monkeypatch.setattr(run, "spec", DataSpec(shape=(2, 1, 1)))
    with pytest.raises(UserError, match=r"points in the plane.* --direction 1"):
        write_directions(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("seed", [2**63, -(2**63) - 1])
def test_a_seed_that_the_file_cannot_hold_is_refused_before_any_work(run, tmp_path, seed, capsys):
    out = tmp_path / "out"
    assert command(["directions", str(run.path), "--seed", str(seed), "--out", str(out)]) == 2
    assert f"The seed was {seed}: expected one from" in capsys.readouterr().err
    assert not out.exists()


def test_a_full_disk_leaves_no_half_file(run, tmp_path, full_disk):
    with full_disk(100), pytest.raises(UserError, match="Could not write"):
        write_directions(run, tmp_path / "out", count=4)
    assert list((tmp_path / "out").iterdir()) == []


def test_nothing_is_overwritten(run):
    with pytest.raises(UserError, match="not an empty folder"):
        write_directions(run, run.path)


@pytest.mark.parametrize("side", [5, 40])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_sheet_has_a_row_a_direction(side, channels):
    """Black images on a sheet whose rows and columns are counted."""
    images = np.zeros((5, 2, 7, side, side, channels), np.uint8)
    images[..., 3:] = 255  # nothing is to be seen through
    found = Directions(np.eye(5, dtype=np.float32), np.linspace(0.5, 0.01, 5, dtype=np.float32))
    picture = np.asarray(sheet(images, found).convert("L"))
    inside = picture[29:, 121:]  # without the texts
    middle = (GAP + side // 2) * comfortable_scale(side)
    down, across = inside[:, middle] == 0, inside[middle] == 0
    assert np.diff(down.astype(int)).clip(0).sum() == 5
    assert np.diff(across.astype(int)).clip(0).sum() == 2 * 7


@pytest.mark.parametrize(("side", "samples"), [(8, 3), (64, 3), (256, 1), (1024, 1)])
def test_large_images_are_fewer(run, tmp_path, monkeypatch, side, samples):
    asked = []

    class Found(Exception):
        pass

    def sample(count, **_):
        asked.append(count)
        raise Found

    monkeypatch.setattr(run, "spec", DataSpec(shape=(1, side, side)))
    monkeypatch.setattr(run, "sample_with_inputs", sample)
    with pytest.raises(Found):
        write_directions(run, tmp_path / "out")
    assert asked == [samples]


def test_shares_are_read_as_people_read_them():
    assert [percent(share) for share in (0.607, 0.1, 0.042, 0.0)] == [
        "61 %",
        "10 %",
        "4.2 %",
        "0.0 %",
    ]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"z": np.ones(3)}, "holds no directions: expected an .npz with an array 'vectors'"),
        ({"vectors": np.ones(3)}, r"vectors in '.*' are float64 of shape \(3,\)"),
        ({"vectors": np.float64(3)}, r"are float64 of shape \(\)"),
        ({"vectors": np.array([["a"]])}, "are <U1"),
        ({"vectors": np.ones((2, 3)), "shares": np.ones(3)}, "expected a float for each of its 2"),
        ({"vectors": np.array([[{}]], object)}, "cannot be read"),
    ],
)
def test_files_that_hold_none(tmp_path, arrays, said):
    path = tmp_path / "found.npz"
    np.savez(path, **arrays)
    with pytest.raises(UserError, match=said):
        read_directions(path)


def test_vectors_of_ones_own_will_do(tmp_path):
    np.savez(tmp_path / "mine.npz", vectors=np.array([[3, 0], [0, 1]]))
    found = read_directions(tmp_path / "mine.npz")
    assert found.move({1: 2.0}).tolist() == [6, 0]
