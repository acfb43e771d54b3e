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
from zerosum.evaluation.evaluate import (
    EvalConfig,
    agreed_protocol,
    choose_net,
    evaluate_source,
    find_reference,
)
from zerosum.evaluation.images import RealImages
from zerosum.hardware import choose_device
from zerosum.metrics import cache
from zerosum.metrics.evaluate import versions
from zerosum.metrics.registry import METRICS
from zerosum.reading import read_bytes
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
    checkpoint = run.run.directory.checkpoints.resolve(config.checkpoint)
    config = replace(config, source=str(run.path), checkpoint=str(checkpoint))
    # Whoever computes says what there is to say of the images and of the net.
    reference = find_reference(config, run.run, lambda text: None)
    key = metrics_key(run, config, checkpoint, reference)
    known = cache.read_json(key) if key else None
    if known is None:
        notice(f"Evaluating '{run.path}' at {checkpoint:,} images.")
        results = evaluate_source(config, notice=notice)
        known = {name: asdict(result) for name, result in results.items()}
        if key:
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


def metrics_key(
    run: Trained, config: EvalConfig, checkpoint: int, reference: RealImages
) -> str | None:
    """Name the metrics by all that decides them, or None where code of the user's own does.

    Raises:
        UserError: the reference images are not there.
    """
    manifest = run.run.directory.checkpoints.path(checkpoint) / MANIFEST
    try:
        content = hashlib.sha256(read_bytes(manifest)).hexdigest()
    except OSError as error:
        raise UserError(f"The checkpoint '{manifest.parent}' is damaged: {error}.") from None
    protocol = agreed_protocol(config, run.run)
    # Which net it is depends on what is installed.
    device = choose_device(config.device)
    net = choose_net(protocol, reference, lambda text: None, device)
    ours = "recipe_file" not in run.saved and net.sha256 is not None
    if not ours or not all(METRICS[name].ours for name in protocol.metrics):
        return None
    asked = {**asdict(config), "source": None, "reference": None}
    return cache.content_key(
        "measured",  # as 0.1 called them
        content,
        json.dumps(asked, default=str, sort_keys=True),
        run.data_sha256,
        reference.fingerprint(protocol.split),
        net.name,
        net.sha256,
        net.resize,
        json.dumps(versions(), sort_keys=True),
    )
