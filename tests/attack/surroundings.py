"""Commands in surroundings that nobody had in mind: users, homes, locales, terminals, full disks.

`make attack` runs it whole; `--small` is what the suite runs. A command holds if it does its work,
or, where it cannot, ends with one of our messages: no traceback, and no waiting. Where nothing
stands in its way it must do its work. What an interpreter reads when it starts has a process
started for each case; for the rest this one, which has imported all, forks.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import math
import os
import pty
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from corruption import FELL
from kill import make_images, train_tokens, warm_up

SECONDS = 180
UID = 54321
WAITED = -signal.SIGKILL
"""Of a user without a name."""
WORKS, MAY_REFUSE = (0,), (0, 1, 2)
NEW_MOUNTS, PRIVATE, BIND, READ_ONLY = 0x20000, 0x44000, 0x1000, 0x21
"""CLONE_NEWNS; MS_REC and MS_PRIVATE; MS_BIND; MS_REMOUNT and MS_RDONLY."""
IMPOSSIBLE = 71
"""The exit code where the surroundings could not be made."""

COMMANDS = {
    "train": train_tokens(epochs=1, out="new"),
    "sample": ["sample", "run", "-n", "2", "--device", "cpu", "--out", "out.png"],
    "evaluate": ["evaluate", "run", "--metrics", "frechet_random", "--count", "16"],
    "data": ["data", "inspect", "images"],
    "doctor": ["doctor"],
    "--help": ["--help"],
    "report": ["report", "run", "--out", "out.html"],
}
OF_STARTED = ("train", "sample", "--help")
"""Commands for which an interpreter is started, which takes seconds."""
SMALL = ("HOME unset, a user without a name", "closed: all", "standard output on a full disk")
SMALL_COMMANDS = ("--help", "sample")


class Impossible(Exception):
    """The surroundings cannot be made here; the message says why."""


@dataclass(frozen=True)
class Surrounding:
    """Where a command runs.

    Attributes:
        kind: its row in the table.
        allowed: the exit codes that are right.
        environment: variables that are set, or removed where they are None.
        enter: what is done in the process before the command, in the folder of the case.
        started: whether an interpreter is started, by a shell that redirects as `redirected` says.
        redirected: as a shell writes it.
        columns: of a terminal; 0 where there is none.
    """

    kind: str
    allowed: tuple[int, ...] = WORKS
    environment: dict[str, str | None] = field(default_factory=dict)
    enter: Callable[[Path], None] = lambda case: None
    started: bool = False
    redirected: str = ""
    columns: int = 0


def as_user(*, owns: bool = True) -> Callable[[Path], None]:
    """Become a user without a name, whose the case's folder is or is not."""

    def enter(case: Path) -> None:
        if os.geteuid():
            raise Impossible("needs root, to become another user")
        show_interpreter(case)
        if owns:
            for path in (case, *case.rglob("*")):
                os.chown(path, UID, UID, follow_symlinks=False)
        os.setgroups([])
        os.setresgid(UID, UID, UID)
        os.setresuid(UID, UID, UID)
        if not all(os.access(path, os.R_OK) for path in (os.__file__, torch_file(), __file__)):
            raise Impossible("needs an interpreter and packages that others may read")

    return enter


def torch_file() -> str:
    """A file of a package, by which to tell whether packages can be read."""
    return sys.modules["torch"].__file__ or ""


def show_interpreter(case: Path) -> None:
    """Let others read an interpreter that lies in root's home, in this process alone."""
    base = Path(sys.base_prefix)
    hidden = [path for path in reversed(base.parents) if not path.stat().st_mode & 0o001]
    if not hidden:
        return
    seen = case / "python"
    seen.mkdir()
    own_mounts()
    mount(base, seen, flags=BIND)
    mount(None, hidden[0], size="1m", mode="755")
    base.mkdir(parents=True)
    mount(seen, base, flags=BIND)
    mount(None, seen, size="4k")


