"""What watches a training: it shows, draws and measures, and changes nothing.

A callback of one's own derives from `Callback` and goes into `zerosum.train(..., callbacks=[...])`.
"""

from zerosum.training.interfaces import Callback

__all__ = ["Callback"]
