"""The readable example and the library are one GAN: the golden test of every refactoring."""

import importlib.util
from pathlib import Path

import numpy as np
import torch

import zerosum
from zerosum.data import load
from zerosum.training.machine import tuned_processor
from zerosum.training.state import group

EXAMPLE = Path(__file__).parent.parent / "examples" / "vanilla_gan.py"
ROUNDS = 20


def load_example():
    spec = importlib.util.spec_from_file_location("vanilla_gan", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_and_the_library_reach_identical_weights(tmp_path, capsys):
    images = load("mnist").images[: ROUNDS * 128]
    np.savez(tmp_path / "digits.npz", images=images.squeeze(1).numpy())

    with tuned_processor():  # only to set denormals back: the example leaves them flushed
        G, D = load_example().train(images.flatten(1), epochs=1)
    example_line = capsys.readouterr().out.strip()
    run = zerosum.train("vanilla", data=str(tmp_path / "digits.npz"), epochs=1, out=tmp_path / "r")

    snapshot = next(run.directory.checkpoints.newest())[1]
    assert snapshot.facts["progress"]["turns"] == 2 * ROUNDS
    for ours, theirs in (("G", G), ("D", D)):
        weights = group(snapshot, ours)
        for name, expected in theirs.state_dict().items():
            assert torch.equal(weights[f"layers.{name}"], expected), f"{ours} {name}"
    assert capsys.readouterr().out.startswith(example_line)


def test_the_example_reads_the_digits_as_the_library_does():
    assert torch.equal(load_example().load_digits(), load("mnist").images.flatten(1))


def test_the_example_imports_nothing_of_the_package():
    assert "import zerosum" not in EXAMPLE.read_text()
    assert "from zerosum" not in EXAMPLE.read_text()
