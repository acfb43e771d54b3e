import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zerosum.seeds import enter_stream, own_randomness, stream_seed

CPU = torch.device("cpu")
NAMES = st.lists(
    st.integers() | st.text(st.characters(codec="utf-8"), max_size=9), min_size=1, max_size=5
)


def test_a_stream_has_the_same_seed_on_every_machine_and_in_every_version():
    # Saved runs go on with these streams: a change here is a change of every run's format.
    assert stream_seed("turn", 0, 0) == 751029584147874019
    assert stream_seed("data", 0, 1) == 5833116220730740359


@given(NAMES)
def test_seeds_are_what_torch_and_numpy_take(where):
    assert 0 <= stream_seed(*where) < 2**63
    assert stream_seed(*where) == stream_seed(*where)


def test_streams_differ_in_purpose_seed_and_place():
    names = [(what, seed, n) for what in ("turn", "data") for seed in range(9) for n in range(9)]
    names += [("turn", 1, 11), ("turn", 11, 1), ("turn", 111)]
    assert len({stream_seed(*name) for name in names}) == len(names)


def test_the_name_alone_decides_what_is_drawn():
    enter_stream(CPU, "turn", 3, 17)
    first = torch.randn(5)
    torch.randn(100)
    enter_stream(CPU, "turn", 3, 17)
    assert torch.equal(torch.randn(5), first)
    enter_stream(CPU, "turn", 3, 18)
    assert not torch.equal(torch.randn(5), first)


def test_consecutive_streams_are_uncorrelated():
    draws = []
    for turn in range(200):
        enter_stream(CPU, "turn", 0, turn)
        draws.append(torch.randn(200))
    correlation = torch.corrcoef(torch.stack(draws))
    # Off the diagonal they are N(0, 1/200): of 19,900 none should be beyond six deviations.
    assert correlation.fill_diagonal_(0).abs().max() < 6 / 200**0.5
    assert abs(torch.stack(draws).mean()) < 6 / 200


@pytest.mark.parametrize("fails", [False, True])
def test_the_caller_gets_its_own_randomness_back(fails):
    torch.manual_seed(1)
    expected = torch.randn(3)
    torch.manual_seed(1)
    try:
        with own_randomness(CPU):
            enter_stream(CPU, "turn", 0)
            torch.randn(50)
            if fails:
                raise RuntimeError
    except RuntimeError:
        assert fails
    assert torch.equal(torch.randn(3), expected)
