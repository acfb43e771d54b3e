"""Read back from trackio's SQLite. In processes of their own: it takes its folder when imported."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("trackio", reason="needs trackio: pip install 'zerosum[trackio]'")
pytestmark = pytest.mark.slow

CODE = """
import json, pathlib, sys
import zerosum
settings = json.loads(sys.argv[1])
for epochs in (2, 3):
    run = zerosum.train("vanilla", epochs=epochs, log="trackio", quiet=True, **settings)
from trackio.sqlite_storage import SQLiteStorage
name = json.loads(run.directory.loggers_path.read_text())["run"]
logs = SQLiteStorage.get_logs("zerosum", name)
config = SQLiteStorage.get_run_config("zerosum", name)
assert SQLiteStorage.get_runs("zerosum") == [name]
print(json.dumps([logs, config, run.log()], default=str))
"""


def test_a_run_that_goes_on_is_read_back_with_each_step_once(tiny_images, tmp_path):
    settings = {
        **{
            "data": str(tiny_images),
            "out": str(tmp_path / "run"),
            "hidden": [12],
            "latent_size": 4,
        },
        **{"batch_size": 16, "sample_every": 1, "evaluate_every": 1, "device": "cpu"},
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(settings)],
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    logs, config, records = json.loads(done.stdout)  # and so trackio printed nothing of its own
    assert [entry["step"] for entry in logs] == [40, 80, 120]
    for entry, record in zip(logs, records, strict=True):
        assert entry["loss_D"] == pytest.approx(record["loss_D"])
        assert entry["health"].startswith(record["health"]["verdict"])
        assert entry["samples"]["_type"] == "trackio.image"
    best = min(record["metrics"]["frechet_random"] for record in records)
    assert logs[-1]["best/frechet_random"] == pytest.approx(best)
    assert config["batch_size"] == 16
    assert len(list((tmp_path / "trackio").rglob("*.png"))) == 3
