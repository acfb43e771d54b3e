"""What an exported generator takes and makes, as JSON tells it beside or inside the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from zerosum.data.spec import POINT, DataSpec
from zerosum.game.core import GeneratorInput
from zerosum.game.sampling import image_inputs, noise_inputs

FORMAT = 1
"""The version of this description; raised when older code could no longer read it."""

MOST_SIDE, MOST_CHANNELS, MOST_COLUMNS, MOST_NOISE = 65_536, 4096, 1_000_000, 64
MOST_LETTERS = 1000
"""What no generator of ours exceeds. A file that says more is not believed."""


@dataclass(frozen=True, kw_only=True)
class NoiseInput:
    """A mask of G's dropout, which the file takes as an input.

    Its entries are independent: 1 / keep with probability `keep`, else 0. Its shape is (b,
    channels, h / divisor, w / divisor), where h and w are the sides of the images.

    Attributes:
        name: of the input.
        channels: of the mask.
        divisor: of the sides.
        keep: how likely an entry is to be kept, in (0, 1].
    """

    name: str
    channels: int
    divisor: int
    keep: float


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a generator takes, in this order, and makes.

    Either z, float (b, latent_size) from N(0, I), and where there are classes one-hot rows or
    mixtures of such, float (b, len(classes)); or images, float (b, source_channels, h, w) in [-1,
    1], and a mask for each `noise`. It makes float (b, channels, h, w) in about [-1, 1].

    Attributes:
        latent_size: entries of z; 0 where images are translated.
        classes: the names of the classes that G is told; () where it is told none.
        source_channels: of the images that it takes; 0 where it takes noise.
        channels: of what it makes.
        image_size: height and width that it was trained for, of all that it makes of noise.
        multiple: of which both sides of its images have to be multiples.
        least_side: the least side of its images, a multiple.
        noise: the masks that it takes.
        data: the name of what it was trained on, "" where it is not told.
    """

    channels: int
    image_size: tuple[int, int]
    latent_size: int = 0
    classes: tuple[str, ...] = ()
    source_channels: int = 0
    multiple: int = 1
    least_side: int = 1
    noise: tuple[NoiseInput, ...] = ()
    data: str = ""

    @property
    def spec(self) -> DataSpec:
        """The form of the data that it was trained on, or would be if it were trained this way."""
        return DataSpec(
            shape=(self.source_channels + self.channels, *self.image_size),
            classes=self.classes,
            source_channels=self.source_channels,
        )

    @property
    def inputs(self) -> tuple[GeneratorInput, ...]:
        """What the generator takes, but for the noise."""
        if self.source_channels:
            return image_inputs(self.source_channels)
        return noise_inputs(self.latent_size, len(self.classes))

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of all inputs of the file, in their order."""
        return *(each.name for each in self.inputs), *(each.name for each in self.noise)

    @property
    def are_points(self) -> bool:
        """Whether it makes points in the plane, and no images."""
        return (self.channels, *self.image_size) == POINT

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, told: Any) -> Description:
        """Read a description that may come from anywhere.

        Raises:
            ValueError: it is none; the message says what of it.
        """
        if not isinstance(told, Mapping):
            raise ValueError("it is no JSON object")
        if told.get("format") != FORMAT:
            raise ValueError(
                f"it has format {told.get('format')!r:.40}, and this zerosum reads {FORMAT}"
            )
        height, width = (
            whole(side, "image_size", 1, MOST_SIDE) for side in listed(told, "image_size", 2)
        )
        classes = listed(told, "classes", MOST_COLUMNS)
        if not all(isinstance(name, str) for name in classes):
            raise ValueError("classes are not texts")
        noise = tuple(
            read_noise(each, index) for index, each in enumerate(listed(told, "noise", MOST_NOISE))
        )
        found = cls(
            channels=whole(told.get("channels"), "channels", 1, MOST_CHANNELS),
            image_size=(height, width),
            latent_size=whole(told.get("latent_size"), "latent_size", 0, MOST_COLUMNS),
            classes=tuple(classes),
            source_channels=whole(told.get("source_channels"), "source_channels", 0, MOST_CHANNELS),
            multiple=whole(told.get("multiple"), "multiple", 1, MOST_SIDE),
            least_side=whole(told.get("least_side"), "least_side", 1, MOST_SIDE),
            noise=noise,
            data=str(told.get("data", ""))[:MOST_LETTERS],
        )
        if bool(found.latent_size) == bool(found.source_channels):
            raise ValueError("it takes neither noise nor images, or both")
        if found.least_side % found.multiple:
            raise ValueError("least_side is no multiple")
        if found.latent_size and found.noise:
            raise ValueError("it takes noise beside z")
        if any(found.multiple % each.divisor for each in found.noise):
            raise ValueError("a divisor of the noise does not divide multiple")
        return found


def read_noise(told: Any, index: int) -> NoiseInput:
    """Read one mask.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(told, Mapping) or told.get("name") != f"noise_{index}":
        raise ValueError(f"noise {index} is no noise_{index}")
    keep = told.get("keep")
    if not isinstance(keep, float | int) or isinstance(keep, bool) or not 0 < keep <= 1:
        raise ValueError(f"noise_{index}: keep is not in (0, 1]")
    return NoiseInput(
        name=f"noise_{index}",
        channels=whole(told.get("channels"), "channels", 1, MOST_CHANNELS),
        divisor=whole(told.get("divisor"), "divisor", 1, MOST_SIDE),
        keep=float(keep),
    )


def whole(value: Any, name: str, least: int, most: int) -> int:
    """Take a whole number from least to most.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"{name} is {value!r:.40}, expected {least} to {most}")
    return value


def listed(told: Mapping[str, Any], name: str, most: int) -> list[Any]:
    """Take a list of not too many entries.

    Raises:
        ValueError: it is none.
    """
    found = told.get(name)
    if not isinstance(found, list | tuple) or len(found) > most:
        raise ValueError(f"{name} is no list of at most {most}")
    return list(found)
