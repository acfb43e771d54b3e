"""Several processes train as one would: every recipe, to 1e-9 in float64, over gloo.

`ranks.py` plays the games. Commands are started as a user would start them.
"""

import json
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from zerosum import data
from zerosum.callbacks.monitor import Monitor
from zerosum.inference.run import Run
from zerosum.metrics.features import feature_net
from zerosum.preparation import build_game
from zerosum.training import distributed
from zerosum.training.ema import EMA
from zerosum.training.log import History
from zerosum.training.run_directory import RunDirectory
from zerosum.training.state import State

RANKS = Path(__file__).with_name("ranks.py")
GAMES = runpy.run_path(str(RANKS))
CASES, CHANGED = GAMES["CASES"], GAMES["CHANGED"]
CLOSE = 1e-9
"""Of a weight, or of the rate at which weights move, 1e-4 and more, in 20 steps."""
SOME = [*CHANGED, "vanilla", "dcgan", "r3gan", "wgan-gp", "cyclegan"]
"""Where three processes that play two parts each might differ from two."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
        reason="needs a torch with gloo",
    ),
]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def start_each(commands, world, **where):
    """Start a command for each process, as programs other than torchrun do."""
    shared = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    return [
        subprocess.Popen(
            command,
            env={**os.environ, **shared, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **where,
        )
        for rank, command in enumerate(commands)
    ]


def finish(processes):
    """What they have said, and their exit codes."""
    said = [process.communicate(timeout=240)[0] for process in processes]
    return said, [process.returncode for process in processes]


# --- rounds ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Play games in so many processes and parts; what they have come to, by case."""

    def play(world, parts, cases):
        out = tmp_path_factory.mktemp(f"{world}-{parts}")
        command = [sys.executable, str(RANKS), str(out), str(parts), "fp64", *cases]
        said, codes = finish(start_each([command] * world, world))
        assert codes == [0] * world, said
        return {case: safetensors.torch.load_file(out / f"{case}.safetensors") for case in cases}

    return play


@pytest.fixture(scope="module")
def alone(played):
    return played(1, 1, CASES)


@pytest.fixture(scope="module")
def in_two(played):
    return played(2, 1, CASES)


def differing(first, second):
    """Tensors that are not within the bound, each with by how much."""
    assert first.keys() == second.keys()
    return {
        name: (tensor - second[name]).abs().max().item()
        for name, tensor in first.items()
        if not torch.allclose(second[name], tensor, rtol=CLOSE, atol=CLOSE)
    }


@pytest.mark.parametrize("case", CASES)
def test_two_processes_come_to_what_one_does(case, alone, in_two):
    """Weights, optimizers, averages, BatchNorm's statistics, pools, and what the log says."""
    weights = [t for name, t in alone[case].items() if name.startswith(("G/", "D/"))]
    assert {t.dtype for t in weights if t.is_floating_point()} == {torch.float64}
    assert differing(alone[case], in_two[case]) == {}


def test_three_processes_come_to_it_as_well(alone, played):
    """More than the smallest batches have images, so that some play along for nothing."""
    found = played(3, 1, SOME)
    assert {case: differing(alone[case], found[case]) for case in SOME} == {c: {} for c in SOME}


PARTED = ["vanilla", "vanilla in packs", "vanilla augmented", "vanilla with spectral norm", "r3gan"]
"""Without BatchNorm."""


def test_parts_come_to_it_as_well_in_one_process_and_in_two(alone, played):
    for world in (1, 2):
        found = played(world, 3, PARTED)
        for case in PARTED:
            assert differing(alone[case], found[case]) == {}, (world, case)


# --- what they agree on ---------------------------------------------------------------------------


class TestOneProcess:
    def test_is_the_first_of_one_and_asks_nobody(self):
        assert (distributed.rank(), distributed.world()) == (0, 1)
        tensor = torch.ones(2)
        assert distributed.add_up(tensor) is tensor
        assert distributed.largest(3, 0) == [3, 0]
        assert distributed.from_first("mine") == "mine"
        distributed.require_alike({"anything": 1}, "")


# --- commands -------------------------------------------------------------------------------------


