"""What a training shows in a notebook: two outputs, redrawn in place."""

import base64
import sys
from html import escape
from types import SimpleNamespace

import pytest

import zerosum
from zerosum import api
from zerosum.callbacks.console import ConsoleCallback, WarningCallback
from zerosum.callbacks.notebook import NotebookCallback, in_notebook


@pytest.fixture
def outputs(monkeypatch):
    """Every output and replacement as (kind, id, content), in a kernel that there is not."""
    found = []
    output = SimpleNamespace(
        display=lambda data, raw, display_id: found.append(("display", display_id, data)),
        update_display=lambda data, raw, display_id: found.append(("update", display_id, data)),
    )
    shell = SimpleNamespace(kernel=object())
    ipython = SimpleNamespace(
        get_ipython=lambda: shell,
        display=output,
        version_info=(9, 0),  # which matplotlib asks for
    )
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", output)
    return found


def test_it_is_chosen_in_a_kernel_alone(monkeypatch, outputs):
    assert in_notebook()
    assert isinstance(api.watcher(quiet=False), NotebookCallback)
    assert isinstance(api.watcher(quiet=True), WarningCallback)
    sys.modules["IPython"].get_ipython = lambda: SimpleNamespace()  # a terminal's IPython
    assert not in_notebook()
    sys.modules["IPython"].get_ipython = lambda: None
    assert not in_notebook()
    monkeypatch.delitem(sys.modules, "IPython")
    assert isinstance(api.watcher(quiet=False), ConsoleCallback)
    assert "IPython" not in sys.modules


def test_a_training_is_two_outputs_replaced_in_place(train_tiny, tmp_path, outputs, capsys):
    run = train_tiny(tmp_path / "run", quiet=False)
    assert capsys.readouterr().out == ""
    kinds = [kind for kind, _, _ in outputs]
    assert kinds.count("display") == 2
    assert len({name for _, name, _ in outputs}) == 2
    bar, picture = outputs[-1][2], [data for _, _, data in outputs if "image/png" in data][-1]
    assert 'value="120" max="120"' in bar["text/html"]
    assert "epoch 3/3" in bar["text/html"]
    assert "Done: 120 images" in bar["text/plain"]
    assert run.log()[-1]["health"]["verdict"] in bar["text/plain"]
    assert base64.b64decode(picture["image/png"]) == run.directory.pictures()[-1].read_bytes()
    assert sum("image/png" in data for _, _, data in outputs) == 3


def test_short_epochs_flood_nobody(train_tiny, tmp_path, outputs):
    train_tiny(tmp_path / "run", quiet=False, epochs=60, sample_every=60, evaluate_every=0)
    assert len(outputs) < 30


def test_names_are_no_markup(outputs):
    callback = NotebookCallback()
    callback.notice("<img src=x onerror=alert(1)>")
    callback.begin(seen=0, budget=10, images_per_epoch=10)
    health = {"verdict": "<script>", "why": ""}
    record = {"seen": 10, "loss_D": 1.0, "loss_G": 1.0, "metrics": {"<b>": 1.0}, "health": health}
    callback.tick(record)
    callback.end()
    html = outputs[-1][2]["text/html"]
    for word in ("<img", "<script", "<b>"):
        assert word not in html
        assert escape(word) in html


def test_seeds_in_a_row_share_the_outputs(tiny_images, tmp_path, outputs):
    settings = {"hidden": (4,), "latent_size": 2, "epochs": 1, "device": "cpu"}
    zerosum.train("vanilla", data=tiny_images, seeds=2, out=tmp_path / "run", **settings)
    assert [kind for kind, _, _ in outputs].count("display") == 2
    assert "Seed 1, in" in outputs[-1][2]["text/plain"]
