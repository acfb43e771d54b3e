"""`zerosum translate` as a user runs it."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import zerosum
from zerosum.cli.main import run
from zerosum.data.decode import readable
from zerosum.inference import translate_files as translation_files

pytestmark = pytest.mark.slow  # runs are trained for it

ORIENTATION = 0x0112
TURNED = 6
"""EXIF's word for a picture that has to be turned to the right by 90 degrees to be upright."""


def save_picture(path, *, size=(16, 16), seed=0, **how):
    """Write an image of random pixels, of (height, width)."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **how)


def train(recipe, folder, **settings):
    common = {
        "size": "16", "width": 2, "d_layers": 1, "images": 40, "batch_size": 2, "device": "cpu",
        "evaluate_every": 0, "learning_rate": 0.01, "lr_end": 1.0,
    }  # fmt: skip
    data = str(folder / "data")
    return zerosum.train(recipe, data=data, out=folder / "run", **(common | settings)).path


@pytest.fixture(scope="module")
def paired(tmp_path_factory):
    """A run of pix2pix that takes gray and makes colour."""
    folder = tmp_path_factory.mktemp("paired")
    for index in range(4):
        save_picture(folder / f"data/B/{index}.png", seed=index)
        with Image.open(folder / f"data/B/{index}.png") as image:
            (folder / "data/A").mkdir(exist_ok=True)
            image.convert("L").save(folder / f"data/A/{index}.png")
    return train("pix2pix", folder)


@pytest.fixture(scope="module")
def unpaired(tmp_path_factory):
    """A run of cyclegan between gray, A, and colour, B."""
    folder = tmp_path_factory.mktemp("unpaired")
    (folder / "data/A").mkdir(parents=True)
    for index in range(4):
        save_picture(folder / f"data/B/{index}.png", seed=index)
        with Image.open(folder / f"data/B/{index}.png") as image:
            image.convert("L").save(folder / f"data/A/{index}.png")
    return train("cyclegan", folder, blocks=1, identity=0.0)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty directory that is the working one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def translate(trained, *tokens):
    return run(["translate", str(trained), *tokens])


def refused(trained, *tokens, capsys):
    """The one message of a translation that must fail: no traceback, the right exit code."""
    assert translate(trained, *tokens) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("zerosum: ")
    assert "Traceback" not in captured.err
    return captured.err


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


class TestAnImage:
    def test_becomes_a_file_of_its_own_size(self, paired, here, capsys):
        save_picture(here / "a.png", size=(20, 37))
        assert translate(paired, "a.png", "--out", "new/b.png") == 0
        captured = capsys.readouterr()
        assert captured.out == "Wrote new/b.png.\n"
        assert captured.err == "Converted color to gray.\n"
        assert pixels("new/b.png").shape == (20, 37, 3)

    @pytest.mark.parametrize(
        ("name", "kind"),
        [("b.jpg", "JPEG"), ("b.JPEG", "JPEG"), ("b.webp", "WEBP"), ("b.png", "PNG")],
    )
    def test_is_written_as_the_suffix_says(self, paired, here, name, kind):
        save_picture(here / "a.png")
        assert translate(paired, "a.png", "--out", name) == 0
        with Image.open(name) as image:
            assert (image.format, image.mode, image.size) == (kind, "RGB", (16, 16))

    def test_keeps_its_name_in_a_folder(self, paired, here, capsys):
        save_picture(here / "a.jpg")
        (here / "there").mkdir()
        (here / "there" / "other.txt").touch()
        for folder in ("there", "new/one", "version.1/"):
            assert translate(paired, "a.jpg", "--out", folder) == 0
            assert capsys.readouterr().out == f"Wrote {folder.rstrip('/')}/a.png.\n"
        assert np.array_equal(pixels("there/a.png"), pixels("new/one/a.png"))

    def test_overwrites_a_file_that_is_named_but_no_other(self, paired, here, capsys):
        save_picture(here / "a.jpg")
        save_picture(here / "a.png", size=(8, 8))
        said = refused(paired, "a.jpg", "--out", ".", capsys=capsys)
        assert "'a.png' exists already" in said
        assert pixels("a.png").shape == (8, 8, 3)
        assert translate(paired, "a.jpg", "--out", "a.png") == 0
        assert pixels("a.png").shape == (16, 16, 3)

    def test_is_what_python_gives(self, paired, here):
        save_picture(here / "a.png")
        Image.open("a.png").convert("L").save("gray.png")
        gray = pixels("gray.png")[None, ..., None]
        assert translate(paired, "gray.png", "--seed", "3", "--out", "b.png") == 0
        loaded = zerosum.load(paired)
        assert np.array_equal(pixels("b.png"), loaded.translate(gray, seed=3)[0])
        assert not np.array_equal(pixels("b.png"), loaded.translate(gray, seed=4)[0])

    def test_of_any_mode_is_converted_as_the_run_was_trained(self, paired, here):
        save_picture(here / "colour.png")
        with Image.open("colour.png") as image:
            image.convert("L").save("gray.png")
            faded = image.convert("L").convert("RGBA")
        faded.putalpha(0)
        faded.save("clear.png")
        Image.new("L", (16, 16), 255).save("white.png")
        for name in ("colour", "gray", "clear", "white"):
            assert translate(paired, f"{name}.png", "--out", f"to/{name}.png") == 0
        assert np.array_equal(pixels("to/colour.png"), pixels("to/gray.png"))
        assert np.array_equal(pixels("to/clear.png"), pixels("to/white.png"))

    def test_is_turned_upright(self, paired, here):
        exif = Image.Exif()
        exif[ORIENTATION] = TURNED
        save_picture(here / "turned.jpg", size=(20, 40), exif=exif, quality=100)
        with Image.open("turned.jpg") as image:
            image.transpose(Image.Transpose.ROTATE_270).save("upright.png")
        for name in ("turned.jpg", "upright.png"):
            assert translate(paired, name, "--out", "to") == 0
        assert pixels("to/turned.png").shape == (40, 20, 3)
        assert np.array_equal(pixels("to/turned.png"), pixels("to/upright.png"))

    @pytest.mark.parametrize(("size", "shape"), [("8", (8, 8, 3)), ("12x24", (12, 24, 3))])
    def test_is_resized_first_if_wanted(self, paired, here, size, shape):
        save_picture(here / "a.png", size=(30, 40))
        assert translate(paired, "a.png", "--size", size, "--out", "b.png") == 0
        assert pixels("b.png").shape == shape

    def test_of_the_average_of_g_or_of_g_itself(self, paired, here, capsys):
        save_picture(here / "a.png")
        assert translate(paired, "a.png", "--out", "average.png") == 0
        assert translate(paired, "a.png", "--no-ema", "--out", "itself.png") == 0
        assert "NOTE" not in capsys.readouterr().err
        assert translate(paired, "a.png", "--raw", "--out", "raw.png") == 0
        assert "NOTE: --raw is now called --no-ema" in capsys.readouterr().err
        assert np.array_equal(pixels("itself.png"), pixels("raw.png"))
        assert translate(paired, "a.png", "--checkpoint", "40", "--out", "kept.png") == 0
        assert not np.array_equal(pixels("average.png"), pixels("raw.png"))
        assert np.array_equal(pixels("average.png"), pixels("kept.png"))

    def test_in_reverse(self, unpaired, here):
        save_picture(here / "a.png", size=(12, 20))
        assert translate(unpaired, "a.png", "--out", "there.png") == 0
        assert translate(unpaired, "a.png", "--reverse", "--out", "back.png") == 0
        assert pixels("there.png").shape == (12, 20, 3)
        assert pixels("back.png").shape == (12, 20)  # gray
        images = pixels("a.png")[None]
        expected = zerosum.load(unpaired).translate(images, reverse=True)[0, ..., 0]
        assert np.array_equal(pixels("back.png"), expected)


class TestAFolder:
    def test_keeps_names_and_subfolders(self, paired, here, capsys):
        for seed, name in enumerate(["a.png", "sub/b.jpg", "sub/deep/10.webp", ".hidden.png"]):
            save_picture(here / "in" / name, size=(16, 16 + seed), seed=seed)
        (here / "in" / "notes.txt").write_text("no image, and none by name")
        assert translate(paired, "in", "--out", "new/out") == 0
        captured = capsys.readouterr()
        assert captured.out == "Wrote 3 images to new/out.\n"
        assert captured.err == ("Converted color to gray: a.png; sub/b.jpg; sub/deep/10.webp.\n")
        assert files(here / "new/out") == ["a.png", "sub/b.png", "sub/deep/10.png"]
        assert pixels("new/out/sub/deep/10.png").shape == (16, 18, 3)

    def test_has_the_outputs_that_each_image_has_alone(self, paired, here):
        for seed, name in enumerate("abc"):
            save_picture(here / f"in/{name}.png", seed=seed)
        assert translate(paired, "in", "--out", "out") == 0
        assert translate(paired, "in/c.png", "--out", "c.png") == 0
        assert np.array_equal(pixels("c.png"), pixels("out/c.png"))

    def test_skips_what_cannot_be_decoded_and_says_so(self, paired, here, capsys):
        save_picture(here / "in/a.png")
        for index in range(4):
            (here / f"in/bad{index}.png").write_bytes(b"no image")
        assert translate(paired, "in", "--out", "out") == 0
        captured = capsys.readouterr()
        assert captured.out == "Wrote 1 image to out.\n"
        converted, _, skipped = captured.err.partition("\n")
        assert converted == "Converted color to gray: a.png."
        assert skipped.startswith(
            "Skipped 4 of 5 images that cannot be decoded: bad0.png: not an image"
        )
        assert skipped.endswith("; and 1 more.\n")
        assert files(here / "out") == ["a.png"]

    def test_of_nothing_that_can_be_decoded(self, paired, here, capsys):
        (here / "in").mkdir()
        (here / "in/bad.png").write_bytes(b"")
        said = refused(paired, "in", "--out", "out", capsys=capsys)
        assert "None of the 1 images in in can be decoded: bad.png: the file is empty" in said
        assert not (here / "out").exists()

    def test_of_two_images_that_would_become_one(self, paired, here, capsys, monkeypatch):
        monkeypatch.setattr(translation_files, "perform", None)  # there is no work before that
        for name in ("b.png", "sub/a.png", "sub/a.jpg"):
            save_picture(here / "in" / name)
        said = refused(paired, "in", "--out", "out", capsys=capsys)
        assert "holds both sub/a.jpg and sub/a.png" in said
        assert "sub/a.png. Rename one" in said

    def test_goes_to_an_empty_folder_only(self, paired, here, capsys):
        save_picture(here / "in/a.png")
        (here / "out").mkdir()
        assert translate(paired, "in", "--out", "out") == 0
        capsys.readouterr()
        assert "is not empty" in refused(paired, "in", "--out", "out", capsys=capsys)

    @pytest.mark.parametrize("out", ["-", "out.png", "file", ""])
    def test_becomes_no_file(self, paired, here, capsys, out):
        save_picture(here / "in/a.png")
        (here / "file").touch()
        said = refused(paired, "in", "--out", out, capsys=capsys)
        assert f"received --out '{out}', expected the name of a folder" in said


class TestSeveral:
    """Images of several kinds and sizes at once: each is translated, or named with the reason."""

    @pytest.fixture(autouse=True)
    def material(self, here):
        save_picture(here / "wide.png", size=(40, 60))
        save_picture(here / "tall.jpg", size=(60, 40))
        Image.new("L", (24, 24)).save("gray.png")
        Image.new("RGBA", (24, 24)).save("opaque.png")
        (here / "bad.png").write_bytes(b"no image")

    def test_go_to_a_folder_each_with_a_word(self, unpaired, here, capsys):
        names = ("wide.png", "tall.jpg", "gray.png", "opaque.png", "bad.png")
        assert translate(unpaired, *names, "--reverse", "--size", "16", "--out", "out") == 0
        captured = capsys.readouterr()
        assert captured.out == "Wrote 4 images to out.\n"
        assert captured.err.splitlines() == [
            "Cropped 60×40 to its middle 40×40: wide.png.",
            "Cropped 40×60 to its middle 40×40: tall.jpg.",
            "Converted gray to color: gray.png.",
            "Composed transparency on white: opaque.png.",
            "Sizes are width×height. --fit short-side, pad or squash leaves nothing out.",
            "Skipped 1 of 5 images that cannot be decoded: bad.png: not an image in any of the "
            f"formats {', '.join(readable())}.",
        ]
        assert files(here / "out") == ["gray.png", "opaque.png", "tall.png", "wide.png"]

    @pytest.mark.parametrize(
        ("flags", "shape"),
        [
            (["--fit", "short-side"], (16, 24)),
            (["--fit", "pad"], (16, 16)),
            (["--fit", "squash"], (16, 16)),
            (["--fit", "short-side", "--restore"], (40, 60)),
            (["--fit", "pad", "--restore"], (40, 60)),
            (["--fit", "squash", "--restore"], (40, 60)),
        ],
    )
    def test_no_part_is_lost_by_the_other_ways(self, unpaired, capsys, flags, shape):
        flags = ["--size", "16", *flags, "--out", "b.png"]
        assert translate(unpaired, "wide.png", "--reverse", *flags) == 0
        assert capsys.readouterr().err == ""
        assert pixels("b.png").shape == shape

    def test_one_image_needs_no_out(self, unpaired, capsys):
        assert translate(unpaired, "wide.png", "--reverse", "--size", "16") == 0
        captured = capsys.readouterr()
        assert captured.out == "Wrote wide-translated.png.\n"
        assert captured.err.startswith("Cropped 60×40 to its middle 40×40.\n")
        assert pixels("wide-translated.png").shape == (16, 16)

    def test_more_than_eight_bits(self, paired, unpaired, capsys):
        for name in ("a.npy", "a.tif", "a.png"):
            assert translate(unpaired, "gray.png", "--out", name) == 0
        floats = np.load("a.npy")
        assert (floats.dtype, floats.shape) == (np.float32, (24, 24, 3))
        assert abs(floats).max() <= 1
        expected = np.round(np.clip((floats + 1) * 127.5, 0, 255))
        assert np.array_equal(pixels("a.png"), expected)
        assert translate(unpaired, "wide.png", "--reverse", "--out", "b.tif") == 0
        assert translate(unpaired, "wide.png", "--reverse", "--out", "b.npy") == 0
        assert pixels("b.tif").dtype == np.uint16
        expected = np.round((np.load("b.npy")[..., 0] + 1) * 32767.5)
        assert np.array_equal(pixels("b.tif"), expected)

    def test_an_aspect_beyond_all_memory_is_left_out(self, unpaired, here, capsys, monkeypatch):
        monkeypatch.setattr(translation_files, "memory_bytes", lambda: 10**6)
        Image.new("RGB", (9000, 1)).save("thin.png")
        flags = ["--reverse", "--size", "64", "--fit", "short-side", "--out", "out"]
        assert translate(unpaired, "thin.png", "gray.png", *flags) == 0
        assert "Skipped 1 of 2 images" in capsys.readouterr().err
        assert files(here / "out") == ["gray.png"]


class TestAPipe:
    def test_takes_an_image_and_gives_a_png_and_nothing_else(self, paired, here):
        save_picture(here / "a.jpg", size=(16, 24))
        assert translate(paired, "a.jpg", "--out", "b.png") == 0
        command = [sys.executable, "-m", "zerosum", "translate", str(paired), "-", "--out", "-"]
        done = subprocess.run(command, input=(here / "a.jpg").read_bytes(), capture_output=True)
        assert done.returncode == 0, done.stderr
        assert done.stderr == b"Converted color to gray.\n"
        with Image.open(io.BytesIO(done.stdout)) as image:
            assert image.format == "PNG"
            assert np.array_equal(np.asarray(image), pixels("b.png"))

    def test_at_one_end_only(self, paired, here, capsysbinary, monkeypatch):
        save_picture(here / "a.png")
        assert translate(paired, "a.png", "--out", "-") == 0
        (here / "piped.png").write_bytes(capsysbinary.readouterr().out)
        stream = io.TextIOWrapper(io.BytesIO((here / "a.png").read_bytes()))
        monkeypatch.setattr(sys, "stdin", stream)
        assert translate(paired, "-", "--out", "b.png") == 0
        assert capsysbinary.readouterr().out == b"Wrote b.png.\n"
        assert np.array_equal(pixels("piped.png"), pixels("b.png"))

    @pytest.mark.parametrize(
        ("content", "reason"),
        [(b"", "standard input: the file is empty"), (b"12345", "more than 4 bytes")],
    )
    def test_that_gives_no_image(self, paired, here, capsys, monkeypatch, content, reason):
        monkeypatch.setattr(translation_files, "MAX_FILE_BYTES", 4)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert reason in refused(paired, "-", "--out", "b.png", capsys=capsys)

    def test_has_no_name_to_keep_in_a_folder(self, paired, here, capsys):
        said = refused(paired, "-", "--out", "folder", capsys=capsys)
        assert "no file to write to: received --out 'folder'" in said


class TestMistakes:
    @pytest.fixture(autouse=True)
    def material(self, here):
        save_picture(here / "picture.png")
        (here / "text.png").write_text("no image")
        (here / "empty").mkdir()

    @pytest.mark.parametrize(
        ("image", "out", "said"),
        [
            ("pictrue.png", "b.png", "no file or folder 'pictrue.png'. Did you mean 'picture.png'"),
            ("nowhere/a.png", "b.png", "its folder does not exist"),
            ("", "b.png", "The name of the image was empty"),
            ("text.png", "b.png", "cannot be decoded: text.png: not an image"),
            ("empty", "out", "empty holds no images: expected files ending in .png"),
            ("picture.png", "b.gif", "'b.gif': expected a name that ends in .png .jpg"),
            ("picture.png", "", "no file to write to: received --out ''"),
            ("picture.png", "picture.png", "is the image itself"),
            ("picture.png", ".", "is the image itself"),
            ("picture.png", "text.png/b.png", "Could not write 'text.png/b.png'"),
            (".", "text.png/out", "Could not write 'text.png/out/picture.png'"),
            ("picture.png", "a" * 300 + ".png", "File name too long"),
            ("empty", "empty", "is the folder of the images itself"),
        ],
    )
    def test_each_is_explained(self, paired, capsys, image, out, said):
        assert said in refused(paired, image, "--out", out, capsys=capsys)
        assert pixels("picture.png").shape == (16, 16, 3)

    def test_the_image_by_another_name(self, paired, here, capsys):
        (here / "link.png").symlink_to(here / "picture.png")
        said = refused(paired, "picture.png", "--out", "link.png", capsys=capsys)
        assert "is the image itself" in said

    @pytest.mark.parametrize(
        ("flags", "said"),
        [
            (["--size", "0"], "The size was '0': expected N or HEIGHTxWIDTH"),
            (["--fit", "pad"], "Received --fit without --size"),
            (["--restore"], "Received --restore without --size"),
            (["--size", "8", "--restore"], "What was cropped away cannot be restored"),
            (["--size", "8x9", "--fit", "short-side"], "keeps each image's aspect"),
            (["--size", "8", "--fit", "padd"], "padd"),
            (["--size", "300000"], "Choose smaller images with --size"),
            (["--checkpoint", "7"], "has no checkpoint '7'"),
            (["--reverse"], "translates one way only. Leave --reverse out"),
            (["--device", "cuda:77"], "The device 'cuda:77' is not there. This machine has: "),
        ],
    )
    def test_in_a_flag(self, paired, capsys, flags, said):
        assert said in refused(paired, "picture.png", *flags, "--out", "b.png", capsys=capsys)

    def test_no_image(self, paired, capsys):
        assert "Received no image" in refused(paired, capsys=capsys)

    def test_no_run(self, here, capsys):
        assert "no run" in refused(here / "empty", "picture.png", "--out", "b.png", capsys=capsys)

    def test_a_run_that_makes_images_of_noise(self, here, capsys, train_tiny):
        train_tiny(here / "of noise", epochs=1)
        capsys.readouterr()
        said = refused(here / "of noise", "picture.png", "--out", "b.png", capsys=capsys)
        assert "makes images of noise" in said
        assert f"zerosum sample '{here}/of noise'" in said

    def test_opacity_in_a_jpeg(self):
        see_through = np.zeros((8, 8, 4), np.uint8)
        with pytest.raises(zerosum.UserError, match=r"4 channels cannot be written as \.jpg"):
            translation_files.encode(see_through, ".jpg")


def test_help_does_not_wait_for_torch():
    code = (
        "import sys; from zerosum.cli.main import run; code = run(['translate', '--help']); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "IMAGE" in done.stdout
