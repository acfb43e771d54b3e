import json
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from zerosum import recipes
from zerosum.data.images import ImageSet
from zerosum.game.core import Batch
from zerosum.preparation import build_game
from zerosum.training import precision
from zerosum.training.precision import (
    HEAVIEST,
    LEAST,
    SECONDS,
    STANDARD,
    Listener,
    Product,
    bf16_pace,
    fastest,
    heaviest_products,
    measure,
    stopwatch,
)

CPU, META = torch.device("cpu"), torch.device("meta")
LINEAR = Product("linear", (128, 100), (256, 100), work=6 * 128 * 100 * 256)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def heard(layer, *shape):
    """What is computed when a layer is given a batch of that shape."""
    with Listener() as listener:
        layer(torch.zeros(shape))
    return listener.heard


LAYERS = {
    "linear": (nn.Linear(24, 40), (8, 24)),
    "of rows of rows": (nn.Linear(24, 40), (8, 3, 24)),
    "convolution": (nn.Conv2d(4, 6, 3, padding=1), (8, 4, 9, 7)),
    "strided": (nn.Conv2d(4, 6, 4, stride=2, padding=1, bias=False), (8, 4, 8, 8)),
    "in groups": (nn.Conv2d(8, 12, 3, groups=4), (8, 8, 9, 9)),
    "same": (nn.Conv2d(4, 6, 3, padding="same", dilation=2), (2, 4, 9, 9)),
    "transposed": (
        nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1),
        (8, 6, 5, 5),
    ),
    "transposed, in groups": (nn.ConvTranspose2d(8, 4, 4, stride=2, groups=2), (3, 8, 5, 5)),
}


@pytest.mark.parametrize("name", LAYERS)
class TestProduct:
    def test_its_work_is_three_times_what_torch_counts_forward(self, name):
        layer, shape = LAYERS[name]
        (product,) = heard(layer, *shape)
        with FlopCounterMode(display=False) as counter:  # backward it overlooks groups
            layer(torch.zeros(shape))
        assert 3 * counter.get_total_flops() == product.work

    @pytest.mark.parametrize("share", [0.4, 0.03, 1e-9])
    def test_a_piece_of_it_can_be_computed_and_has_as_much_work_as_it_says(self, name, share):
        (product,) = heard(LAYERS[name][0], *LAYERS[name][1])
        piece = product.within(share * product.work)
        with FlopCounterMode(display=False) as counter:
            assert stopwatch(piece, CPU)(True) > 0
        # At the borders of an image, and of few rows, it is not quite in proportion.
        assert 0.2 < piece.work / counter.get_total_flops() < 5
        assert piece.work < product.work

    def test_with_time_enough_all_of_it_is_run(self, name):
        (product,) = heard(LAYERS[name][0], *LAYERS[name][1])
        assert product.within(product.work) == product.within(math.inf) == product


def test_a_standard_piece_has_the_work_that_is_asked_for():
    for product in STANDARD.values():
        assert 0.5e8 < product.within(1e8).work < 1.5e8
        with FlopCounterMode(display=False) as counter, torch.device(META):
            leaves = [torch.empty(product.batch), torch.empty(product.weight)]
            precision.FUNCTIONS[product.function](*leaves, **dict(product.shaping))
        assert counter.get_total_flops() == product.work / 3


class TestListener:
    def test_it_counts_and_changes_nothing(self):
        layer, batch = nn.Linear(3, 5), torch.randn(4, 3)
        expected = layer(batch)
        with Listener() as listener:
            for _ in range(3):
                assert torch.equal(layer(batch), expected)
            F.relu(batch) @ batch.T  # which no weight takes part in
        assert listener.heard == {Product("linear", (4, 3), (5, 3), work=6 * 4 * 3 * 5): 3}

    def test_arguments_may_be_named(self):
        batch, weight = torch.zeros(2, 3, 8, 8), torch.zeros(5, 3, 4, 4)
        with Listener() as listener:
            F.conv2d(batch, weight=weight, bias=torch.zeros(5), stride=2)
            F.conv2d(batch, weight, None, 2)
        work = 6 * 2 * 5 * 9 * 48
        expected = Product("conv2d", (2, 3, 8, 8), (5, 3, 4, 4), work, (("stride", 2),))
        assert listener.heard == {expected: 2}


