"""The metrics by name: how each is computed, what it needs, and when not to trust it.

Each is registered where it is defined. A metric of your own is one call of `register`, after which
`zerosum evaluate` and `zerosum.evaluate` know it in this process:

    from zerosum.metrics.registry import register

    def brightness(images, *, seed):
        return images.float().mean().item() / 255

    register("brightness", brightness, better="like real", needs="images")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from zerosum.errors import UserError, unknown_name

if TYPE_CHECKING:
    from torch import Tensor

Value = float | dict[str, float]
Better = Literal["lower", "higher", "like real"]
Needs = Literal["moments", "counts", "features", "logits", "gaussians", "images", "pairs"]
FEW_IMAGES = 1000
LEAST_IMAGES = 10  # twice the neighbours that density and coverage ask about
FRECHET = "frechet_"


@dataclass(frozen=True)
class Spread:
    """A metric's value, with its deviation where it is the mean over parts or over pairs."""

    mean: Value
    deviation: float | None  # population standard deviation over the parts; None of a single one
    pairs: int | None = None  # how many, of images of one set


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric.

    Attributes:
        name: what users call it.
        compute: gives the value, or its `Spread`. What it takes, `needs` says.
        better: "lower", "higher", or that it should be what real images give.
        needs: "moments", "counts" (of classes), "features", "logits" or "gaussians" (logits that
            are distances from centres): of sets as a feature net sees them; `compute` takes an
            `evaluate.Comparison`. "images": of one set alone, whose floor is the metric of the
            reference; it takes uint8 (n, c, h, w) and `seed`. "pairs": of an image and the one
            that it should be; it takes uint8 (c, h, w) twice.
        rows: of sets too large to keep the features of all images, which it takes; called with
            the numbers of samples and of reference images, and `seed`, it gives int64 (k,),
            ascending, for each. By default some are drawn, as many for every metric.
        lpips: the LPIPS net, in `lpips.TRUNKS`, that `compute` takes as `net` besides.
        by_default: whether it is computed where no metric is named.
        unit: its unit or scale, if it has one.
        basis: what else decides it, for its card; it takes the Comparison.
        doubt: says why a metric of so many images on the smaller side is unreliable, if it is; it
            takes `count`, `num_features` and `num_classes`.
    """

    name: str
    compute: Callable[..., Value | Spread]
    better: Better
    needs: Needs = "features"
    rows: Callable[..., tuple[Tensor, Tensor]] | None = None
    lpips: str | None = None
    by_default: bool = True
    unit: str = ""
    basis: Callable[[Any], str] | None = None
    doubt: Callable[..., str | None] = lambda **_: None

    @property
    def of_features(self) -> bool:
        """Whether it is computed of what a feature net sees."""
        return self.needs not in ("images", "pairs")

    @property
    def ours(self) -> bool:
        """Whether it is zerosum's: of a user's, nobody knows when it changes."""
        return str(getattr(self.compute, "__module__", "")).startswith("zerosum.")

    def spread(self, *given: Any, **how: Any) -> Spread:
        """Compute it, as a value without a deviation where it gives none."""
        found = self.compute(*given, **how)
        return found if isinstance(found, Spread) else Spread(found, None)


METRICS: dict[str, Metric] = {}


def register(
    name: str,
    compute: Callable[..., Value | Spread],
    *,
    better: Better,
    needs: Needs = "features",
    **how: Any,
) -> None:
    """Add a metric; see `Metric` for what each argument is.

    One of your own takes the place of an earlier one of your own.

    Raises:
        UserError: the name is one of zerosum's or none that can be written, or an argument is
            none of what it may be.
    """
    known = METRICS.get(name)
    if (
        (known and known.ours)
        or not name
        or set(name) & set(", ")
        or name.startswith((FRECHET, "val_"))
    ):
        raise UserError(
            f"A metric cannot be called '{name}': expected a name that is not taken, without "
            f"commas and spaces, and that begins neither with {FRECHET} nor with val_."
        )
    for what, received, valid in (("better", better, Better), ("needs", needs, Needs)):
        if received not in get_args(valid):
            raise unknown_name(f"value of `{what}`", received, get_args(valid))
    if needs == "features":
        how.setdefault("doubt", few_images)
    METRICS[name] = Metric(name=name, compute=compute, better=better, needs=needs, **how)


def few_images(*, count: int, **_: int) -> str | None:
    """Doubt a metric of few images that moves with their number."""
    if count < FEW_IMAGES:
        return f"it moves with the number of images, and {count:,} are few."
    return None


def better(name: str) -> Better:
    """Which way a metric is better, by a name that is printed or logged.

    Of held-out images a metric is logged under its name behind "val_". Fréchet distances are
    better when lower, and so is what nobody here knows.
    """
    metric = METRICS.get(name.removeprefix("val_"))
    return metric.better if metric else "lower"


def reported_name(name: str, net: str) -> str:
    """What a metric may be called: a Fréchet distance is an FID only in Inception's features."""
    return name if name != "fid" or net == "inception" else FRECHET + net


def read_names(
    asked: Iterable[str], features: str | None = None
) -> tuple[tuple[str, ...], str | None]:
    """Read the names that a user gives, among them those of `reported_name`.

    Args:
        asked: such as "fid", "frechet_digits", "kid".
        features: the feature net that was asked for, if any.

    Returns:
        Names in `METRICS`, each once, and the feature net that they or the user ask for.

    Raises:
        UserError: a name is unknown, or asks for another feature net.
    """
    names = []
    for name in (name.strip() for name in asked):
        if name.startswith(FRECHET):
            net = name.removeprefix(FRECHET)
            if features not in (None, net):
                raise UserError(
                    f"The metric '{name}' is the Fréchet distance in the features '{net}', and "
                    f"'{features}' were asked for too. Choose one; fid is the distance in whatever "
                    "--features says."
                )
            features, name = net, "fid"
        if name and name not in METRICS:
            raise unknown_name("metric", name, METRICS)
        names += [name] * bool(name)
    return tuple(dict.fromkeys(names)), features
