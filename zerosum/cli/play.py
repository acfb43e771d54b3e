"""`zerosum play`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from zerosum.config.specs import Language


def play(
    run: Path,
    *,
    out: Path | None = None,
    open_: Annotated[bool, Parameter(name="--open")] = False,
    half: bool = False,
    checkpoint: str = "newest",
    language: Language | None = None,
    recipe: str | None = None,
) -> None:
    """Write a run's generator as one HTML file to play with, in any browser and offline.

    Args:
        run: The run directory, or the name of one in runs/.
        out: FILE.html. [default: play.html in the run directory]
        open_: Open the page in the browser.
        half: Keep the weights with 16 bits each, which halves their part of the file.
        checkpoint: What the page shows first: newest, best, or the images seen at a checkpoint
            that is kept.
        language: Of the page. [default: the locale's]
        recipe: Of a run of your own recipe, the file that holds it, as FILE.py:RECIPE; it is run.
    """
    import webbrowser

    from zerosum.export.playground import write_playground
    from zerosum.inference.run import Run, print_notice
    from zerosum.pages import require_html

    if out is not None:
        require_html(out)
    opened = Run(run, recipe=recipe)
    out = out or opened.directory.play_path
    write_playground(
        opened,
        out,
        checkpoint=checkpoint,
        half=half,
        language=language,
        notice=print_notice,
    )
    print(f"Wrote {out} ({out.stat().st_size / 2**20:.1f} MB).")
    if open_ and not webbrowser.open(out.resolve().as_uri()):
        print_notice(f"No browser was found. Open {out.resolve()} in one.")
