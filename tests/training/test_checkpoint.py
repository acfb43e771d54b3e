import errno
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zerosum.errors import UserError
from zerosum.training import checkpoint
from zerosum.training.checkpoint import FACTS, MANIFEST, TENSORS, Checkpoints, Damaged, Snapshot

FILES = (TENSORS, FACTS, MANIFEST)


def snapshot_of(number=0):
    return Snapshot({"G/w": torch.full((2,), float(number))}, {"progress": {"seen": number}})


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / "checkpoints")


def files_of(directory):
    return {
        path.relative_to(directory): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def first(checkpoints):
    return next(iter(checkpoints.newest()))[1]


TENSOR = st.builds(
    lambda shape, dtype, seed: (
        torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 100
    ).to(dtype),
    st.lists(st.integers(0, 4), max_size=4),
    st.sampled_from(
        [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool]
    ),
    st.integers(0, 2**32),
)
TEXT = st.text(st.characters(codec="utf-8"))
NUMBER = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


class TestRoundTrip:
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
    @given(
        tensors=st.dictionaries(
            st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1), TENSOR
        ),
        facts=JSON,
    )
    def test_what_is_read_is_what_was_saved(self, checkpoints, tensors, facts):
        shutil.rmtree(checkpoints.directory, ignore_errors=True)
        path = checkpoints.save(Snapshot(tensors, {"facts": facts}), seen=7)
        read = checkpoint.read(path)
        assert read.facts == {"facts": facts, "score": None}
        assert read.tensors.keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert read.tensors[name].dtype == tensor.dtype
            assert torch.equal(read.tensors[name], tensor)

    def test_edge_shapes(self, checkpoints):
        tensors = {
            "scalar": torch.tensor(3.0),
            "empty": torch.empty(0, 4),
            "bf16": torch.tensor([1.0, -2.5], dtype=torch.bfloat16),
            "int64": torch.tensor([2**62, -1]),
            "not finite": torch.tensor([float("inf"), float("-inf")]),
        }
        read = checkpoint.read(checkpoints.save(Snapshot(tensors, {}), seen=1)).tensors
        assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())
        assert read["scalar"].shape == ()

    def test_the_same_state_gives_the_same_bytes(self, checkpoints, tmp_path):
        first = checkpoints.save(snapshot_of(5), seen=5)
        second = Checkpoints(tmp_path / "others").save(snapshot_of(5), seen=5)
        assert files_of(first) == files_of(second)

    def test_nothing_is_pickled(self, checkpoints):
        path = checkpoints.save(snapshot_of(), seen=1)
        assert sorted(file.name for file in path.iterdir()) == sorted(FILES)
        for name in (FACTS, MANIFEST):
            json.loads((path / name).read_text())

    def test_facts_that_json_cannot_tell_are_refused(self, checkpoints):
        with pytest.raises(ValueError, match="JSON"):
            checkpoints.save(Snapshot({}, {"loss": float("nan")}), seen=1)
        assert list(checkpoints.directory.iterdir()) == []


