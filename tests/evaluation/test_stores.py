"""Images that are read as they are evaluated: the same as those that are loaded."""

import io
import os
import subprocess
import sys
import tarfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import zerosum
from zerosum.data import load
from zerosum.data.decode import Format
from zerosum.data.store import in_memory
from zerosum.errors import UserError
from zerosum.evaluation import evaluate as evaluation
from zerosum.evaluation import stores
from zerosum.evaluation.image_files import image_names, in_natural_order
from zerosum.evaluation.images import Source
from zerosum.evaluation.stores import Drawn, open_store
from zerosum.inference.sample_files import write_samples
from zerosum.metrics import diversity, lpips
from zerosum.metrics.embedding import fingerprint
from zerosum.metrics.features import BATCH
from zerosum.plots.grids import Presentation, save_sheet

NUMBERS = np.random.default_rng(0).integers(0, 256, (130, 6, 8, 3), np.uint8)
with_parquet = pytest.mark.skipif(not find_spec("pyarrow"), reason="the package pyarrow is missing")


@pytest.fixture(autouse=True)
def nothing_is_loaded(monkeypatch):
    """Let the smallest set be read as it goes."""
    monkeypatch.setattr(stores, "LOADED_BYTES", 0)
    monkeypatch.setattr(evaluation, "LOADED_BYTES", 0)


