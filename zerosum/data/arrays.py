"""Names for the array types that cross the package's edges."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""Images outside the nets: uint8, (n, h, w, c) or one of them, (h, w, c)."""

Points = NDArray[np.float32]
"""Points in the plane: float32, (n, 2)."""

Samples = NDArray[Any]
"""What a generator has made: `Pixels` or `Points`, by the data that it was trained on."""
