"""Sets of samples that are stopped, gone on with and shared: they end as if nothing had been."""

import json
import os
import re
import subprocess
import sys
import tarfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import zerosum
from zerosum.errors import UserError
from zerosum.inference import sample_forms, sample_sets
from zerosum.inference.sample_files import write_samples
from zerosum.inference.sample_sets import RECORD
from zerosum.plots.grids import Presentation

COUNT = 700  # three blocks
FORMS = [
    pytest.param("png", id="png"),
    pytest.param("webdataset", id="webdataset"),
    pytest.param(
        "parquet",
        id="parquet",
        marks=pytest.mark.skipif(not find_spec("pyarrow"), reason="the package pyarrow is missing"),
    ),
    pytest.param("npz", id="npz"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that nobody changes."""
    return trained(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def told_run(tmp_path_factory):
    """One whose G is told which of two classes to make."""
    return trained(tmp_path_factory.mktemp("told"), conditioning="concat")


def trained(folder, **more):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)
    np.savez(folder / "tiny.npz", images=images, labels=np.arange(40) % 2)
    settings = {"epochs": 1, "batch_size": 16, "hidden": (12, 20), "latent_size": 4, **more}
    settings |= {"data": str(folder / "tiny.npz"), "evaluate_every": 0, "ema_half_life": 60}
    return zerosum.train("vanilla", out=folder / "run", device="cpu", quiet=True, **settings)


@pytest.fixture(autouse=True)
def small_units(monkeypatch):
    """Let each unit hold one block."""
    monkeypatch.setattr(sample_forms, "MOST_BLOCKS", 1)


def place(folder, form):
    return folder / ("out.npz" if form == "npz" else "out")


def write(run, folder, form, **how):
    out = place(folder, form)
    kind = None if form == "npz" else form
    how = {"count": COUNT, "device": "cpu"} | how
    return write_samples(run, out, presentation=Presentation(), form=kind, **how)


def contents(folder):
    """All files by name; of arrays what is in them."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                found[path.name] = {name: arrays[name].tobytes() for name in arrays.files}
        elif path.name != RECORD:
            found[path.name] = path.read_bytes()
    return found


def num_files(folder):
    return sum(1 for _ in folder.iterdir())


def stop_after(monkeypatch, num_pieces, error):
    """Let sampling fail once so many pieces have been made."""
    before = sample_sets.told

    def told(pieces, advance):
        nonlocal num_pieces
        for piece in before(pieces, advance):
            if num_pieces == 0:
                raise error
            num_pieces -= 1
            yield piece

    monkeypatch.setattr(sample_sets, "told", told)
    return lambda: monkeypatch.setattr(sample_sets, "told", before)


@pytest.mark.parametrize("form", FORMS)
def test_one_that_was_stopped_ends_as_if_it_had_not_been(run, tmp_path, monkeypatch, form):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    write(run, whole, form)
    go_on = stop_after(monkeypatch, 1, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt, match="goes on where this one was"):
        write(run, stopped, form)
    go_on()
    assert write(run, stopped, form).endswith("700 images, of which 256 were there")
    assert contents(stopped) == contents(whole)
    if form == "npz":
        assert [path.name for path in stopped.iterdir()] == ["out.npz"]
    else:
        assert write(run, stopped, form).endswith("of which 700 were there")


def test_the_images_are_those_of_sample(run, tmp_path):
    write(run, tmp_path, "npz", seed=3)
    with np.load(tmp_path / "out.npz") as arrays:
        assert np.array_equal(arrays["images"], run.sample(COUNT, seed=3, device="cpu"))


def test_the_batch_size_changes_no_z_and_no_image_by_more_than_rounding(run):
    def made(batch_size):
        pieces = list(run.sampler(300, device="cpu", batch_size=batch_size).pieces(0, 300))
        assert max(len(piece.samples) for piece in pieces) == batch_size
        return (np.concatenate([getattr(p, name) for p in pieces]) for name in ("samples", "z"))

    samples, z = made(256)
    for batch_size in (1, 100):
        others, other_z = made(batch_size)
        assert np.array_equal(other_z, z)
        apart = np.abs(others.astype(int) - samples)
        assert apart.max() <= 1
        assert apart.mean() < 1e-3


def test_of_several_processes_each_makes_its_share(run, tmp_path, monkeypatch):
    write(run, tmp_path / "one", "webdataset")
    monkeypatch.setenv("WORLD_SIZE", "2")
    shares = {}
    for rank in "10":  # the first waits for the others
        monkeypatch.setenv("RANK", rank)
        shares[rank] = write(run, tmp_path / "two", "webdataset")
        made = len(contents(tmp_path / "two"))
        assert made == (1 if rank == "1" else 3)
    assert shares["1"] == ""
    assert shares["0"].endswith("700 images, of which 256 were there")
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


@pytest.mark.parametrize("form", FORMS)
def test_classes_that_are_mixed_in_a_later_block_leave_no_label_in_an_earlier(
    told_run, tmp_path, form
):
    weights = np.repeat(np.eye(2, dtype=np.float32), COUNT // 2, axis=0)
    weights[600:] = (0.25, 0.75)
    write(told_run, tmp_path, form, classes=weights)
    if form == "npz":
        with np.load(tmp_path / "out.npz") as arrays:
            assert arrays.files == ["images", "z", "class_weights", "classes"]
            assert np.array_equal(arrays["class_weights"], weights)
        assert [path.name for path in tmp_path.iterdir()] == ["out.npz"]
        return
    names = [path.name for path in (tmp_path / "out").iterdir() if path.name != RECORD]
    if form == "webdataset":
        members = []
        for name in names:
            with tarfile.open(tmp_path / "out" / name) as tar:
                members += tar.getnames()
        names = members
    if form == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        for name in names:
            assert parquet.read_schema(tmp_path / "out" / name).names == ["image"]
    else:
        assert len(names) == COUNT
        assert {re.sub(r"\d+", "N", name) for name in names} == {
            "N.png" if form == "webdataset" else "N_seedN.png"
        }


@pytest.mark.parametrize("form", ["png", "npz"])
def test_a_small_set_is_the_first_processes_however_late_others_start(
    run, tmp_path, monkeypatch, form
):
    write(run, tmp_path / "one", form, count=4)
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        told = write(run, tmp_path / "two", form, count=4)
        assert bool(told) == (rank == "0")
        assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_a_few_pngs_that_were_stopped_are_gone_on_with(run, tmp_path, monkeypatch):
    write(run, tmp_path / "whole", "png", count=100)
    go_on = stop_after(monkeypatch, 1, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        write(run, tmp_path / "stopped", "png", count=100, batch_size=50)
    go_on()
    assert 0 < len(contents(tmp_path / "stopped")) < 100
    write(run, tmp_path / "stopped", "png", count=100, batch_size=50)
    assert contents(tmp_path / "stopped").keys() == contents(tmp_path / "whole").keys()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["webdataset", "npz"])
def test_the_first_of_several_processes_waits_for_the_others(run, tmp_path, monkeypatch, form):
    """A command of its own, which has made its share long before the other begins."""
    write(run, tmp_path / "one", form)
    out = place(tmp_path / "two", form)
    out.parent.mkdir()
    how = ["-n", str(COUNT), "--device", "cpu", "--out", str(out)]
    how += [] if form == "npz" else ["--format", form]
    code = "from zerosum.inference import sample_forms; sample_forms.MOST_BLOCKS = 1\n"
    code += "import sys; from zerosum.cli.main import run; sys.exit(run(sys.argv[1:]))"
    with subprocess.Popen(
        [sys.executable, "-c", code, "sample", str(run.path), *how],
        env={**os.environ, "RANK": "0", "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            folder = out.with_name("out.npz.parts") if form == "npz" else out
            while process.poll() is None and not (folder.is_dir() and num_files(folder) == 3):
                time.sleep(0.05)  # until its two units and the record are there
            time.sleep(2 * sample_sets.PAUSE)
            assert process.poll() is None
            monkeypatch.setenv("WORLD_SIZE", "2")
            monkeypatch.setenv("RANK", "1")
            assert write(run, tmp_path / "two", form, batch_size=256, truncation=1.0) == ""
            printed, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert "700 images" in printed
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


class TestMistakes:
    @pytest.mark.parametrize(
        ("how", "said"),
        [
            ({"seed": 1}, "seed 0 there and 1 here"),
            ({"count": 701}, "count 700 there and 701 here"),
            ({"ema": False}, r"weights sha256 .* name the checkpoint"),
            ({"truncation": 0.5}, "truncation None there and 0.5 here"),
            ({"batch_size": 16}, "batch size 256 there and 16 here"),
        ],
    )
    @pytest.mark.parametrize("form", ["png", "npz"])
    def test_another_command_is_not_mixed_in(self, run, tmp_path, monkeypatch, form, how, said):
        go_on = stop_after(monkeypatch, 1, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            write(run, tmp_path / "a", form)
        go_on()
        before = contents(tmp_path / "a")
        with pytest.raises(UserError, match=said):
            write(run, tmp_path / "a", form, **how)
        assert contents(tmp_path / "a") == before

    def test_other_latents_are_other_samples(self, run, tmp_path):
        numbers = np.random.default_rng(0).normal(size=(2, COUNT, 4))
        write(run, tmp_path, "webdataset", z=numbers[0])
        with pytest.raises(UserError, match=r"given sha256 .* there and .* here"):
            write(run, tmp_path, "webdataset", z=numbers[1])
        assert write(run, tmp_path, "webdataset", z=numbers[0]).endswith("700 were there")

    def test_files_that_are_none_of_them(self, run, tmp_path):
        write(run, tmp_path, "webdataset")
        (tmp_path / "out/photo.jpg").write_bytes(b"mine")
        with pytest.raises(UserError, match=r"holds what is none of these samples: photo\.jpg"):
            write(run, tmp_path, "webdataset")
        assert (tmp_path / "out/photo.jpg").read_bytes() == b"mine"

    def test_files_of_a_unit_that_are_more_than_it_has(self, tmp_path):
        parts = {"cat": "cat", "dog": "dog"}
        naming = sample_forms.Naming(seed=0, classes=("cat", "dog"), parts=parts, labelled=True)
        form = sample_forms.Pngs(tmp_path, count=300, images_a_unit=256, naming=naming)
        for index in range(256, 300):
            (tmp_path / f"{index:06d}_seed0_cat.png").write_bytes(b"an image")
        assert sample_sets.look(form) == [False, True]
        (tmp_path / "000256_seed0_dog.png").write_bytes(b"an image")
        with pytest.raises(UserError, match="45 files of the 44 that images 256 to 299 have"):
            sample_sets.look(form)

    def test_a_folder_of_something_else(self, run, tmp_path):
        (tmp_path / "out").mkdir()
        (tmp_path / "out/photo.jpg").write_bytes(b"mine")
        with pytest.raises(UserError, match="is not empty"):
            write(run, tmp_path, "webdataset")

    @pytest.mark.parametrize("content", ["", "[]", '{"decided_by": 3}', "[" * 100_000])
    def test_a_damaged_record(self, run, tmp_path, content):
        write(run, tmp_path, "png")
        (tmp_path / "out" / RECORD).write_text(content)
        with pytest.raises(UserError, match="is damaged"):
            write(run, tmp_path, "png")

    def test_a_form_for_a_file(self, run, tmp_path):
        with pytest.raises(UserError, match="--format parquet is for what a folder holds"):
            write_samples(
                run, tmp_path / "a.npz", presentation=Presentation(), form="parquet", count=3
            )

    @pytest.mark.parametrize("batch_size", [0, 257])
    def test_a_batch_size_that_is_none(self, run, tmp_path, batch_size):
        with pytest.raises(UserError, match=f"batch size was {batch_size}: expected 1 to 256"):
            write(run, tmp_path, "png", batch_size=batch_size)
        assert not (tmp_path / "out").exists()

    def test_other_versions_are_told(self, run, tmp_path, capsys):
        write(run, tmp_path, "webdataset")
        record = json.loads((tmp_path / "out" / RECORD).read_text())
        record["made_with"]["torch"] = "1.0"
        (tmp_path / "out" / RECORD).write_text(json.dumps(record))
        capsys.readouterr()
        write(run, tmp_path, "webdataset")
        assert "was begun with zerosum" in capsys.readouterr().err

    @pytest.mark.parametrize("form", FORMS)
    def test_a_full_disk_is_gone_on_from(self, run, tmp_path, full_disk, form):
        write(run, tmp_path / "whole", form)
        (tmp_path / "full").mkdir()
        limit = 50 if form == "png" else 1500
        with full_disk(limit), pytest.raises(UserError, match="goes on where it stopped"):
            write(run, tmp_path / "full", form)
        write(run, tmp_path / "full", form)
        assert contents(tmp_path / "full") == contents(tmp_path / "whole")


def test_one_process_alone_waits_for_nobody(run, tmp_path, monkeypatch):
    write(run, tmp_path, "png", count=4)
    (tmp_path / "out/000002_seed0.png").unlink()
    # As if somebody had removed a file again, right after it was made.
    monkeypatch.setattr(sample_forms.Pngs, "write", lambda *_: None)
    assert write(run, tmp_path, "png", count=4).endswith("4 images")


def test_a_late_process_with_nothing_to_make_leaves_no_trace(run, tmp_path, monkeypatch):
    write(run, tmp_path, "npz")
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "3")  # of three units, the first three processes have one each
    assert write(run, tmp_path, "npz") == ""
    assert [path.name for path in tmp_path.iterdir()] == ["out.npz"]


def test_what_a_killed_process_left_is_swept(run, tmp_path):
    write(run, tmp_path / "a", "webdataset")
    whole = contents(tmp_path / "a")
    (tmp_path / "a/out/samples-00001.tar").rename(tmp_path / "a/out/.samples-00001.tar.77.writing")
    write(run, tmp_path / "a", "webdataset")
    assert contents(tmp_path / "a") == whole


@pytest.mark.slow
def test_a_killed_command_goes_on(run, tmp_path):
    """With a real SIGKILL, in the middle of a folder of PNGs."""
    command = [sys.executable, "-m", "zerosum", "sample", str(run.path), "-n", "3000"]
    out = tmp_path / "out"
    process = subprocess.Popen([*command, "--out", str(out)], stdout=subprocess.PIPE)
    while process.poll() is None and not (out.is_dir() and num_files(out) > 600):
        time.sleep(0.005)
    process.kill()
    process.communicate()
    before = num_files(out)
    assert 600 < before < 3000
    kept = min((path for path in out.iterdir() if path.suffix == ".png"), key=lambda p: p.name)
    written_at = kept.stat().st_mtime_ns
    done = subprocess.run([*command, "--out", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "of which" in done.stdout
    assert kept.stat().st_mtime_ns == written_at  # it was not made again
    assert len([path for path in out.iterdir() if path.suffix == ".png"]) == 3000
    assert not list(out.glob(".*writing"))
    subprocess.run([*command, "--out", str(tmp_path / "whole")], check=True, capture_output=True)
    assert contents(out) == contents(tmp_path / "whole")


PEAK = """
import sys, threading, time
import numpy as np, torch
from pathlib import Path
from zerosum.game.sampling import Generator, noise_inputs
from zerosum.inference import sample_forms, sample_sets
from zerosum.inference.sampler import Sampler
from zerosum.inference.work_share import WorkShare

torch.set_num_threads(1)
sample_forms.UNIT_BYTES = 2**21

class Flat(torch.nn.Module):
    def forward(self, z, classes):
        return z[:, :1, None, None].tanh().expand(-1, 3, 32, 32)

def peak():
    fields = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) / 1024

highest = 0.0
def watch():
    global highest
    while True:
        highest = max(highest, peak())
        time.sleep(0.002)

threading.Thread(target=watch, daemon=True).start()
peaks = []
for blocks in (8, 8, 80):
    count = 256 * blocks
    sampler = Sampler(Generator(Flat(), noise_inputs(2)), count=count, seed=0, latents=None,
        device=torch.device("cpu"), batch_size=256, drawing={})
    naming = sample_forms.Naming(seed=0, classes=(), parts={}, labelled=True)
    for kind in (sample_forms.WebDatasetShards, sample_forms.Arrays):
        how = {"array": "images"} if kind is sample_forms.Arrays else {}
        folder = Path(sys.argv[1]) / f"{kind.name}-{len(peaks)}"
        size = sample_forms.images_a_unit(kind, (3, 32, 32))
        form = kind(folder, count=count, images_a_unit=size, naming=naming, **how)
        sample_sets.write_set(sampler, form, {}, WorkShare())
        if how:
            form.join(folder / "all.npz", form.read)
    highest = max(highest, peak())
    peaks.append(highest)
print(peaks[-1] - peaks[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_memory_does_not_grow_with_the_number(tmp_path):
    """Ten times as many images, 63 MB of pixels in place of 6, and as much memory."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 12  # MiB
