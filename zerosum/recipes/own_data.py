"""Defaults for images of a user's own, which follow from their number and from the device.

The papers' settings are for tens of thousands of images and for GPUs. Imports no torch.
"""

from __future__ import annotations

from typing import Any

from zerosum.config.gan import LOSSES_WITH_A_ZERO, GanSettings
from zerosum.config.specs import COLORED

NAMES = frozenset({"augment", "augment_target", "images", "width"})
"""The settings that may differ."""
FEW = 5_000
"""Images of which D knows fewer by heart before G has learnt from it, unless they are augmented."""
AUGMENT_OF_NO_COLORS = "translation,cutout"
AUGMENT, AUGMENT_TARGET = "color,translation,cutout", 0.6
"""DiffAugment's (arXiv 2006.10738), as often as ADA's heuristic asks for (arXiv 2006.06676)."""
PASSES, LEAST_BUDGET = 300, 30_000
"""How often an image is dealt at most, and how many are dealt in all even if there are very few."""
CPU_WIDTH = 32
"""Of nets on a CPU at most: those of half the width are four times as fast."""


def own_images(settings: GanSettings, *, count: int, channels: int, device: str) -> dict[str, Any]:
    """What differs from the recipe's settings for images of a user's own.

    Args:
        settings: the recipe's, and what the user gave.
        count: images to train on.
        channels: of each.
        device: the kind of device, such as "cpu".
    """
    found: dict[str, Any] = {}
    if count < FEW and settings.augment == "none":
        found["augment"] = AUGMENT if channels in COLORED else AUGMENT_OF_NO_COLORS
        if settings.loss in LOSSES_WITH_A_ZERO:
            found["augment_target"] = AUGMENT_TARGET
    budget = max(LEAST_BUDGET, PASSES * count)
    if settings.images is not None and settings.images > budget:  # epochs are in proportion
        found["images"] = budget
    if device == "cpu" and settings.nets != "mlp" and settings.width > CPU_WIDTH:
        found["width"] = CPU_WIDTH
    return found
