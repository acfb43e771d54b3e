"""Flags by their names in 0.1, which are understood, with a warning, for one version more."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from zerosum.config.base import OLD_NAMES, OLD_VALUES, SPELLINGS

NEW = {
    **{f"--{old}": f"--{new}" for old, new in {**OLD_NAMES, **SPELLINGS}.items()},
    "--no_flips": "--no-hflip",
}
NEW_NAMES = {old.replace("_", "-"): new.replace("_", "-") for old, new in NEW.items()}
QUIET = {f"--{name}" for name in SPELLINGS}


FOREIGN = {
    **dict.fromkeys(
        ("gpu", "gpus", "gpu-ids", "cuda", "no-cuda", "accelerator"),
        "zerosum uses a GPU by itself where there is one; choose with --device, such as cpu or "
        "cuda:1",
    ),
    **dict.fromkeys(
        ("workers", "num-workers", "j"),
        "there are none: images are decoded once, and kept in memory",
    ),
    **dict.fromkeys(
        ("recipe", "model", "gan", "arch"),
        "write the recipe's name in front of all flags, as in 'zerosum train dcgan'",
    ),
    **dict.fromkeys(
        ("lr-d", "lr-g", "d-lr", "g-lr", "lrd", "lrg", "lr-discriminator", "lr-generator", "dlr"),
        "--learning-rate, --lr for short, is G's and D's; --d-learning-rate gives D another",
    ),
    **dict.fromkeys(("b1", "b2", "beta1", "beta2", "beta"), "use --betas, as in --betas 0.5 0.999"),
    **dict.fromkeys(("batch", "bs", "b"), "use --batch-size"),
    **dict.fromkeys(("dataset", "dataroot", "data-dir", "data-path", "root"), "use --data"),
    **dict.fromkeys(("resolution", "image-size", "img-size", "imsize", "crop-size"), "use --size"),
    **dict.fromkeys(("n-epochs", "num-epochs", "niter", "max-epochs"), "use --epochs"),
    **dict.fromkeys(
        ("steps", "iterations", "iters", "kimg"), "use --images, the real images in all"
    ),
    **dict.fromkeys(("nz", "z-dim", "latent-dim"), "use --latent-size"),
    **dict.fromkeys(("ngf", "ndf", "channel-base", "base-channels"), "use --width"),
    **dict.fromkeys(("fp16", "amp", "half", "mixed-precision"), "use --precision bf16, or auto"),
    **dict.fromkeys(("outdir", "outf", "output", "output-dir", "save-dir", "o"), "use --out"),
    **dict.fromkeys(("mirror", "flip"), "use --hflip"),
    **dict.fromkeys(
        ("aug", "diffaugment", "augmentation"), "use --augment color,translation,cutout"
    ),
}
"""What other programs call something, and what it is here."""


def hint_for(flag: str) -> str:
    """What to do instead of a flag that other programs have, or "" where that is not known."""
    return FOREIGN.get(flag.lstrip("-").replace("_", "-").lower(), "")


def modern_flags(tokens: Sequence[str]) -> list[str]:
    """Give the flags of `train` the names of today; warn of each that had another."""
    found: list[str] = []
    for token in tokens:
        flag, equals, value = token.partition("=")
        new = NEW_NAMES.get(flag, flag)
        if new != flag and flag not in QUIET:
            print(f"zerosum: {flag} is now called {new}.", file=sys.stderr)
        values = OLD_VALUES.get(new.removeprefix("--").replace("-", "_"), {})
        previous = found[-1].removeprefix("--").replace("-", "_") if found else ""
        if equals:
            found.append(f"{new}={values.get(value, value)}")
        else:
            found.append(OLD_VALUES.get(previous, {}).get(new, new))
    return found
