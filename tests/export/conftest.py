"""Runs to export, of any recipe, without a training: a checkpoint of random weights."""

import pytest
import torch

from zerosum.data.spec import DataSpec
from zerosum.game.sampling import Generator
from zerosum.inference.run import Run
from zerosum.recipes import RECIPES, build_generator
from zerosum.training.checkpoint import Snapshot
from zerosum.training.run_directory import RunDirectory

SEEN = 640


def save_run(path, recipe, *, spec=None, data=None, log=True, **settings):
    """Write the directory of a run whose G has random weights, none of them 0, and open it."""
    known = RECIPES[recipe]
    if spec is None:
        translates = "translation" in known.task
        spec = DataSpec(
            shape=(4, 16, 16) if translates else (3, 16, 16),
            classes=() if translates else ("cat", "dog"),
            source_channels=3 if translates else 0,
        )
    settings = {**({} if data is None else {"data": data}), **settings}
    if known.configure(settings).model_dump().get("nets") == "mlp":
        settings.setdefault("hidden", (12, 20))
    else:
        settings.setdefault("width", 8)
    if recipe == "cyclegan":
        settings.setdefault("blocks", 1)
    config = known.configure(settings)
    torch.manual_seed(3)
    G = build_generator(known, config, spec, device=torch.device("cpu"))
    with torch.no_grad():
        for parameter in G.net.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    directory = RunDirectory(path)
    directory.path.mkdir(parents=True)
    directory.write_config(
        {
            "zerosum": "0.2",
            "recipe": recipe,
            "image_shape": list(spec.shape),
            "classes": list(spec.classes),
            "source_channels": spec.source_channels,
            "num_images": 320,
            "data_path": str(path / "secret"),
            "data_sha256": "ab" * 32,
            "config": config.model_dump(mode="json"),
        }
    )
    if log:
        directory.append_log(
            {
                "epoch": 2,
                "seen": SEEN,
                "images_per_second": 100.0,
                "seconds": 6.4,
                "metrics": {"frechet_digits": 12.5},
                "health": {"verdict": "healthy", "why": "", "alarm": False},
            }
        )
    tensors = {f"average/{name}": each for name, each in G.net.state_dict().items()}
    tensors |= {f"G/{name}": each + 0.01 for name, each in G.net.state_dict().items()}
    tensors = {name: each.contiguous().clone() for name, each in tensors.items()}
    directory.checkpoints.save(
        Snapshot(tensors, {"progress": {"seen": SEEN}}), seen=SEEN, score=12.5
    )
    return Run(path)


@pytest.fixture(scope="session")
def save_run_anew():
    """The function above, for tests."""
    return save_run


@pytest.fixture
def tiny_G():
    """A generator of 8×8 images, small enough that its export takes a second."""
    config = RECIPES["vanilla"].configure({"hidden": (6,), "latent_size": 4})
    spec = DataSpec(shape=(1, 8, 8))
    torch.manual_seed(0)
    G = build_generator(RECIPES["vanilla"], config, spec, device=torch.device("cpu"))
    assert isinstance(G, Generator)
    return G.eval(), spec