@pytest.fixture
def arguments(tmp_path):
    """Of a small training in float64."""
    numbers = np.random.default_rng(0)
    images = numbers.integers(0, 256, (43, 8, 8), np.uint8)
    np.savez(tmp_path / "data.npz", images=images, labels=np.arange(43) % 2)
    np.savez(tmp_path / "other.npz", images=255 - images, labels=np.arange(43) % 2)
    return [
        *("--data", "data.npz", "--device", "cpu", "--precision", "fp64", "--epochs", "30"),
        *("--batch-size", "16", "--hidden", "12", "--latent-size", "4", "--ema-half-life", "60"),
        *("--evaluate-every", "10", "--patience", "29", "--sample-every", "30"),
        *("--checkpoint-every", "1"),
    ]


def zerosum(*arguments):
    return ["-m", "zerosum", "train", "vanilla", *map(str, arguments)]


@pytest.fixture
def torchrun(tmp_path):
    """Start torchrun with two processes; what it started is ended with the test."""
    started = []

    def start(*command, flags=()):
        launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "2"]
        process = subprocess.Popen(
            [sys.executable, *launcher, "--master-port", free_port(), *flags, *command],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ranks_of(launcher):
    """The processes that torchrun has started, by their rank."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            environment = (path / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent == launcher.pid:
            found |= {
                int(line[5:]): int(path.name) for line in environment if line.startswith(b"RANK=")
            }
    return found


def strike(launcher, number, rank, run):
    """Send a signal to one process when the run has a checkpoint; give all of them."""
    while not RunDirectory(run).checkpoints.seen():
        assert launcher.poll() is None, launcher.communicate()[0]
        time.sleep(0.01)
    ranks = ranks_of(launcher)
    os.kill(ranks[rank], number)
    return ranks


def exists(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def end_of(run):
    """The weights and all else at the end of a run, and its log but for the pace."""
    directory = RunDirectory(run)
    (*_, last) = directory.checkpoints.seen()
    log = [
        {name: value for name, value in record.items() if name in ("epoch", "seen", "loss_D")}
        for record in directory.history().records
    ]
    snapshot = directory.checkpoints.load(last, print)
    return snapshot.tensors, log, snapshot.facts["circumstances"]["processes"]


STAGED = Path(__file__).with_name("staged.py")
MANY = ("--evaluate-every", "1", "--checkpoint-every", "1", "--sample-every", "9")


@pytest.fixture
def as_one_and_as_two(tmp_path, monkeypatch):
    """Do a staged training in one process and in two; what the two have said."""
    numbers = np.random.default_rng(1)
    images = numbers.integers(0, 256, (230, 8, 8), np.uint8)
    np.savez(tmp_path / "data.npz", images=images, labels=np.arange(230) % 2)

    def train(stage, *arguments, data="data.npz"):
        for world, name in ((1, "one"), (2, "two")):
            command = [sys.executable, str(STAGED), json.dumps(stage), "train", "vanilla"]
            command += ["--data", data, "--device", "cpu", "--precision", "fp64", *arguments]
            command += ["--batch-size", "23", "--hidden", "12", "--latent-size", "4"]
            command += ["--out", f"{name}/run"]
            # Either looks at the real images itself, and may not find what the other has seen.
            monkeypatch.setenv("ZEROSUM_CACHE", str(tmp_path / f"cache of {name}"))
            said, codes = finish(start_each([command] * world, world, cwd=tmp_path))
            assert codes == [0] * world, said
        return said

    return train


def as_logged(run):
    """The records of a log but for the pace; what is summed over processes by itself."""
    told, computed = [], []
    for record in RunDirectory(run).history().records:
        health = record.get("health", {})
        signals = health.get("signals", {})
        told.append(
            {
                **{name: record.get(name) for name in ("epoch", "seen", "restarts", "metrics")},
                **{name: health.get(name) for name in ("verdict", "why", "alarm")},
                "missing": signals.get("missing"),
            }
        )
        losses = {name: value for name, value in record.items() if "loss" in name or "/" in name}
        computed.append(losses | {n: v for n, v in signals.items() if isinstance(v, int | float)})
    return told, computed


def require_the_same(one, two):
    """Weights to 1e-9; what evaluations found of the samples to the last bit."""
    tensors, _, processes = end_of(two)
    assert processes == 2
    assert differing(end_of(one)[0], tensors) == {}
    (told, computed), (same, close) = map(as_logged, (one, two))
    assert same == told
    assert len(told) > 1
    for record, other in zip(computed, close, strict=True):
        assert other == pytest.approx(record, rel=1e-6, abs=1e-9)


def test_a_collapsed_training_restarts_and_stops_for_patience_as_in_one_process(
    tmp_path, as_one_and_as_two
):
    """Back to its third epoch; then no metric is better, and the sixth is the last."""
    stage = {"collapse": [700, 1], "stall": True, "tell": str(tmp_path / "told")}
    supervised = ("--on-collapse", "restart", "--patience", "6", "--epochs", "20")
    as_one_and_as_two(stage, *supervised, *MANY)
    one, two = (tmp_path / name / "run" for name in ("one", "two"))
    require_the_same(one, two)
    restarts = [RunDirectory(run).read_config()["restarts"] for run in (one, two)]
    assert restarts[0] == restarts[1]
    assert [(entry["at"], entry["back_to"]) for entry in restarts[0]] == [(1150, 690)]
    records = RunDirectory(two).history().records
    assert [record.get("restarts") for record in records] == [None] * 3 + [1] * 4
    assert records[-1]["metrics"].keys() == {"staged", "frechet_random"}
    # Twice at real images, once for each of nine evaluations: of three groups the first has one.
    told = [json.loads((tmp_path / f"told-{rank}.json").read_text()) for rank in range(2)]
    assert [each["looked"] for each in told] == [[100] * 11, [130] * 11]


def test_seeds_one_after_another_and_one_that_diverges(tmp_path, as_one_and_as_two):
    """Nobody waits for a training that has ended; the others' seeds are as in one process."""
    stage = {"diverge": [1, 500]}
    said = as_one_and_as_two(stage, "--seeds", "3", "--epochs", "3", *MANY)
    assert "Training diverged" in said[0]
    assert said[1].strip() == ""
    for seed in (0, 2):
        require_the_same(*(tmp_path / name / f"run-seed-{seed}" for name in ("one", "two")))
    diverged = RunDirectory(tmp_path / "two" / "run-seed-1")
    assert [record["seen"] for record in diverged.history().records] == [230, 460]


def test_with_statistics_of_each_process_its_own_it_is_judged_by_those_that_are_kept(tmp_path):
    """The metric of the log is that of the checkpoint, which has process 0's."""
    pixels = np.random.default_rng(1).integers(0, 256, (230, 8, 8), np.uint8)
    np.savez(tmp_path / "data.npz", images=pixels)
    command = [sys.executable, "-m", "zerosum", "train", "dcgan", "--width", "4", *MANY]
    command += ["--data", "data.npz", "--device", "cpu", "--epochs", "2", "--batch-size", "24"]
    command += ["--batch-norm", "local", "--out", "run"]
    said, codes = finish(start_each([command] * 2, 2, cwd=tmp_path))
    assert codes == [0, 0], said
    run = Run(tmp_path / "run")
    config, images = run.config, data.load(str(tmp_path / "data.npz"))
    game = build_game("dcgan", config, images, device=torch.device("cpu"))
    state = State(game, EMA(game.G.net, half_life=config.ema_half_life))
    state.restore(run.directory.checkpoints.load(run.directory.checkpoints.seen()[-1], print))
    net = feature_net("random", device=game.device)
    judged = Monitor(state, images, None, net=net, seed=config.seed)(History())
    assert judged.metrics == run.log()[-1]["metrics"]


THREADED = """
import json, sys, threading
import torch.distributed as dist
import zerosum
from zerosum.training import torchrun
dist.init_process_group("gloo")
ended = []
train = lambda: ended.append(zerosum.train("vanilla", quiet=True, **json.loads(sys.argv[1])))
thread = threading.Thread(target=train)
thread.start()
thread.join()
torchrun.leave(len(ended) - 1)  # taken down, one in some dozens would abort: see there
"""


def test_called_in_threads_of_processes_that_another_program_let_meet(tmp_path):
    """As Ray Train does it."""
    pixels = np.random.default_rng(1).integers(0, 256, (43, 8, 8), np.uint8)
    np.savez(tmp_path / "data.npz", images=pixels)
    settings = {"data": "data.npz", "device": "cpu", "precision": "fp64", "epochs": 4}
    settings |= {"batch_size": 16, "hidden": [12], "latent_size": 4, "evaluate_every": 2}
    for world in (1, 2):
        told = json.dumps(settings | {"out": f"run-{world}"})
        said, codes = finish(
            start_each([[sys.executable, "-c", THREADED, told]] * world, world, cwd=tmp_path)
        )
        assert codes == [0] * world, said
    require_the_same(tmp_path / "run-1", tmp_path / "run-2")


def test_of_a_folder_on_disk_each_process_reads_its_share(tmp_path, as_one_and_as_two):
    """And a batch is read once by all together."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(40):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    how = ("--data-tier", "disk", "--epochs", "5", "--evaluate-every", "0")
    as_one_and_as_two({"tell": str(tmp_path / "told")}, *how, data="folder")
    assert differing(*(end_of(tmp_path / name / "run")[0] for name in ("one", "two"))) == {}
    asked = [json.loads((tmp_path / f"told-{rank}.json").read_text())["asked"] for rank in range(2)]
    assert {len(rows) for rows in asked[0]} == {11, 8}  # of batches of 23 and of 17
    assert {len(rows) for rows in asked[1]} == {12, 9}
    counts = Counter(row for each in asked for rows in each for row in rows)
    assert counts.keys() == set(range(40))
    # Five epochs, and sixteen batches ahead at the end; neither process has read all.
    assert max(counts.values()) <= 5 + 16 // 2 + 1
    assert max(sum(map(len, each)) for each in asked) < 0.6 * counts.total()


def messages(text):
    return [line for line in text.splitlines() if line.startswith("zerosum: ")]


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@needs_proc
def test_stopped_at_one_process_all_stop_and_one_process_goes_on(tmp_path, torchrun, arguments):
    """A signal at the one that does not lead; process 0 saves; then fewer processes go on."""
    whole = subprocess.run(
        [sys.executable, *zerosum(*arguments, "--out", "whole")], cwd=tmp_path, capture_output=True
    )
    assert whole.returncode == 0
    command = zerosum(*arguments, "--out", "run")
    launcher = torchrun(*command)
    ranks = strike(launcher, signal.SIGTERM, 1, tmp_path / "run")
    text = launcher.communicate(timeout=120)[0]
    assert launcher.returncode == 1
    (message,) = messages(text)
    assert re.match(r"zerosum: Stopped at [\d,]+ images, and saved in 'run'\.", message)
    assert re.search(r"exitcode +: 143", text)
    assert not any(map(exists, ranks.values()))

    resumed = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True
    )
    assert resumed.returncode == 0
    assert "NOTE: processes was 2 when this run was saved, and is 1" in resumed.stdout
    tensors, log, processes = end_of(tmp_path / "whole")
    found, logged, _ = end_of(tmp_path / "run")
    assert processes == 1
    assert differing(tensors, found) == {}
    assert [line["seen"] for line in logged] == [line["seen"] for line in log]


@needs_proc
def test_killed_and_restarted_by_torchrun_it_ends_as_if_it_had_not_been(
    tmp_path, torchrun, arguments
):
    whole = torchrun(*zerosum(*arguments, "--out", "whole"))
    text = whole.communicate(timeout=120)[0]
    assert "Done" in text
    assert whole.returncode == 0, text
    launcher = torchrun(*zerosum(*arguments, "--out", "run"), flags=["--max-restarts", "1"])
    strike(launcher, signal.SIGKILL, 1, tmp_path / "run")
    text = launcher.communicate(timeout=120)[0]
    assert launcher.returncode == 0, text
    assert "Going on with" in text
    (message,) = messages(text)
    assert "Another of the 2 processes has ended" in message
    (tensors, log, _), (found, logged, processes) = map(
        end_of, (tmp_path / "whole", tmp_path / "run")
    )
    assert processes == 2
    assert all(torch.equal(tensor, found[name]) for name, tensor in tensors.items())
    assert logged == log


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (("--data", "other.npz"), "the images' sha256: process 0 has"),
        (("--batch-size", "12"), "--batch-size: process 0 has 16, process 1 has 12"),
        (("--data", "missing.npz"), "missing.npz"),
    ],
)
def test_processes_that_differ_say_so_once(tmp_path, arguments, changed, reason):
    """Not each of them; and none is left waiting."""
    first = [sys.executable, *zerosum(*arguments, "--out", "run")]
    second, (flag, value) = [*first], changed
    second[second.index(flag) + 1] = value
    said, codes = finish(start_each([first, second], 2, cwd=tmp_path))
    (message,) = messages("".join(said))
    assert reason in message
    assert 0 not in codes
    assert "Traceback" not in "".join(said)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_more_processes_than_a_batch_has_packs(tmp_path, arguments):
    command = [sys.executable, *zerosum(*arguments, "--pack", "16", "--out", "run")]
    said, codes = finish(start_each([command] * 2, 2, cwd=tmp_path))
    (message,) = messages("".join(said))
    assert "received a batch of 1 packs for 2 processes" in message
    assert codes == [2, 2]


def test_want_of_memory_is_not_laid_to_another_process():
    def collective():
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(torch.OutOfMemoryError):
        distributed._together(collective)
