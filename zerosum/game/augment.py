"""Augmentation of the images that D judges, real and fake alike, so that little data lasts longer.

Without it D learns a small data set by heart. Since the fakes are augmented too, G does not learn
to make augmented images, and since every operation is differentiable, G learns through it; twice
differentiable, so that penalties may go through it as well. Every image gets its own random
numbers, drawn on its device from torch's default generator, which each turn seeds.

Sources: Zhao et al. 2020, arXiv 2006.10738 (the policies); Karras et al. 2020, arXiv 2006.06676
(the probability). `flip` is something else, a plain augmentation of the real images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from zerosum.config.specs import COLORED, POLICIES
from zerosum.errors import UserError
from zerosum.game.share import current, for_each


def color(images: Tensor) -> Tensor:
    """Shift the brightness, then scale the saturation, then the contrast, of each image.

    By U(-0.5, 0.5), U(0, 2) and U(0.5, 1.5). The results may leave [-1, 1] and are not clamped,
    as in the paper: a clamp would stop G's gradient there.

    Args:
        images: (n, c, h, w) in [-1, 1]. Gray ones (c = 1) have no saturation to scale; channels
            after the third, such as RGBA's alpha, stay as they are.
    """
    colors, others = images[:, :3], images[:, 3:]
    colors = colors + _uniform(images, -0.5, 0.5)
    if colors.shape[1] > 1:
        gray = colors.mean(dim=1, keepdim=True)
        colors = gray + (colors - gray) * _uniform(images, 0, 2)
    mean = colors.mean(dim=(1, 2, 3), keepdim=True)
    colors = mean + (colors - mean) * _uniform(images, 0.5, 1.5)
    return torch.cat([colors, others], dim=1) if others.shape[1] else colors


def translation(images: Tensor) -> Tensor:
    """Move each image by up to an eighth of its height and width, by whole pixels.

    What comes in at the border is 0 in every channel, as in the paper: in [-1, 1] that is mid-gray,
    and a half transparent one in RGBA.
    """
    (rows, row_exists), (columns, column_exists) = _moved(images, 2), _moved(images, 3)
    height, width = images.shape[2:]
    # One gather of flat indices. Pixels from outside read the border's and are blanked after it;
    # so are their gradients, which is why backward's sums do not depend on their order.
    sources = (rows[:, :, None] * width + columns[:, None, :]).reshape(-1, 1, height * width)
    moved = images.flatten(2).gather(2, sources.expand(-1, images.shape[1], -1))
    exists = row_exists[:, None, :, None] & column_exists[:, None, None, :]
    return moved.reshape(images.shape).masked_fill(~exists, 0)


def cutout(images: Tensor) -> Tensor:
    """Blank a rectangle of half the height and half the width in each image.

    Its middle may be anywhere in the image, so part of it may lie outside. It is filled with 0
    in every channel, see `translation`.
    """
    hole = _stripe(images, 2)[:, None, :, None] & _stripe(images, 3)[:, None, None, :]
    return images.masked_fill(hole, 0)


APPLY: dict[str, Callable[[Tensor], Tensor]] = {
    "color": color,
    "translation": translation,
    "cutout": cutout,
}


def flip(images: Tensor) -> Tensor:
    """Mirror each image, left to right, with probability 1/2.

    For the real images alone, where left and right are alike: not for digits. G then learns to
    make mirrored images too, since to D the data set has become twice as large.
    """
    return torch.where(_chance(images) < 0.5, images.flip(3), images)


class Augmentation(nn.Module):
    """What images go through on their way to D: images (n, c, h, w) -> images (n, c, h, w).

    Packs are made afterwards: every image has its own random numbers, not every pack.

    With a `target`, each policy is applied to each image with probability `p` only, and `observe`
    controls p: up when D is too sure of the real images, which is how overfitting shows, and down
    when it is not (Karras et al. 2020, section 3). All of its state is in the `state_dict`, and
    none of it is read back to the host.

    Args:
        policies: names in `POLICIES`; applied in the order there.
        channels: of the images.
        target: of E[sign(D(real))], between -1 and 1; the paper's is 0.6. None: p is always 1.

    Raises:
        UserError: a policy makes no sense for so many channels.
    """

    IMAGES_TO_FULL = 500_000
    """Images in which p gets from 0 to 1, if D is too sure all the time."""

    ADJUST_EVERY = 4
    """Batches between adjustments of p, which average out their noise."""

    # p is kept as a count of images, since so many small steps of a float would not add up.
    climbed: Tensor
    # Sums since the last adjustment.
    signs: Tensor
    verdicts: Tensor
    images: Tensor
    turns: Tensor

    def __init__(
        self, policies: Iterable[str], *, channels: int, target: float | None = None
    ) -> None:
        super().__init__()
        asked = set(policies)
        check_channels(asked, channels)
        self.policies = tuple(name for name in POLICIES if name in asked)
        self.target = target
        if target is not None:
            for name in ("climbed", "signs", "verdicts", "images", "turns"):
                self.register_buffer(name, torch.zeros((), dtype=torch.int64))

    @property
    def p(self) -> Tensor:
        """The probability of each policy, float32 () in [0, 1], on the device of the state."""
        if self.target is None:
            return torch.ones(())
        return self.climbed / self.IMAGES_TO_FULL

    def forward(self, images: Tensor) -> Tensor:
        """Augment each image; the result has the dtype of the images."""
        for name in self.policies:
            changed = APPLY[name](images)
            if self.target is not None:
                changed = torch.where(_chance(images) < self.p, changed, images)
            images = changed
        return images

    @torch.no_grad()
    def observe(self, real_logits: Tensor, *, images: int | None = None) -> None:
        """Take note of D's verdicts on a batch of augmented real images, after its turn.

        Every fourth time, p takes a step towards where E[sign(D(real))] is at the target. Does
        nothing without a target.

        Args:
            real_logits: of any shape; above 0 means real. Objectives that only compare logits, such
                as Wasserstein's and the relativistic ones, fix no zero: center theirs first.
            images: how many real images these are verdicts on; by default one each row. Packs and
                the like have more.
        """
        if self.target is None:
            return
        signs = real_logits.sign().to(torch.int64).sum()
        count = len(real_logits) if images is None else images
        share = current()
        if share is None:
            self.signs += signs
            self.verdicts += real_logits.numel()
            self.images += count
        else:
            own = torch.stack([signs, *signs.new_tensor([real_logits.numel(), count])])
            for since, found in zip(
                (self.signs, self.verdicts, self.images), share.summed(own), strict=True
            ):
                since += found
            if not share.is_last:
                return
        self.turns += 1
        # On the device, the question whether it is time is a number too.
        due = self.turns >= self.ADJUST_EVERY
        excess = self.signs / self.verdicts - self.target
        step = excess.sign().to(torch.int64) * self.images
        self.climbed += due * step
        self.climbed.clamp_(0, self.IMAGES_TO_FULL)
        for since in (self.signs, self.verdicts, self.images, self.turns):
            since *= ~due

    def extra_repr(self) -> str:
        """What printing the module shows."""
        return f"{', '.join(self.policies) or 'none'}, target={self.target}"


def _chance(images: Tensor) -> Tensor:
    """A number in [0, 1) for each image, float32 (n, 1, 1, 1)."""
    return for_each(
        len(images),
        lambda n: torch.rand(n, 1, 1, 1, device=images.device, dtype=torch.float32),
    )


def _uniform(images: Tensor, low: float, high: float) -> Tensor:
    """A number between `low` and `high` for each image, (n, 1, 1, 1) of the images' dtype."""
    return (low + (high - low) * _chance(images)).to(images.dtype)


