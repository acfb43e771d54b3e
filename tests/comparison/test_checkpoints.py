import json
from dataclasses import replace
from pathlib import Path

import pytest

from zerosum.comparison import checkpoints
from zerosum.comparison.compare import compare
from zerosum.comparison.tables import comparison_json
from zerosum.errors import UserError
from zerosum.evaluation.evaluate import EvalConfig
from zerosum.evaluation.images import Source
from zerosum.inference.run import Run
from zerosum.metrics.evaluate import MetricResult

pytestmark = pytest.mark.slow  # runs are trained for it

CARD = {
    "better": "higher",
    "warning": None,
    "evaluated": {"n": 40, "name": "?"},
    "reference": {"n": 40, "name": "?", "split": "test"},
    "floor_of": None,
    "seed": 0,
    "features": "digits",
    "features_sha256": "ef" * 32,
    "resize": "none",
}


def named(source):
    """The card of a run's metrics."""
    fake = {**CARD["evaluated"], "name": f"{source} (average of G)"}
    real = {**CARD["reference"], "name": reference(source)}
    return {**CARD, "evaluated": fake, "reference": real}


def reference(source):
    return Run(source).config.data


@pytest.fixture
def runs(train_tiny, tmp_path, monkeypatch):
    """Two seeds, trained on 40 images in two checkpoints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
    for seed in (0, 1):
        train_tiny(Path(f"seed-{seed}"), seed=seed)
    return [Path("seed-0"), Path("seed-1")]


@pytest.fixture
def asked(monkeypatch):
    """Stand in for the evaluation, and remember what it was asked."""
    configs = []

    def evaluate_source(config, *, notice):
        configs.append(config)
        value = float(len(configs))
        card = named(config.source)
        shares = {"a": 0.5, "b": 0.5}
        return {
            "recall": MetricResult(value=value, card=card),
            "psnr": MetricResult(value=None if value == 1 else value, card=card),
            "classes": MetricResult(value=shares, card={**card, "better": "like real"}),
        }

    monkeypatch.setattr(checkpoints, "evaluate_source", evaluate_source)
    return configs


CONFIG = EvalConfig(source="", metrics="recall,precision", count=40, checkpoint="newest")


def test_the_same_is_asked_of_every_run_once(runs, asked):
    first = compare(runs, config=CONFIG)
    assert [config.source for config in asked] == ["seed-0", "seed-1"]
    assert {(q.metrics, q.count, q.checkpoint) for q in asked} == {("recall,precision", 40, "120")}
    again = compare(runs, config=CONFIG)
    assert len(asked) == 2
    assert again.computed == first.computed


def test_other_configs_and_other_weights_are_asked_anew(runs, asked):
    compare(runs, config=CONFIG)
    for change in ({"seed": 1}, {"count": 20}, {"metrics": "recall"}, {"checkpoint": "80"}):
        before = len(asked)
        compare(runs, config=EvalConfig(**{**vars(CONFIG), **change}))
        assert len(asked) == before + 2, change
    # The same weights elsewhere are the same.
    runs[0].rename("moved")
    before = len(asked)
    moved = compare([Path("moved"), runs[1]], config=CONFIG).computed[Path("moved")]
    assert len(asked) == before
    assert moved["recall"]["card"] == named("moved")


@pytest.mark.parametrize("change", [{"name": "inception"}, {"sha256": "0"}, {"resize": "other"}])
def test_another_net_for_the_same_config_is_asked_anew(runs, asked, monkeypatch, change):
    """Such as Inception, whose weights were not there before."""
    compare(runs, config=CONFIG)
    chosen = checkpoints.choose_net
    monkeypatch.setattr(checkpoints, "choose_net", lambda *a: replace(chosen(*a), **change))
    compare(runs, config=CONFIG)
    assert len(asked) == 4


def test_other_images_for_the_same_config_are_asked_anew(runs, asked, monkeypatch):
    compare(runs, config=CONFIG)
    monkeypatch.setattr(Source, "fingerprint", lambda source, split: f"other of {split}")
    compare(runs, config=CONFIG)
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ("fid,classes", "'classes' is a number for each class.*single value: fid, kid"),
        ("fid, recal", "There is no metric 'recal'. Did you mean 'recall'"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_all_else(asked, metrics, message):
    config = replace(CONFIG, metrics=metrics)
    with pytest.raises(UserError, match=message):
        compare([Path("nowhere"), Path("neither")], config=config)
    assert not asked


def test_metrics_are_compared_and_cards_kept(runs, asked):
    comparison = compare(runs, config=CONFIG)
    metric = comparison.metrics[0]
    assert (metric.name, metric.kind, metric.better) == ("recall", "checkpoint newest", "higher")
    assert metric.values == ({0: 1.0, 1: 2.0},)
    assert all(each.name != "classes" for each in comparison.metrics)
    written = json.loads(json.dumps(comparison_json(comparison), allow_nan=False))
    computed = written["groups"][0]["runs"][1]["computed"]
    assert computed["recall"] == {"value": 2.0, "card": named("seed-1")}
    assert computed["classes"]["value"] == {"a": 0.5, "b": 0.5}


def test_a_metric_that_one_run_lacks_is_compared_without_it(runs, asked):
    """PSNR may be infinite, which JSON cannot say."""
    psnr = compare(runs, config=CONFIG).metrics[1]
    assert (psnr.name, psnr.values) == ("psnr", ({1: 2.0},))


def test_circumstances_and_warnings_are_told_even_if_remembered(runs, asked, monkeypatch):
    monkeypatch.setitem(CARD, "warning", "40 are few.")
    for _ in range(2):
        text = "\n".join(compare(runs, config=CONFIG).caveats)
        circumstances = f"40 samples of each against 40 images of {reference('seed-0')}, split test"
        assert text.count(circumstances) == 1
        assert "features: digits (sha256 efefefefefef)" in text
        assert "Do not rely on recall: 40 are few." in text


def test_a_checkpoint_that_is_not_kept_is_said(runs, asked):
    with pytest.raises(UserError, match=r"no checkpoint '7'\. It keeps: .*120"):
        compare(runs, config=EvalConfig(**{**vars(CONFIG), "checkpoint": "7"}))
    with pytest.raises(UserError, match="no checkpoint 'last'"):
        compare(runs, config=EvalConfig(**{**vars(CONFIG), "checkpoint": "last"}))


def test_a_run_without_a_checkpoint_is_said(make_run, asked):
    make_run("a")
    make_run("b", seed=1)
    with pytest.raises(UserError, match="'a' has no checkpoint yet: train it first"):
        compare([Path("a"), Path("b")], config=CONFIG)
