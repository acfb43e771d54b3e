"""Nothing that an index or a shard claims is believed before it is checked."""

import io
import json
import tarfile

import numpy as np
import pytest

from zerosum.data.shards import (
    INDEX,
    Damaged,
    File,
    find_members,
    read_index,
    read_labels,
    verify,
)
from zerosum.errors import UserError


@pytest.fixture
def content(shards):
    return json.loads((shards / INDEX).read_bytes())


def test_an_index_is_read_as_it_was_written(shards):
    text = (shards / INDEX).read_bytes()
    index = read_index(text, "set")
    assert index.to_json() == text
    assert index.shape == (3, 5, 5)
    assert {name: len(about) for name, about in index.splits.items()} == {"train": 70, "test": 8}
    assert index.chosen("val") == "test"


def damage(path, value):
    def change(content):
        *way, last = path
        for step in way:
            content = content[step]
        content[last] = value

    return change


SHARD = ("splits", "train", "shards", 0)


@pytest.mark.parametrize(
    "change",
    [
        damage(("format",), "something"),
        damage(("shape",), [3, 5]),
        damage(("shape",), [2, 5, 5]),
        damage(("shape",), [3, 10**6, 5]),
        damage(("splits",), {}),
        damage(("splits",), []),
        damage(("splits", "else"), {}),
        damage(("splits", "train", "shards"), []),
        damage(("splits", "train", "labels"), 3),
        damage((*SHARD, "file"), "../train-00000.tar"),
        damage((*SHARD, "file"), "/etc/passwd"),
        damage((*SHARD, "file"), ".hidden"),
        damage((*SHARD, "images"), 0),
        damage((*SHARD, "images"), True),
        damage((*SHARD, "bytes"), -1),
        damage((*SHARD, "sha256"), "abc"),
        lambda content: content["splits"]["train"]["shards"][0].pop("bytes"),
    ],
)
def test_what_cannot_be_is_refused(content, change):
    change(content)
    with pytest.raises(UserError, match=r"'set' has no index.json of shards that can be read: "):
        read_index(json.dumps(content).encode(), "set")


@pytest.mark.parametrize("text", [b"", b"[" * 10_000, b"\xff", b"null", b"3"])
def test_what_is_no_index_is_refused(text):
    with pytest.raises(UserError, match="can be read"):
        read_index(text, "set")


def test_a_newer_one_is_refused_as_such(content):
    content["version"] = 2
    with pytest.raises(UserError, match=r"is of version 2, and this zerosum reads 1. Update"):
        read_index(json.dumps(content).encode(), "set")


def test_the_fingerprint_is_of_the_shards_of_a_split(content):
    def of(content):
        return read_index(json.dumps(content).encode(), "set").fingerprint("train")

    before = of(content)
    content["splits"]["test"]["shards"][0]["sha256"] = "0" * 64
    assert of(content) == before
    content["splits"]["train"]["shards"][0]["sha256"] = "0" * 64
    assert of(content) != before


class TestLabels:
    def test_they_are_of_the_classes(self, shards):
        about = read_index((shards / INDEX).read_bytes(), "set").splits["train"]
        labels = read_labels((shards / "train-labels.npy").read_bytes(), about)
        assert np.bincount(labels).tolist() == [40, 30]

    @pytest.mark.parametrize(
        ("labels", "why"),
        [
            (np.zeros(69, np.int32), "shape"),
            (np.zeros(70), "float64"),
            (np.full(70, 2), "none of the 2 classes"),
            (np.full(70, -1), "none of the 2 classes"),
            (np.array([None] * 70), "Object arrays|pickle"),
        ],
    )
    def test_others_are_refused(self, content, labels, why):
        import hashlib

        file = io.BytesIO()
        np.save(file, labels, allow_pickle=True)
        about = content["splits"]["train"]["labels"]
        about["sha256"] = hashlib.sha256(file.getvalue()).hexdigest()
        index = read_index(json.dumps(content).encode(), "set")
        with pytest.raises(Damaged, match=why):
            read_labels(file.getvalue(), index.splits["train"])

    def test_another_file_is_refused(self, content):
        index = read_index(json.dumps(content).encode(), "set")
        with pytest.raises(Damaged, match="sha256"):
            read_labels(b"anything", index.splits["train"])


def test_a_file_is_held_against_the_index(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    verify(path, File(file="a", bytes=3, sha256=sha256))
    with pytest.raises(Damaged, match="it has 3 bytes, and the index says 4"):
        verify(path, File(file="a", bytes=4, sha256=sha256))
    path.write_bytes(b"abd")
    with pytest.raises(Damaged, match="sha256"):
        verify(path, File(file="a", bytes=3, sha256=sha256))


class TestMembers:
    def test_they_are_found_where_tarfile_finds_them(self, shards):
        path = shards / "train-00000.tar"
        with tarfile.open(path) as tar:
            expected = [
                [member.offset_data, member.size]
                for member in tar.getmembers()
                if not member.name.endswith(".cls")
            ]
        assert find_members(path, 5).tolist() == expected

    def test_too_few_are_damage(self, shards):
        with pytest.raises(Damaged, match="it holds 5 images, and the index says 7"):
            find_members(shards / "train-00000.tar", 7)

    def test_a_cut_tar_is_damage(self, shards):
        path = shards / "train-00000.tar"
        path.write_bytes(path.read_bytes()[:1500])
        with pytest.raises(Damaged, match="no member of a plain tar at byte"):
            find_members(path, 5)

    @pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE])
    def test_links_and_the_like_are_refused(self, tmp_path, kind):
        with tarfile.open(tmp_path / "a.tar", "w") as tar:
            member = tarfile.TarInfo("a.png")
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
        with pytest.raises(Damaged, match="no member of a plain tar at byte 0"):
            find_members(tmp_path / "a.tar", 1)

    @pytest.mark.parametrize(
        "length",
        [
            b"\x80" + bytes(11),  # as GNU tar writes 8 GiB and more
            b"-0000001000\0",  # by which a walk would stand still
            b"-0000002000\0",
            b"+0000001000\0",
            b"0_001000\0\0\0\0",
            b"00000000009\0",
            bytes(12),
        ],
    )
    def test_a_length_that_is_none_is_damage(self, shards, length):
        path = shards / "train-00000.tar"
        content = bytearray(path.read_bytes())
        content[124:136] = length
        path.write_bytes(content)
        with pytest.raises(Damaged, match="has no length"):
            find_members(path, 5)
