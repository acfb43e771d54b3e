"""The share of a batch that one pass plays: a part of it, or what one of several processes has.

A turn that is played in shares comes to what it would in one pass. So every random number is drawn
for the whole batch, and a pass takes those of its own images; what a batch decides as a whole, such
as BatchNorm's statistics, is added up over the processes. `training/round.py` says which share is
under way, and who draws asks here. Where a batch is played in one pass, nothing is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from zerosum.errors import UserError
from zerosum.game.batch_norm import batch_norm_over_all


def alone(tensor: Tensor) -> Tensor:
    """The sum over all processes where there is one."""
    return tensor


@dataclass(frozen=True, kw_only=True)
class Share:
    """Which images of a batch a pass plays.

    Attributes:
        start: its first image's place in the batch.
        stop: the place behind its last one.
        total: images in the batch.
        counts: False of a process for which nothing is left of a small batch: it plays somebody's
            image along, so that all sums have their addends, and adds 0 to them.
        is_last: whether this process plays no further part of the batch.
        in_parts: whether this process plays several parts of it.
        reals: the real images of all parts that this process plays of the batch, as they were
            dealt, float (b, c, h, w).
        place: this process among all, and how many there are.
        add_up: the sum of a tensor over the processes, differentiable.
        batch_norm: whether BatchNorm's statistics are those of the images of all processes.
    """

    start: int
    stop: int
    total: int
    counts: bool = True
    is_last: bool = True
    in_parts: bool = False
    reals: Tensor | None = None
    place: tuple[int, int] = (0, 1)
    add_up: Callable[[Tensor], Tensor] = alone
    batch_norm: bool = False

    @property
    def weight(self) -> float:
        """What a mean over its images counts in the mean over the batch."""
        return (self.stop - self.start) / self.total if self.counts else 0.0

    def summed(self, tensor: Tensor) -> Tensor:
        """The sum over all processes."""
        if (
            not self.counts
        ):  # and still in the graph, so that the sum of its gradients comes to pass
            tensor = tensor.masked_fill(torch.ones_like(tensor, dtype=torch.bool), 0)
        return self.add_up(tensor)

    def gathered(self, rows: Tensor) -> Tensor:
        """Rows (n, ...) of all processes, each in its place of the batch: (total, ...).

        Where a batch is played in parts, rows of the others are 0.
        """
        whole = rows.new_zeros(self.total, *rows.shape[1:])
        whole[self.start : self.stop] = rows
        return self.summed(whole)

    def mine(self, rows: Tensor) -> Tensor:
        """Of rows of the whole batch, or of several such laid end to end, those of this pass."""
        batches = rows.view(-1, self.total, *rows.shape[1:])
        return batches[:, self.start : self.stop].flatten(0, 1)

    def whole(self, count: int) -> int:
        """How many rows there are in all where this pass has so many."""
        batches, rest = divmod(count, self.stop - self.start)
        if rest:
            raise UserError(
                f"Random numbers for {count} rows were asked for in a pass of "
                f"{self.stop - self.start} images, as by dropout on packed images: expected as "
                "many for each image. Play whole batches in one process."
            )
        return batches * self.total

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Let what is computed inside be of this share."""
        global _current
        before, _current = _current, self
        try:
            with Sharing(self):
                yield
        finally:
            _current = before


_current: Share | None = None


def current() -> Share | None:
    """The share under way; None where a batch is played in one pass."""
    return _current


def for_each(count: int, draw: Callable[[int], Tensor]) -> Tensor:
    """Draw random numbers for `count` images, which is a multiple of those of the pass.

    Args:
        count: rows that are asked for.
        draw: draws as many rows as it is told, from torch's default generator.

    Returns:
        Rows (count, ...): where the pass plays a share of a batch, its own ones of the whole
        batch's.
    """
    share = _current
    if share is None:
        return draw(count)
    with torch._C.DisableTorchFunction():
        return share.mine(draw(share.whole(count)))


class Sharing(TorchFunctionMode):
    """Lets nets that know nothing of shares play one.

    Dropout draws for the whole batch, BatchNorm looks at all of it, and what draws by itself is
    refused: every pass would draw the same.
    """

    def __init__(self, share: Share) -> None:
        super().__init__()
        self.share = share

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Compute as torch would, for a share."""
        kwargs = kwargs or {}
        if func in DROPOUTS:
            return self._drop(func, *args, **kwargs)
        if func is F.batch_norm and self.share.batch_norm:
            return batch_norm_over_all(self.share, *args, **kwargs)
        if draws(func, args, kwargs):
            raise UserError(
                f"The recipe draws random numbers by torch's {func.__name__}, and its batches are "
                "played in shares: by several processes, or in parts (--grad-accumulation). Each "
                "share would draw the same. Draw them in zerosum.game.share.for_each, or play "
                "whole batches in one process."
            )
        return func(*args, **kwargs)

    def _drop(
        self, func: Any, maps: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        if not training or not p:
            return maps
        shape = maps.shape[1:]
        # What it makes of ones is the mask; it is drawn by torch's own call, as in one pass.
        mask = for_each(len(maps), lambda count: func(maps.new_ones(count, *shape), p, True))
        return maps.mul_(mask) if inplace else maps * mask


def draws(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call takes from torch's random numbers."""
    if func in DRAWS:
        return True
    switches = DRAWS_WHERE.get(func, ())
    given = (
        args[place] if len(args) > place else kwargs.get(name, default)
        for place, name, default in switches
    )
    return bool(switches) and all(given)


DROPOUTS = {F.dropout, F.dropout1d, F.dropout2d, F.dropout3d}
"""Those that multiply by a mask."""
DRAWS = {
    *(torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal, torch.bernoulli),
    *(torch.rand_like, torch.randn_like, torch.randint_like, torch.multinomial, torch.poisson),
    *(Tensor.uniform_, Tensor.normal_, Tensor.random_, Tensor.bernoulli_, Tensor.exponential_),
    *(Tensor.bernoulli, Tensor.multinomial, Tensor.log_normal_, Tensor.cauchy_, Tensor.geometric_),
    *(torch.binomial, torch.native_dropout, F.gumbel_softmax),
    *(torch._standard_gamma, torch._sample_dirichlet),
    *(F.fractional_max_pool2d, F.fractional_max_pool2d_with_indices),
    *(F.fractional_max_pool3d, F.fractional_max_pool3d_with_indices),
}
"""What takes from torch's random numbers."""
_LAYER = ((2, "train", True),)
_NET = ((2, "training", False),)
_RECURRENT = ((5, "dropout", 0.0), (6, "train", False))
DRAWS_WHERE: dict[Any, tuple[tuple[int, str, Any], ...]] = {
    F.alpha_dropout: _NET,
    F.feature_alpha_dropout: _NET,
    F.rrelu: ((3, "training", False),),
    torch.rrelu: ((3, "training", False),),
    F.scaled_dot_product_attention: ((4, "dropout_p", 0.0),),
    F.multi_head_attention_forward: ((10, "dropout_p", 0.0), (13, "training", True)),
    **dict.fromkeys((torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu), _RECURRENT),
    **dict.fromkeys((torch.dropout, torch.dropout_), _LAYER),
    **dict.fromkeys((torch.feature_dropout, torch.feature_dropout_), _LAYER),
    **dict.fromkeys((torch.alpha_dropout, torch.alpha_dropout_), _LAYER),
}
"""What does where all of some arguments say so: each's place, its name and its default."""
