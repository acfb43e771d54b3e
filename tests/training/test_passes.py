from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from zerosum.game.core import Batch
from zerosum.training import distributed
from zerosum.training.passes import Stream, own_rows, power_iterations, shares

STREAM = Stream(torch.device("cpu"), 0, 0)


def game(*, parts=1, pack=1, net=None):
    player = SimpleNamespace(net=net or nn.Identity())
    return SimpleNamespace(parts=parts, pack=pack, batch_norm="global", G=player, D=player)


def batch_of(size):
    return Batch(torch.arange(float(size)).view(size, 1, 1, 1))


def dealt(size, *, world, parts, pack):
    """What each process plays of a batch, in its order: start, stop, whether it counts."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distributed, "world", lambda: world)
        for rank in range(world):
            patch.setattr(distributed, "rank", lambda rank=rank: rank)
            passes = list(shares(game(parts=parts, pack=pack), batch_of(size), STREAM))
            found.append(passes)
    return found


def test_one_process_that_plays_whole_batches_makes_one_pass():
    ((share, part),) = shares(game(), batch_of(5), STREAM)
    assert share is None
    assert len(part) == 5


@given(
    size=st.integers(1, 40),
    world=st.integers(2, 4),
    parts=st.integers(1, 3),
    pack=st.integers(1, 3),
)
def test_passes_tile_the_batch_in_whole_packs(size, world, parts, pack):
    found = dealt(size, world=world, parts=parts, pack=pack)
    assert len({len(passes) for passes in found}) == 1  # or processes would wait for one another
    counted = [
        (share, part)
        for passes in found
        for share, part in passes
        if share is not None and share.counts
    ]
    total = max(size // pack, 1) * pack
    assert [image for share, _ in counted for image in range(share.start, share.stop)] == [
        *range(total)
    ]
    assert all((share.stop - share.start) % pack == 0 for share, _ in counted)
    assert sum(share.weight for share, _ in counted) == pytest.approx(1)
    assert all(share.total == total for share, _ in counted)
    for share, part in counted:
        assert part.real.flatten().tolist() == [i % size for i in range(share.start, share.stop)]


@given(
    size=st.integers(1, 40),
    world=st.integers(2, 4),
    parts=st.integers(1, 3),
    pack=st.integers(1, 3),
)
def test_a_process_that_reads_its_own_images_alone_plays_the_same(size, world, parts, pack):
    whole, playing = batch_of(size), game(parts=parts, pack=pack)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distributed, "world", lambda: world)
        for rank in range(world):
            patch.setattr(distributed, "rank", lambda rank=rank: rank)
            start, stop = own_rows(playing, size)
            own = Batch(whole.real[start:stop], None, start, size)
            assert len(own) == size
            for one, other in zip(
                shares(playing, own, STREAM), shares(playing, whole, STREAM), strict=True
            ):
                assert torch.equal(one[1].real, other[1].real)
                assert torch.equal(one[0].reals, other[0].reals)
                assert (one[0].start, one[0].stop, one[0].total) == (
                    other[0].start,
                    other[0].stop,
                    other[0].total,
                )
            if size >= world * pack:
                assert stop - start <= -(-size // world) + pack * parts


def test_a_process_without_images_plays_somebodys_along_for_nothing():
    found = dealt(1, world=2, parts=1, pack=1)
    counts = [share.counts for passes in found for share, _ in passes]
    assert sorted(counts) == [False, True]
    (idle,) = (share for passes in found for share, _ in passes if not share.counts)
    assert idle.weight == 0
    assert idle.stop > idle.start


def test_spectral_norm_moves_on_once_for_all_parts():
    net = spectral_norm(nn.Linear(3, 3))
    playing = game(parts=3, net=net)
    before = [tensor.clone() for tensor in power_iterations(playing)]
    ends = []
    for _, part in shares(playing, batch_of(6), STREAM):
        net(part.real.expand(-1, 1, 1, 3))
        ends.append([tensor.clone() for tensor in power_iterations(playing)])
    assert before
    for later in ends[1:]:
        assert all(torch.equal(*pair) for pair in zip(ends[0], later, strict=True))
