from xml.etree import ElementTree

import pytest

from zerosum.plots.curves import draw_curve
from zerosum.training.run_directory import CURVE

SVG = "{http://www.w3.org/2000/svg}"


def panels(directory):
    whole = ElementTree.parse(directory.path / CURVE).getroot()
    return whole.findall(f"{SVG}svg")


def titles(directory):
    return [panel.get("aria-label") for panel in panels(directory)]


def test_the_figure_with_its_best_above_the_losses(make_run):
    directory = make_run("run", metrics=(5.25, 7.0))
    assert draw_curve(directory.history(), directory.curve_path) == directory.path / "curve.svg"
    assert titles(directory) == ["frechet_digits", "losses, means over the epoch"]
    first, second = panels(directory)
    assert "best 5.25 at epoch 2" in [text.text for text in first.iter(f"{SVG}text")]
    assert {"loss D", "loss G"} <= {text.text for text in second.iter(f"{SVG}text")}
    assert int(second.get("y")) >= int(first.get("height"))


def test_a_run_that_was_never_evaluated_has_its_losses(make_run):
    directory = make_run("run", metrics=())
    draw_curve(directory.history(), directory.curve_path)
    assert titles(directory) == ["losses, means over the epoch"]


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
    monkeypatch.setattr("pathlib.Path.write_text", refuse)
    with pytest.raises(OSError, match="full"):
        draw_curve(directory.history(), directory.curve_path)
    assert (directory.path / CURVE).read_text() == first


def refuse(*arguments, **settings):
    raise OSError(28, "disk full")
