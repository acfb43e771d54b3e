"""What D pays for being steep, and the clip on its weights: terms and constraints for D.

Each factory takes a weight, a number or a schedule of the images seen, and returns a term that is
multiplied by it. All differentiate D with respect to images, and then that gradient with respect to
D's weights. The gradient is taken per row of logits: where one row judges several packed images,
theirs counts as one.

Under bf16 autocast `r1` and `r2` are computed as the rest of D is: their gradients agree with
float32's to within 5 % on the D's of the recipes (the tests hold them to it; a D of a few neurons
and a small batch can be beyond). `gradient_penalty` and `dragan` leave autocast and agree exactly:
they charge for a norm's distance from 1, which rounding swamps just where D has it right (13 to
80 % measured).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from zerosum.config.specs import PenaltySpec
from zerosum.errors import UserError
from zerosum.game.core import Constraint, Play, Schedule, Term, has_batch_norm, image_gradients
from zerosum.game.share import current, for_each

Weight = float | Schedule
"""A penalty's factor: a number, or a function of the real images seen."""


def gradient_penalty(weight: Weight, *, one_sided: bool = False) -> Term:
    """E (|grad D(x)| - 1)^2 between the data and the fakes: x = t real + (1 - t) fake.

    The t of each image, packed or not, is uniform in [0, 1), from torch's default generator. The
    paper's weight is 10.
    Source: WGAN-GP, Gulrajani et al. 2017, arXiv 1704.00028, equation 3.

    Args:
        weight: the factor.
        one_sided: charge only gradients longer than 1, max(0, |grad D(x)| - 1)^2 (section 4
            there; Petzka et al. 2018, arXiv 1709.08894, argue for it).
    """

    def term(play: Play) -> Tensor:
        mixed = play.fake + one_per_image(play.real) * (play.real - play.fake)
        return at(weight, play) * deviation(play, mixed, one_sided=one_sided)

    return term


def dragan(weight: Weight) -> Term:
    """E (|grad D(x)| - 1)^2 around the data: x = real + t std / 2 * u.

    `std` is the standard deviation of all pixels of the batch; the noise u of each pixel and the t
    of each image are uniform in [0, 1), from torch's default generator. The paper's weight is 10.
    Source: Kodali et al. 2017, arXiv 1705.07215, section 2.3. The paper writes Gaussian noise;
    this is the noise of the authors' program.
    """

    def term(play: Play) -> Tensor:
        real = play.real
        noise = for_each(
            len(real),
            lambda n: torch.rand(n, *real.shape[1:], dtype=real.dtype, device=real.device),
        )
        reach = 0.5 * deviation_of_pixels(real) * noise
        around = play.real + one_per_image(play.real) * reach
        return at(weight, play) * deviation(play, around)

    return term


def r1(weight: Weight) -> Term:
    """Half E |grad D(x)|^2, at real images.

    Source: Mescheder et al. 2018, arXiv 1801.04406, equation 9.
    """
    return lambda play: at(weight, play) / 2 * steepness(play.real_gradient)


def r2(weight: Weight) -> Term:
    """Half E |grad D(G(z))|^2, at fake images.

    Source: Mescheder et al. 2018, arXiv 1801.04406, equation 10.
    """
    return lambda play: at(weight, play) / 2 * steepness(play.fake_gradient)


def clip(bound: float) -> Constraint:
    """Keep every trainable weight of a net in [-bound, bound]; the paper's bound is 0.01.

    Source: WGAN, Arjovsky et al. 2017, arXiv 1701.07875, algorithm 1.
    """

    @torch.no_grad()
    def constraint(net: nn.Module) -> None:
        for parameter in net.parameters():
            if parameter.requires_grad:
                parameter.clamp_(-bound, bound)

    return constraint


PENALTIES: dict[str, Callable[[Weight], Term]] = {
    "gradient-penalty": gradient_penalty,
    "r1": r1,
    "r2": r2,
    "dragan": dragan,
}
"""Every penalty by its name, the names of `zerosum.config.specs.PENALTIES`."""


def terms(
    specs: Iterable[PenaltySpec], *, weigh: Callable[[float], Weight] = float
) -> dict[str, Term]:
    """The terms that a flag asks for, by the names that the log shows, such as gradient_penalty.

    Args:
        specs: what the flag says.
        weigh: makes of each weight a schedule, say; by default it stays as it is.
    """
    return {
        spec.name.replace("-", "_"): gradient_penalty(weigh(spec.weight), one_sided=True)
        if spec.one_sided
        else PENALTIES[spec.name](weigh(spec.weight))
        for spec in specs
    }


def require_lone_images(D: nn.Module, penalty: str) -> None:
    """Refuse a D in which one image's gradient depends on the others of its batch.

    Raises:
        UserError: D has BatchNorm.
    """
    if has_batch_norm(D):
        raise UserError(
            f"The penalty '{penalty}' charges D for its gradient with respect to each image, but "
            "this D has BatchNorm, through which every image's logit depends on the whole batch: "
            "there is no gradient of one image alone. Choose a D without BatchNorm, --d-norm none, "
            "or leave --penalty out."
        )


def at(weight: Weight, play: Play) -> float:
    """The weight now."""
    return weight(play.seen) if callable(weight) else weight


def one_per_image(images: Tensor) -> Tensor:
    """A number in [0, 1) for each image (b, c, h, w), shaped (b, 1, 1, 1)."""
    ones = [1] * (images.dim() - 1)
    return for_each(len(images), lambda n: torch.rand(n, *ones, device=images.device)).to(images)


def deviation_of_pixels(real: Tensor) -> Tensor:
    """The standard deviation, (), of all pixels of the real images (b, c, h, w) of a batch."""
    share = current()
    if share is None:
        return real.std(correction=0)
    if share.in_parts and share.reals is not None:
        # Of the batch as it was dealt, since the other parts are not there: mirrored or not, it has
        # these pixels.
        if share.reals.shape[1:] != real.shape[1:]:
            raise UserError(
                "The penalty 'dragan' goes by all pixels of a batch, which is played in parts here "
                "of which not all is real. Play it in one part."
            )
        real = share.reals
        if share.place[1] == 1:
            return real.std(correction=0)
    count, total = share.summed(real.new_tensor(real.numel())), share.summed(real.sum())
    return (share.summed((real - total / count).square().sum()) / count).sqrt()


def steepness(gradient: Tensor) -> Tensor:
    """E |grad D|^2 of gradients, a row each."""
    return gradient.square().sum(dim=1).mean()


def deviation(play: Play, images: Tensor, *, one_sided: bool = False) -> Tensor:
    """E (|grad D| - 1)^2 at the images, in full precision whatever autocast is around."""
    with torch.autocast(images.device.type, enabled=False):
        surplus: Tensor = torch.linalg.vector_norm(image_gradients(play.verdict, images), dim=1) - 1
    return (surplus.relu() if one_sided else surplus).square().mean()
