"""From an image back to its z: which latent does G make this image, or the nearest to it, of?

z is found by gradient descent from many starts at once (Zhu et al. 2016, "Generative Visual
Manipulation on the Natural Image Manifold", section 3; StyleGAN2's projector is its best-known
heir). Of `draws` random latents the nearest `starts` begin; each follows the gradient of its own
image's distance, and the best of them is kept. The nets of this package have no second latent
space, such as StyleGAN's W: z is all there is to find.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zerosum.data.arrays import Pixels
from zerosum.data.images import to_array, to_float
from zerosum.errors import UserError, whole_number
from zerosum.game.sampling import CHUNK, Generator, draw_inputs, generate
from zerosum.metrics.lpips import lpips_net
from zerosum.seeds import enter_stream, own_randomness

if TYPE_CHECKING:
    from zerosum.inference.model import Model

STEPS, STARTS, DRAWS = 200, 8, 1024
LEARNING_RATE = 0.1
WARM_UP, FALL = 0.1, 0.25
"""Parts of the search in which the learning rate rises and falls, as in StyleGAN2's projector."""
LENGTH_WEIGHT = 1e-3
"""Of the squared excess of z's mean square over 1, which draws of N(0, I) have."""
FRAMES = 24
Report = Callable[[int, int, float], None]
"""Told of a step: its number, how many there are, and the mean PSNR of the images so far in dB."""


@dataclass(frozen=True, eq=False)
class Inverted:
    """What was found of n images.

    Attributes:
        targets: the images, uint8 (n, h, w, c).
        samples: what G makes of the latents found, uint8 (n, h, w, c).
        z: these latents, float32 (n, latent_size).
        classes: what G is told with each, float32 (n, num_classes); None where it knows none.
        psnr: of each, in dB: ten times the logarithm of the squared range over the mean squared
            error, so 20 is a tenth of the range off, and 30 a thirtieth.
        search: the best so far of each image, uint8 (n, h, w, c), at moments of the search.
    """

    targets: Pixels
    samples: Pixels
    z: NDArray[np.float32]
    classes: NDArray[np.float32] | None
    psnr: NDArray[np.float32]
    search: tuple[Pixels, ...]


def invert(
    run: Model,
    images: Pixels,
    *,
    label: int | str | None = None,
    steps: int = STEPS,
    starts: int = STARTS,
    seed: int = 0,
    perceptual: bool = False,
    ema: bool = True,
    checkpoint: str | int = "newest",
    device: str | torch.device = "auto",
    report: Report | None = None,
) -> Inverted:
    """Find a z for each of some images.

    An image's result depends on nothing but the image, the run, and these arguments; the same seed
    gives the same z.

    Args:
        run: whose G makes images of noise; an exported one serves as well.
        images: uint8 (n, h, w, c), of the run's own size and channels.
        label: the class that G is told with all of them; None lets the starts try all classes.
        steps: of the descent.
        starts: latents that are followed for each image.
        seed: decides the first latents.
        perceptual: whether LPIPS is minimised beside the squared error.
        ema: the moving average of G's weights, and not G's own of the last step.
        checkpoint: "newest", "best", or the images seen at one of those kept.
        device: where G computes.
        report: told how far it is.

    Raises:
        UserError: the run makes no images of noise, the images are not of its size, a number is not
            positive, there is no such class, checkpoint or device, or LPIPS has no weights.
    """
    for name, value in (("steps", steps), ("starts", starts)):
        if whole_number(name, value) < 1:
            raise UserError(f"The number of {name} was {value}: expected at least 1.")
    require_invertible(run, images)
    where = run.choose_device(device)
    G = run.generator(ema=ema, checkpoint=checkpoint, device=where).requires_grad_(False)
    distance = perceptual_distance(where) if perceptual else None
    found = []
    with own_randomness(where), torch.enable_grad():
        first = first_latents(G, where, seed=seed, label=label, names=run.classes)
        for index, image in enumerate(images):
            target = to_float(torch.from_numpy(image[None]).permute(0, 3, 1, 2)).to(where)

            def tell(step: int, psnr: float, index: int = index) -> None:
                if report is not None:
                    report(index * steps + step, len(images) * steps, psnr)

            found.append(search_one(G, target, first, steps, starts, distance, tell))
    z, classes, samples, psnr, frames = zip(*found, strict=True)
    return Inverted(
        targets=images,
        samples=np.concatenate(samples),
        z=np.concatenate(z),
        classes=None if classes[0] is None else np.concatenate(classes),
        psnr=np.array(psnr, np.float32),
        search=tuple(np.concatenate(moment) for moment in zip(*frames, strict=True)),
    )