class TestDamage:
    def test_no_bit_flips_unnoticed(self, checkpoints):
        path = checkpoints.save(snapshot_of(), seen=1, score=0.5)
        flips = 0
        for name in FILES:
            whole = (path / name).read_bytes()
            for index in range(len(whole)):
                # All bits of the manifest, which nothing vouches for; one of the other bytes.
                for bit in range(8) if name == MANIFEST else [index % 8]:
                    damaged = bytearray(whole)
                    damaged[index] ^= 1 << bit
                    (path / name).write_bytes(damaged)
                    assert isinstance(first(checkpoints), Damaged), (name, index, bit)
                    flips += 1
            (path / name).write_bytes(whole)
        assert flips > 2000
        assert isinstance(first(checkpoints), Snapshot)

    @pytest.mark.parametrize("name", FILES)
    def test_a_missing_file_is_named(self, checkpoints, name):
        path = checkpoints.save(snapshot_of(), seen=1)
        (path / name).unlink()
        with pytest.raises(Damaged, match=rf"{name}: No such file"):
            checkpoint.read(path)

    @pytest.mark.parametrize("name", FILES)
    @pytest.mark.parametrize("change", [lambda d: d[:-2], lambda d: b"", lambda d: d + b"\0"])
    def test_a_file_that_is_cut_short_or_longer_is_named(self, checkpoints, name, change):
        path = checkpoints.save(snapshot_of(), seen=1)
        whole = (path / name).read_bytes()
        (path / name).write_bytes(change(whole))
        with pytest.raises(Damaged, match=name):
            checkpoint.read(path)

    @pytest.mark.parametrize("manifest", [b"[]", b"3", b"null", b"{}", b'{"state.json": 1}'])
    def test_a_manifest_of_something_else_is_damage(self, checkpoints, manifest):
        path = checkpoints.save(snapshot_of(), seen=1)
        (path / MANIFEST).write_bytes(manifest)
        with pytest.raises(Damaged, match=MANIFEST):
            checkpoint.read(path)

    def test_the_newest_whole_one_comes_after_those_that_are_not(self, checkpoints):
        for number in (1, 2):
            checkpoints.save(snapshot_of(number), seen=number)
        (checkpoints.path(2) / TENSORS).write_bytes(b"")
        (newest, damage), (before, snapshot) = checkpoints.newest()
        assert (newest, before) == (2, 1)
        size = (checkpoints.path(1) / TENSORS).stat().st_size
        assert str(damage) == f"state.safetensors has 0 bytes, its manifest says {size}"
        assert snapshot.facts["progress"] == {"seen": 1}


class TestChoosing:
    @pytest.fixture
    def three(self, checkpoints):
        """The best of three is the oldest, which is kept for that."""
        for seen, score in ((10, 1.0), (20, 3.0), (30, 2.0)):
            checkpoints.save(snapshot_of(seen), seen=seen, score=score)
        return checkpoints

    @pytest.mark.parametrize(("name", "seen"), [("newest", 30), ("best", 10), ("20", 20), (20, 20)])
    def test_by_name_or_by_the_images_seen(self, three, name, seen):
        assert three.resolve(name) == seen
        assert three.load(name, pytest.fail).facts["progress"] == {"seen": seen}

    @pytest.mark.parametrize("name", ["7", "worst", "-20", " 20", ""])
    def test_one_that_is_not_kept_is_answered_with_those_that_are(self, three, name):
        with pytest.raises(UserError, match=f"no checkpoint '{name}'. It keeps: 10, 20, 30; "):
            three.resolve(name)

    def test_none_is_best_where_none_has_a_score(self, checkpoints):
        checkpoints.save(snapshot_of(), seen=1)
        with pytest.raises(UserError, match="no best checkpoint: nothing was evaluated"):
            checkpoints.resolve("best")

    def test_in_place_of_a_damaged_newest_comes_the_one_before(self, three):
        (three.path(30) / TENSORS).write_bytes(b"")
        notices = []
        assert three.load("newest", notices.append).facts["progress"] == {"seen": 20}
        (notice,) = notices
        assert notice.startswith(f"WARNING: damaged checkpoint {three.path(30)}: {TENSORS} has 0")
        assert notice.endswith("Falling back to 20 images.")
        with pytest.raises(UserError, match=r"30' is damaged: .* the run keeps 10, 20, 30"):
            three.load(30, pytest.fail)

    def test_without_any_that_is_whole(self, three, tmp_path):
        for seen in (10, 20, 30):
            (three.path(seen) / TENSORS).write_bytes(b"")
        with pytest.raises(UserError, match=r"is whole: .*30: .*20: .*10: .*Restore one"):
            three.read_newest_whole(pytest.fail)
        empty = Checkpoints(tmp_path / "nothing")
        assert empty.read_newest_whole(pytest.fail) is None
        with pytest.raises(UserError, match="has no checkpoint yet"):
            empty.load("newest", pytest.fail)


