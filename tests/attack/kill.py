"""A training stopped, or its disk failing, at every call that changes a file; and begun again.

`make attack` runs it; `--small` is what the suite runs. What a user would do then, the same command
again, must end as if nothing had happened: the same weights, log, pictures and files, and no other
file. In between every checkpoint is whole, and `sample` draws or says why not; a disk that fails
ends a command in a sentence. `points.c` is what stops it, preloaded into this process; each case
is a process of its own that this one, which has imported all, has forked.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import json
import math
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from corruption import FELL, import_all

KILL, TEAR, NO_SPACE, IO_ERROR = 1, 2, 3, 4
WAYS = {
    KILL: "killed before it",
    TEAR: "killed with half of it written",
    NO_SPACE: "ENOSPC from it on",
    IO_ERROR: "EIO at it",
}
SECONDS = 300
"""What a command may take on a busy machine."""
SHIM = "POINTS_SHIM"
PACE = ("seconds", "images_per_second")
TIMED = {"report.html", "manifest.json", ".lock", "loggers.json"}
"""Files that tell the time, or hold the sha256 of one that does: they must be there."""


def train_tokens(
    *more: str, evaluate_every: int = 1, epochs: int = 3, seed: int = 0, out: str = "run"
) -> list[str]:
    """The command line of a tiny training, with several checkpoints and pictures."""
    return [
        *("train", "vanilla", "--data", "images", "--batch-size", "16", "--hidden", "12"),
        *("--epochs", str(epochs), "--checkpoint-every", "1", "--sample-every", "1"),
        *("--evaluate-every", str(evaluate_every), "--device", "cpu", "--seed", str(seed)),
        *("--out", out, *more),
    ]


SAMPLE = ["sample", "run", "-n", "2", "--device", "cpu", "--out", "out.png"]


@dataclass(frozen=True)
class Variant:
    """A way to train.

    Attributes:
        tokens: the command line.
        cold: whether its cache is empty, and watched too.
        over: whether another run is there, for --fresh to remove.
    """

    tokens: list[str]
    cold: bool = False
    over: bool = False


VARIANTS = {
    "evaluation on, cold cache": Variant(train_tokens(), cold=True),
    "evaluation off": Variant(train_tokens(evaluate_every=0)),
    "--fresh": Variant(train_tokens("--fresh", evaluate_every=0), over=True),
    "--log tensorboard": Variant(train_tokens("--log", "tensorboard")),
}
PLAIN = VARIANTS["evaluation on, cold cache"]


@dataclass
class Found:
    """What came of the cases of one variant."""

    cases: Counter[int] = field(default_factory=Counter)
    sampled: int = 0
    said_why_not: int = 0
    not_reached: int = 0
    fallen: list[str] = field(default_factory=list)


def warm_up() -> None:
    """Import, and keep, what a training otherwise would each time: it saves half of the time."""
    import_all()
    for name in ("torch._dynamo", "matplotlib.backends.backend_svg"):
        importlib.import_module(name)
    from zerosum.pages import environment
    from zerosum.plots.curves import draw_curve
    from zerosum.training.log import History

    environment()
    with tempfile.TemporaryDirectory() as name:
        record = {"seen": 1, "epoch": 1, "loss_D": 1.0, "loss_G": 1.0}
        draw_curve(History((record,)), Path(name) / "curve.svg")


def make_images(folder: Path) -> None:
    """Write 40 images of two classes: an epoch is batches of 16, 16 and 8."""
    import numpy as np
    from PIL import Image

    numbers = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / "images" / name).mkdir(parents=True)
        for number in range(20):
            pixels = numbers.integers(0, 256, (8, 8), np.uint8)
            Image.fromarray(pixels).save(folder / "images" / name / f"{number}.png")


class Attack:
    """A folder to train in, with what the trainings there share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.case = folder / "case"
        self.points = ctypes.CDLL(os.environ[SHIM])
        make_images(folder)

    def begin(self, variant: Variant) -> None:
        """Make the folder of a case as it is before its command."""
        shutil.rmtree(self.case, ignore_errors=True)
        self.case.mkdir()
        (self.case / "images").symlink_to(self.folder / "images")
        if variant.over:
            shutil.copytree(self.folder / "over", self.case / "run")

    def run(
        self,
        tokens: Sequence[str],
        *,
        cold: bool = False,
        at: int = 0,
        way: int = 0,
        names: Path | None = None,
        after: float | None = None,
    ) -> tuple[int, str]:
        """Run a command in a process of its own.

        Args:
            tokens: the command line.
            cold: whether the cache of the case is used, and watched.
            at: the point where something happens.
            way: what happens there, of `WAYS`.
            names: a file that takes the names of the points; none are counted without it or `at`.
            after: seconds after which the process is killed.

        Returns:
            Its exit code, FELL for a traceback, and what it said on standard error.
        """
        child = os.fork()
        if child == 0:
            self._be_the_command(tokens, cold=cold, at=at, way=way, names=names)
        if after is not None:
            ends = time.monotonic() + after
            while time.monotonic() < ends:
                ended, status = os.waitpid(child, os.WNOHANG)
                if ended:
                    return self._result(status)
                time.sleep(0.002)
            os.kill(child, signal.SIGKILL)
        return self._result(os.waitpid(child, 0)[1])

    def _result(self, status: int) -> tuple[int, str]:
        said = (self.folder / "said").read_text()
        code = os.waitstatus_to_exitcode(status)
        return FELL if "Traceback" in said else code, said

    def _be_the_command(
        self, tokens: Sequence[str], *, cold: bool, at: int, way: int, names: Path | None
    ) -> None:
        code = FELL
        try:
            os.chdir(self.case)
            os.environ["ZEROSUM_CACHE"] = str(self.case / "cache" if cold else self.folder / "warm")
            sys.argv[0] = "zerosum"
            signal.alarm(SECONDS)
            said = (self.folder / "said").open("w")
            os.dup2(said.fileno(), 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            from zerosum.cli.main import run

            if at or names:
                watched = os.fsencode(self.case / "run"), os.fsencode(self.case / "cache")
                into = os.fsencode(names) if names else None
                self.points.points_arm(*watched, ctypes.c_long(at), way, into)
            code = run(tokens)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def outcome(self) -> dict[str, object]:
        """All that a finished run and its cache are, but for how long it took."""
        found: dict[str, object] = {}
        for path in sorted(self.case.rglob("*")):
            name = str(path.relative_to(self.case))
            if path.is_file() and not name.startswith(("images", "out.png")):
                found |= content_of(name, path)
        return found

    def damaged(self) -> list[str]:
        """The checkpoints that are there and not whole."""
        from zerosum.training.checkpoint import is_whole

        kept = (self.case / "run" / "checkpoints").glob("[0-9]*")
        return [path.name for path in kept if not is_whole(path)]


def content_of(name: str, path: Path) -> dict[str, object]:
    """What of a file must be the same, by its name."""
    if path.name == "log.jsonl":
        records = [json.loads(line) for line in path.read_text().splitlines()]
        return {name: [{k: v for k, v in record.items() if k not in PACE} for record in records]}
    if path.name == "state.json":
        facts = json.loads(path.read_text())
        for unlike in ("seconds", "log_bytes", "log_sha256"):  # the log holds the pace
            facts["progress"].pop(unlike)
        return {name: facts}
    if path.name == "progress.json":
        facts = json.loads(path.read_text())
        return {name: {key: facts[key] for key in ("state", "seen", "budget")}}
    if path.name.startswith("events.out."):
        return {f"{tag} at {step}": value for tag, step, value in scalars(path)}
    return {name: None if path.name in TIMED else path.read_bytes()}


def scalars(path: Path) -> Iterator[tuple[str, int, object]]:
    """What a file of TensorBoard's says, but for the pace."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    for event in EventFileLoader(str(path)).Load():
        for value in event.summary.value:
            if value.tag not in PACE and not value.tag.startswith("images"):
                yield value.tag, event.step, list(value.tensor.float_val)


def unlike(found: dict[str, object], expected: dict[str, object]) -> str:
    """Say which files are not as they should be, and "" where all are."""
    named = {
        "missing": expected.keys() - found.keys(),
        "stray": found.keys() - expected.keys(),
        "unlike": {name for name in found.keys() & expected if found[name] != expected[name]},
    }
    return "; ".join(
        f"{what}: {', '.join(sorted(names))}" for what, names in named.items() if names
    )


def try_point(
    attack: Attack, variant: Variant, at: int, way: int, expected: dict[str, object], found: Found
) -> str:
    """Let one thing happen at one point, and begin again; "" or what fell."""
    attack.begin(variant)
    code, said = attack.run(variant.tokens, cold=variant.cold, at=at, way=way)
    killed = way in (KILL, TEAR)
    if killed and code == 0:  # progress.json is written by the clock: there were fewer points
        found.not_reached += 1
        return ""
    if killed and code != -signal.SIGKILL:
        return f"ended with {code} before it: {said[-2000:]}"
    if not killed and (code not in (0, 1, 2) or said.count("zerosum: ") != (code != 0)):
        return f"ended with {code}: {said[-2000:]}"
    if damaged := attack.damaged():
        return f"checkpoints that are not whole: {damaged}"
    if (attack.case / "run").exists():
        code, said = attack.run(SAMPLE, cold=variant.cold)
        if code not in (0, 1, 2):
            return f"sample ended with {code}: {said[-2000:]}"
        found.sampled += code == 0
        found.said_why_not += code != 0
    code, said = attack.run(variant.tokens, cold=variant.cold)
    if code != 0:
        return f"the same command again ended with {code}: {said[-2000:]}"
    return unlike(attack.outcome(), expected)


def expected_of(attack: Attack, variant: Variant) -> tuple[dict[str, object], list[str]]:
    """Train twice without harm; what came of it, and the points that were passed."""
    names = attack.folder / "names"
    outcomes = []
    for _ in range(2):
        names.unlink(missing_ok=True)
        attack.begin(variant)
        code, said = attack.run(variant.tokens, cold=variant.cold, names=names)
        if code:
            raise SystemExit(f"{shlex.join(variant.tokens)}: {said}")
        outcomes.append(attack.outcome())
    if difference := unlike(*outcomes):
        raise SystemExit(f"Two trainings without harm differ: {difference}")
    return outcomes[0], names.read_text().splitlines()


def cases_of(points: list[str], every: int) -> list[tuple[int, int]]:
    """List point and what happens there: each point is a kill, every second one an error too.

    They are in a random order, the same each time, so that a part of them is one of all kinds.
    """
    cases = [(at, KILL) for at in range(1, len(points) + 1)]
    cases += [(at, TEAR) for at, name in enumerate(points, 1) if name.startswith("write ")]
    cases += [(at, NO_SPACE) for at in range(1, len(points) + 1, 2)]
    cases += [(at, IO_ERROR) for at in range(2, len(points) + 1, 2)]
    random.Random(0).shuffle(cases)
    return cases[::every]


def try_points(
    attack: Attack, name: str, *, every: int, ends: float = math.inf
) -> tuple[Found, int]:
    """Try the points of a variant, or every n-th case of them; and how many cases there are.

    Args:
        attack: where.
        name: the variant's.
        every: of the cases, each n-th only.
        ends: when to stop, on the monotonic clock.
    """
    variant = VARIANTS[name]
    expected, points = expected_of(attack, variant)
    found = Found()
    for at, way in cases_of(points, every):
        if time.monotonic() > ends:
            break
        found.cases[way] += 1
        if fell := try_point(attack, variant, at, way, expected, found):
            place = points[at - 1].replace(str(attack.case), "")
            found.fallen.append(f"{name}, point {at} ({place}), {WAYS[way]}: {fell}")
            print(f"FELL: {found.fallen[-1]}", file=sys.stderr, flush=True)
    return found, len(cases_of(points, 1))


def try_moments(attack: Attack, count: int) -> tuple[int, int, list[str]]:
    """Kill trainings at random moments, over and over until they are done.

    Returns:
        How many kills, of how many trainings, and what fell.
    """
    variant, chance = PLAIN, random.Random(0)
    expected, _ = expected_of(attack, variant)
    began = time.monotonic()
    attack.begin(variant)
    attack.run(variant.tokens, cold=True)
    takes = time.monotonic() - began
    kills = trainings = 0
    fallen = []
    while kills < count:
        attack.begin(variant)
        trainings += 1
        while True:
            after = chance.uniform(0, takes) if kills < count else None
            code, said = attack.run(variant.tokens, cold=True, after=after)
            if code != -signal.SIGKILL:
                break
            kills += 1
        fell = said[-2000:] if code else unlike(attack.outcome(), expected)
        if fell:
            fallen.append(f"after {kills} kills at random moments: {fell}")
            print(f"FELL: {fallen[-1]}", file=sys.stderr, flush=True)
    return kills, trainings, fallen


def try_ranks(attack: Attack, count: int) -> tuple[int, list[str]]:
    """Kill the first of two processes that train together; how many points it passed, what fell."""
    tokens = train_tokens()
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    names, fallen = attack.folder / "names", []

    def train(at: int, way: int, names: str = "") -> tuple[int, str]:
        armed = {
            "POINTS_AT": str(at),
            "POINTS_ACTION": str(way),
            "POINTS_RANK": "0",
            "POINTS_FIRST": str(attack.case / "run"),
            "POINTS_SECOND": str(attack.case / "cache"),
            "POINTS_LIST": names,
            "ZEROSUM_CACHE": str(attack.folder / "warm"),
        }
        done = subprocess.run(
            [*launch, "-m", "zerosum", *tokens],
            cwd=attack.case,
            env=os.environ | armed,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return done.returncode, done.stderr

    names.unlink(missing_ok=True)
    attack.begin(PLAIN)
    code, said = train(0, 0, str(names))
    if code:
        raise SystemExit(f"Two processes could not train: {said}")
    expected, points = attack.outcome(), names.read_text().splitlines()
    for number in range(count):
        at = 1 + len(points) * (2 * number + 1) // (2 * count)
        attack.begin(PLAIN)
        code, said = train(at, KILL)
        fell = "it was not killed" if code == 0 else ", ".join(attack.damaged())
        if not fell:
            code, said = train(0, 0)
            fell = said[-2000:] if code else unlike(attack.outcome(), expected)
        if fell:
            fallen.append(f"two processes, point {at} ({points[at - 1]}): {fell}")
            print(f"FELL: {fallen[-1]}", file=sys.stderr, flush=True)
    return len(points), fallen


def recovery(attack: Attack) -> tuple[float, float]:
    """Seconds from the start of a command until it plays: of a new run, and of a killed one."""
    seconds = []
    attack.begin(PLAIN)
    progress = attack.case / "run" / "progress.json"
    for _ in range(2):
        progress.unlink(missing_ok=True)
        environment = os.environ | {"ZEROSUM_CACHE": str(attack.folder / "warm")}
        began = time.monotonic()
        command = [sys.executable, "-m", "zerosum", *train_tokens(epochs=2000)]
        process = subprocess.Popen(
            command, cwd=attack.case, env=environment, stdout=subprocess.DEVNULL
        )
        while not progress.exists():
            time.sleep(0.005)
        seconds.append(time.monotonic() - began)
        while not any((attack.case / "run").glob("checkpoints/[0-9]*")):
            time.sleep(0.005)
        process.kill()
        process.wait()
    return seconds[0], seconds[1]


def main() -> int:
    """Build the shim, and attack with it preloaded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a few points of one variant only")
    parser.add_argument("--every", type=int, default=1, help="of the cases, each n-th only")
    parser.add_argument("--seconds", type=float, default=math.inf, help="for each way to train")
    parser.add_argument("--variant", choices=VARIANTS, help="of the ways to train, this only")
    parser.add_argument("--moments", type=int, default=200, help="kills at random moments")
    parser.add_argument("--ranks", type=int, default=6, help="kills of one process of two")
    asked = parser.parse_args()
    if SHIM not in os.environ:
        with tempfile.TemporaryDirectory() as name:
            shim = build(Path(name))
            environment = {
                **{"LD_PRELOAD": str(shim), SHIM: str(shim), "OMP_NUM_THREADS": "1"},
                **{"MPLCONFIGDIR": name, "PYTHONHASHSEED": "0"},
            }
            command = [sys.executable, __file__, *sys.argv[1:]]
            return subprocess.run(command, env=os.environ | environment, check=False).returncode
    with tempfile.TemporaryDirectory() as name:
        return attack_in(
            Path(name).resolve(),
            variants=[asked.variant] if asked.variant else list(VARIANTS),
            every=asked.every,
            seconds=asked.seconds,
            small=asked.small,
            moments=asked.moments,
            ranks=asked.ranks,
        )


def build(folder: Path) -> Path:
    """Compile points.c."""
    shim, source = folder / "points.so", Path(__file__).with_name("points.c")
    compiler = shutil.which("cc") or shutil.which("gcc") or "cc"
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True)
    return shim


