"""Metrics of a run's checkpoint, computed as `zerosum evaluate` does, or remembered."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from zerosum.comparison.groups import Trained
from zerosum.errors import UserError
from zerosum.evaluation.evaluate import EvalConfig, evaluate_source, find_reference, settle
from zerosum.evaluation.images import RealImages
from zerosum.evaluation.selection import choose_net
from zerosum.metrics import cache
from zerosum.metrics.evaluate import versions
from zerosum.training.checkpoint import MANIFEST


def compute_metrics(
    run: Trained, config: EvalConfig, *, notice: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """Compute the metrics of one run's checkpoint against its own data, or remember them.

    They are kept under a key that names all that decides them: the checkpoint's content, the
    config, the reference images, the versions.

    Args:
        run: whose checkpoint is evaluated.
        config: what is computed of every run; its source and checkpoint are filled in here.
        notice: told what the user should know besides.

    Returns:
        By metric: `value`, and the `card` that belongs beside it.

    Raises:
        UserError: the run has no such checkpoint, or its data are not there.
    """
    checkpoint = resolve(run, config.checkpoint)
    config = replace(config, source=str(run.path), checkpoint=str(checkpoint))
    # Whoever computes says what there is to say of the images and of the net.
    reference = find_reference(config, run.run, lambda text: None)
    key = metrics_key(run, config, checkpoint, reference)
    known = cache.read_json(key)
    if known is None:
        notice(f"Evaluating '{run.path}' at {checkpoint:,} images.")
        results = evaluate_source(config, notice=notice)
        known = {name: asdict(result) for name, result in results.items()}
        cache.write_json(key, renamed(known, before=str(run.path), after=""))
    else:
        known = renamed(known, before="", after=str(run.path), reference=reference.name)
    return dict(known)


def renamed(
    results: dict[str, dict[str, Any]], *, before: str, after: str, reference: str | None = None
) -> dict[str, dict[str, Any]]:
    """Copy metrics, with other paths in their cards: where things lie is not remembered.

    Args:
        results: by metric, its `value` and `card`.
        before: what the name of what was evaluated begins with.
        after: what it shall begin with.
        reference: what to call the real images; None to leave their name.
    """
    copied = copy.deepcopy(results)
    for result in copied.values():
        fake, *reals = (result["card"].get(key) for key in ("evaluated", "reference", "floor_of"))
        fake["name"] = after + fake["name"].removeprefix(before)
        for real in reals:
            if real is not None and reference is not None:
                real["name"] = reference
    return copied


def resolve(run: Trained, checkpoint: str) -> int:
    """Find which checkpoint is meant: newest, best, or the images seen at one.

    Raises:
        UserError: the run has none such.
    """
    checkpoints = run.run.directory.checkpoints
    kept = checkpoints.seen()
    named = {"newest": kept[-1] if kept else None, "best": checkpoints.best()}
    found = named.get(checkpoint, int(checkpoint) if checkpoint.isdecimal() else None)
    if found not in kept or found is None:
        raise UserError(
            f"The run '{run.path}' has no checkpoint '{checkpoint}'. It keeps: "
            f"{', '.join(map(str, kept)) or 'none'}; expected one that all runs have, newest or "
            "best."
        )
    return found


def metrics_key(run: Trained, config: EvalConfig, checkpoint: int, reference: RealImages) -> str:
    """Name the metrics by all that decides them.

    Raises:
        UserError: the reference images are not there.
    """
    manifest = run.run.directory.checkpoints.path(checkpoint) / MANIFEST
    try:
        content = hashlib.sha256(manifest.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"The checkpoint '{manifest.parent}' is damaged: {error}.") from None
    terms = settle(config, run.run)
    # Which net it is depends on what is installed.
    net = choose_net(terms, reference, lambda text: None)
    asked = {**asdict(config), "source": None, "reference": None}
    return cache.content_key(
        "measured",  # as 0.1 called them
        content,
        json.dumps(asked, default=str, sort_keys=True),
        run.data_sha256,
        reference.fingerprint(terms.split),
        net.name,
        net.sha256,
        net.resize,
        json.dumps(versions(), sort_keys=True),
    )
