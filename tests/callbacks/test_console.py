import errno
import io
import os
import re
import subprocess
import sys

import pytest
from rich.console import Console

from zerosum.callbacks import console as console_module
from zerosum.callbacks.console import ConsoleCallback, Pace, WarningCallback

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
    assert re.search(r"epoch 1/100 .* 0% [\d,]+ images/s ETA [\d:]+", plain)
    assert "\nLoss D: 1.0000, Loss G: 2.0000" in plain
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
    assert "\nLoss D: 1.0000, Loss G: 2.0000 · frechet_digits 6.2 · healthy" in plain


def screen_of(columns):
    """What a terminal of so many columns shows at the end, line by line: a real one, a pty."""
    program = (
        "import time; from rich.console import Console\n"
        "from zerosum.callbacks.console import ConsoleCallback\n"
        "health = {'verdict': 'too early to tell', 'why': '', 'alarm': False}\n"
        "recorder = ConsoleCallback()\n"
        "recorder.begin(seen=0, budget=6_000_000, images_per_epoch=6_000)\n"
        "recorder.tick({'epoch': 1, 'seen': 59_000, 'loss_D': 1.36894, 'loss_G': 12.72306,\n"
        "    'metrics': {'frechet_random': 123.4}, 'health': health})\n"
        "recorder.update(seen=1_230_000, losses={'loss_D': 1.0, 'loss_G': 12.0})\n"
    )
    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
    terminal, inside = pty.openpty()
    termios.tcsetwinsize(inside, (24, columns))
    env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=inside, stdin=inside, env={**env, "TERM": "xterm"}
    )
    os.close(inside)
    written = b""
    while True:
        try:
            chunk = os.read(terminal, 4096)
        except OSError:  # how Linux tells that the other end is closed
            break
        if not chunk:
            break
        written += chunk
    os.close(terminal)
    assert process.wait() == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.decode())
    lines = [line.rsplit("\r", 1)[-1] for line in text.replace("\r\n", "\n").split("\n")]
    return lines[-3:] if lines[-1] else lines[-4:-1]


@pytest.mark.slow
@pytest.mark.parametrize("columns", [60, 80, 100, 120])
def test_in_a_real_terminal_of_any_width_nothing_vanishes(columns):
    lines = screen_of(columns)
    assert all(len(line.rstrip()) <= columns for line in lines)
    text = "\n".join(lines)
    assert re.search(r"epoch 206/1000 ━.* +20% +[\d,]+ images/s +ETA \d+:\d\d:\d\d", text)
    assert "Loss D: 1.0000, Loss G: 12.0000 · frechet_random 123.4" in text
    assert "too early to tell" in text
    assert "…" not in text


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (26, ["losses · metric 1", "healthy"]),
        (99, ["losses · metric 1 · healthy"]),
        (5, ["losses", "metric 1", "healthy"]),
    ],
)
def test_what_is_told_below_the_bar_takes_the_lines_it_needs(width, lines):
    assert console_module.packed(["losses", "metric 1", "healthy"], width=width) == lines


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(59.6, "0:01:00"), (3723, "1:02:03"), (100_000, "27:46:40"), (9e6, "104.2 days")],
)
def test_the_eta_is_a_clock_s_until_it_is_days(seconds, text):
    assert console_module.in_clock(seconds) == text


def test_a_slow_pace_shows_the_digits_that_tell():
    assert console_module.in_pace(1234.5) == "1,234 images/s"
    assert console_module.in_pace(0.1234) == "0.12 images/s"


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


def test_one_callback_serves_several_trainings_each_with_alarms_of_its_own():
    file = io.StringIO()
    recorder = ConsoleCallback(Console(file=file, highlight=False, soft_wrap=True))
    for _ in range(2):
        recorder.begin(seen=0, budget=6_000_000, images_per_epoch=60_000)
        recorder.tick({**RECORD, **judged("collapsing", "hardly any samples of 0.")})
        recorder.end()
    assert file.getvalue().count("Health: collapsing") == 2


def test_quiet_leaves_the_warnings(capsys):
    callback = WarningCallback()
    for text in ("Going on.", "WARNING: damaged checkpoint 5."):
        callback.notice(text)
    assert capsys.readouterr() == ("", "WARNING: damaged checkpoint 5.\n")


def test_in_a_terminal_prose_is_wrapped_at_words_and_commands_are_not():
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=30, highlight=False)
    command = "  try       zerosum sample runs/vanilla-mnist -n 64 --out samples.png"
    ConsoleCallback(console).notice(f"One two three four five six seven eight.\n{command}")
    assert file.getvalue().splitlines()[:2] == ["One two three four five six ", "seven eight."]
    assert file.getvalue().splitlines()[2] == command
