import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerosum import errors
from zerosum.errors import (
    UserError,
    and_more,
    did_you_mean,
    pip_install,
    unknown_name,
    visible,
)

KNOWN = ("hinge", "vanilla", "wgan", "wgan-gp")


@pytest.mark.parametrize(
    ("received", "closest"),
    [("vanila", "vanilla"), ("VANILLA", "vanilla"), ("wgangp", "wgan-gp"), ("hing", "hinge")],
)
def test_a_typing_mistake_is_answered_with_the_closest_name(received, closest):
    assert f"'{received}'. Did you mean '{closest}'?" in str(
        unknown_name("recipe", received, KNOWN)
    )


def test_nothing_is_suggested_where_nothing_is_close():
    assert str(unknown_name("recipe", "pix2pix", KNOWN)) == (
        "There is no recipe 'pix2pix'. Valid names: hinge, vanilla, wgan, wgan-gp."
    )


@given(st.text(max_size=20))
def test_every_valid_name_is_listed_whatever_was_received(received):
    message = str(unknown_name("recipe", received, KNOWN))
    assert message.startswith(f"There is no recipe '{visible(received)}'.")
    assert message.endswith("Valid names: hinge, vanilla, wgan, wgan-gp.")


def test_a_mistake_of_the_users_is_a_value_error_and_exits_with_2():
    assert issubclass(UserError, ValueError)
    assert UserError.exit_code == 2


def test_the_closest_name_keeps_its_own_spelling():
    assert did_you_mean("readme", ["README", "LICENSE"]) == " Did you mean 'README'?"
    assert did_you_mean("pix2pix", ["README", "LICENSE"]) == ""


def test_many_are_shortened_and_few_are_not():
    assert and_more(["a", "b", "c"]) == "a; b; c"
    assert and_more(["a", "b", "c", "d", "e"]) == "a; b; c; and 2 more"
    assert and_more(["a", "b"], shown=1) == "a; and 1 more"
    assert and_more([]) == ""


def test_a_name_that_begins_as_received_is_meant_first():
    assert did_you_mean("cgan", ["dcgan-ring", "cgan-mnist"]) == " Did you mean 'cgan-mnist'?"
    assert did_you_mean("gan", ["dcgan-ring"]) == ""


def test_pip_is_that_of_this_python(monkeypatch):
    monkeypatch.setattr(errors.shutil, "which", lambda name: "/elsewhere/pip")
    assert pip_install("hub") == f"{sys.executable} -m pip install 'zerosum[hub]'"
    monkeypatch.setattr(errors.shutil, "which", lambda name: f"{sys.prefix}/bin/pip")
    assert pip_install("hub") == "pip install 'zerosum[hub]'"


HOSTILE = "cat\x1b[2J\x1b]0;owned\x07\r\u202egnp.exe\x9b31m"


def test_what_would_move_the_cursor_or_turn_the_line_is_written_out():
    assert visible(HOSTILE) == (r"cat\x1b[2J\x1b]0;owned\x07\r\u202egnp.exe\x9b31m")
    assert str(UserError(HOSTILE)) == visible(HOSTILE)
    assert visible("Größe 64×64 — 猫\n\tright\u200d") == "Größe 64×64 — 猫\n\tright\u200d"


@given(st.text())
def test_what_is_written_out_can_be_printed_anywhere(text):
    written = visible(text)
    assert visible(written) == written
    assert written.encode("utf-8").decode() == written
    assert "\x1b" not in written
