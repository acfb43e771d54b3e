import pytest
import torch

from zerosum.cli import doctor
from zerosum.cli.doctor import doctor_table, facts
from zerosum.hardware import flushes_denormals
from zerosum.training.precision import STANDARD


@pytest.fixture
def machine(monkeypatch):
    """Makes a machine of devices on which bf16 has these paces in products and convolutions."""

    def make(*paces, devices=("cpu",)):
        of_product = dict(zip(STANDARD.values(), paces, strict=True))

        def measure(products, device):
            assert flushes_denormals()  # as in a training
            assert str(device) in devices
            ((product, _),) = products.items()
            return of_product[product]

        monkeypatch.setattr(doctor, "measure", measure)
        monkeypatch.setattr(doctor, "available_devices", lambda: list(devices))

    return make


def row(device="cpu"):
    (found,) = [found for found in facts() if found[0] == f"bf16 against fp32, {device}"]
    return found[1:]


@pytest.mark.parametrize(
    ("paces", "advice"),
    [
        ((0.52, 0.6), "--precision fp32, the default, is faster"),
        ((1.05, 0.99), "--precision auto measures which is faster for a recipe"),
        ((1.5, 1.1), "--precision bf16 is faster"),
        ((1.5, 0.6), "--precision auto measures which is faster for a recipe"),
    ],
)
def test_bf16_is_measured_and_what_follows_is_said(machine, paces, advice):
    machine(*paces)
    products, convolutions = paces
    found = f"{products:.2f} times the pace in products, {convolutions:.2f} in convolutions"
    assert row() == (found, advice)


def test_each_device_is(machine):
    machine(1.9, 2.4, devices=("cuda:0", "cuda:1", "cpu"))
    for device in ("cuda:0", "cuda:1", "cpu"):
        assert row(device)[0] == "1.90 times the pace in products, 2.40 in convolutions"


def test_the_session_is_as_it_was(machine):
    machine(1.0, 1.0)
    before = torch.get_num_threads(), torch.backends.cudnn.benchmark
    assert doctor_table().row_count == len(list(facts()))
    assert not flushes_denormals()
    assert (torch.get_num_threads(), torch.backends.cudnn.benchmark) == before


def test_the_processor_is_named(machine, monkeypatch):
    machine(1.0, 1.0)
    monkeypatch.setattr(doctor, "device_name", lambda device: f"the {device.type} of this test")
    (found,) = [found for found in facts() if found[0] == "processors"]
    assert found[1].endswith(", the cpu of this test")
