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
from zerosum.hardware import (
    GIB,
    available_devices,
    device_name,
    memory_bytes,
    processor_share,
    repeatable_convolutions,
    tuned_processor,
)
from zerosum.plots.tables import table
from zerosum.training.precision import STANDARD, WORTH, measure


def doctor_table() -> Table:
    """One row a fact, with what follows from it."""
    made = table("what", "here", "what follows")
    for row in facts():
        made.add_row(*row)
    return made


def bf16_row(device: torch.device) -> tuple[str, str, str]:
    """What a device's bf16 is worth against fp32: measured now, in less than a second."""
    with tuned_processor(), repeatable_convolutions():
        paces = {name: measure({product: 1}, device) for name, product in STANDARD.items()}
    if max(paces.values()) < 1:
        advice = "--precision fp32, the default, is faster"
    elif min(paces.values()) >= WORTH:
        advice = "--precision bf16 is faster"
    else:
        advice = "--precision auto measures which is faster for a recipe"
    found = ", ".join(f"{pace:.2f} in {name}" for name, pace in paces.items())
    return f"bf16 against fp32, {device}", found.replace(" in", " times the pace in", 1), advice


def facts() -> Iterator[tuple[str, str, str]]:
    """Look at the machine: what, the finding, and what follows from it."""
    yield "zerosum", __version__, ""
    yield "Python", platform.python_version(), ""
    yield "torch", torch.__version__, ""
    devices = available_devices()
    yield "devices", ", ".join(devices), f"train uses {devices[0]} unless --device says otherwise"
    share, there = processor_share(), os.cpu_count()
    name = device_name(torch.device("cpu"))
    threads = min(share, torch.get_num_threads())
    yield "processors", f"{share} of {there}, {name}", f"train uses {threads} threads at most"
    for device in devices:
        yield bf16_row(torch.device(device))
    if memory := memory_bytes():
        yield "memory", f"{memory / GIB:.1f} GiB", "training on MNIST takes less than 1"
    free = shutil.disk_usage(Path.cwd()).free / GIB
    yield "free disk here", f"{free:.1f} GiB", "a run of the vanilla GAN takes less than 0.1"
    for name, about in DATASETS.items():
        here = is_here(name)
        yield f"data: {name}", "here" if here else "not here", "" if here else about.origin
