"""`zerosum evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from zerosum.cli.show import renamed, show
from zerosum.config.specs import Fit


def evaluate(
    source: str,
    *,
    reference: str | None = None,
    protocol: str | None = None,
    split: str | None = None,
    features: str | None = None,
    resize: str | None = None,
    size: str | None = None,
    channels: int | None = None,
    fit: Fit | None = None,
    range: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,  # noqa: A002
    count: Annotated[int | None, Parameter(name=["--count", "-n"])] = None,
    metrics: str | None = None,
    seed: int = 0,
    no_ema: bool = False,
    checkpoint: str = "newest",
    device: str = "auto",
    neighbours: Path | None = None,
    save_stats: Path | None = None,
    paired: bool = False,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
    recipe: str | None = None,
    raw: Annotated[bool, Parameter(show=False)] = False,
) -> None:
    """Measure how close samples come to real images, with a card beside every metric.

    A run that translates images is given held-out ones. If it learnt from pairs,
    l1, psnr, ssim, lpips and lpips_vgg hold each output against its own target.

    Args:
        source: A run directory, or the name of one in runs/; a folder of images or an .npz file.
        reference: The real images: a data set, a folder or an .npz of them, or of statistics, mu
            and sigma as pytorch-fid writes them. [default: the run's data]
        protocol: lucic2018, studiogan or clean-fid: the terms of published figures, all of them.
        split: train or test, of a reference that has both; for translation val too. [default:
            test, or val]
        features: digits, fashion, stacked-digits, inception, random, for points ring or grid, or
            your own as module:callable. [default: by the reference]
        resize: For inception, as torch-fidelity, clean-fid, pytorch-fid or studiogan does.
            [default: torch-fidelity]
        size: N or HEIGHTxWIDTH, to which images that are read are cropped and resized.
        channels: 1 for gray, 3 for RGB, 4 for RGBA, to which images that are read are brought.
        fit: How images of another aspect get --size: crop, pad, squash or short-side. [default:
            crop]
        range: LOW:HIGH, the values that become black and white in images of more than 8 bits; or
            auto.
        count: Images on either side; fewer where there are fewer. [default: 10000]
        metrics: Names with commas between, such as fid,kid,precision, as they are printed too;
            fid is the Fréchet distance in the features chosen. [default: all]
        seed: Decides the samples, and which images are taken where there are more.
        no_ema: Use G's own weights instead of their moving average.
        checkpoint: newest, best, or the images seen at a checkpoint that is kept.
        device: auto, cpu, cuda, cuda:N or mps.
        neighbours: FILE.png for samples beside their nearest training images; tells of copying.
        save_stats: FILE.npz for mu and sigma of the source's features; nothing is compared.
        paired: Compare two folders image by image, matched by name: l1, psnr, ssim, lpips,
            lpips_vgg.
        as_json: Print JSON instead of a table.
        recipe: Of a run of your own recipe, the file that holds it, as FILE.py:RECIPE; it is run.
        raw: The old name of --no-ema.
    """
    from zerosum.api import evaluate_config
    from zerosum.evaluation.evaluate import EvalConfig
    from zerosum.evaluation.pairs import pairs_table
    from zerosum.evaluation.tables import results_json, results_table
    from zerosum.inference.run import print_notice

    config = EvalConfig(
        source=source,
        reference=reference,
        protocol=protocol,
        split=split,
        features=features,
        resize=resize,
        size=size,
        channels=channels,
        fit=fit,
        range=range,
        count=count,
        metrics=metrics or "",
        recipe=recipe,
        seed=seed,
        ema=not (no_ema or (raw and renamed("--raw", "--no-ema"))),
        checkpoint=checkpoint,
        device=device,
        neighbours=neighbours,
        save_stats=save_stats,
    )
    results = evaluate_config(config, paired=paired, notice=print_notice)
    if as_json:
        print(json.dumps(results_json(results), indent=2))
    elif results:
        show(pairs_table(results) if paired else results_table(results))
