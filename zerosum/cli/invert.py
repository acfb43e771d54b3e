"""`zerosum invert`."""

from __future__ import annotations

from pathlib import Path


def invert(
    run: str,
    images: str,
    *,
    out: Path = Path("inverted"),
    label: str | None = None,
    steps: int = 200,
    starts: int = 8,
    seed: int = 0,
    lpips: bool = False,
    no_ema: bool = False,
    checkpoint: str = "newest",
    device: str = "auto",
    recipe: str | None = None,
) -> None:
    """Find the z of which a run's generator makes given images, or the nearest to them.

    Writes latents.npz, which `zerosum sample --z` takes, a sheet of the images above what the
    generator makes, and a film of the search.

    Args:
        run: The run directory, or the name of one in runs/; or an exported folder; or
            hf://OWNER/NAME.
        images: An image file, or a folder of them.
        out: A folder that is empty or not there yet.
        label: The class that the generator is told, by name or number. [default: all are tried]
        steps: Of the descent.
        starts: Latents that are followed for each image; the best is kept.
        seed: Decides the first latents; the same seed finds the same z.
        lpips: Minimise LPIPS beside the squared error; needs its weights, see evaluate --help.
        no_ema: Use the generator's own weights instead of their moving average.
        checkpoint: newest, best, or the images seen at a checkpoint that is kept.
        device: auto, cpu, cuda, cuda:N or mps.
        recipe: Of a run of your own recipe, the file that holds it, as FILE.py:RECIPE; it is run.
    """
    from zerosum.export.opening import open_model
    from zerosum.inference.inversion_files import write_inversions
    from zerosum.inference.run import print_notice

    found, names = write_inversions(
        open_model(run, recipe=recipe),
        images,
        out,
        notice=print_notice,
        label=label,
        steps=steps,
        starts=starts,
        seed=seed,
        perceptual=lpips,
        ema=not no_ema,
        checkpoint=checkpoint,
        device=device,
    )
    for name, psnr in list(zip(names, found.psnr, strict=True))[:MOST_LINES]:
        print(f"{name}: {psnr:.1f} dB")
    if len(names) > MOST_LINES:
        print(f"… and {len(names) - MOST_LINES} more; {found.psnr.mean():.1f} dB on average")
    print(f"Wrote {out}/ (latents.npz, inverted.png, search.gif).")


MOST_LINES = 16
"""Images whose PSNR is printed one by one."""
