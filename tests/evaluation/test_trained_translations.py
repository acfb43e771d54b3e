"""`zerosum evaluate` and `zerosum compare` of runs that translate images, as a user runs them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zerosum
from zerosum import data
from zerosum.cli.main import run as command
from zerosum.data.images import to_array, to_tensor
from zerosum.inference.run import Run
from zerosum.metrics import lpips
from zerosum.metrics.embedding import fingerprint
from zerosum.metrics.paired import l1, psnr, ssim
from zerosum.metrics.weight_files import INCEPTION, LPIPS
from zerosum.training.run_directory import RunDirectory

pytestmark = pytest.mark.slow  # runs are trained for it

SETS = {"frechet_random", "kid", "precision", "recall", "density", "coverage"}
PAIRS = {"l1", "psnr", "ssim"}


class Gap:
    """In place of LPIPS: the difference of the first pixels."""

    sha256 = "ab" * 32

    def distance(self, first, second):
        return (first.float() - second.float()).abs()[:, 0, 0, 0]

    def card(self):
        return {"features": "gap", "features_sha256": self.sha256, "resize": "none"}


def save_digits(folder, count, *, start=0, negative=False):
    """Write digits of 32×32 as 0.png, 1.png and so on."""
    folder.mkdir(parents=True)
    for index, pixels in enumerate(data.load("mnist").images[start : start + count, 0].numpy()):
        pixels = np.pad(255 - pixels if negative else pixels, 2, mode="edge")
        Image.fromarray(pixels).save(folder / f"{index}.png")


def train(recipe, out, root, **settings):
    common = {
        "size": "32", "width": 2, "d_layers": 1, "epochs": 2, "batch_size": 8, "device": "cpu",
        "checkpoint_every": 1, "ema_half_life": 20,
    }  # fmt: skip
    return zerosum.train(recipe, data=str(root), out=out, **(common | settings))


@pytest.fixture(scope="module")
def paired(tmp_path_factory):
    """A run that learnt digits of their negatives: 24 pairs to train on, 12 and 11 held out."""
    root = tmp_path_factory.mktemp("paired")
    for split, start, count in (("train", 0, 24), ("val", 24, 12), ("test", 36, 11)):
        for domain in "AB":
            folder = root / "data" / domain / split
            save_digits(folder, count, start=start, negative=domain == "B")
    return train("pix2pix", root / "run", root / "data", direction="BtoA", evaluate_every=1)


@pytest.fixture(scope="module")
def unpaired(tmp_path_factory):
    """A run between domains of 24 and of 20 images, 14 and 10 of them held out."""
    root = tmp_path_factory.mktemp("unpaired")
    for domain, train_count, count in (("A", 24, 14), ("B", 20, 10)):
        for split, start, number in (("train", 0, train_count), ("val", 100, count)):
            folder = root / "data" / split / domain
            save_digits(folder, number, start=start, negative=domain == "B")
    settings = {"blocks": 1, "epochs": 1, "evaluate_every": 0}
    return train("cyclegan", root / "run", root / "data", **settings)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, capsys, paired, unpaired):
    """A directory and a cache of their own; no weights; what the trainings printed is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
    for weights in (INCEPTION, LPIPS):
        monkeypatch.delenv(weights.variable, raising=False)
        monkeypatch.setattr(weights, "package", "no_such_package")
    capsys.readouterr()
    return tmp_path


@pytest.fixture
def unchanged(monkeypatch):
    """Runs whose every output is its source."""
    monkeypatch.setattr(Run, "translate", lambda run, images, **how: images)


def evaluated(capsys, run, *tokens):
    """The metrics, and what was said besides."""
    assert command(["evaluate", str(run.path), *tokens, "--json"]) == 0
    printed = capsys.readouterr()
    return json.loads(printed.out, parse_constant=pytest.fail)["metrics"], printed.err


