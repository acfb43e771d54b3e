"""A report as HTML: facts and pictures, in words of a language, in the template of the pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from zerosum.callbacks.monitor import SAMPLES
from zerosum.config.specs import Language
from zerosum.data.spec import POINT
from zerosum.errors import UserError
from zerosum.metrics.registry import FRECHET, better
from zerosum.pages import SHARPER_BELOW, picture_url, render
from zerosum.plots.film import read_frame
from zerosum.report.charts import Band, Line, line_chart, sparkline
from zerosum.report.facts import Facts, Setting, collect, is_named
from zerosum.report.health import Looks, signal_rows, verdict_name, verdict_sentence
from zerosum.report.samples import Pictures, is_cheap, make_pictures
from zerosum.report.words import Words, words_of
from zerosum.tasks.translation import EXAMINED
from zerosum.training.log import History, Point
from zerosum.training.saved_config import restarts_of

if TYPE_CHECKING:
    from zerosum.inference.run import Run

MOST_PICTURES, MOST_ROWS = 24, 60
PICTURE_PIXELS, SHEET_PIXELS = 480, 720
"""Wider pictures, and sheets of many samples, are made smaller."""
LONGEST_LIST = 12
"""Numbers that config.json has of each restart."""


def report(
    run: Run,
    *,
    language: Language,
    neighbours: bool = False,
    thorough: bool = True,
    notice: Callable[[str], None] | None = None,
) -> str:
    """Make the report of a run whose recipe is known.

    Args:
        run: the run.
        language: what it is written in.
        neighbours: whether to show the training images nearest to samples.
        thorough: whether to let G make pictures that take a CPU longer than a moment.
        notice: told why G makes none, where its checkpoint is damaged.

    Raises:
        UserError: neighbours were asked for and cannot be found.
    """
    made = None
    if thorough or is_cheap(run):
        try:
            made = make_pictures(run, neighbours=neighbours)
        except UserError as problem:
            if neighbours:
                raise
            if notice is not None:
                notice(f"The report is without pictures that G would make now: {problem}")
    return page(collect(run.directory), made, language=language)


def page(facts: Facts, made: Pictures | None, *, language: Language) -> str:
    """Put a report together, which stands by itself."""
    words = words_of(language)
    return render(
        "report.html.jinja",
        script="report.js",
        words=words,
        live=False,
        title=f"{facts.name} · {words('report')}",
        **contents(facts, made, words),
    )


def contents(facts: Facts, made: Pictures | None, words: Words) -> dict[str, Any]:
    """What the template's main part names, `report_main.html.jinja`."""
    history = facts.history
    return {
        "facts": facts,
        "summary": summary(facts, words),
        "verdict": verdict(history, words),
        "restarted": restarted(facts.saved, words),
        "curves": list(metric_curves(history, words)),
        "values": values_table(history, words),
        "film": film(facts, words),
        "made": made_of_weights(facts, made),
        "losses": list(loss_charts(history, words)),
        "terms": terms(history),
        "health": health(history, words),
        "cards": list(cards(facts, words)),
        "settings": settings(facts.settings),
        "data": list(data_rows(facts, words)),
        "examples": picture_at(facts.directory.examples_path, widest=SHEET_PIXELS),
        "machine": list(machine_rows(facts, words)),
    }


def summary(facts: Facts, words: Words) -> dict[str, Any]:
    """The head of the page: how far the run is, and its best metric."""
    history = facts.history
    seen = f"{history.seen:,}"
    done = (
        words("progress.open", seen=seen)
        if facts.budget is None or history.seen > facts.budget  # by the last whole batch
        else words("progress", seen=seen, budget=f"{facts.budget:,}")
    )
    parts = [words(f"state.{facts.state}")]
    if history.records:
        parts += [done, words("epoch", number=f"{history.epochs:g}")]
        if seconds := last_number(history, "seconds"):
            parts.append(duration(seconds, words))
    best = None
    if history.metrics:
        name = next(iter(history.metrics))
        direction = better(name)
        epoch, value = history.best(name, better=direction)
        best = {
            "label": words("best", name=name),
            "value": f"{value:.4g}",
            "where": words(
                "best.where",
                epoch=f"{epoch:g}",
                last=f"{history.final(name)[1]:.4g}",
                better=words(f"better.{direction}"),
            ),
        }
    return {
        "parts": parts,
        "best": best,
        "damaged": words("damaged", count=history.damaged) if history.damaged else "",
        "picture": next(
            (
                {**found, "alt": words("pictures.alt", epoch=f"{epoch:g}")}
                for epoch, path in reversed(facts.pictures)
                if (found := picture_at(path))
            ),
            None,
        ),
    }


