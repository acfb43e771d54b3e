"""Collapses are staged: the verdict of an evaluation says what the test wants it to say."""

import json
import os
import signal

import pytest
import torch

from zerosum.callbacks import Callback
from zerosum.data import load
from zerosum.errors import UserError
from zerosum.preparation import build_game
from zerosum.training import checkpoint
from zerosum.training.checkpoint import FACTS, TENSORS
from zerosum.training.run_directory import RunDirectory
from zerosum.training.signals import Interrupted
from zerosum.training.supervisor import MOST_SEEDS, Supervisor


def outcome(path):
    """What a run ends with: weights, progress, log and pictures, but for how long it took."""
    directory = RunDirectory(path)
    newest = directory.checkpoints.path(directory.checkpoints.seen()[-1])
    facts = json.loads((newest / FACTS).read_text())
    for unlike in ("seconds", "log_bytes", "log_sha256"):  # the log holds the pace
        facts["progress"].pop(unlike)
    log = [
        {name: value for name, value in record.items() if name not in PACE}
        for record in directory.history().records
    ]
    pictures = {path.name: path.read_bytes() for path in directory.pictures()}
    return {
        "tensors": (newest / TENSORS).read_bytes(),
        "facts": facts,
        "log": log,
        "pictures": pictures,
        "config": directory.read_config(),
    }


PACE = ("images_per_second", "seconds")


def test_a_training_that_stays_healthy_is_that_of_a_run_without_a_supervisor(
    train_tiny, tmp_path, collapse_when
):
    collapse_when(lambda seen, restarts: False)
    with_one, without = (
        outcome(train_tiny(tmp_path / name, epochs=5, on_collapse=name).path)
        for name in ("restart", "continue")
    )
    assert with_one["tensors"] == without["tensors"]
    assert with_one["log"] == without["log"]


def test_restart_goes_back_to_the_last_healthy_checkpoint_and_draws_other_numbers(
    train_tiny, tmp_path, collapse_when, recorder
):
    collapse_when(lambda seen, restarts: seen > 120 and not restarts)  # from the fourth epoch on
    run = train_tiny(tmp_path / "run", epochs=6, on_collapse="restart", callbacks=[recorder])
    healthy = train_tiny(tmp_path / "other", epochs=6)
    records, as_never_restarted = run.log(), healthy.log()
    assert [record["seen"] for record in records] == [40, 80, 120, 160, 200, 240]
    assert [record.get("restarts") for record in records] == [None, None, None, 1, 1, 1]
    for before, same in zip(records[:3], as_never_restarted[:3], strict=True):
        assert before["loss_G"] == same["loss_G"]
    assert records[3]["loss_G"] != as_never_restarted[3]["loss_G"]
    (entry,) = run.directory.read_config()["restarts"]
    assert entry == {"verdict": "D has won", "at": 200, "back_to": 120, "seed": 0, "attempt": 1}
    told = [text for text in recorder.notices if "WARNING" in text]
    assert told == [
        "WARNING: D has won at epoch 5. Going on back to 120 images with fresh random numbers: "
        "restart 1 of 3."
    ]


def test_a_seed_that_collapses_too_often_gives_way_to_the_next(train_tiny, tmp_path, collapse_when):
    collapse_when(lambda seen, restarts: seen > 40 and restarts < 3)
    run = train_tiny(tmp_path / "run", epochs=4, on_collapse="restart", restarts=2)
    tried = [
        (entry["seed"], entry["attempt"], entry["back_to"])
        for entry in run.directory.read_config()["restarts"]
    ]
    assert tried == [(0, 1, 40), (0, 2, 40), (1, 0, 0)]
    assert [record["seen"] for record in run.log()] == [40, 80, 120, 160]


def test_the_next_seed_begins_as_a_run_of_that_seed_does(train_tiny, tmp_path, collapse_when):
    """From the same first weights."""
    collapse_when(lambda seen, restarts: restarts < 2)  # never healthy: restarts begin anew
    first = []

    class AtTheStart(Callback):
        def notice(self, text):
            if "with seed 1" in text:
                directory = RunDirectory(tmp_path / "run")
                first.append(checkpoint.read(directory.checkpoints.path(0)))

    settings = {"epochs": 3, "on_collapse": "restart", "restarts": 1}
    run = train_tiny(tmp_path / "run", callbacks=[AtTheStart()], **settings)
    (snapshot,) = first
    assert snapshot.facts["progress"]["seen"] == 0
    seeded = run.config.model_copy(update={"seed": 1})
    game = build_game("vanilla", seeded, load(seeded.data), device=torch.device("cpu"))
    for name, tensor in game.G.net.state_dict().items():
        assert torch.equal(snapshot.tensors[f"G/{name}"], tensor)
        assert torch.equal(snapshot.tensors[f"average/{name}"], tensor)


class StopAt(Callback):
    """Sends Ctrl-C at a tick."""

    def __init__(self, tick):
        self.left = tick

    def tick(self, record):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.slow
