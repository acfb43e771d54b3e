"""A run as one HTML file to play with: its generator inside, run by onnxruntime-web.

Everything that the page needs is in it, compressed: the runtime, one ONNX file for each state of
the weights, the z of `--seed 0` and what zerosum makes of them, against which the page checks
itself. Its policy lets it run its own two scripts, by their hashes, and load nothing.
"""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from zerosum.config.specs import Language, language_here
from zerosum.data.arrays import Pixels
from zerosum.data.catalog import mixture_of
from zerosum.data.spec import DataSpec
from zerosum.errors import UserError
from zerosum.export.examples import example_sources
from zerosum.export.onnx_model import (
    describe,
    replace_noise,
    require_onnx,
    rounded,
    to_onnx,
)
from zerosum.export.opinion import opinion_onnx
from zerosum.export.parity import measure_parity
from zerosum.export.play_page import State, packed_size, render, runtime
from zerosum.game.cycle import GeneratorPair
from zerosum.game.sampling import Generator
from zerosum.inference.description import Description
from zerosum.inference.directions import principal_directions
from zerosum.inference.run import Run
from zerosum.nets.layers import plain
from zerosum.pages import write_html

LARGEST = 64 * 2**20
"""Bytes of a page. A browser unpacks it in memory several times over."""

SMALL = 16 * 2**20
"""Bytes up to which a page takes in more than one state of the weights."""

MOST_STATES = 6
NUM_DIRECTIONS = 6
NUM_POINTS = 1000
GRID_PIXELS = 150_000
"""Pixels of all images in the grid: what a processor makes at once without a stutter."""

CHECKED_BYTES = 256 * 1024
"""Of the images that a page brings along to check itself."""

NUM_COLORS = 8
FEW_COLORS = 12
"""Sources of at most so many colours are drawn in exactly these."""

DRAWABLE = (1, 3, 4)
"""Channels of sources that can be drawn: gray, RGB, RGBA."""


CPU = torch.device("cpu")


def write_playground(
    run: Run,
    out: Path,
    *,
    checkpoint: str | int = "newest",
    half: bool = False,
    language: Language | None = None,
    notice: Callable[[str], None],
) -> None:
    """Write the page.

    Args:
        run: whose generator it holds.
        out: where to, a name that ends in .html.
        checkpoint: what the page shows first: "newest", "best", or the images seen.
        half: keep weights as float16, which halves them.
        language: of the page; by default the locale's.
        notice: told what of the data is in the page, and what is left out.

    Raises:
        UserError: the page would be too large or cannot be written, there is no such checkpoint, a
            package is missing, or the net cannot be exported.
    """
    write_html(
        playground(run, checkpoint=checkpoint, half=half, language=language, notice=notice), out
    )


def playground(
    run: Run,
    *,
    checkpoint: str | int = "newest",
    half: bool = False,
    language: Language | None = None,
    notice: Callable[[str], None],
) -> str:
    """Make the page, as `write_playground`, whose arguments it takes."""
    require_onnx()
    seen = run.directory.checkpoints.resolve(checkpoint)
    G = run.generator(checkpoint=seen, device=CPU)
    about = describe(G, run.spec)
    require_drawable(about)
    require_small(expected_size(G, half=half), half=half)
    if about.source_channels:
        kind, facts = "translation", translation_facts(run, seen, about, notice)
    elif about.are_points:
        kind, facts = "points", points_facts(run, seen, G, about)
    else:
        kind, facts = "noise", noise_facts(run, seen, G, about)
    states: list[State] = []
    size = len(runtime("ort-wasm-simd-threaded.wasm")) * 4 / 3
    for state in states_of(run, seen, half=half):
        size += (packed_size(state.model) + packed_size(state.opinion or b"")) * 4 / 3
        if states and size > SMALL:
            notice(
                f"The page holds {len(states)} of the run's states of the weights: with more it "
                f"would be larger than {SMALL // 2**20} MB."
            )
            break
        require_small(size, half=half)
        states.append(state)
    facts |= {
        "kind": kind,
        "half": half,
        "about": about.to_json(),
        "states": [
            {
                "seen": each.seen,
                "ema": each.ema,
                "reverse": each.reverse,
                "best": each.best,
                "opinion": each.opinion is not None,
            }
            for each in states
        ],
    }
    page = render(run, facts, states, language=language or language_here())
    require_small(len(page.encode()), half=half)
    return page


def require_drawable(about: Description) -> None:
    """Refuse sources that nobody could draw or open.

    Raises:
        UserError: they have other channels than gray, RGB or RGBA.
    """
    if about.source_channels and about.source_channels not in DRAWABLE:
        raise UserError(
            f"This run translates images of {about.source_channels} channels, which no browser "
            "can draw: expected 1, 3 or 4. Export it instead: zerosum export RUN --out DIR."
        )


