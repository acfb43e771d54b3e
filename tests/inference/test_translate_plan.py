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
    (job,) = plan(["in/9.jpg"], "out.webp")
    assert (job.source, job.target) == (Path("in/9.jpg"), Path("out.webp"))


def test_or_keeps_its_name_in_a_folder():
    (job,) = plan(["in/9.jpg"], "out")
    assert job.target == Path("out/9.png")


def test_a_pipe_has_no_file_at_its_ends():
    (job,) = plan(["-"], "-")
    assert (job.source, job.target) == (None, None)


def test_a_folder_keeps_names_and_subfolders_in_natural_order():
    assert plan(["in"], "out") == [
        Job(Path("in/9.jpg"), Path("out/9.png"), "9.jpg"),
        Job(Path("in/10.png"), Path("out/10.png"), "10.png"),
        Job(Path("in/deep/er/1.bmp"), Path("out/deep/er/1.png"), "deep/er/1.bmp"),
    ]


def test_several_go_to_one_folder():
    assert plan(["in/9.jpg", "in/10.png"], "out") == [
        Job(Path("in/9.jpg"), Path("out/9.png"), "in/9.jpg"),
        Job(Path("in/10.png"), Path("out/10.png"), "in/10.png"),
    ]


def test_among_them_folders():
    targets = [str(job.target) for job in plan(["in/deep", "in/9.jpg"], "out")]
    assert targets == ["out/er/1.png", "out/9.png"]


def test_where_results_go_by_default():
    assert [job.target for job in plan(["in/9.jpg"])] == [Path("9-translated.png")]
    assert [job.target for job in plan(["-"])] == [None]
    assert plan(["in"])[0].target == Path("translated/9.png")
    assert plan(["in/9.jpg", "in/10.png"])[1].target == Path("translated/10.png")


@pytest.mark.parametrize(
    ("images", "out", "said"),
    [
        ([], None, "Received no image"),
        (["in/9.jpg", "-"], None, "can only be translated alone"),
        (["in/9.jpg", "in/10.png"], "out.png", "Several images become a folder"),
        (["in/9.jpg", "in/10.png"], "in", "'in/10.png' is the image itself"),
        (["in/9.jpg", "other/9.png"], "out", "There are both in/9.jpg and other/9.png"),
        (["in/10.png"], None, "'10-translated.png' exists already"),
        (["in/10.png", "in/9.jpg"], "other", "'other/9.png' exists already"),
        (["in", "other"], "other", "is the folder of the images itself"),
    ],
)
def test_nothing_is_written_over(here, images, out, said):
    (here / "other").mkdir()
    for name in ("other/9.png", "10-translated.png"):
        Image.new("L", (4, 4)).save(name)
    with pytest.raises(UserError, match=said):
        plan(images, out)


def test_planning_writes_nothing(here):
    before = sorted(here.rglob("*"))
    plan(["in"], "out")
    plan(["in/9.jpg"], "elsewhere/9.png")
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
        plan([image], out)


def test_two_that_would_become_one_are_refused():
    Image.new("L", (4, 4)).save("in/9.png")
    with pytest.raises(UserError, match=r"both 9\.(jpg|png) and 9\.(jpg|png)"):
        plan(["in"], "out")
