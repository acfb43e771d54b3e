"""What a machine can do at best, and what a round asks of it."""

import pytest
import torch
from torch import nn

from zerosum import recipes
from zerosum.data.spec import DataSpec
from zerosum.game.core import Batch
from zerosum.training import roofline
from zerosum.training.precision import STANDARD
from zerosum.training.roofline import (
    BYTES_OF_STEP,
    Ceiling,
    Load,
    ceiling,
    computing_in,
    copy_rate,
    counting_work,
    thread_counts,
    traffic_of_round,
)

CPU, META = torch.device("cpu"), torch.device("meta")
CEILING = Ceiling(
    threads=2,
    products={"fp32": 100.0, "bf16": 200.0},
    convolutions={"fp32": 50.0, "bf16": 60.0},
    channels_last={"fp32": 40.0, "bf16": 90.0},
    copy=10.0,
)


class TestLoad:
    def test_arithmetic_adds_up_and_convolutions_take_the_better_layout(self):
        load = Load(products=300.0, convolutions=50.0, traffic=20.0)
        assert load.seconds(CEILING) == (300 / 100 + 50 / 50, "products")

    def test_the_larger_part_binds(self):
        assert Load(products=1.0, convolutions=50.0, traffic=0.0).seconds(CEILING)[1] == (
            "convolutions"
        )

    def test_memory_binds_where_it_takes_longer(self):
        load = Load(products=100.0, convolutions=0.0, traffic=30.0)
        assert load.seconds(CEILING) == (3.0, "memory")


class TestCeiling:
    @pytest.fixture
    def measured(self, monkeypatch):
        """What is measured, and in how many threads, on a machine that takes 2 s and 1 s each."""
        found = []

        def fastest(product, device, *, deadline, channels_last=False):
            found.append((product, channels_last, torch.get_num_threads()))
            return 2.0, 1.0

        monkeypatch.setattr(roofline, "fastest", fastest)
        monkeypatch.setattr(roofline, "copy_rate", lambda device, *, seconds: 7.0)
        return found

    def test_is_measured_in_so_many_threads_and_rates_are_of_the_whole(self, measured):
        before = torch.get_num_threads()
        found = ceiling(CPU, 3, seconds=1.0)
        products, convolutions = STANDARD["products"], STANDARD["convolutions"]
        assert measured == [
            (products, False, 3),
            (convolutions, False, 3),
            (convolutions, True, 3),
        ]
        assert torch.get_num_threads() == before
        assert found.products == {"fp32": products.work / 2, "bf16": products.work}
        assert found.channels_last["fp32"] == convolutions.work / 2
        assert (found.threads, found.copy) == (3, 7.0)

    def test_other_devices_have_no_number_of_threads(self, measured):
        assert ceiling(CPU, None, seconds=1.0).threads is None
        assert {threads for *_, threads in measured} == {torch.get_num_threads()}


def test_a_copy_counts_what_is_read_and_what_is_written(monkeypatch):
    monkeypatch.setattr(roofline, "COPIED", 2**16)
    clock = iter(range(1000))
    monkeypatch.setattr(roofline, "perf_counter", lambda: next(clock))
    assert copy_rate(CPU, seconds=0.0) == 2 * 2**16  # each reading of the clock is a second on


@pytest.mark.parametrize(("most", "counts"), [(1, (1,)), (2, (2, 1)), (3, (3, 1)), (16, (16, 8))])
def test_all_threads_and_half_of_them_are_tried(most, counts):
    assert thread_counts(most) == counts


def test_the_number_of_threads_is_set_back_whatever_happens():
    before = torch.get_num_threads()

    def fail():
        with computing_in(before + 1):
            assert torch.get_num_threads() == before + 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert torch.get_num_threads() == before


def test_work_is_counted_apart_forward_and_backward():
    linear, convolution = nn.Linear(24, 40), nn.Conv2d(4, 6, 3, padding=1)
    with counting_work() as work:
        linear(torch.zeros(8, 24)).sum().backward()
        convolution(torch.zeros(8, 4, 9, 7)).sum().backward()
    # The inputs need no gradient: one product forward, and one backward for the weight.
    assert work["products"] == 2 * 2 * 8 * 24 * 40
    assert work["convolutions"] == 2 * 2 * 8 * 9 * 7 * 4 * 6 * 9


def test_a_gradient_penalty_is_counted_too():
    """Three products in all: forward, the gradient of the images, and that of its square."""
    linear = nn.Linear(24, 40, bias=False)
    images = torch.zeros(8, 24, requires_grad=True)
    with counting_work() as work:
        (gradient,) = torch.autograd.grad(linear(images).sum(), images, create_graph=True)
        gradient.square().sum().backward(inputs=[linear.weight])
    assert work == {"products": 3 * 2 * 8 * 24 * 40, "convolutions": 0}


def test_traffic_is_what_backward_needs_and_the_steps():
    recipe = recipes.get("vanilla")
    config = recipe.configure({"data": "mnist", "hidden": (16, 8), "latent_size": 4})
    with META:
        outline = recipes.build("vanilla", config, DataSpec(shape=(1, 8, 8)), device=META)

    def traffic(size):
        return traffic_of_round(outline, Batch(torch.empty(size, 1, 8, 8, device=META), None))

    steps = BYTES_OF_STEP * outline.num_weights
    few, many, most = traffic(10), traffic(20), traffic(30)
    assert few > steps
    # The steps do not depend on the batch, all else grows with it.
    assert most - many == pytest.approx(many - few)
    assert many > few
