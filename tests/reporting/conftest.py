"""Runs that were never trained: a config, a log and a picture, as a training leaves them."""

import numpy as np
import pytest

from zerosum.plots.grids import grid
from zerosum.recipes import RECIPES
from zerosum.training.run_directory import RunDirectory


@pytest.fixture
def make_run(tmp_path, monkeypatch):
    """Make a run of four epochs in the folder where the test then runs; figures at each second."""
    monkeypatch.chdir(tmp_path)

    def make(
        name, *, figures=(9.0, 8.0), health="healthy", data="ab" * 32, version="0.2", **config
    ):
        directory = RunDirectory(name)
        directory.path.mkdir(parents=True)
        settings = RECIPES["vanilla"].config(**{"epochs": 4, **config})
        directory.write_config(
            {
                "zerosum": version,
                "recipe": "vanilla",
                "image_shape": [1, 4, 4],
                "classes": [],
                "data_sha256": data,
                "config": settings.model_dump(mode="json"),
            }
        )
        for epoch in range(1, 5):
            record = {"epoch": epoch, "seen": 10 * epoch, "loss_D": 1.0 / epoch, "loss_G": 1.5}
            if epoch % 2 == 0 and figures:
                record["figures"] = {"frechet_digits": figures[epoch // 2 - 1]}
                record["health"] = {
                    "verdict": health,
                    "alarm": health not in ("healthy", "forming"),
                }
            directory.append_log(record)
        pixels = np.full((4, 4, 4, 1), settings.seed % 256, np.uint8)
        directory.save_picture(grid(pixels), 4)
        return directory

    return make
