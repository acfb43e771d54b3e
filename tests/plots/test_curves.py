from xml.etree import ElementTree

import pytest

from zerosum.plots.curves import draw_curve, run_panels
from zerosum.training.log import History
from zerosum.training.run_directory import CURVE

SVG = "{http://www.w3.org/2000/svg}"


def texts(directory):
    """What is written in the curve, in its order."""
    root = ElementTree.parse(directory.path / CURVE).getroot()
    return [text.text for text in root.iter(f"{SVG}text")]


def test_the_metric_with_its_best_above_the_losses(make_run):
    directory = make_run("run", metrics=(5.25, 7.0))
    assert draw_curve(directory.history(), directory.curve_path) == directory.path / "curve.svg"
    written = texts(directory)
    assert {"best 5.25 at epoch 2", "loss D", "loss G"} <= set(written)
    assert written.index("frechet_digits") < written.index("losses")


def test_epochs_may_be_parts_of_one():
    records = [
        {"epoch": epoch, "seen": 1, "loss_D": 1.0, "metrics": {"fid": 1 / epoch}}
        for epoch in (0.05, 0.1)
    ]
    panels = run_panels(History(tuple(records)))
    assert panels["fid"][0].label == "best 10 at epoch 0.1"
    assert panels["losses"][0].points == [(0.05, 1.0), (0.1, 1.0)]


def test_a_run_that_was_never_evaluated_has_its_losses(make_run):
    directory = make_run("run", metrics=())
    draw_curve(directory.history(), directory.curve_path)
    assert "losses" in texts(directory)
    assert "frechet_digits" not in texts(directory)


def test_without_an_epoch_there_is_no_curve(make_run):
    directory = make_run("run")
    directory.log_path.unlink()
    assert draw_curve(directory.history(), directory.curve_path) is None
    assert not (directory.path / CURVE).exists()


def test_a_curve_is_replaced_and_nothing_else_is_left(make_run):
    directory = make_run("run")
    before = set(directory.path.iterdir())
    draw_curve(directory.history(), directory.curve_path)
    first = (directory.path / CURVE).read_text()
    directory.append_log({"epoch": 5, "seen": 50, "loss_D": 3.0, "loss_G": 3.0})
    draw_curve(directory.history(), directory.curve_path)
    assert (directory.path / CURVE).read_text() != first
    assert set(directory.path.iterdir()) - before == {directory.path / CURVE}


def test_a_curve_that_cannot_be_written_leaves_the_one_before(make_run, monkeypatch):
    directory = make_run("run")
    draw_curve(directory.history(), directory.curve_path)
    first = (directory.path / CURVE).read_text()
    directory.append_log({"epoch": 5, "seen": 50, "loss_D": 3.0, "loss_G": 3.0})
    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(OSError, match="full"):
        draw_curve(directory.history(), directory.curve_path)
    assert (directory.path / CURVE).read_text() == first


def refuse(*arguments, **settings):
    raise OSError(28, "disk full")
