import pytest
import torch


@pytest.fixture(autouse=True)
def same_weights_each_time():
    """Nets this small may start with every unit of a layer dead, if chance will have it."""
    torch.manual_seed(0)
