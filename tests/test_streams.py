"""Output that breaks, and Ctrl-C: as a terminal, a pipe and a full disk do it to a real command."""

import errno
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from zerosum.cli.main import run as run_command
from zerosum.streams import GuardedStream, guarded, guarded_standard_streams, quiet_interrupts

COMMAND = [sys.executable, "-m", "zerosum"]
TRAIN = [
    *("train", "--data", "tiny.npz", "--batch-size", "16", "--hidden", "12", "--device", "cpu"),
    *("--evaluate-every", "0", "--checkpoint-every", "100000", "--sample-every", "100000"),
    *("--epochs", "20000", "--out", "run"),
]
NEEDS_A_TERMINAL = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a pty")
NEEDS_DEV_FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


class Broken(io.StringIO):
    """A stream that fails."""

    def __init__(self, number):
        super().__init__()
        self.number = number
        self.calls = 0

    def fail(self, *args):
        self.calls += 1
        raise OSError(self.number, os.strerror(self.number))

    write = flush = fail


class TestAGuardedStream:
    def test_is_the_stream_while_all_is_well(self):
        stream = io.StringIO()
        guard = GuardedStream(stream)
        print("a line", file=guard, flush=True)
        assert stream.getvalue() == guard.getvalue() == "a line\n"
        assert guard.failure is None
        assert not guard.isatty()

    @pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
    def test_writes_out_what_its_encoding_has_not(self, encoding):
        raw = io.BytesIO()
        guard = GuardedStream(io.TextIOWrapper(raw, encoding, newline=""))
        print("64×64 猫", file=guard, flush=True)
        assert guard.failure is None
        assert raw.getvalue().decode(encoding) in ("64×64 \\u732b\n", "64\\xd764 \\u732b\n")

    @pytest.mark.parametrize("method", ["write", "flush"])
    def test_remembers_the_first_failure_and_writes_no_more(self, method):
        stream = Broken(errno.ENOSPC)
        guard = GuardedStream(stream)
        guard.flush() if method == "flush" else guard.write("text")
        assert guard.failure.errno == errno.ENOSPC
        assert guard.write("more") == 4
        guard.flush()
        assert stream.calls == 1

    def test_is_guarded_once(self):
        guard = guarded(io.StringIO())
        assert guarded(guard) is guard
        assert guarded(None) is None

    def test_standard_streams_are_put_back(self):
        before = sys.stdout, sys.stderr
        with guarded_standard_streams() as output:
            assert sys.stdout is output
            assert isinstance(sys.stderr, GuardedStream)
        assert (sys.stdout, sys.stderr) == before


class TestQuietInterrupts:
    def test_handlers_are_put_back_and_those_of_others_left(self):
        with quiet_interrupts():
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            with quiet_interrupts():
                assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    @pytest.mark.slow
    @pytest.mark.parametrize("after", [0.2, 0.4, 0.8, 1.6])
    def test_ctrl_c_while_it_starts_is_130_and_says_nothing_of_the_inside(self, here, after):
        code = "import time; from zerosum.__main__ import main; print('on', flush=True); main()"
        process = subprocess.Popen(
            [sys.executable, "-c", code, *TRAIN],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        process.stdout.readline()  # Python itself is up
        time.sleep(after)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Traceback" not in errors


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    images = np.random.default_rng(0).integers(0, 256, (48, 8, 8), np.uint8)
    np.savez("tiny.npz", images=images)
    return tmp_path


def saved():
    """The images seen at the checkpoints of `run`."""
    folder = Path("run/checkpoints")
    return sorted(int(path.name) for path in folder.iterdir()) if folder.is_dir() else []


def wait_for_epochs(process, count=3):
    log, deadline = Path("run/log.jsonl"), time.monotonic() + 60
    while not log.exists() or log.read_bytes().count(b"\n") < count:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ended(process):
    """The exit code, and what the command said on standard error, in a file."""
    code = process.wait(timeout=60)
    said = Path("stderr.txt").read_text()
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    return code, said


def start(**streams):
    with Path("stderr.txt").open("w") as errors:
        return subprocess.Popen([*COMMAND, *TRAIN], stderr=errors, **streams)


@pytest.mark.slow
class TestATraining:
    def test_whose_reader_leaves_saves_and_exits_with_141(self, here):
        process = start(stdout=subprocess.PIPE)
        process.stdout.readline()
        process.stdout.close()
        code, said = ended(process)
        assert code == 141
        assert "takes no more (Broken pipe), and saved in 'run'" in said
        assert saved()

    @NEEDS_DEV_FULL
    def test_on_a_full_disk_under_its_output_saves_and_exits_with_1(self, here):
        with Path("/dev/full").open("w") as full:
            code, said = ended(start(stdout=full))
        assert code == 1
        assert "No space left on device), and saved" in said
        assert saved()

    def test_stopped_beside_the_tee_that_it_writes_to_saves(self, here):
        """Ctrl-C goes to both, and tee dies first."""
        tee = subprocess.Popen(["tee", "log.txt"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        process = start(stdout=tee.stdin)
        tee.stdin.close()
        wait_for_epochs(process)
        tee.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        tee.wait()
        code, said = ended(process)
        assert code == 130
        assert "Finishing this round, then saving; press again" in said
        assert "Run the same command again" in said
        assert saved()

    @NEEDS_A_TERMINAL
    def test_whose_terminal_is_closed_saves_and_exits_with_129(self, here):
        process, terminal = in_a_terminal()
        wait_for_epochs(process)
        os.close(terminal)
        assert ended(process)[0] == 129
        assert saved()

    @NEEDS_A_TERMINAL
    def test_that_ignores_it_goes_on_without_a_terminal(self, here):
        process, terminal = in_a_terminal(ignoring=True)
        wait_for_epochs(process)
        os.close(terminal)
        lines = Path("run/log.jsonl").read_bytes().count(b"\n")
        wait_for_epochs(process, lines + 5)
        process.send_signal(signal.SIGTERM)
        assert ended(process)[0] == 143
        assert saved()


def in_a_terminal(*, ignoring=False):
    """Train in a terminal of its own; gives the process and the terminal's other end."""
    import fcntl
    import pty
    import termios

    outer, inner = pty.openpty()

    def take_the_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignoring else signal.SIG_DFL)

    process = start(stdin=inner, stdout=inner, preexec_fn=take_the_terminal)
    os.close(inner)
    return process, outer


@NEEDS_DEV_FULL
@pytest.mark.parametrize("tokens", [["--help"], ["train", "--help"], ["recipes"], ["data"]])
def test_other_commands_on_a_full_disk_say_one_sentence(tokens):
    code = "import sys; from zerosum.cli.main import run; sys.exit(run(sys.argv[1:]))"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code, *tokens], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr == (
        "zerosum: Standard output could not be written: No space left on device.\n"
    )


def test_a_reader_that_has_enough_is_no_news(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Broken(errno.EPIPE))
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    monkeypatch.setattr(Broken, "fileno", lambda self: 1)
    assert run_command(["recipes"]) == 141
    assert capsys.readouterr().err == ""
