"""What may come from anybody: an exported folder or an .onnx file that is damaged or foreign."""

import json
import shutil
import sys

import numpy as np
import pytest
import safetensors.torch
from PIL import Image

import zerosum
from zerosum.cli.main import run as command
from zerosum.errors import UserError
from zerosum.export.folder import export_run
from zerosum.inference.exported import Exported

pytest.importorskip("onnxscript", reason="the extra export is not installed")
onnx = pytest.importorskip("onnx", reason="the extra export is not installed")


@pytest.fixture(scope="module")
def master(tmp_path_factory, train_once):
    """A folder that was exported once."""
    out = tmp_path_factory.mktemp("master") / "out"
    export_run(train_once, out)
    return out


@pytest.fixture(scope="module")
def train_once(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    numbers = np.random.default_rng(0)
    np.savez(root / "d.npz", images=numbers.integers(0, 256, (40, 8, 8), np.uint8))
    settings = {"hidden": (6,), "latent_size": 4, "images": 64, "batch_size": 16, "quiet": True}
    return zerosum.train(
        "vanilla", data=str(root / "d.npz"), out=root / "run", device="cpu", **settings
    )


@pytest.fixture
def folder(master, tmp_path):
    """A copy of it, to be damaged."""
    return shutil.copytree(master, tmp_path / "out")


def change_facts(folder, change):
    path = folder / "generator.json"
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))


def test_it_answers_as_the_run_does(master, train_once):
    for each in (zerosum.load(master), zerosum.load(str(master / "model.onnx"))):
        assert isinstance(each, Exported)
        assert np.abs(each.sample(9).astype(int) - train_once.sample(9).astype(int)).max() <= 1
        z = np.ones((3, 4), np.float32)
        made = each.sample(z=z, truncation=0.5)
        assert np.abs(made.astype(int) - train_once.sample(z=z, truncation=0.5)).max() <= 1
        assert each.interpolate(2, count=3).shape == (2, 3, 8, 8, 1)
        assert each.labels(4) is None
        assert each.spec == train_once.spec
        assert "Exported" in repr(each)
        with pytest.raises(UserError, match="makes images of noise"):
            each.translate(np.zeros((1, 8, 8, 1), np.uint8))


def test_its_directions_are_those_of_the_run(master, train_once, tmp_path):
    found = train_once.directions(2)
    folder, alone = zerosum.load(master), zerosum.load(master / "model.onnx")
    assert folder.directions(2).vectors == pytest.approx(found.vectors, abs=1e-4)
    out = tmp_path / "found"
    assert command(["directions", str(master), "-n", "2", "--out", str(out)]) == 0
    with np.load(out / "directions.npz") as arrays:
        assert arrays["checkpoint"] == train_once.log()[-1]["seen"]
    # An .onnx file has none of its own, and is moved along those of others.
    moved = train_once.sample(4, directions={2: 1.5}).astype(int)
    for each in (folder, alone):
        made = each.sample(4, directions={2: 1.5}, along=found)
        assert np.abs(made.astype(int) - moved).max() <= 1
    for ask in (
        alone.directions,
        lambda: alone.sample(directions={2: 1.5}),
        lambda: alone.invert(train_once.sample(1)),
    ):
        with pytest.raises(UserError, match=r"gives no gradients: expected the run.*--along"):
            ask()


def test_it_inverts_as_the_run_does(master, train_once, tmp_path):
    image = train_once.sample(1, seed=5)
    few = {"steps": 3, "starts": 2}
    found = zerosum.load(master).invert(image, **few)
    assert found.z == pytest.approx(train_once.invert(image, **few).z, abs=1e-3)
    Image.fromarray(image[0, :, :, 0]).save(tmp_path / "one.png")
    line = ["invert", str(master), str(tmp_path / "one.png"), "--out", str(tmp_path / "found")]
    assert command([*line, "--steps", "2"]) == 0
    again = ["sample", str(master), "--z", str(tmp_path / "found/latents.npz")]
    assert command([*again, "--direction", "1:1", "--out", str(tmp_path / "moved.png")]) == 0


@pytest.mark.parametrize("what", [{"checkpoint": "best"}, {"ema": False}])
def test_it_has_one_set_of_weights(master, what):
    with pytest.raises(UserError, match="one set of weights"):
        zerosum.load(master).sample(1, **what)


def test_an_onnx_file_is_computed_on_the_cpu(master):
    with pytest.raises(UserError, match="on the CPU"):
        zerosum.load(master / "model.onnx").sample(1, device="cuda")


def test_a_missing_onnxruntime_is_named(master, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"zerosum\[export\]"):
        zerosum.load(master / "model.onnx")
    assert len(zerosum.load(master).sample(2)) == 2  # which needs none