def png(image):
    content = io.BytesIO()
    Image.fromarray(image).save(content, format="PNG")
    return content.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Colours and grays, numbered without zeros in front."""
    made = tmp_path / "photos"
    made.mkdir()
    for index, image in enumerate(NUMBERS):
        (made / f"{index}.png").write_bytes(png(image[..., 0] if index == 3 else image))
    return made


@pytest.fixture
def tars(tmp_path):
    """The same in two tars, with labels beside them."""
    made = tmp_path / "tars"
    made.mkdir()
    for shard, indices in enumerate((range(70), range(70, 130))):
        with tarfile.open(made / f"a-{shard}.tar", "w") as tar:
            for index in indices:
                image = NUMBERS[index][..., 0] if index == 3 else NUMBERS[index]
                for name, content in ((f"{index}.cls", b"1"), (f"{index}.png", png(image))):
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    return made


def tables(made, *, kind="struct"):
    """The same in two tables of several groups of rows."""
    arrow = pytest.importorskip("pyarrow", reason="the package pyarrow is missing")
    parquet = pytest.importorskip("pyarrow.parquet", reason="the package pyarrow is missing")
    made.mkdir()
    for shard, indices in enumerate((range(70), range(70, 130))):
        contents = [png(NUMBERS[i][..., 0] if i == 3 else NUMBERS[i]) for i in indices]
        cells = [{"bytes": each, "path": None} for each in contents]
        column = cells if kind == "struct" else contents
        table = arrow.table({"image": column, "label": list(indices)})
        parquet.write_table(table, made / f"a-{shard}.parquet", row_group_size=32)
    return made


def opened(path, **wanted):
    found = open_store(path, Format(**wanted))
    assert found is not None
    return found


def same(path, expected, **wanted):
    """Whether all images, some of them, the fingerprint and the report are those loaded."""
    images, report = opened(path, **wanted)
    whole = expected.images
    assert tuple(images.shape) == tuple(whole.shape)
    some = torch.tensor([5, 3, 5, len(whole) - 1])
    assert torch.equal(images.take(some), whole[some])
    assert torch.equal(in_memory(images), whole)
    assert fingerprint(images) == fingerprint(whole)
    assert report.warnings == expected.report.warnings
    return report


@pytest.mark.parametrize("wanted", [{}, {"size": (4, 4)}, {"channels": 1}, {"channels": 4}])
class TestTheSame:
    def test_a_folder(self, folder, wanted):
        expected = load(folder, **wanted)
        assert same(folder, expected, **wanted).changed == expected.report.changed

    def test_tars(self, folder, tars, wanted):
        same(tars, load(folder, **wanted), **wanted)

    @with_parquet
    @pytest.mark.parametrize("kind", ["struct", "bytes"])
    def test_tables(self, folder, tmp_path, wanted, kind):
        made = tables(tmp_path / "tables", kind=kind)
        same(made, load(folder, **wanted), **wanted)

    @pytest.mark.parametrize("compressed", [True, False])
    @pytest.mark.parametrize("layout", ["NHWC", "NCHW", ""])
    def test_arrays(self, tmp_path, wanted, layout, compressed):
        images = NUMBERS[..., 0] if layout == "" else NUMBERS
        images = images.transpose(0, 3, 1, 2) if layout == "NCHW" else images
        arrays = {"images": images, "z": np.zeros(3)} | ({"layout": layout} if layout else {})
        save = np.savez_compressed if compressed else np.savez
        save(tmp_path / "a.npz", **arrays)
        expected = load(tmp_path / "a.npz", **wanted)
        report = same(tmp_path / "a.npz", expected, **wanted)
        assert (report.changed, report.left_out) == (
            expected.report.changed,
            expected.report.left_out,
        )


class TestWhatIsLeftOut:
    def test_is_as_when_loaded(self, folder):
        (folder / "7.png").write_bytes((folder / "7.png").read_bytes()[:60])
        (folder / "notes.md").write_text("mine")
        (folder / ".hidden.png").write_text("mine")
        save_sheet(Image.fromarray(NUMBERS[0]), folder / "8.png")
        expected = load(folder)
        report = same(folder, expected)
        assert set(map(str, report.left_out)) == set(map(str, expected.report.left_out))
        assert len(expected.images) == 128

    def test_a_folder_that_begins_with_them_is_not_loaded(self, folder):
        for index in range(BATCH):
            (folder / f"{index}.png").write_bytes(b"no image")
        report = same(folder, load(folder))
        assert [note.count for note in report.left_out] == [BATCH]

    def test_samples_count_only_where_there_is_nothing_else(self, run, folder, tmp_path):
        write_samples(run, tmp_path / "out", presentation=Presentation(), count=20)
        same(tmp_path / "out", load(tmp_path / "out"))
        for path in (tmp_path / "out").iterdir():
            path.rename(folder / path.name)
        expected = load(folder, size=(8, 8))
        report = same(folder, expected, size=(8, 8))
        assert set(map(str, report.left_out)) == set(map(str, expected.report.left_out))

    def test_nearly_flat_images_are_told(self, tmp_path):
        np.savez(tmp_path / "a.npz", images=NUMBERS // 20)
        expected = load(tmp_path / "a.npz")
        assert expected.report.warnings
        same(tmp_path / "a.npz", expected)

    def test_gray_of_16_bits(self, tmp_path):
        (tmp_path / "deep").mkdir()
        for index in range(12):
            pixels = NUMBERS[index][..., 0].astype(np.uint16) * 16
            Image.fromarray(pixels).save(tmp_path / f"deep/{index}.png")
        for wanted in ({}, {"value_range": "auto"}, {"value_range": (0.0, 4080.0)}):
            same(tmp_path / "deep", load(tmp_path / "deep", **wanted), **wanted)


class TestWhatIsLoaded:
    """All that is small, or has classes, splits or other numbers than bytes."""

    def test_what_is_small(self, folder, monkeypatch):
        monkeypatch.setattr(stores, "LOADED_BYTES", 130 * 6 * 8 * 3)
        assert open_store(folder, Format()) is None
        monkeypatch.setattr(stores, "LOADED_BYTES", 130 * 6 * 8 * 3 - 1)
        assert open_store(folder, Format()) is not None

    @pytest.mark.parametrize("name", ["labels.csv", "config.json", "cats/1.png"])
    def test_a_folder_that_may_have_classes(self, folder, name):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(png(NUMBERS[0]))
        assert open_store(folder, Format()) is None

    @pytest.mark.parametrize(
        "arrays",
        [
            {"images": NUMBERS / 255},
            {"points": np.zeros((20, 2), np.float32)},
            {"train_images": NUMBERS, "test_images": NUMBERS},
            {"images": np.asfortranarray(NUMBERS)},
            {"images": NUMBERS.reshape(130, -1)},
            {"other": NUMBERS},
        ],
    )
    def test_other_arrays(self, tmp_path, arrays):
        np.savez(tmp_path / "a.npz", **arrays)
        assert open_store(tmp_path / "a.npz", Format()) is None

    def test_a_damaged_file(self, tmp_path):
        (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 no archive")
        assert open_store(tmp_path / "a.npz", Format()) is None


class TestMistakes:
    def refused(self, path, **wanted):
        with pytest.raises(UserError) as caught:
            opened(path, **wanted)
        return str(caught.value)

    def test_sizes_that_differ(self, folder):
        (folder / "9.png").write_bytes(png(NUMBERS[0][:4]))
        said = "0.png is 6×8, 9.png is 4×8. Choose one size for all with --size N."
        assert said in self.refused(folder)

    def test_nothing_that_can_be_decoded(self, tmp_path):
        (tmp_path / "bad").mkdir()
        for name in ("1.png", "2.png"):
            (tmp_path / "bad" / name).write_bytes(b"no image")
        names, _ = image_names(tmp_path / "bad")
        with pytest.raises(UserError, match=r"2 of the 2 images .* 1\.png: not an image"):
            stores.Files(tmp_path / "bad", names, Format()).inspected()

    @pytest.mark.parametrize("cut", [100, 512 * 7, -1024 * 10])
    def test_a_tar_that_was_cut_off(self, tars, cut):
        path = tars / "a-1.tar"
        path.write_bytes(path.read_bytes()[:cut])
        said = self.refused(tars)
        assert "a-1.tar' is damaged" in said
        assert "give the command again" in said

    @with_parquet
    @pytest.mark.parametrize("cut", [3, 200, -20])
    def test_a_table_that_was_cut_off(self, tmp_path, cut):
        path = tables(tmp_path / "tables") / "a-0.parquet"
        path.write_bytes(path.read_bytes()[:cut])
        assert "a-0.parquet' is damaged" in self.refused(tmp_path / "tables")

    @with_parquet
    def test_a_table_without_images(self, tmp_path):
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.table({"text": ["a"]}), tmp_path / "a.parquet")
        assert "has the columns text: expected one of images" in self.refused(
            tmp_path / "a.parquet"
        )

    def test_tars_without_images(self, tmp_path):
        (tmp_path / "tars").mkdir()
        with tarfile.open(tmp_path / "tars/a.tar", "w"):
            pass
        assert "hold no images" in self.refused(tmp_path / "tars")

    def test_tars_and_tables_together(self, tars):
        (tars / "b.parquet").write_bytes(b"")
        assert "both tars and tables" in self.refused(tars)

    def test_an_array_that_ends_too_soon(self, tmp_path):
        header = io.BytesIO()
        told = {"descr": "|u1", "fortran_order": False, "shape": (1000, 6, 8, 3)}
        np.lib.format.write_array_header_1_0(header, told)
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            archive.writestr("images.npy", header.getvalue() + NUMBERS.tobytes())
        assert "a.npz is damaged: it ends within image 130 of 1,000" in self.refused(
            tmp_path / "a.npz"
        )

    def test_a_file_that_goes_while_it_is_evaluated(self, folder):
        images, _ = opened(folder)
        (folder / "7.png").unlink()
        with pytest.raises(UserError, match=r"7\.png in .* cannot be decoded any more"):
            images.take(torch.tensor([7]))


class TestNames:
    def test_are_in_natural_order(self, folder):
        names, others = image_names(folder)
        assert [os.fsdecode(bytes(name)) for name in names[[0, 2, 129]]] == [
            "0.png",
            "2.png",
            "129.png",
        ]
        assert others == []

    @pytest.mark.parametrize(
        ("names", "sure"),
        [
            (["000_a.png", "001_b.png", "002.png"], True),
            (["000_10.png", "000_9.png"], False),
            (["1.png", "10.png"], False),
            (["a1.png", "a2.png"], False),
            (["12", "13"], False),
        ],
    )
    def test_that_surely_are_so_are_not_sorted_again(self, names, sure):
        assert in_natural_order(np.array([name.encode() for name in names])) is sure

    def test_of_any_bytes(self, tmp_path):
        (tmp_path / "odd").mkdir()
        for name in (b"\xff1.png", "né2.png".encode()):
            Path(os.fsdecode(os.fsencode(tmp_path / "odd/") + b"/" + name)).write_bytes(
                png(NUMBERS[0])
            )
        images, _ = opened(tmp_path / "odd")
        assert len(images) == 2


class TestSamplesOfARun:
    def test_are_those_of_sample_in_any_order(self, run):
        images = Drawn(run.sampler(600, seed=3, device="cpu"), run.spec.shape)
        expected = torch.from_numpy(np.asarray(run.sample(600, seed=3, device="cpu")))
        rows = torch.tensor([599, 0, 255, 256, 255, 30])
        assert torch.equal(images.take(rows), expected[rows].permute(0, 3, 1, 2))
        assert len(images[590:]) == 10

    # LPIPS looks at pairs of them, and a card has the sha256 of all, which takes a time more.
    @pytest.mark.parametrize(("metric", "times"), [("fid", 1), ("lpips_diversity", 2)])
    def test_are_made_once(self, run, monkeypatch, metric, times):
        class Levels:
            """In place of LPIPS."""

            sha256 = "0" * 64

            def distance(self, first, second):
                return (first.float() - second.float()).abs().mean(dim=(1, 2, 3))

            def card(self):
                return {}

        monkeypatch.setattr(lpips, "lpips_net", lambda name, *, device: Levels())
        monkeypatch.setattr(diversity, "BATCH", 5)
        sampler = run.sampler(600, device="cpu")
        made = []
        pieces = sampler.pieces
        monkeypatch.setattr(
            sampler, "pieces", lambda *bounds: made.append(bounds) or pieces(*bounds)
        )
        monkeypatch.setattr(type(run), "sampler", lambda *_, **__: sampler)
        zerosum.evaluate(str(run.path), features="random", metrics=[metric], count=40)
        assert made == times * [(0, 256), (256, 512), (512, 600)]


class TestMetrics:
    NAMES = ("fid", "kid", "precision", "coverage")

    def evaluated(self, source, reference, **how):
        found = zerosum.evaluate(
            str(source), reference=str(reference), features="random", metrics=self.NAMES, **how
        )
        facts = ("evaluated", "reference", "floor", "spread")
        return {
            name: (result.value, *(result.card[fact] for fact in facts))
            for name, result in found.items()
        }

    @pytest.mark.parametrize("count", [None, 60])
    def test_are_those_of_what_is_loaded(self, folder, tmp_path, monkeypatch, count):
        monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
        np.savez(tmp_path / "a.npz", images=255 - NUMBERS)
        with monkeypatch.context() as patch:
            patch.setattr("zerosum.evaluation.images.load", None)  # nothing is
            found = self.evaluated(folder, tmp_path / "a.npz", count=count)
        monkeypatch.setattr(stores, "LOADED_BYTES", 2**40)
        monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "another"))
        assert self.evaluated(folder, tmp_path / "a.npz", count=count) == found

    def test_of_shards_are_those_of_the_folder(self, folder, tars, tmp_path, monkeypatch):
        monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / "cache"))
        np.savez(tmp_path / "a.npz", images=255 - NUMBERS)
        expected = self.evaluated(folder, tmp_path / "a.npz")
        found = self.evaluated(tars, tmp_path / "a.npz")
        assert {name: each[0] for name, each in found.items()} == {
            name: each[0] for name, each in expected.items()
        }

    def test_what_is_large_has_no_splits(self, folder):
        source = Source(str(folder), {"size": None}, print)
        assert not source.has_splits
        assert source.load("test").images is source.load("train").images


PEAK = """
import sys, threading, time
from pathlib import Path
import numpy as np, torch, zerosum
from zerosum.metrics import evaluate as metrics, kernel