def looks(history: History) -> Looks:
    """Every evaluation that was judged, with its epoch."""
    return [
        (record["epoch"], record["health"])
        for record in history.records
        if isinstance(record.get("health"), dict)
        and isinstance(record["health"].get("verdict"), str)
    ]


def verdict(history: History, words: Words) -> dict[str, Any]:
    """The last verdict with its sentence, and the alarms before it."""
    judged = looks(history)
    if not judged:
        return {
            "name": words("verdict.none"),
            "look": "plain",
            "why": words("why.none") if history.metrics else "",
            "earlier": [],
        }
    spans = history.alarms[:-1] if history.alarm else history.alarms
    return {
        "name": verdict_name(judged[-1][1]["verdict"], words),
        "look": "alarm" if history.alarm else "" if history.health == "healthy" else "plain",
        "why": verdict_sentence(judged, words),
        "earlier": [
            words(
                "alarm.once" if start == end else "alarm.span",
                verdict=verdict_name(name, words),
                start=f"{start:g}",
                end=f"{end:g}",
            )
            for name, start, end in spans[-LONGEST_LIST:]
        ],
    }


def restarted(saved: Mapping[str, Any], words: Words) -> str:
    """How often a training had collapsed and was taken back, and to where; "" if never."""
    restarts = restarts_of(saved)
    if not restarts:
        return ""
    last = restarts[-1]
    return words(
        "restarted",
        count=len(restarts),
        at=f"{last['at']:,}",
        back_to=f"{last['back_to']:,}",
        seed=last["seed"],
    )


def metric_curves(history: History, words: Words) -> Iterator[dict[str, Any]]:
    """A chart of each metric, its best marked and alarms shaded."""
    bands = [
        Band(name=verdict_name(name, words), start=start, end=end)
        for name, start, end in history.alarms
    ]
    for name, points in history.metrics.items():
        epoch, best = history.best(name, better=better(name))
        yield {
            "name": name,
            "shaded": bool(bands),
            "chart": line_chart(
                [Line(name=name, points=points)],
                name=name,
                summary=words(
                    "curve.summary",
                    first=f"{points[0][1]:.4g}",
                    best=f"{best:.4g}",
                    epoch=f"{epoch:g}",
                    last=f"{points[-1][1]:.4g}",
                ),
                x_title=words("epochs"),
                x_end=history.epochs,
                bands=bands,
                mark=(epoch, best),
                mark_text=words("curve.mark", value=f"{best:.4g}", epoch=f"{epoch:g}"),
            ),
        }


def values_table(history: History, words: Words) -> dict[str, Any] | None:
    """The metrics and verdicts as a table, for those who read no charts."""
    names = list(history.metrics)
    if not names:
        return None
    by_epoch = {name: dict(points) for name, points in history.metrics.items()}
    verdicts = {epoch: verdict_name(name, words) for epoch, name, _ in history.judged}
    epochs = sorted({epoch for points in by_epoch.values() for epoch in points})
    rows = [
        [f"{epoch:g}"]
        + [f"{by_epoch[name][epoch]:.4g}" if epoch in by_epoch[name] else "" for name in names]
        + ([verdicts.get(epoch, "")] if verdicts else [])
        for epoch in evenly(epochs, MOST_ROWS)
    ]
    note = ""
    if len(rows) < len(epochs):
        note = words("values.thinned", shown=len(rows), count=len(epochs))
    heads = [words("epochs"), *names, *([words("verdict")] if verdicts else [])]
    return {"heads": heads, "rows": rows, "note": note}


def film(facts: Facts, words: Words) -> dict[str, Any]:
    """The pictures of the epochs, not too many, without those that cannot be read."""
    chosen = evenly(facts.pictures, MOST_PICTURES)
    frames = [
        {
            **found,
            "alt": words("pictures.alt", epoch=f"{epoch:g}"),
            "caption": words("epoch", number=f"{epoch:g}"),
        }
        for epoch, path in chosen
        if (found := picture_at(path))
    ]
    task = facts.task
    if task == "generation" and tuple(facts.saved["image_shape"]) == POINT:
        task = "points"
    raw = ".raw" if keeps_no_average(facts) and task in ("generation", "points") else ""
    note = ""
    if len(chosen) < len(facts.pictures):
        note = words("pictures.some", shown=len(chosen), count=len(facts.pictures))
    return {"frames": frames, "note": words(f"pictures.{task}{raw}"), "some": note}


