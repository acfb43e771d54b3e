"""Which part of the work is this process's."""

import pytest

from zerosum.errors import UserError
from zerosum.inference.work_share import WorkShare, own_work_share


def test_all_of_it_where_nobody_says_otherwise(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "4")  # as some schedulers set it for themselves
    assert own_work_share() == WorkShare(rank=0, world=1)


def test_each_has_its_own_and_together_they_have_all(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    units = []
    for rank in "021":
        monkeypatch.setenv("RANK", rank)
        units += own_work_share().of(8)
    assert sorted(units) == list(range(8))


@pytest.mark.parametrize(
    ("rank", "world", "said"),
    [
        ("2", "2", "rank 2 of 2"),
        ("-1", "2", "rank -1 of 2"),
        ("0", "0", "WORLD_SIZE is '0'"),
        ("a", "2", "RANK was 'a'"),
        ("0", "b", "WORLD_SIZE is 'b'"),
    ],
)
def test_no_such_rank(monkeypatch, rank, world, said):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", world)
    with pytest.raises(UserError, match=said):
        own_work_share()
