import numpy as np
import pytest
from PIL import Image

import zerosum
from zerosum.export.examples import example_sources
from zerosum.export.folder import export_run
from zerosum.inference.exported import Exported

pytest.importorskip("onnx", reason="the extra export is not installed")


@pytest.fixture
def back_and_forth(tmp_path):
    """A run of CycleGAN between bright images and dark ones."""
    for domain, brightness in (("A", 200), ("B", 20)):
        (tmp_path / "data" / domain).mkdir(parents=True)
        for index in range(4):
            picture = Image.new("L", (16, 16), brightness + index)
            picture.save(tmp_path / "data" / domain / f"{index}.png")
    return zerosum.train(
        "cyclegan", data=str(tmp_path / "data"), out=tmp_path / "run", size="16", width=2,
        d_layers=1, images=8, batch_size=2, device="cpu", evaluate_every=0, blocks=1, quiet=True,
    )  # fmt: skip


@pytest.mark.slow
def test_the_picture_of_an_export_is_of_the_way_and_the_weights_exported(back_and_forth, tmp_path):
    there, back = (example_sources(back_and_forth, reverse=reverse) for reverse in (False, True))
    assert there.domain == "A"
    assert back.domain == "B"
    assert there.images.min() >= 200
    assert back.images.max() < 30
    assert not there.held_out
    export_run(back_and_forth, tmp_path / "back", reverse=True, ema=False)
    with Image.open(tmp_path / "back/samples.png") as picture:
        shown = set(np.asarray(picture.convert("L")).flatten().tolist())
    made = Exported(tmp_path / "back/model.onnx").translate(back.images)
    assert set(back.images.flatten().tolist()) | set(made.flatten().tolist()) <= shown


@pytest.mark.slow
def test_where_the_data_are_gone_there_is_no_picture(back_and_forth, tmp_path):
    for picture in (tmp_path / "data").rglob("*.png"):
        picture.unlink()
    assert isinstance(example_sources(back_and_forth, reverse=False), str)
    export_run(back_and_forth, tmp_path / "out")
    assert not (tmp_path / "out/samples.png").exists()
    assert "samples.png" not in (tmp_path / "out/README.md").read_text()
