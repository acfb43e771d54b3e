"""What is said of a sweep: winner, table, page."""

import io

import pytest
import rich.console

from zerosum.sweeps.results import Candidate, SweepResult, TrialResult, page, tables, verdict
from zerosum.sweeps.space import Choices

EVIL = '<script>alert("1")</script>'


@pytest.fixture
def result(tmp_path, make_a_plan):
    def make(candidates=(), best=1, trials=None, plan=None):
        plan = plan or make_a_plan("lr=1e-4..1e-2:log,betas=0 0.9,0.5 0.999")
        some = [
            ("complete", 5.0, ""),
            ("complete", 4.0, ""),
            ("pruned", 4.5, ""),
            ("failed", None, f"Diverged {EVIL}"),
            ("running", None, ""),
        ]
        return SweepResult(
            path=tmp_path / "sweep",
            plan=plan,
            trials=tuple(
                TrialResult(
                    number=number,
                    run=f"trial-{number:03}",
                    settings={"learning_rate": 1e-4 * (number + 1), "betas": ("0", "0.9")},
                    state=state,
                    value=value,
                    note=note,
                )
                for number, (state, value, note) in enumerate(some if trials is None else trials)
            ),
            candidates=tuple(candidates),
            best=best,
            command=f"zerosum train vanilla --data '{EVIL}'" if best is not None else None,
        )

    return make


def candidates(*rows):
    return [
        Candidate(rank=rank, trial=rank, run=f"trial-00{rank}", values=dict(enumerate(values)))
        for rank, values in enumerate(rows, 1)
    ]


def text_of(result):
    console = rich.console.Console(file=io.StringIO(), width=160)
    console.print(tables(result))
    return console.file.getvalue()


def test_the_table_is_sorted_and_says_what_became_of_each(result):
    shown = text_of(result())
    places = [shown.index(f"trial-00{number}") for number in (1, 0, 2, 4, 3)]
    assert places == sorted(places)
    assert "5 trials: 2 complete, 1 pruned, 1 failed, 1 running" in shown
    assert "Best: trial-001, frechet_digits 4, of a single seed." in shown


def test_a_metric_to_be_higher_is_sorted_so(result, make_a_plan):
    plan = make_a_plan(metric="precision")
    shown = text_of(result(plan=plan, best=0))
    assert shown.index("trial-000") < shown.index("trial-001")


def test_a_difference_is_claimed_only_where_it_is_shown(result):
    clear = result(candidates([1.0, 1.1, 1.2], [3.0, 3.1, 3.25]))
    assert "better by 2" in " ".join(verdict(clear))
    assert "not shown" not in " ".join(verdict(clear))
    unclear = result(candidates([1.0, 3.0, 2.0], [3.0, 1.1, 2.2]))
    assert "the difference is not shown" in " ".join(verdict(unclear))


def test_a_seed_that_diverged_is_named_and_gives_no_mean(result):
    found = candidates([1.0, None], [3.0, 3.1])
    assert found[0].estimate is None
    said = " ".join(verdict(result(found, best=2)))
    assert "best-1 broke off with seed 1, and cannot win." in said
    assert "Best: best-2, the settings of trial-002." in said
    said = " ".join(verdict(result(candidates([1.0, None]), best=1)))
    assert "of a single seed" in said


def test_without_a_completed_trial_there_is_no_winner(result):
    found = result(best=None, trials=[("failed", None, "It diverged.")])
    assert "no winner" in text_of(found)
    assert "<h2>Settings</h2>" not in page(found, {})
    assert found.value is None


def test_the_page_shows_all_and_runs_nothing(result):
    html = page(result(candidates([1.0, 1.1], [3.0, 3.1])), {"learning_rate": 0.9, "betas": 0.1})
    assert EVIL not in html
    assert "&lt;script&gt;" in html
    for part in ("trial-004", "Importance", "over each setting", "best-2", "trial-001 (winner)"):
        assert part in html
    assert html.count("<img ") == 3


def test_settings_without_a_number_have_their_place(result):
    found = result()
    assert isinstance(found.plan.space["betas"], Choices)
    assert found.best_settings == {"learning_rate": 2e-4, "betas": ("0", "0.9")}
    assert "data:image/svg+xml" in page(found, {})
