import os
import signal
import threading

import pytest

from zerosum.training.signals import Interrupted, stop_flag

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


def handlers():
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


class Own(Exception):
    pass


def own_handler(number, frame):
    raise Own


@pytest.fixture
def own_handlers():
    """Handlers of the caller, which a second signal must reach."""
    before = handlers()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, own_handler)
    yield
    for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
        signal.signal(number, handler)


@BOTH
def test_a_signal_only_raises_a_flag(number):
    with stop_flag() as flag:
        assert flag.signal_number is None
        os.kill(os.getpid(), number)
        assert flag.signal_number == number


@pytest.mark.parametrize("broken", [False, True])
def test_ctrl_c_is_answered_from_inside_the_handler(capfd, monkeypatch, broken):
    if broken:
        monkeypatch.setattr("zerosum.training.signals.STANDARD_ERROR", 99_999)
    with stop_flag() as flag:
        os.kill(os.getpid(), signal.SIGINT)
        answer = "" if broken else "Finishing this round, then saving; press again to leave now."
        assert capfd.readouterr().err.strip() == answer
        assert flag.signal_number == signal.SIGINT


def test_only_ctrl_c_is_answered(capfd):
    with stop_flag():
        os.kill(os.getpid(), signal.SIGTERM)
    assert capfd.readouterr().err == ""


@BOTH
def test_a_second_one_acts_as_it_would_without_us(number, own_handlers):
    with stop_flag() as flag:
        os.kill(os.getpid(), number)
        with pytest.raises(Own):
            os.kill(os.getpid(), signal.SIGINT)
        assert flag.signal_number == number


def test_a_second_ctrl_c_is_pythons_own():
    with stop_flag(), pytest.raises(KeyboardInterrupt):  # noqa: PT012
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


@BOTH
def test_what_the_process_was_told_to_ignore_stays_ignored(number, own_handlers):
    signal.signal(number, signal.SIG_IGN)
    with stop_flag() as flag:
        os.kill(os.getpid(), number)
        assert flag.signal_number is None
    assert signal.getsignal(number) == signal.SIG_IGN


@pytest.mark.parametrize("fails", [False, True])
def test_handlers_are_put_back(own_handlers, fails):
    try:
        with stop_flag():
            assert own_handler not in handlers()
            if fails:
                raise RuntimeError
    except RuntimeError:
        assert fails
    assert handlers() == [own_handler, own_handler]


def test_outside_the_main_thread_nothing_is_touched(own_handlers):
    seen = []

    def work():
        with stop_flag() as flag:
            seen.append((flag.signal_number, handlers()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(None, [own_handler, own_handler])]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_exit_codes_are_those_of_a_shell(number, code):
    interrupted = Interrupted(number, "saved")
    assert interrupted.exit_code == code
    assert str(interrupted) == "saved"
    assert isinstance(interrupted, KeyboardInterrupt)
