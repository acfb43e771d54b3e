"""Protocols by name: the terms on which published figures were come by.

A metric moves with every one of them, and stands beside published ones only on the same. Who names
a protocol gets all of it or an error, never a metric that only looks like theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from zerosum.errors import UserError, unknown_name
from zerosum.metrics.registry import LEAST_IMAGES, METRICS

DEFAULT_SPLIT = "test"
DEFAULT_COUNT = 10_000
LEAST_REFERENCE = 10_000
"""What a protocol that takes all reference images must find: no published set is smaller."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What a comparison is made by: a protocol's terms, or a user's own."""

    protocol: str | None = None
    features: str | None  # a feature net's name; None chooses by the data
    resize: str | None  # a name in `inception.RESIZES`; None is the net's own way
    split: str  # of the reference
    samples: int | None  # how many; None is as many as there are reference images
    reference: int | None  # how many; None is all there are
    metrics: tuple[str, ...]  # names of metrics; () is all that the net allows

    def counts(self, reals: int) -> tuple[int, int]:
        """How many samples and how many reference images to compare.

        Args:
            reals: the reference images that are there.

        Raises:
            UserError: they are too few for the protocol.
        """
        if self.protocol is None:
            count = min(reals, self.samples or reals)
            return count, count
        wanted = self.reference or max(reals, LEAST_REFERENCE)
        if reals < wanted:
            raise self._too_few("reference images", wanted, reals)
        return self.samples or wanted, wanted

    def require_samples(self, wanted: int, there: int) -> None:
        """Refuse fewer samples than a protocol takes.

        Raises:
            UserError: there are fewer.
        """
        if self.protocol is not None and there < wanted:
            raise self._too_few("samples", wanted, there)

    def _too_few(self, what: str, wanted: int, there: int) -> UserError:
        return UserError(
            f"The protocol '{self.protocol}' takes {wanted:,} {what}, and there are {there:,}. "
            "With fewer its metrics could not stand beside the published ones: make more, or leave "
            "--protocol out."
        )


PROTOCOLS = {
    # Lucic et al. 2018, arXiv 1711.10337, section 5; google/compare_gan, branch v1,
    # src/eval_gan_lib.py: gray is tiled, and TensorFlow resizes.
    "lucic2018": Protocol(
        protocol="lucic2018",
        features="inception",
        resize="torch-fidelity",
        split="test",
        samples=10_000,
        reference=10_000,
        metrics=("fid",),
    ),
    # Kang et al. 2022, arXiv 2206.09479, and the README of PyTorch-StudioGAN, whose tables are made
    # with "-ref train --post_resizer friendly" and as many samples as there are training images,
    # but for ImageNet. Its precision and recall take 5 neighbours where ours take 3, and are left
    # out; its density and coverage are ours.
    "studiogan": Protocol(
        protocol="studiogan",
        features="inception",
        resize="studiogan",
        split="train",
        samples=None,
        reference=None,
        metrics=("fid", "density", "coverage"),
    ),
    # Parmar et al. 2022, arXiv 2104.11222; clean-fid 0.1.35: num_gen=50_000 and
    # dataset_split="train" are its defaults, and its statistics are of whole splits.
    "clean-fid": Protocol(
        protocol="clean-fid",
        features="inception",
        resize="clean-fid",
        split="train",
        samples=50_000,
        reference=None,
        metrics=("fid", "kid"),
    ),
}


def agree(
    protocol: str | None,
    *,
    features: str | None,
    resize: str | None,
    split: str | None,
    count: int | None,
    metrics: tuple[str, ...],
) -> Protocol:
    """Settle the terms of a comparison.

    Args:
        protocol: a name in `PROTOCOLS`, or None for the user's own terms.
        features: what the user wishes, None for no wish; so for all that follow.
        resize: as `Protocol.resize`.
        split: of the reference.
        count: of images on either side; with a protocol, of the samples.
        metrics: () for no wish. Some of a protocol's metrics may be chosen.

    Raises:
        UserError: nobody knows the protocol, a wish contradicts it, or there are too few images.
    """
    if count is not None and count < LEAST_IMAGES:
        raise UserError(
            f"The number of images was {count}: expected at least {LEAST_IMAGES}, and "
            "thousands for metrics to rely on."
        )
    if protocol is None:
        number = DEFAULT_COUNT if count is None else count
        return Protocol(
            features=features,
            resize=resize,
            split=split or DEFAULT_SPLIT,
            samples=number,
            reference=number,
            metrics=metrics,
        )
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS)
    terms = PROTOCOLS[protocol]
    surplus = ",".join(
        name for name in metrics if METRICS[name].needs != "pairs" and name not in terms.metrics
    )
    settled: dict[str, tuple[object, object]] = {
        "--features": (features, terms.features),
        "--resize": (resize, terms.resize),
        "--split": (split, terms.split),
        "--count": (count, terms.samples or "as many as there are reference images"),
        "--metrics": (surplus or None, ",".join(terms.metrics)),
    }
    contradictions = [
        f"{flag} {wish}, where it says {term}"
        for flag, (wish, term) in settled.items()
        if wish is not None and wish != term
    ]
    if contradictions:
        raise UserError(
            f"The protocol '{protocol}' is contradicted by {'; '.join(contradictions)}. Leave out "
            "either the protocol or the flag."
        )
    return replace(terms, metrics=metrics or terms.metrics)
