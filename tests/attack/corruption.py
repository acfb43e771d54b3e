"""Every file of a run damaged in every way, and what each command makes of it.

`make attack` runs it whole; `--small` is what the suite runs. A command holds if it does its work
or ends with one of our messages, within bounds of time and memory: no traceback, no waiting, no
weights that nobody trained. Each case has a process of its own and a copy of the run of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import os
import pkgutil
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

SECONDS, BYTES = 120, 4 * 2**30
"""What a command may compute, and the memory beside what the process has when it begins."""
WAITING = 10
"""So many times as long as it may compute, it may take by the clock: machines are busy."""
FELL = 70
NESTED = b"[" * 200_000
OTHER = b'{"format": 1, "config": {"x": []}, "seen": "1"}\n'
DIGITS = b'{"seen": ' + b"9" * 6000 + b"}\n"


def of_content(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(change(path.read_bytes()))


def flipped(content: bytes, where: float) -> bytes:
    changed = bytearray(content)
    if changed:
        changed[int((len(changed) - 1) * where)] ^= 0b100
    return bytes(changed)


def of_json(change: Callable[[dict[str, object]], dict[str, object]]) -> Callable[[Path], None]:
    """Valid JSON that nobody wrote; what is no JSON object stays as it is."""

    def changed(content: bytes) -> bytes:
        try:
            found = json.loads(content)
        except ValueError:
            return content
        return json.dumps(change(found)).encode() if isinstance(found, dict) else content

    return of_content(changed)


def retyped(found: dict[str, object]) -> dict[str, object]:
    """Entries of another type, of config.json those that nothing refuses at once."""
    from zerosum.training.saved_config import FORMS

    kept = {"format", *FORMS}
    return {
        name: value if name in kept else [{"at": "x"}] if isinstance(value, int | str) else 5
        for name, value in found.items()
    }


def replaced(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def replace(path: Path) -> None:
        path.unlink()
        make(path)

    return replace


def bind(path: Path) -> None:
    """Put a socket there, whose path must be short."""
    before = Path.cwd()
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)
    os.chdir(before)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "missing": replaced(lambda path: None),
    "empty": of_content(lambda content: b""),
    "cut in half": of_content(lambda content: content[: len(content) // 2]),
    "a byte short": of_content(lambda content: content[:-1]),
    "a byte long": of_content(lambda content: content + b"x"),
    "a bit at its begin": of_content(lambda content: flipped(content, 0.02)),
    "a bit in its middle": of_content(lambda content: flipped(content, 0.5)),
    "a bit at its end": of_content(lambda content: flipped(content, 0.99)),
    "zeros": of_content(lambda content: bytes(len(content))),
    "noise": of_content(lambda content: random.Random(0).randbytes(len(content))),
    "twice": of_content(lambda content: content * 2),
    "Windows' line breaks": of_content(lambda content: content.replace(b"\n", b"\r\n")),
    "nested JSON": of_content(lambda content: NESTED),
    "a long number": of_content(lambda content: DIGITS),
    "another JSON": of_content(lambda content: OTHER),
    "entries of another type": of_json(retyped),
    "a number for restarts": of_json(lambda found: {**found, "restarts": 5}),
    "restarts of another form": of_json(lambda found: {**found, "restarts": [{"at": "x"}]}),
    "a folder": replaced(lambda path: path.mkdir()),
    "a named pipe": replaced(os.mkfifo),
    "a socket": replaced(bind),
    "an endless device": replaced(lambda path: path.symlink_to("/dev/zero")),
    "a link to nowhere": replaced(lambda path: path.symlink_to("nowhere")),
}
SMALL = ("a bit in its middle", "a named pipe")
SMALL_FILES = ("config.json", "log.jsonl", "state.safetensors", "state.json")

COMMANDS = {
    "sample": ["sample", "run", "-n", "2", "--out", "out.png"],
    "evaluate": ["evaluate", "run", "--metrics", "frechet_random", "--count", "16"],
    "resume": ["train", "--resume", "run", "--epochs", "4"],
    "compare": ["compare", "run", "other"],
    "report": ["report", "run", "--out", "out.html"],
    "runs": ["runs", "."],
    "log": ["log", "run", "--to", "tensorboard"],
    "export": ["export", "run", "--out", "exported"],
    "play": ["play", "run", "--out", "play.html"],
}
SMALL_COMMANDS = ("sample", "resume")


def train(folder: Path) -> None:
    """Train the runs that are attacked."""
    import numpy as np

    images = np.random.default_rng(0).integers(0, 256, (48, 8, 8), dtype=np.uint8)
    np.savez(folder / "tiny.npz", images=images)
    for name, seed in (("run", 0), ("other", 1)):
        command = [
            *("train", "vanilla", "--data", "tiny.npz", "--batch-size", "16", "--hidden", "12"),
            *("--epochs", "3", "--evaluate-every", "1", "--checkpoint-every", "1"),
            *("--device", "cpu", "--seed", str(seed), "--out", name),
        ]
        subprocess.run(
            [sys.executable, "-m", "zerosum", *command],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )


def files_of(run: Path) -> list[Path]:
    """The files of a run, of its checkpoints those of the newest."""
    newest = max(run.glob("checkpoints/*"), key=lambda path: int(path.name))
    old = {path for path in run.glob("checkpoints/*/*") if path.parent != newest}
    found = [path for path in run.rglob("*") if path.is_file() and path not in old]
    return sorted(path.relative_to(run) for path in found)


def import_all() -> None:
    """Import what the cases need once, before they part."""
    import zerosum

    for module in pkgutil.walk_packages(zerosum.__path__, "zerosum."):
        if not module.name.endswith(("__main__", "worker")):
            importlib.import_module(module.name)
    importlib.import_module("matplotlib.figure")


def attempt(tokens: list[str], folder: Path) -> int:
    """Run a command in a process of its own.

    Returns:
        Its exit code; FELL for a traceback; less than 0, the signal that ended what took too long.
    """
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status)
    code = FELL
    try:
        os.chdir(folder)
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + BYTES, taken + BYTES))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.alarm(WAITING * SECONDS)
        from zerosum.cli.main import run

        said = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            code = run(tokens)
        if "Traceback" in said.getvalue():
            code = FELL
            sys.stderr.write(said.getvalue())
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def attack(folder: Path, *, small: bool, every: int) -> Iterator[tuple[str, str, str, int]]:
    """Yield file, damage, command and exit code of every case, or of every n-th."""
    number = 0
    for file in files_of(folder / "run"):
        if small and file.name not in SMALL_FILES:
            continue
        for name, damage in DAMAGES.items():
            if small and name not in SMALL:
                continue
            for command, tokens in COMMANDS.items():
                if small and command not in SMALL_COMMANDS:
                    continue
                number += 1
                if number % every:
                    continue
                case = folder / "case"
                case.mkdir()
                for part in ("tiny.npz", "other"):
                    (case / part).symlink_to(folder / part)
                shutil.copytree(folder / "run", case / "run")
                damage(case / "run" / file)
                yield kind_of(file), name, command, attempt(tokens, case)
                shutil.rmtree(case)


def kind_of(file: Path) -> str:
    """What a file is called in the table, without images seen and epochs."""
    if file.name.startswith("generated_epoch"):
        return "generated_epoch_N.png"
    return f"checkpoints/N/{file.name}" if file.parts[0] == "checkpoints" else str(file)


def flips(folder: Path, *, count: int) -> int:
    """Flip single bits of a checkpoint's weights, anywhere; how many of these are noticed."""
    from zerosum.training.checkpoint import TENSORS, Damaged, read

    newest = max((folder / "run").glob("checkpoints/*"), key=lambda path: int(path.name))
    whole, chance, noticed = (newest / TENSORS).read_bytes(), random.Random(0), 0
    for _ in range(count):
        changed = bytearray(whole)
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        (newest / TENSORS).write_bytes(changed)
        try:
            read(newest)
        except Damaged:
            noticed += 1
    (newest / TENSORS).write_bytes(whole)
    return noticed


