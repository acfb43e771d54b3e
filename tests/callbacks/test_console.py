import errno
import io
import os
import re
import sys

import pytest
from rich.console import Console

from zerosum.callbacks import console as console_module
from zerosum.callbacks.console import ConsoleCallback, Pace

RECORD = {"epoch": 1, "seen": 60_000, "loss_D": 1.36894, "loss_G": 0.72306}


def watch(**options):
    """A training of two epochs as it is shown; gives the text that was written."""
    file = io.StringIO()
    recorder = ConsoleCallback(Console(file=file, highlight=False, soft_wrap=True, **options))
    recorder.begin(seen=0, budget=6_000_000, images_per_epoch=60_000)
    recorder.update(seen=30_000, losses={"loss_D": 1.0, "loss_G": 2.0})
    recorder.tick(RECORD)
    recorder.notice("Kept in '[runs]/x'.")
    recorder.tick({**RECORD, "epoch": 2, "seen": 120_000})
    recorder.end()
    return file.getvalue()


def test_without_a_terminal_there_are_plain_lines_and_nothing_else():
    assert watch() == (
        "Epoch [1/100] Loss D: 1.3689, Loss G: 0.7231\n"
        "Kept in '[runs]/x'.\n"
        "Epoch [2/100] Loss D: 1.3689, Loss G: 0.7231\n"
    )


@pytest.mark.parametrize(
    ("number", "ends"), [(errno.EPIPE, True), (errno.ENOSPC, True), (errno.EIO, False)]
)
def test_output_that_nobody_gets_ends_a_training_but_not_a_closed_terminal(
    monkeypatch, number, ends
):
    class Broken(io.StringIO):
        def write(self, text):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(sys, "stdout", Broken())
    recorder = ConsoleCallback()
    assert recorder.lost_output() is None
    recorder.notice("Nobody reads this.")
    lost = recorder.lost_output()
    assert (lost is not None and lost.errno == number) == ends


def test_lines_are_not_wrapped_however_narrow_the_output():
    assert "Epoch [1/100] Loss D: 1.3689, Loss G: 0.7231\n" in watch(width=20)


def test_by_default_it_writes_plain_lines_to_standard_output(capsys):
    recorder = ConsoleCallback()
    recorder.begin(seen=0, budget=100, images_per_epoch=10)
    recorder.tick({**RECORD, "seen": 10})
    recorder.end()
    assert capsys.readouterr().out == "Epoch [1/10] Loss D: 1.3689, Loss G: 0.7231\n"


def test_in_a_terminal_a_bar_shows_the_epoch_the_pace_and_the_losses():
    text = watch(force_terminal=True, width=140, legacy_windows=False)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    assert "Epoch [1/100] Loss D: 1.3689, Loss G: 0.7231\n" in plain
    assert re.search(r"epoch 1/100 .* 0% [\d,]+ images/s .* Loss D: 1.0000, Loss G: 2.0000", plain)
    assert "epoch 2/100" in plain


def judged(verdict, why=""):
    alarm = verdict not in ("healthy", "forming")
    return {
        "metrics": {"frechet_digits": 6.2},
        "health": {"verdict": verdict, "why": why, "alarm": alarm},
    }


def test_an_alarm_is_printed_and_when_it_is_over():
    file = io.StringIO()
    recorder = ConsoleCallback(Console(file=file, highlight=False, soft_wrap=True))
    recorder.begin(seen=0, budget=6_000_000, images_per_epoch=60_000)
    looks = [
        judged("forming", "hardly any samples of 0."),
        judged("healthy"),
        judged("collapsing", "hardly any samples of 0."),
        {},
        judged("collapsing", "hardly any samples of 0."),
        judged("healthy"),
    ]
    for epoch, look in enumerate(looks, start=1):
        recorder.tick({**RECORD, "epoch": epoch, **look})
    recorder.end()
    news = [line for line in file.getvalue().splitlines() if not line.startswith("Epoch")]
    assert news == ["Health: collapsing: hardly any samples of 0.", "Health: healthy"]
    assert file.getvalue().splitlines()[3] == news[0]


def test_the_bar_shows_the_newest_figure_and_verdict():
    file = io.StringIO()
    recorder = ConsoleCallback(Console(file=file, force_terminal=True, width=160))
    recorder.begin(seen=0, budget=6_000_000, images_per_epoch=60_000)
    recorder.tick({**RECORD, **judged("healthy")})
    recorder.update(seen=90_000, losses={"loss_D": 1.0, "loss_G": 2.0})
    recorder.end()
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", file.getvalue())
    assert "Loss G: 2.0000 · frechet_digits 6.2 · healthy" in plain


@pytest.mark.parametrize(
    ("seen", "budget", "place"),
    [(0, 40, "1/2"), (19, 40, "1/2"), (20, 40, "2/2"), (45, 50, "3/3"), (60, 50, "3/3")],
)
def test_the_epoch_under_way_is_counted_from_one_to_the_last(seen, budget, place):
    recorder = ConsoleCallback(Console(file=io.StringIO()))
    recorder.begin(seen=0, budget=budget, images_per_epoch=20)
    recorder.update(seen=seen, losses={"loss_D": 0.0, "loss_G": 0.0})
    assert recorder._bar.tasks[0].fields["epoch"] == place


def test_the_pace_is_that_of_the_last_ten_looks(monkeypatch):
    now = 0.0
    monkeypatch.setattr(console_module.time, "monotonic", lambda: now)
    pace = Pace(1000)
    seen = 1000
    for _ in range(20):
        now, seen = now + 1, seen + 10
        assert pace.at(seen) == 10
    for _ in range(10):  # and then it is ten times as fast
        now, seen = now + 1, seen + 100
        latest = pace.at(seen)
    assert latest == pytest.approx(100)
