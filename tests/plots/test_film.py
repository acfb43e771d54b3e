import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from zerosum.errors import UserError
from zerosum.plots.film import FRAME_MILLISECONDS, LAST_MILLISECONDS, read_frame, save_film


def frames_of(count, mode="L"):
    return [Image.new("L", (12, 10), 20 * index).convert(mode) for index in range(count)]


def durations(path):
    with Image.open(path) as film:
        found = []
        for frame in range(film.n_frames):
            film.seek(frame)
            film.load()  # before which a WebP does not tell
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


def test_a_webp_loops_and_rests_too(tmp_path):
    save_film(frames_of(4, "RGB"), tmp_path / "film.WEBP", frame_milliseconds=100)
    assert durations(tmp_path / "film.WEBP") == [100, 100, 100, LAST_MILLISECONDS]
    with Image.open(tmp_path / "film.WEBP") as film:
        assert (film.format, film.n_frames, film.info["loop"]) == ("WEBP", 4, 0)
        film.seek(2)
        assert abs(int(np.asarray(film)[5, 5, 0]) - 40) < 5


class TestMp4:
    @pytest.fixture
    def ffmpeg(self, tmp_path, monkeypatch):
        """A program of that name, which writes what it is given to where it is told."""

        def install(code):
            (tmp_path / "bin").mkdir()
            program = tmp_path / "bin/ffmpeg"
            program.write_text(f"#!{sys.executable}\nimport sys\n{code}\n")
            program.chmod(0o755)
            monkeypatch.setenv("PATH", str(tmp_path / "bin"))

        return install

    def test_ffmpeg_is_given_raw_frames(self, tmp_path, ffmpeg):
        ffmpeg("open(sys.argv[-1], 'wb').write(sys.stdin.buffer.read())")
        save_film(frames_of(3, "RGBA"), tmp_path / "film.mp4", frame_milliseconds=1000)
        raw = np.frombuffer((tmp_path / "film.mp4").read_bytes(), np.uint8).reshape(-1, 10, 12, 3)
        assert raw[:, 0, 0, 0].tolist() == [0, 20, 40, 40]  # for two seconds
        assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "film.mp4"]

    def test_what_ffmpeg_says_is_handed_on(self, tmp_path, ffmpeg):
        ffmpeg("sys.exit('first\\nUnknown encoder')")
        with pytest.raises(UserError, match=r"could not write '.*film.mp4': Unknown encoder"):
            save_film(frames_of(1), tmp_path / "film.mp4", frame_milliseconds=100)

    def test_without_ffmpeg_other_names_are_named(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", "")
        with pytest.raises(UserError, match=r"needs the program ffmpeg.*\.webp or \.gif"):
            save_film(frames_of(1), tmp_path / "film.mp4", frame_milliseconds=100)

    @pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
    def test_ffmpeg_makes_a_film_of_odd_sides_too(self, tmp_path):
        frames = [Image.new("L", (13, 11), 20 * index) for index in range(3)]
        save_film(frames, tmp_path / "film.mp4", frame_milliseconds=80)
        looked_at = ["ffmpeg", "-v", "error", "-i", str(tmp_path / "film.mp4"), "-f", "rawvideo"]
        done = subprocess.run(
            [*looked_at, "-pix_fmt", "gray", "-"], capture_output=True, check=True
        )
        assert len(done.stdout) == (3 + 24) * 14 * 12