def own_mounts() -> None:
    """Let what is mounted from now on be seen by this process alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEW_MOUNTS) or libc.mount(b"none", b"/", None, PRIVATE, None):
        raise Impossible(f"needs to mount: {os.strerror(ctypes.get_errno())}")


def mount(source: Path | None, target: Path, *, flags: int = 0, **options: str) -> None:
    """Mount a folder, or a new small file system, on a folder."""
    libc = ctypes.CDLL(None, use_errno=True)
    told = ",".join(f"{name}={value}" for name, value in options.items()).encode()
    if libc.mount(os.fsencode(source or "none"), os.fsencode(target), b"tmpfs", flags, told):
        raise Impossible(f"needs to mount: {os.strerror(ctypes.get_errno())}")


def both(*steps: Callable[[Path], object]) -> Callable[[Path], None]:
    """Do one after another."""

    def enter(case: Path) -> None:
        for step in steps:
            step(case)

    return enter


def mounted(name: str, *, size: str = "1m") -> Callable[[Path], None]:
    """Put a small file system at a folder of the case, seen by this process alone."""

    def enter(case: Path) -> None:
        (case / name).mkdir()
        own_mounts()
        mount(None, case / name, size=size)

    return enter


def filled(name: str) -> Callable[[Path], None]:
    """Leave no space in a small file system."""

    def enter(case: Path) -> None:
        with (
            (case / name / "filled").open("wb", buffering=0) as file,
            contextlib.suppress(OSError),
        ):
            while file.write(bytes(4096)):
                pass

    return enter


def inside(name: str) -> Callable[[Path], None]:
    """Work in a folder of the case, from which the run and the images can be seen."""

    def enter(case: Path) -> None:
        for part in ("images", "run"):
            (case / name / part).symlink_to(case / part)
        os.chdir(case / name)

    return enter


def read_only(case: Path) -> None:
    """Make the file system that one works in one that cannot be written."""
    mount(None, Path.cwd(), flags=READ_ONLY)


def removed_folder(case: Path) -> None:
    """Work in a folder that is gone."""
    (case / "gone").mkdir()
    os.chdir(case / "gone")
    (case / "gone").rmdir()


def without_reader(case: Path) -> None:
    """Write to a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)


def into(descriptor: int, path: str) -> Callable[[Path], None]:
    """Send standard output, 1, or error, 2, to a file."""
    return lambda case: os.dup2(os.open(path, os.O_WRONLY), descriptor) and None


def limited(what: int, most: int) -> Callable[[Path], None]:
    """Limit a resource; a file that grows beyond is an error and no signal."""

    def enter(case: Path) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(what, (most, most))

    return enter


def anothers_home(case: Path) -> None:
    """Have a home that belongs to somebody else."""
    os.environ["HOME"] = str(case.parent / "another")


