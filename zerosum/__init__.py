"""zerosum trains generative adversarial networks, G against D in a zero-sum game.

import zerosum
run = zerosum.train("vanilla", data="mnist", epochs=5)
run.sample(64)                                # uint8 (64, 28, 28, 1)
zerosum.load("runs/vanilla-mnist").sample(64)
zerosum.evaluate("runs/vanilla-mnist")["frechet_digits"].value
zerosum.compare(*zerosum.train("dcgan", seeds=3), *zerosum.train("lsgan", seeds=3))
zerosum.sweep("wgan", "lr=1e-4..1e-3:log,n-critic=1,2,5", metric="frechet_digits").command

Importing the package does not import torch; the first use does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zerosum._version import __version__
from zerosum.errors import UserError

if TYPE_CHECKING:
    from zerosum.api import compare, evaluate, load, train
    from zerosum.inference.run import Run
    from zerosum.sweeps.sweep import sweep
else:

    def __getattr__(name: str) -> object:
        """Import what needs torch when it is asked for."""
        if name in ("compare", "evaluate", "load", "train", "Run"):
            from zerosum import api

            return getattr(api, name)
        if name == "sweep":
            from zerosum.sweeps.sweep import sweep

            return sweep
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        """List them before they have been imported."""
        return sorted({*globals(), *__all__})


__all__ = ["Run", "UserError", "__version__", "compare", "evaluate", "load", "sweep", "train"]