def refused(capsys, run, *tokens):
    """The message of a command that must fail, whatever was said before."""
    assert command(["evaluate", str(run.path), *tokens]) == 2
    said = capsys.readouterr().err.splitlines()
    (message,) = (line for line in said if line.startswith("zerosum: "))
    return message


def values(found):
    return {name: entry["value"] for name, entry in found.items()}


class TestMatched:
    def test_there_are_figures_of_sets_and_of_pairs(self, paired, capsys):
        found, said = evaluated(capsys, paired)
        assert found.keys() == SETS | PAIRS
        assert "Going on with random features" in said
        assert said.count("The LPIPS weights are not on this machine") == 1
        assert "Went on without lpips_diversity and lpips." in said
        assert "flatter" not in said
        root = paired.config.data
        for name, entry in found.items():
            card = entry["card"]
            fake, real = card["evaluated"], card["reference"]
            assert fake["name"] == f"{paired.path} (average of G, checkpoint newest), B to A"
            assert real["name"] == f"domain A of {root}"
            for side in (fake, real):
                assert (side["split"], side["n"], side["shape"]) == ("val", 12, [1, 32, 32])
            assert (card["floor"] is None) == (name in PAIRS)
        floor = found["kid"]["card"]["floor_of"]
        assert (floor["split"], floor["n"]) == ("train", 12)

    def test_those_of_pairs_are_the_means_over_outputs_and_their_own_targets(self, paired, capsys):
        found, _ = evaluated(capsys, paired, "--metrics", "l1,psnr,ssim", "--seed", "3")
        source, target = (load(Path(paired.config.data) / side / "val") for side in "BA")
        outputs = to_tensor(paired.translate(to_array(source), seed=3))
        for name, metric in (("l1", l1), ("psnr", psnr), ("ssim", ssim)):
            each = [metric(*pair) for pair in zip(outputs, target, strict=True)]
            assert found[name]["value"] == pytest.approx(np.mean(each))
            assert found[name]["card"]["spread"] == pytest.approx(np.std(each))

    def test_outputs_keep_their_own_targets_when_some_are_drawn(self, unchanged, here, capsys):
        """Of equal domains the right output is the source itself, and no other one."""
        for domain in "AB":
            save_digits(here / "same" / domain / "train", 12)
            save_digits(here / "same" / domain / "val", 20, start=50)
        run = train("pix2pix", "run", here / "same", epochs=1, evaluate_every=0)
        capsys.readouterr()
        found, said = evaluated(capsys, run, "--metrics", "fid,psnr,ssim", "-n", "11")
        assert values(found) == {
            "frechet_random": pytest.approx(0, abs=1e-4),
            "psnr": None,
            "ssim": pytest.approx(1),
        }
        assert found["ssim"]["card"]["evaluated"]["n"] == 11
        assert "11 of 11 pairs are identical" in said
        assert command(["evaluate", "run", "--metrics", "psnr"]) == 0
        assert "infinite" in capsys.readouterr().out

    def test_only_figures_of_pairs_need_no_feature_net(self, paired, capsys):
        found, said = evaluated(capsys, paired, "--metrics", "ssim, psnr")
        assert list(found) == ["ssim", "psnr"]
        assert "Inception" not in said

    def test_lpips_comes_of_both_kinds_where_its_weights_are(self, paired, monkeypatch, capsys):
        monkeypatch.setattr(LPIPS, "locate", lambda file=None: Path("there"))
        monkeypatch.setattr(lpips, "lpips_net", lambda name, *, device: Gap())
        found, said = evaluated(capsys, paired)
        assert found.keys() == SETS | PAIRS | {"lpips_diversity", "lpips"}
        assert found["lpips"]["card"]["better"] == "lower"
        assert found["lpips"]["card"]["features"] == "gap"
        assert "LPIPS" not in said

    def test_the_flags_decide(self, paired, capsys):
        asked = ("--metrics", "psnr")
        one = evaluated(capsys, paired, *asked)[0]["psnr"]
        assert one == evaluated(capsys, paired, *asked)[0]["psnr"]
        changes = (("--no-ema",), ("--checkpoint", "24"), ("--seed", "1"), ("--split", "test"))
        others = [evaluated(capsys, paired, *asked, *change)[0]["psnr"] for change in changes]
        assert len({entry["value"] for entry in (one, *others)}) == 1 + len(changes)
        raw, older, _, test = (entry["card"] for entry in others)
        assert "G itself" in raw["evaluated"]["name"]
        assert "checkpoint 24" in older["evaluated"]["name"]
        assert (test["reference"]["split"], test["reference"]["n"]) == ("test", 11)
        train_split = evaluated(capsys, paired, *asked, "--split", "train")[0]["psnr"]["card"]
        assert train_split["reference"]["n"] == 24

    def test_the_table_has_both_kinds(self, paired, capsys):
        assert command(["evaluate", str(paired.path)]) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert "psnr (dB)" in shown
        assert "l1 (of pixels in [-1, 1])" in shown
        assert "psnr: pixels as they are" in shown
        assert command(["evaluate", str(paired.path), "--metrics", "ssim"]) == 0
        assert "real against real: " not in capsys.readouterr().out

    def test_another_reference_is_a_set_without_pairs(self, paired, here, capsys):
        save_digits(here / "others", 15, start=200)
        asked = ("--reference", "others", "--split", "val")
        found, _ = evaluated(capsys, paired, *asked)
        assert found.keys() == SETS
        card = found["kid"]["card"]
        assert (card["reference"]["name"], card["reference"]["split"]) == ("others", None)
        assert (card["evaluated"]["split"], card["evaluated"]["n"]) == ("val", 12)
        message = refused(capsys, paired, *asked, "--metrics", "psnr")
        assert "which one of 'others' that is, is not known" in message


