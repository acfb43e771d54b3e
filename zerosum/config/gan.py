"""What can be asked of a GAN: nets, objective, optimizer, augmentation.

Everything mixes with everything, but for what has no meaning, which is refused here where it can be
told from the settings alone. Who reads a setting stands beside it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from zerosum.config.base import (
    MOST_LAYERS,
    Beta,
    Breadth,
    Count,
    Rate,
    ReadBy,
    Settings,
    Text,
    checked_by,
    number_in_text,
)
from zerosum.config.specs import Loss, parse_attention, parse_augment, parse_penalties

Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
ShareOrZero = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Anneal = Annotated[Count | Literal["budget"] | None, BeforeValidator(number_in_text)]

LOSSES_WITH_A_ZERO = ("non-saturating", "minimax", "hinge")
"""Those that give the sign of D's logits a meaning, by which adaptive augmentation goes."""

ANNEAL = (
    "Images over which learning rates, penalties and beta2 change as follows; budget: all of them."
)
LR_SCHEDULE = "Half a cosine, or constant for the first half and then linear."
LR_END = "Final learning rate / initial."


OF_NETS = frozenset(
    {
        *("nets", "latent_size", "hidden", "width", "full_width_up_to", "spectral_norm", "d_norm"),
        *("attention", "conditioning", "pack", "norm", "blocks", "d_layers", "size", "channels"),
    }
)
"""What decides which layers there are and their shapes. A run that begins with the weights of one
of the same recipe takes these from it too, where the user gives none."""


def anneals_something(settings: AdversarialSettings) -> bool:
    """Whether any setting ends at another value than it begins with."""
    return (
        settings.lr_end != 1
        or (settings.anneal_penalty != 1 and settings.penalty != "none")
        or (settings.anneal_beta is not None and settings.optimizer == "adam")
    )


def anneals_rates(settings: AdversarialSettings) -> bool:
    """Whether learning rates change."""
    return settings.anneal is not None and settings.lr_end != 1


ANNEALED = ReadBy(
    "--lr-end, --anneal-penalty and --anneal-beta: without one of them nothing is annealed",
    anneals_something,
)
LR_SCHEDULED = ReadBy("--anneal with --lr-end below 1", anneals_rates)
IN_ANNEALING = ReadBy("--anneal, which says over how many images", lambda s: s.anneal is not None)


def normalises_batches(settings: AdversarialSettings) -> bool:
    """Whether some net has BatchNorm."""
    nets = getattr(settings, "nets", None)
    if nets is not None:
        return nets in ("dcgan", "resnet")
    return "batch" in (getattr(settings, "norm", None), getattr(settings, "d_norm", None))


class AdversarialSettings(Settings):
    """What D and G are after and what steps them: the settings of every recipe."""

    loss: Loss = Field("non-saturating", description="What D and G are after.")
    targets: Annotated[
        tuple[float, float, float],
        ReadBy("--loss least-squares", lambda s: s.loss == "least-squares"),
    ] = Field(
        (0.0, 1.0, 1.0),
        description="For least-squares: what D should say of fakes, of reals, and what G wants.",
    )
    penalty: Annotated[str, checked_by(parse_penalties)] = Field(
        "none", description="Gradient penalty on D, such as r1:0.1,r2:0.1."
    )
    clip: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="Weight clipping: keep each of D's weights within this of 0."
    )
    freeze_d: int = Field(
        0, ge=0, description="With --from: leave D's first N blocks as they are (FreezeD)."
    )
    n_critic: Count = Field(1, le=1000, description="Updates of D for each update of G.")
    batch_norm: Annotated[
        Literal["global", "local"],
        ReadBy("nets with BatchNorm, as --nets dcgan and resnet have", normalises_batches),
    ] = Field(
        "global",
        description="In several processes: BatchNorm over the whole batch, or over each one's "
        "part, which waits less and is another training.",
    )
    optimizer: Literal["adam", "rmsprop"] = Field("adam", description="What steps G and D.")
    learning_rate: Rate = Field(2e-4, description="Learning rate; --lr for short.")
    d_learning_rate: Rate | None = Field(None, description="D's learning rate, if another.")
    betas: Annotated[
        tuple[Beta, Beta], ReadBy("--optimizer adam", lambda s: s.optimizer == "adam")
    ] = Field((0.5, 0.999), description="Adam's beta1 and beta2.")
    anneal: Annotated[Anneal, ANNEALED] = Field(None, description=ANNEAL)
    lr_schedule: Annotated[Literal["cosine", "linear"], LR_SCHEDULED] = Field(
        "cosine", description=LR_SCHEDULE
    )
    lr_end: Annotated[ShareOrZero, IN_ANNEALING] = Field(1.0, description=LR_END)
    anneal_penalty: Annotated[
        Share,
        ReadBy(
            "--anneal beside a --penalty", lambda s: s.anneal is not None and s.penalty != "none"
        ),
    ] = Field(1.0, description="Final weight of the penalties / initial.")
    anneal_beta: Annotated[
        Beta | None,
        ReadBy(
            "--anneal beside --optimizer adam",
            lambda s: s.anneal is not None and s.optimizer == "adam",
        ),
    ] = Field(None, description="Final beta2 of Adam.")

    def settled(self, budget: int) -> Self:
        """Put numbers in the place of what follows from the budget, in images."""
        return self.model_copy(update={"anneal": budget}) if self.anneal == "budget" else self

    def unsettled(self, budget: int) -> Self:
        """The inverse of `settled`, for another training with these settings."""
        return self.model_copy(update={"anneal": "budget"}) if self.anneal == budget else self

    def ends_with_budget(self, budget: int) -> bool:
        """Whether the annealing ends with a budget, in images."""
        return self.anneal == budget and anneals_something(self)

    def beyond_annealing(self, seen: int, budget: int) -> str | None:
        """What becomes of a training whose budget goes on after the annealing, if it does."""
        end = self.anneal_images
        if end is None or end >= budget or not anneals_something(self):
            return None
        annealed = {
            "learning rate": self.lr_end != 1,
            "penalty": self.anneal_penalty != 1 and self.penalty != "none",
            "beta2": self.anneal_beta is not None and self.optimizer == "adam",
        }
        names = [name for name, changes in annealed.items() if changes]
        has, its, stays = ("have", "their", "stay") if names[1:] else ("has", "its", "stays")
        reached = f"{has} reached" if seen >= end else "will reach"
        text = f"he {' and the '.join(names)} {reached} {its} end at {end:,} images"
        text += f" and {stays if seen >= end else 'stay'} there"
        if self.lr_end:
            return f"T{text}."
        return (
            f"WARNING: t{text}. The learning rate is 0 then: nothing more is learnt. To train "
            "further, start a new run from this one: --from, and another --out."
        )

    @property
    def anneal_images(self) -> int | None:
        """Images over which settings are annealed, None where they are not.

        Raises:
            ValueError: they are annealed over a budget that is not known yet; see `settled`.
        """
        if self.anneal == "budget":
            raise ValueError("The settings are annealed over the budget: settle them first.")
        return self.anneal


