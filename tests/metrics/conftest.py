"""What the tests of metrics share: features with known metrics, a cache of their own, nets."""

import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """No test reads what another, or the user, has kept."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("ZEROSUM_CACHE", str(folder))
    return folder / "metrics"


@pytest.fixture(scope="session")
def two_sets():
    """1,500 and 1,200 features of two Gaussians, from numpy's generator, which is frozen.

    Constants that tests compare with were computed from them by running the functions of
    torch-fidelity 0.4.0 (metric_fid, metric_kid, metric_isc, metric_prc) and prdc 0.2, cut free of
    their imports.
    """
    numbers = np.random.RandomState(0)
    first = numbers.randn(1500, 16).astype(np.float32) * np.float32(1.1) + np.float32(0.1)
    second = numbers.randn(1200, 16).astype(np.float32)
    return torch.from_numpy(first), torch.from_numpy(second)
