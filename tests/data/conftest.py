from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def paint(tmp_path: Path) -> Callable[..., Path]:
    """Write flat images, each in a gray level of its own, into a folder."""
    folder = tmp_path / "pictures"
    folder.mkdir()

    def write(*names: str, size: tuple[int, int] = (4, 4), mode: str = "L") -> Path:
        for level, name in enumerate(names):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", size, level * 10).convert(mode).save(path)
        return folder

    return write