class TestHeldOut:
    @pytest.fixture
    def trained(self, here):
        """A run on 20 pairs, of which as many others as are named are held out."""

        def make(held_out):
            for domain in "AB":
                save_digits(here / "data" / domain / "train", 20, negative=domain == "B")
                if held_out:
                    folder = here / "data" / domain / "val"
                    save_digits(folder, held_out, start=50, negative=domain == "B")
            return train("pix2pix", "run", here / "data", epochs=1, evaluate_every=0)

        return make

    def test_where_there_are_none_the_figures_flatter(self, trained, capsys):
        run = trained(0)
        capsys.readouterr()
        found, said = evaluated(capsys, run, "--metrics", "fid,psnr", "-n", "10")
        assert said.count("no val/ or test/ folder") == 1
        card = found["frechet_random"]["card"]
        assert (card["reference"]["n"], card["reference"]["split"]) == (10, None)
        assert card["floor_of"]["n"] == 10
        message = refused(capsys, run, "--metrics", "psnr", "--split", "train")
        assert "has no splits, so that --split train would change nothing" in message

    def test_where_there_are_few_there_are_figures_of_pairs(self, trained, capsys):
        run = trained(3)
        capsys.readouterr()
        found, said = evaluated(capsys, run)
        assert found.keys() == PAIRS
        assert "3 images are too few for metrics of sets" in said
        assert "There are 3 images" in refused(capsys, run, "--metrics", "fid")


class TestUnmatched:
    def test_there_are_figures_of_sets_alone(self, unpaired, capsys):
        found, _ = evaluated(capsys, unpaired)
        assert found.keys() == SETS
        card = found["kid"]["card"]
        assert card["evaluated"]["name"].endswith(", A to B")
        assert card["reference"]["name"] == f"domain B of {unpaired.config.data}"
        assert card["reference"]["n"] == card["evaluated"]["n"] == 10

    def test_images_that_are_dealt_several_times_count_once(self, unpaired, unchanged, capsys):
        """14 images of A are dealt with 10 of B, four of these twice."""
        found, said = evaluated(capsys, unpaired, "--metrics", "fid")
        assert "Comparing 10 images on either side: there are no more." in said
        images = load(Path(unpaired.config.data) / "val" / "B")
        real = found["frechet_random"]["card"]["reference"]
        assert (real["n"], real["sha256"]) == (10, fingerprint(images))

    def test_figures_of_pairs_are_refused(self, unpaired, capsys):
        message = refused(capsys, unpaired, "--metrics", "fid,ssim")
        assert "The metric 'ssim' holds each output" in message
        assert "was trained without pairs" in message


