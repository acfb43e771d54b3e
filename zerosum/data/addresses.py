"""Which data are named by an address and not by a path on this machine. Imports no torch."""

from __future__ import annotations

WEB = ("https://", "http://")
HUGGING_FACE = "hf:"


def is_address(source: object) -> bool:
    """Whether what a user wrote is an address, of shards or of a data set of Hugging Face."""
    return isinstance(source, str) and source.startswith((*WEB, HUGGING_FACE))