class TestKeeping:
    def save(self, checkpoints, scores):
        for number, score in enumerate(scores, start=1):
            checkpoints.save(snapshot_of(number), seen=number * 10, score=score)

    def test_the_newest_two_are_kept(self, checkpoints):
        self.save(checkpoints, [None] * 5)
        assert checkpoints.seen() == [40, 50]
        assert checkpoints.best() is None

    def test_they_are_ordered_as_numbers(self, checkpoints):
        for seen in (900, 1000, 9000, 10_000):
            checkpoints.save(snapshot_of(), seen=seen)
        assert checkpoints.seen() == [9000, 10_000]

    def test_so_is_the_best(self, checkpoints):
        self.save(checkpoints, [3.0, 1.0, 2.0, 2.5, 4.0])
        assert checkpoints.seen() == [20, 40, 50]
        assert checkpoints.best() == 20

    def test_a_better_one_takes_its_place(self, checkpoints):
        self.save(checkpoints, [3.0, 1.0, 2.0, 2.5, 0.5, 4.0, 5.0])
        assert checkpoints.seen() == [50, 60, 70]

    def test_of_equals_the_first_is_best(self, checkpoints):
        self.save(checkpoints, [1.0, 1.0])
        assert checkpoints.best() == 10

    def test_so_is_the_newest_that_was_healthy(self, checkpoints):
        for number, healthy in enumerate([True, True, False, False, False], start=1):
            checkpoints.save(snapshot_of(number), seen=number * 10, healthy=healthy)
        assert checkpoints.seen() == [20, 40, 50]
        assert checkpoints.last_healthy() == 20
        checkpoints.save(snapshot_of(6), seen=60, healthy=True)
        assert checkpoints.seen() == [50, 60]

    def test_an_unreadable_score_is_none(self, checkpoints):
        self.save(checkpoints, [1.0, 2.0])
        (checkpoints.path(10) / FACTS).write_bytes(b"\xff{")
        assert checkpoints.best() == 20

    def test_damaged_ones_crowd_no_good_one_out(self, checkpoints):
        # 30 and 40 turned out to be damaged, so the run went on from 20 and stopped at 25. To keep
        # "the newest two" by name would throw away the only ones that are whole.
        class KeepsAll(Checkpoints):
            KEEP = 9

        self.save(KeepsAll(checkpoints.directory), [4.0, 3.0, 2.0, 1.0])
        for seen in (30, 40):
            (checkpoints.path(seen) / TENSORS).write_bytes(b"")
        checkpoints.save(snapshot_of(), seen=25, score=2.5)
        assert checkpoints.seen() == [20, 25]
        assert isinstance(first(checkpoints), Snapshot)

    def test_a_damaged_one_is_replaced(self, checkpoints):
        self.save(checkpoints, [None, None])
        (checkpoints.path(20) / TENSORS).write_bytes(b"")
        checkpoints.save(snapshot_of(2), seen=20)
        assert [type(found) for _, found in checkpoints.newest()] == [Snapshot, Snapshot]

    def test_what_is_no_checkpoint_is_left_alone(self, checkpoints):
        checkpoints.directory.mkdir()
        (checkpoints.directory / "notes.txt").write_text("mine")
        self.save(checkpoints, [None] * 4)
        assert (checkpoints.directory / "notes.txt").read_text() == "mine"
        assert checkpoints.seen() == [30, 40]

    def test_no_directory_no_checkpoints(self, checkpoints):
        assert checkpoints.seen() == []
        assert list(checkpoints.newest()) == []


class FailsAt:
    """A function that does its work until, at one of its calls, the disk is full."""

    def __init__(self, function, number):
        self.function, self.number, self.calls = function, number, 0

    def __call__(self, *args, **kwargs):
        self.calls += 1
        if self.calls == self.number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.function(*args, **kwargs)


class Killed(BaseException):
    """Stands for a kill: nothing after it runs, not even cleaning up."""


