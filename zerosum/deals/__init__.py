"""The deals: how a batch of real images becomes a Play.

`Generation` serves every GAN that makes images from noise, with classes or without; `Classified`
those whose D names the class as well; `Translation` and `CycleTranslation` those that make images
of images.
"""

from zerosum.deals.cycle import CycleTranslation
from zerosum.deals.generation import Classified, ClassifiedPlay, Generation
from zerosum.deals.translation import Translation, Views

__all__ = [
    "Classified",
    "ClassifiedPlay",
    "CycleTranslation",
    "Generation",
    "Translation",
    "Views",
]
