"""What can be asked for images, wherever its weights lie: a run, or an exported generator."""

from __future__ import annotations

import math
import shlex
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from zerosum.data.arrays import Pixels, Samples
from zerosum.data.images import to_array
from zerosum.data.spec import DataSpec
from zerosum.errors import UserError, whole_number
from zerosum.game.core import GeneratorInput
from zerosum.game.sampling import (
    CHUNK,
    ClassMix,
    Generator,
    draw_inputs,
    generate,
    given_move,
)
from zerosum.hardware import choose_device
from zerosum.inference.directions import Directions, principal_directions
from zerosum.inference.latents import classes_of, latents_of, on_great_circle
from zerosum.inference.sampler import Sampled, Sampler
from zerosum.inference.shown import shown
from zerosum.inference.tiles import Translator
from zerosum.seeds import enter_stream, own_randomness

if TYPE_CHECKING:
    from zerosum.inference.inversion import Inverted

DEFAULT_COUNT = 16
MIX_COUNT = 9
"""Images from one sample to another."""
NUM_DIRECTIONS = 10
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


class Model(ABC):
    """A trained generator, with what has to be known to ask it for images.

    Attributes:
        path: where it lies.
        data: what it was trained on, a data set's name or where it lay.
        classes: the names of the data's classes, () where it has no labels.
        spec: the form of the data.
        has_gradients: whether torch computes G, so that gradients pass through it.
    """

    path: Path
    data: str
    classes: tuple[str, ...]
    spec: DataSpec
    has_gradients: bool = True

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

    def require_gradients(self) -> None:
        """Refuse a G that no gradient passes through.

        Raises:
            UserError: it is such a one.
        """
        if not self.has_gradients:
            raise UserError(
                f"'{self.path}' is computed by onnxruntime, which gives no gradients: expected the "
                "run, or the exported folder with its model.safetensors. Along directions that "
                "were found there it can be moved: --along FILE.npz."
            )

    @takes_raw
    def sample(
        self,
        count: int | None = None,
        *,
        seed: int = 0,
        label: int | str | None = None,
        class_mix: ClassMix | None = None,
        z: NDArray[Any] | torch.Tensor | None = None,
        classes: NDArray[Any] | torch.Tensor | None = None,
        mix: tuple[int, int] | None = None,
        directions: Mapping[int, float] | None = None,
        along: Directions | None = None,
        truncation: float = 1.0,
        ema: bool = True,
        checkpoint: str | int = "newest",
        device: str | torch.device = "auto",
    ) -> Samples:
        """Let G make images, uint8 (count, h, w, c), or points in the plane, float32 (count, 2).

        The same seed gives the same images, whatever the count: 64 images begin with the 16.

        Args:
            count: how many; by default 16, or as many as `z` has rows, or 9 of a mix.
            seed: decides z.
            label: the class of all of them, by its name or counted from 0; None for all classes in
                turn. A number that is the name of a class means that one.
            class_mix: classes between which all of them shall be, with their weights, such as
                {"cat": 0.7, "dog": 0.3}; in place of `label`.
            z: the latents, (count, latent_size), instead of drawing them.
            classes: the class of each, (count, num_classes), one-hot or weights that add up to 1,
                as `sample_with_inputs` and `invert` tell them; in place of `label`.
            mix: two of the images that would be made otherwise, counted from 0: `count` images
                lead from the one to the other, on the great circle between their z.
            directions: steps by which z is moved along principal directions, by their numbers,
                from 1, such as {1: -1.0, 3: 2.0}.
            along: which directions are meant, as `directions` gives them; by default they are
                found anew.
            truncation: in [0, 1], what z, moved, is multiplied by: below 1 images are more typical
                and less varied.
            ema: as `generator` takes it, and so the others.
            checkpoint: "newest", "best", or the images seen at one of those kept.
            device: where G computes.

        Raises:
            UserError: the count is not positive, there is no such class, direction, checkpoint or
                device, or G cannot take such latents.
        """
        return self.sample_with_inputs(
            count,
            seed=seed,
            label=label,
            class_mix=class_mix,
            z=z,
            classes=classes,
            mix=mix,
            directions=directions,
            along=along,
            truncation=truncation,
            ema=ema,
            checkpoint=checkpoint,
            device=device,
        ).samples

    def sample_with_inputs(self, count: int | None = None, **how: Any) -> Sampled:
        """Do as `sample` does, whose arguments it takes, and tell what G was given too."""
        sampler = self.sampler(count, **how)
        made = list(sampler.pieces(0, sampler.count))
        samples = shown(np.concatenate([each.samples for each in made]))
        classes = [each.classes for each in made if each.classes is not None]
        return Sampled(
            samples,
            np.concatenate([each.z for each in made]),
            np.concatenate(classes) if classes else None,
        )

    def sampler(
        self,
        count: int | None = None,
        *,
        seed: int = 0,
        z: NDArray[Any] | torch.Tensor | None = None,
        classes: NDArray[Any] | torch.Tensor | None = None,
        mix: tuple[int, int] | None = None,
        directions: Mapping[int, float] | None = None,
        along: Directions | None = None,
        truncation: float = 1.0,
        ema: bool = True,
        checkpoint: str | int = "newest",
        device: str | torch.device = "auto",
        batch_size: int = CHUNK,
        **told: Any,
    ) -> Sampler:
        """What `sample` works with, for more images than memory holds.

        Its arguments are those of `sample`, and one more.

        Args:
            count: how many images.
            seed: decides z.
            z: the latents, instead of drawing them.
            classes: the class of each.
            mix: two of the images, between which all shall be.
            directions: steps by which z is moved.
            along: the directions that are meant.
            truncation: what z is multiplied by.
            ema: as `generator` takes it.
            checkpoint: "newest", "best", or the images seen at one of those kept.
            device: where G computes.
            batch_size: how many images G makes at a time, from 1 to 256: fewer take less memory.
            told: the class of all, `label` or `class_mix`.

        Raises:
            UserError: as `sample`, or there is no such batch size.
        """
        latents = None if z is None else latents_of(z, count if mix is None else None)
        known = None if latents is None else len(latents)
        if count is None:
            count = (known or DEFAULT_COUNT) if mix is None else MIX_COUNT
        count, seed = whole_number("count", count), whole_number("seed", seed)
        if count < 1:
            raise UserError(f"The number of images was {count}: expected at least 1.")
        batch_size = whole_number("batch_size", batch_size)
        if not 1 <= batch_size <= CHUNK:
            raise UserError(
                f"The batch size was {batch_size}: expected 1 to {CHUNK}, the images whose z is "
                "drawn at a time."
            )
        weights = None
        if classes is not None:
            if any(each is not None for each in told.values()):
                raise UserError(
                    "Received the classes of each image, and a label or a mix of classes for all: "
                    "expected one of them."
                )
            weights = classes_of(classes, count if mix is None else known, self.inputs)
            known = len(weights)
        where = self.choose_device(device)
        G = self.generator(ema=ema, checkpoint=checkpoint, device=where)
        move = self.move_of(G, directions, along)
        how: dict[str, Any] = {"count": count, "seed": seed, "device": where}
        how["batch_size"] = batch_size
        told = {"names": self.classes, **told}
        if mix is not None:
            plain = Sampler(G, latents=latents, classes=weights, drawing=told, **how)
            ends = [plain.inputs_at(end) for end in ends_of(mix, known)]
            latents, *others = mixed(ends, count)
            weights, told = others[0] if others else None, {"names": self.classes}
        drawing = {**told, "move": move, "truncation": truncation}
        return Sampler(G, latents=latents, classes=weights, drawing=drawing, **how)

    def directions(
        self,
        count: int = NUM_DIRECTIONS,
        *,
        ema: bool = True,
        checkpoint: str | int = "newest",
        device: str | torch.device = "auto",
    ) -> Directions:
        """Find the directions of z along which G's images change most, for `sample` to go along.

        They follow from G's weights alone. Of classes G is told all in turn.

        Args:
            count: how many; there are no more than z has entries.
            ema: as `generator` takes it, and so the others.
            checkpoint: "newest", "best", or the images seen at one of those kept.
            device: where G computes.

        Raises:
            UserError: the count is not positive, there is no such checkpoint or device, G takes no
                z, or no gradient passes through it, as through an .onnx file.
        """
        if whole_number("count", count) < 1:
            raise UserError(f"The number of directions was {count}: expected at least 1.")
        self.require_gradients()
        G = self.generator(ema=ema, checkpoint=checkpoint, device=self.choose_device(device))
        return principal_directions(G, count)

    def move_of(
        self, G: Generator, directions: Mapping[int, float] | None, along: Directions | None
    ) -> torch.Tensor | None:
        """What steps along directions add to z, (latent_size,); None where there are none.

        Args:
            G: whose directions they are, unless `along` says them.
            directions: the steps.
            along: the directions that are meant.

        Raises:
            UserError: there is no such direction, there are none, or no step along any.
        """
        if directions is None:
            if along is not None:
                raise UserError(
                    "Received directions, and no step along any of them: say how far along which, "
                    "such as --direction 3:+2."
                )
            return None
        if along is None:
            self.require_gradients()
            latent_size = sum(each.shape[0] or 0 for each in G.inputs if each.kind == "latent")
            along = principal_directions(G, latent_size)
        return torch.from_numpy(along.move(directions))

    def invert(
        self,
        images: Pixels,
        *,
        label: int | str | None = None,
        steps: int = 200,
        starts: int = 8,
        seed: int = 0,
        perceptual: bool = False,
        ema: bool = True,
        checkpoint: str | int = "newest",
        device: str | torch.device = "auto",
    ) -> Inverted:
        """Find the z of which G makes given images, or the nearest to them.

        `sample(z=found.z, classes=found.classes)` makes `found.samples` again.

        Args:
            images: uint8 (n, h, w, c), of the run's own size and channels.
            label: the class that G is told with all of them; None lets the starts try all classes.
            steps: of the descent.
            starts: latents that are followed for each image.
            seed: decides the first latents.
            perceptual: whether LPIPS is minimised beside the squared error.
            ema: as `generator` takes it, and so the others.
            checkpoint: "newest", "best", or the images seen at one of those kept.
            device: where G computes.

        Raises:
            UserError: G makes no images of noise or no gradient passes through it, the images are
                not of its size, a number is not positive, there is no such class, checkpoint or
                device, or LPIPS has no weights.
        """
        from zerosum.inference.inversion import invert

        return invert(
            self,
            images,
            label=label,
            steps=steps,
            starts=starts,
            seed=seed,
            perceptual=perceptual,
            ema=ema,
            checkpoint=checkpoint,
            device=device,
        )

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
        directions: Mapping[int, float] | None = None,
        along: Directions | None = None,
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
        move = self.move_of(G, directions, along)
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
            if move is not None:
                z = z + given_move(move, z.shape[1]).to(where) * truncation
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