def main() -> int:
    """Attack, and print what held as a table of Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a few damages and commands only")
    parser.add_argument("--every", type=int, default=1, help="of the cases, each n-th only")
    asked = parser.parse_args()
    small: bool = asked.small
    held: Counter[str] = Counter()
    done: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    fallen = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["ZEROSUM_CACHE"] = str(folder / "cache")
        train(folder)
        import_all()
        for file, damage, command, code in attack(folder, small=small, every=asked.every):
            held[file] += code in (0, 1, 2)
            refused[file] += code in (1, 2)
            done[file] += 1
            if code not in (0, 1, 2):
                fallen.append(f"{file}, {damage}, {command}: {code}")
                print(f"FELL: {fallen[-1]}", file=sys.stderr, flush=True)
        count = 200 if small else 2000
        noticed = flips(folder, count=count)
    print("| file | cases | went on | refused in a sentence | fell |\n|---|---|---|---|---|")
    for file, cases in done.items():
        print(
            f"| `{file}` | {cases} | {held[file] - refused[file]} | {refused[file]} | "
            f"{cases - held[file]} |"
        )
    print(
        f"\n{done.total()} cases, {len(fallen)} fell. Of {count} bits that were flipped in the "
        f"weights {noticed} were noticed."
    )
    return int(bool(fallen) or noticed < count)


if __name__ == "__main__":
    sys.exit(main())
