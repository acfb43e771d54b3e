"""Every page with a stranger's names in all places, in real browsers: nothing runs or is asked for.

The driver fails on each message of an error, blocked by a policy or not, and on each request that
leaves the page's own file or server.
"""

import json
import shutil
import threading
from contextlib import contextmanager

import pytest

import zerosum
from zerosum.comparison.compare import compare
from zerosum.comparison.page import page as comparison_page
from zerosum.export.playground import write_playground
from zerosum.recipes import RECIPES
from zerosum.report.facts import collect
from zerosum.report.page import page as report_page
from zerosum.report.page import report
from zerosum.report.watch import server_on
from zerosum.sweeps.plan import make_plan
from zerosum.sweeps.results import Candidate, SweepResult, TrialResult
from zerosum.sweeps.results import page as sweep_page
from zerosum.sweeps.space import read_space

pytestmark = pytest.mark.slow  # browsers take seconds to open

NAME = "\"'><img src=x onerror=window.fell=1><svg onload=window.fell=2>&lt;b&#62;{{7*7}}`${7*7}`-->"
"""What a file may be called as well."""
EVIL = (
    NAME + "</script></style></title></textarea></svg><script>window.fell=3</script>"
    "<img src=http://127.0.0.1:45999/seen><iframe src=http://127.0.0.1:45999/frame></iframe>"
    "<link rel=stylesheet href=http://127.0.0.1:45999/style><base href=http://127.0.0.1:45999/>"
    "<meta http-equiv=refresh content=0;url=http://127.0.0.1:45999/gone>"
    "<a href=javascript:window.fell=4 autofocus onfocus=window.fell=5>\u2028\u202e]]>"
)
BAD = "img[src='x'], img[src^='http'], iframe, link[rel='stylesheet'], base, a[href^='javascript']"
LOOK = f"""({{ fell: window.fell ?? null,
  scripts: document.querySelectorAll("script:not([type])").length,
  bad: document.querySelectorAll("{BAD}, [onerror], [onload], [onfocus]").length,
  refresh: document.querySelectorAll("meta[http-equiv='refresh' i]").length,
  said: document.documentElement.textContent.split("window.fell=1").length - 1 }})"""
WAIT = "new Promise((done) => setTimeout(() => done(0), 2500))"
"""Longer than the second after which a live page asks again."""


def is_calm(found, *, scripts, said):
    """Hold a page to showing the names, as often as that at least, as nothing but text."""
    assert (found["fell"], found["bad"], found["refresh"]) == (None, 0, 0)
    assert found["scripts"] == scripts
    assert found["said"] >= said


def damage(directory, **changes):
    saved = json.loads(directory.config_path.read_text())
    directory.config_path.write_text(json.dumps({**saved, **changes}))


@pytest.fixture
def hostile(make_run):
    """Make a run whose every name, setting, log line and fact is hostile."""

    def make(name=NAME, **how):
        directory = make_run(name, health=EVIL, **how)
        saved = json.loads(directory.config_path.read_text())
        damage(
            directory,
            config={**saved["config"], "data": EVIL},
            classes=[EVIL, NAME],
            zerosum=EVIL,
            torch=EVIL,
            data_sha256=EVIL,
            machine={"processor": EVIL, EVIL: EVIL},
            restarts=[{"at": EVIL, "back_to": EVIL, "seed": EVIL}],
        )
        facts = {"classes": {EVIL: 3}, "warnings": [EVIL], "origin": EVIL, "name": EVIL}
        directory.data_path.write_text(json.dumps(facts))
        for epoch in (5, 6):
            directory.append_log(log_line(epoch))
        return directory

    return make


def log_line(epoch):
    health = {"verdict": EVIL, "why": EVIL, "alarm": True, "signals": {EVIL: 1.0}}
    metrics = {EVIL: float(epoch), "frechet_digits": 3.0}
    counted = {"epoch": epoch, "seen": 10 * epoch, "loss_D": 1.0, "loss_G": 1.0}
    return {**counted, f"D/{EVIL}": 1.0, f"G/{EVIL}": 2.0, "metrics": metrics, "health": health}