def require_small(num_bytes: float, *, half: bool) -> None:
    """Refuse a page that a browser would choke on.

    Raises:
        UserError: it is larger than `LARGEST`.
    """
    if num_bytes > LARGEST:
        advice = "" if half else "Halve the weights with --half, or train"
        raise UserError(
            f"The page would have {num_bytes / 2**20:.0f} MB: expected at most "
            f"{LARGEST // 2**20} MB. {advice or 'Train'} narrower nets (--width; "
            "--hidden for MLPs)."
        )


def expected_size(G: nn.Module, *, half: bool) -> float:
    """About how many bytes a page with one state of G's weights has, before it is made."""
    weights = sum(each.numel() for each in G.parameters()) * (2 if half else 4)
    return (weights * 0.9 + len(runtime("ort-wasm-simd-threaded.wasm"))) * 4 / 3


def states_of(run: Run, seen: int, *, half: bool) -> Iterator[State]:
    """Export states of the weights, the most wanted first: the chosen one, raw, other checkpoints.

    Args:
        run: whose they are.
        seen: the chosen checkpoint.
        half: whether weights become float16.
    """
    checkpoints = run.directory.checkpoints
    best = checkpoints.best()
    averaged = run.config.ema_half_life > 0  # else the average is G itself
    wanted = [(seen, averaged, False)]
    net = run.untrained(torch.device("meta")).net
    if isinstance(net, GeneratorPair):
        wanted.append((seen, averaged, True))
    if averaged:
        wanted.append((seen, False, False))
    wanted += [(each, averaged, False) for each in reversed(checkpoints.seen()) if each != seen]
    if isinstance(net, GeneratorPair):
        wanted += [(each, ema, True) for each, ema, reverse in wanted if not reverse][1:]
    for at, ema, reverse in wanted[:MOST_STATES]:
        G = run.generator(checkpoint=at, ema=ema, reverse=reverse, device=CPU)
        yield State(
            seen=at,
            ema=ema,
            reverse=reverse,
            best=at == best,
            model=checked_onnx(G, run.spec, half=half),
            opinion=opinion_onnx(run, at) if run.spec.are_points else None,
        )


def checked_onnx(G: Generator, spec: DataSpec, *, half: bool) -> bytes:
    """G as an ONNX file that makes what torch makes.

    Raises:
        UserError: it does not, or the net cannot be exported.
    """
    used = rounded(G) if half else G
    content = to_onnx(used, spec, half=half)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(content)
        measure_parity(path, used, G, spec, describe(used, spec))
    return content


# What each kind of page knows besides.