class TestMistakes:
    def test_an_unknown_metric_gets_the_closest_of_both_kinds(self, paired, unpaired, capsys):
        for run in (paired, unpaired):
            assert "Did you mean 'psnr'?" in refused(capsys, run, "--metrics", "fid,pnsr")
            assert "Did you mean 'recall'?" in refused(capsys, run, "--metrics", "recal")

    @pytest.mark.parametrize(
        ("tokens", "expected"),
        [
            (["--neighbours", "x.png"], "--neighbours is for images made of noise"),
            (["--size", "16"], "are for another --reference"),
            (["--channels", "3"], "are for another --reference"),
            (["--split", "valid"], "Valid names: test, train, val"),
            (["--metrics", "classes"], "needs a classifier"),
            (["-n", "9"], "at least 10"),
            (["--checkpoint", "7"], "It keeps: "),
            (["--protocol", "lucic2018", "--metrics", "psnr"], "has no such metrics"),
            (["--protocol", "lucic2018", "--split", "val"], "--split val, where it says test"),
            (["--paired", "--reference", "."], "is a run, and --paired compares two folders"),
        ],
    )
    def test_each_gets_one_clear_message(self, paired, capsys, tokens, expected):
        assert expected in refused(capsys, paired, *tokens)

    def test_who_makes_images_of_noise_has_no_pairs(self, train_tiny, here, capsys):
        run = train_tiny(here / "noise")
        message = refused(capsys, run, "--features", "random", "--metrics", "psnr")
        assert "The metric 'psnr' holds each output" in message
        assert "of two folders, --paired tells it by the names" in message


class TestCompare:
    def compared(self, capsys, *tokens):
        assert command(["compare", *map(str, tokens), "--json"]) == 0
        return {
            (metric["name"], metric["kind"]): metric
            for metric in json.loads(capsys.readouterr().out)["metrics"]
        }

    @pytest.fixture
    def other(self, paired, tmp_path_factory):
        """The same training with another seed."""
        settings = {"direction": "BtoA", "evaluate_every": 1, "seed": 1, "adversarial": 0}
        return train("pix2pix", tmp_path_factory.mktemp("other"), paired.config.data, **settings)

    def test_logged_figures_are_ranked_the_right_way(self, paired, unpaired, other, capsys):
        capsys.readouterr()
        found = self.compared(capsys, paired.path, other.path)
        for name, better in (("val_l1", "lower"), ("val_ssim", "higher"), ("val_psnr", "higher")):
            best = found[name, "best logged"]
            assert best["better"] == better
            pick = min if better == "lower" else max
            logged = RunDirectory(paired.path).history().metrics[name]
            assert best["groups"][0]["seeds"]["0"] == pick(value for _, value in logged)

    def test_figures_are_computed_and_remembered(self, paired, other, capsys):
        capsys.readouterr()
        asked = (paired.path, other.path, "--metrics", "fid,psnr", "--checkpoint", "newest")
        found = self.compared(capsys, *asked)
        alone = values(evaluated(capsys, paired, "--metrics", "fid,psnr")[0])
        for name, value in alone.items():
            metric = found[name, "checkpoint newest"]
            assert metric["groups"][0]["seeds"]["0"] == pytest.approx(value)
        assert found["psnr", "checkpoint newest"]["better"] == "higher"
        assert command(["compare", *map(str, asked)]) == 0
        assert "Evaluating" not in capsys.readouterr().err


def load(folder):
    """Images of a folder in the order of their names, uint8 (n, c, h, w)."""
    return data.load(folder).images