def made(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Make something in the case's folder."""
    return lambda case: make(case / name) and None


def home(value: str | None) -> dict[str, str | None]:
    """The variables of a home, with nothing that says otherwise where caches are."""
    return {"HOME": value, "ZEROSUM_CACHE": None, "XDG_CACHE_HOME": None, "MPLCONFIGDIR": None}


C_LOCALE: dict[str, str | None] = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
SURROUNDINGS = {
    "root": Surrounding("users"),
    "a user without a name": Surrounding("users", enter=as_user()),
    "another's folder": Surrounding("users", MAY_REFUSE, enter=as_user(owns=False)),
    "a run that may not be searched": Surrounding(
        "users",
        MAY_REFUSE,
        enter=both(made("run", lambda run: run.chmod(0)), as_user(owns=False)),
    ),
    "a run that may not be written": Surrounding(
        "users", MAY_REFUSE, enter=both(as_user(), made("run", lambda run: run.chmod(0o555)))
    ),
    "HOME unset": Surrounding("homes", environment=home(None)),
    "HOME unset, a user without a name": Surrounding(
        "homes", environment=home(None), enter=as_user()
    ),
    "HOME of another user": Surrounding(
        "homes", environment=home(None), enter=both(as_user(), anothers_home)
    ),
    "HOME not there": Surrounding("homes", environment=home("/nowhere/at/all"), enter=as_user()),
    "HOME read-only": Surrounding("homes", environment=home("/proc"), enter=as_user()),
    "HOME a file": Surrounding("homes", environment=home("/etc/passwd")),
    "HOME empty": Surrounding("homes", environment=home("")),
    "HOME unset, at the start": Surrounding("homes", environment=home(None), started=True),
    "HOME a device, at the start": Surrounding(
        "homes", environment=home("/dev/null"), started=True
    ),
    "umask 000": Surrounding("umasks", enter=lambda case: os.umask(0) and None),
    "umask 077": Surrounding("umasks", enter=lambda case: os.umask(0o077) and None),
    "umask 777": Surrounding(
        "umasks", MAY_REFUSE, enter=both(as_user(), lambda case: os.umask(0o777))
    ),
    "locale C": Surrounding("locales", environment={"LC_ALL": "C"}, started=True),
    "locale POSIX": Surrounding("locales", environment={"LC_ALL": "POSIX"}, started=True),
    "locale C, not made UTF-8": Surrounding("locales", environment=C_LOCALE, started=True),
    "an unknown locale": Surrounding("locales", environment={"LC_ALL": "xx_YY"}, started=True),
    "ASCII output": Surrounding(
        "locales", environment=C_LOCALE | {"PYTHONIOENCODING": "ascii"}, started=True
    ),
    "Latin-1 output": Surrounding(
        "locales", environment={"PYTHONIOENCODING": "latin-1"}, started=True
    ),
    "no TERM": Surrounding("terminals", environment={"TERM": None}),
    "TERM dumb": Surrounding("terminals", environment={"TERM": "dumb"}, columns=80),
    "TERM unknown": Surrounding("terminals", environment={"TERM": "nonsense"}, columns=80),
    "20 columns": Surrounding("terminals", environment={"TERM": "xterm"}, columns=20),
    "1 column": Surrounding("terminals", environment={"TERM": "xterm"}, columns=1),
    "COLUMNS no number": Surrounding("terminals", environment={"COLUMNS": "many"}),
    "closed: standard input": Surrounding("closed", started=True, redirected="<&-"),
    "closed: standard output": Surrounding("closed", started=True, redirected=">&-"),
    "closed: standard error": Surrounding("closed", started=True, redirected="2>&-"),
    "closed: all": Surrounding("closed", started=True, redirected="<&- >&- 2>&-"),
    "standard output on a full disk": Surrounding("disks", (1,), enter=into(1, "/dev/full")),
    "standard error on a full disk": Surrounding("disks", enter=into(2, "/dev/full")),
    "both on a full disk": Surrounding(
        "disks", (1,), enter=both(into(1, "/dev/full"), into(2, "/dev/full"))
    ),
    "nobody reads": Surrounding("disks", (0, 141), enter=without_reader),
    "a disk of 64 KiB": Surrounding(
        "disks", MAY_REFUSE, enter=both(mounted("small", size="64k"), inside("small"))
    ),
    "a full disk": Surrounding(
        "disks",
        MAY_REFUSE,
        enter=both(mounted("small", size="64k"), inside("small"), filled("small")),
    ),
    "a cache on a full disk": Surrounding(
        "disks",
        environment={"ZEROSUM_CACHE": "small"},
        enter=both(mounted("small", size="64k"), filled("small")),
    ),
    "files of 4 KiB at most": Surrounding(
        "disks", MAY_REFUSE, enter=limited(resource.RLIMIT_FSIZE, 4096)
    ),
    "40 open files at most": Surrounding(
        "disks", MAY_REFUSE, enter=limited(resource.RLIMIT_NOFILE, 40)
    ),
    "TMPDIR not there": Surrounding("folders", environment={"TMPDIR": "/nowhere"}),
    "TMPDIR a file": Surrounding("folders", environment={"TMPDIR": "/etc/passwd"}),
    "a folder that is gone": Surrounding("folders", MAY_REFUSE, enter=removed_folder, started=True),
    "a cache that is a file": Surrounding("folders", environment={"ZEROSUM_CACHE": "/etc/passwd"}),
    "a read-only disk": Surrounding(
        "folders", MAY_REFUSE, enter=both(mounted("small"), inside("small"), read_only)
    ),
}


def be_the_command(tokens: list[str], where: Surrounding, case: Path) -> None:
    """Turn a forked process into the command."""
    code = FELL
    try:
        os.chdir(case)
        for name, value in where.environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        try:
            where.enter(case)
        except Impossible as reason:
            print(reason, file=sys.stderr, flush=True)
            os._exit(IMPOSSIBLE)
        sys.argv[0] = "zerosum"
        from zerosum.cli.main import run

        code = run(tokens)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


def attempt(tokens: list[str], where: Surrounding, case: Path, said: Path) -> tuple[int, str]:
    """Run a command somewhere.

    Returns:
        Its exit code, FELL for a traceback, WAITED where it took too long; and all that it said.
    """
    ours = theirs = -1
    if where.columns:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, where.columns, 0, 0))
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(theirs if where.columns else output, 1)
        os.dup2(theirs if where.columns else output, 2)
        # Opened anew: what they know of a terminal, and hold back, is of the process before.
        for number, name in ((1, "stdout"), (2, "stderr")):
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))
        if where.started:
            kept = {k: v for k, v in os.environ.items() if k not in where.environment}
            given = {k: v for k, v in where.environment.items() if v is not None}
            script = f'exec "$0" -m zerosum "$@" {where.redirected}'
            os.chdir(case)
            where.enter(case)
            os.execve("/bin/sh", ["sh", "-c", script, sys.executable, *tokens], kept | given)
        be_the_command(tokens, where, case)
    if where.columns:
        os.close(theirs)
    text, ends = b"", time.monotonic() + SECONDS
    while True:
        if where.columns:
            os.set_blocking(ours, False)
            with contextlib.suppress(OSError):  # nothing there now, or nobody at the other end
                text += os.read(ours, 2**16)
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > ends:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return WAITED, ""
        time.sleep(0.005)
    if where.columns:
        os.close(ours)
    told = (text + said.read_bytes()).decode(errors="replace")
    code = os.waitstatus_to_exitcode(status)
    return FELL if "Traceback" in told else code, told


