"""`zerosum export`: for each recipe every file makes what the run makes; whole or not at all."""

import hashlib
import json
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import zerosum
from zerosum.cli.main import run as command
from zerosum.data.spec import POINT, DataSpec
from zerosum.errors import UserError
from zerosum.export import folder as module
from zerosum.export import parity
from zerosum.export.folder import export_run
from zerosum.inference.exported import Exported
from zerosum.recipes import RECIPES
from zerosum.recipes.table import Origin
from zerosum.training.run_directory import RunDirectory

onnx = pytest.importorskip("onnx", reason="the extra export is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra export is not installed")
pytest.importorskip("onnxscript", reason="the extra export is not installed")

CASES = {
    **{name: {"recipe": name} for name in RECIPES},
    "points": {"recipe": "vanilla", "spec": DataSpec(shape=POINT), "data": "ring"},
    "projection": {"recipe": "sngan", "conditioning": "projection"},
    "attention": {"recipe": "cgan", "attention": "G:8", "spectral_norm": "both"},
    "mlp with classes": {"recipe": "vanilla", "conditioning": "concat"},
    "r3gan with classes": {"recipe": "r3gan", "conditioning": "projection"},
    "odd sizes": {"recipe": "dcgan", "spec": DataSpec(shape=(1, 13, 18))},
    "half": {"recipe": "dcgan", "half": True},
    "pix2pix half": {"recipe": "pix2pix", "half": True},
    "pix2pix batch norm": {"recipe": "pix2pix", "norm": "batch"},
    "pix2pix quiet": {"recipe": "pix2pix", "dropout": 0.0},
    "cyclegan back": {"recipe": "cyclegan", "reverse": True},
}
OWN_HALF = ("half", "reverse")


@pytest.fixture(scope="module")
def exported(tmp_path_factory, save_run_anew):
    """Each case exported once: the run, the folder, and what was told."""
    root = tmp_path_factory.mktemp("exports")
    done = {}

    def export(case):
        if case not in done:
            settings = dict(CASES[case])
            how = {name: settings.pop(name) for name in OWN_HALF if name in settings}
            run = save_run_anew(root / f"run {len(done)}", **settings)
            with warnings.catch_warnings(action="error"):
                written = export_run(run, root / f"out{len(done)}", **how)
            done[case] = run, written.path, written.parity, how
        return done[case]

    return export


every_case = pytest.mark.parametrize("case", CASES)


@pytest.mark.slow
@every_case
def test_the_onnx_file_is_one_and_free_of_this_machine(exported, case):
    _, path, _, _ = exported(case)
    content = (path / "model.onnx").read_bytes()
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    for each in (*model.graph.input, *model.graph.output):
        assert each.type.tensor_type.shape.dim[0].dim_param == "batch", each.name
    for place in (Path.cwd(), Path(sys.prefix), Path(torch.__file__).parent, Path.home(), path):
        assert str(place).encode() not in content
    assert b".py" not in content
    assert not any(each.external_data for each in model.graph.initializer)
    assert [each.key for each in model.metadata_props] == ["zerosum"]
    assert not any("Dropout" in node.op_type for node in model.graph.node)


@pytest.mark.slow
@every_case
def test_both_files_make_what_the_run_makes(exported, case):
    run, path, found, how = exported(case)
    assert found.worst <= 1e-4
    from_file, from_folder = Exported(path / "model.onnx"), zerosum.load(path)
    if run.source_channels:
        rng = np.random.default_rng(0)
        channels = from_file.description.source_channels
        images = rng.integers(0, 256, (2, 21, 45, channels), np.uint8)
        reverse = {"reverse": True} if "reverse" in how else {}
        made = [run.translate(images, seed=3, **reverse)]
        made += [each.translate(images, seed=3) for each in (from_file, from_folder)]
    else:
        told = {"label": "dog"} if from_file.classes else {}
        made = [each.sample(20, seed=5) for each in (run, from_file, from_folder)]
        made += [each.sample(4, **told) for each in (run, from_file, from_folder)]
        made = [np.concatenate(each) for each in zip(made[:3], made[3:], strict=True)]
    if "half" in how:
        assert found.rounding > 0
        assert np.abs(made[0].astype(int) - made[1].astype(int)).max() <= 4
        made = made[1:]
    else:
        assert (made[0] == made[2]).all()  # torch with the same weights
    if made[0].dtype == np.uint8:
        assert np.abs(made[0].astype(int) - made[1].astype(int)).max() <= 1
        assert made[0].std() > 1  # and not of one colour
    else:
        assert np.allclose(made[0], made[1], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["pix2pix", "cyclegan", "dcgan"])