def keeps_no_average(facts: Facts) -> bool:
    """Whether the run has no average of G, whose samples are then G's own."""
    half_life: object = facts.saved["config"].get("ema_half_life")
    return half_life == 0


def made_of_weights(facts: Facts, made: Pictures | None) -> dict[str, Any] | None:
    """The pictures that G made for this report."""
    if made is None:
        return None
    classes = facts.saved["classes"]
    return {
        "checkpoint": f"{made.checkpoint:,}",
        "names": ", ".join(classes[: made.classes_shown]),
        "shown": made.classes_shown,
        "count": len(classes),
        "classes": shown(made.classes),
        "walk": shown(made.walk),
        "neighbours": shown(made.neighbours),
    }


def shown(sheet: Image.Image | None) -> dict[str, Any] | None:
    """A sheet of samples as the template takes pictures."""
    return None if sheet is None else picture(sheet, widest=SHEET_PIXELS)


def loss_charts(history: History, words: Words) -> Iterator[dict[str, Any]]:
    """Losses, D's opinions and the pace."""
    panels = (
        ("losses.both", {"losses.D": "loss_D", "losses.G": "loss_G"}),
        ("losses.opinion", {"losses.real": "D(x)", "losses.fake": "D(G(z))"}),
        ("losses.pace", {"losses.pace": "images_per_second"}),
    )
    for title, entries in panels:
        lines = [
            Line(name=words(name), points=points)
            for name, entry in entries.items()
            if (points := history.series(entry))
        ]
        if not lines:
            continue
        last = ", ".join(f"{line.name} {line.points[-1][1]:.4g}" for line in lines)
        yield {
            "title": words(title),
            "note": words("losses.opinion.note") if title == "losses.opinion" else "",
            "lines": [line.name for line in lines] if len(lines) > 1 else [],
            "chart": line_chart(
                lines,
                name=words(title),
                summary=words("losses.summary", values=last),
                x_title=words("epochs"),
                x_end=history.epochs,
            ),
        }


def terms(history: History) -> list[tuple[str, str]]:
    """Every term of the objectives in the last record."""
    last = history.records[-1] if history.records else {}
    return [
        (str(name), f"{value:.4g}")
        for name, value in last.items()
        if "/" in name and isinstance(value, int | float)
    ]


def health(history: History, words: Words) -> dict[str, Any] | None:
    """The signals of the last evaluation, each with its sentence."""
    judged = looks(history)
    rows = signal_rows(judged, words) if judged else []
    if not rows:
        return None
    return {
        "note": words("health.note", epoch=f"{judged[-1][0]:g}"),
        "rows": [{"signal": row, "spark": sparkline(row.points)} for row in rows],
    }


def cards(facts: Facts, words: Words) -> Iterator[dict[str, Any]]:
    """A card for each logged metric: what it is, and of what it was computed."""
    history, makes_images = facts.history, facts.task == "generation"
    held = facts.understood.get("held_out_images")
    compared = words("cards.held", count=f"{held:,}") if is_count(held) else words("cards.train")
    for name, points in history.metrics.items():
        plain = name.removeprefix("val_")
        kind = "frechet" if plain.startswith(FRECHET) else plain
        direction = better(name)
        rows = [
            (words("cards.best"), f"{history.best(name, better=direction)[1]:.4g}"),
            (words("cards.last"), f"{points[-1][1]:.4g}"),
            (words("cards.better"), words(f"better.{direction}")),
        ]
        if facts.task:
            judged = "cards.of.translation"
            if makes_images:
                raw = keeps_no_average(facts)
                judged = "cards.of.generation.raw" if raw else "cards.of.generation"
            count = SAMPLES if makes_images else EXAMINED
            rows.append((words("cards.samples"), words(judged, count=f"{count:,}")))
            against = {"translation": words("cards.pairs")}.get(facts.task, compared)
            if facts.task == "unpaired translation":
                against = words("cards.domain")
            rows.append((words("cards.reference"), against))
        if kind == "frechet":
            features = plain.removeprefix(FRECHET).removesuffix("_A").removesuffix("_B")
            rows.append((words("cards.features"), features))
        known = kind in ("frechet", "l1", "ssim", "psnr")
        yield {"name": name, "what": words(f"metric.{kind}") if known else "", "rows": rows}


