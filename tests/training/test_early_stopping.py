"""Whether a run still gets better: by hand-made logs."""

import pytest

from zerosum.training.early_stopping import best_record, collapse, score_of, stalled


def log_of(*scores):
    """A record an epoch; None for one that was not evaluated."""
    return [
        {"epoch": epoch, **({} if score is None else {"metrics": {"distance": score, "other": 0}})}
        for epoch, score in enumerate(scores, start=1)
    ]


def test_the_score_is_the_first_figure():
    assert score_of({"metrics": {"second": 2.0, "first": 1.0}}) == 2.0
    assert score_of({"epoch": 1}) is None


def test_the_best_record_is_the_lowest_and_earliest():
    assert best_record(log_of(None, 3, 1, None, 1, 2))["epoch"] == 3
    assert best_record(log_of(5, 0, 2))["epoch"] == 2  # 0 is the best there can be
    assert best_record(log_of(None, None)) is None
    assert best_record([]) is None


@pytest.mark.parametrize(
    ("scores", "patience", "expected"),
    [
        ((3, 1, 2, 2), 2, True),
        ((3, 1, 2), 2, False),
        ((3, 1, None, 2), 2, True),
        ((3, 1, None, None), 2, False),  # what was not evaluated proves nothing
        ((3, 1, 2, 0.5), 2, False),
        ((1, 1, 1), 2, True),  # as good is no gain
        ((3, 1, 2, 2), None, False),
        ((None, None), 1, False),
    ],
)
def test_stalled(scores, patience, expected):
    assert stalled(log_of(*scores), patience) is expected


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], None),
        (["D has won"], None),
        (["healthy", "D has won", "collapsing"], 3),
        (["D has won", "D has won", None], 2),  # a line of the log without an evaluation
        (["D has won", "healthy", "D has won"], None),
        (["D has won", "D has won", "healthy"], None),
        (["oscillating", "worsening", "memorising", "memorising"], None),
    ],
)
def test_a_collapse_is_said_twice(verdicts, expected):
    log = [
        {"seen": number, **({"health": {"verdict": verdict}} if verdict else {})}
        for number, verdict in enumerate(verdicts, start=1)
    ]
    found = collapse(log)
    assert (found and found["seen"]) == expected