def test_noise_and_seeds_count(exported, case, tmp_path):
    _, path, _, _ = exported(case)
    opened = Exported(path / "model.onnx")
    if case == "dcgan":
        assert (opened.sample(2, seed=0) != opened.sample(2, seed=1)).any()
        return
    images = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    differ = (opened.translate(images, seed=0) != opened.translate(images, seed=1)).any()
    assert differ == (case == "pix2pix")  # which alone has noise
    assert (opened.translate(images, seed=0) == opened.translate(images, seed=0)).all()
    Image.fromarray(images[0]).save(tmp_path / "x.png")
    words = ["translate", str(path / "model.onnx"), str(tmp_path / "x.png")]
    assert command([*words, "--out", str(tmp_path / "y.png")]) == 0
    with Image.open(tmp_path / "y.png") as written:
        assert (np.asarray(written) == opened.translate(images, seed=0)[0, ..., 0]).all()


@pytest.mark.slow
def test_model_py_needs_no_zerosum(exported, tmp_path):
    """All in one process, in which zerosum cannot be imported; the outputs are compared here."""
    code = """
import importlib.util, pathlib, sys, torch
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "zerosum": raise ImportError(name)
sys.meta_path.insert(0, Blocked())
torch.set_num_threads(1)
for index, folder in enumerate(sys.argv[2:]):
    name = f"model_{index}"
    spec = importlib.util.spec_from_file_location(name, f"{folder}/model.py")
    module = importlib.util.module_from_spec(spec); sys.modules[name] = module
    spec.loader.exec_module(module)
    inputs = torch.load(f"{sys.argv[1]}/{index}.pt")
    torch.manual_seed(0)
    with torch.no_grad():
        torch.save(module.load()(*inputs), f"{sys.argv[1]}/{index}.out.pt")
"""
    folders, expected = [], []
    for index, case in enumerate(CASES):
        _, path, _, _ = exported(case)
        opened = Exported(path)
        G = opened.generator(device="cpu")
        if opened.description.source_channels:
            inputs = [torch.rand(1, opened.description.source_channels, 20, 40) * 2 - 1]
        else:
            inputs = [torch.randn(3, each.shape[0]) for each in G.inputs]
            inputs += [inputs[0][:, :0]] * (len(inputs) == 1)
        torch.save(inputs, tmp_path / f"{index}.pt")
        torch.manual_seed(0)
        with torch.no_grad():
            expected.append(G(*inputs[: len(G.inputs)]))
        folders.append(str(path))
    subprocess.run([sys.executable, "-W", "error", "-c", code, str(tmp_path), *folders], check=True)
    for index, (case, output) in enumerate(zip(CASES, expected, strict=True)):
        assert torch.equal(torch.load(tmp_path / f"{index}.out.pt"), output), case


@pytest.mark.slow
@every_case
def test_the_folder_tells_of_itself(exported, case):
    run, path, found, _ = exported(case)
    names = {each.name for each in path.iterdir()}
    pictures = set() if run.source_channels else {"samples.png"}  # this one has no picture
    assert names == {
        *("model.onnx", "model.safetensors", "model.py", "generator.json", "README.md"),
        *pictures,
    }
    facts = json.loads((path / "generator.json").read_text())
    for name, about in facts["files"].items():
        content = (path / name).read_bytes()
        assert about == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert {*facts["files"], "generator.json"} == names
    session = onnxruntime.InferenceSession(path / "model.onnx")
    assert [each["name"] for each in facts["inputs"]] == [e.name for e in session.get_inputs()]
    assert [len(each["shape"]) for each in facts["inputs"]] == [
        len(each.shape) for each in session.get_inputs()
    ]
    assert facts["parity"]["worst"] == found.worst
    for each in path.iterdir():  # where the data and the run lie is nobody's business
        assert str(run.path).encode() not in each.read_bytes(), each
    card = (path / "README.md").read_text()
    assert f"{found.worst:.2g}" in card
    assert "12.5" in card
    assert "healthy" in card
    assert f"zerosum train {run.recipe}" in card
    if "samples.png" in names:
        with Image.open(path / "samples.png") as picture:
            assert picture.width > 50


@pytest.mark.slow
def test_the_cards_examples_run(exported):
    for case in ("cgan", "pix2pix"):
        _, path, _, _ = exported(case)
        blocks = (path / "README.md").read_text().split("```python\n")[1:]
        for block in blocks:
            code = block.partition("```")[0] + "\nassert output.shape[1:2] != ()"
            subprocess.run(
                [sys.executable, "-c", code],
                cwd=path,
                check=True,
                env={"PATH": "", "OMP_NUM_THREADS": "1"},
            )


@pytest.fixture
def tiny_run(save_run_anew, tmp_path):
    return save_run_anew(tmp_path / "run", "vanilla", hidden=(6,), latent_size=4)


