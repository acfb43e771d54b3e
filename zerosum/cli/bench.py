"""`zerosum bench`."""

from __future__ import annotations

import json
import sys
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from zerosum.cli.show import show

if TYPE_CHECKING:
    from zerosum.bench import Bench


def bench(
    *recipes: str,
    sizes: str = "28,64",
    seconds: float = 80.0,
    device: str = "auto",
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """Measure how fast this machine trains, and what is fastest on it.

    Images a second of recipes in fp32, beside what the machine's own rates of products,
    convolutions and memory would allow; and what bf16, fewer threads and channels_last would
    change.

    Args:
        recipes: Names of recipes. [default: vanilla dcgan wgan-gp sngan r3gan pix2pix]
        sizes: Sides of the images, N or HEIGHTxWIDTH, with commas between. 28 is gray, with the
            settings for MNIST; others are RGB, with those for images of your own.
        seconds: For all of it, about; longer on a busy machine.
        device: auto, cpu, cuda, cuda:N or mps.
        as_json: Print JSON instead of tables.
    """
    from zerosum.bench import bench as measure

    found = measure(
        recipes,
        sizes=read_sizes(sizes),
        device=device,
        seconds=seconds,
        notice=lambda text: print(text, file=sys.stderr),
    )
    if as_json:
        print(json.dumps(found.json(), indent=2))
        return
    for part in bench_tables(found):
        show(part)
    print("\n".join(explanation(found)))


def read_sizes(text: str) -> list[tuple[int, int]]:
    """Read sizes with commas between.

    Raises:
        UserError: one of them is none.
    """
    from zerosum.config.specs import parse_size
    from zerosum.errors import UserError

    try:
        return list(dict.fromkeys(parse_size(part.strip()) for part in text.split(",")))
    except ValueError as error:
        raise UserError(f"--sizes was '{text}': {error}, with commas between.") from None


def bench_tables(found: Bench) -> list[Any]:
    """What the machine can do at best, and how fast recipes are; 80 columns wide."""
    from zerosum.plots.tables import table

    best = table("threads", "precision", "products", "convolutions", "channels last", "copy")
    for each in found.ceilings:
        for precision in ("fp32", "bf16"):
            rates = (each.products, each.convolutions, each.channels_last)
            best.add_row(
                str(each.threads or "-"),
                precision,
                *(f"{rate[precision] / 1e9:,.0f} GFLOP/s" for rate in rates),
                f"{each.copy / 1e9:,.0f} GB/s" if precision == "fp32" else "",
            )
    paces = table("recipe", "size", "images/s", "of best", "bound by", "half", "last", "bf16")
    for row in found.measured:
        height, width = row.size
        paces.add_row(
            row.recipe,
            f"{height}×{width}" if height != width else str(height),
            digits(row.images_per_second["all threads"]) + "*" * (row.timed_batch < row.batch_size),
            f"{row.share:.0%}",
            row.bound,
            *(times(row.gain(way)) for way in ("half the threads", "channels_last")),
            times(row.bf16),
        )
    return [best, paces]


def explanation(found: Bench) -> list[str]:
    """What the columns mean, what is fastest here, and what else ran; lines of 80 at most."""
    from zerosum.bench import advice

    lines = [
        "images/s: in fp32, with all threads. of best: of what the rates above allow.",
        "half, last, bf16: how many times that pace half the threads, channels_last and",
        "bf16 have; bf16 in the largest products, by which --precision auto decides.",
    ]
    if any(each.timed_batch < each.batch_size for each in found.measured):
        lines.append("*: in smaller batches than the recipe's, which would have taken too long.")
    lines += ["", "Fastest here:"]
    for line in advice(found):
        lines += wrap(line, 80, initial_indent="  ", subsequent_indent="    ")
    lines.append("")
    lines.append(f"{found.device}, {found.processors} processors; {found.seconds:.0f} s.")
    if found.busy:
        lines.append(
            f"Other jobs ran (load average {found.others:.1f} before): alone it is faster,"
        )
        lines.append("and which number of threads is best may come out otherwise.")
    return lines


def digits(pace: float) -> str:
    """A pace in three digits or more."""
    return f"{pace:,.0f}" if pace >= 100 else f"{pace:.3g}"


def times(gain: float | None) -> str:
    """How many times the usual pace, or nothing."""
    return "" if gain is None else f"{gain:.2f}"
