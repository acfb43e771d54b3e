"""What `zerosum bench` measures, of small batches and of machines of our own making."""

import json
import math
import os

import pytest
import torch

import zerosum.bench as module
from zerosum.bench import (
    DEFAULT_RECIPES,
    LEAST_BATCH,
    Bench,
    Measured,
    advice,
    affordable_batch,
    bench,
    case_of,
    timed_in_turns,
)
from zerosum.errors import UserError
from zerosum.recipes import RECIPES
from zerosum.training import precision, roofline
from zerosum.training.roofline import Ceiling

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))


def ceiling(threads, rate=1e11):
    both = {"fp32": rate, "bf16": rate}
    return Ceiling(threads=threads, products=both, convolutions=both, channels_last=both, copy=1e10)


def measured(recipe="dcgan", *, half=50.0, last=110.0, bf16=0.5, **how):
    paces = {"all threads": 100.0, "half the threads": half, "channels_last": last}
    fixed = {"size": (28, 28), "channels": 1, "batch_size": 64, "timed_batch": 64}
    return Measured(
        recipe=recipe,
        images_per_second={way: pace for way, pace in paces.items() if pace is not None},
        bf16=bf16,
        **{**fixed, "roofline": 400.0, "bound": "convolutions", **how},
    )


def found(*rows, others=0.0):
    return Bench(
        device="a processor",
        processors=2,
        others=others,
        ceilings=[ceiling(2), ceiling(1)],
        measured=list(rows),
        seconds=60.0,
    )


class TestBench:
    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch):
        monkeypatch.setattr(module, "LEAST_SECONDS", 0)
        monkeypatch.setattr(precision, "SECONDS", 0.01)
        monkeypatch.setattr(roofline, "COPIED", 2**16)
        monkeypatch.setattr(module, "thread_counts", lambda most: (2, 1))

    def test_the_vanilla_recipe_is_timed_in_every_way_that_it_has(self):
        before = torch.get_rng_state(), torch.get_num_threads()
        told = []
        made = bench(["vanilla"], sizes=[(28, 28)], device="cpu", seconds=0.1, notice=told.append)
        (row,) = made.measured
        assert set(row.images_per_second) == {"all threads", "half the threads"}
        assert min(row.images_per_second.values()) > 0
        assert (row.recipe, row.batch_size, row.channels) == ("vanilla", 128, 1)
        assert LEAST_BATCH <= row.timed_batch <= 128
        assert row.bf16 > 0
        assert row.bound in ("products", "memory")
        assert [each.threads for each in made.ceilings] == [2, 1]
        assert told[-1] == "Training vanilla at 28×28."
        assert torch.equal(torch.get_rng_state(), before[0])
        assert torch.get_num_threads() == before[1]
        assert json.loads(json.dumps(made.json()))["measured"][0]["recipe"] == "vanilla"

    @pytest.mark.slow
    def test_convolutions_are_timed_with_the_channels_last_too(self):
        made = bench(["dcgan"], sizes=[(32, 32)], device="cpu", seconds=0.1)
        (row,) = made.measured
        assert "channels_last" in row.images_per_second
        assert row.channels == 3
        assert row.timed_batch == LEAST_BATCH < row.batch_size

    def test_auto_precision_need_not_measure_again(self, monkeypatch):
        bench(["vanilla"], sizes=[(28, 28)], device="cpu", seconds=0.1)
        monkeypatch.setattr(
            precision, "measure", lambda *_: pytest.fail("bf16 was measured a second time")
        )
        bench(["vanilla"], sizes=[(28, 28)], device="cpu", seconds=0.1)

    def test_the_load_before_is_kept(self, monkeypatch):
        monkeypatch.setattr(os, "getloadavg", lambda: (3.5, 1.0, 1.0))
        assert bench([], sizes=[], device="cpu", seconds=0.1).others == 3.5


@pytest.mark.parametrize("seconds", [3, math.inf, math.nan])
def test_too_little_time_is_refused_and_so_is_what_never_ends(seconds):
    said = f"--seconds was {seconds:g}: expected a number of at least 10"
    with pytest.raises(UserError, match=said):
        bench(seconds=seconds)


