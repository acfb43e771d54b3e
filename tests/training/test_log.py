import json

import pytest

from zerosum.metrics.registry import better
from zerosum.training.log import History, is_number, numbers_of


def history_of(*metrics, **entries):
    records = [
        {"epoch": epoch, "seen": epoch, "metrics": {"frechet_digits": metric}, **entries}
        for epoch, metric in enumerate(metrics, 1)
    ]
    return History(tuple(records))


def test_best_and_last(make_run):
    history = make_run("run", metrics=(5.0, 7.0)).history()
    assert history.metrics == {"frechet_digits": [(2, 5.0), (4, 7.0)]}
    assert history.best("frechet_digits") == (2, 5.0)
    assert history.final("frechet_digits") == (4, 7.0)
    assert history.series("loss_D") == [(1, 1.0), (2, 0.5), (3, 1 / 3), (4, 0.25)]
    assert (history.epochs, history.seen, history.health) == (4, 40, "healthy")
    assert history.damaged == 0


def test_the_earliest_of_equals_is_best():
    assert history_of(5.0, 3.0, 3.0).best("frechet_digits") == (2, 3.0)


def test_some_figures_are_better_when_higher():
    records = ({"epoch": e, "seen": e, "metrics": {"recall": e / 10}} for e in (1, 2))
    assert History(tuple(records)).best("recall", better=better("recall")) == (2, 0.2)
    assert better("recall") == "higher"
    assert better("frechet_random") == better("fid") == "lower"


def test_figures_of_held_out_images_are_better_as_their_likes_are():
    assert better("val_psnr") == better("val_ssim") == better("psnr") == "higher"
    assert better("val_l1") == better("val_lpips") == "lower"
    records = ({"epoch": e, "seen": e, "metrics": {"val_ssim": e / 10}} for e in (1, 2))
    assert History(tuple(records)).best("val_ssim", better="higher") == (2, 0.2)


def test_what_is_no_number_is_no_figure():
    assert history_of(None, "nan", True, float("nan"), 2).metrics == {"frechet_digits": [(5, 2.0)]}
    assert not is_number(float("inf"))


@pytest.mark.parametrize(
    "damage",
    [
        *(
            '{"epoch": 5, "se',
            "\x00\x00",
            "[]",
            "3",
            '{"epoch": "five", "seen": 3}',
            '{"epoch": 5}',
        ),
        *("[" * 100_000, '{"epoch": 5, "seen": ' + "9" * 5000 + "}"),
        *('{"epoch": 1' + "0" * 400 + ', "seen": 3}', '{"epoch": NaN, "seen": 3}'),
        '{"epoch": 5, "seen": 3, "metrics": [1]}',
        '{"epoch": 5, "seen": 3, "metrics": {"fid": "low"}}',
        '{"epoch": 5, "seen": 3, "metrics": {"fid": null}}',
        '{"epoch": 5, "seen": 3, "health": "healthy"}',
        '{"epoch": 5, "seen": 3, "health": {"verdict": 1}}',
        '{"epoch": 5, "seen": 3, "health": {"verdict": "healthy", "signals": 1}}',
        '{"epoch": 5, "seen": 3, "restarts": "two"}',
    ],
    ids=lambda damage: damage[:70],
)
def test_damaged_lines_are_counted_and_left_out(make_run, damage):
    directory = make_run("run")
    good = directory.log_path.read_text().splitlines()
    directory.log_path.write_text("\n".join([good[0], damage, *good[1:], ""]))
    history = directory.history()
    assert history.epochs == 4
    assert len(history.records) == 4
    assert history.damaged == 1


def test_bytes_that_are_no_text_are_damage(make_run):
    directory = make_run("run")
    directory.log_path.write_bytes(b"\xff\xfe\n" + directory.log_path.read_bytes())
    assert directory.history().damaged == 1


def test_a_line_under_way_is_no_damage(make_run):
    directory = make_run("run")
    with directory.log_path.open("a") as log:
        log.write('{"epoch": 5, "seen"')
    assert directory.history().damaged == 0


def test_the_last_record_of_an_epoch_counts(make_run):
    directory = make_run("run")
    with directory.log_path.open("a") as log:
        log.write(json.dumps({"epoch": 4, "seen": 44}) + "\n")
    assert directory.history().seen == 44


def test_a_run_without_a_log_has_no_records(make_run):
    directory = make_run("run")
    directory.log_path.unlink()
    history = directory.history()
    assert (history.records, history.seen, history.epochs, history.health) == ((), 0, 0, None)


def judged(*verdicts):
    return History(
        tuple({"epoch": 5 * n, "seen": n, "health": each} for n, each in enumerate(verdicts, 1))
    )


def test_alarms_are_told_with_their_epochs():
    won = {"verdict": "D has won", "alarm": True}
    forming = {"verdict": "forming", "alarm": False}
    fine = {"verdict": "healthy", "alarm": False}
    history = judged(forming, won, won, fine, won, forming)
    assert history.alarms == [("D has won", 10, 15), ("D has won", 25, 25)]
    assert (history.health, history.alarm) == ("forming", None)
    assert judged(fine, won).alarm == "D has won"


def test_of_old_logs_all_but_healthy_is_an_alarm():
    old = judged({"verdict": "healthy"}, {"verdict": "collapsing"})
    assert (old.alarm, old.alarms) == ("collapsing", [("collapsing", 10, 10)])


def test_numbers_of_a_record_have_names_of_their_own():
    record = {
        "epoch": 1,
        "seen": 10,
        "D(x)": 0.5,
        "note": "text",
        "metrics": {"fid": 3, "bad": None},
        "health": {"verdict": "healthy", "alarm": False, "signals": {"gap": 0.25, "missing": []}},
    }
    assert numbers_of(record) == {
        **{"epoch": 1.0, "seen": 10.0, "D(x)": 0.5},
        **{"metrics/fid": 3.0, "health/gap": 0.25},
    }
    assert numbers_of({"metrics": 3, "health": {"signals": "none"}}) == {}
