"""Where the images of two domains lie; no image is looked at, so the folders here are empty."""

import pytest

from zerosum.data.domains import find_domains, find_root, has_validation
from zerosum.errors import UserError

LAYOUTS = {
    "side by side": ["{}"],
    "domains in splits": ["{}/A", "{}/B"],
    "splits in domains": ["A/{}", "B/{}"],
    "joined names": ["{}A", "{}B"],
}


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "my data"
    folder.mkdir()
    return folder


@pytest.fixture
def make(root):
    """Make folders in the root."""

    def folders(*names):
        for name in names:
            (root / name).mkdir(parents=True)

    return folders


def found(root, split):
    return [str(folder.relative_to(root)) for folder in find_domains(root, split)]


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
class TestSplits:
    @pytest.mark.parametrize(
        ("splits", "val", "test"),
        [
            (("train", "val", "test"), "val", "test"),
            (("train", "test"), "test", "test"),
            (("train", "val"), "val", "val"),
            (("train", "valid", "test"), "valid", "test"),
            (("train", "validation"), "validation", "validation"),
            (("train",), "train", "train"),
        ],
    )
    def test_each_has_its_folder_or_the_next_best(self, root, make, layout, splits, val, test):
        for split in splits:
            make(*(folder.format(split) for folder in layout))
        for asked, given in (("train", "train"), ("val", val), ("test", test)):
            assert found(root, asked) == [folder.format(given) for folder in layout]
        assert has_validation(str(root)) == (len(splits) > 1)

    def test_what_is_held_out_is_never_trained_on(self, root, make, layout):
        make(*(folder.format("test") for folder in layout))
        with pytest.raises(UserError, match=r"test on, in .*test.*none to train on.*'train'"):
            find_domains(root, "train")
        assert found(root, "val") == [folder.format("test") for folder in layout]


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_without_splits_all_of_them_are_the_training_set(root, make, split):
    assert found(root, split) == ["."]
    make("A", "B", "other")
    assert found(root, split) == ["A", "B"]
    assert not has_validation(root)


def test_a_file_of_a_folder_s_name_is_no_split(root):
    (root / "train").touch()
    (root / "A").touch()
    assert found(root, "train") == ["."]


def test_an_unknown_split_is_an_error(root):
    with pytest.raises(UserError, match=r"no split 'vall'\. Did you mean 'val'"):
        find_domains(root, "vall")


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["B", "labels"], r"holds B but no A\. The folders in it: B; labels\. Expected a folder"),
        (["A/sub"], r"holds A but no B\. The folders in it: A\. Expected"),
        (["A/train", "B"], "holds A/train but no B/train"),
        (["train/B"], "holds train/B but no train/A"),
        (["trainA", "testB"], "holds trainA but no trainB"),
        (["A", *"123456"], r"The folders in it: 1; 2; 3; 4; 5; and 2 more\. Expected"),
    ],
)
def test_one_domain_without_the_other_is_an_error(root, make, folders, message):
    make(*folders)
    with pytest.raises(UserError, match=message):
        find_domains(root, "train")


def test_a_held_out_domain_without_the_other_is_an_error(root, make):
    make("trainA", "trainB", "testA")
    with pytest.raises(UserError, match="holds testA but no testB"):
        has_validation(root)


def test_a_folder_that_cannot_be_looked_at_is_an_error(root, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    # Tests may run as root, whom no permission stops.
    monkeypatch.setattr(type(root), "is_dir", refuse)
    with pytest.raises(UserError, match=r"my data.* cannot be read: Permission denied"):
        find_domains(root, "train")


def test_a_hostile_name_cannot_reach_the_terminal(root, make):
    make("A", "\x1b[2J")
    with pytest.raises(UserError) as caught:
        find_domains(root, "train")
    assert str(caught.value).isprintable()


class TestRoot:
    def test_a_folder_is_found_whatever_way_it_is_written(self, root, monkeypatch):
        monkeypatch.setenv("HOME", str(root.parent))
        assert find_root(root) == find_root(str(root)) == find_root("~/my data") == root

    def test_a_missing_folder_suggests_the_closest(self, root):
        for ask in (find_root, has_validation):
            with pytest.raises(UserError, match=r"no file or folder .*Did you mean '.*my data'"):
                ask(str(root.parent / "my date"))

    def test_a_missing_folder_of_a_plain_name_is_no_data_set(self, root, monkeypatch):
        monkeypatch.chdir(root.parent)
        with pytest.raises(UserError, match="no file or folder 'facades'"):
            find_root("facades")

    def test_a_data_set_of_single_images_is_refused_unless_it_is_a_folder(self, root, monkeypatch):
        monkeypatch.chdir(root)
        with pytest.raises(UserError, match=r"'mnist' holds single images.*Expected"):
            find_root("mnist")
        (root / "mnist").mkdir()
        assert find_root("mnist").samefile(root / "mnist")

    def test_no_name_at_all_shows_what_is_expected(self):
        with pytest.raises(UserError, match=r"No images .* were given\. Expected a folder"):
            find_root("")

    def test_a_file_is_refused(self, root):
        (root / "pairs.zip").touch()
        with pytest.raises(UserError, match=r"pairs\.zip is a file.*unpack.*Expected"):
            find_root(root / "pairs.zip")

    @pytest.mark.parametrize("address", ["https://host/shards", "hf:owner/name"])
    def test_an_address_is_refused(self, address):
        with pytest.raises(UserError, match=r"is an address.*on this machine\. Expected a folder"):
            find_root(address)
