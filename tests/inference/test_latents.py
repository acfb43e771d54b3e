import numpy as np
import pytest
import torch

from zerosum.cli.main import run as command
from zerosum.errors import UserError
from zerosum.game.sampling import CHUNK, noise_inputs
from zerosum.inference.latents import (
    Latents,
    classes_of,
    latents_of,
    on_great_circle,
    read_latents,
    whole_chunk,
)
from zerosum.inference.sample_files import write_samples
from zerosum.plots.grids import Presentation

TOLD = noise_inputs(4, 2)
NAMES = ("cats", "dogs")


def test_an_array_of_samples_is_made_again_of_its_own_z(run, tmp_path):
    write_samples(run, tmp_path / "a.npz", presentation=Presentation(), count=3, truncation=0.5)
    with np.load(tmp_path / "a.npz") as arrays:
        images = arrays["images"]
    z = read_latents(tmp_path / "a.npz").z
    assert np.array_equal(run.sample(z=z), images)
    assert np.array_equal(run.sample(z=z[2:]), images[2:])
    np.save(tmp_path / "z.npy", z[1:2])
    assert np.array_equal(run.sample(1, z=read_latents(tmp_path / "z.npy").z), images[1:2])


@pytest.mark.parametrize("how", [{"label": 1}, {"class_mix": {0: 0.25, 1: 0.75}}, {"mix": (0, 1)}])
def test_and_so_is_one_of_a_G_that_is_told_classes(train_tiny, tmp_path, how):
    run = train_tiny(tmp_path / "told", conditioning="concat", epochs=1)
    write_samples(run, tmp_path / "a.npz", presentation=Presentation(), count=3, **how)
    latents = read_latents(tmp_path / "a.npz")
    again = run.sample(z=latents.z, classes=latents.told(run.inputs, run.classes))
    with np.load(tmp_path / "a.npz") as arrays:
        assert np.array_equal(again, arrays["images"])


def test_the_command_tells_the_classes_of_the_file_unless_it_is_told_others(
    train_tiny, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    run = train_tiny(tmp_path / "told", conditioning="concat", epochs=1)
    sample = ["sample", str(run.path), "--out"]
    assert command([*sample, "a.npz", "-n", "3", "--label", "1"]) == 0
    assert command([*sample, "again.npz", "--z", "a.npz"]) == 0
    assert command([*sample, "other.npz", "--z", "a.npz", "--label", "0"]) == 0
    again, other = (np.load(f"{name}.npz")["images"] for name in ("again", "other"))
    expected = np.load("a.npz")["images"]
    assert np.array_equal(again, expected)
    assert np.array_equal(other, run.sample(z=np.load("a.npz")["z"], label=0))
    np.savez("strange.npz", z=np.ones((1, 4)), labels=[0], classes=["owl\x1b[2J"])
    assert command([*sample, "no.npz", "--z", "strange.npz"]) == 2
    said = capsys.readouterr().err
    assert "does not know: owl" in said
    assert "\x1b" not in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"no array", "cannot be read"),
        ({"images": np.ones(3)}, "holds images, and no z"),
        (np.array([{}], object), "cannot be read"),
        ({"z": np.ones((2, 4)), "classes": NAMES, "labels": [0, 2]}, "not all of 0 to 1"),
        ({"z": np.ones((2, 4)), "classes": NAMES, "labels": [0.5, 1]}, "labels are float64"),
        ({"z": np.ones((2, 4)), "classes": NAMES, "labels": [0]}, "a class for each"),
        ({"z": np.ones((2, 4)), "classes": NAMES, "class_weights": [1, 0]}, "a class for each"),
        ({"z": 3, "classes": NAMES, "labels": [0, 1]}, "a class for each"),
    ],
)
def test_files_that_hold_none(tmp_path, content, said):
    path = tmp_path / "z.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, dict):
        with path.open("wb") as file:
            np.savez(file, **content)
    elif content is not None:
        np.save(path, content, allow_pickle=True)
    with pytest.raises(UserError, match=said):
        read_latents(path)