def settings(listed: Sequence[Setting]) -> dict[str, Any]:
    """All settings, and those that differ from the recipe's."""
    return {
        "known": any(setting.recipes is not None for setting in listed),
        "differing": [setting for setting in listed if setting.differs],
        "all": listed,
    }


def data_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str]]:
    """What is known of the data, a label and a value each."""
    saved, understood = facts.saved, facts.understood
    yield words("data.name"), facts.data
    if understood.get("origin") and not is_named(facts.data):
        yield words("data.origin"), str(understood["origin"])
    count = saved.get("num_images", understood.get("images"))
    if is_count(count):
        yield words("data.count"), f"{count:,}"
    if is_count(understood.get("held_out_images")):
        yield words("data.held"), f"{understood['held_out_images']:,}"
    channels, height, width = saved["image_shape"]
    if (source := saved.get("source_channels")) and is_count(source):
        key = "data.shape.pairs"
    else:
        key = "data.shape.points" if (channels, height, width) == POINT else "data.shape.images"
    blanks = {"height": height, "width": width, "channels": channels}
    pairs = {"source": source, "target": channels - (source or 0)} if is_count(source) else {}
    yield words("data.shape"), words(key, **blanks, **pairs)
    if saved["classes"]:
        counts = understood.get("classes")
        counts = counts if isinstance(counts, dict) else {}
        names = [
            f"{name} ({counts[name]:,})" if is_count(counts.get(name)) else name
            for name in saved["classes"][:LONGEST_LIST]
        ]
        more = ["…"] if len(saved["classes"]) > LONGEST_LIST else []
        yield words("data.classes"), ", ".join([*names, *more])
    if isinstance(saved.get("data_sha256"), str):
        yield "sha256", saved["data_sha256"]
    warnings = understood.get("warnings")
    for warning in warnings if isinstance(warnings, list) else ():
        yield words("data.warning"), str(warning)


def machine_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str]]:
    """On what the run was trained, with what, how long."""
    found = {"zerosum": facts.saved.get("zerosum"), **facts.circumstances}
    machine = facts.saved.get("machine")
    found |= machine if isinstance(machine, dict) else {}
    for name in ("zerosum", "torch", "python", "processor", "device", "threads"):
        if found.get(name) is not None:
            yield words(f"machine.{name}"), str(found[name])
    if seconds := last_number(facts.history, "seconds"):
        yield words("machine.seconds"), duration(seconds, words)
        pace = f"{facts.history.seen / seconds:,.0f}"
        yield words("machine.pace"), words("live.pace", pace=pace)


def picture_at(path: Path, *, widest: int = PICTURE_PIXELS) -> dict[str, Any] | None:
    """A picture of the run directory as the template takes it; None if it cannot be read."""
    try:
        found = path.stat()
        return picture_in(path, found.st_size, found.st_mtime_ns, widest)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None  # Pillow calls a broken PNG a SyntaxError


@lru_cache(maxsize=2 * MOST_PICTURES)
def picture_in(path: Path, size: int, changed: int, widest: int) -> dict[str, Any]:
    """The picture in a file of such a size and time of change, read once: a live page has many."""
    return picture(read_frame(path), widest=widest)


def picture(image: Image.Image, *, widest: int) -> dict[str, Any]:
    """A picture as the template takes it: its data, its size, and how it is enlarged."""
    source, width, height = picture_url(image, widest=widest)
    kept = "pixels" if width < SHARPER_BELOW else ""
    return {"source": source, "width": width, "height": height, "kind": kept}


def duration(seconds: float, words: Words) -> str:
    """A stretch of time in the unit that suits it, as `callbacks.console.in_time` has them."""
    if seconds < 100:
        return words("seconds", count=f"{seconds:.0f}")
    if seconds < 100 * 60:
        return words("minutes", count=f"{seconds / 60:.0f}")
    hours = seconds / 3600
    if hours < 48:
        return words("hours", count=f"{hours:.1f}")
    return words("days", count=f"{hours / 24:.1f}")


def last_number(history: History, name: str) -> float | None:
    """The last value of an entry of the log, if it has any above 0."""
    points: list[Point] = history.series(name)
    return points[-1][1] if points and points[-1][1] > 0 else None


def is_count(value: object) -> bool:
    """Whether a value from JSON is a count above 0."""
    return type(value) is int and value > 0


def evenly(items: Sequence[Any], most: int) -> list[Any]:
    """At most so many items at even distances, the first and the last among them."""
    kept = np.linspace(0, len(items) - 1, min(len(items), most)).round().astype(int)
    return [items[index] for index in kept]
