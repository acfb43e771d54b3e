"""What stands under a comparison to keep its metrics from saying too much."""

from pathlib import Path

import pytest

from zerosum.comparison.compare import compare
from zerosum.comparison.tables import seed_shown


def caveats_of(*paths):
    return "\n".join(compare([Path(path) for path in paths]).caveats)


class TestCaveats:
    def test_a_run_without_metrics(self, make_run):
        make_run("a")
        make_run("b", seed=1, metrics=())
        assert "'b' has logged no metric" in caveats_of("a", "b")

    def test_damaged_lines(self, make_run):
        make_run("a")
        with make_run("b", seed=1).log_path.open("a") as log:
            log.write("{...\n")
        assert "in the log of 'b' 1 damaged line was left out" in caveats_of("a", "b")

    def test_forming_is_no_alarm(self, make_run):
        make_run("a")
        make_run("b", seed=1, health="forming")
        comparison = compare([Path("a"), Path("b")])
        assert "forming" not in "\n".join(comparison.caveats)
        assert seed_shown(comparison.groups[0].runs[1], 8.0) == "1: 8"

    def test_restarts_are_counted_with_what_they_cost(self, make_run):
        directory = make_run("a", seed=3)
        restarts = [
            {"verdict": "D has won", "at": 30, "back_to": 10, "seed": 3, "attempt": 1},
            {"verdict": "D has won", "at": 20, "back_to": 0, "seed": 4, "attempt": 0},
        ]
        directory.write_config({**directory.read_config(), "restarts": restarts})
        make_run("b", seed=4)
        text = caveats_of("a", "b")
        assert text.count("restarted") == 1
        assert (
            "'a' collapsed and was restarted 2 times, and ended with seed 4: 40 more images than "
            "its budget."
        ) in text

    @pytest.mark.parametrize("entry", [{}, [], 7, {"at": "<b>", "back_to": 0, "seed": 1}])
    def test_damaged_restarts_are_left_out(self, make_run, entry):
        directory = make_run("a", seed=3)
        directory.write_config({**directory.read_config(), "restarts": [entry]})
        make_run("b", seed=4)
        assert "restarted" not in caveats_of("a", "b")

    def test_alarms_that_were_over_in_the_end(self, make_run):
        make_run("a")
        directory = make_run("b", seed=1)
        for epoch, verdict in ((5, "D has won"), (10, "D has won"), (15, "healthy")):
            health = {"verdict": verdict, "alarm": verdict != "healthy"}
            directory.append_log({"epoch": epoch, "seen": 10 * epoch, "health": health})
        text = caveats_of("a", "b")
        assert "'b' had alarms in mid-run: 'D has won' at epochs 5 to 10." in text
        assert "last judged" not in text
        directory.append_log({"epoch": 20, "seen": 200, "health": {"verdict": "collapsing"}})
        text = caveats_of("a", "b")
        assert "mid-run: 'D has won' at epochs 5 to 10." in text
        assert "'b' was last judged 'collapsing'" in text

    def test_versions(self, make_run):
        make_run("a")
        make_run("b", seed=1, version="0.1")
        assert "different versions of zerosum: 0.1, 0.2" in caveats_of("a", "b")

    def test_an_image_budget(self, make_run):
        make_run("a", epochs=None, images=40)
        make_run("b", epochs=None, images=50, seed=1)
        assert "of 50 images: unfinished" in caveats_of("a", "b")
        assert "'a' stands" not in caveats_of("a", "b")