def holds(code: int, told: str, where: Surrounding, command: str) -> bool:
    """Whether a command did what is right there."""
    shown = where.columns == 0 and not where.redirected and "both" not in where.kind
    if code in (1, 2) and shown and told.count("zerosum: ") > 1:
        return False
    return code in where.allowed


def main() -> int:
    """Run the commands everywhere, and print what held as a table of Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a few surroundings and commands only")
    parser.add_argument("--every", type=int, default=1, help="of the cases, each n-th only")
    parser.add_argument("--seconds", type=float, default=math.inf, help="after which to stop")
    parser.add_argument("names", nargs="*", help="surroundings; all by default")
    asked = parser.parse_args()
    began, number = time.monotonic(), 0
    cases: dict[str, list[str]] = {}
    fallen, skipped = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        os.environ |= {"ZEROSUM_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
        (folder / "another").mkdir(mode=0o700)
        make_images(folder)
        train = [sys.executable, "-m", "zerosum", *train_tokens(epochs=1)]
        subprocess.run(train, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        warm_up()
        for name, where in SURROUNDINGS.items():
            if (asked.names and name not in asked.names) or (asked.small and name not in SMALL):
                continue
            for command, tokens in COMMANDS.items():
                if where.started and command not in OF_STARTED:
                    continue
                if asked.small and command not in SMALL_COMMANDS:
                    continue
                number += 1
                if time.monotonic() - began > asked.seconds or number % asked.every:
                    continue
                case = folder / "case"
                case.mkdir()
                for part in ("images", "run"):
                    shutil.copytree(folder / part, case / part)
                code, told = attempt(tokens, where, case, folder / "said")
                shutil.rmtree(case)
                if code == IMPOSSIBLE:
                    skipped.append(f"{name}: {told.strip()}")
                    break
                result = "went on" if code == 0 else "refused in a sentence"
                if not holds(code, told, where, command):
                    result = "fell"
                    fallen.append(f"{name}, {command}: {code}\n{told[-1500:]}")
                    print(f"FELL: {fallen[-1]}", file=sys.stderr, flush=True)
                cases.setdefault(where.kind, []).append(result)
    print(
        "| surroundings | cases | went on | refused in a sentence | fell |\n|---|---|---|---|---|"
    )
    for kind, results in cases.items():
        counts = [results.count(each) for each in ("went on", "refused in a sentence", "fell")]
        print(f"| {kind} | {len(results)} | {' | '.join(map(str, counts))} |")
    for reason in skipped:
        print(f"SKIPPED: {reason}")
    total = sum(map(len, cases.values()))
    print(f"\n{total} cases, {len(fallen)} fell. {time.monotonic() - began:,.0f} s.")
    return int(bool(fallen))


if __name__ == "__main__":
    sys.exit(main())
