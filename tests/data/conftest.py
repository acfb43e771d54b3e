import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from zerosum.data.decode import Format
from zerosum.data.pack import pack


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


@pytest.fixture
def small_shards(monkeypatch) -> None:
    """Shards of 6 images, of which about 20 are mixed at a time."""
    monkeypatch.setattr("zerosum.data.pack.SHARD_IMAGES", 6)
    monkeypatch.setattr("zerosum.data.shard_store.WINDOW", 20)


@pytest.fixture
def pictures(tmp_path: Path, write_images: Callable[..., Path]) -> Path:
    """70 images of 5×5 RGB in two classes, and 8 to test on."""
    for split, counts in (("train", (40, 30)), ("test", (4, 4))):
        for name, count in zip(("cats", "dogs"), counts, strict=True):
            write_images(tmp_path / "pictures" / split / name, count, size=(5, 5))
    return tmp_path / "pictures"


@pytest.fixture
def shards(tmp_path: Path, pictures: Path, small_shards: None) -> Path:
    """Those in 12 shards and 2."""
    pack(pictures, tmp_path / "shards", Format())
    return tmp_path / "shards"


@contextmanager
def served(
    handler: type[BaseHTTPRequestHandler], place: str, /, **attributes: Any
) -> Iterator[ThreadingHTTPServer]:
    """A server on the loopback interface, at `url`, that has attributes for its handler.

    Who stalls waits for `released`, which is set at the end.
    """
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    vars(server).update(attributes)
    server.released = threading.Event()
    server.url = f"http://127.0.0.1:{server.server_port}/{place}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def serve() -> Callable[..., AbstractContextManager[ThreadingHTTPServer]]:
    """Start servers, see `served`."""
    return served