def outline_of(recipe, **settings):
    """A recipe's game on "meta", and a mini-batch."""
    translates = recipes.get(recipe).task != "generation"
    config = recipes.get(recipe).configure(settings).settled(10_000)
    count, channels = config.batch_size, 6 if translates else 1
    images = ImageSet(
        images=torch.zeros(count, channels, 64, 64, dtype=torch.uint8),
        labels=None if translates else torch.zeros(count, dtype=torch.int64),
        classes=() if translates else ("a", "b"),
        name="none",
        source_channels=3 if translates else 0,
    )
    labels = None if translates else torch.empty(count, dtype=torch.int64, device=META)
    batch = Batch(torch.empty(count, *images.shape, device=META), labels)
    return build_game(recipe, config, images, device=META), batch


class TestHeaviest:
    def test_of_the_vanilla_gan_it_is_what_meets_the_pixels(self):
        outline, batch = outline_of("vanilla", batch_size=32, hidden=(64, 256))
        found = heaviest_products(outline, batch)
        pixels = 64 * 64
        # G makes 32 fakes on each turn; D judges 32 reals and fakes on its own, fakes on G's.
        images = dict.fromkeys([(pixels, 256), (256, pixels)], 0)
        for product, times in found.items():
            if pixels in product.weight:
                images[product.weight] += product.batch[0] * times
        assert images == {(pixels, 256): 64, (256, pixels): 96}

    @pytest.mark.parametrize("recipe", recipes.RECIPES)
    def test_every_recipe_has_some_the_heaviest_first(self, recipe):
        outline, batch = outline_of(recipe)
        found = heaviest_products(outline, batch)
        work = [product.work * times for product, times in found.items()]
        assert len(found) == HEAVIEST
        assert work == sorted(work, reverse=True)

    def test_batches_in_parts_are_measured_in_parts(self):
        outline, batch = outline_of("vanilla", batch_size=32, grad_accumulation=4)
        assert {product.batch[0] for product in heaviest_products(outline, batch)} <= {8, 16}

    def test_random_numbers_stay_as_they_were(self):
        outline, batch = outline_of("sngan", batch_size=4)
        before = torch.get_rng_state()
        heaviest_products(outline, batch)
        measure({LINEAR: 1}, CPU)
        assert torch.equal(torch.get_rng_state(), before)

    def test_what_cannot_be_played_without_values_is_left_out(self):
        class Peeking(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(64 * 64, 1)

            def forward(self, images, condition):
                logits = self.layer(images.flatten(1))
                return logits * logits.mean().item()

        outline, batch = outline_of("vanilla", batch_size=4)
        object.__setattr__(outline.D, "net", Peeking().to(META))
        weights = {product.weight for product in heaviest_products(outline, batch)}
        assert (1, 64 * 64) in weights


class Machine:
    """A machine with a clock of its own, on which a product takes as long as it is told."""

    def __init__(self, monkeypatch, *, fp32=1e11, bf16=1e11, disturbed=()):
        self.paces = (fp32, bf16)
        self.now = 0.0
        self.disturbed = set(disturbed)
        self.runs = []
        monkeypatch.setattr(precision, "perf_counter", lambda: self.now)
        monkeypatch.setattr(precision, "stopwatch", self.stopwatch)

    def stopwatch(self, piece, device, *, channels_last=False):
        def repeat(bf16):
            self.runs.append((piece, bf16))
            seconds = piece.work / self.paces[bf16]
            seconds += 0.05 * (len(self.runs) - 1 in self.disturbed)
            self.now += seconds
            return seconds

        return repeat


class TestFastest:
    @pytest.fixture
    def product(self):
        return STANDARD["convolutions"]

    def test_the_seconds_are_those_of_the_whole(self, monkeypatch, product):
        Machine(monkeypatch, fp32=2e11, bf16=1e11)
        single, half = fastest(product, CPU, deadline=0.1)
        assert single == pytest.approx(product.work / 2e11)
        assert half == pytest.approx(product.work / 1e11)

    def test_disturbances_do_not_count(self, monkeypatch, product):
        Machine(monkeypatch, fp32=2e11, bf16=1e11, disturbed={0, 1, 2, 4, 5, 7})
        single, half = fastest(product, CPU, deadline=0.1)
        assert single / half == pytest.approx(0.5)

    def test_a_fast_machine_runs_all_of_it(self, monkeypatch, product):
        machine = Machine(monkeypatch, fp32=1e14, bf16=4e14)
        fastest(product, CPU, deadline=0.1)
        assert machine.runs[-1][0] == product
        assert machine.now >= 0.1

    def test_where_bf16_is_hopeless_a_small_piece_tells(self, monkeypatch, product):
        machine = Machine(monkeypatch, fp32=1e11, bf16=1e9)
        single, half = fastest(product, CPU, deadline=0.1)
        assert len({piece for piece, _ in machine.runs}) == 1
        assert machine.now < 0.2
        assert single / half == pytest.approx(0.01)

    def test_precisions_take_turns(self, monkeypatch, product):
        machine = Machine(monkeypatch)
        fastest(product, CPU, deadline=0.1)
        assert [bf16 for _, bf16 in machine.runs] == [False, True] * (len(machine.runs) // 2)


class TestMeasure:
    def test_what_is_computed_more_often_counts_more(self, monkeypatch):
        seconds = {LINEAR: (1.0, 2.0), STANDARD["products"]: (8.0, 1.0)}
        monkeypatch.setattr(precision, "fastest", lambda product, *_, deadline: seconds[product])
        assert measure({LINEAR: 1}, CPU) == 0.5
        assert measure({LINEAR: 4, STANDARD["products"]: 1}, CPU) == (4 * 1 + 8) / (4 * 2 + 1)

    @pytest.mark.parametrize("bf16", [1e8, 1e9, 1e10, 1e12])
    def test_it_takes_well_under_a_second_however_slow_bf16_is(self, monkeypatch, bf16):
        machine = Machine(monkeypatch, fp32=1e11, bf16=bf16)
        products = {STANDARD["convolutions"]: 3, STANDARD["products"]: 2, LINEAR: 1}
        assert measure(products, CPU) == pytest.approx(bf16 / 1e11)
        assert machine.now < SECONDS + (1 + LEAST) * 2e7 * 1.5 / bf16 + 0.1

    def test_it_computes_in_one_thread_and_gives_the_others_back(self, monkeypatch):
        seen = []

        def look(*_, deadline):
            seen.append(torch.get_num_threads())
            return 1.0, 1.0

        monkeypatch.setattr(precision, "fastest", look)
        before = torch.get_num_threads()
        try:
            torch.set_num_threads(2)
            measure({LINEAR: 1}, CPU)
            assert (seen, torch.get_num_threads()) == ([1], 2)
        finally:
            torch.set_num_threads(before)

    def test_it_runs(self):
        assert 1e-4 < measure({LINEAR: 1}, CPU) < 1e4


class TestMemory:
    @pytest.fixture
    def measured(self, monkeypatch):
        """The products that were measured; bf16 is found to be faster each time."""
        found = []

        def fake(products, device):
            found.append(products)
            return float(len(found))

        monkeypatch.setattr(precision, "measure", fake)
        return found

    def test_a_machine_is_measured_once(self, measured):
        assert [bf16_pace({LINEAR: 1}, CPU) for _ in range(3)] == [1.0, 1.0, 1.0]
        assert measured == [{LINEAR: 1}]

    def test_other_products_are_measured_again(self, measured):
        assert bf16_pace({LINEAR: 1}, CPU) == 1.0
        assert bf16_pace({LINEAR: 2}, CPU) == 2.0
        assert bf16_pace({LINEAR.within(1e6): 1}, CPU) == 3.0

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("zerosum.training.precision.device_identity", lambda device: ("another",)),
            ("torch.__version__", "99.0"),
        ],
    )
    def test_so_is_another_machine_or_torch(self, measured, monkeypatch, name, value):
        bf16_pace({LINEAR: 1}, CPU)
        monkeypatch.setattr(name, value)
        assert bf16_pace({LINEAR: 1}, CPU) == 2.0

    def test_what_is_damaged_is_measured_again(self, measured, cache):
        bf16_pace({LINEAR: 1}, CPU)
        (entry,) = cache.rglob("*.json")
        assert json.loads(entry.read_text()) == 1.0
        entry.write_text("9.0")
        assert bf16_pace({LINEAR: 1}, CPU) == 2.0


def test_a_single_thread_is_timed_without_what_others_take(monkeypatch):
    monkeypatch.setattr(precision, "perf_counter", lambda: pytest.fail("the wall's clock"))
    with precision.one_thread():
        assert stopwatch(LINEAR, CPU)(False) > 0


def test_channels_can_lie_last(monkeypatch):
    seen = []

    def convolve(batch, weight, **how):
        seen.append(
            [each.is_contiguous(memory_format=torch.channels_last) for each in (batch, weight)]
        )
        return F.conv2d(batch, weight, **how)

    monkeypatch.setitem(precision.FUNCTIONS, "conv2d", convolve)
    piece = STANDARD["convolutions"].within(1e7)
    for last in (False, True):
        stopwatch(piece, CPU, channels_last=last)(False)
    assert seen == [[False, False], [True, True]]
