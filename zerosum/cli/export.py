"""`zerosum export`."""

from __future__ import annotations

from pathlib import Path


def export(
    run: Path,
    *,
    out: Path,
    checkpoint: str = "newest",
    no_ema: bool = False,
    half: bool = False,
    reverse: bool = False,
    push: str | None = None,
    recipe: str | None = None,
) -> None:
    """Write a run's generator as a folder for other programs: ONNX, safetensors, Python, a card.

    It is checked that every file makes what the run makes.

    Args:
        run: The run directory, or the name of one in runs/.
        out: The folder to write, empty or not there yet.
        checkpoint: newest, best, or the images seen at a checkpoint that is kept.
        no_ema: Use G's own weights instead of their moving average.
        half: Keep weights in half precision: half the size, images that differ a little.
        reverse: Of a run that learnt to translate both ways, from target to source.
        push: OWNER/NAME on the Hugging Face hub, to which the folder is uploaded as well. A
            repository that is not there yet is made, for everybody to see.
        recipe: Of a run of your own recipe, the file that holds it, as FILE.py:RECIPE; it is run.
    """
    from zerosum.export.folder import export_run
    from zerosum.export.hub import push_folder, require_hub, require_name
    from zerosum.inference.run import Run

    if push is not None:
        require_name(push)
        require_hub()
    written = export_run(
        Run(run, recipe=recipe),
        out,
        checkpoint=checkpoint,
        ema=not no_ema,
        half=half,
        reverse=reverse,
    )
    print(
        f"Wrote {out}. Its ONNX file differs from PyTorch by {written.parity.worst:.1g} at most, "
        "of images in [-1, 1]."
    )
    if push is not None:
        print(f"Uploaded it: {push_folder(out, push)}")
