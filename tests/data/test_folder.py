import os
import tracemalloc

import pytest
from PIL import Image

from zerosum.data import canvas, load
from zerosum.data.decode import Format
from zerosum.data.folder import load_folder
from zerosum.errors import UserError
from zerosum.reading import open_file


def levels(images):
    return images.images[:, 0, 0, 0].tolist()


def test_a_flat_folder_is_unlabelled_and_in_natural_order(paint):
    folder = paint("10.png", "9.png", "1.bmp")
    images = load(folder)
    assert levels(images) == [20, 10, 0]
    assert (images.labels, images.classes, images.name) == (None, (), "pictures")


def test_subfolders_are_classes_however_deep_files_lie_in_them(paint):
    images = load(paint("cat/1.png", "cat/deep/er/2.png", "ant/1.png", "c10/1.png", "c9/1.png"))
    assert images.classes == ("ant", "c9", "c10", "cat")
    assert images.labels.tolist() == [0, 1, 2, 3, 3]
    assert images.labels.dtype.is_signed


def test_hidden_files_and_other_suffixes_are_ignored(paint):
    folder = paint("1.png", ".2.png", ".git/3.png", "__MACOSX/._1.png")
    (folder / "notes.txt").write_text("no image")
    assert len(load(folder)) == 1


def test_a_name_with_an_upper_case_suffix_or_the_wrong_one_is_read_by_content(paint):
    folder = paint("1.PNG", "2.png")
    (folder / "2.png").rename(folder / "2.JPEG")
    assert len(load(folder)) == 2


def test_links_are_followed_but_not_for_ever(paint, tmp_path):
    folder = paint("cat/1.png", "dog/1.png")
    (folder / "cat" / "loop").symlink_to(folder)
    other = tmp_path / "elsewhere"
    other.mkdir()
    Image.new("L", (4, 4), 99).save(other / "1.png")
    (folder / "eel").symlink_to(other)
    images = load(folder)
    assert (images.classes, levels(images)) == (("cat", "dog", "eel"), [0, 10, 99])


def spoil(folder):
    (folder / "2-empty.png").touch()
    (folder / "3-text.png").write_text("hello")
    (folder / "4-link.png").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "5-pipe.png")
    return folder


def test_what_cannot_be_decoded_is_skipped_and_named(paint):
    images = load(spoil(paint("1.png", "6.png")))
    assert levels(images) == [0, 10]
    assert [line.split(": ")[0] for line in images.skipped] == [
        "2-empty.png",
        "3-text.png",
        "4-link.png",
        "5-pipe.png",
    ]
    assert images.skipped[0] == "2-empty.png: the file is empty"
    assert images.skipped[3] == "5-pipe.png: it is a named pipe and no file"


def test_labels_stay_with_their_images_when_some_are_skipped(paint):
    folder = paint("a/1.png", "b/1.png", "c/1.png")
    (folder / "b" / "0.png").touch()
    (folder / "a" / "0.png").touch()
    images = load(folder)
    assert (levels(images), images.labels.tolist()) == ([0, 10, 20], [0, 1, 2])
    assert images.images.is_contiguous()


def test_strict_makes_skipping_an_error_that_names_the_first_few(paint):
    with pytest.raises(UserError, match=r"4 of the 5 images in .*2-empty.*4-link.*; and 1 more"):
        load(spoil(paint("1.png")), strict=True)


def test_a_folder_in_which_nothing_can_be_decoded_is_an_error(paint):
    with pytest.raises(UserError, match=r"4 of the 4 images in .* cannot be decoded: 2-empty"):
        load(spoil(paint()))


def test_a_file_beyond_the_limit_is_not_read(paint, monkeypatch):
    folder = paint("1.png")
    (folder / "2.png").write_bytes(bytes(1000))
    monkeypatch.setattr("zerosum.data.folder.MAX_FILE_BYTES", 999)
    assert load(folder).skipped == ("2.png: the file is larger than 999 bytes",)


def test_a_decompression_bomb_is_skipped_without_a_warning(paint, monkeypatch, recwarn):
    folder = paint("1.png")
    paint("2.png", size=(4, 5))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 16)
    (skipped,) = load(folder).skipped
    assert skipped.startswith("2.png: 4×5 pixels are more than the 16 that are safe")
    assert not recwarn.list


def test_an_empty_folder_is_an_error(paint):
    with pytest.raises(
        UserError, match=r"pictures holds no images: expected files ending in \.png"
    ):
        load(paint())


def test_a_folder_that_cannot_be_listed_is_an_error(paint, monkeypatch):
    folder = paint("1.png")

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    # Tests may run as root, whom no permission stops.
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match="pictures cannot be read: Permission denied"):
        load_folder(folder, split="train", wanted=Format(), strict=False)


def test_a_file_that_cannot_be_opened_is_skipped(paint, monkeypatch):
    folder = paint("1.png", "2.png")

    def refuse(path):
        if path.name == "2.png":
            raise PermissionError(13, "Permission denied", str(path))
        return open_file(path)

    monkeypatch.setattr("zerosum.data.folder.open_file", refuse)
    assert load(folder).skipped == ("2.png: Permission denied",)


def test_sizes_must_agree_unless_one_is_wanted(paint):
    paint("1.png")
    folder = paint("sub/2.png", size=(6, 4))
    with pytest.raises(UserError, match=r"1\.png is 4×4, sub/2\.png is 4×6.*--size N"):
        load(folder)
    assert load(folder, size=(8, 8)).shape == (1, 8, 8)


def test_one_colour_image_makes_all_of_them_rgb(paint):
    folder = paint("1.png", "2.png", "3.png")
    Image.new("RGB", (4, 4), (1, 2, 3)).save(folder / "2.png")
    images = load(folder)
    assert images.images[:, :, 0, 0].tolist() == [[0, 0, 0], [1, 2, 3], [20, 20, 20]]
    assert load(folder, channels=1).shape == (1, 4, 4)
    assert load(folder, channels=4).images[1, :, 0, 0].tolist() == [1, 2, 3, 255]


def test_the_order_of_many_images_is_their_names_and_not_the_threads(paint):
    names = [f"{number}.png" for number in range(25)]
    assert levels(load(paint(*names))) == [number * 10 for number in range(25)]


def test_a_hostile_name_cannot_reach_the_terminal(paint):
    folder = paint("1.png")
    (folder / "\x1b[2J.png").touch()
    (folder / os.fsdecode(b"\xff.png")).touch()
    skipped = load(folder).skipped
    assert len(skipped) == 2
    assert all(line.isprintable() for line in skipped)


def test_more_images_than_memory_holds_is_an_error(paint, monkeypatch):
    folder = paint("1.png", "2.png", size=(4, 4), mode="RGB")
    monkeypatch.setattr(canvas, "memory_bytes", lambda: 2 * 4 * 4 * 3 - 1)
    with pytest.raises(
        UserError, match=r"2 images of 4×4 pixels would take .* --size.*--data-tier disk"
    ):
        load(folder, tier="memory")
    monkeypatch.setattr(canvas, "memory_bytes", lambda: 2 * 4 * 4 * 3)
    assert len(load(folder, tier="memory")) == 2


def test_full_size_photographs_are_not_held(paint):
    folder = paint(*(f"{number}.png" for number in range(12)), size=(800, 800), mode="RGB")
    tracemalloc.start()
    load(folder, size=(8, 8))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * 800 * 800 * 3 / 2
