"""Images of noise, each the same whichever others are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from zerosum.data.arrays import Samples
from zerosum.data.images import to_array
from zerosum.game.sampling import (
    CHUNK,
    Generator,
    draw_inputs,
    generate,
    given_latents,
)
from zerosum.inference.latents import whole_chunk
from zerosum.seeds import enter_stream, own_randomness


@dataclass(frozen=True, eq=False)
class Sampled:
    """Samples, and what G was given for each.

    Attributes:
        samples: as `Run.sample` gives them.
        z: the latents, float32 (n, latent_size).
        classes: one-hot, or weights that add up to 1, float32 (n, num_classes); None where G is
            told none.
    """

    samples: Samples
    z: NDArray[np.float32]
    classes: NDArray[np.float32] | None


@runtime_checkable
class WholeFile(Protocol):
    """A net whose weights are in no state dict, but in its file."""

    def fingerprint(self) -> str:
        """The sha256 of the file."""
        ...


class Sampler:
    """Makes images of noise, some at a time, each the same whichever others are asked for.

    z is drawn for blocks of `CHUNK` images, each from a stream of its own, so that any block can be
    made alone: after others or not, in this process or in another.

    Attributes:
        G: the generator.
        count: how many images there are.
        one_hot: whether every image is of one class, or G is told none: no mixture is among them.
    """

    def __init__(
        self,
        G: Generator,
        *,
        count: int,
        seed: int,
        latents: torch.Tensor | None,
        classes: torch.Tensor | None = None,
        device: torch.device,
        batch_size: int,
        drawing: Mapping[str, Any],
    ) -> None:
        """See `Model.sampler`.

        Raises:
            UserError: there is no such class, or G cannot take such latents.
        """
        self.G, self.count = G, count
        self._seed, self._latents, self._device = seed, latents, device
        self._classes = classes
        self._batch_size, self._drawing = batch_size, drawing
        with own_randomness(device):  # what G cannot take is refused before anything is made
            first, *told = self._draw(0)
        if latents is not None:
            given_latents(latents, len(latents), first.shape[1])
        # Classes that are not given are the same for all images, or one for each.
        weights = [classes[:count]] if classes is not None else told
        self.one_hot = all(bool((each.max(dim=1).values >= 1).all()) for each in weights)

    def pieces(self, start: int, stop: int) -> Iterator[Sampled]:
        """Make the images from `start`, a multiple of `CHUNK`, to `stop`, a batch at a time."""
        for block in range(start // CHUNK, -(-stop // CHUNK)):
            left = stop - block * CHUNK
            inputs: tuple[torch.Tensor, ...] = ()
            # Whole batches, though the last images may not be wanted: they are computed as others.
            for first in range(0, min(left, CHUNK), self._batch_size):
                with own_randomness(self._device):  # not while the caller has its turn
                    if first == 0:
                        enter_stream(self._device, "sample", self._seed, block)
                        inputs = self._draw(block)
                    else:
                        enter_stream(self._device, "sample", self._seed, block, first)
                    batch = [each[first : first + self._batch_size] for each in inputs]
                    made = to_array(generate(self.G, batch))[: left - first]
                z, *classes = (each.cpu().numpy()[: len(made)] for each in batch)
                yield Sampled(made, z, classes[0] if classes else None)

    def _draw(self, block: int) -> tuple[torch.Tensor, ...]:
        """What G takes for a block of images, from the current stream."""
        z, classes = (
            None if rows is None else whole_chunk(rows, block)
            for rows in (self._latents, self._classes)
        )
        return draw_inputs(
            self.G.inputs, CHUNK, self._device, z=z, classes=classes, **self._drawing
        )

    def inputs_at(self, index: int) -> list[torch.Tensor]:
        """What G takes for one image, on the CPU."""
        block = index // CHUNK
        with own_randomness(self._device):
            enter_stream(self._device, "sample", self._seed, block)
            return [each[index % CHUNK].cpu() for each in self._draw(block)]

    def fingerprint(self) -> str:
        """The sha256 of G's weights, or of its file where it has no others."""
        digest = hashlib.sha256()
        hash_tensors(digest, self.G.state_dict())
        if isinstance(self.G.net, WholeFile):
            digest.update(self.G.net.fingerprint().encode())
        return digest.hexdigest()

    def fingerprint_of_given(self) -> str | None:
        """The sha256 of the latents and classes that were given, and of what moves them."""
        given = {"z": self._latents, "classes": self._classes, "move": self._drawing.get("move")}
        known = {name: tensor for name, tensor in given.items() if tensor is not None}
        if not known:
            return None
        digest = hashlib.sha256()
        hash_tensors(digest, known)
        return digest.hexdigest()


def hash_tensors(digest: hashlib._Hash, tensors: Mapping[str, torch.Tensor]) -> None:
    """Hash tensors by name, with their types and shapes."""
    for name, tensor in tensors.items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().flatten()
        digest.update(flat.view(torch.uint8).numpy().data)
