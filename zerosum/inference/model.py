"""What can be asked for images, wherever its weights lie: a run, or an exported generator."""

from __future__ import annotations

import math
import shlex
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from zerosum.data.arrays import Pixels, Samples
from zerosum.data.images import to_array
from zerosum.data.spec import DataSpec
from zerosum.errors import UserError, whole_number
from zerosum.game.core import GeneratorInput
from zerosum.game.sampling import CHUNK, ClassMix, Generator, draw_inputs, generate
from zerosum.hardware import choose_device
from zerosum.inference.shown import shown
from zerosum.inference.tiles import Translator
from zerosum.seeds import enter_stream, own_randomness

DEFAULT_COUNT = 16

Method = TypeVar("Method", bound=Callable[..., Any])


def takes_raw(method: Method) -> Method:
    """Let a function take `raw=True`, the name that `ema=False` had until 0.1."""

    @wraps(method)
    def call(*args: Any, **named: Any) -> Any:
        if "raw" in named:
            warnings.warn(
                "raw is now called ema, its opposite: ema=False for raw=True. The next version "
                "will not know the old name.",
                FutureWarning,
                stacklevel=2,
            )
            named["ema"] = not named.pop("raw")
        return method(*args, **named)

    return cast("Method", call)


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


class Model(ABC):
    """A trained generator, with what has to be known to ask it for images.

    Attributes:
        path: where it lies.
        data: what it was trained on, a data set's name or where it lay.
        classes: the names of the data's classes, () where it has no labels.
        spec: the form of the data.
    """

    path: Path
    data: str
    classes: tuple[str, ...]
    spec: DataSpec

    @property
    @abstractmethod
    def task(self) -> str:
        """What its G does, a name of `zerosum.tasks.TASKS`."""

    @property
    @abstractmethod
    def inputs(self) -> tuple[GeneratorInput, ...]:
        """What its G takes, known without its weights."""

    @abstractmethod
    def generator(
        self,
        *,
        checkpoint: str | int = "newest",
        ema: bool = True,
        device: str | torch.device = "auto",
        reverse: bool = False,
    ) -> Generator:
        """G alone, as a module for programs of your own, in eval mode; see `Run.generator`."""

    def choose_device(self, name: str | torch.device) -> torch.device:
        """Where G computes, for "auto" or a device's name.

        Raises:
            UserError: there is no such device, or it cannot compute there.
        """
        return choose_device(str(name))

    @takes_raw
    def sample(
        self,
        count: int | None = None,
        *,
        seed: int = 0,
        label: int | str | None = None,
        class_mix: ClassMix | None = None,
        z: NDArray[Any] | torch.Tensor | None = None,
        truncation: float = 1.0,
        ema: bool = True,
        checkpoint: str | int = "newest",
        device: str | torch.device = "auto",
    ) -> Samples:
        """Let G make images, uint8 (count, h, w, c), or points in the plane, float32 (count, 2).

        The same seed gives the same images, whatever the count: 64 images begin with the 16.

        Args:
            count: how many; by default 16, or as many as `z` has rows.
            seed: decides z.
            label: the class of all of them, by its name or counted from 0; None for all classes in
                turn. A number that is the name of a class means that one.
            class_mix: classes between which all of them shall be, with their weights, such as
                {"cat": 0.7, "dog": 0.3}; in place of `label`.
            z: the latents, (count, latent_size), instead of drawing them.
            truncation: in [0, 1], what z is multiplied by: below 1 images are more typical and less
                varied.
            ema: as `generator` takes it, and so the others.
            checkpoint: "newest", "best", or the images seen at one of those kept.
            device: where G computes.

        Raises:
            UserError: the count is not positive, there is no such class, checkpoint or device, or
                G cannot take such latents.
        """
        return self.sample_with_inputs(
            count,
            seed=seed,
            label=label,
            class_mix=class_mix,
            z=z,
            truncation=truncation,
            ema=ema,
            checkpoint=checkpoint,
            device=device,
        ).samples

    def sample_with_inputs(
        self,
        count: int | None = None,
        *,
        seed: int = 0,
        z: NDArray[Any] | torch.Tensor | None = None,
        ema: bool = True,
        checkpoint: str | int = "newest",
        device: str | torch.device = "auto",
        **drawing: Any,
    ) -> Sampled:
        """Do as `sample` does, whose arguments it takes, and tell what G was given too."""
        latents = None if z is None else latents_of(z, count)
        if count is None:
            count = DEFAULT_COUNT if latents is None else len(latents)
        count, seed = whole_number("count", count), whole_number("seed", seed)
        if count < 1:
            raise UserError(f"The number of images was {count}: expected at least 1.")
        where = self.choose_device(device)
        G = self.generator(ema=ema, checkpoint=checkpoint, device=where)
        made, given = [], []
        with own_randomness(where):
            for index in range(-(-count // CHUNK)):  # of one size, so that samples nest
                enter_stream(where, "sample", seed, index)
                inputs = draw_inputs(
                    G.inputs,
                    CHUNK,
                    where,
                    names=self.classes,
                    z=None if latents is None else whole_chunk(latents, index),
                    **drawing,
                )
                made.append(to_array(generate(G, inputs)))
                given.append([each.cpu().numpy() for each in inputs])
        z_used, *classes = (np.concatenate(each)[:count] for each in zip(*given, strict=True))
        samples = shown(np.concatenate(made)[:count])
        return Sampled(samples, z_used, classes[0] if classes else None)

    def labels(
        self, count: int = 16, *, label: int | str | None = None
    ) -> NDArray[np.int64] | None:
        """The classes that `sample` tells G, int64 (count,), or None where it tells none.

        Raises:
            UserError: there is no such class.
        """
        cpu = torch.device("cpu")
        with own_randomness(cpu):
            _, *classes = draw_inputs(self.inputs, CHUNK, cpu, label=label, names=self.classes)
        # Each chunk of samples begins with the first class.
        return np.resize(classes[0].argmax(dim=1).numpy(), count) if classes else None

    @takes_raw
    def interpolate(
        self,
        steps: int,
        *,
        count: int = DEFAULT_COUNT,
        seed: int = 0,
        label: int | str | None = None,
        class_mix: ClassMix | None = None,
        truncation: float = 1.0,
        ema: bool = True,
        checkpoint: str | int = "newest",
        device: str | torch.device = "auto",
    ) -> Samples:
        """Walk z around a circle and back to its start: an array as `sample` gives at each step.

        On the circle cos(t) a + sin(t) b through two draws a and b every point is N(0, I), as G
        was trained on; on a straight line between them z would be too short. The other arguments
        are those of `sample`.

        Raises:
            UserError: as `sample`.
        """
        steps, count = whole_number("steps", steps), whole_number("count", count)
        if min(steps, count) < 1:
            raise UserError(f"Asked for {steps} steps of {count} images: expected at least 1.")
        where = self.choose_device(device)
        G = self.generator(ema=ema, checkpoint=checkpoint, device=where)
        with own_randomness(where):
            enter_stream(where, "interpolate", seed)
            (a, *others), (b, *_) = (
                draw_inputs(
                    G.inputs,
                    count,
                    where,
                    label=label,
                    class_mix=class_mix,
                    names=self.classes,
                    truncation=truncation,
                )
                for _ in range(2)
            )
        frames = []
        for step in range(steps):
            angle = 2 * math.pi * step / steps
            z = math.cos(angle) * a + math.sin(angle) * b
            frames.append(to_array(generate(G, (z, *others))))
        return np.stack(frames)

    @takes_raw
    def translate(
        self,
        images: Pixels,
        *,
        seed: int = 0,
        ema: bool = True,
        checkpoint: str | int = "newest",
        reverse: bool = False,
        device: str | torch.device = "auto",
    ) -> Pixels:
        """Let G make images of images, uint8 (n, h, w, c) -> uint8 (n, h, w, c of the target).

        They may be of any size, and larger ones than 1024×1024 pixels are translated in tiles, see
        `tiles.py`; but what G knows is the scale of the images that it was trained on. An image's
        output depends on nothing but the image, the run and the seed.

        Args:
            images: of as many channels as the run's sources.
            seed: as `translator` takes it, and so the others.
            ema: the moving average of G's weights, and not G's own of the last step.
            checkpoint: "newest", "best", or the images seen at one of those kept.
            reverse: go from target to source, in a run that learnt both ways.
            device: where G computes.

        Raises:
            UserError: as `translator`, or the array does not hold such images.
        """
        translator = self.translator(
            seed=seed, ema=ema, checkpoint=checkpoint, reverse=reverse, device=device
        )
        return shown(translator.translate_all(images))

    @takes_raw
    def translator(
        self,
        *,
        seed: int = 0,
        ema: bool = True,
        checkpoint: str | int = "newest",
        reverse: bool = False,
        device: str | torch.device = "auto",
    ) -> Translator:
        """What `translate` works with, for images of different sizes.

        Args:
            seed: decides the noise, the dropout in G.
            ema: as `generator` takes it, and so the others.
            checkpoint: "newest", "best", or the images seen at one of those kept.
            reverse: go from target to source, in a run that learnt both ways.
            device: where G computes.

        Raises:
            UserError: the run translates no images or not in reverse, or there is no such
                checkpoint or device.
        """
        if not self.spec.source_channels:
            raise UserError(
                f"'{self.path}' makes images of noise, not of images. Sample it instead: "
                f"zerosum sample {shlex.quote(str(self.path))}."
            )
        where = self.choose_device(device)
        G = self.generator(ema=ema, checkpoint=checkpoint, device=where, reverse=reverse)
        source_channels = G.inputs[0].shape[0] or 0
        return Translator(
            net=G.net,
            source_channels=source_channels,
            target_channels=self.spec.shape[0] - source_channels,
            device=where,
            seed=seed,
        )


def latents_of(z: NDArray[Any] | torch.Tensor, count: int | None) -> torch.Tensor:
    """Read latents that a user gives, one row an image, as floats (n, d).

    Raises:
        UserError: they are no such array, or not as many as images were asked for.
    """
    array = z.detach().cpu().numpy() if isinstance(z, torch.Tensor) else np.asarray(z)
    if array.ndim != 2 or len(array) == 0 or array.dtype.kind not in "fiu":
        raise UserError(
            f"The latents are {array.dtype} of shape {array.shape}: expected floats of the shape "
            "(n, latent_size), a row for each image."
        )
    if count not in (None, len(array)):
        raise UserError(
            f"Asked for {count} images of {len(array)} latents: expected as many, or no number."
        )
    return torch.tensor(array, dtype=torch.float32)


def whole_chunk(latents: torch.Tensor, index: int) -> torch.Tensor:
    """The latents (CHUNK, d) of one chunk of images, with zeros behind the last.

    A batch of another size could round otherwise, and give back another image of the same z.
    """
    rows = latents[index * CHUNK : (index + 1) * CHUNK]
    return torch.cat([rows, rows.new_zeros(CHUNK - len(rows), latents.shape[1])])
