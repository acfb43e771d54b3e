"""What this machine can do, for a user who wonders why something is slow or missing."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch
from rich.table import Table

from zerosum._version import __version__
from zerosum.data.catalog import DATASETS, is_here
from zerosum.hardware import GIB, available_devices, memory_bytes, multiplies_bf16, processor_share
from zerosum.plots.tables import table


def doctor_table() -> Table:
    """One row a fact, with what follows from it."""
    made = table("what", "here", "what follows")
    for row in facts():
        made.add_row(*row)
    return made


def facts() -> Iterator[tuple[str, str, str]]:
    """Look at the machine: what, the finding, and what follows from it."""
    yield "zerosum", __version__, ""
    yield "Python", platform.python_version(), ""
    yield "torch", torch.__version__, ""
    devices = available_devices()
    yield "devices", ", ".join(devices), f"train uses {devices[0]} unless --device says otherwise"
    share, there = processor_share(), os.cpu_count()
    yield "processors", f"{share} of {there}", f"train uses {share} threads at most"
    fast = multiplies_bf16()
    yield (
        "bfloat16 on the CPU",
        "native" if fast else "not native",
        "--precision bf16 is faster" if fast else "--precision fp32, the default, is faster",
    )
    if memory := memory_bytes():
        yield "memory", f"{memory / GIB:.1f} GiB", "training on MNIST takes less than 1"
    free = shutil.disk_usage(Path.cwd()).free / GIB
    yield "free disk here", f"{free:.1f} GiB", "a run of the vanilla GAN takes less than 0.1"
    for name, about in DATASETS.items():
        here = is_here(name)
        yield f"data: {name}", "here" if here else "not here", "" if here else about.origin
