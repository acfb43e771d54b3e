import pytest

from zerosum.data.splits import choose_split, names_have_splits
from zerosum.errors import UserError

NAMES = ["d/Train/cat/1.png", "d/Train/dog/2.png", "d/valid/cat/3.png", "d/TEST/dog/4.png"]


@pytest.mark.parametrize(
    ("split", "folder", "names"),
    [("train", "Train", NAMES[:2]), ("val", "valid", NAMES[2:3]), ("test", "TEST", NAMES[3:])],
)
def test_folders_of_splits_in_letters_of_either_case(split, folder, names):
    found = choose_split(NAMES, split)
    assert (found.names, found.folder, found.held_out) == (names, folder, "valid")
    assert names_have_splits(NAMES)


def test_one_held_out_folder_serves_for_both():
    names = ["training/1.png", "testing/2.png"]
    assert choose_split(names, "val").names == choose_split(names, "test").names == names[1:]


def test_what_lies_beside_the_splits_is_in_none():
    assert choose_split([*NAMES, "d/more/5.png", "d/6.png"], "train").beside == (
        "d/more/5.png",
        "d/6.png",
    )


@pytest.mark.parametrize(
    "names", [["1.png", "2.png"], ["train/1.png", "plane/2.png"], ["train/1.png", "train/2.png"]]
)
def test_all_else_has_no_splits(names):
    for split in ("train", "val", "test"):
        assert choose_split(names, split).names == names
    assert not names_have_splits(names)


def test_held_out_images_alone_are_refused():
    with pytest.raises(UserError, match="in test and val, but none to train on"):
        choose_split(["val/1.png", "test/2.png"], "train", source="photos")


@pytest.mark.parametrize(
    ("names", "trained"),
    [
        (["training_set/cats/1.png", "test_set/cats/2.png"], [0]),
        (["seg_train/seg_train/a/1.png", "seg_test/seg_test/a/2.png", "seg_pred/3.png"], [0]),
        (["train/1.png", "dev/2.png"], [0]),
        (["d/train/c/1.png", "d/validation/c/2.png", "preview.png"], [0]),
        (["cat/train/1.png", "cat/test/2.png", "dog/train/3.png", "dog/test/4.png"], [0, 2]),
    ],
    ids=["kaggle", "nested", "dev", "stray", "classes first"],
)
def test_spellings_and_layouts_of_downloads(names, trained):
    assert choose_split(names, "train").names == [names[row] for row in trained]


def test_several_folders_of_one_split_are_none():
    names = ["train_images/1.png", "train_masks/1.png", "test/2.png"]
    assert choose_split(names, "train").names == names
    assert choose_split([*names, "train/3.png"], "train").names == ["train/3.png"]
