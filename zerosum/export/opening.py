"""Opening whatever can be sampled: a run, an exported generator, or one on the hub."""

from __future__ import annotations

from pathlib import Path

from zerosum.errors import path_like
from zerosum.export.hub import PREFIX, fetch_folder
from zerosum.inference.exported import Exported, is_exported
from zerosum.inference.run import Run
from zerosum.training.run_directory import CONFIG


def open_model(path: Path | str, *, recipe: str | None = None) -> Run | Exported:
    """Open what a path, a name or an address leads to.

    Args:
        path: a run directory, or the name of one in `runs/`; a folder that `zerosum export` wrote,
            or its model.onnx; or hf://OWNER/NAME.
        recipe: of a recipe of the user's own, the module that holds it; its code is run.

    Raises:
        UserError: there is nothing of the kind, it is damaged, or its recipe has to be named.
    """
    expected = "the path of a run directory or an exported generator, or a name in runs/"
    known = path_like("The run", path, expected)
    if known.startswith(PREFIX):
        return Exported(fetch_folder(known), recipe=recipe)
    there = Path(known)
    if is_exported(there) and not (there / CONFIG).is_file():
        return Exported(there, recipe=recipe)
    return Run(known, recipe=recipe)
