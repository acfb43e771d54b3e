"""The parent of workers: processes that run trials of one study side by side, see `worker.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from zerosum.errors import UserError
from zerosum.hardware import processor_share
from zerosum.training.signals import Interrupted, stop_flag

LOOK_SECONDS = 0.2
"""Between two looks at whether the workers are still at it."""


def run_workers(job: Mapping[str, Any], *, count: int) -> None:
    """Run workers until all have ended.

    Args:
        job: what `zerosum.sweeps.sweep.work` takes.
        count: how many processes; the processors are shared out among them.

    Raises:
        UserError: a worker has found what would be wrong with every trial; it has said what.
        Interrupted: a signal came; all workers have saved and ended.
    """
    threads = str(max(1, processor_share() // count))
    environment = {"GOMP_SPINCOUNT": "10000", **os.environ, "OMP_NUM_THREADS": threads}
    workers: list[subprocess.Popen[bytes]] = []
    try:
        with stop_flag() as flag:
            for index in range(count):
                workers.append(start(job, index, environment))
            failed: int | None = None
            while any(worker.poll() is None for worker in workers):
                codes = [worker.returncode for worker in workers]
                failed = next((code for code in codes if code is not None and code > 0), None)
                if flag.signal_number is not None or failed is not None:
                    break
                with suppress(subprocess.TimeoutExpired):
                    running(workers).wait(LOOK_SECONDS)
            dismiss(workers)
        if flag.signal_number is not None:
            raise Interrupted(
                flag.signal_number,
                f"Stopped, and saved in '{job['folder']}'. Run the same command again to go on "
                "from there.",
            )
    finally:  # a second Ctrl-C, which does not wait
        for worker in workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait()
    codes = [worker.returncode for worker in workers]
    if any(code > 0 for code in codes):
        raise UserError("A worker has stopped the sweep; what it said stands above.")
    if any(code < 0 for code in codes):
        killed = sum(code < 0 for code in codes)
        raise UserError(
            f"{killed} of {count} workers were killed, as happens where memory does not suffice. "
            "Run the same command again to go on, perhaps with fewer --workers."
        )


def start(
    job: Mapping[str, Any], index: int, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a worker. In a session of its own, Ctrl-C reaches it through its parent alone."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "zerosum.sweeps.worker"],
        stdin=subprocess.PIPE,
        env=dict(environment),
        start_new_session=True,
    )
    assert worker.stdin is not None
    with suppress(BrokenPipeError):  # it has ended already, and its exit code tells
        worker.stdin.write(json.dumps({"job": dict(job), "index": index}).encode() + b"\n")
        worker.stdin.flush()
    return worker


def running(workers: list[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """One of the workers that are still at it, or the last."""
    return next((worker for worker in workers if worker.poll() is None), workers[-1])


def dismiss(workers: list[subprocess.Popen[bytes]]) -> None:
    """Let all workers save and leave, and wait until they have."""
    for worker in workers:
        if worker.stdin is not None:
            with suppress(OSError):
                worker.stdin.close()
    for worker in workers:
        worker.wait()
