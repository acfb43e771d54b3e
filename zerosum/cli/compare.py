"""`zerosum compare`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from zerosum.cli.show import show
from zerosum.recipes import find


def compare(
    *runs: Path,
    metrics: str | None = None,
    count: Annotated[int | None, Parameter(name=["--count", "-n"])] = None,
    checkpoint: str = "best",
    seed: int = 0,
    out: Path | None = None,
    recipe: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """Compare runs over their training seeds: means, intervals, paired differences, verdicts.

    Runs that differ in their seed alone are one group; every group is held against the first.

    Args:
        runs: Two run directories or more, or their names in runs/.
        metrics: Metrics to compute from the checkpoints, such as fid,precision. [default: none,
            the logged metrics alone]
        count: Images on either side, for --metrics. [default: 10000]
        checkpoint: newest, best, or the images seen at one that all runs keep, for --metrics.
        seed: Decides the samples, for --metrics.
        out: FILE.html for a page with tables, curves and pictures.
        recipe: Of runs of your own recipe, the file that holds it, as FILE.py:RECIPE; it is run.
        as_json: Print JSON instead of tables.
    """
    from zerosum.comparison.compare import compare as compare_runs
    from zerosum.comparison.page import page
    from zerosum.comparison.tables import comparison_json, comparison_tables
    from zerosum.evaluation.evaluate import EvalConfig
    from zerosum.inference.run import print_notice
    from zerosum.pages import require_html, write_html

    if recipe is not None:
        find(recipe)
    if out is not None:
        require_html(out)
    given = {"--count": count is not None, "--checkpoint": checkpoint != "best", "--seed": seed}
    if not metrics:
        require_none([flag for flag, differs in given.items() if differs])
    config = None
    if metrics:
        config = EvalConfig(
            source="", metrics=metrics, count=count, checkpoint=checkpoint, seed=seed
        )
    comparison = compare_runs(runs, config=config, notice=print_notice)
    if as_json:
        print(json.dumps(comparison_json(comparison), indent=2))
    else:
        show(comparison_tables(comparison))
    if out is not None:
        write_html(page(comparison), out)
        print(f"Wrote {out}.", file=sys.stderr)


def require_none(flags: list[str]) -> None:
    """Refuse flags that say how to compute metrics where none is computed.

    Raises:
        UserError: there are such flags.
    """
    from zerosum.errors import UserError

    if flags:
        raise UserError(
            f"Received {', '.join(flags)} without --metrics: logged metrics are as the trainings "
            "computed them. Name the metrics to compute, as in --metrics fid,precision, or leave "
            f"{'it' if len(flags) == 1 else 'them'} out."
        )
