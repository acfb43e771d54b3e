"""How several processes come to train together, and how one of them speaks for all.

What torchrun, or another program that starts processes, says to each of them stands in variables of
the environment: RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from zerosum.errors import UserError

MEETING = timedelta(minutes=5)
"""For which a process waits for the others to come."""
PATIENCE = 5.0
"""Seconds that process 0 waits for the others before it leaves."""

_store: Any = None  # where all can leave word, once they have met


def asked_for() -> int:
    """How many processes torchrun, or whoever sets its variables, says that there are.

    Raises:
        UserError: it says no number, or none at all.
    """
    count = os.environ.get("WORLD_SIZE", "1")
    if not count.isdecimal() or int(count) < 1:
        raise UserError(f"WORLD_SIZE is '{count}': expected a number of processes, as of torchrun.")
    return int(count) if "RANK" in os.environ else 1


def leads() -> bool:
    """Whether this is the process that speaks for all, before they have met as well."""
    return asked_for() == 1 or os.environ["RANK"] == "0"


def own_device(name: str) -> str:
    """The device of this process where `name` is asked for: of several GPUs each has its own."""
    if asked_for() == 1 or name not in ("auto", "cuda"):
        return name
    gpus = torch.cuda.is_available()
    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if gpus or name == "cuda" else "cpu"


def meet(device: torch.device) -> None:
    """Wait for the other processes, if there are to be any.

    Raises:
        UserError: they cannot be found, or the device knows of no sums over processes; or another
            program has let them meet in a way that does not suffice.
    """
    global _store
    if dist.is_initialized():
        known = dist.get_backend_config()
        if dist.get_world_size() > 1 and "cpu:" not in known:  # where all that all decide is
            raise UserError(
                f"The processes have met by '{known}', which adds up nothing on processors. Choose "
                "the backend 'cpu:gloo,cuda:nccl' in init_process_group, or in Ray's TorchConfig: "
                "expected both."
            )
        return
    if asked_for() == 1:
        return
    if device.type == "mps":
        raise UserError("Several processes on mps: expected --device cpu, or CUDA's GPUs.")
    try:
        _store = common_store()
        place, count = int(os.environ["RANK"]), asked_for()
        backend = "gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl"
        dist.init_process_group(backend, store=_store, rank=place, world_size=count)
        atexit.register(dist.destroy_process_group)  # or its threads abort the process
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"The {asked_for()} processes did not meet: {error}. Start them by torchrun "
            "--nproc-per-node, which sets RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT."
        ) from None


def common_store() -> Any:
    """Where all processes can leave word; after a restart by torchrun, without what was left."""
    store, *_ = next(rendezvous("env://", timeout=MEETING))
    return PrefixStore(f"zerosum/{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)


def ignore_its_stop() -> None:
    """Let a process that has lost another say so, before torchrun ends it for the same loss.

    torchrun tells all that are left to stop, by SIGTERM, and a busy machine may not have come to
    the message by then. Whoever does not leave is killed half a minute later all the same.
    """
    by_torchrun = "TORCHELASTIC_RUN_ID" in os.environ
    if by_torchrun and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def leave(exit_code: int) -> None:
    """End a process that has met others, once Python's own exit handlers have run.

    The interpreter is not taken down: while it was, what torch keeps of the group aborted one in
    twenty processes on a busy machine ("terminate called without an active exception", torch 2.13),
    and torchrun took a training that was complete and saved for a failed one.
    """
    if not dist.is_initialized():
        return
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it, or it is closed
            stream.flush()
    os._exit(exit_code)


def first_to_speak() -> bool:
    """Whether nobody has said yet why the training ends; whoever asks is taken to say it."""
    store = _store
    # Of torchrun's own store all know, even before they have met. Else it is process 0's.
    of_torchrun = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    try:
        if store is None and of_torchrun:
            store = common_store()
        if store is None:
            return True
        is_first: bool = store.add("spoken", 1) == 1
    except RuntimeError:  # it has ended with process 0
        return True
    if os.environ.get("RANK") == "0" and not of_torchrun:
        wait_for_questions(store)
    return is_first


def wait_for_questions(store: Any) -> None:
    """Stay until the others have asked as well, or are not there any more."""
    until = time.monotonic() + PATIENCE
    while store.add("spoken", 0) < asked_for() and time.monotonic() < until:
        time.sleep(0.05)