@pytest.mark.parametrize("tick", [1, 3, 4, 5, 8])
def test_a_restarted_run_resumes_exactly(train_tiny, tmp_path, collapse_when, tick):
    collapse_when(lambda seen, restarts: seen > 80 and restarts < 2)
    settings = {"epochs": 6, "on_collapse": "restart"}
    whole = train_tiny(tmp_path / "whole", **settings)
    assert len(whole.directory.read_config()["restarts"]) == 2
    with pytest.raises(Interrupted):
        train_tiny(tmp_path / "run", callbacks=[StopAt(tick)], **settings)
    resumed = train_tiny(tmp_path / "run", **settings)
    assert outcome(resumed.path) == outcome(whole.path)


@pytest.mark.parametrize("step", ["restart", "settle"])
def test_killed_in_the_middle_of_a_restart(train_tiny, tmp_path, collapse_when, monkeypatch, step):
    collapse_when(lambda seen, restarts: seen > 80 and not restarts)
    settings = {"epochs": 5, "on_collapse": "restart"}
    whole = train_tiny(tmp_path / "whole", **settings)

    class Killed(Exception):
        pass

    def killed(supervisor, *args):
        if step == "restart" or supervisor.state.progress.restarts:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Supervisor, step, killed)
        with pytest.raises(Killed):
            train_tiny(tmp_path / "run", **settings)
    resumed = train_tiny(tmp_path / "run", **settings)
    assert outcome(resumed.path) == outcome(whole.path)


def test_when_nothing_helps_it_stops_and_says_how_to_go_on(
    train_tiny, tmp_path, collapse_when, recorder
):
    collapse_when(lambda seen, restarts: seen > 40)
    settings = {"epochs": 9, "on_collapse": "restart", "restarts": 1}
    run = train_tiny(tmp_path / "run", callbacks=[recorder], **settings)
    entries = run.directory.read_config()["restarts"]
    assert [entry["seed"] for entry in entries] == [0, 1, 1, 2, 2]
    assert run.log()[-1]["seen"] == 120
    assert len({entry["seed"] for entry in entries}) == MOST_SEEDS
    said = "\n".join(recorder.notices)
    assert "Stopped after 5 restarts: D has won" in said
    assert "--on-collapse continue" in said
    again = len(recorder.notices)
    train_tiny(tmp_path / "run", callbacks=[recorder], **settings)
    assert "is complete: D has won at epoch 3" in recorder.notices[again]
    assert train_tiny(tmp_path / "run", epochs=9, on_collapse="continue").log()[-1]["seen"] == 360


def test_stop_keeps_the_best_checkpoint_and_can_be_taken_back(
    train_tiny, tmp_path, collapse_when, recorder
):
    collapse_when(lambda seen, restarts: seen > 80 and not restarts, verdict="collapsing")
    run = train_tiny(tmp_path / "run", epochs=6, on_collapse="stop", callbacks=[recorder])
    assert run.log()[-1]["seen"] == 160
    said = recorder.notices[-2]
    assert said.startswith("WARNING: Stopped: collapsing: as staged. The best checkpoint, at ")
    assert "--on-collapse restart" in said
    assert run.directory.film_path.exists()
    restarted = train_tiny(tmp_path / "run", epochs=6, on_collapse="restart")
    assert restarted.directory.read_config()["restarts"][0]["back_to"] == 80
    assert restarted.log()[-1]["seen"] == 240


def test_one_alarm_is_no_collapse(train_tiny, tmp_path, collapse_when):
    collapse_when(lambda seen, restarts: seen % 80 == 0)
    run = train_tiny(tmp_path / "run", epochs=6, on_collapse="restart")
    assert "restarts" not in run.directory.read_config()


def test_without_a_word_a_program_goes_on(train_tiny, tmp_path, collapse_when):
    collapse_when(lambda seen, restarts: seen > 40)
    assert train_tiny(tmp_path / "run", epochs=5).log()[-1]["seen"] == 200


def test_patience_and_the_supervisor_agree(train_tiny, tmp_path, collapse_when):
    """A collapse is a restart, not the end for want of gain, and the gain is counted anew."""
    collapse_when(lambda seen, restarts: seen > 80 and not restarts)
    run = train_tiny(tmp_path / "run", epochs=5, on_collapse="restart", patience=2)
    assert len(run.directory.read_config()["restarts"]) == 1
    assert run.log()[-1]["seen"] > 80


def test_a_damaged_healthy_checkpoint_is_said_and_the_start_is_left(
    train_tiny, tmp_path, collapse_when, recorder
):
    collapse_when(lambda seen, restarts: seen > 80 and not restarts)
    run = train_tiny(tmp_path / "run", epochs=6, on_collapse="stop")
    tensors = run.directory.checkpoints.path(80) / TENSORS
    tensors.write_bytes(tensors.read_bytes()[:-1])
    again = train_tiny(tmp_path / "run", epochs=6, on_collapse="restart", callbacks=[recorder])
    assert any("is damaged" in text for text in recorder.notices)
    assert again.directory.read_config()["restarts"][0]["back_to"] == 0


def test_it_has_to_look(train_tiny, tmp_path):
    with pytest.raises(UserError, match="--evaluate-every above 0 beside --on-collapse restart"):
        train_tiny(tmp_path / "run", on_collapse="restart", evaluate_every=0)
    with pytest.raises(UserError, match="--restarts would change nothing"):
        train_tiny(tmp_path / "run", restarts=2)
