"""The order and the classes of images, by their names alone; the rest in test_folder.py."""

import pytest

from zerosum.data.names import natural_key


@pytest.mark.parametrize(
    ("names", "classes", "labels"),
    [
        (["a/1", "b/1"], ("a", "b"), [0, 1]),
        (["top/a/1", "top/b/1"], ("a", "b"), [0, 1]),
        (["x/y/a/1", "x/y/b/1", "x/y/b/c/2"], ("a", "b"), [0, 1, 1]),
        (["only/1", "only/2"], (), []),
        (["1", "a/2"], (), []),
        (["top/1", "top/a/2"], (), []),
    ],
)
def test_classes_are_the_first_folder_in_which_files_differ(names, classes, labels):
    assert find_classes(names) == (classes, labels)


def test_natural_order_is_total():
    assert sorted(["a10", "a9", "a1b10", "a09", "a1b2"], key=natural_key) == [
        "a1b2",
        "a1b10",
        "a09",
        "a9",
        "a10",
    ]
