import numpy as np
import pytest
from PIL import Image

from zerosum.plots.film import FRAME_MILLISECONDS, LAST_MILLISECONDS, read_frame, save_film


def frames_of(count, mode="L"):
    return [Image.new("L", (12, 10), 20 * index).convert(mode) for index in range(count)]


def durations(path):
    with Image.open(path) as film:
        found = []
        for frame in range(film.n_frames):
            film.seek(frame)
            found.append(film.info["duration"])
        return found


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_every_frame_is_shown_as_it_is(tmp_path, mode):
    save_film(frames_of(4, mode), tmp_path / "film.gif", frame_milliseconds=100)
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 4
        for index in range(4):
            film.seek(index)
            pixels = np.asarray(film.convert("RGB"))
            assert pixels.shape == (10, 12, 3)
            assert (pixels == 20 * index).all()


def test_it_loops_and_rests_on_the_last_frame(tmp_path):
    save_film(frames_of(4), tmp_path / "film.gif", frame_milliseconds=100)
    assert durations(tmp_path / "film.gif") == [100, 100, 100, LAST_MILLISECONDS]
    with Image.open(tmp_path / "film.gif") as film:
        assert film.info["loop"] == 0


def test_one_frame_is_a_film_too(tmp_path):
    save_film(frames_of(1), tmp_path / "film.gif", frame_milliseconds=100)
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 1


def test_a_run_is_filmed_in_the_order_given(tmp_path):
    paths = []
    for index, frame in enumerate(frames_of(3)):
        paths.append(tmp_path / f"{9 - index}.png")
        frame.save(paths[-1])
    frames = [read_frame(path) for path in paths]
    save_film(frames, tmp_path / "film.gif", frame_milliseconds=FRAME_MILLISECONDS)
    assert durations(tmp_path / "film.gif") == [FRAME_MILLISECONDS] * 2 + [LAST_MILLISECONDS]
    with Image.open(tmp_path / "film.gif") as film:
        film.seek(2)
        assert np.asarray(film.convert("L"))[0, 0] == 40


def test_a_film_is_whole_or_absent(tmp_path, full_disk):
    path = tmp_path / "film.gif"
    save_film(frames_of(2), path, frame_milliseconds=100)
    before = path.read_bytes()

    with full_disk(9), pytest.raises(OSError, match="too large"):
        save_film(frames_of(3), path, frame_milliseconds=100)
    assert path.read_bytes() == before
