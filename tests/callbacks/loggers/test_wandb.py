"""Read back from wandb's own offline files, whose records are LevelDB's log of its messages."""

import json
import struct
import time

import pytest

from zerosum.callbacks.loggers.wandb import is_offline

pytest.importorskip("wandb", reason="needs wandb: pip install 'zerosum[wandb]'")
pytestmark = pytest.mark.slow

BLOCK, HEADER = 32768, 7


def records_of(path):
    """The messages in a .wandb file."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, waiting = path.read_bytes(), HEADER, b""
    assert data[:4] == b":W&B"
    while at + HEADER <= len(data):
        if BLOCK - at % BLOCK < HEADER:  # too short for another piece: the rest is padding
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + HEADER])
        waiting += data[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (1, 4):  # whole, or the last piece
            yield Record.FromString(waiting)
            waiting = b""


def read_back(run):
    """The history, the settings and the ids in the offline files of a run, in their order."""
    history, settings, ids = [], {}, set()
    for path in sorted((run.path / "wandb").glob("offline-run-*/*.wandb")):
        for record in records_of(path):
            kind = record.WhichOneof("record_type")
            if kind == "history":
                items = {
                    item.key or "/".join(item.nested_key): json.loads(item.value_json)
                    for item in record.history.item
                }
                history.append((record.history.step.num, items))
            elif kind == "run":
                ids.add(record.run.run_id)
                for update in record.run.config.update:
                    settings[update.key] = json.loads(update.value_json)
    return history, settings, ids


def test_a_run_that_goes_on_is_read_back_with_each_step_once(train_tiny, tmp_path):
    train_tiny(tmp_path / "run", epochs=2, log="wandb")
    run = train_tiny(tmp_path / "run", epochs=3, log="wandb")
    deadline = time.monotonic() + 30
    while len(read_back(run)[0]) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)  # wandb's own process writes on behind our back
    history, settings, ids = read_back(run)
    assert [step for step, _ in history] == [40, 80, 120]
    for (_, values), record in zip(history, run.log(), strict=True):
        assert values["loss_D"] == record["loss_D"]
        assert values["D(G(z))"] == record["D(G(z))"]
        assert values["health"].startswith(record["health"]["verdict"])
        assert "samples" in values or any(name.startswith("samples") for name in values)
    best = min(record["metrics"]["frechet_random"] for record in run.log())
    assert history[-1][1]["best/frechet_random"] == best
    assert settings["batch_size"] == 16
    assert settings["recipe"] == "vanilla"
    assert len(ids) == 1
    pictures = run.path.glob("wandb/offline-run-*/files/media/images/*.png")
    sent = {path.read_bytes() for path in pictures}
    assert sent == {path.read_bytes() for path in run.directory.pictures()}


@pytest.mark.parametrize(
    ("mode", "key", "netrc", "offline"),
    [
        ("offline", "k" * 40, False, True),
        ("online", None, False, False),
        (None, None, False, True),
        (None, "k" * 40, False, False),
        (None, None, True, False),
    ],
)
def test_without_an_account_it_stays_on_the_disk(
    monkeypatch, tmp_path, capfd, mode, key, netrc, offline
):
    import wandb

    wandb.teardown()  # it reads the environment once
    monkeypatch.delenv("WANDB_MODE", raising=False)
    if mode:
        monkeypatch.setenv("WANDB_MODE", mode)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    if key:
        monkeypatch.setenv("WANDB_API_KEY", key)
    if netrc:
        (tmp_path / "netrc").write_text("default login user password " + "k" * 40)
    try:
        assert is_offline() == offline
    finally:
        wandb.teardown()
    assert "deprecated" not in capfd.readouterr().err
