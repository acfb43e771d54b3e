"""Everything that zerosum reads, made wrong in ways that nobody has thought of.

`make fuzz SECONDS=600` draws inputs for so long, by atheris where it is installed, which sees what
code an input reaches, else by hypothesis; `--examples 30` draws so many of each kind, the same ones
each time, which is what the suite runs. An input holds if it is read, or refused by a `UserError`,
within `SECONDS` and `MEMORY` beside what the process has when it begins. What falls is written to
the folder of crashes, and `fuzz.py --again FILE` tries it once more.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib.util
import mmap
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

SECONDS, MEMORY = 10, 512 * 2**20
WAITING = 6
"""So many times as long as it may compute, an input may take by the clock: machines are busy."""
SLICE = 30
"""Seconds that a target has at a time."""
MOST_BYTES = 2**20
"""Of an input."""
WAITED = "took too long"


class TookTooLong(BaseException):
    """An input took more than `SECONDS`, or waited."""


class Ledger:
    """What was tried and what fell, in memory that a process and its parent share."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 64 + MOST_BYTES)

    def _number(self, at: int, value: int | None = None) -> int:
        if value is not None:
            self._memory[at : at + 8] = value.to_bytes(8, "little")
        return int.from_bytes(self._memory[at : at + 8], "little")

    @property
    def current(self) -> bytes:
        """The input that is being tried."""
        return bytes(self._memory[64 : 64 + self._number(0)])

    @current.setter
    def current(self, content: bytes) -> None:
        self._memory[64 : 64 + len(content)] = content
        self._number(0, len(content))

    def count(self, outcome: str) -> None:
        """Note one more input that was read, refused, or fell."""
        at = 8 * (1 + OUTCOMES.index(outcome))
        self._number(at, self._number(at) + 1)

    @property
    def counts(self) -> Counter[str]:
        """How many were read, refused, and fell."""
        return Counter({name: self._number(8 * (1 + i)) for i, name in enumerate(OUTCOMES)})


OUTCOMES = ("read", "refused", "fell")


class Attack:
    """One target under attack, in a process of its own.

    Attributes:
        found: the kinds of failures so far, each with the first input that made it.
    """

    def __init__(self, target: Target, ledger: Ledger, crashes: Path) -> None:
        self.target, self.ledger, self.crashes = target, ledger, crashes
        self.found: dict[str, bytes] = {}
        self.folder = Path(tempfile.mkdtemp(prefix="fuzz-"))

    def __call__(self, content: bytes) -> str | None:
        """Try an input.

        Returns:
            What kind of failure it is, None if it holds.
        """
        from zerosum.errors import UserError

        if len(content) > MOST_BYTES:
            return None
        self.ledger.current = content
        give(SECONDS)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.target.attempt(self.folder, content)
            self.ledger.count("read")
            return None
        except UserError:
            self.ledger.count("refused")
            return None
        except (Exception, TookTooLong) as error:
            give(0)
            kind = kind_of(error)
            self.ledger.count("fell")
            if kind not in self.found:
                self.found[kind] = content
                self.report(kind, content, "".join(traceback.format_exception(error)))
            return kind
        finally:
            give(0)

    def wrong(self, content: bytes, chance: random.Random) -> bytes:
        """Make a content wrong, which may be no valid one any more."""
        try:
            return self.target.mutate(content, chance)
        except Exception:  # of parts that are no longer what they were
            return raw(content, chance)

    def report(self, kind: str, content: bytes, told: str) -> None:
        """Write a failure down, once for each kind."""
        path = write_crash(self.crashes, self.target, kind, content)
        if path is not None:
            path.with_suffix(".txt").write_text(told, errors="backslashreplace")
            print(f"FELL: {self.target.name}: {kind}: {path}", file=sys.stderr, flush=True)


def give(seconds: float) -> None:
    """Let what follows compute for so long; 0 takes the limit away."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, WAITING * seconds)


def kind_of(error: BaseException) -> str:
    """The type of an error, and the innermost line of zerosum that it went through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/zerosum/" in frame.filename] or frames
    where = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "nowhere"
    return f"{type(error).__name__} at {where}"


