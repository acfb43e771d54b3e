"""What came of one file: an image, or the reason why there is none; and as a line of a cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from zerosum.data.decode import Decoded


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What is known of a file that was read.

    Attributes:
        name: of the file, or of a frame in it.
        content: a hash of the file of 8 bytes; b"" where it could not be read.
        decoded: the image; None where there is none.
        reason: why there is none; "" of our own pictures of samples, which are no data.
    """

    name: str
    content: bytes
    decoded: Decoded | None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """All but the pixels, of which it says the channels."""
        found: dict[str, Any] = {"name": self.name, "content": self.content.hex()}
        if self.decoded is None:
            return {**found, "reason": self.reason}
        return {
            **found,
            "channels": self.decoded.pixels.shape[1],
            "size": self.decoded.size,
            "changes": self.decoded.changes,
            "values": self.decoded.values,
            "is_sample": self.decoded.is_sample,
        }

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Outcome:
        """Read what `to_json` has written; in the place of the pixels are none."""
        decoded = None
        if "size" in line:
            height, width = line["size"]
            values = line["values"]
            decoded = Decoded(
                pixels=np.empty((0, line["channels"], 0, 0), np.uint8),
                size=(height, width),
                changes=tuple(line["changes"]),
                values=None if values is None else (values[0], values[1], values[2]),
                is_sample=line["is_sample"],
            )
        return cls(
            name=line["name"],
            content=bytes.fromhex(line["content"]),
            decoded=decoded,
            reason=line.get("reason", ""),
        )
