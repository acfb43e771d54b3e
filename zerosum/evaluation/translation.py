"""What `zerosum evaluate` compares of a run that translates images: outputs with their targets.

Matched, each output has a target of its own, and there are metrics of pairs besides those of sets.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from torch import Tensor

from zerosum import recipes
from zerosum.config.translation import TranslationSettings
from zerosum.data.domains import has_validation
from zerosum.data.images import ImageSet, to_array, to_tensor
from zerosum.errors import UserError, unknown_name
from zerosum.evaluation.images import Notice, made_by
from zerosum.evaluation.selection import Wanted
from zerosum.inference.run import Run
from zerosum.metrics.evaluate import ImageCollection
from zerosum.metrics.paired import NAMES
from zerosum.metrics.registry import BESIDE, LEAST_IMAGES, METRICS
from zerosum.tasks import TASKS
from zerosum.tasks.translation import Translation, in_channels_of

HELD_OUT = "val"
"""The split that is looked at unless another one is named."""


@dataclass(frozen=True, eq=False)
class Targets:
    """The images of a run's data that its outputs should be, or be like; see `images.RealImages`.

    Attributes:
        run: one that translates images.
        notice: told of files that are left out, and of metrics that flatter.
    """

    run: Run
    notice: Notice
    _loaded: dict[str, ImageSet] = field(default_factory=dict, init=False, repr=False)

    @property
    def matched(self) -> bool:
        """Whether the run learnt from pairs, so that every output has a target of its own."""
        return self._task.matched

    @property
    def way(self) -> tuple[str, str]:
        """From which domain to which the run is asked to go, such as "A" and "B"."""
        source, _, target = self._config.direction.partition("to")
        return source, target

    @property
    def name(self) -> str:
        """The domain of the targets."""
        return f"domain {self.way[1]} of {self._config.data}"

    @property
    def has_splits(self) -> bool:
        """Whether there are images that were not trained on."""
        return has_validation(self._config.data)

    def load(self, split: str) -> ImageCollection:
        """Load a split's targets."""
        return self._subject(split, slice(self.run.source_channels, None))

    def sources(self, split: str) -> ImageCollection:
        """Load a split's sources; matched, each stands at the place of its target."""
        return self._subject(split, slice(self.run.source_channels))

    def fingerprint(self, split: str) -> str:
        """Hash a split's sources and targets."""
        return self._pairs(split).fingerprint()

    @property
    def _task(self) -> Translation:
        task = TASKS[recipes.get(self.run.recipe).task]
        assert isinstance(task, Translation)
        return task

    @property
    def _config(self) -> TranslationSettings:
        config = self.run.config
        assert isinstance(config, TranslationSettings)
        return config

    def _subject(self, split: str, channels: slice) -> ImageCollection:
        images = self._pairs(split).images[:, channels]
        if not self.matched:
            images = distinct(images)
        return ImageCollection(
            name=self.name, split=split if self.has_splits else None, images=images
        )

    def _pairs(self, split: str) -> ImageSet:
        """Load a split as the training did, once."""
        if split in self._loaded:
            return self._loaded[split]
        config = self._config
        found = self._task.load_split(config, split)
        if found.skipped:
            self.notice(
                f"Left out {len(found.skipped)} files of {config.data}, such as {found.skipped[0]}."
            )
        if split != "train" and not self.has_splits:
            self.notice(
                f"'{config.data}' has no val/ or test/ folder: the metrics are of images that were "
                "trained on, and flatter."
            )
        source = self.run.source_channels
        self._loaded[split] = in_channels_of(
            found, source=source, target=self.run.image_shape[0] - source
        )
        return self._loaded[split]


def distinct(images: Tensor) -> Tensor:
    """Leave out what is there already: unmatched, the smaller domain's images come several times.

    Args:
        images: uint8 (n, c, h, w).
    """
    rows: dict[bytes, int] = {}
    for row, image in enumerate(images):
        rows.setdefault(hashlib.sha256(image.contiguous().numpy().data).digest(), row)
    return images[list(rows.values())]


def translate(
    targets: Targets, sources: ImageCollection, *, seed: int, ema: bool, checkpoint: str
) -> ImageCollection:
    """Let a run translate images.

    Args:
        targets: what the run's outputs should be.
        sources: what it is given.
        seed: decides the noise.
        ema: the moving average of G's weights, and not G's own.
        checkpoint: as for `Run.translate`.
    """
    outputs = targets.run.translate(
        to_array(sources.images), seed=seed, ema=ema, checkpoint=checkpoint
    )
    name = f"{made_by(targets.run, ema=ema, checkpoint=checkpoint)}, {' to '.join(targets.way)}"
    return ImageCollection(name=name, split=sources.split, images=to_tensor(outputs))


def choose_kinds(
    metrics: tuple[str, ...], targets: Targets, *, split: str, obstacle: str | None, notice: Notice
) -> Wanted:
    """Part the metrics that a user wants into those of sets and those of pairs.

    Args:
        metrics: their names; () for all that can be had.
        targets: of the run.
        split: which of them.
        obstacle: why there are no metrics of pairs, if there are none.
        notice: told if images are too few for metrics of sets.

    Raises:
        UserError: a name is unknown, or a metric of pairs was named and there are none.
    """
    known = (*METRICS, *BESIDE, *NAMES)
    for name in metrics:
        if name not in known:
            raise unknown_name("metric", name, known)
    sets = tuple(name for name in metrics if name not in NAMES)
    pairs = tuple(name for name in metrics if name in NAMES)
    if pairs and obstacle:
        raise UserError(
            f"The metric '{pairs[0]}' holds each output against the very image that it should be, "
            f"and {obstacle}. Leave it out."
        )
    if metrics:
        return Wanted(sets=sets or None, pairs=pairs or None)
    if obstacle:
        return Wanted(sets=())
    count = len(targets.load(split).images)
    if count < LEAST_IMAGES:
        notice(f"{count} images are too few for metrics of sets: these are of pairs alone.")
        return Wanted(sets=None, pairs=())
    return Wanted(sets=(), pairs=())


def why_no_pairs(targets: Targets, *, reference: str | None, protocol: str | None) -> str | None:
    """Say why outputs cannot be held against their own targets, if that is so.

    Args:
        targets: of the run.
        reference: the other real images that the user has named, if any.
        protocol: the one that the user has named, if any.
    """
    if not targets.matched:
        return f"the run '{targets.run.path}' was trained without pairs, so there is none"
    if reference is not None:
        return f"which one of '{reference}' that is, is not known"
    if protocol is not None:
        return f"the protocol '{protocol}' has no such metrics"
    return None