def test_a_recipe_that_nobody_knows_gets_the_closest():
    with pytest.raises(UserError, match="Did you mean 'dcgan'"):
        bench(["dcgna"], device="cpu")


class TestCases:
    @pytest.mark.parametrize("name", DEFAULT_RECIPES)
    def test_each_comes_in_both_sizes(self, name):
        pairs = 1 + (RECIPES[name].task != "generation")
        for size, channels in (((28, 28), 1), ((64, 64), 3)):
            _, _, config, images = case_of(name, size, CPU)
            assert images.shape == (channels * pairs, *size)
            assert len(images) == config.batch_size

    def test_digits_are_trained_as_mnist_is_and_others_as_ones_own_on_a_processor(self):
        assert case_of("wgan-gp", (28, 28), CPU)[2].n_critic == 1
        own = case_of("wgan-gp", (64, 64), CPU)[2]
        assert (own.n_critic, own.width) == (5, 32)
        assert case_of("wgan-gp", (64, 64), torch.device("cuda"))[2].width == 128


class TestBatch:
    @pytest.mark.parametrize(
        ("seconds", "expected"), [(1.0, 64), (0.6, 32), (0.3, 16), (0.0, LEAST_BATCH)]
    )
    def test_it_is_halved_until_a_round_fits(self, seconds, expected):
        config = RECIPES["dcgan"].configure({"data": "mnist"})
        rate = 1e11
        work = module.EXPECTED * rate * 1.0  # so that the whole takes a second
        best = ceiling(2, rate)
        assert affordable_batch(work, best, config, seconds=seconds) == expected

    def test_packs_stay_whole(self):
        config = RECIPES["dcgan"].configure({"data": "mnist", "pack": 8, "d_norm": "none"})
        assert affordable_batch(1e20, ceiling(2), config, seconds=1.0) == 8


def test_ways_take_turns_and_the_fastest_repetition_counts(monkeypatch):
    now, played = [0.0], []
    monkeypatch.setattr(module, "perf_counter", lambda: now[0])
    seconds = {"one": iter([9, 2, 5, 3]), "other": iter([9, 4, 4, 1])}

    def way(name):
        def play():
            played.append(name)
            now[0] += next(seconds[name])

        return play

    best = timed_in_turns({name: way(name) for name in seconds}, CPU, deadline=28.0)
    assert best == {"one": 2, "other": 4}  # the first ones warmed up, the third was the last
    assert played == ["one", "other"] * 3


class TestAdvice:
    def test_fp32_where_bf16_is_slower(self):
        first, second, third = advice(found(measured(), measured("r3gan", bf16=0.1, half=60.0)))
        assert first == "fp32: bf16 has 0.10 to 0.50 times its pace. --precision fp32"
        assert second == "2 threads: half as many have 0.50 to 0.60 times their pace"
        assert third.startswith("channels_last has 1.10 times the pace of the usual layout")

    def test_bf16_where_it_is_faster(self):
        first, *_ = advice(found(measured(bf16=1.6), measured(bf16=1.7)))
        assert first == "bf16: it has 1.60 to 1.70 times fp32's pace. --precision bf16"

    def test_each_its_own_where_they_differ(self):
        first, *_ = advice(found(measured(bf16=1.6), measured("vanilla", bf16=0.7)))
        assert first == "bf16 for dcgan, fp32 for the others. --precision auto"

    def test_fewer_threads_where_they_are_faster(self):
        second = advice(found(measured(half=120.0), measured("vanilla")))[1]
        assert second == "1 of 2 threads for dcgan: OMP_NUM_THREADS=1"

    def test_nothing_of_what_was_not_tried(self):
        assert advice(found(measured(half=None, last=None, bf16=None))) == []


def test_a_share_is_of_the_roofline_and_a_gain_of_the_usual_pace():
    row = measured()
    assert row.share == 0.25
    assert row.gain("half the threads") == 0.5
    assert row.fastest == "channels_last"
    assert measured(last=None).gain("channels_last") is None
