"""The wheel holds what a user without a clone needs: the package, and MNIST with its licence."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_it_holds_the_data_its_attribution_and_the_types(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    parts = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"]
    assert {f"zerosum/data/mnist/{part}-ubyte.gz" for part in parts} <= names
    assert {"zerosum/data/mnist/ATTRIBUTION.md", "zerosum/py.typed"} <= names
    pages = {"compare.html.jinja", "page.css", "report.html.jinja", "report_main.html.jinja"}
    pages |= {"sweep.html.jinja", "report.js", "report_en.json", "report_zh.json"}
    assert {f"zerosum/pages/{page}" for page in pages} <= names
    assert not any(name.startswith(("tests/", "benchmarks/", "docs/", "tools/")) for name in names)


def test_mnist_loads_from_the_unpacked_wheel_alone(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = (
        "import sys, zerosum, zerosum.data as d; assert zerosum.__file__.startswith(sys.argv[1]); "
        "print(len(d.load('mnist')), len(d.load('mnist', split='test')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["60000", "10000"]
