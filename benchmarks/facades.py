"""Trains Pix2Pix and its regression alone on the facades, judges them, and shows them.

    python benchmarks/facades.py FOLDER      # the facades: train/, val/, side by side, 256×256 each

The trainings are `zerosum train` with the settings in RUNS, in runs/results/; what is complete is
only judged, by `zerosum evaluate` on the 100 images of val/. The metrics and the picture go into
docs/translation.md: held-out labels, what each makes of them, and the photographs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import zerosum
from zerosum.data.arrays import Pixels
from zerosum.data.images import to_array
from zerosum.data.pairs import load_pairs
from zerosum.inference.run import Run
from zerosum.plots.grids import grid

DOCS = Path(__file__).parent.parent / "docs"
PAGE, PICTURE = DOCS / "translation.md", DOCS / "images" / "facades.png"
BEGIN, END = "<!-- made by benchmarks/facades.py: begin -->", "<!-- end -->"
SIZE, SHOWN = 64, (3, 20, 41, 62, 97)
COMMON = {"direction": "BtoA", "size": str(SIZE), "batch_size": 4}
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "pix2pix-l1": ("pix2pix", {"width": 32, "epochs": 60, "adversarial": 0}),
    "pix2pix-facades": ("pix2pix", {"width": 32, "epochs": 60}),
}
OF_PAIRS, OF_SETS = ("l1", "psnr", "ssim", "lpips"), ("fid", "kid")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("facades", type=Path, help="the folder that holds train/ and val/")
    facades = parser.parse_args().facades
    runs = {
        name: zerosum.train(
            recipe,
            data=facades,
            out=Path("runs") / "results" / f"{name}-seed-0",
            **COMMON,
            **settings,
        )
        for name, (recipe, settings) in RUNS.items()
    }
    draw(facades, runs)
    lines = [
        "| command | L1 | PSNR | SSIM | LPIPS | FID | KID |",
        "|---|---|---|---|---|---|---|",
        *(table_row(name, run) for name, run in runs.items()),
    ]
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{chr(10).join(lines)}\n{END}{after}", "utf-8")


def table_row(name: str, run: Run) -> str:
    """A run's settings and metrics."""
    recipe, settings = RUNS[name]
    flags = [f"--{key.replace('_', '-')} {value}" for key, value in {**COMMON, **settings}.items()]
    found = zerosum.evaluate(run.path, metrics=[*OF_PAIRS, *OF_SETS])
    values = {key: result.value for key, result in found.items()}
    cells = [f"{values[key]:.3g}" if key in values else "" for key in (*OF_PAIRS, *OF_SETS)]
    return f"| `zerosum train {recipe} {' '.join(flags)}` | {' | '.join(cells)} |"


def draw(facades: Path, runs: dict[str, Run]) -> None:
    """Draw held-out labels, what each run makes of them, and the photographs, a row each."""
    size = (SIZE, SIZE)
    pairs = load_pairs(facades, split="val", size=size, channels=None, direction="BtoA")
    chosen = to_array(pairs.images[list(SHOWN)])
    labels, photographs = chosen[..., :3], chosen[..., 3:]
    columns: list[Pixels] = [labels, *(run.translate(labels) for run in runs.values()), photographs]
    rows = np.stack(columns, axis=1).reshape(-1, SIZE, SIZE, 3)
    grid(rows, columns=len(columns), scale=2).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
