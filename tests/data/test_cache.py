"""The cache of decoded images: the same pixels as from memory, whatever became of it meanwhile."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import zerosum.data.cache as cache_module
from zerosum.data import cache_entries, canvas, checked_files, gather
from zerosum.data.cache_entries import FILES, MANIFEST, PIXELS, entries, prune
from zerosum.data.pairs import load_pairs
from zerosum.data.sources import load
from zerosum.data.store import ImageStore, in_memory
from zerosum.errors import UserError
from zerosum.plots.grids import save_sample

ROW = 3 * 6 * 6


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "decoded"


@pytest.fixture
def photos(tmp_path, write_images):
    """30 images of 6×6, in two classes."""
    for name, count in (("cats", 17), ("dogs", 13)):
        write_images(tmp_path / "photos" / name, count, size=(6, 6))
    return tmp_path / "photos"


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that are decoded from now on."""
    names = []
    work = gather.read_image

    def count(content, wanted, **how):
        names.append(len(content))
        return work(content, wanted, **how)

    monkeypatch.setattr(gather, "read_image", count)
    return names


def the_only(folder):
    (entry,) = (path for path in folder.iterdir() if path.is_dir())
    return entry


def same(one, other):
    """Whether two sets are alike in all that a training, or its report, reads of them."""
    assert in_memory(one.images).dtype == other.images.dtype
    assert torch.equal(in_memory(one.images), in_memory(other.images))
    assert one.fingerprint() == other.fingerprint()
    assert (one.labels is None) == (other.labels is None)
    facts = ("shape", "classes", "skipped", "source_channels", "matched", "content", "report")
    for name in facts:
        assert getattr(one, name) == getattr(other, name), name
    return True


def from_both(source, **how):
    return load(source, tier="disk", **how), load(source, tier="memory", **how)


def test_an_image_is_the_same_from_disk(photos, cache):
    disk, memory = from_both(photos)
    assert isinstance(disk.images, ImageStore)
    assert same(disk, memory)
    assert str(the_only(cache)) in disk.images.kept


@pytest.mark.parametrize(
    "how", [{"size": (4, 5)}, {"channels": 1}, {"channels": 4}, {"size": (5, 5), "fit": "pad"}]
)
def test_whatever_is_done_to_it(photos, how, cache):
    assert same(*from_both(photos, **how))
    assert same(*from_both(photos))
    assert len(entries()) == 2


@pytest.mark.parametrize("split", ["train", "val"])
def test_what_is_held_out_is_the_same(photos, split, decoded):
    assert same(*from_both(photos, split=split, hold_out=0.3))
    num_decoded = len(decoded)
    load(photos, split="test", hold_out=0.3, tier="disk")
    assert len(decoded) == num_decoded, "both sides are of one entry"


def test_gaps_are_closed_where_files_are_no_images(photos, cache):
    (photos / "cats" / "0.png").write_text("hello")
    save_sample(Image.new("RGB", (6, 6)), photos / "dogs" / "2.png")
    for _ in range(2):
        disk, memory = from_both(photos)
        assert same(disk, memory)
        assert len(disk) == 28
    with pytest.raises(UserError, match="cannot be decoded"):
        load(photos, tier="disk", strict=True)


def test_gray_images_stay_gray_and_one_colour_makes_all_rgb(tmp_path, write_images):
    folder = tmp_path / "gray"
    write_images(folder, 8, gray=True)
    disk, memory = from_both(folder)
    assert same(disk, memory)
    assert disk.shape == (1, 16, 16)
    Image.new("RGB", (16, 16), "red").save(folder / "9.png")
    disk, memory = from_both(folder)
    assert same(disk, memory)
    assert disk.shape == (3, 16, 16)


def test_values_and_changes_are_told_alike_when_nothing_is_decoded(tmp_path):
    folder = tmp_path / "deep"
    folder.mkdir()
    for level in range(3):
        values = np.full((4, 6), 100 * level, np.uint16)
        Image.fromarray(values).save(folder / f"{level}.png")
    how = {"size": (2, 2), "value_range": (0.0, 300.0)}
    memory = load(folder, tier="memory", **how)
    assert memory.report.values
    for _ in range(2):
        assert same(load(folder, tier="disk", **how), memory)


def test_an_archive_too(photos, tmp_path, decoded):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in photos.rglob("*.png"):
            archive.write(file, file.relative_to(photos))
    assert same(*from_both(path))
    num_decoded = len(decoded)
    load(path, tier="disk")
    assert len(decoded) == num_decoded


