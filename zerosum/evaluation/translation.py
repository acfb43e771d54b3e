"""The images of a run that translates: what its outputs should be, or be like.

Matched, each output has a target of its own, and there are metrics of pairs besides those of sets.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import torch

from zerosum.config.translation import TranslationSettings
from zerosum.data.images import ImageSet
from zerosum.data.store import Images, changed, chunks, subset
from zerosum.evaluation.images import Notice
from zerosum.inference.run import Run
from zerosum.metrics.evaluate import ImageCollection
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
        return self._task.holds_out(self._config)

    def load(self, split: str) -> ImageCollection:
        """Load a split's targets."""
        return self._collection(split, slice(self.run.source_channels, None))

    def sources(self, split: str) -> ImageCollection:
        """Load a split's sources; matched, each stands at the place of its target."""
        return self._collection(split, slice(self.run.source_channels))

    def fingerprint(self, split: str) -> str:
        """Hash a split's sources and targets."""
        return self._pairs(split).fingerprint()

    @property
    def _task(self) -> Translation:
        task = TASKS[self.run.task]
        assert isinstance(task, Translation)
        return task

    @property
    def _config(self) -> TranslationSettings:
        config = self.run.config
        assert isinstance(config, TranslationSettings)
        return config

    def _collection(self, split: str, channels: slice) -> ImageCollection:
        images = changed(self._pairs(split).images, lambda images: images[:, channels])
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


def distinct(images: Images) -> Images:
    """Leave out what is there already: unmatched, the smaller domain's images come several times.

    Args:
        images: uint8 (n, c, h, w).
    """
    rows: dict[bytes, int] = {}
    each = (image for chunk in chunks(images) for image in chunk)
    for row, image in enumerate(each):
        rows.setdefault(hashlib.sha256(image.contiguous().numpy().data).digest(), row)
    return subset(images, torch.tensor(list(rows.values())))
