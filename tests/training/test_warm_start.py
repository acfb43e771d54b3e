"""A new run from another's weights: what is taken, what is left, and that it resumes like any."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from torch import nn

import zerosum
from zerosum.cli.main import run as run_command
from zerosum.data.spec import DataSpec
from zerosum.errors import UserError
from zerosum.recipes import RECIPES, build
from zerosum.recipes.players import freeze_first
from zerosum.training.checkpoint import TENSORS
from zerosum.training.warm_start import WarmStart, fitting


def snapshot(path, checkpoint="newest"):
    return zerosum.load(path).directory.checkpoints.load(checkpoint, print)


def same(ours, theirs):
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


def tensors(path):
    kept = zerosum.load(path).directory.checkpoints
    return (kept.path(kept.seen()[-1]) / TENSORS).read_bytes()


@pytest.fixture
def here(run, tiny_images, monkeypatch):
    """A folder with the run `run`, of 120 images, and `other.npz`, 30 images of the same form."""
    monkeypatch.chdir(run.path.parent)
    pixels = np.random.default_rng(1).integers(0, 256, (30, 8, 8), np.uint8)
    np.savez("other.npz", images=pixels)
    return run.path.parent


OTHER = {"data": "other.npz", "batch_size": 10, "epochs": 1, "learning_rate": 1e-4}


class TestStarting:
    def test_with_other_data_batch_and_rate(self, here, train_tiny, recorder):
        run = train_tiny(here / "new", start_from="run", callbacks=[recorder], **OTHER)
        began, source = snapshot(here / "new", 0), snapshot("run")
        for group in ("G", "D", "average"):
            assert same(began.group(group), source.group(group))
        assert not began.group("optimizer_G")
        assert began.facts["progress"]["seen"] == 0
        assert recorder.notices[0] == (f"Starting from '{here / 'run'}' at 120 images: G, D, ema.")
        assert run.log()[-1]["seen"] == 30
        weights = (here / "run/checkpoints/120" / TENSORS).read_bytes()
        assert run.directory.read_config()["started_from"] == {
            "path": str(here / "run"),
            "checkpoint": "newest",
            "parts": ["G", "D", "ema"],
            "seen": 120,
            "sha256": hashlib.sha256(weights).hexdigest(),
            "ema_seen": 120,
        }

    @pytest.mark.parametrize("parts", [("G",), ("D",), "D, G"])
    def test_with_some_parts(self, here, train_tiny, parts):
        train_tiny(here / "new", start_from="run", from_parts=parts, **OTHER)
        began, source = snapshot(here / "new", 0), snapshot("run")
        for part in "GD":
            assert same(began.group(part), source.group(part)) == (part in parts)
        assert same(began.group("average"), began.group("G"))

    def test_with_an_older_checkpoint(self, here, train_tiny):
        train_tiny(here / "new", start_from="run", from_checkpoint=80, **OTHER)
        assert same(snapshot(here / "new", 0).group("G"), snapshot("run", 80).group("G"))

    def test_the_average_is_not_forgotten_at_once(self, here, train_tiny):
        slow = {"ema_half_life": 10**9}
        for name, parts in (("with", "G,D,ema"), ("without", "G,D")):
            train_tiny(here / name, start_from="run", from_parts=parts, **{**OTHER, **slow})
        distances = []
        for name in ("with", "without"):
            ended = snapshot(here / name)
            ours, theirs = (ended.group(group)["layers.0.weight"] for group in ("average", "G"))
            distances.append((ours - theirs).norm().item())
        assert distances[0] > 2 * distances[1]

    def test_layers_that_do_not_fit_are_named_and_left_fresh(self, here, train_tiny, recorder):
        train_tiny(here / "new", start_from="run", callbacks=[recorder], **OTHER, hidden=(12, 9))
        (told,) = [notice for notice in recorder.notices if "Left fresh" in notice]
        assert "G layers.2 (20×12 there, 9×12 here); G layers.4 (64×20 there, 64×9 here)" in told
        assert told.endswith("and 1 more.")
        began, source = snapshot(here / "new", 0).group("G"), snapshot("run").group("G")
        assert torch.equal(began["layers.0.weight"], source["layers.0.weight"])

    def test_nets_are_shaped_as_the_sources_unless_given(self, here):
        command = ["train", "--data", "other.npz", "--epochs", "1", "--from", "run"]
        assert run_command([*command, "--out", "new"]) == 0
        config = zerosum.load("new").config
        assert (config.hidden, config.latent_size, config.batch_size) == ((12, 20), 4, 128)
        assert run_command([*command, "--hidden", "12", "9", "--out", "other"]) == 0
        assert zerosum.load("other").config.hidden == (12, 9)

    def test_several_seeds_are_one_candidate(self, here, capsys):
        command = ["train", "--data", "other.npz", "--epochs", "2", "--device", "cpu"]
        evaluated = ["--evaluate-every", "1", "--seeds", "2", "--hidden", "12", "20"]
        plain = ["--latent-size", "4", "--out", "plain"]
        assert run_command([*command, *evaluated, "--from", "run", "--out", "warm"]) == 0
        assert run_command([*command, *evaluated, *plain]) == 0
        capsys.readouterr()
        runs = [f"{name}-seed-{seed}" for name in ("plain", "warm") for seed in (0, 1)]
        assert run_command(["compare", *runs]) == 0
        out = capsys.readouterr().out
        assert "from=none" in out
        assert "from=run" in out


class TestResuming:
    def test_is_exact_even_without_the_source(self, here, train_tiny):
        started = {"start_from": "run", **OTHER}
        train_tiny(here / "whole", **{**started, "epochs": 3})
        train_tiny(here / "stopped", **started)
        shutil.copytree(here / "stopped", here / "copy")
        shutil.move("run", "gone")
        train_tiny(here / "stopped", **{**started, "epochs": 3})
        zerosum.train(resume=here / "copy", epochs=3, quiet=True)
        assert tensors("stopped") == tensors("copy") == tensors("whole")
        for name in ("stopped", "copy"):
            saved = json.loads((here / name / "config.json").read_text())
            assert saved["started_from"]["sha256"]

    def test_a_kill_before_the_first_checkpoint_needs_no_source_either(self, here, train_tiny):
        started = {"start_from": "run", **OTHER}
        train_tiny(here / "whole", **started)
        train_tiny(here / "killed", **started)
        shutil.rmtree(here / "killed/checkpoints/30")
        shutil.move("run", "gone")
        train_tiny(here / "killed", **started)
        assert tensors("killed") == tensors("whole")

    @pytest.mark.parametrize("recipe", [["vanilla"], []])
    def test_by_the_same_command_without_the_source(self, here, recipe):
        command = ["train", *recipe, "--data", "other.npz", "--from", "run", "--out", "new"]
        assert run_command([*command, "--epochs", "1"]) == 0
        shutil.move("run", "gone")
        assert run_command([*command, "--epochs", "2"]) == 0
        assert zerosum.load("new").config.hidden == (12, 20)

    @pytest.mark.parametrize(
        ("changes", "line"),
        [
            ({"start_from": None}, "received nothing"),
            ({"from_parts": "G"}, "received '.*run', G of the newest checkpoint"),
            ({"start_from": "another"}, "received '.*another', G,D,ema of the newest"),
        ],
    )
    def test_with_another_start_is_refused(self, here, train_tiny, changes, line):
        train_tiny(here / "new", start_from="run", **OTHER)
        shutil.copytree("run", "another")
        with pytest.raises(UserError, match=rf"--from: the run began from '.*run'.*{line}"):
            train_tiny(here / "new", **{"start_from": "run", **OTHER, **changes})

    def test_a_run_from_nothing_does_not_take_weights_up_later(self, here, train_tiny):
        train_tiny(here / "new", **OTHER)
        with pytest.raises(UserError, match="--from: the run began from nothing, received"):
            train_tiny(here / "new", start_from="run", **OTHER)


class TestFreezing:
    def test_the_first_blocks_of_d_stay(self, here, train_tiny):
        train_tiny(here / "new", start_from="run", freeze_d=2, **OTHER)
        before, after = snapshot("run").group("D"), snapshot(here / "new").group("D")
        changed = {name for name in after if not torch.equal(before[name], after[name])}
        assert changed == {"layers.4.weight", "layers.4.bias"}
        train_tiny(here / "new", start_from="run", freeze_d=2, **{**OTHER, "epochs": 2})
        train_tiny(here / "once", start_from="run", freeze_d=2, **{**OTHER, "epochs": 2})
        assert tensors("new") == tensors("once")

    def test_clipping_leaves_them_alone(self, here, train_tiny):
        train_tiny(here / "new", start_from="run", freeze_d=1, clip=1e-3, **OTHER)
        before, after = snapshot("run").group("D"), snapshot(here / "new").group("D")
        assert torch.equal(before["layers.0.weight"], after["layers.0.weight"])
        assert after["layers.2.weight"].abs().max() <= 1e-3

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"freeze_d": 3}, "--freeze-d 3 .* it has 3 blocks. Expected 0 to 2"),
            ({"freeze_d": 1, "start_from": None}, "Give --from RUN beside it"),
            ({"freeze_d": 1, "from_parts": "G"}, "Give --from RUN beside it"),
            ({"freeze_d": 1, "hidden": (12, 9)}, "as chance drew them.*: layers.0"),
        ],
    )
    def test_what_has_no_meaning_is_refused(self, here, train_tiny, changes, message):
        with pytest.raises(UserError, match=message):
            train_tiny(here / "new", **{"start_from": "run", **OTHER, **changes})
        assert not (here / "new").exists()

    @pytest.mark.parametrize("name", RECIPES)
    def test_every_d_of_the_table_has_blocks_in_the_order_of_its_layers(self, name):
        pairs = RECIPES[name].task != "generation"
        given = {"data": "mine", **({"size": "32"} if pairs else {})}
        spec = (
            DataSpec(shape=(2, 32, 32), source_channels=1)
            if pairs
            else DataSpec(shape=(1, 32, 32), classes=("a", "b"))
        )
        config = RECIPES[name].configure(given).settled(1000)
        with torch.device("meta"):
            D = build(name, config, spec, device=torch.device("meta")).D.net
        frozen = []
        for count in range(20):
            try:
                freeze_first(D, count)
            except UserError:
                break
            frozen.append(sum(not p.requires_grad for p in D.parameters()))
        assert len(frozen) >= 3
        assert frozen == sorted({*frozen})  # each block has weights of its own
        assert frozen[0] == 0
        assert frozen[-1] < len(list(D.parameters()))


class TestMistakes:
    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            (["--from", "rum"], "Runs beside it: run."),
            (["--from", "run", "--from-parts", "G,X"], "no part of a run 'X'"),
            (["--from", "run", "--from-parts", "ema"], "ema without G"),
            (["--from-parts", "G"], "--from-parts would change nothing"),
            (["--from-checkpoint", "best"], "--from-checkpoint would change nothing"),
            (["--from", "run", "--from-checkpoint", "7"], "no checkpoint '7'"),
            (["--from", "run", "--resume", "run"], "--resume does not go with --from"),
            (["--from", "run", "--out", "run"], "Choose another with --out"),
            (["--from", "run", "--out", "run", "--fresh"], "Choose another with --out"),
            (
                ["--from", "run", "--nets", "dcgan", "--size", "16"],
                "No layer of the run 'run' fits",
            ),
        ],
    )
    def test_each_is_one_message_and_leaves_nothing(self, here, capsys, flags, message):
        command = ["train", "--data", "other.npz", "--epochs", "1", *flags]
        assert run_command(command) == 2
        error = capsys.readouterr().err
        assert message in error
        assert "Traceback" not in error
        assert not (here / "runs").exists()
        assert tensors("run")


class TestFitting:
    def test_a_layer_is_taken_whole_or_not_at_all(self):
        net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
        other = nn.Sequential(nn.Linear(5, 3), nn.Linear(3, 1)).state_dict()
        taken, left = fitting(net, other)
        assert {*taken} == {"1.weight", "1.bias"}
        assert left == ["0 (3×5 there, 3×2 here)"]

    def test_counters_alone_are_no_fit(self):
        net, other = nn.BatchNorm2d(2), nn.BatchNorm2d(3)
        assert fitting(net, other.state_dict())[0] == {}
        net = nn.Sequential(nn.BatchNorm2d(2, affine=False), nn.Linear(1, 2))
        assert fitting(net, nn.Sequential(nn.BatchNorm2d(2, affine=False)).state_dict()) == (
            {},
            ["1 (not there)"],
        )

    def test_spectral_norm_goes_with_its_layer(self):
        def normed(inputs):
            return nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(inputs, 3)))

        taken, left = fitting(normed(2), normed(4).state_dict())
        assert taken == {}
        assert len(left) == 1
        assert left[0].startswith("0 (")
        assert len(fitting(normed(2), normed(2).state_dict())[0]) == 4

    def test_what_is_asked_is_what_is_recorded(self):
        start = WarmStart.asked("somewhere", "D,G", 80)
        assert start.resolved() == WarmStart.recorded({"started_from": start.record})
        assert start.record["parts"] == ["G", "D"]
        assert WarmStart.asked(None) is None
