"""Runs that older versions have left in mid-epoch go on, and end as those versions ended them.

`fixtures/v0.1` was made by 0.1 (its make.py.txt says how): an interrupted run of each recipe, and
the hashes of what 0.1 itself came to from there. `fixtures/v0.2` has such a run of each form that
configs and checkpoints had on the way to 0.2. Arithmetic is held to what every x86-64 processor
computes alike, so that a hash of weights holds on all of them.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from zerosum.training.log import modern

FIXTURES = Path(__file__).parent / "fixtures"
EVERYWHERE_ALIKE = {
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OMP_NUM_THREADS": "1",
}
SMALL = (
    "--data data.npz --hidden 6 4 --latent-size 3 --batch-size 16 --epochs 6 --sample-every 2 "
    "--checkpoint-every 1 --evaluate-every 2 --ema-half-life 500"
)
COMMANDS = {  # as they were spelled then
    "v0.1/vanilla": "--data data.npz --hidden 16 8 --latent-size 8 --batch-size 16 --epochs 6 "
    "--sample-every 2 --checkpoint-every 2 --evaluate-every 2 --ema-half-life 500",
    "v0.1/acgan": "--data data.npz --width 2 --latent-size 4 --batch-size 16 --epochs 6 "
    "--sample-every 2 --checkpoint-every 2 --evaluate-every 3 --augment color,translation,cutout "
    "--augment-target 0.6 --flips --d-turns 2 --anneal budget --anneal-rate 0.1 "
    "--anneal-along line --ema-half-life 500",
    "v0.1/r3gan": "--data data.npz --width 4 --latent-size 4 --batch-size 16 --images 400 "
    "--sample-every 2 --checkpoint-every 2 --evaluate-every 0 --pack 2",
    "v0.1/cyclegan": "--data data --width 2 --blocks 1 --size 16 --pool 4 --batch-size 2 "
    "--epochs 6 --d-layers 1 --sample-every 2 --checkpoint-every 2 --evaluate-every 2",
    "v0.2/without-num-images": SMALL,
    "v0.2/without-restarts": SMALL,
    "v0.2/without-log-sha256": SMALL,
    "v0.2/with-log-sha256": SMALL,
}
NOT_EVALUATED = {"v0.1/cyclegan"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        torch.__version__.split("+")[0] != "2.13.0", reason="the hashes are those of torch 2.13.0"
    ),
]


ALL = """
import json, sys
from zerosum.cli.main import run
for tokens in json.loads(sys.argv[1]):
    if run(tokens):
        sys.exit(" ".join(tokens))
"""


@pytest.fixture(scope="module", params=COMMANDS)
def ended(request, tmp_path_factory):
    """An old run, looked at, gone on with to its end, and looked at again."""
    old = request.param
    recipe = old.removeprefix("v0.1/") if old.startswith("v0.1/") else "vanilla"
    folder = tmp_path_factory.mktemp("old") / recipe
    shutil.copytree(FIXTURES / old, folder)
    train = ["train", recipe, "--out", "run", "--seed", "3", "--device", "cpu"]
    go_on = [*train, *COMMANDS[old].split()]
    commands = [["translate", "run", "data/valA/0.png", "--out", "before.png"], go_on]
    commands += [["translate", "run", "data/valA", "--out", "translated"]]
    if recipe != "cyclegan":
        commands = [["sample", "run", "--out", "before.png"], go_on]
        sample = ["sample", "run", "-n", "8", "--out"]
        commands += [[*sample, "samples.npz"], [*sample, "samples_raw.npz", "--raw"]]
        commands += [[*sample, "best.npz", "--checkpoint", "best"]] * (recipe != "r3gan")
        commands += [["evaluate", "run", "--features", "random", "--metrics", "fid", "--json"]]
    # In one process, which has torch to load but once.
    done = subprocess.run(
        [sys.executable, "-c", ALL, json.dumps(commands)],
        cwd=folder,
        env={**os.environ, **EVERYWHERE_ALIKE, "ZEROSUM_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return old, folder, done.stdout


def expected(old):
    return json.loads((FIXTURES / old / "expected.json").read_text())


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def test_every_weight_is_as_it_was_left_then(ended):
    old, folder, _ = ended
    wanted = expected(old)
    state = folder / "run" / "checkpoints" / str(wanted["seen"]) / "state.safetensors"
    found = {
        name: digest(tensor.numpy()) for name, tensor in safetensors.torch.load_file(state).items()
    }
    assert {name: found.get(name) for name in wanted["tensors"]} == wanted["tensors"]


def test_its_log_is_as_it_was_written_then(ended):
    old, folder, _ = ended
    log = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    for record in log:
        del record["seconds"], record["images_per_second"]
    wanted = [modern(record) for record in expected(old)["log"]]
    if old == "v0.1/r3gan":  # whose budget ends in mid-epoch, which 0.1 rounded up
        assert (wanted[-1]["epoch"], wanted[-1]["seen"]) == (7, 400)
        wanted[-1]["epoch"] = 400 / 64
    assert [modern(record) for record in log] == wanted


def test_it_is_sampled_as_it_was_then(ended):
    old, folder, _ = ended
    wanted = expected(old)
    assert (folder / "before.png").stat().st_size > 100
    if old == "v0.1/cyclegan":
        images = [
            np.asarray(Image.open(path)) for path in sorted((folder / "translated").iterdir())
        ]
        assert digest(np.stack(images)) == wanted["translated"]
        return
    for name in ("samples", "samples_raw", "best"):
        if wanted[name] is not None:
            assert digest(np.load(folder / f"{name}.npz")["images"]) == wanted[name]


@pytest.mark.parametrize("ended", sorted(COMMANDS.keys() - NOT_EVALUATED), indirect=True)
def test_it_is_evaluated_as_it_was_then(ended):
    old, _, printed = ended
    found = json.loads(printed[printed.index('{\n  "metrics"') :])["metrics"]
    values = {name: result["value"] for name, result in found.items()}
    assert values == pytest.approx(expected(old)["evaluate"], rel=1e-9)
