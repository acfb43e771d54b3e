"""Latents that a user brings, from memory or out of a file, and what lies between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zerosum.data.names import printable
from zerosum.data.npz import DAMAGE
from zerosum.data.npz_members import open_arrays, read_array
from zerosum.errors import UserError, and_more
from zerosum.game.core import GeneratorInput
from zerosum.game.sampling import CHUNK
from zerosum.reading import open_file

STRAIGHT = 1e-4
"""A sine of the angle between two latents below which the line between them serves as the arc."""
ROUNDING = 1e-3
"""How far the weights of an image's classes may be from adding up to 1."""


@dataclass(frozen=True, eq=False)
class Latents:
    """Latents out of a file, with the classes that G was told beside them.

    Attributes:
        z: as it lies there, an array of any shape.
        weights: of each latent's classes, float32 (n, k); None where the file tells none.
        names: of these classes.
    """

    z: NDArray[Any]
    weights: NDArray[np.float32] | None = None
    names: tuple[str, ...] = ()

    def told(
        self, inputs: Sequence[GeneratorInput], classes: Sequence[str]
    ) -> NDArray[np.float32] | None:
        """What a G is told with these latents, float32 (n, num_classes).

        Args:
            inputs: what G takes.
            classes: the names of its classes.

        Returns:
            None where G is told no classes, or the file tells none.

        Raises:
            UserError: G does not know one of them.
        """
        if self.weights is None or not any(each.kind == "class" for each in inputs):
            return None
        told = np.zeros((len(self.weights), len(classes)), np.float32)
        used = [column for column in range(len(self.names)) if self.weights[:, column].any()]
        strange = [self.names[column] for column in used if self.names[column] not in classes]
        if strange:
            raise UserError(
                f"The latents are of classes that this G does not know: "
                f"{printable(and_more(strange))}. "
                "Expected those of a run with the same classes; or say with --label which class "
                "G shall be told."
            )
        for column in used:
            told[:, list(classes).index(self.names[column])] += self.weights[:, column]
        return told


def read_latents(path: Path) -> Latents:
    """Read latents (n, latent_size) from an .npy, or from an .npz under the name "z".

    Of an .npz the classes are read too, as `zerosum sample --out FILE.npz` and `zerosum invert`
    write them: `classes`, their names, with `labels` or `class_weights`.

    Raises:
        UserError: there is no such file, it holds none, or its classes are not as they should be.
    """
    expected = "expected an .npy of shape (n, latent_size), or an .npz with such an array 'z'"
    try:
        with open_file(path) as file:
            found = open_arrays(file)
            if not isinstance(found, np.lib.npyio.NpzFile):
                return Latents(np.asarray(found))
            if "z" not in found.files:
                held = ", ".join(found.files) or "nothing"
                raise UserError(f"'{path}' holds {printable(held)}, and no z; {expected}.")
            z = read_array(found, "z", path)
            names = (
                tuple(map(str, read_array(found, "classes", path).ravel()))
                if "classes" in found.files
                else ()
            )
            weights = None
            if names and "labels" in found.files:
                weights = one_hot(read_array(found, "labels", path), len(names))
            elif names and "class_weights" in found.files:
                weights = read_array(found, "class_weights", path).astype(np.float32)
    except UserError:
        raise
    except DAMAGE as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"The latents '{path}' cannot be read: {reason}; {expected}.") from None
    if weights is not None and weights.shape != (len(np.atleast_1d(z)), len(names)):
        raise UserError(
            f"In '{path}' are {len(np.atleast_1d(z))} latents, with classes of the shape "
            f"{weights.shape}: expected a class for each, of the {len(names)} that are named."
        )
    return Latents(z, weights, names)


