"""The cache gives back what was kept, and nothing that was damaged."""

import pytest
import torch

from zerosum.metrics.cache import (
    content_key,
    keeps_tensors,
    read_json,
    read_tensors,
    write_json,
    write_tensors,
)

KEY = content_key("a test")


def test_tensors_come_back_bit_for_bit():
    tensors = {"count": torch.tensor(3), "mean": torch.rand(5, dtype=torch.float64)}
    write_tensors(KEY, tensors)
    found = read_tensors(KEY)
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_json_comes_back():
    write_json(KEY, {"fid": 0.5, "classes": {"0": 1.0}})
    assert read_json(KEY) == {"fid": 0.5, "classes": {"0": 1.0}}


def test_what_was_not_kept_is_absent():
    assert read_tensors(KEY) is None
    assert read_json(KEY) is None


@pytest.mark.parametrize("suffix", ["safetensors", "safetensors.sha256"])
def test_one_flipped_bit_makes_it_absent(cache, suffix):
    write_tensors(KEY, {"mean": torch.rand(50)})
    path = cache / f"{KEY}.{suffix}"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert read_tensors(KEY) is None


def test_an_entry_is_replaced_and_leaves_no_rest(cache):
    write_json(KEY, 1)
    write_json(KEY, 2)
    assert read_json(KEY) == 2
    assert {path.name for path in cache.iterdir()} == {f"{KEY}.json", f"{KEY}.json.sha256"}


def test_a_place_that_cannot_be_written_is_no_error(cache):
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    write_json(KEY, 1)
    assert read_json(KEY) is None


def test_keys_tell_parts_apart():
    assert content_key("ab", "c") != content_key("a", "bc")


def test_what_a_kill_has_left_is_swept_when_its_entry_is_written_again(cache):
    write_json(KEY, 1)
    (cache / f".{KEY}.json.999999999.writing").write_bytes(b"half of it")
    write_json(KEY, 1)
    assert {path.name for path in cache.iterdir()} == {f"{KEY}.json", f"{KEY}.json.sha256"}


def test_a_cache_that_may_not_be_looked_at_keeps_nothing(monkeypatch):
    monkeypatch.setenv("ZEROSUM_CACHE", "/" + "x" * 300)  # too long a name: an error for root too
    assert not keeps_tensors(KEY)
    assert read_tensors(KEY) is None