class GanSettings(AdversarialSettings):
    """The settings of every recipe that makes images from noise."""

    nets: Literal["mlp", "dcgan", "resnet", "r3gan"] = Field(
        "dcgan", description="What G and D are made of."
    )
    latent_size: Breadth = Field(100, description="Entries of z.")
    hidden: Annotated[
        tuple[Breadth, ...],
        Field(min_length=1, max_length=MOST_LAYERS),
        ReadBy("--nets mlp", lambda s: s.nets == "mlp"),
    ] = Field((256, 512), description="G's hidden layers; D's are the same in reverse.")
    width: Annotated[
        Breadth, ReadBy("--nets dcgan, resnet and r3gan", lambda s: s.nets != "mlp")
    ] = Field(32, description="Base number of channels; half as many are four times as fast.")
    full_width_up_to: Annotated[
        Breadth | None,
        ReadBy("--nets resnet and r3gan", lambda s: s.nets in ("resnet", "r3gan")),
    ] = Field(
        None,
        description="Resolution above which each doubling halves the channels. "
        "[default: 64 of resnet, 32 of r3gan]",
    )
    spectral_norm: Literal["none", "D", "both"] = Field(
        "none", description="Spectral normalisation of D, or of both nets."
    )
    d_norm: Annotated[
        Literal["batch", "none"],
        ReadBy("--nets dcgan, whose D may have BatchNorm", lambda s: s.nets == "dcgan"),
    ] = Field("none", description="Normalisation in D; not batch with a penalty.")
    attention: Annotated[Text, checked_by(parse_attention)] = Field(
        "none", description="Self-attention at a resolution, such as auto, 14, G:14 or G:14,D:7."
    )
    conditioning: Literal["none", "concat", "projection", "classifier"] = Field(
        "none",
        description="How the class is told to G and D; with classifier, D has to name it.",
    )
    all_frames: bool = Field(
        False, description="Take every frame of an animation and every page of a TIFF."
    )
    pack: Breadth = Field(1, description="Images that D judges together (PacGAN).")
    augment: Annotated[str, checked_by(parse_augment)] = Field(
        "none", description="Differentiable augmentation: color,translation,cutout."
    )
    augment_target: float | None = Field(
        None,
        gt=-1,
        lt=1,
        description="Adaptive augmentation: keep E[sign D(real)] there, such as 0.6; else always.",
    )
    hflip: bool = Field(False, description="Mirror half of the real images.")
    grad_accumulation: Count = Field(
        1, description="Play a batch in so many parts before the step, to need less memory."
    )

    def loading(self) -> dict[str, Any]:
        """How images are brought to their form, as `zerosum.data.load` takes it."""
        return {**super().loading(), "all_frames": self.all_frames}

    @model_validator(mode="after")
    def _all_fit_together(self) -> GanSettings:
        if self.batch_size % self.pack:
            raise ValueError(
                f"expected --pack to divide the batch of {self.batch_size} images, received "
                f"{self.pack}"
            )
        if self.attention != "none" and self.nets == "mlp":
            raise ValueError("expected --nets dcgan, resnet or r3gan beside --attention")
        if self.conditioning == "projection" and self.nets == "mlp":
            raise ValueError("expected --conditioning concat beside --nets mlp")
        if self.conditioning == "classifier" and self.pack > 1:
            raise ValueError(
                "expected --pack 1 beside --conditioning classifier: a pack has no class"
            )
        if self.augment_target is not None:
            self._require_a_zero()
        parts = self.grad_accumulation * self.pack
        if self.grad_accumulation > 1 and self.pack > 1 and self.batch_size % parts:
            raise ValueError(
                f"expected --grad-accumulation times --pack, {parts}, to divide the batch of "
                f"{self.batch_size} images, so that every part is made of whole packs"
            )
        return self

    def _require_a_zero(self) -> None:
        """Refuse a target where there is nothing to aim, or no zero to aim from."""
        if self.augment == "none":
            raise ValueError("expected --augment color,translation,cutout beside --augment-target")
        if self.loss not in LOSSES_WITH_A_ZERO:
            raise ValueError(
                f"expected no --augment-target beside --loss {self.loss}: it goes by the sign of "
                "D's logits, and only non-saturating, minimax and hinge give 0 a meaning"
            )