def one_hot(labels: NDArray[Any], num_classes: int) -> NDArray[np.float32]:
    """Labels (n,) as rows of zeros and a one, float32 (n, num_classes).

    Raises:
        ValueError: they are no such labels.
    """
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(f"labels are {labels.dtype} of shape {labels.shape}")
    if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(f"labels are not all of 0 to {num_classes - 1}")
    rows: NDArray[np.float32] = (labels[:, None] == np.arange(num_classes)).astype(np.float32)
    return rows


def latents_of(z: NDArray[Any] | Tensor, count: int | None) -> Tensor:
    """Read latents that a user gives, one row an image, as floats (n, d).

    Raises:
        UserError: they are no such array, or not as many as images were asked for.
    """
    array = array_of(z)
    if array.ndim != 2 or len(array) == 0 or array.dtype.kind not in "fiu":
        raise UserError(
            f"The latents are {array.dtype} of shape {array.shape}: expected floats of the shape "
            "(n, latent_size), a row for each image."
        )
    if count not in (None, len(array)):
        raise UserError(
            f"Asked for {count} images of {len(array)} latents: expected as many, or no number."
        )
    return torch.tensor(array, dtype=torch.float32)


def classes_of(
    classes: NDArray[Any] | Tensor, count: int | None, inputs: Sequence[GeneratorInput]
) -> Tensor:
    """Read what a user tells G with each image, as floats (count, num_classes).

    Args:
        classes: as they were given.
        count: of how many images; None of as many as there are.
        inputs: what G takes.

    Raises:
        UserError: G is told no classes, or they are no such weights.
    """
    num_classes = sum(each.shape[0] or 0 for each in inputs if each.kind == "class")
    array = array_of(classes)
    if not num_classes:
        raise UserError("Received classes, but this G knows none: leave them out.")
    rows = (len(array) if array.ndim else 0) if count is None else count
    if array.shape != (rows, num_classes) or not rows or array.dtype.kind not in "fiub":
        raise UserError(
            f"The classes are {array.dtype} of shape {array.shape}: expected weights of the shape "
            f"({'n' if count is None else count}, {num_classes}), a row for each image."
        )
    found = torch.tensor(array, dtype=torch.float32)
    if not (found >= 0).all() or not ((found.sum(1) - 1).abs() < ROUNDING).all():
        raise UserError("The weights of an image's classes have to be at least 0 and add up to 1.")
    return found


def array_of(values: Any) -> NDArray[Any]:
    """The same as a numpy array."""
    if isinstance(values, Tensor):
        return values.detach().cpu().numpy()
    return np.asarray(values)


def whole_chunk(rows: Tensor, index: int) -> Tensor:
    """The rows (CHUNK, d) of one chunk of images, with zeros behind the last.

    A batch of another size could round otherwise, and give back another image of the same z.
    """
    rows = rows[index * CHUNK : (index + 1) * CHUNK]
    return torch.cat([rows, rows.new_zeros(CHUNK - len(rows), rows.shape[1])])


def on_great_circle(a: Tensor, b: Tensor, count: int) -> Tensor:
    """Latents from a to b, both (d,), on the great circle through both: (count, d).

    Their length goes evenly from one's to the other's. On a straight line between two draws of
    N(0, I) z would become shorter than any that G was trained on. The playground does the same,
    `onGreatCircle` in pages/play_maths.js.
    """
    shares = torch.linspace(0, 1, count)[:, None]
    length_a, length_b = (each.norm().clamp(min=torch.finfo().tiny) for each in (a, b))
    angle = torch.acos((a @ b / length_a / length_b).clamp(-1, 1))
    sine = torch.sin(angle)
    of_a, of_b = 1 - shares, shares
    if sine >= STRAIGHT:
        of_a, of_b = torch.sin(of_a * angle) / sine, torch.sin(of_b * angle) / sine
    length = (1 - shares) * length_a + shares * length_b
    found: Tensor = length * (of_a * a / length_a + of_b * b / length_b)
    found[0] = a  # exactly; that of one image is a alone
    if count > 1:
        found[-1] = b
    return found