torch.set_num_threads(1)
metrics.MOST_KEPT, kernel.SUBSET_SIZE, kernel.NUM_SUBSETS = 500, 100, 5
folder = Path(sys.argv[1])

def peak():
    fields = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) / 1024

highest = 0.0
def watch():
    global highest
    while True:
        highest = max(highest, peak())
        time.sleep(0.002)

def write(name, count):
    numbers = np.random.default_rng(count)
    images = np.lib.format.open_memmap(
        folder / "raw.npy", mode="w+", dtype=np.uint8, shape=(count, 64, 64, 1))
    for start in range(0, count, 1000):
        images[start : start + 1000] = numbers.integers(0, 256, (1000, 64, 64, 1), np.uint8)
    images.flush()
    import zipfile
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.write(folder / "raw.npy", "images.npy")

threading.Thread(target=watch, daemon=True).start()
peaks = []
for count in (20_000, 20_000, 80_000):
    for side in "ab":
        write(f"{side}.npz", count)
    found = zerosum.evaluate(folder / "a.npz", reference=folder / "b.npz", count=count,
        features="corners:look", metrics=["fid", "kid", "precision"])
    assert found["precision"].card["evaluated"]["n"] == count
    highest = max(highest, peak())
    peaks.append(highest)
print(peaks[2] - peaks[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_memory_does_not_grow_with_the_number(tmp_path):
    """Four times as many images, twice 328 MB of pixels in place of 82, and as much memory."""
    look = "def look(images):\n    return images[:, 0, :4, 0].float()\n"
    (tmp_path / "corners.py").write_text(look)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 100  # MiB, where all in memory would be 492
