"""What D thinks of points in the plane, as an ONNX file."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zerosum.export.onnx_model import converted
from zerosum.game.generation import Generation
from zerosum.inference.run import Run
from zerosum.nets.layers import plain
from zerosum.seeds import own_randomness

CPU = torch.device("cpu")


class Opinion(nn.Module):
    """D's verdict on points, and nothing else of what it says."""

    def __init__(self, net: nn.Module, packed: int) -> None:
        super().__init__()
        self.net = net
        self.packed = packed

    def forward(self, points: Tensor, classes: Tensor) -> Tensor:
        """Points (b, 2) and one-hot classes (b, k), of which k may be 0 -> logits (b, 1).

        A D that judges several points together sees the same one as often.
        """
        images = torch.cat([points[:, :, None, None]] * self.packed, dim=1)
        logits: Tensor = self.net(images, torch.cat([classes] * self.packed, dim=1))
        return logits[:, :1]


class OpinionWithoutClasses(nn.Module):
    """The same where there are no classes, which the file then does not ask for."""

    def __init__(self, opinion: Opinion) -> None:
        super().__init__()
        self.opinion = opinion

    def forward(self, points: Tensor) -> Tensor:
        """Points (b, 2) -> logits (b, 1)."""
        logits: Tensor = self.opinion(points, points[:, :0])
        return logits


def opinion_onnx(run: Run, seen: int) -> bytes | None:
    """D as an ONNX file, which takes points and, if D is told them, classes.

    None where a recipe of the user's own has a forward of its own: then how D is asked is its
    own matter.
    """
    with own_randomness(CPU):
        game = run._recipe.build(run.config, run.spec, device=CPU)
    forward = game.forward
    if not isinstance(forward, Generation):
        return None
    snapshot = run.directory.checkpoints.load(seen, lambda _: None)
    D = game.D.net
    D.load_state_dict(snapshot.group("D"))
    num_classes = 0 if forward.classifier else forward.num_classes
    opinion = Opinion(plain(D), forward.packed)
    net = opinion if num_classes else OpinionWithoutClasses(opinion)
    batch = torch.export.Dim("batch")
    examples = (torch.zeros(3, 2), *([torch.zeros(3, num_classes)] if num_classes else []))
    names = ["points", "classes"][: len(examples)]
    shapes = tuple({0: batch} for _ in examples)
    content: bytes = converted(net.eval(), examples, shapes, names).SerializeToString(
        deterministic=True
    )
    return content