def test_the_command_and_what_it_made(tiny_run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command(["export", "run", "--out", "deep/out", "--checkpoint", "best", "--no-ema"]) == 0
    assert "Wrote deep/out" in capsys.readouterr().out
    for what in ("run", "deep/out", "deep/out/model.onnx"):
        raw = ["--no-ema"] if what == "run" else []
        assert command(["sample", what, "-n", "3", "--out", "s.npz", "--label", "dog", *raw]) == 2
        assert "knows no classes" in capsys.readouterr().err
        assert command(["sample", what, "-n", "3", "--out", "s.npz", *raw]) == 0
        made = np.load("s.npz")["images"]
        assert np.abs(made.astype(int) - tiny_run.sample(3, ema=False).astype(int)).max() <= 1
    assert not [each for each in (tmp_path / "deep").iterdir() if each.name != "out"]
    assert command(["export", "run", "--out", "deep/out"]) == 2
    assert "is not empty" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["full", "file", "link"])
def test_a_place_that_is_taken_is_refused(tiny_run, tmp_path, kind):
    out = tmp_path / "out"
    if kind == "full":
        out.mkdir()
        (out / "mine.txt").write_text("keep")
    elif kind == "file":
        out.write_text("keep")
    else:
        out.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="--out"):
        export_run(tiny_run, out)
    assert kind != "full" or (out / "mine.txt").read_text() == "keep"


def test_a_run_without_a_checkpoint(tiny_run, tmp_path):
    shutil.rmtree(RunDirectory(tiny_run.path).checkpoints.directory)
    with pytest.raises(UserError, match="no checkpoint yet"):
        export_run(tiny_run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_failure_leaves_nothing(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr(parity, "LIMIT", -1.0)
    with pytest.raises(UserError, match="does not make what torch makes"):
        export_run(tiny_run, tmp_path / "out")
    assert {each.name for each in tmp_path.iterdir()} == {"run"}


def test_a_full_disk_leaves_nothing(tiny_run, tmp_path, full_disk):
    with full_disk(2000), pytest.raises(UserError, match="Could not write"):
        export_run(tiny_run, tmp_path / "out")
    assert {each.name for each in tmp_path.iterdir()} == {"run"}


def test_a_place_that_cannot_be_written(tiny_run, tmp_path):
    (tmp_path / "file").write_text("keep")
    with pytest.raises(UserError, match="Could not write"):
        export_run(tiny_run, tmp_path / "file" / "out")


def test_too_large_for_one_file(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr("zerosum.export.onnx_model.LARGEST", 100)
    with pytest.raises(UserError, match="2 GiB at most"):
        export_run(tiny_run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_way_back_of_a_run_that_has_none(tiny_run, tmp_path):
    with pytest.raises(UserError, match="one way only"):
        export_run(tiny_run, tmp_path / "out", reverse=True)


def test_where_an_own_recipe_lies_stays_on_this_machine(save_run_anew, tmp_path, monkeypatch):
    own = replace(RECIPES["vanilla"], origin=Origin(path="/home/ada/own.py", sha256="ab"))
    monkeypatch.setitem(RECIPES, "/home/ada/own.py:MINE", own)
    run = save_run_anew(tmp_path / "run", "/home/ada/own.py:MINE", hidden=(6,), latent_size=4)
    path = export_run(run, tmp_path / "out").path
    for each in path.iterdir():
        assert b"/home/ada" not in each.read_bytes(), each
    assert json.loads((path / "generator.json").read_text())["recipe"] == "own.py:MINE"
    assert "zerosum train own.py:MINE" in (path / "README.md").read_text()


@pytest.mark.parametrize("package", ["onnxscript", "onnxruntime"])
def test_a_missing_package_is_named(tiny_run, tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(module, "to_onnx", None)  # it is named before the work begins
    with pytest.raises(UserError, match=r"zerosum\[export\]"):
        export_run(tiny_run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_is_refused_in_whole_sentences(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(UserError) as caught:
        Exported(tmp_path / "model.onnx")
    assert ".." not in str(caught.value)


def test_half_precision_that_costs_too_much_is_refused(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr(parity, "HALF_LIMIT", 1e-9)
    with pytest.raises(UserError, match="Leave --half out"):
        export_run(tiny_run, tmp_path / "out", half=True)


def test_a_source_that_makes_something_else_is_no_export(tiny_run, tmp_path, monkeypatch):
    write = module.model_source
    monkeypatch.setattr(
        module, "model_source", lambda *a, **k: write(*a, **k).replace("nn.Tanh()", "nn.Sigmoid()")
    )
    with pytest.raises(UserError, match=r"model\.py does not make"):
        export_run(tiny_run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_working_folder_and_names_of_files_are_refused(run, tmp_path, monkeypatch, capsys):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for out, said in ((".", "working folder"), ("", "working folder"), ("g.onnx", "a file's name")):
        assert command(["export", str(run.path), "--out", out]) == 2
        assert said in capsys.readouterr().err
    assert not list((tmp_path / "empty").iterdir())