STEPS = {  # of a save with nothing to sweep: how often it asks what of the disk
    (Path, "mkdir"): 2,
    (Path, "open"): 3,
    (os, "fsync"): 5,  # three files, and the directory before and after its renaming
    (Path, "rename"): 1,
}


class TestAFullDisk:
    @pytest.mark.parametrize(
        ("owner", "name", "number"),
        [(*step, number) for step, count in STEPS.items() for number in range(1, count + 1)],
    )
    def test_at_any_step_leaves_the_older_ones_whole(
        self, checkpoints, monkeypatch, owner, name, number
    ):
        for seen in (1, 2):
            checkpoints.save(snapshot_of(seen), seen=seen)
        before = files_of(checkpoints.directory)
        failing = FailsAt(getattr(owner, name), number)
        with monkeypatch.context() as patch:
            # A plain function, so that a Path method still gets its path.
            patch.setattr(owner, name, lambda *args, **kwargs: failing(*args, **kwargs))
            with pytest.raises(OSError, match="No space left"):
                checkpoints.save(snapshot_of(3), seen=3)
            assert failing.calls == number

        after = files_of(checkpoints.directory)
        # When only the last flush fails, the new one is there as well, and whole.
        assert {path: data for path, data in after.items() if path.parts[0] != "3"} == before
        assert all(isinstance(found, Snapshot) for _, found in checkpoints.newest())
        assert not [path for path in checkpoints.directory.iterdir() if not path.name.isdecimal()]

        checkpoints.save(snapshot_of(3), seen=3)
        assert checkpoints.seen() == [2, 3]
        assert first(checkpoints).facts["progress"] == {"seen": 3}

    @pytest.mark.parametrize("number", range(1, 5))
    def test_a_file_or_folder_that_cannot_be_opened_leaves_whole_ones(
        self, checkpoints, monkeypatch, number
    ):
        """Of what is there already it may be told or not: a read that fails costs no save."""
        for seen in (1, 2):
            checkpoints.save(snapshot_of(seen), seen=seen)
        failing = FailsAt(os.open, number)
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", failing)
            with suppress(OSError):
                checkpoints.save(snapshot_of(3), seen=3)
            assert failing.calls >= number
        assert set(checkpoints.seen()) & {2, 3}
        assert all(isinstance(found, Snapshot) for _, found in checkpoints.newest())
        checkpoints.save(snapshot_of(4), seen=4)
        assert checkpoints.seen()[-1] == 4
        assert first(checkpoints).facts["progress"] == {"seen": 4}

    def test_these_are_all_the_steps(self, checkpoints, monkeypatch):
        counted = {step: FailsAt(getattr(*step), number=0) for step in STEPS}
        with monkeypatch.context() as patch:
            for (owner, name), step in counted.items():
                patch.setattr(owner, name, lambda *args, step=step, **kwargs: step(*args, **kwargs))
            checkpoints.save(snapshot_of(), seen=1)
        assert {key: step.calls for key, step in counted.items()} == STEPS


@pytest.mark.parametrize("step", range(1, 9))
def test_a_kill_at_any_step_leaves_whole_checkpoints_only(checkpoints, monkeypatch, step):
    for seen in (1, 2):
        checkpoints.save(snapshot_of(seen), seen=seen)
    calls = 0

    def killed_at_step(function):
        def run(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls >= step:
                raise Killed
            return function(*args, **kwargs)

        return run

    with monkeypatch.context() as patch:
        for owner, name in ((os, "fsync"), (Path, "rename"), (shutil, "rmtree")):
            patch.setattr(owner, name, killed_at_step(getattr(owner, name)))
        with pytest.raises(Killed):
            checkpoints.save(snapshot_of(3), seen=3)

    found = list(checkpoints.newest())
    assert all(isinstance(snapshot, Snapshot) for _, snapshot in found)
    assert {2} <= {seen for seen, _ in found} <= {1, 2, 3}

    checkpoints.save(snapshot_of(4), seen=4)
    assert not list(checkpoints.directory.glob(".*"))
    assert checkpoints.seen()[-1] == 4