def attack_in(
    folder: Path,
    *,
    variants: list[str],
    every: int,
    seconds: float,
    small: bool,
    moments: int,
    ranks: int,
) -> int:
    """Attack, and print what held as tables of Markdown."""
    warm_up()
    attack = Attack(folder)
    attack.begin(PLAIN)
    for tokens in (train_tokens(), SAMPLE):  # so that the shared cache has all
        code, said = attack.run(tokens)
        if code:
            raise SystemExit(said)
    code, said = attack.run(train_tokens(seed=1, out="over"))
    if code:
        raise SystemExit(said)
    shutil.move(attack.case / "over", folder / "over")
    if small:
        variants, every, moments, ranks = list(VARIANTS)[:1], 40, 4, 0
    began, fallen = time.monotonic(), []
    print(
        "| training | cases there are | killed | killed in a write | ENOSPC | EIO | sampled "
        "| `sample` said why not | fell |\n|---|---|---|---|---|---|---|---|---|",
        flush=True,
    )
    total = 0
    for name in variants:
        found, all_cases = try_points(attack, name, every=every, ends=time.monotonic() + seconds)
        fallen += found.fallen
        total += found.cases.total() - found.not_reached
        counts = [all_cases, *(found.cases[way] for way in WAYS), found.sampled, found.said_why_not]
        print(f"| {name} | {' | '.join(map(str, counts))} | {len(found.fallen)} |", flush=True)
    if moments:
        kills, trainings, fell = try_moments(attack, moments)
        fallen += fell
        print(f"\n{kills} kills at random moments of {trainings} trainings, {len(fell)} fell.")
    if ranks:
        points, fell = try_ranks(attack, ranks)
        fallen += fell
        print(f"{ranks} kills of the first of two processes ({points} points), {len(fell)} fell.")
    if not small:
        new, again = recovery(attack)
        print(f"Until the first round: a new run {new:.1f} s, one that goes on {again:.1f} s.")
    print(f"{total} cases, {len(fallen)} fell. {time.monotonic() - began:,.0f} s.")
    return int(bool(fallen))


if __name__ == "__main__":
    sys.exit(main())
