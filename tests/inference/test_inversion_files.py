import numpy as np
import pytest
from PIL import Image

from zerosum.cli.main import run as command
from zerosum.errors import UserError
from zerosum.inference.inversion_files import sheet, write_inversions

FEW = ["--steps", "3", "--starts", "2"]


@pytest.fixture
def folder(tmp_path, write_images):
    write_images(tmp_path / "faces", 3, size=(20, 12))
    (tmp_path / "faces/broken.png").write_bytes(b"no image")
    return tmp_path / "faces"


def test_a_folder_becomes_latents_a_sheet_and_a_film(run, folder, tmp_path, capsys):
    out = tmp_path / "found"
    assert command(["invert", str(run.path), str(folder), "--out", str(out), *FEW]) == 0
    captured = capsys.readouterr()
    assert "Left out broken.png" in captured.err
    assert captured.out.count(" dB\n") == 3
    latents = np.load(out / "latents.npz")
    assert latents["files"].tolist() == ["0.png", "1.png", "2.png"]
    assert latents["z"].shape == (3, 4)
    assert latents["psnr"].shape == (3,)
    with Image.open(out / "search.gif") as film:
        assert film.n_frames > 1
    Image.open(out / "inverted.png").verify()


def test_sample_takes_the_latents(run, folder, tmp_path):
    out = tmp_path / "found"
    write_inversions(run, str(folder / "0.png"), out, notice=print, steps=3)
    again = tmp_path / "again.npz"
    assert (
        command(["sample", str(run.path), "--z", str(out / "latents.npz"), "--out", str(again)])
        == 0
    )
    np.testing.assert_array_equal(np.load(again)["images"], np.load(out / "latents.npz")["images"])


def test_nothing_is_mixed_or_overwritten(run, folder):
    with pytest.raises(UserError, match="not an empty folder"):
        write_inversions(run, str(folder), folder, notice=print)


@pytest.mark.parametrize(
    ("source", "message"), [("faces/broken.png", "is no image"), ("nowhere", "nowhere")]
)
def test_what_is_no_image_is_said(run, folder, tmp_path, monkeypatch, source, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        write_inversions(run, source, tmp_path / "out", notice=print)
    assert not (tmp_path / "out").exists()


def test_targets_stand_above_what_g_makes():
    targets, made = (np.full((9, 8, 8, 1), value, np.uint8) for value in (0, 100))
    picture = np.asarray(sheet(targets, made).convert("L"))
    middle = picture[:, picture.shape[1] // 16]
    order = [value for value in middle if value in (0, 100)]
    assert order.index(0) < order.index(100)
    assert sorted(set(order)) == [0, 100]