def write_crash(crashes: Path, target: Target, kind: str, content: bytes) -> Path | None:
    """Write an input that fell, unless one of its kind is there."""
    crashes.mkdir(parents=True, exist_ok=True)
    words = "".join(c if c.isalnum() else "-" for c in f"{target.name} {kind}")
    path = crashes / f"{words[:150]}.crash"
    if path.exists():
        return None
    path.write_bytes(content)
    return path


def in_process(target: Target, crashes: Path, work: Callable[[Attack], object]) -> Ledger:
    """Attack a target in a process of its own, which may neither wait nor take much memory.

    An input that ends the process, as a crash of native code does, is written down too.
    """
    ledger = Ledger()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            attack = Attack(target, ledger, crashes)
            for seed in target.seeds():  # what is imported and made but once is no input's
                attempt_valid(attack, seed)
            bound()
            work(attack)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            shutil.rmtree(attack.folder, ignore_errors=True)
            sys.stderr.flush()
            sys.stdout.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code:
        kind = f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit {code}"
        ledger.count("fell")
        path = write_crash(crashes, target, kind, ledger.current)
        print(f"FELL: {target.name}: {kind}: {path}", file=sys.stderr, flush=True)
    return ledger


def attempt_valid(attack: Attack, content: bytes) -> None:
    """Read what is valid, or the target attacks nothing."""
    attack.target.attempt(attack.folder, content)


def bound() -> None:
    """Bound the memory and the time of this process."""
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def stop(*_: object) -> None:
        raise TookTooLong(WAITED)

    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, stop)
    faulthandler.disable()


def draw(attack: Attack, *, examples: int, seed: int | None) -> None:
    """Let hypothesis draw inputs; without a seed, the same ones each time."""
    import hypothesis
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    seeds = list(attack.target.seeds())

    @settings(
        max_examples=examples,
        derandomize=seed is None,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(seeds), st.randoms(use_true_random=False))
    def attempt(valid: bytes, chance: random.Random) -> None:
        attack(attack.wrong(valid, chance))

    (attempt if seed is None else hypothesis.seed(seed)(attempt))()


def draw_until(attack: Attack, *, end: float, seed: int) -> None:
    """Let hypothesis draw until a moment."""
    while time.monotonic() < end:
        draw(attack, examples=50, seed=seed)
        seed += 1_000_003


def follow_coverage(attack: Attack, *, seconds: int, corpus: Path, seed: int) -> None:
    """Let atheris draw, which keeps in the corpus what reaches new code; it ends the process."""
    import atheris

    corpus.mkdir(parents=True, exist_ok=True)
    for number, valid in enumerate(attack.target.seeds()):
        (corpus / f"seed-{number}").write_bytes(valid)

    def mutate(content: bytes, most: int, number: int) -> bytes:
        chance = random.Random(number)
        if chance.random() < 0.2:
            return bytes(atheris.Mutate(content, most))
        return attack.wrong(content, chance)[:most]

    arguments = [
        "fuzz",
        str(corpus),
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-max_len={MOST_BYTES}",
        f"-artifact_prefix={attack.folder}/",
        *("-rss_limit_mb=0", "-timeout=60", "-verbosity=0", "-print_final_stats=0"),
    ]
    atheris.Setup(arguments, lambda content: void(attack(content)), custom_mutator=mutate)
    atheris.Fuzz()


def void(result: object) -> None:
    """Return nothing, as atheris demands."""


def print_table(tried: dict[str, Counter[str]]) -> None:
    """Print what came of it as a table of Markdown."""
    print("| input | tried | read | refused in a sentence | fell |\n|---|---|---|---|---|")
    for name, counts in tried.items():
        print(
            f"| {name} | {counts.total():,} | {counts['read']:,} | {counts['refused']:,} | "
            f"{counts['fell']:,} |"
        )
    total = sum(tried.values(), Counter[str]())
    print(f"\n{total.total():,} inputs, {total['fell']:,} fell.", flush=True)


def chosen(names: list[str]) -> list[Target]:
    """The targets of these names, or all; without those that need what is not installed."""
    return [
        target
        for target in TARGETS
        if (not names or any(name in target.name for name in names))
        and (not target.needs or importlib.util.find_spec(target.needs))
    ]


