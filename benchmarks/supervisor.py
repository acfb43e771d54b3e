"""Does `--on-collapse restart` save what collapses, and leave alone what does not?

    python benchmarks/supervisor.py             # vanilla on MNIST, seeds 0 to 9: hours
    python benchmarks/supervisor.py --seeds 2   # the one that is known to collapse
    python benchmarks/supervisor.py runs/results/*   # would it have stepped in there?

The seeds of the vanilla recipe are those that `benchmarks/plain_script.py` trains, 50 epochs each,
without a supervisor. Where a run's log says that it would have stepped in, the seed is trained
again with `--on-collapse restart`; where it would not have, this would be the same training. What
is found of a run goes to docs/supervisor.json, and tables made of it all into docs/training.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zerosum
from zerosum.errors import UserError
from zerosum.inference.run import Run
from zerosum.training.early_stopping import collapse
from zerosum.training.run_directory import RunDirectory

DOCS = Path(__file__).parent.parent / "docs"
FOUND, PAGE = DOCS / "supervisor.json", DOCS / "training.md"
BEGIN, END = (f"<!-- made by benchmarks/supervisor.py: {mark} -->" for mark in ("begin", "end"))
ALONE, SUPERVISED = Path("runs") / "plain_script", Path("runs") / "supervisor"
EPOCHS, SEEDS = 50, 10


def stepped_in(path: Path) -> float | None:
    """The epoch at which a supervisor would have ended a run; None if it would not have."""
    records = RunDirectory(path).history().records
    for end in range(1, len(records) + 1):
        if collapsed := collapse(records[:end]):
            epoch: float = collapsed["epoch"]
            return epoch
    return None


def distance(run: Run) -> float:
    """What the last checkpoint's average is judged, as in docs/results.md."""
    (result,) = zerosum.evaluate(run, features="digits", metrics=["fid"]).values()
    assert isinstance(result.value, float)
    return result.value


def vanilla(seed: int) -> dict[str, Any]:
    """What became of a seed without a supervisor, and of one that collapsed with one."""
    settings: dict[str, Any] = {"epochs": EPOCHS, "seed": seed, "quiet": True}
    run = zerosum.train("vanilla", out=ALONE / f"seed-{seed}", **settings)
    found: dict[str, Any] = {"alone": distance(run), "stepped_in": stepped_in(run.path)}
    if found["stepped_in"] is not None:
        out = SUPERVISED / f"seed-{seed}"
        run = zerosum.train("vanilla", out=out, on_collapse="restart", **settings)
        restarts = run.directory.read_config()["restarts"]
        found |= {
            "supervised": distance(run),
            "restarts": restarts,
            "discarded": sum(each["at"] - each["back_to"] for each in restarts),
        }
    return found


def table(known: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The seeds that collapsed, the others' range, and the runs of other recipes."""
    seeds = known.get("vanilla", {})
    sound = [row["alone"] for row in seeds.values() if row["stepped_in"] is None]
    yield "| seed | alone, at the end | it steps in, epoch | supervised, at the end | thrown away |"
    yield "|---|---|---|---|---|"
    for seed, row in sorted(seeds.items(), key=lambda item: int(item[0])):
        if row["stepped_in"] is not None:
            yield (
                f"| {seed} | {row['alone']:.1f} | {row['stepped_in']:g} | {row['supervised']:.1f} "
                f"| {row['discarded']:,} images |"
            )
    if sound:
        spread = f"{min(sound):.1f} to {max(sound):.1f}, median {statistics.median(sound):.1f}"
        yield f"| the {len(sound)} others | {spread} | never | the same | none |"
    others = known.get("others", {})
    if others:
        noticed = [f"{name} (epoch {at:g})" for name, at in others.items() if at is not None]
        yield ""
        yield (
            f"In {len(others)} runs of other recipes and data it would have stepped in at "
            f"{', '.join(noticed) if noticed else 'none'}: {', '.join(sorted(others))}."
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", nargs="*", type=Path, help="finished run directories")
    parser.add_argument("--seeds", type=int, nargs="+", default=range(SEEDS), help="these seeds")
    wish = parser.parse_args()
    for path in wish.runs:
        try:
            at = stepped_in(Run(path).path)
        except UserError as error:
            print(error)
            continue
        keep("others", path.name, at)
    if not wish.runs:
        for seed in wish.seeds:
            if str(seed) not in read().get("vanilla", {}):
                keep("vanilla", str(seed), vanilla(seed))
    print("\n".join(table(read())))


def read() -> dict[str, dict[str, Any]]:
    """What is known: of the vanilla recipe's seeds, and of other runs by their names."""
    known: dict[str, Any] = json.loads(FOUND.read_text("utf-8")) if FOUND.exists() else {}
    return known


def keep(kind: str, name: str, found: Any) -> None:
    """Add what was found of a run, and make the table anew."""
    known = read()
    known.setdefault(kind, {})[name] = found
    FOUND.write_text(json.dumps(known, indent=1) + "\n", "utf-8")
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = "\n".join(table(known))
    PAGE.write_text(f"{before}{BEGIN}\n{lines}\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
