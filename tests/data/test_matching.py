"""Images of two folders that belong together by name."""

import pytest

from zerosum.data.matching import match_folders
from zerosum.errors import UserError


@pytest.fixture
def write(tmp_path):
    """Make empty files; matching reads none of them."""

    def files(folder, *names):
        for name in names:
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / folder

    return files


def names(match, *folders):
    return [
        tuple(str(path.relative_to(folder)) for path, folder in zip(pair, folders, strict=True))
        for pair in match.pairs
    ]


def test_the_path_without_the_suffix_is_the_name(write):
    first = write("a", "10.png", "2.PNG", "sub/x.y.jpg", "sub/3.png")
    second = write("b", "2.jpg", "10.bmp", "sub/x.y.png", "3.png")
    match = match_folders(first, second)
    expected = [("2.PNG", "2.jpg"), ("10.png", "10.bmp"), ("sub/x.y.jpg", "sub/x.y.png")]
    assert names(match, first, second) == expected
    assert match.alone == (first / "sub/3.png", second / "3.png")


def test_what_is_no_image_is_not_looked_at(write):
    first = write("a", "1.png", "1.txt", ".2.png", ".git/3.png")
    second = write("b", "1.png", "readme.md", ".2.png", ".git/3.png")
    match = match_folders(first, second)
    assert names(match, first, second) == [("1.png", "1.png")]
    assert match.alone == ()


def test_two_of_one_name_are_refused(write):
    first, second = write("a", "1.png", "1.jpg"), write("b", "1.png")
    for folders in ((first, second), (second, first)):
        with pytest.raises(UserError, match=r"holds both 1\.(png|jpg) and 1\.(png|jpg)"):
            match_folders(*folders)


def test_no_pair_at_all_shows_a_name_of_each(write):
    first, second = write("a", "1_fake.png"), write("b", "1_real.png")
    with pytest.raises(UserError, match=r"1_fake\.png.*1_real\.png.*same path"):
        match_folders(first, second)
    (second / "1_real.png").unlink()
    with pytest.raises(UserError, match="holds no images"):
        match_folders(first, second)


def test_only_folders_are_matched(write):
    folder = write("a", "1.png")
    for other in (folder / "1.png", folder / "absent"):
        with pytest.raises(UserError, match=f"'{other}' is none"):
            match_folders(folder, other)