HOSTILE = {
    "no JSON": b"{",
    "deep": b"[" * 100_000,
    "a list": b"[]",
    "null": b"null",
    "not UTF-8": b"\xff\xfe{}",
    "empty": b"",
    "no generator": b"{}",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_description_that_is_none(folder, content):
    (folder / "generator.json").write_bytes(content)
    with pytest.raises(UserError, match=r"damaged|not as zerosum export writes it"):
        zerosum.load(folder)


CHANGES = {
    "format": lambda facts: facts["generator"].update(format=2),
    "latents of another size": lambda facts: facts["generator"].update(latent_size=5),
    "negative latents": lambda facts: facts["generator"].update(latent_size=-1),
    "huge latents": lambda facts: facts["generator"].update(latent_size=10**12),
    "classes": lambda facts: facts["generator"].update(classes=["a"]),
    "classes of numbers": lambda facts: facts["generator"].update(classes=[1]),
    "a translator": lambda facts: facts["generator"].update(latent_size=0, source_channels=3),
    "neither": lambda facts: facts["generator"].update(latent_size=0),
    "noise": lambda facts: facts["generator"].update(
        noise=[{"name": "noise_0", "channels": 1, "divisor": 1, "keep": 0.5}]
    ),
    "nan": lambda facts: facts["generator"].update(channels=float("nan")),
    "another width": lambda facts: facts["config"].update(hidden=[7]),
    "a huge width": lambda facts: facts["config"].update(hidden=[10**7, 10**7]),
    "another recipe": lambda facts: facts.update(recipe="cyclegan"),
    "no recipe": lambda facts: facts.update(recipe=None),
    "an unknown recipe": lambda facts: facts.update(recipe="nobody"),
    "code": lambda facts: facts.update(recipe="evil.py:RECIPE"),
    "no config": lambda facts: facts.pop("config"),
    "an unknown setting": lambda facts: facts["config"].update(nobody=1),
    "a shape of text": lambda facts: facts.update(image_shape="abc"),
    "no files": lambda facts: facts.pop("files"),
    "another sha256": lambda facts: facts["files"]["model.safetensors"].update(sha256="0" * 64),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_description_that_lies(folder, change):
    change_facts(folder, change)
    with pytest.raises(UserError):
        zerosum.load(folder)


def test_the_code_of_a_recipe_is_never_run_because_a_file_says_so(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("open('ran', 'w')")
    change_facts(folder, CHANGES["code"])
    with pytest.raises(UserError, match="whose code is not run"):
        zerosum.load(folder)
    assert not (tmp_path / "ran").exists()


def test_weights_that_were_changed(folder):
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="sha256 differs"):
        zerosum.load(folder)
    path.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        zerosum.load(folder)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 100])
def test_weights_that_are_none_but_match(folder, content):
    import hashlib

    (folder / "model.safetensors").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    change_facts(folder, lambda facts: facts["files"]["model.safetensors"].update(sha256=digest))
    with pytest.raises(UserError, match="not as zerosum export writes it"):
        zerosum.load(folder)


def test_weights_with_a_tensor_too_few(folder):
    import hashlib

    path = folder / "model.safetensors"
    tensors = safetensors.torch.load(path.read_bytes())
    tensors.pop(next(iter(tensors)))
    path.write_bytes(safetensors.torch.save(tensors))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    change_facts(folder, lambda facts: facts["files"]["model.safetensors"].update(sha256=digest))
    with pytest.raises(UserError, match="not as zerosum export writes it"):
        zerosum.load(folder)


def foreign():
    """An ONNX file of another program: adds 1."""
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 4])
    result = onnx.helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, ["n", 4])
    node = onnx.helper.make_node("Neg", ["x"], ["output"])
    graph = onnx.helper.make_graph([node], "g", [value], [result])
    return onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10
    )


def test_a_foreign_onnx_file(tmp_path, capsys):
    path = tmp_path / "model.onnx"
    path.write_bytes(foreign().SerializeToString())
    assert command(["sample", str(path), "--out", str(tmp_path / "s.png")]) == 2
    assert "another program" in capsys.readouterr().err


@pytest.mark.parametrize("told", ["{", "[]", "null", '{"format": 1}', "[" * 100_000])
def test_a_foreign_file_that_pretends(tmp_path, told):
    model = foreign()
    entry = model.metadata_props.add()
    entry.key, entry.value = "zerosum", told
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match="damaged"):
        Exported(path)


def described_as(master, tmp_path, change):
    """The exported file, with a description that does not fit it."""
    model = onnx.load_from_string((master / "model.onnx").read_bytes())
    told = json.loads(model.metadata_props[0].value)
    change(told)
    model.metadata_props[0].value = json.dumps(told)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_an_onnx_file_whose_inputs_are_others(master, tmp_path):
    path = described_as(master, tmp_path, lambda told: told.update(classes=["a", "b"]))
    with pytest.raises(UserError, match="says that it takes z, classes"):
        Exported(path)


@pytest.mark.parametrize("change", [{"latent_size": 9}, {"channels": 3}, {"image_size": [9, 9]}])
def test_an_onnx_file_that_makes_something_else(master, tmp_path, change):
    path = described_as(master, tmp_path, lambda told: told.update(change))
    with pytest.raises(UserError, match="does not do what it says"):
        Exported(path).sample(2)


@pytest.mark.parametrize("content", [b"", b"\x00" * 50, b"not onnx", None])
def test_a_damaged_onnx_file(master, tmp_path, content, capfd):
    path = tmp_path / "model.onnx"
    path.write_bytes((master / "model.onnx").read_bytes()[:-50] if content is None else content)
    with pytest.raises(UserError, match=r"no ONNX file that can be run|another program"):
        Exported(path)
    assert capfd.readouterr().err == ""


def test_what_is_not_there(tmp_path, capsys):
    assert command(["sample", str(tmp_path / "no.onnx")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    with pytest.raises(UserError, match="no run"):
        zerosum.load(tmp_path)


def test_recipes_are_named_only_where_they_are_needed(master):
    for each in (master, master / "model.onnx"):
        with pytest.raises(UserError, match="leave out --recipe"):
            zerosum.load(each, recipe="my.py:RECIPE")