def _moved(images: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Where each row (dim 2) or column (dim 3) comes from, and whether the image has it: (n, s)."""
    size = images.shape[dim]
    most = (size + 4) // 8  # an eighth, rounded
    shift = for_each(
        len(images), lambda n: torch.randint(-most, most + 1, (n, 1), device=images.device)
    )
    source = torch.arange(size, device=images.device) - shift
    return source.clamp(0, size - 1), (source >= 0) & (source < size)


def _stripe(images: Tensor, dim: int) -> Tensor:
    """Which rows (dim 2) or columns (dim 3) of each image a hole covers, bool (n, s)."""
    size = images.shape[dim]
    width = (size + 1) // 2
    # A stripe of even width has its middle between two pixels, or at one of the two borders.
    middle = for_each(
        len(images),
        lambda n: torch.randint(size + 1 - width % 2, (n, 1), device=images.device),
    )
    start = middle - width // 2
    place = torch.arange(size, device=images.device)
    return (place >= start) & (place < start + width)


def check_channels(policies: Iterable[str], channels: int) -> None:
    """Refuse augmentations that mean nothing for images of so many channels.

    Only `color` asks for something. Gray images have no saturation, so theirs stays out of it;
    of RGBA it leaves alpha alone; of other counts nobody knows which channels are colors.

    Raises:
        UserError: `color` was asked for images that are not gray, RGB or RGBA.
    """
    if "color" in policies and channels not in COLORED:
        raise UserError(
            f"The augmentation 'color' was asked for images of {channels} channels. It knows gray "
            "(1), RGB (3) and RGBA (4) images only: leave 'color' out of --augment, or choose "
            "--channels 1, 3 or 4."
        )
