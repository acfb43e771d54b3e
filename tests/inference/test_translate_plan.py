"""Which images become which files, before any work; the messages are in test_translate_files.py."""

from pathlib import Path

import pytest
from PIL import Image

from zerosum.errors import UserError
from zerosum.inference.translate_plan import Job, plan


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder of images, `in`, in the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("in/10.png", "in/9.jpg", "in/deep/er/1.bmp"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(name)
    Path("in/notes.txt").write_text("no image")
    return tmp_path


def test_an_image_becomes_the_file_that_is_named():
    (job,) = plan("in/9.jpg", "out.webp")
    assert (job.source, job.target) == (Path("in/9.jpg"), Path("out.webp"))


def test_or_keeps_its_name_in_a_folder():
    (job,) = plan("in/9.jpg", "out")
    assert job.target == Path("out/9.png")


def test_a_pipe_has_no_file_at_its_ends():
    (job,) = plan("-", "-")
    assert (job.source, job.target) == (None, None)


def test_a_folder_keeps_names_and_subfolders_in_natural_order():
    assert plan("in", "out") == [
        Job(Path("in/9.jpg"), Path("out/9.png"), "9.jpg"),
        Job(Path("in/10.png"), Path("out/10.png"), "10.png"),
        Job(Path("in/deep/er/1.bmp"), Path("out/deep/er/1.png"), "deep/er/1.bmp"),
    ]


def test_planning_writes_nothing(here):
    before = sorted(here.rglob("*"))
    plan("in", "out")
    plan("in/9.jpg", "elsewhere/9.png")
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize(
    ("image", "out", "said"),
    [
        ("in", "in", "is the folder of the images itself"),
        ("in/9.jpg", "in/9.jpg", "is the image itself, which would be lost"),
        ("in/10.png", "in", "is the image itself"),
        ("", "out.png", "was empty"),
        ("-", "out", "no file to write to"),
    ],
)
def test_no_image_is_lost_and_no_result_is_without_a_name(image, out, said):
    with pytest.raises(UserError, match=said):
        plan(image, out)


def test_two_that_would_become_one_are_refused():
    Image.new("L", (4, 4)).save("in/9.png")
    with pytest.raises(UserError, match=r"both 9\.(jpg|png) and 9\.(jpg|png)"):
        plan("in", "out")