def test_the_driver_would_tell(drive, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(f"<!DOCTYPE html><meta charset=utf-8><body>{EVIL.partition('<meta')[0]}")
    with pytest.raises(AssertionError):
        drive(path, {"evaluate": WAIT})
    path.write_text(f"<!DOCTYPE html><meta charset=utf-8><body>{NAME}")
    (found,) = drive(path, {"evaluate": LOOK}, allowed="")  # whatever it complains of
    assert found["fell"] is not None
    assert found["bad"] > 0


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_report(drive, hostile, tmp_path, language):
    path = tmp_path / "report.html"
    path.write_text(report_page(collect(hostile()), None, language=language), encoding="utf-8")
    _, found = drive(path, {"evaluate": WAIT}, {"evaluate": LOOK})
    is_calm(found, scripts=1, said=12)


def test_a_report_with_samples_of_classes(drive, noise, tmp_path):
    run, _ = noise
    path = tmp_path / "report.html"
    path.write_text(report(run, language="en"), encoding="utf-8")
    _, found, text = drive(
        path,
        {"evaluate": WAIT},
        {"evaluate": LOOK},
        {"evaluate": "document.getElementById('classes').textContent"},
    )
    is_calm(found, scripts=1, said=0)
    assert "<script>alert(1)<" in text


def test_a_comparison(drive, hostile, make_run, tmp_path):
    for seed in range(2):
        hostile(f"{NAME}-seed-{seed}", seed=seed)
    make_run("other", seed=0)
    found = comparison_page(compare(sorted(each for each in tmp_path.iterdir() if each.is_dir())))
    path = tmp_path / "compare.html"
    path.write_text(found, encoding="utf-8")
    _, found = drive(path, {"evaluate": WAIT}, {"evaluate": LOOK})
    is_calm(found, scripts=0, said=4)


def test_a_sweep(drive, tmp_path):
    recipe = RECIPES["vanilla"]
    plan = make_plan(
        "vanilla", read_space("lr=1e-4..1e-2:log,betas=0 0.9,0.5 0.999", recipe), EVIL,
        recipe.configure({"data": EVIL}), given={"data": EVIL}, inherited={}, sampler_seed=0,
    )  # fmt: skip
    trials = tuple(
        TrialResult(
            number=number,
            run=f"{number}{EVIL}",
            settings={"learning_rate": 1e-4 * (number + 1), "betas": ("0", "0.9")},
            state=state,
            value=value,
            note=EVIL,
        )
        for number, (state, value) in enumerate(
            [("complete", 5.0), ("complete", 4.0), ("failed", None)]
        )
    )
    candidates = tuple(
        Candidate(rank=rank, trial=rank - 1, run=f"{rank}{EVIL}", values={0: 4.0, 1: 4.0 + rank})
        for rank in (1, 2)
    )
    result = SweepResult(
        path=tmp_path / NAME, plan=plan, trials=trials, candidates=candidates, best=1, command=EVIL
    )
    path = tmp_path / "sweep.html"
    path.write_text(sweep_page(result, {"learning_rate": 0.9, "betas": 0.1}), encoding="utf-8")
    _, found = drive(path, {"evaluate": WAIT}, {"evaluate": LOOK})
    is_calm(found, scripts=0, said=8)


def test_a_playground(drive, noise, tmp_path):
    run, _ = noise
    copy = tmp_path / NAME
    shutil.copytree(run.path, copy)
    directory = zerosum.load(copy).directory
    damage(directory, classes=[EVIL, NAME], zerosum=EVIL, torch=EVIL)
    path = tmp_path / "play.html"
    write_playground(zerosum.load(copy), path, language="en", notice=lambda _: None)
    _, found = drive(path, {"idle": True}, {"evaluate": LOOK})
    is_calm(found, scripts=1, said=2)


@contextmanager
def serving(directory):
    server = server_on(0, directory.path, language="en")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_live_page_and_what_it_puts_in_place(drive, hostile):
    directory = hostile()
    timer = threading.Timer(8, directory.append_log, [log_line(7)])
    with serving(directory) as address:
        timer.start()
        try:
            *_, found, text = drive(
                address,
                {"evaluate": LOOK},
                *({"evaluate": WAIT} for _ in range(5)),
                {"evaluate": LOOK},
                {"evaluate": "document.getElementById('main').textContent"},
                allowed="favicon.ico",  # which Firefox asks for, and our policy forbids
            )
        finally:
            timer.join()
    is_calm(found, scripts=1, said=12)
    assert "70 of" in text or "70 images" in text


def test_a_page_elsewhere_learns_nothing_of_a_watch(drive, hostile, tmp_path):
    directory = hostile()
    with serving(directory) as address:
        path = tmp_path / "elsewhere.html"
        path.write_text(f"""<!DOCTYPE html><meta charset=utf-8><title>elsewhere</title>
          <script src="{address}data"></script><img src="{address}data">
          <script>window.got = fetch("{address}data").then((each) => each.text(), () => "refused");
          window.blind = fetch("{address}data", {{ mode: "no-cors" }})
            .then((each) => each.text(), () => "refused");</script>""")
        # After the page has come, since Firefox takes a frame that is refused for a failure of it.
        framed = f"""(() => {{ const frame = document.createElement("iframe");
          frame.src = "{address}"; document.body.append(frame); }})()"""
        inside = """(() => { try { return window[0].document.body.textContent.length }
          catch { return "refused" } })()"""
        got, blind, _, _, seen = drive(
            path,
            {"evaluate": "window.got"},
            {"evaluate": "window.blind"},
            {"evaluate": framed},
            {"evaluate": WAIT},
            {"evaluate": inside},
            allowed="",  # they complain of each attempt
            also=address,
        )
    assert (got, blind, seen) == ("refused", "refused", "refused")
