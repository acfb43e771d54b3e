"""Shards hold what loading the folder would give, and a kill costs one of them at most."""

import errno
import io
import os
import signal
import subprocess
import sys
import tarfile
import time

import numpy as np
import pytest
from PIL import Image

from zerosum.cli.main import run
from zerosum.data import load
from zerosum.data import pack as module
from zerosum.data.decode import Format
from zerosum.data.pack import JOURNAL, pack
from zerosum.data.shards import CLASS, INDEX
from zerosum.data.store import in_memory
from zerosum.errors import UserError


def content_of(images):
    """Each image with its class, in no order."""
    names = [""] * len(images)
    if images.labels is not None:
        names = [images.classes[label] for label in images.labels.tolist()]
    pixels = [image.numpy().tobytes() for image in in_memory(images.images)]
    return sorted(zip(names, pixels, strict=True))


def members(path):
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar.getmembers()}


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_shards_hold_what_the_folder_holds(pictures, shards, split):
    folder, packed = load(pictures, split=split), load(shards, split=split)
    assert packed.shape == folder.shape
    assert packed.classes == folder.classes
    assert content_of(packed) == content_of(folder)


def test_the_settings_are_those_of_loading(tmp_path, paint, small_shards):
    folder = paint("a.png", "b/c.png", size=(9, 12), mode="RGB")
    Image.fromarray(np.full((7, 20), 4000, np.uint16)).save(folder / "deep.png")
    Image.new("RGBA", (8, 8), (9, 8, 7, 100)).save(folder / "clear.png")
    Image.new("CMYK", (8, 8), (9, 8, 7, 6)).save(folder / "ink.jpg")
    how = {"size": (4, 6), "channels": 3, "fit": "pad", "value_range": "auto"}
    pack(folder, tmp_path / "out", Format(**how))
    assert content_of(load(tmp_path / "out")) == content_of(load(folder, **how))


def test_frames_are_images_of_their_own(tmp_path):
    (tmp_path / "in").mkdir()
    frames = [Image.new("L", (4, 4), level) for level in (10, 90, 200)]
    frames[0].save(tmp_path / "in" / "a.gif", save_all=True, append_images=frames[1:])
    frames[1].save(tmp_path / "in" / "b.png")
    pack(tmp_path / "in", tmp_path / "out", Format(all_frames=True, channels=1))
    folder = load(tmp_path / "in", all_frames=True, channels=1)
    assert content_of(load(tmp_path / "out")) == content_of(folder)
    assert len(folder) == 4


def test_files_that_need_no_change_stay_as_they_are_and_others_are_not_compressed(tmp_path):
    (tmp_path / "in").mkdir()
    Image.new("RGB", (6, 6), (1, 2, 3)).save(tmp_path / "in" / "small.jpg")
    Image.new("RGB", (20, 20), (1, 2, 3)).save(tmp_path / "in" / "large.png")
    pack(tmp_path / "in", tmp_path / "out", Format(size=(6, 6)))
    found = {
        name.partition(".")[2]: content
        for name, content in members(tmp_path / "out" / "train-00000.tar").items()
    }
    assert found["jpg"] == (tmp_path / "in" / "small.jpg").read_bytes()
    assert found["ppm"].startswith(b"P6\n6 6\n255\n")
    assert found.keys() == {"jpg", "ppm"}


def test_the_layout_is_that_of_webdataset(shards):
    found = members(shards / "train-00003.tar")
    images = {name for name in found if not name.endswith(CLASS)}
    assert len(images) == 6
    assert {name.removesuffix(".png") + CLASS for name in images} == found.keys() - images
    assert {found[name] for name in found.keys() - images} == {b"0", b"1"}


def test_a_shard_is_a_sample_of_all_classes(shards):
    cats = [
        sum(member == b"0" for name, member in members(path).items() if name.endswith(CLASS))
        for path in shards.glob("train-*.tar")
    ]
    assert sum(cats) == 40
    assert all(0 < count < 6 for count in cats)


def test_colour_makes_all_of_them_rgb(tmp_path, paint, small_shards):
    folder = paint(*(f"{number}.png" for number in range(13)))
    Image.new("RGB", (4, 4), (200, 100, 0)).save(folder / "colour.png")
    pack(folder, tmp_path / "out", Format())
    assert load(tmp_path / "out").shape == (3, 4, 4)
    assert content_of(load(tmp_path / "out")) == content_of(load(folder))


