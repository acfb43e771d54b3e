"""What all backends share: their names, and the packages that they need."""

import subprocess
import sys

import pytest

import zerosum
from zerosum.callbacks import loggers
from zerosum.callbacks.loggers import require_packages
from zerosum.config.specs import LOGGERS
from zerosum.errors import UserError


def test_a_missing_package_is_told_before_anything_is_written(monkeypatch, tiny_images, tmp_path):
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'zerosum\[wandb\]'"):
        zerosum.train("vanilla", data=tiny_images, log="wandb", out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()
    require_packages([])


def test_no_backend_is_imported_unasked(run):
    """Of which one takes seconds: neither by the training nor by what it imports."""
    code = (
        "import sys, zerosum; zerosum.train('vanilla', data=sys.argv[1], out=sys.argv[2], epochs=1,"
        f" hidden=(4,), latent_size=2); sys.exit(bool({set(LOGGERS)} & sys.modules.keys()))"
    )
    command = [sys.executable, "-c", code, str(run.config.data), str(run.path.parent / "other")]
    assert subprocess.run(command, capture_output=True).returncode == 0


def test_every_name_has_a_module_and_an_extra():
    from importlib.metadata import metadata

    assert set(LOGGERS) <= set(metadata("zerosum").get_all("Provides-Extra"))
    for name in LOGGERS:
        module = __import__(f"zerosum.callbacks.loggers.{name}", fromlist=["open_run"])
        assert callable(module.open_run)