def noise_facts(run: Run, seen: int, G: Generator, about: Description) -> dict[str, Any]:
    """What a page of images from noise knows: z, what zerosum makes of them, and directions."""
    height, width = about.image_size
    count = next(n for n in (64, 36, 16, 9, 4) if n * height * width <= GRID_PIXELS or n == 4)
    made = run.sample_with_inputs(count, seed=0, checkpoint=seen, device=CPU)
    images = made.samples
    checked = max(1, min(16, count, CHECKED_BYTES // images[0].nbytes))
    expected = images[:checked].transpose(0, 3, 1, 2)
    return {
        "count": count,
        "z": encoded(made.z),
        "expected": encoded(np.ascontiguousarray(expected)),
        "checked": checked,
        **directions_facts(G, about),
    }


def directions_facts(G: Generator, about: Description) -> dict[str, Any]:
    """The principal directions of z, a row each."""
    found = principal_directions(G, min(NUM_DIRECTIONS, about.latent_size))
    return {
        "directions": encoded(found.vectors),
        "shares": [round(float(share), 4) for share in found.shares],
    }


def points_facts(run: Run, seen: int, G: Generator, about: Description) -> dict[str, Any]:
    """What a page of points in the plane knows: z, their points, modes, and how D is read."""
    made = run.sample_with_inputs(NUM_POINTS, seed=0, checkpoint=seen, device=CPU)
    mixture = mixture_of(run.config.data)
    centres = np.array(mixture.centres if mixture else [(0.0, 0.0)], np.float32)
    reach = max(
        float(np.abs(centres).max()) * 1.3, float(np.quantile(np.abs(made.samples), 0.99)) * 1.1
    )
    loss = getattr(run.config, "loss", "")
    return {
        "count": NUM_POINTS,
        "z": encoded(made.z),
        "expected": encoded(made.samples.astype(np.float32)),
        "checked": NUM_POINTS,
        "reach": round(max(reach, 0.1), 3),
        "modes": [[round(float(each), 4) for each in centre] for centre in centres]
        if mixture
        else [],
        "deviation": mixture.deviation if mixture else 0.0,
        "opinion_classes": bool(about.classes)
        and getattr(run.config, "conditioning", "") != "classifier",
        "probability": loss in ("non-saturating", "minimax"),
        **directions_facts(G, about),
    }


def translation_facts(
    run: Run, seen: int, about: Description, notice: Callable[[str], None]
) -> dict[str, Any]:
    """What a page that translates knows: examples, colours, noise, and one translation."""
    both = isinstance(run.untrained(torch.device("meta")).net, GeneratorPair)
    ways = {
        "forward": way_facts(run, seen, about, examples_told(run, notice, reverse=False), False)
    }
    if both:
        G = run.generator(checkpoint=seen, reverse=True, device=CPU)
        about_back = describe(G, run.spec)
        if about_back.source_channels in DRAWABLE:
            sources = examples_told(run, notice, reverse=True)
            ways["reverse"] = way_facts(run, seen, about_back, sources, True)
    source, _, target = str(getattr(run.config, "direction", "AtoB")).partition("to")
    return {"ways": ways, "domains": [source, target]}


def way_facts(
    run: Run, seen: int, about: Description, sources: Pixels | None, reverse: bool
) -> dict[str, Any]:
    """What is known of one way to translate.

    Args:
        run: whose way it is.
        seen: the checkpoint.
        about: what G takes and makes that way.
        sources: examples, uint8 (n, h, w, c); None where the data is gone.
        reverse: whether it goes from target to source.
    """
    height, width = about.image_size
    shown = sources if sources is not None else pattern(height, width, about.source_channels)[None]
    translator = run.translator(checkpoint=seen, reverse=reverse, device=CPU)
    masks: list[Tensor] = []
    translator = replace(translator, net=with_recorded_noise(translator.net, masks))
    expected = translator.translate(shown[0])
    bits = [np.packbits((mask > 0).numpy().ravel()) for mask in masks]
    return {
        "about": about.to_json(),
        "source": encoded(np.ascontiguousarray(shown[0].transpose(2, 0, 1))),
        "expected": encoded(np.ascontiguousarray(expected.transpose(2, 0, 1))),
        "masks": encoded(np.concatenate([np.zeros(0, np.uint8), *bits])),
        "examples": [png_url(image) for image in (sources if sources is not None else [])],
        **palette(shown),
    }


class RecordedNoise(nn.Module):
    """In place of the noise of a net: draws the same numbers, and keeps the mask."""

    def __init__(self, probability: float, masks: list[Tensor]) -> None:
        super().__init__()
        self.probability = probability
        self.masks = masks

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (b, c, h, w) -> maps (b, c, h, w)."""
        mask = nn.functional.dropout(torch.ones_like(maps), self.probability, training=True)
        self.masks.append(mask)
        return maps * mask


def with_recorded_noise(net: nn.Module, masks: list[Tensor]) -> nn.Module:
    """A copy of a net that translates, which keeps the masks of its noise."""
    return replace_noise(plain(net), lambda noise: RecordedNoise(noise.probability, masks))


def examples_told(run: Run, notice: Callable[[str], None], *, reverse: bool) -> Pixels | None:
    """Choose sources to begin with, and say whose they are: the page shows them to anybody."""
    examples = example_sources(run, reverse=reverse)
    if isinstance(examples, str):
        notice(f"The page has no examples to begin with: {examples}")
        return None
    kind = "held-out" if examples.held_out else "training"
    notice(
        f"The page holds {len(examples.images)} {kind} images as examples: of domain "
        f"{examples.domain} of {run.config.data}."
    )
    return examples.images


def pattern(height: int, width: int, channels: int) -> Pixels:
    """An image to check a page with where there is no other: a soft slope, uint8 (h, w, c)."""
    rows = np.linspace(0, 255, height)[:, None, None]
    columns = np.linspace(0, 255, width)[None, :, None]
    return np.broadcast_to((rows + columns) / 2, (height, width, channels)).astype(np.uint8)


def palette(sources: Pixels) -> dict[str, Any]:
    """The colours that sources are drawn in, as CSS writes them, and that of their background."""
    rgb = np.repeat(sources, 3, axis=-1) if sources.shape[-1] == 1 else sources[..., :3]
    pixels = rgb.reshape(-1, 3)
    colors, counts = np.unique(pixels, axis=0, return_counts=True)
    if len(colors) > FEW_COLORS:
        picture = Image.fromarray(pixels.reshape(-1, sources.shape[2], 3))
        reduced = picture.quantize(NUM_COLORS, dither=Image.Dither.NONE).convert("RGB")
        colors, counts = np.unique(np.asarray(reduced).reshape(-1, 3), axis=0, return_counts=True)
    ordered = [css_color(each) for each in colors[np.argsort(-counts, kind="stable")]]
    return {"colors": ordered, "background": ordered[0]}


def css_color(rgb: NDArray[Any]) -> str:
    """Three bytes as CSS writes a colour."""
    return "#" + "".join(f"{int(each):02x}" for each in rgb)


def png_url(image: Pixels) -> str:
    """An image, uint8 (h, w, c), as a data URL."""
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def encoded(array: NDArray[Any]) -> str:
    """The bytes of an array, little-endian, in base64."""
    return base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode()
