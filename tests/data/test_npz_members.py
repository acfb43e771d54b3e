import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from zerosum.data import load
from zerosum.data.npz_members import form_of, open_arrays, read_array
from zerosum.errors import UserError
from zerosum.inference.direction_files import read_directions
from zerosum.inference.latents import read_latents
from zerosum.metrics.statistics import read_statistics

LITTLE = 10 * 2**20


@pytest.fixture
def bomb(tmp_path):
    """A small file of a large array."""
    path = tmp_path / "some.npz"
    np.savez_compressed(path, images=np.zeros((400, 256, 256), np.uint8), notes=np.zeros(5))
    assert path.stat().st_size < 100_000
    return path


def test_the_form_of_an_array_is_known_by_its_header(bomb):
    with np.load(bomb) as archive:
        tracemalloc.start()
        assert form_of(archive, "images") == ((400, 256, 256), np.uint8)
        assert tracemalloc.get_traced_memory()[1] < 2**20
        tracemalloc.stop()
        assert read_array(archive, "notes", bomb).tolist() == [0] * 5


def test_memory_is_asked_for_before_it_is_taken(bomb, monkeypatch):
    monkeypatch.setattr("zerosum.data.npz_members.memory_bytes", lambda: LITTLE)
    tracemalloc.start()
    with pytest.raises(UserError, match=r"The array 'images' in .* would take about 0\.0 GiB"):
        load(bomb)
    assert tracemalloc.get_traced_memory()[1] < LITTLE
    tracemalloc.stop()


def test_what_is_not_used_is_not_read(tmp_path):
    path = tmp_path / "some.npz"
    np.savez_compressed(
        path, x=np.zeros((4, 8, 8), np.uint8), other=np.zeros((20_000, 1000), np.uint8)
    )
    tracemalloc.start()
    assert len(load(path)) == 4
    assert tracemalloc.get_traced_memory()[1] < LITTLE
    tracemalloc.stop()


def test_nor_of_a_file_of_statistics(tmp_path):
    path = tmp_path / "some.npz"
    np.savez_compressed(
        path, mu=np.zeros(2), sigma=np.eye(2), other=np.zeros((20_000, 1000), np.uint8)
    )
    tracemalloc.start()
    assert read_statistics(path).size == 2
    assert tracemalloc.get_traced_memory()[1] < LITTLE
    tracemalloc.stop()


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_that_numpy_has_not_is_refused(tmp_path, packing):
    content = io.BytesIO()
    np.save(content, np.zeros((4, 8, 8), np.uint8))
    with zipfile.ZipFile(tmp_path / "some.npz", "w", packing) as archive:
        archive.writestr("images.npy", content.getvalue())
    with pytest.raises(UserError, match="its array 'images' is packed in a way that numpy has not"):
        load(tmp_path / "some.npz")


def test_a_member_that_is_no_array_is_told(tmp_path):
    with zipfile.ZipFile(tmp_path / "some.npz", "w") as archive:
        archive.writestr("images.npy", b"hello, I am a text")
    with pytest.raises(UserError, match="is damaged, or holds pickled objects"):
        load(tmp_path / "some.npz")


HEADERS = {
    "no Python": "{'descr': '<f8', 'fortran_order': False, 'shape': (4, ",
    "a side beyond 64 bits": f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({2**80}, 3)}}",
    "a side that is a truth": "{'descr': '<f8', 'fortran_order': False, 'shape': (True, 3)}",
    "a negative side": "{'descr': '<f8', 'fortran_order': False, 'shape': (-4, 3)}",
    "a type of a text": "{'descr': 'x', 'fortran_order': False, 'shape': (4, 3)}",
}


def npy_of(header):
    content = header.encode() + b"\n"
    return b"\x93NUMPY\1\0" + len(content).to_bytes(2, "little") + content + bytes(96)


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_headers_that_numpy_chokes_on_are_damage(tmp_path, header):
    (tmp_path / "x.npy").write_bytes(npy_of(header))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        for name in ("z", "vectors", "mu", "sigma", "images"):
            archive.writestr(f"{name}.npy", npy_of(header))
    if "True" not in header:  # which numpy takes for 1, if not for all it does
        with pytest.raises(ValueError):  # noqa: PT011 - whatever numpy says
            open_arrays(io.BytesIO(npy_of(header)))
    with np.load(tmp_path / "x.npz") as archive, pytest.raises(ValueError):  # noqa: PT011
        form_of(archive, "z")
    for read in (load, read_latents, read_directions, read_statistics):
        with pytest.raises(UserError, match=r"x\.npz"):
            read(tmp_path / "x.npz")
    with pytest.raises(UserError, match=r"x\.npy"):
        load(tmp_path / "x.npy")
