"""The table of metrics: it stays readable where there are a thousand classes."""

from dataclasses import replace

import numpy as np
import pytest

from zerosum import data
from zerosum.cli.main import run
from zerosum.evaluation.tables import Metrics, shown
from zerosum.metrics.evaluate import MetricResult

NAME = "stacked-mnist"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A directory and a cache of their own, where the data set has 160 and 60 images."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
    about = data.DATASETS[NAME]
    few = replace(about.stack, counts={"train": 160, "test": 60})
    monkeypatch.setitem(data.DATASETS, NAME, replace(about, stack=few))
    return tmp_path


def test_the_table_does_not_name_a_thousand_classes(here, capsys):
    np.savez("real.npz", images=data.load(NAME).images.permute(0, 2, 3, 1).numpy())
    asked = ("--reference", NAME, "--metrics", "classes,modes")
    assert run(["evaluate", "real.npz", *asked]) == 0
    table = capsys.readouterr().out
    assert "1,000 of them, most" in table
    assert len(table.splitlines()) < 25


def test_shares_are_all_shown_unless_they_are_very_many():
    few = {str(index): 0.1 for index in range(10)}
    assert shown(few).count("%") == 10
    shares = np.arange(1000) / np.arange(1000).sum()
    many = {f"{index:03d}": share for index, share in enumerate(shares)}
    assert shown(many) == (
        "1,000 of them, most 999 0.20%, 998 0.20%, 997 0.20%, least 002 0.00%, 001 0.00%, 000 0.00%"
    )


def test_a_notebook_shows_the_rows_of_the_table_and_no_markup():
    card = {"spread": 0.5, "floor": None, "better": "lower", "paired": True}
    html = Metrics({"<b>": MetricResult(value=1.23456789, card=card)})._repr_html_()
    assert "<td>&lt;b&gt;</td><td>1.2346</td><td>± 0.5</td><td></td><td>lower</td>" in html