def main() -> int:
    """Attack until the time is over, or with so many examples."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=int, default=600, help="in all")
    parser.add_argument("--examples", type=int, help="of each target, the same each time")
    parser.add_argument("--target", action="append", default=[], help="a part of its name")
    parser.add_argument("--again", type=Path, help="a file of the folder of crashes")
    parser.add_argument("--corpus", type=Path, default=HOME / "corpus")
    parser.add_argument("--crashes", type=Path, default=HOME / "crashes")
    asked = parser.parse_args()
    os.environ["ZEROSUM_CACHE"] = tempfile.mkdtemp(prefix="fuzz-cache-")
    targets = chosen(asked.target)
    if asked.again:
        words = "".join(c if c.isalnum() else "-" for c in asked.again.stem)
        targets = [t for t in targets if words.startswith(plain_name(t))][:1]
        targets[0].attempt(Path(tempfile.mkdtemp()), asked.again.read_bytes())
        return 0
    tried: dict[str, Counter[str]] = {target.name: Counter() for target in targets}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if asked.examples:
            for target in targets:
                ledger = in_process(
                    target, asked.crashes, lambda a: draw(a, examples=asked.examples, seed=None)
                )
                tried[target.name] += ledger.counts
        else:
            attack_until(time.monotonic() + asked.seconds, targets, tried, asked)
    except KeyboardInterrupt:
        pass
    finally:
        shutil.rmtree(os.environ["ZEROSUM_CACHE"], ignore_errors=True)
    print_table(tried)
    return int(any(counts["fell"] for counts in tried.values()))


def plain_name(target: Target) -> str:
    """A target's name, as names of crashes begin."""
    return "".join(c if c.isalnum() else "-" for c in f"{target.name} ")


def attack_until(
    end: float,
    targets: list[Target],
    tried: dict[str, Counter[str]],
    asked: argparse.Namespace,
) -> None:
    """Give each target a slice of time, again and again."""
    by_coverage = importlib.util.find_spec("atheris") is not None
    how = "atheris" if by_coverage else "hypothesis (atheris is not installed)"
    print(f"By {how}; crashes go to {asked.crashes}.", file=sys.stderr)
    seed, left = random.randrange(2**30), end - time.monotonic()
    length = int(max(2, min(SLICE, left / len(targets))))
    while time.monotonic() < end:
        for target in random.sample(targets, len(targets)):
            if time.monotonic() >= end:
                return
            seed += 1
            if by_coverage:
                corpus = asked.corpus / plain_name(target).strip("-")

                def work(attack: Attack, corpus: Path = corpus, seed: int = seed) -> None:
                    follow_coverage(attack, seconds=length, corpus=corpus, seed=seed)
            else:

                def work(attack: Attack, seed: int = seed) -> None:
                    draw_until(attack, end=time.monotonic() + length, seed=seed)

            tried[target.name] += in_process(target, asked.crashes, work).counts


HOME = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zerosum-fuzz"


def import_instrumented() -> None:
    """Import what is attacked; where atheris is there, such that it sees which code is reached."""
    import contextlib

    draws = not {"--examples", "--again"} & set(sys.argv)
    if draws and importlib.util.find_spec("atheris"):
        import atheris
        import torch  # noqa: F401 - not what is attacked

        watched = ["zerosum", "PIL", "tarfile", "zipfile", "tomllib", "numpy.lib._format_impl"]
        with atheris.instrument_imports(include=[*watched, "http", "gzip", "csv"]):
            import targets as _targets  # noqa: F401

            import_all()
    else:
        with contextlib.suppress(ImportError):
            import_all()


def import_all() -> None:
    """Import what the targets need, once, before the processes part."""
    import importlib

    for name in (
        *("cli.main", "cli.train", "cli.data", "inference.exported", "inference.direction_files"),
        *("report.page", "report.watch", "comparison.compare", "callbacks.loggers.feed"),
        *("data.pack", "api"),
    ):
        importlib.import_module(f"zerosum.{name}")


import_instrumented()

from mutations import raw  # noqa: E402
from targets import TARGETS, Target  # noqa: E402 - after it is decided how they are imported

if __name__ == "__main__":
    sys.exit(main())
