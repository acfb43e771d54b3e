"""Where images are kept changes nothing: trainings from the disk end as those from memory do."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import zerosum
from zerosum.errors import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "decoded"


@pytest.fixture
def photos(tmp_path, write_images):
    for name in ("cats", "dogs"):
        write_images(tmp_path / "photos" / name, 23)
    return tmp_path / "photos"


def left_behind(run):
    """All that a training leaves that must not depend on where its images are kept."""
    folder = run.path
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    for record in log:
        for timed in ("images_per_second", "seconds"):
            record.pop(timed, None)
    states = sorted(folder.glob("checkpoints/*/*.safetensors"))
    assert states
    pictures = [path.read_bytes() for path in sorted(folder.glob("*.png"))]
    data = json.loads((folder / "config.json").read_text())["data_sha256"]
    facts = (folder / "data.json").read_text()
    return [path.read_bytes() for path in states], log, pictures, data, facts


TINY = {"device": "cpu", "epochs": 2, "batch_size": 10, "quiet": True, "evaluate_every": 1}
SMALL_NETS = {"nets": "mlp", "hidden": (12,), "latent_size": 4}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "how"),
    [
        ("dcgan", SMALL_NETS | {"hold_out": 0.3, "hflip": True}),
        ("cgan", SMALL_NETS | {"size": (12, 8), "fit": "pad"}),
        ("wgan-gp", SMALL_NETS | {"channels": 1, "n_critic": 2}),
    ],
)
def test_generation(photos, tmp_path, recipe, how):
    runs = [
        zerosum.train(recipe, data=photos, data_tier=tier, out=tmp_path / tier, **(TINY | how))
        for tier in ("memory", "disk")
    ]
    assert left_behind(runs[0]) == left_behind(runs[1])


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "evaluate_every"), [("pix2pix", 1), ("cyclegan", 0)])
def test_translation(tmp_path, write_images, recipe, evaluate_every):
    for domain, count in (("A", 9), ("B", 9 if recipe == "pix2pix" else 7)):
        write_images(tmp_path / "domains" / domain, count)
    runs = [
        zerosum.train(
            recipe,
            data=tmp_path / "domains",
            data_tier=tier,
            hold_out=0.4,
            width=2,
            out=tmp_path / tier,
            **TINY
            | {"epochs": None, "images": 4, "batch_size": 2}
            | {"evaluate_every": evaluate_every},
        )
        for tier in ("memory", "disk")
    ]
    assert left_behind(runs[0]) == left_behind(runs[1])


@pytest.mark.slow
def test_a_run_goes_on_from_another_tier(photos, tmp_path):
    how = {"data": photos, "hold_out": 0.3, **SMALL_NETS, **TINY}

    def train(name, tier, epochs):
        how["epochs"] = epochs
        return zerosum.train("dcgan", out=tmp_path / name, data_tier=tier, **how)

    whole = train("whole", "memory", 3)
    train("parts", "memory", 1)
    train("parts", "disk", 2)
    (photos.parent / "cache").rename(tmp_path / "gone")
    parts = train("parts", "disk", 3)
    states = [
        max(run.path.glob("checkpoints/*/*.safetensors"), key=lambda path: int(path.parent.name))
        for run in (whole, parts)
    ]
    assert states[0].read_bytes() == states[1].read_bytes()


@pytest.mark.slow
def test_a_run_does_not_go_on_with_a_changed_file(photos, tmp_path):
    how = {"data": photos, "data_tier": "disk", "out": tmp_path / "run", **SMALL_NETS, **TINY}
    zerosum.train("dcgan", **how)
    (photos / "cats" / "0.png").write_bytes((photos / "dogs" / "0.png").read_bytes())
    with pytest.raises(UserError, match="are not those the run has seen"):
        zerosum.train("dcgan", **how | {"epochs": 3})


@pytest.mark.slow
def test_a_run_from_the_disk_is_evaluated_as_one_from_memory(photos, tmp_path):
    run = zerosum.train(
        "dcgan", data=photos, hold_out=0.3, out=tmp_path / "run", **SMALL_NETS, **TINY
    )
    found = []
    for tier in ("memory", "disk"):
        config = json.loads((run.path / "config.json").read_text())
        config["config"]["data_tier"] = tier
        (run.path / "config.json").write_text(json.dumps(config))
        found.append(zerosum.evaluate(run.path, metrics="fid", features="random", count=10))
    assert found[0] == found[1]


MEGABYTES, LIMIT, SIDE = 240, 90, 256

LIMITED = """
import json, os, resource, sys
from pathlib import Path

import torch
import zerosum
from zerosum.data import checked_files, loader, store
from zerosum.data.loader import Loader
from zerosum.data.sources import load

source, out, tier, limit = sys.argv[1:]

def private():
    lines = Path("/proc/self/status").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) // 1024 for line in lines if " kB" in line}

torch.set_num_threads(1)
# All that is in memory at a time is of some MiB, whatever the size of the set: a smaller set then
# proves as much.
checked_files.CHUNK = store.CHUNK_BYTES = 2**20
loader.AHEAD_BYTES = 4 * 2**20
how = dict(device="cpu", batch_size=4, images=8, evaluate_every=0, quiet=True, width=4)
small = Path(out).with_name("few")
zerosum.train("dcgan", data=small, out=out + "-few", **how)  # all that is imported on the way

start = private()
limit = (start["VmData"] + int(limit)) * 2**20
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
try:
    images = load(source, tier=tier)
    dealer = Loader(images, batch_size=16, seed=0, device=torch.device("cpu"))
    total = 0
    for _ in range(-(-len(images) // 16)):
        total += len(dealer.next_batch()[0])
    zerosum.train("dcgan", data=source, data_tier=tier, out=out, **how)
except (MemoryError, RuntimeError, OSError, zerosum.errors.UserError) as error:
    print(json.dumps({"failed": repr(error)}))
    sys.exit()
print(json.dumps({"dealt": total, "grown": private()["RssAnon"] - start["RssAnon"]}))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_DATA as Linux counts it")
def test_memory_stays_flat_on_a_set_several_times_what_there_is(tmp_path):
    count = MEGABYTES * 2**20 // (3 * SIDE**2)
    numbers = np.random.default_rng(0)
    for folder, files in (("few", 8), ("many", count)):
        (tmp_path / folder).mkdir()
        for number in range(files):
            flat = np.full((SIDE, SIDE, 3), numbers.integers(0, 256, 3), np.uint8)
            Image.fromarray(flat).save(tmp_path / folder / f"{number}.png", compress_level=1)
    found = {}
    for tier in ("memory", "disk"):
        command = [sys.executable, "-c", LIMITED, tmp_path / "many", tmp_path / tier, tier]
        done = subprocess.run([*map(str, command), str(LIMIT)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found[tier] = json.loads(done.stdout.splitlines()[-1])
    assert "failed" in found["memory"], "the limit is one"
    assert found["disk"].get("dealt") == count, found
    assert found["disk"]["grown"] < LIMIT