@pytest.mark.parametrize("matched", [True, False])
@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_pairs_too(tmp_path, write_images, matched, direction):
    for domain, count in (("A", 7), ("B", 7 if matched else 4)):
        write_images(tmp_path / "pairs" / domain, count, size=(6, 6), gray=domain == "A")
    for hold_out, split in ((0, "train"), (0.4, "train"), (0.4, "val")):
        disk, memory = (
            load_pairs(
                tmp_path / "pairs",
                split=split,
                size=None,
                channels=None,
                direction=direction,
                matched=matched,
                hold_out=hold_out,
                tier=tier,
            )
            for tier in ("disk", "memory")
        )
        assert isinstance(disk.images, ImageStore)
        assert same(disk, memory)


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_images_of_two_halves_too(tmp_path, write_images, direction):
    write_images(tmp_path / "pairs", 7, size=(6, 12))
    how = {"split": "train", "size": None, "channels": None, "direction": direction}
    disk, memory = (load_pairs(tmp_path / "pairs", tier=t, **how) for t in ("disk", "memory"))
    assert disk.shape == (6, 6, 6)
    assert same(disk, memory)


def test_it_is_decoded_once(photos, decoded, capfd):
    first = load(photos, tier="disk")
    assert len(decoded) == 30
    again = load(photos, tier="disk")
    assert len(decoded) == 30
    assert same(first, again)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("change", ["content", "content and its time", "added", "removed"])
def test_a_changed_file_is_noticed(photos, change):
    load(photos, tier="disk")
    file = photos / "cats" / "3.png"
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    if change == "removed":
        file.unlink()
    elif change == "added":
        (photos / "cats" / "new.png").write_bytes(file.read_bytes())
    else:
        content = (photos / "dogs" / "3.png").read_bytes()
        file.write_bytes(content)
        if change == "content and its time":
            os.utime(file, ns=times)
    assert same(*from_both(photos))


def flip(file, place):
    with file.open("r+b") as stream:
        stream.seek(place)
        byte = stream.read(1)
        stream.seek(place)
        stream.write(bytes([byte[0] ^ 1]))


def cut(file, place):
    os.truncate(file, place)


