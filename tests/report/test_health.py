from dataclasses import asdict

import pytest

from zerosum.metrics.health import HealthSignals, diagnose
from zerosum.report.health import VERDICTS, signal_rows, verdict_name, verdict_sentence
from zerosum.report.words import words_of

WELL = {
    "separation": 0.8,
    "gap": 1.0,
    "train_separation": 0.5,
    "D_gradient": 1.0,
    "G_gradient": 1.0,
    "diversity": 0.9,
    "identical": 0.01,
    "missing": [],
    "modes": 1.0,
    "near": 0.01,
    "ratio": 1.0,
}


def diagnosed(*changes, noise=None):
    """The looks at a run, as the log has them, of what differs from a healthy one at each."""
    signals = [
        HealthSignals(**{"seen": 1000 * (index + 1), "metric": 10.0, **WELL, **change})
        for index, change in enumerate(changes)
    ]
    found = []
    for count in range(1, len(signals) + 1):
        verdict = diagnose(signals[:count], noise=noise)
        found.append(
            (
                count,
                {
                    "verdict": verdict.name,
                    "why": verdict.why,
                    "alarm": verdict.alarm,
                    "signals": asdict(signals[count - 1]),
                },
            )
        )
    return found


FAR = {"metric": 100.0}
SWINGS = [{"metric": 10.0 if index % 2 else 20.0} for index in range(8)]
CASES = {
    "healthy": diagnosed({}),
    "too early to tell": diagnosed({}, noise=12.0),
    "forming": diagnosed({"identical": 0.9, "diversity": 0.1, "missing": ["cat", "<b>"]}),
    "D has won": diagnosed({}, {**FAR, "separation": 1.0}, {**FAR, "separation": 1.0}),
    "collapsing": diagnosed({}, {**FAR, "modes": 0.5}),
    "memorising": diagnosed({"near": 0.9, "ratio": 0.1}),
    "oscillating": diagnosed(*SWINGS),
    "worsening": diagnosed({}, FAR, FAR),
}


@pytest.mark.parametrize("verdict", VERDICTS)
def test_english_says_what_the_diagnosis_says(verdict):
    looks, words = CASES[verdict], words_of("en")
    assert looks[-1][1]["verdict"] == verdict
    assert verdict_name(verdict, words) == verdict
    sentence = verdict_sentence(looks, words)
    why = looks[-1][1]["why"].replace(" %", "%").replace("it ranks", "D ranks")
    if verdict == "healthy":
        assert sentence == "No signal is out of its range."
    elif verdict == "too early to tell":
        assert "10" in sentence
        assert "noise" in sentence
    elif verdict == "oscillating":  # all but the list of metrics
        assert sentence.split(" looks")[0].lower() == why.split(" looks")[0].lower()
    else:
        assert sentence.lower() == why.lower()


@pytest.mark.parametrize("verdict", VERDICTS)
def test_chinese_says_it_too(verdict):
    sentence = verdict_sentence(CASES[verdict], words_of("zh"))
    assert sentence.endswith("。") or "--checkpoint best" in sentence
    assert verdict_name(verdict, words_of("zh")) != verdict


def test_knowing_by_heart_is_not_copying():
    looks = diagnosed({"train_separation": 0.9})
    assert "ranks a training image above a held-out one 90%" in verdict_sentence(
        looks, words_of("en")
    )


def test_what_we_do_not_know_is_left_as_it_is():
    looks = [(1, {"verdict": "<odd>", "why": "of a user's own"})]
    assert verdict_name("<odd>", words_of("zh")) == "<odd>"
    assert verdict_sentence(looks, words_of("zh")) == "of a user's own"


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize("signals", [None, {}, [1], {"metric": "x", "missing": 3, "near": "a"}])
def test_damaged_signals_leave_the_logged_sentence(verdict, signals):
    looks = [(1, {"verdict": verdict, "why": "as logged", "signals": signals})]
    said = verdict_sentence(looks, words_of("en"))
    assert said == ("No signal is out of its range." if verdict == "healthy" else "as logged")
    assert signal_rows(looks, words_of("en")) == []


def test_signals_have_their_values_sentences_and_ways():
    looks = diagnosed({}, {"identical": 0.9, "missing": ["7"], "train_separation": None})
    rows = {row.name: row for row in signal_rows(looks, words_of("en"))}
    assert len(rows) == 10
    assert rows["near-identical"].value == "90.0%"
    assert rows["near-identical"].alarming
    assert rows["near-identical"].points == [(1, 0.01), (2, 0.9)]
    assert rows["missing classes"].sentence == "Hardly any samples of 7."
    assert not rows["separation"].alarming
    assert "80.0%" in rows["separation"].sentence