def require_invertible(run: Model, images: Pixels) -> None:
    """Refuse what has no z to be found.

    Raises:
        UserError: the run makes no images of noise, or the images are of another form.
    """
    if run.spec.source_channels or run.spec.are_points:
        what = "translates images" if run.spec.source_channels else "makes points in the plane"
        raise UserError(
            f"'{run.path}' {what}: expected a run whose G makes images of noise, such as vanilla "
            "or dcgan."
        )
    run.require_gradients()
    channels, height, width = run.spec.shape
    expected = (height, width, channels)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != expected:
        raise UserError(
            f"The images are {images.dtype} of shape {images.shape}: expected uint8 of shape "
            f"(n, {height}, {width}, {channels}), as the run's own are."
        )


def first_latents(
    G: Generator,
    device: torch.device,
    *,
    seed: int,
    label: int | str | None,
    names: Sequence[str],
) -> tuple[Tensor, ...]:
    """What the search begins from: the same draws for every image."""
    parts = []
    for index in range(DRAWS // CHUNK):
        enter_stream(device, "invert", seed, index)
        parts.append(draw_inputs(G.inputs, CHUNK, device, label=label, names=names))
    return tuple(torch.cat(each) for each in zip(*parts, strict=True))


def search_one(
    G: Generator,
    target: Tensor,
    first: tuple[Tensor, ...],
    steps: int,
    starts: int,
    distance: Callable[[Tensor, Tensor], Tensor] | None,
    tell: Callable[[int, float], None],
) -> tuple[NDArray[Any], NDArray[Any] | None, Pixels, float, list[Pixels]]:
    """Search z for one image (1, c, h, w): z, classes, what G makes of them, PSNR, and the film."""

    def far(made: Tensor) -> Tensor:
        """The distance of images (b, c, h, w) from the target, (b,)."""
        squared = (made - target).square().flatten(1).mean(1)
        return squared if distance is None else squared + distance(made, target)

    with torch.no_grad():
        chunks = zip(*(torch.split(each, CHUNK) for each in first), strict=True)
        distances = torch.cat([far(G(*chunk)) for chunk in chunks])
    nearest = distances.topk(min(starts, len(distances)), largest=False).indices
    z, *others = (each[nearest].clone() for each in first)
    z.requires_grad_(True)
    optimizer = torch.optim.Adam([z], lr=LEARNING_RATE, betas=(0.9, 0.999))
    best, best_far = z.detach().clone(), torch.full((len(z),), math.inf, device=z.device)
    moments = {round(step) for step in np.linspace(0, steps, FRAMES)}
    frames: list[Pixels] = []
    for step in range(steps + 1):
        distances = far(G(z, *others))
        with torch.no_grad():
            better = distances < best_far
            best[better], best_far = z[better], torch.minimum(distances, best_far)
            champion = best_far.argmin()
            # Made as `sample --z` makes it, in a batch of its size, which may round otherwise.
            row = [best[champion, None], *(each[champion, None] for each in others)]
            if step in moments:
                frames.append(made_of(G, row))
                tell(step, psnr_of(frames[-1], target))
        if step == steps:
            break
        excess = (z.square().mean(1) - 1).clamp(min=0)
        total = (distances + LENGTH_WEIGHT * excess.square()).sum()
        torch.autograd.backward(total, inputs=[z])
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * rate_at(step / steps)
        optimizer.step()
        optimizer.zero_grad()
    classes = row[1].cpu().numpy() if others else None
    return row[0].cpu().numpy(), classes, frames[-1], psnr_of(frames[-1], target), frames


def made_of(G: Generator, row: Sequence[Tensor]) -> Pixels:
    """What `sample --z` makes of one latent: uint8 (1, h, w, c)."""
    chunk = [torch.cat([each, each.new_zeros(CHUNK - 1, *each.shape[1:])]) for each in row]
    return to_array(generate(G, chunk)[:1])


def rate_at(part: float) -> float:
    """The learning rate at a part of the search, in [0, 1], of its largest."""
    falling = min(1.0, (1 - part) / FALL)
    return (0.5 - 0.5 * math.cos(math.pi * falling)) * min(1.0, (part + 1e-3) / WARM_UP)


def psnr_of(made: Pixels, target: Tensor) -> float:
    """Peak signal-to-noise ratio, in dB, of an image (1, h, w, c) to a target (1, c, h, w)."""
    floats = to_float(torch.from_numpy(made).permute(0, 3, 1, 2)).to(target.device)
    error = (floats - target).square().mean().item()
    return 10 * math.log10(4 / max(error, 1e-12))


def perceptual_distance(device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """LPIPS between images (b, c, h, w) and one target."""
    net = lpips_net(device=device)

    def distance(made: Tensor, target: Tensor) -> Tensor:
        return net.distance_of_floats(made, target.expand_as(made))

    return distance