@pytest.mark.parametrize("damage", [flip, cut])
@pytest.mark.parametrize("file", [PIXELS, FILES, MANIFEST])
def test_a_damaged_entry_is_noticed_and_built_anew(photos, cache, capfd, file, damage):
    before = load(photos, tier="disk").fingerprint()
    path = the_only(cache) / file
    damage(path, path.stat().st_size // 2)
    assert load(photos, tier="disk").fingerprint() == before
    assert "are damaged" in capfd.readouterr().err
    assert load(photos, tier="disk").fingerprint() == before
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("file", [PIXELS, FILES, MANIFEST])
def test_an_entry_of_which_a_file_is_gone_is_built_anew(photos, cache, capfd, file):
    before = load(photos, tier="disk").fingerprint()
    (the_only(cache) / file).unlink()
    assert load(photos, tier="disk").fingerprint() == before
    assert "are damaged" in capfd.readouterr().err


class Stop(BaseException):
    """In the place of a kill."""


def interrupt(photos, monkeypatch, after):
    """Build until so many files are done."""
    put = cache_module.DiskCanvas.put
    done = []

    def stop(self, outcome, written):
        if len(done) == after:
            raise Stop
        done.append(outcome)
        put(self, outcome, written)

    with monkeypatch.context() as patched:
        patched.setattr(cache_module.DiskCanvas, "put", stop)
        with pytest.raises(Stop):
            load(photos, tier="disk")


def test_building_goes_on_where_it_was(photos, monkeypatch, decoded, cache):
    interrupt(photos, monkeypatch, after=11)
    assert the_only(cache).name.endswith(".building")
    decoded.clear()
    assert same(load(photos, tier="disk"), load(photos, tier="memory"))
    assert len(decoded) == 30 - 11 + 30


def test_but_not_with_what_is_damaged(photos, monkeypatch, decoded, cache):
    interrupt(photos, monkeypatch, after=11)
    third = json.loads((the_only(cache) / FILES).read_text().splitlines()[3])["name"]
    folder, number = third.removesuffix(".png").split("/")
    flip(the_only(cache) / PIXELS, (int(number) + 17 * (folder == "dogs")) * ROW + 7)
    with (the_only(cache) / FILES).open("ab") as file:
        file.write(b'{"name": "cats/1')  # as a kill may leave it
    decoded.clear()
    assert same(load(photos, tier="disk"), load(photos, tier="memory"))
    assert len(decoded) == 30 - 10 + 30


def test_nor_with_a_file_that_has_changed(photos, monkeypatch):
    interrupt(photos, monkeypatch, after=11)
    (photos / "cats" / "0.png").write_bytes((photos / "cats" / "1.png").read_bytes())
    assert same(load(photos, tier="disk"), load(photos, tier="memory"))


def test_a_file_that_changes_while_it_is_built_is_an_error(photos, monkeypatch):
    known = cache_module.DiskCanvas.known

    def meanwhile(self):
        (photos / "cats" / "0.png").write_bytes((photos / "cats" / "1.png").read_bytes())
        return known(self)

    with monkeypatch.context() as patched:
        patched.setattr(cache_module.DiskCanvas, "known", meanwhile)
        with pytest.raises(UserError, match="have changed while they were decoded"):
            load(photos, tier="disk")
    assert same(*from_both(photos))


KILLED = """
import sys, time
from zerosum.data import cache, gather
from zerosum.data.sources import load
whole = gather.read_image
def slowly(*args, **how):
    time.sleep(0.05)
    print("one", flush=True)
    return whole(*args, **how)
gather.read_image, cache.FLUSH_SECONDS = slowly, 0
load(sys.argv[1], tier="disk")
"""


@pytest.mark.slow
def test_a_killed_process_leaves_what_the_next_goes_on_with(photos, cache, decoded):
    command = [sys.executable, "-c", KILLED, str(photos)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    for _ in range(12):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert the_only(cache).name.endswith(".building")
    assert same(load(photos, tier="disk"), load(photos, tier="memory"))
    assert 30 < len(decoded) < 30 + 30 - 5


def test_two_that_build_the_same_do_it_once(photos, decoded, capfd):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(load(photos, tier="disk"))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same(*found)
    assert len(decoded) == 30


def test_a_full_disk_is_one_message_and_loses_nothing(photos, decoded, full_disk, cache):
    with full_disk(20 * ROW), pytest.raises(UserError, match=r"File too large.*data cache --prune"):
        load(photos, tier="disk")
    assert not any(not path.name.endswith(".building") for path in cache.iterdir() if path.is_dir())
    assert same(*from_both(photos))


def test_a_disk_on_which_they_would_not_fit_is_said_before_they_are_decoded(
    photos, monkeypatch, decoded
):
    free = type("Usage", (), {"free": 30 * ROW - 1})
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda path: free)
    with pytest.raises(UserError, match=r"would take 0\.0 GiB.*are free.*ZEROSUM_CACHE"):
        load(photos, tier="disk")
    assert len(decoded) < 30
    decoded.clear()
    with pytest.raises(UserError, match=r"would take 0\.3 GiB.*are free.*ZEROSUM_CACHE"):
        load(photos, size=(2000, 2000), channels=3, tier="disk")
    assert decoded == []


def test_what_does_not_fit_in_memory_goes_to_disk_by_itself(photos, monkeypatch):
    memory = load(photos)
    for size in (None, (6, 6)):  # known after the first image, or before
        monkeypatch.setattr(canvas, "memory_bytes", lambda: 2 * 30 * ROW - 1)
        disk = load(photos, size=size)
        assert isinstance(disk.images, ImageStore)
        assert torch.equal(in_memory(disk.images), memory.images)
        monkeypatch.setattr(canvas, "memory_bytes", lambda: 2 * 30 * ROW)
        assert isinstance(load(photos, size=size).images, torch.Tensor)


def test_what_is_one_array_is_not_for_the_disk(tiny_images):
    for source in ("ring", tiny_images):
        with pytest.raises(UserError, match="--data-tier disk is for folders and archives"):
            load(source, tier="disk")
    with pytest.raises(UserError, match="--data-tier disk is for folders and archives"):
        load_pairs(
            "mnist-edges", split="train", size=None, channels=None, direction="AtoB", tier="disk"
        )


def test_what_is_used_is_listed_and_not_removed(photos, tmp_path, write_images, cache):
    assert entries() == []
    write_images(tmp_path / "others", 3)
    load(tmp_path / "others", tier="disk")
    images = load(photos, tier="disk")
    mine, others = entries()
    assert (mine.source, mine.shape) == (str(photos), (30, 3, 6, 6))
    assert mine.num_bytes > 30 * ROW
    assert mine.used >= others.used
    removed, kept = prune()
    assert [entry.source for entry in removed] == [str(tmp_path / "others")]
    assert [entry.source for entry in kept] == [str(photos)]
    assert len(images.images[:]) == 30
    del images
    assert [entry.source for entry in prune()[0]] == [str(photos)]
    assert list(cache.iterdir()) == []


def test_what_is_not_finished_is_listed_and_removed(photos, monkeypatch, cache):
    interrupt(photos, monkeypatch, after=5)
    (found,) = entries()
    assert (found.source, found.shape) == ("", ())
    assert prune() == ([found], [])
    assert list(cache.iterdir()) == []


def test_an_entry_that_is_removed_can_still_be_read_by_who_has_it_open(photos, cache):
    images = load(photos, tier="disk").images
    before = images[:]
    shutil.rmtree(the_only(cache))
    assert torch.equal(images[:], before)


def test_the_manifest_says_of_what_it_is(photos, cache):
    load(photos, tier="disk")
    manifest = json.loads(json.loads((the_only(cache) / MANIFEST).read_text())["manifest"])
    assert manifest["source"] == str(photos)
    assert manifest["shape"] == [30, 3, 6, 6]


def test_checksums_are_of_chunks(photos, cache, monkeypatch):
    monkeypatch.setattr(checked_files, "CHUNK", 1000)
    load(photos, tier="disk")
    entry = the_only(cache)
    sums = cache_module.verified(entry)["pixels"]
    assert len(sums) == -(-30 * ROW // 1000)
    flip(entry / PIXELS, 30 * ROW - 1)
    with pytest.raises(cache_module.Damaged, match=r"sha256 of pixels\.bin"):
        cache_module.verified(entry)


def test_waiting_for_another_process_is_said(photos, capfd):
    fcntl = pytest.importorskip("fcntl")
    load(photos, tier="disk")
    lock = next(path for path in cache_entries.folder().iterdir() if path.suffix == ".lock")
    with lock.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        waiting = threading.Thread(target=lambda: load(photos, tier="disk"))
        waiting.start()
        said = ""
        deadline = time.monotonic() + 20
        while "Waiting for it" not in said and time.monotonic() < deadline:
            said += capfd.readouterr().err
            time.sleep(0.01)
        assert "Waiting for it" in said
        assert waiting.is_alive()
    waiting.join()


@pytest.mark.parametrize("look", [1, 2])
def test_a_lock_may_go_at_any_look_at_it(tmp_path, monkeypatch, look):
    """Whoever has got a shard removes its lock: those who wait must not stumble over that."""
    pytest.importorskip("fcntl")
    lock, stat, looks = tmp_path / "lock", Path.stat, []

    def stat_of(path, **options):
        if path == lock:
            looks.append(path)
            if len(looks) == look:
                lock.unlink()
        return stat(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", stat_of)
        held = cache_entries.locked(lock, waiting="")
    with held:
        assert os.path.samestat(os.fstat(held.fileno()), lock.stat())
        assert cache_entries.locked_at_once(lock) is None


def test_what_goes_while_it_is_listed_is_not_listed(photos, cache):
    load(photos, tier="disk")
    (before,) = entries()
    (the_only(cache) / "gone").symlink_to(cache / "nowhere")
    assert entries() == [before]


def test_nobody_can_use_or_build_what_is_being_removed(photos, monkeypatch):
    pytest.importorskip("fcntl")
    load(photos, tier="disk")
    (entry,) = entries()
    lock = cache_entries.folder() / f"{entry.path.name}.lock"
    held = []
    remove = shutil.rmtree

    def removed(path):
        held.append(cache_entries.in_use(lock))
        remove(path)

    monkeypatch.setattr(cache_entries.shutil, "rmtree", removed)
    assert prune() == ([entry], [])
    assert held == [True]
    assert not lock.exists()


def test_what_another_has_removed_meanwhile_is_neither_removed_nor_kept(photos, monkeypatch):
    load(photos, tier="disk")
    listed = entries()
    shutil.rmtree(listed[0].path)
    monkeypatch.setattr(cache_entries, "entries", lambda: listed)
    assert prune() == ([], [])


def test_an_address_is_the_same_entry_from_every_folder(tmp_path, monkeypatch):
    from zerosum.data.decode import Format

    def key(source):
        return cache_module.key_of(source, [("a", "b")], Format(), kind="")

    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path)
    here, path = key("hf:owner/pets"), key("photos")
    monkeypatch.chdir(tmp_path / "a")
    assert key("hf:owner/pets") == here
    assert key("photos") != path
    assert key("../photos") == path


@pytest.mark.parametrize("line", [b"[]", b"3", b'"row"', b"null"])
def test_a_journal_ends_where_a_line_is_no_object(tmp_path, line):
    (tmp_path / "notes").write_bytes(b'{"a": 1}\n' + line + b'\n{"b": 2}\n')
    assert checked_files.whole_lines(tmp_path / "notes") == [{"a": 1}]
