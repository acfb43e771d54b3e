"""The readable example and the library are one GAN: the golden test of every refactoring."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import zerosum
from zerosum.data import load
from zerosum.hardware import tuned_processor

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "vanilla_gan.py"
ROUNDS = 20


def load_example():
    spec = importlib.util.spec_from_file_location("vanilla_gan", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
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
        weights = snapshot.group(ours)
        for name, expected in theirs.state_dict().items():
            assert torch.equal(weights[f"layers.{name}"], expected), f"{ours} {name}"
    assert f"\n{example_line}" in capsys.readouterr().out


def test_the_example_reads_the_digits_as_the_library_does():
    assert torch.equal(load_example().load_digits(), load("mnist").images.flatten(1))


def test_the_example_imports_nothing_of_the_package():
    assert "import zerosum" not in EXAMPLE.read_text()
    assert "from zerosum" not in EXAMPLE.read_text()


@pytest.mark.slow
def test_a_game_of_ones_own_is_trained_by_the_librarys_loop(tiny_images, tmp_path):
    """The example defines a net and a loss, and touches nothing of the library."""
    settings = [f"data={tiny_images}", "size=16", "epochs=2", "batch_size=8", "sample_every=1"]
    command = [sys.executable, str(ROOT / "examples" / "own_game.py"), *settings]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Epoch [2/2] Loss D: " in done.stdout
    assert "64 samples, the first of shape (16, 16, 1)" in done.stdout
    assert (tmp_path / "runs" / "boosted-tiny" / "generated_epoch_2.png").is_file()
    refused = subprocess.run([*command, "loss=hinge"], cwd=tmp_path, capture_output=True, text=True)
    assert "There is no setting 'loss'" in refused.stderr
