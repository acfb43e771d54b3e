"""Sweeps whose trainings are feigned: a run directory with a log, in milliseconds."""

import pytest

from zerosum.recipes import RECIPES
from zerosum.sweeps.plan import make_plan
from zerosum.sweeps.space import read_space
from zerosum.training.run_directory import RunDirectory


@pytest.fixture
def make_a_plan():
    def make(over="lr=1e-4..1e-2:log", *, metric="frechet_digits", recipe="vanilla", **settings):
        known = RECIPES[recipe]
        return make_plan(
            recipe,
            read_space(over, known),
            metric,
            known.configure(settings),
            given=settings,
            inherited={},
            sampler_seed=0,
        )

    return make


@pytest.fixture
def feign(monkeypatch):
    """Let a training of four looks come to `score(config, look)`, which may raise instead."""

    def feigned(score):
        trained = []

        def train_config(recipe, config, *, out, fresh=False, callback, **_):
            directory = RunDirectory(out)
            directory.path.mkdir(parents=True, exist_ok=True)
            if fresh:
                directory.remove()
            begun = directory.history().seen
            settings = config.model_dump(mode="json") | {"epochs": 4, "images": None}
            directory.write_config({"recipe": recipe, "num_images": 10, "config": settings})
            trained.append((directory.path.name, begun, config))
            callback.begin(seen=begun, budget=40, images_per_epoch=10)
            for look in range(begun // 10 + 1, 5):
                metrics = {"frechet_digits": score(config, look)}
                record = {"epoch": look, "seen": 10 * look, "metrics": metrics}
                directory.append_log({"loss_D": 1.0, "loss_G": 1.0, **record})
                callback.tick(record)
            callback.end()
            return type("Run", (), {"directory": directory})

        monkeypatch.setattr("zerosum.sweeps.trial.train_config", train_config)
        monkeypatch.setattr("zerosum.sweeps.sweep.train_config", train_config)
        return trained

    return feigned