class TestClassesOfAFile:
    """They are found again by their names, in whatever order G knows them."""

    LATENTS = Latents(np.ones((2, 4)), np.array([[0.0, 1], [0.25, 0.75]], np.float32), NAMES)

    def test_go_by_their_names(self):
        told = self.LATENTS.told(noise_inputs(4, 3), ("dogs", "owls", "cats"))
        assert told.tolist() == [[1, 0, 0], [0.75, 0, 0.25]]

    def test_are_nothing_to_a_g_that_is_told_none(self):
        assert self.LATENTS.told(noise_inputs(4), NAMES) is None
        assert Latents(np.ones((2, 4))).told(TOLD, NAMES) is None

    def test_that_g_does_not_know_are_named(self):
        with pytest.raises(UserError, match=r"does not know: cats\. .* --label"):
            self.LATENTS.told(TOLD, ("dogs", "owls"))

    def test_matter_only_where_a_latent_is_of_them(self):
        only = Latents(np.ones((1, 4)), np.array([[0.0, 1]], np.float32), NAMES)
        assert only.told(TOLD, ("dogs", "owls")).tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"z": np.ones((2, 3))}, "have 3 numbers each: this G takes 4"),
        ({"z": np.ones(4)}, r"are float64 of shape \(4,\): expected floats of the shape"),
        ({"z": np.array([["a"] * 4])}, "expected floats"),
        ({"z": np.full((1, 4), np.nan)}, "NaN or infinity"),
        ({"z": np.ones((2, 4)), "count": 3}, "Asked for 3 images of 2 latents"),
        ({"truncation": 1.5}, "truncation was 1.5: expected a number from 0 to 1"),
        ({"truncation": float("nan")}, "truncation was nan"),
        ({"class_mix": {"0": 1.0}}, "this G knows no classes. Leave --class-mix out"),
        ({"classes": np.ones((16, 1))}, "this G knows none"),
        ({"mix": (0, 2), "z": np.ones((2, 4))}, "sample 2: expected a number from 0 to 1, of the"),
        ({"mix": (-1, 2)}, "sample -1: expected a number from 0"),
        ({"mix": 3}, "mix was 3: expected the numbers of two samples"),
        ({"mix": (0, "a")}, "mix: received 'a'"),
        ({"mix": (0, 1), "count": 0}, "number of images was 0"),
    ],
)
def test_what_g_cannot_take(run, how, said):
    with pytest.raises(UserError, match=said):
        run.sample(**how)


def test_classes_are_weights_a_row_for_each_image():
    told = [[0.25, 0.75], [1, 0]]
    assert classes_of(np.array(told), 2, TOLD).tolist() == told
    assert classes_of(torch.tensor(told), None, TOLD).tolist() == told


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (np.ones((1, 2)), r"of shape \(1, 2\): expected weights of the shape \(2, 2\)"),
        (np.array([["a", "b"]] * 2), "expected weights"),
        (np.ones((2, 2)), "add up to 1"),
        (np.array([[2, -1], [1, 0]]), "at least 0"),
        (np.full((2, 2), np.nan), "at least 0"),
    ],
)
def test_what_are_no_classes(classes, said):
    with pytest.raises(UserError, match=said):
        classes_of(classes, 2, TOLD)


def test_latents_come_from_torch_too():
    assert latents_of(torch.ones(2, 3, requires_grad=True), None).tolist() == [[1, 1, 1]] * 2


def test_a_chunk_is_always_whole():
    rows = torch.arange(2.0 * (CHUNK + 3)).reshape(-1, 2)
    assert whole_chunk(rows, 0).equal(rows[:CHUNK])
    last = whole_chunk(rows, 1)
    assert last.shape == (CHUNK, 2)
    assert last[:3].equal(rows[CHUNK:])
    assert not last[3:].any()


class TestGreatCircle:
    def test_turns_evenly_and_goes_evenly_from_length_to_length(self):
        a, b = torch.tensor([2.0, 0, 0]), torch.tensor([0.0, 4, 0])
        found = on_great_circle(a, b, 4)
        angles = torch.atan2(found[:, 1], found[:, 0])
        assert angles.tolist() == pytest.approx([0, np.pi / 6, np.pi / 3, np.pi / 2], abs=1e-6)
        assert found.norm(dim=1).tolist() == pytest.approx([2, 8 / 3, 10 / 3, 4])

    def test_ends_exactly_where_it_should(self):
        a, b = torch.randn(2, 100, generator=torch.Generator().manual_seed(0))
        found = on_great_circle(a, b, 5)
        assert found[0].equal(a)
        assert found[-1].equal(b)
        assert on_great_circle(a, b, 1).equal(a[None])

    @pytest.mark.parametrize(
        "b", [[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]], ids=["equal", "opposite", "zero"]
    )
    def test_is_a_line_where_there_is_no_one_circle(self, b):
        found = on_great_circle(torch.tensor([1.0, 0.0]), torch.tensor(b), 3)
        assert found.isfinite().all()
        assert found[-1].tolist() == b
