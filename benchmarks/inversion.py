"""How near a run's G comes to images that it never saw: the first ten test digits of MNIST.

    zerosum train vanilla --epochs 50 --out runs/vanilla-50
    python benchmarks/inversion.py runs/vanilla-50 [--steps 200] [--starts 8]

Prints the PSNR of each digit in dB, and the mean.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import zerosum
from zerosum import data
from zerosum.data.images import to_array
from zerosum.inference.inversion import STARTS, STEPS, invert

DIGITS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="of MNIST, whose G makes images of noise")
    parser.add_argument("--steps", type=int, default=STEPS, help="of the descent")
    parser.add_argument("--starts", type=int, default=STARTS, help="latents that are followed")
    arguments = parser.parse_args()
    digits = to_array(data.load("mnist", split="test").images[:DIGITS])
    run = zerosum.load(arguments.run)
    found = invert(run, digits, steps=arguments.steps, starts=arguments.starts)
    print(", ".join(f"{psnr:.1f}" for psnr in found.psnr))
    print(f"mean {found.psnr.mean():.1f} dB")


if __name__ == "__main__":
    main()
