"""`zerosum bench` as a user runs it, of what a machine of our own making gives."""

import json

import pytest
from rich.console import Console

import zerosum.bench as module
from zerosum.bench import Bench, Measured
from zerosum.cli.bench import bench_tables, digits, explanation
from zerosum.cli.main import run
from zerosum.training.roofline import Ceiling


def made(others=0.1, timed=64):
    rates = {"fp32": 198.4e9, "bf16": 1234.5e9}
    ceilings = [
        Ceiling(threads=n, products=rates, convolutions=rates, channels_last=rates, copy=21.6e9)
        for n in (16, 8)
    ]
    paces = {"all threads": 9628.0, "half the threads": 7000.0, "channels_last": 10_000.0}
    rows = [
        Measured(
            recipe=recipe,
            size=size,
            channels=3,
            batch_size=64,
            timed_batch=timed,
            images_per_second=paces,
            bf16=1.234,
            roofline=20_000.0,
            bound="convolutions",
        )
        for recipe, size in (("vanilla", (28, 28)), ("cyclegan", (128, 256)))
    ]
    return Bench(
        device="a processor",
        processors=16,
        others=others,
        ceilings=ceilings,
        measured=rows,
        seconds=71.4,
    )


@pytest.fixture
def asked(monkeypatch):
    """What was asked of the machine."""
    found = []

    def bench(names, **how):
        found.append((names, how))
        return made()

    monkeypatch.setattr(module, "bench", bench)
    return found


def test_the_tables_and_all_lines_fit_into_80_columns(capsys):
    console = Console(width=80)
    for table in bench_tables(made(timed=32)):
        console.print(table)
    printed = capsys.readouterr().out.splitlines() + explanation(made(others=3.0, timed=32))
    assert max(map(len, printed)) <= 80
    text = "\n".join(printed)
    assert "128×256" in text  # on one line
    assert "9,628*" in text
    assert "*: in smaller batches" in text
    assert "1,234 GFLOP/s" in text
    assert "Other jobs ran (load average 3.0 before): alone it is faster," in text


def test_a_quiet_machine_is_not_said_to_be_busy():
    assert "Other jobs" not in "\n".join(explanation(made()))
    assert "*:" not in "\n".join(explanation(made()))


def test_flags_reach_the_machine(asked, capsys):
    assert run(["bench", "dcgan", "r3gan", "--sizes", "28, 64,32x48", "--seconds", "30"]) == 0
    ((names, how),) = asked
    assert names == ("dcgan", "r3gan")
    assert how["sizes"] == [(28, 28), (64, 64), (32, 48)]
    assert (how["seconds"], how["device"]) == (30.0, "auto")
    assert "Fastest here:" in capsys.readouterr().out


def test_json_is_all_that_is_printed(asked, capsys):
    assert run(["bench", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["measured"][0]["share_of_roofline"] == pytest.approx(0.4814)
    assert found["measured"][0]["fastest"] == "channels_last"
    assert found["ceilings"][0]["copy"] == 21.6e9
    assert found["advice"][0].startswith("bf16: it has 1.23 times fp32's pace")


@pytest.mark.parametrize("sizes", ["", "28,", "many", "0"])
def test_a_size_that_is_none_is_refused(asked, capsys, sizes):
    assert run(["bench", "--sizes", sizes]) == 2
    assert "size" in capsys.readouterr().err
    assert not asked


@pytest.mark.parametrize(
    ("pace", "words"), [(12345.6, "12,346"), (99.94, "99.9"), (0.1234, "0.123")]
)
def test_a_pace_has_three_digits(pace, words):
    assert digits(pace) == words
