import numpy as np
import pytest
from PIL import Image

from zerosum.cli.main import run
from zerosum.data.decode import SHEET, software_of
from zerosum.errors import UserError
from zerosum.tasks.inspection import inspect_data


@pytest.fixture
def animals(tmp_path, write_images):
    for name, count in (("cat", 3), ("dog", 2)):
        write_images(tmp_path / "animals" / name, count)
    (tmp_path / "animals" / "x.heix").touch()
    return tmp_path / "animals"


def inspect(path, **changes):
    asked = {"recipe": "dcgan", "split": "train", "given": {}, "out": None}
    return inspect_data(str(path), **(asked | changes))


def test_it_says_what_a_training_would(animals):
    assert inspect(animals, given={"size": "8x32"}) == [
        f"{animals}: 5 images of 8×32 RGB",
        f"  from      {animals}",
        "  sizes     16×16",
        "  values    0 to 255",
        "  changed   5 cropped to the aspect of 8×32, such as cat/0.png; 5 enlarged to 8×32, such "
        "as cat/0.png",
        "  left out  1 file of a kind that is not read here, .heix, such as x.heix",
        "  classes   cat (3), dog (2)",
    ]


def test_many_classes_are_counted_from_the_fewest_to_the_most(tmp_path):
    labels = np.repeat(np.arange(20), 2)
    np.savez(tmp_path / "a.npz", images=np.zeros((40, 8, 8), np.uint8), labels=labels)
    lines = inspect(tmp_path / "a.npz")
    assert "  classes   2 to 2 images" in lines
    assert lines[1].startswith("WARNING: The 40 images are nearly flat")


def test_a_contact_sheet_is_no_data_itself(animals, tmp_path, capsys):
    out = animals / "contact.png"
    assert run(["data", "inspect", str(animals), "--out", str(out)]) == 0
    assert f"Wrote {out}." in capsys.readouterr().out
    with Image.open(out) as sheet:
        assert SHEET in software_of(sheet)
    assert "5 images" in inspect(animals)[0]


def test_pairs_are_shown_side_by_side(tmp_path, write_images):
    write_images(tmp_path / "pairs" / "A", 3, gray=True)
    write_images(tmp_path / "pairs" / "B", 3)
    given = {"size": "16"}
    out = tmp_path / "contact.png"
    lines = inspect(tmp_path / "pairs", recipe="pix2pix", given=given, out=out)
    assert lines[0].endswith("3 pairs of images of 16×16")
    with Image.open(out) as sheet:
        assert sheet.width > sheet.height


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"given": {"all_frames": True}, "recipe": "pix2pix"},
            "--all-frames is not read by pix2pix",
        ),
        ({"out": "a.jpg"}, r"ends in \.png"),
        ({"recipe": "dcgna"}, "Did you mean 'dcgan'"),
        ({"given": {"fit": "pad"}}, "--fit would change nothing"),
        ({"split": "test"}, "has no splits, so that --split test would change nothing"),
    ],
    ids=["foreign", "suffix", "recipe", "fit", "split"],
)
def test_mistakes(animals, changes, said, tmp_path):
    if "out" in changes:
        changes = {"out": tmp_path / changes["out"]}
    with pytest.raises(UserError, match=said):
        inspect(animals, **changes)
