"""`zerosum report` and `zerosum watch`: a run as a page, once or live."""

from __future__ import annotations

import os
import webbrowser
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from zerosum.config.specs import Language, language_here


def report(
    run: Path,
    *,
    out: Path | None = None,
    language: Language | None = None,
    neighbours: bool = False,
    recipe: str | None = None,
) -> None:
    """Make a page of a run: verdict, curve, pictures, settings, data, in one HTML file.

    Args:
        run: The run directory, or its name in runs/.
        out: FILE.html to write. [default: report.html in the run directory]
        language: en or zh. [default: what the locale says]
        neighbours: Show the training images nearest to samples; the data have to be there.
        recipe: Of a run of your own recipe, the file that holds it, as FILE.py:RECIPE; it is run.
    """
    from zerosum.inference.run import Run, print_notice
    from zerosum.pages import require_html, write_html
    from zerosum.report.page import report as make_report

    opened = Run(run, recipe=recipe)
    out = out or opened.directory.report_path
    require_html(out)
    html = make_report(
        opened,
        language=language or language_here(),
        neighbours=neighbours,
        notice=print_notice,
    )
    write_html(html, out)
    print(f"Wrote {out}.")


def watch(
    run: Path,
    *,
    port: int = 8600,
    open_: Annotated[bool, Parameter(name="--open")] = False,
    language: Language | None = None,
) -> None:
    """Show a run in the browser while it trains; begin it before the training or after.

    Args:
        run: The run directory, or its name in runs/; it need not be there yet.
        port: Where on this machine the page is, and nowhere else; 0 for any that is free.
        open_: Open the page in the browser.
        language: en or zh. [default: what the locale says]
    """
    from zerosum.report.watch import serve, server_on

    server = server_on(port, run, language=language or language_here())
    if hasattr(os, "nice"):
        os.nice(10)  # the training goes first
    address = f"http://127.0.0.1:{server.server_port}/"

    def begin() -> None:
        print(f"Watching '{run}' at {address}. Ctrl-C ends it; the training goes on.", flush=True)
        if open_:
            webbrowser.open(address)

    serve(server, begin=begin)
