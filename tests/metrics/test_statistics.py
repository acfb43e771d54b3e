"""Files of statistics: what is read is what was written, and what pytorch-fid would write."""

import numpy as np
import pytest
import torch

from zerosum.errors import UserError
from zerosum.metrics.features import FeatureNet
from zerosum.metrics.frechet import Moments, distance_of_moments
from zerosum.metrics.statistics import are_statistics, read_statistics, write_statistics

NET = FeatureNet(name="mine", sha256="ab", resize="its own", classes=(), look=lambda images: None)


@pytest.fixture
def features():
    return torch.randn(40, 3, generator=torch.Generator().manual_seed(0))


def test_what_was_written_is_read(tmp_path, features):
    moments = Moments.of(features)
    write_statistics(tmp_path / "deep/stats.npz", moments, NET)
    assert are_statistics(tmp_path / "deep/stats.npz")
    found = read_statistics(tmp_path / "deep/stats.npz")
    assert (found.count, found.features, found.features_sha256) == (40, "mine", "ab")
    assert torch.equal(found.moments.mean, moments.mean)
    assert torch.allclose(found.moments.scatter, moments.scatter)
    found.require_net(NET, 3)


def test_so_is_what_tells_no_more_than_mu_and_sigma(tmp_path, features):
    array = features.numpy()
    np.savez(tmp_path / "stats.npz", mu=array.mean(axis=0), sigma=np.cov(array, rowvar=False))
    found = read_statistics(tmp_path / "stats.npz")
    assert (found.count, found.features, found.size) == (None, None, 3)
    assert distance_of_moments(found.moments, Moments.of(features)) == pytest.approx(0, abs=1e-5)
    assert found.card()["n"] is None


@pytest.mark.parametrize(
    ("changed", "size", "said"),
    [
        ({}, 4, "are of 3 features, and the net 'mine' gives 4"),
        ({"name": "other"}, 3, "made with the feature net 'mine': received 'other'"),
        ({"sha256": "cd"}, 3, "weights of sha256 'ab': received 'cd'"),
        ({"resize": "otherwise"}, 3, "way to resize 'its own': received 'otherwise'"),
    ],
)
def test_another_net_is_refused(tmp_path, features, changed, size, said):
    write_statistics(tmp_path / "stats.npz", Moments.of(features), NET)
    facts = {"name": "mine", "sha256": "ab", "resize": "its own", "classes": (), "look": None}
    with pytest.raises(UserError, match=said):
        read_statistics(tmp_path / "stats.npz").require_net(FeatureNet(**(facts | changed)), size)


@pytest.mark.parametrize(
    "arrays",
    [
        {"mu": np.ones(3), "sigma": np.ones((3, 2))},
        {"mu": np.ones((1, 3)), "sigma": np.ones((3, 3))},
        {"mu": np.array([np.nan]), "sigma": np.ones((1, 1))},
        {"mu": np.array(["a"]), "sigma": np.ones((1, 1))},
        {"mu": np.ones(0), "sigma": np.ones((0, 0))},
    ],
)
def test_what_is_no_mean_and_covariance(tmp_path, arrays):
    np.savez(tmp_path / "stats.npz", **arrays)
    assert are_statistics(tmp_path / "stats.npz")
    with pytest.raises(UserError, match=r"expected finite floats \(d,\) and \(d, d\)"):
        read_statistics(tmp_path / "stats.npz")


def test_images_and_damage_are_no_statistics(tmp_path):
    np.savez(tmp_path / "images.npz", images=np.zeros((3, 4, 4), np.uint8))
    (tmp_path / "damaged.npz").write_bytes(b"PK\x03\x04 and no more")
    for name in ("images.npz", "damaged.npz", "nowhere.npz", "."):
        assert not are_statistics(tmp_path / name)
    with pytest.raises(UserError, match="cannot be read"):
        read_statistics(tmp_path / "damaged.npz")
    with pytest.raises(UserError, match="cannot be read"):
        read_statistics(tmp_path / "images.npz")
