"""What this machine can do, and how to use no more of it than our share: devices, threads, memory.

Memory is asked before it is taken: Linux grants more than it has and kills the process that uses
it, so waiting for a MemoryError is waiting in vain. A GPU says so.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from zerosum.errors import UserError

GIB = 2**30
SMALLER = "Choose smaller images with --size, such as --size 64."


def choose_device(name: str) -> torch.device:
    """Turn "auto", "cpu", "cuda", "cuda:N" or "mps" into a device that is there.

    Raises:
        UserError: the device is not there; the message names those that are.
    """
    available = available_devices()
    if name == "auto":
        return torch.device(available[0])
    wanted = f"{name}:0" if name == "cuda" else name
    if wanted not in available:
        raise UserError(
            f"The device '{name}' is not there. This machine has: {', '.join(available)}. "
            "Leave --device out to take the first of them."
        )
    return torch.device(wanted)


def available_devices() -> list[str]:
    """Names of the devices torch can use here, the fastest first."""
    devices = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("mps")
    return [*devices, "cpu"]


def processor_share() -> int:
    """How many processors this process may use: its affinity, and its container's quota.

    torch counts the machine's processors; threads beyond the share wait for one another.
    """
    share = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(share or 1, cgroup_quota()))


def cgroup_quota(path: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Whole processors that a Linux container may use, or a number beyond any machine's."""
    unlimited = 1 << 20
    try:
        quota, period = path.read_text().split()
        return unlimited if quota == "max" else math.ceil(int(quota) / int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return unlimited


@contextmanager
def tuned_processor() -> Iterator[None]:
    """Make arithmetic on the CPU as fast as it can be, and set it back afterwards.

    Never more threads than processors. Denormal numbers are taken as zero: Adam's moments decay
    into them where gradients vanish, and arithmetic on them is several times slower.
    """
    threads, flushed = torch.get_num_threads(), flushes_denormals()
    here = int(os.environ.get("LOCAL_WORLD_SIZE", 1))  # processes of one training, by torchrun
    torch.set_num_threads(min(threads, max(1, processor_share() // here)))
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushed)


@contextmanager
def repeatable_convolutions() -> Iterator[None]:
    """Let cuDNN choose only what adds in the same order each time, and set it back afterwards.

    Some of its backward passes add as threads happen to finish, after which no run could be
    repeated or resumed bit by bit. Nor may it try which is the fastest: that is chance too.
    """
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before


def flushes_denormals() -> bool:
    """Whether the CPU takes denormal numbers as zero in this thread."""
    denormal = torch.tensor(1e-39, dtype=torch.float64).float()
    return (denormal * 1).item() == 0


def device_name(device: torch.device) -> str:
    """What a device calls itself, such as "AMD EPYC (family 25, model 17)"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    facts = processor_facts()
    name = facts.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in facts:  # virtual machines often keep the rest of the name to themselves
        name += f" (family {facts['cpu family']}, model {facts['model']})"
    return name


def device_identity(device: torch.device) -> tuple[str, ...]:
    """Names a device so that others of the same identity are as fast, memory and load aside."""
    facts = processor_facts() if device.type == "cpu" else {}
    features = facts.get("flags") or facts.get("Features") or ""
    return device.type, device_name(device), facts.get("CPU part", ""), features


def processor_facts(path: Path = Path("/proc/cpuinfo")) -> dict[str, str]:
    """What Linux tells of the first processor, by its own names; elsewhere nothing."""
    try:
        first = path.read_text(errors="replace").partition("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def memory_bytes() -> int | None:
    """The memory that this process may take, where the system tells.

    It is the machine's, or its container's where that has less, or what `ulimit -v` leaves.
    """
    if not hasattr(os, "sysconf"):
        return None
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(machine, cgroup_memory(), address_space_left() or machine)


def cgroup_memory(path: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Bytes of memory that a Linux container may use, or a number beyond any machine's."""
    unlimited = 1 << 60
    try:
        limit = path.read_text().strip()
        return unlimited if limit == "max" else int(limit)
    except (OSError, ValueError):
        return unlimited


def address_space_left(path: Path = Path("/proc/self/statm")) -> int | None:
    """What a limit on this process's address space leaves, or None where there is no limit."""
    if os.name == "nt":
        return None
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return None
    try:
        taken = int(path.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        taken = 0
    return max(1, soft - taken)


def require_memory(needed: float, *, memory: int | None, what: str, advice: str = SMALLER) -> None:
    """Refuse what this machine cannot hold.

    Args:
        needed: bytes it would take.
        memory: bytes there are, or None where nobody knows.
        what: the subject of the message, such as "40 images of 30000×30000 pixels".
        advice: what needs less.

    Raises:
        UserError: it is too much.
    """
    if memory is not None and needed > memory:
        raise UserError(
            f"{what} would take about {needed / GIB:,.1f} GiB, and this machine has "
            f"{memory / GIB:,.1f}. {advice}"
        )


@contextmanager
def exhaustion_explained(what: str, advice: str) -> Iterator[None]:
    """Turn a device's running out of memory into a message.

    Args:
        what: what it did not suffice for, such as "batches of 128 images".
        advice: what needs less.

    Raises:
        UserError: it ran out.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UserError(f"The device's memory is not enough for {what}. {advice}") from error
