"""Read back with TensorBoard's own reader; and a training that is killed again and again."""

import errno
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from zerosum.callbacks.loggers.feed import LogFeed
from zerosum.cli.main import run as command
from zerosum.training.run_directory import RunDirectory

pytest.importorskip("tensorboard", reason="needs tensorboard: pip install 'zerosum[tensorboard]'")


def read_back(path):
    """What the event files of a run hold: (step, value) by tag, each kind by itself."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    everything = dict.fromkeys(("scalars", "images", "tensors"), 0)
    # Else the reader drops steps that come again, and duplicates would be hidden.
    reader = EventAccumulator(
        str(path / "tensorboard"), size_guidance=everything, purge_orphaned_data=False
    )
    reader.Reload()
    tags = reader.Tags()
    return (
        {tag: [(e.step, e.value) for e in reader.Scalars(tag)] for tag in tags["scalars"]},
        {tag: [(e.step, e) for e in reader.Images(tag)] for tag in tags["images"]},
        {
            tag: [(e.step, e.tensor_proto.string_val[0].decode()) for e in reader.Tensors(tag)]
            for tag in tags["tensors"]
        },
    )


def test_scalars_pictures_texts_and_settings_are_read_back(train_tiny, tmp_path):
    run = train_tiny(tmp_path / "run", log="tensorboard")
    scalars, images, texts = read_back(run.path)
    for name in ("loss_D", "loss_G", "D/cross_entropy", "D(x)", "D(G(z))", "images_per_second"):
        steps, values = zip(*scalars[name], strict=True)
        assert steps == (40, 80, 120)
        assert values == pytest.approx([record[name] for record in run.log()])
    values = [record["metrics"]["frechet_random"] for record in run.log()]
    assert [value for _, value in scalars["metrics/frechet_random"]] == pytest.approx(values)
    assert scalars["best/frechet_random"][-1][1] == pytest.approx(min(values))
    assert [step for step, _ in images["samples"]] == [40, 80, 120]
    newest, picture = images["samples"][-1][1], run.directory.pictures()[-1]
    assert newest.encoded_image_string == picture.read_bytes()
    with Image.open(picture) as image:
        assert (newest.width, newest.height) == image.size
    ((step, settings),) = texts["settings/text_summary"]
    assert step == 40
    assert '"batch_size": 16' in settings
    verdicts = [record["health"]["verdict"] for record in run.log()]
    found = [text.strip() for _, text in texts["health/text_summary"]]
    assert [text.partition(":")[0] for text in found] == verdicts


def test_log_sends_old_runs_and_again_what_was_removed(run, capsys):
    folder = run.path / "tensorboard"
    assert command(["log", str(run.path), "--to", "tensorboard"]) == 0
    assert "tensorboard: 3 steps sent." in capsys.readouterr().out
    assert command(["log", str(run.path), "--to", "tensorboard"]) == 0
    assert "tensorboard: had all of it." in capsys.readouterr().out
    for file in folder.iterdir():
        file.unlink()
    assert command(["log", str(run.path), "--to", "tensorboard"]) == 0
    assert [step for step, _ in read_back(run.path)[0]["loss_D"]] == [40, 80, 120]


def test_a_step_that_a_kill_cut_short_is_sent_again(run):
    with LogFeed(run.directory, ["tensorboard"], print):
        pass
    (file,) = (run.path / "tensorboard").iterdir()
    os.truncate(file, file.stat().st_size - 5)
    with LogFeed(run.directory, ["tensorboard"], print):
        pass
    assert [step for step, _ in read_back(run.path)[0]["loss_D"]] == [40, 80, 120]


def test_what_it_learns_is_the_same_with_it(train_tiny, tmp_path):
    a, b = (
        train_tiny(tmp_path / log, log=log).sample(8, ema=False) for log in ("none", "tensorboard")
    )
    assert np.array_equal(a, b)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_and_resumed_each_step_is_there_exactly_once(tiny_images, tmp_path):
    path, log = tmp_path / "run", tmp_path / "run" / "log.jsonl"
    flags = f"--data {tiny_images} --epochs 40 --batch-size 16 --hidden 12 --latent-size 4"
    flags += f" --sample-every 3 --checkpoint-every 4 --out {path} --log tensorboard"
    words = [sys.executable, "-m", "zerosum", "train", "vanilla", *flags.split()]
    for target in (6, 15, 23):
        with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 120
            while not log.exists() or log.read_bytes().count(b"\n") < target:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
    assert RunDirectory(path).history().seen < 1600
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    scalars, images, texts = read_back(path)
    assert [step for step, _ in scalars["loss_D"]] == [40 * n for n in range(1, 41)]
    drawn = [40 * n for n in range(3, 41, 3)] + [1600]
    assert [step for step, _ in images["samples"]] == drawn
    assert len(texts["settings/text_summary"]) == 1
    logged = [record["loss_D"] for record in RunDirectory(path).history().records]
    assert [value for _, value in scalars["loss_D"]] == pytest.approx(logged)
    assert len(list((path / "tensorboard").iterdir())) == 4


def test_a_full_disk_is_one_warning_and_what_it_missed_is_sent_later(
    train_tiny, tmp_path, recorder, monkeypatch, capfd
):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("tensorboard.summary.writer.record_writer.RecordWriter.write", full)
        run = train_tiny(tmp_path / "run", log="tensorboard", callbacks=[recorder])
    (warning,) = [told for told in recorder.notices if told.startswith("WARNING")]
    assert "nothing more is sent to tensorboard, which failed" in warning
    assert "No space left" in warning
    assert "Traceback" not in "".join(capfd.readouterr())
    train_tiny(tmp_path / "run", log="tensorboard")
    assert [step for step, _ in read_back(run.path)[0]["loss_D"]] == [40, 80, 120]
