import json

import pytest

from zerosum.errors import UserError
from zerosum.inference.run import Run
from zerosum.training.run_directory import RunDirectory
from zerosum.training.saved_config import require_form, restarts_of


def rewritten(run, **entries):
    """The run with another config.json."""
    path = run.directory.config_path
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))
    return run.path


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"recipe": 7}, "recipe is 7, expected the name of a recipe"),
        ({"config": []}, r"config is \[\], expected settings by name"),
        ({"image_shape": ["1", 8, 8]}, r"image_shape is \['1', 8, 8\], expected channels, height"),
        ({"image_shape": [1, -8, 8]}, "image_shape is"),
        ({"image_shape": [1, 8, 10**9]}, "image_shape is"),
        ({"image_shape": [1, 8]}, "image_shape is"),
        ({"image_shape": [True, 8, 8]}, "image_shape is"),
        ({"source_channels": 5}, "source_channels is 5, expected less than all 1"),
        ({"source_channels": -1}, "source_channels is -1"),
        ({"classes": "cats"}, "classes is 'cats', expected the names of classes"),
        ({"classes": [1]}, "classes is"),
        ({"num_images": "many"}, "num_images is 'many'"),
        ({"num_images": 0}, "num_images is 0"),
        ({"data_path": 3}, "data_path is 3"),
        ({"started_from": {"path": "a"}}, "started_from is"),
        ({"recipe_file": "a.py"}, "recipe_file is"),
        ({"own_defaults": 1}, "own_defaults is 1"),
    ],
)
def test_an_entry_of_another_form_is_named(make_run, entries, said):
    path = make_run("run").path
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | entries))
    with pytest.raises(UserError, match=rf"is not as train writes it: {said}"):
        RunDirectory(path).read_config()


def test_names_of_classes_do_nothing_to_a_terminal():
    assert require_form({"classes": ["cat", "\x1b[31mdog\u202e", "Größe"]}) == {
        "classes": ["cat", "\\x1b[31mdog\\u202e", "Größe"]
    }


def test_what_later_versions_add_is_no_matter():
    assert require_form({"recipe": "vanilla", "stranger": [1]}) == {
        "recipe": "vanilla",
        "stranger": [1],
    }


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden": [8] * 20_000},
        {"hidden": [10**9]},
        {"latent_size": 10**12},
        {"hidden": "wide"},
        {"latent_size": "9" * 5000},
    ],
    ids=["20,000 layers", "a wide one", "a large z", "text", "digits"],
)
def test_settings_beyond_reason_are_refused_when_a_run_is_opened(run, settings):
    config = json.loads(run.directory.config_path.read_text())["config"]
    with pytest.raises(UserError, match=r"is not as train writes it: --(hidden|latent-size)"):
        Run(rewritten(run, config=config | settings))


def test_memory_is_asked_for_before_a_net_is_built(run, monkeypatch):
    config = json.loads(run.directory.config_path.read_text())["config"]
    opened = Run(rewritten(run, config=config | {"hidden": [2**20, 2**20]}))
    with pytest.raises(UserError, match=r"The G of the run '.*' would take about [\d,.]+ GiB"):
        opened.generator()
    assert opened.inputs[0].shape == (4,)


RESTART = {"verdict": "D has won", "at": 30, "back_to": 10, "seed": 1, "attempt": 0}


@pytest.mark.parametrize(
    "restarts",
    [
        5,
        "x",
        RESTART,
        [7],
        [[]],
        [{"at": "x"}],
        [RESTART, RESTART | {"at": None}],
        [RESTART | {"seed": True}],
        [RESTART | {"verdict": 3}],
    ],
)
def test_restarts_of_another_form_are_none(restarts):
    assert restarts_of({"restarts": restarts}) == []


def test_restarts_are_as_they_were_written():
    assert restarts_of({}) == []
    assert restarts_of({"restarts": [RESTART, RESTART]}) == [RESTART, RESTART]
