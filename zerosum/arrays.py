"""Names for the array types that cross the package's edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""Images outside the nets: uint8, (n, h, w, c) or one of them, (h, w, c)."""
