import tracemalloc

import numpy as np
import pytest

from zerosum.data import load
from zerosum.data.labels import index_labels, label_files, read_labels
from zerosum.errors import UserError


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
    found = label_files(names)
    assert found.classes == classes
    assert [found.labels[name] for name in names if classes] == labels
    assert not found.strays


def test_one_stray_beside_class_folders_is_left_out_and_many_leave_no_classes():
    names = [f"{animal}/{number}.png" for animal in ("cat", "dog") for number in range(4)]
    found = label_files([*names, "stray.png"])
    assert (found.classes, found.strays, found.warning) == (("cat", "dog"), ("stray.png",), "")
    found = label_files([*names, "1.png", "2.png"])
    assert (found.classes, found.labels, found.strays) == ((), {}, ())
    assert "2 of the 10 images, such as 1.png" in found.warning


def test_a_folder_beside_the_images_is_no_class():
    assert label_files([*map(str, range(9)), "more/9"]).classes == ()


class TestFilesOfLabels:
    NAMES = ("top/00/1.png", "top/00/2.png", "top/01/3.png")

    def test_the_stylegan_tools(self):
        content = b'{"labels": [["00/1.png", 7], ["00/2.png", -1], ["01/3.png", 7]]}'
        told = read_labels("top/dataset.json", content, self.NAMES)
        found = label_files(self.NAMES, told)
        assert found.classes == ("-1", "7")
        assert [found.labels[name] for name in self.NAMES] == [1, 0, 1]
        assert read_labels("top/dataset.json", b'{"labels": null}', self.NAMES) is None

    @pytest.mark.parametrize(
        "table",
        [
            "id,breed\n1,pug\n2,husky\n3,pug\n",
            "1.png;pug\r\n2.png;husky\r\n3.png;pug\r\n",
            "pug,1.png\nhusky,2.png\npug,3.png\n",
            "index,photo,species\n0,1.png,pug\n1,2.png,husky\n2,3.png,pug",
            "\ufefflabel\tfile\npug\t00/1.png\nhusky\t00\\2.png\npug\t01/3.png",
        ],
        ids=["kaggle", "semicolons", "swapped", "index", "tabs"],
    )
    def test_a_table(self, table):
        told = read_labels("top/labels.csv", table.encode(), self.NAMES)
        assert told == dict(zip(self.NAMES, ("pug", "husky", "pug"), strict=True))

    def test_texts_stay_as_they_are_and_empty_cells_are_no_class(self):
        told = read_labels("labels.csv", b"1.png,01\n2.png,1\n3.png,", self.NAMES)
        assert told == {self.NAMES[0]: "01", self.NAMES[1]: "1"}

    def test_accents_composed_or_not(self):
        names = ("e\u0301.png", "b.png")
        told = read_labels("labels.csv", "\u00e9.png,x\nb.png,y".encode(), names)
        assert told == {names[0]: "x", names[1]: "y"}

    def test_numbers_in_a_table_are_sorted_as_numbers(self):
        told = read_labels("labels.csv", b"1.png,10\n2.png,9\n3.png,9", self.NAMES)
        assert label_files(self.NAMES, told).classes == ("9", "10")

    @pytest.mark.parametrize(
        ("file", "content", "said"),
        [
            ("dataset.json", b"[]", "cannot be read.*StyleGAN"),
            ("dataset.json", b'{"labels": [["1.png", [0, 1]]]}', r"label of 1\.png is \[0, 1\]"),
            ("dataset.json", b"[" * 100_000, "cannot be read"),
            ("labels.csv", b"a\n", "no two columns"),
            ("labels.csv", b"file,colour,size\n1.png,red,4\n", "not clear which holds the classes"),
            ("labels.csv", b"file,label\n1.png\n", "row 2 has 1 columns, and the first 2"),
            ("labels.csv", b"file,label\n9.png,a\n", r"names no image.*9\.png.*top/00/1\.png"),
            (
                "top/labels.csv",
                b"file,label\n1.png,a\n00/1.png,b\n",
                r"png twice, as of a and",
            ),
        ],
    )
    def test_mistakes_are_one_sentence(self, file, content, said):
        with pytest.raises(UserError, match=said):
            read_labels(file, content, self.NAMES)


class TestArrays:
    @pytest.mark.parametrize(
        ("values", "classes", "labels"),
        [
            ([7, 3, 7], ("3", "7"), [1, 0, 1]),
            ([-1, 1, 1], ("-1", "1"), [0, 1, 1]),
            ([2**40, 5, 5], ("5", str(2**40)), [1, 0, 0]),
            (["b10", "b9", "b10"], ("b9", "b10"), [1, 0, 1]),
            ([True, False, True], ("False", "True"), [1, 0, 1]),
        ],
        ids=str,
    )
    def test_classes_are_those_that_occur_by_their_own_names(self, values, classes, labels):
        found, names = index_labels(np.array(values), names=None, source="x")
        assert (names, found.tolist()) == (classes, labels)

    def test_names_that_are_known(self):
        found, names = index_labels(np.array([2, 0]), names=["cat", "dog", "owl"], source="x")
        assert (names, found.tolist()) == (("cat", "owl"), [1, 0])

    @pytest.mark.parametrize(
        ("values", "names", "said"),
        [
            (np.zeros(3), None, "float64.*integers or texts"),
            (np.zeros((3, 2), int), None, "shape \\(3, 2\\)"),
            (np.arange(70_000), None, "70,000 different"),
            (np.array([0, 2]), ["a", "b"], "go from 0 to 2, and it names 2 classes"),
        ],
    )
    def test_mistakes(self, values, names, said):
        with pytest.raises(UserError, match=said):
            index_labels(values, names=names, source="x")


def test_a_number_far_from_all_others_is_one_class_more_and_costs_nothing(tmp_path):
    labels = np.arange(64) % 3
    labels[7] = 65_535
    np.savez(tmp_path / "some.npz", images=np.zeros((64, 8, 8), np.uint8), labels=labels)
    tracemalloc.start()
    images = load(tmp_path / "some.npz")
    assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    tracemalloc.stop()
    assert images.classes == ("0", "1", "2", "65535")
    assert images.labels.bincount().tolist() == [22, 20, 21, 1]