def test_what_cannot_be_decoded_is_left_out_and_told(tmp_path, paint, capsys):
    folder = paint("a.png", "b.png")
    (folder / "bad\n.png").write_bytes(b"no image")
    assert run(["data", "pack", str(folder), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "train: 2 images of 4×4 gray, in 1 shard (" in told
    assert "Left out 1 files, such as bad\\n.png: not an image" in told
    with pytest.raises(UserError, match="cannot be decoded"):
        pack(folder, tmp_path / "strict", Format(), strict=True)


class TestRefusals:
    def test_shards_that_are_there(self, pictures, shards):
        before = {path.name: path.read_bytes() for path in shards.iterdir()}
        with pytest.raises(UserError, match="never overwritten"):
            pack(pictures, shards, Format())
        assert {path.name: path.read_bytes() for path in shards.iterdir()} == before

    def test_a_folder_with_something_else(self, pictures, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(UserError, match="not empty"):
            pack(pictures, tmp_path, Format())

    def test_a_folder_among_the_images(self, pictures):
        with pytest.raises(UserError, match="lies in"):
            pack(pictures, pictures / "shards", Format())

    def test_images_of_several_sizes(self, paint, tmp_path):
        folder = paint("a.png", "b.png")
        Image.new("L", (9, 4)).save(folder / "c.png")
        with pytest.raises(UserError, match=r"a.png is 4×4, c.png is 4×9.*--size N"):
            pack(folder, tmp_path / "out", Format())

    def test_a_range_of_what_has_none(self, paint, tmp_path):
        with pytest.raises(UserError, match="--range would change nothing"):
            pack(paint("a.png"), tmp_path / "out", Format(value_range=(0, 9)))

    def test_no_image_at_all(self, tmp_path):
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "a.png").write_bytes(b"")
        with pytest.raises(UserError, match=r"None of the 1 images .* a.png: the file is empty"):
            pack(tmp_path / "in", tmp_path / "out", Format())


class TestBrokenOff:
    def test_it_goes_on_where_it_was(self, pictures, shards, tmp_path, monkeypatch):
        out, written = tmp_path / "out", []
        write = module.Packer.write

        def fail_at_the_fifth(self, part, *rest):
            if len(written) == 4:
                raise OSError(errno.ENOSPC, "No space left on device")
            written.append(part.file)
            return write(self, part, *rest)

        monkeypatch.setattr(module.Packer, "write", fail_at_the_fifth)
        with pytest.raises(UserError, match=r"No space left on device\. Make room"):
            pack(pictures, out, Format())
        with pytest.raises(UserError, match="not finished"):
            load(out)
        with (out / JOURNAL).open("a") as journal:
            journal.write('{"shard": {"fi')  # as a kill leaves it

        def note(self, part, *rest):
            written.append(part.file)
            return write(self, part, *rest)

        monkeypatch.setattr(module.Packer, "write", note)
        pack(pictures, out, Format())
        assert len(written) == len(set(written)) == 14
        whole, resumed = (
            {path.name: path.read_bytes() for path in folder.iterdir()} for folder in (shards, out)
        )
        assert resumed == whole

    @pytest.mark.parametrize("change", ["file", "settings"])
    def test_not_with_something_else(self, pictures, tmp_path, small_shards, monkeypatch, change):
        def fail(*_):
            raise OSError(errno.ENOSPC, "full")

        with monkeypatch.context() as patch:
            patch.setattr(module.Packer, "write", fail)
            with pytest.raises(UserError):
                pack(pictures, tmp_path / "out", Format())
        if change == "file":
            Image.new("RGB", (5, 5)).save(pictures / "train" / "cats" / "3.png")
        with pytest.raises(UserError, match="other shards were begun"):
            pack(pictures, tmp_path / "out", Format(channels=3 if change == "settings" else None))

    @pytest.mark.slow
    def test_by_a_kill_at_any_moment(self, tmp_path):
        numbers = np.random.default_rng(0)
        (tmp_path / "in").mkdir()
        for number in range(400):
            pixels = numbers.integers(0, 256, (32, 32, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "in" / f"{number}.png")
        code = (
            "import sys; from pathlib import Path; from zerosum.data import pack;"
            "from zerosum.data.decode import Format; pack.SHARD_IMAGES = 10;"
            "pack.pack(Path(sys.argv[1]), Path(sys.argv[2]), Format())"
        )
        command = [sys.executable, "-c", code, str(tmp_path / "in"), str(tmp_path / "out")]
        kills = 0
        while not (tmp_path / "out" / INDEX).exists():
            process = subprocess.Popen(command)
            before = len(list((tmp_path / "out").glob("*.tar")))
            while process.poll() is None and kills < 3:
                if len(list((tmp_path / "out").glob("*.tar"))) > before + 3:
                    os.kill(process.pid, signal.SIGKILL)
                    kills += 1
                time.sleep(0.005)
            process.wait()
        assert kills == 3
        subprocess.run([*command[:-1], str(tmp_path / "whole")], check=True)
        killed, whole = (
            {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
            for name in ("out", "whole")
        )
        assert killed == whole


def test_nothing_is_decoded_that_is_not_stored_as_it_would_be(tmp_path):
    """A gray image of 16 bits is not kept as it is: another range would decode it otherwise."""
    (tmp_path / "in").mkdir()
    Image.fromarray(np.array([[0, 65535]], np.uint16)).save(tmp_path / "in" / "a.png")
    pack(tmp_path / "in", tmp_path / "out", Format())
    (content,) = members(tmp_path / "out" / "train-00000.tar").values()
    assert np.asarray(Image.open(io.BytesIO(content))).tolist() == [[0, 255]]


def test_a_name_that_no_disk_takes_is_one_message(pictures, tmp_path):
    with pytest.raises(UserError, match=r"Could not write shards to .*File name too long"):
        pack(pictures, tmp_path / ("a" * 300), Format())