def ends_of(mix: tuple[int, int], known: int | None) -> tuple[int, int]:
    """Take the numbers of the two samples of a mix.

    Raises:
        UserError: they are none, or not of the latents that are given, which are `known` many.
    """
    if not isinstance(mix, tuple | list) or len(mix) != 2:
        raise UserError(
            f"The mix was {mix!r:.40}: expected the numbers of two samples, such as (12, 40)."
        )
    first, second = (whole_number("mix", each) for each in mix)
    for end in (first, second):
        if end < 0 or (known is not None and end >= known):
            most = "" if known is None else f" to {known - 1}, of the {known} latents"
            raise UserError(f"The mix names sample {end}: expected a number from 0{most}.")
    return first, second


def mixed(ends: Sequence[Sequence[torch.Tensor]], count: int) -> tuple[torch.Tensor, ...]:
    """What G takes from one sample to another: z on a great circle, classes on a line.

    Args:
        ends: of both samples z (latent_size,), and (num_classes,) where G is told classes.
        count: how many rows.

    Returns:
        z (count, latent_size), and (count, num_classes) where G is told classes.
    """
    (a, *told_a), (b, *told_b) = ends
    shares = torch.linspace(0, 1, count)[:, None]
    lines = (
        torch.lerp(one[None], other[None], shares)
        for one, other in zip(told_a, told_b, strict=True)
    )
    return on_great_circle(a, b, count), *lines
