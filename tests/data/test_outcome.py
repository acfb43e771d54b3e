"""What came of a file survives a line of JSON, but for its pixels."""

import json

import numpy as np
import pytest

from zerosum.data.decode import Decoded
from zerosum.data.outcome import Outcome


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(name="a/1.png", content=b"", decoded=None, reason="not a regular file"),
        Outcome(name="2.png", content=b"12345678", decoded=None),
        Outcome(
            name="3\u00e9.png",
            content=b"\xff" * 8,
            decoded=Decoded(
                pixels=np.zeros((2, 3, 4, 5), np.uint8),
                size=(40, 50),
                changes=("squashed to 4×5",),
                values=(0.0, 0.5, 1.0),
                is_sample=True,
            ),
        ),
    ],
)
def test_it_survives(outcome):
    found = Outcome.from_json(json.loads(json.dumps(outcome.to_json())))
    assert found.to_json() == json.loads(json.dumps(outcome.to_json())) | found.to_json()
    assert (found.name, found.content, found.reason) == (
        outcome.name,
        outcome.content,
        outcome.reason,
    )
    if outcome.decoded is None:
        assert found.decoded is None
        return
    assert found.decoded.pixels.shape[1] == 3
    for name in ("size", "changes", "values", "is_sample"):
        assert getattr(found.decoded, name) == getattr(outcome.decoded, name)
