"""examples/first_steps.ipynb: every cell runs, and what is committed came of a real execution."""

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parent.parent / "examples" / "first_steps.ipynb"


def cells():
    return json.loads(NOTEBOOK.read_text("utf-8"))["cells"]


def test_it_is_small_and_its_outputs_are_whole():
    assert NOTEBOOK.stat().st_size < 500_000
    code = [cell for cell in cells() if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 12
    assert "/tmp" not in NOTEBOOK.read_text("utf-8")  # nor any other path of the machine
    assert "/work" not in NOTEBOOK.read_text("utf-8")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the kernel's own packages
def test_every_cell_runs_with_a_tiny_budget(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient and ipykernel")
    pytest.importorskip("ipykernel", reason="needs nbclient and ipykernel")
    pytest.importorskip("pandas", reason="needs pandas")
    import nbformat

    monkeypatch.setenv("ZEROSUM_FIRST_STEPS", "0.001")
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parent.parent))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(
        notebook,
        timeout=250,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    assert len(list((tmp_path / "runs" / "first").iterdir())) == 6
    trained = [cell for cell in notebook.cells if "zerosum.train(" in cell.get("source", "")]
    shown = [cell["outputs"] for cell in trained if cell["cell_type"] == "code"]
    for outputs in shown:  # the bar and the picture, and what the last line shows
        kinds = [output["output_type"] for output in outputs]
        assert kinds.count("display_data") == 2
        assert "text/html" in outputs[0]["data"]
        assert "image/png" in outputs[1]["data"]
