"""What is understood of data: told before a training, kept in its run, and asked for by itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from zerosum import recipes
from zerosum.config.base import Settings
from zerosum.data.images import ImageSet, to_array
from zerosum.data.splits import no_split
from zerosum.data.store import ImageStore
from zerosum.errors import UserError
from zerosum.files import cannot_write
from zerosum.metrics.channels import with_channels
from zerosum.plots.grids import save_sheet
from zerosum.tasks import TASKS, Task, task_on

MOST_CLASSES = 12
"""Classes up to which each is told with its number of images."""
SHOWN = 64
"""Images on a contact sheet."""


def understanding(
    task: Task, config: Settings, images: ImageSet, held_out: ImageSet | None
) -> list[str]:
    """Say what was understood of data, a line each.

    Args:
        task: what is to be made of them.
        config: how they were loaded.
        images: what is trained on.
        held_out: what is not; None where there is nothing else.
    """
    report = images.report
    if held_out is not None and report.held_out:
        report = report.with_more(held_out=f"{report.held_out}: {len(held_out):,} images")
    if not (report.values or images.spec.are_points):
        report = report.with_more(values="0 to 255")
    counts = images.class_counts()
    if 0 < len(counts) <= MOST_CLASSES:
        told = ", ".join(f"{name} ({count:,})" for name, count in counts.items())
    else:
        told = f"{min(counts.values()):,} to {max(counts.values()):,} images" if counts else ""
    return [
        *report.lines(),
        *([f"  classes   {told}"] if told else []),
        *(["  mirrored  half of them, at random"] if getattr(config, "hflip", False) else []),
    ]


def facts(images: ImageSet, held_out: ImageSet | None) -> dict[str, Any]:
    """What the data.json of a run says of its data."""
    return {
        "images": len(images),
        "shape": list(images.shape),
        "classes": images.class_counts(),
        "held_out_images": 0 if held_out is None else len(held_out),
        **images.report.to_json(),
    }


def inspect_data(
    path: str,
    *,
    recipe: str,
    split: str,
    given: Mapping[str, Any],
    out: Path | None,
) -> list[str]:
    """Load data as a training would, and say what was understood.

    Args:
        path: where they are, or a data set's name.
        recipe: whose training.
        split: "train", "val" or "test".
        given: settings that say how to load them.
        out: where to write a contact sheet, a .png; None for nowhere.

    Returns:
        Lines for a person.

    Raises:
        UserError: they cannot be loaded, or nothing can be written there.
    """
    found = recipes.find(recipe)
    known = found.config.model_fields
    if foreign := [name for name in given if name not in known]:
        raise UserError(f"--{foreign[0].replace('_', '-')} is not read by {recipe}. Leave it out.")
    config = found.configure({"data": path, **given})
    if out is not None and out.suffix.lower() != ".png":
        raise UserError(f"The contact sheet was to be '{out}': expected a name that ends in .png.")
    task = TASKS[found.task]
    if split != "train" and not task.holds_out(config):
        raise no_split(f"'{path}'", split)
    images = task.load_split(config, split)
    task = task_on(found.task, images.spec)
    lines = [f"{path}: {len(images):,} {task.describe(images)}"]
    lines += [f"WARNING: {warning}" for warning in images.report.warnings]
    lines += understanding(task, config, images, None)
    if out is not None:
        try:
            save_sheet(contact_sheet(task, config, images), out)
        except OSError as error:
            raise cannot_write(out, error) from None
        lines.append(f"Wrote {out}.")
    return lines


def contact_sheet(
    task: Task, config: Settings, images: ImageSet, *, count: int = SHOWN
) -> Image.Image:
    """Draw images from all over a set, as they would be trained on; sources beside targets."""
    count = min(count, len(images))
    chosen = torch.linspace(0, len(images) - 1, count).round().long()
    if isinstance(images.images, ImageStore) and images.images.has_own_order:
        chosen = torch.arange(count)  # of shards, which are shuffled: those from all over are far
    shown = images.images[chosen]
    source = images.source_channels
    if not source:
        return task.presentation.picture(to_array(shown), data=config.data)
    sides = [with_channels(side, 3) for side in (shown[:, :source], shown[:, source:])]
    return task.presentation.picture(to_array(torch.cat(sides, dim=3)), data=config.data)
