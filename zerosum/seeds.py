"""Where randomness comes from: one stream of its own for every place that needs it.

A stream is named by what it is for and where in the run it stands, such as ("turn", seed, 17), and
the name alone decides its numbers. A resumed run therefore needs no saved generator state: it
names the same streams again. (The idea is EDM2's, which reseeds by seed, rank and images seen.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def stream_seed(*where: int | str) -> int:
    """Hash a stream's name, such as ("turn", seed, turn), to a seed in [0, 2**63)."""
    name = "/".join(map(str, where)).encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little") >> 1


def enter_stream(device: torch.device, *where: int | str) -> None:
    """Put torch's default generators, of the CPU and of `device`, at the start of a stream.

    Whatever draws next, z, dropout or augmentation, draws from it, without a generator being
    handed around. `torch.manual_seed` would do the same, but costs more: it reseeds every
    device of the machine.
    """
    import torch

    seed = stream_seed(*where)
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


@contextmanager
def own_randomness(device: torch.device) -> Iterator[None]:
    """Give the caller's random numbers back as they were, whatever streams are entered inside."""
    import torch

    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield
