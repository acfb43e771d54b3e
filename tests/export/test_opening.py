"""What a path leads to: a run, an exported folder, an .onnx file, the hub."""

import pytest

from zerosum.errors import UserError
from zerosum.export import opening
from zerosum.export.opening import open_model
from zerosum.inference.run import Run


def test_a_run_is_a_run_even_beside_a_description(save_run_anew, tmp_path):
    run = save_run_anew(tmp_path / "run", "vanilla", hidden=(6,), latent_size=4)
    (run.path / "generator.json").write_text("{}")
    assert isinstance(open_model(run.path), Run)


def test_an_address_is_fetched(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(opening, "fetch_folder", lambda address: asked.append(address) or tmp_path)
    with pytest.raises(UserError, match=r"generator\.json"):
        open_model("hf://ada/digits")
    assert asked == ["hf://ada/digits"]


@pytest.mark.parametrize("path", [3, None, b""])
def test_what_is_no_path(path):
    with pytest.raises(UserError):
        open_model(path)
