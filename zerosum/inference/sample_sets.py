"""Sets of samples larger than memory, which are gone on with where they stopped.

A hidden file in the folder records what decides the images. A command that says the same goes on
with what is missing; any other is refused. Several processes share the units among them, and need
nothing of one another but to see the same folder.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from zerosum._version import __version__
from zerosum.data.names import printable
from zerosum.data.progress import progress
from zerosum.errors import UserError, and_more, shown
from zerosum.files import cannot_write, write_whole
from zerosum.inference.run import print_notice
from zerosum.inference.sample_forms import Form, is_unfinished
from zerosum.inference.sampler import Sampled, Sampler
from zerosum.inference.work_share import WorkShare

RECORD = ".samples.json"
"""What the folder's record is called."""
GO_ON = "Make room and give the same command again: it goes on where it stopped."
PAUSE = 0.2
"""Seconds between two looks at what other processes have done."""


def begun(folder: Path) -> bool:
    """Whether a folder holds a set of samples that can be gone on with."""
    return (folder / RECORD).is_file()


def write_set(sampler: Sampler, form: Form, decided_by: Mapping[str, Any], share: WorkShare) -> int:
    """Write what is missing of a set of samples; the first process waits for the others.

    Args:
        sampler: makes them.
        form: how they lie in files.
        decided_by: what decides the images beside G's weights, as JSON can tell it.
        share: this process's.

    Returns:
        How many images were there already.

    Raises:
        UserError: the folder holds other things, it was begun otherwise, or cannot be written.
        KeyboardInterrupt: Ctrl-C; what is there is whole.
    """
    if share.rank > 0 and not share.of(form.num_units):
        return 0  # nothing of it is this process's, and perhaps the others are done
    try:
        form.folder.mkdir(parents=True, exist_ok=True)
        open_record(form, {**decided_by, "weights_sha256": sampler.fingerprint()})
        there = look(form)
        own = [unit for unit in share.of(form.num_units) if not there[unit]]
        to_make = sum(stop - start for start, stop in map(form.bounds, own))
        with progress("Sampling", to_make) as advance:
            for unit in own:
                form.write(unit, told(sampler.pieces(*form.bounds(unit)), advance))
        if share.rank == 0:
            if share.world > 1:
                wait_for_others(form)
            sweep(form)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "Interrupted: the same command goes on where this one was."
        ) from None
    except OSError as error:
        raise cannot_write(form.folder, error, GO_ON) from None
    return images_in(form, there)


def open_record(form: Form, decided_by: Mapping[str, Any]) -> None:
    """Record what decides the images, or make sure that it is what was recorded.

    Raises:
        UserError: something else was, or the folder holds other things.
        OSError: it cannot be read or written.
    """
    wanted = {
        "what": "samples made by zerosum",
        "decided_by": {
            "form": form.name,
            "count": form.count,
            "images_a_unit": form.images_a_unit,
            **decided_by,
        },
        "made_with": {
            "zerosum": __version__,
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
        },
        "classes": list(form.naming.classes),
    }
    wanted = json.loads(json.dumps(wanted))
    path = form.folder / RECORD
    # The record comes before the files: whoever sees one of these, sees it too, if it looks later.
    others = [each.name for each in os.scandir(form.folder) if not is_unfinished(each.name)]
    try:
        recorded = json.loads(path.read_bytes())
        decided, made_with = dict(recorded["decided_by"]), dict(recorded["made_with"])
    except FileNotFoundError:
        if others:
            raise not_empty(form.folder) from None
        write_whole(path, json.dumps(wanted, indent=2) + "\n", durable=True)
        return
    except (ValueError, TypeError, KeyError, RecursionError):
        raise UserError(
            f"The record '{path}' of what the samples beside it are is damaged. Restore it from a "
            "copy, or choose another folder with --out."
        ) from None
    if decided != wanted["decided_by"]:
        raise begun_otherwise(form.folder, decided, wanted["decided_by"])
    if made_with != wanted["made_with"]:
        print_notice(
            f"'{form.folder}' was begun with {in_words(made_with)}, and goes on with "
            f"{in_words(wanted['made_with'])}: samples may differ in what is rounded."
        )


def not_empty(folder: Path) -> UserError:
    """Build the error for a folder in which something else is."""
    return UserError(
        f"The folder '{folder}' is not empty: samples would mix with what is there. Choose "
        "another with --out."
    )


def begun_otherwise(folder: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> UserError:
    """Build the error for a set of samples that another command began."""
    names = [name for name in {**here, **there} if there.get(name) != here.get(name)]
    facts = [
        f"{name.replace('_', ' ')} {printable(told_short(there.get(name)))} there and "
        f"{told_short(here.get(name))} here"
        for name in names
    ]
    trained_on = (
        " If the run was trained on since, name the checkpoint that they are of with --checkpoint."
        if "weights_sha256" in names
        else ""
    )
    return UserError(
        f"'{folder}' holds samples that were begun otherwise: {and_more(facts, len(facts))}. Give "
        f"the command that they were begun with, or choose another --out.{trained_on}"
    )


def told_short(value: Any) -> str:
    """A recorded value in a few letters."""
    return value[:12] if isinstance(value, str) and len(value) == 64 else shown(value)


def in_words(versions: Mapping[str, Any]) -> str:
    """Versions as a list."""
    return printable(", ".join(f"{name} {value}" for name, value in versions.items()))


def look(form: Form) -> list[bool]:
    """Find which units of a set are there, whole.

    Raises:
        UserError: there are files that are none of it, or some of it twice.
        OSError: the folder cannot be listed.
    """
    found = [0] * form.num_units
    foreign: list[str] = []
    with os.scandir(form.folder) as entries:  # not a list: there may be millions
        for entry in entries:
            unit = form.unit_of(entry.name)
            if unit is not None:
                found[unit] += entry.stat().st_size > 0  # after a power cut, empty files are left
            elif not entry.name.startswith(".") and len(foreign) < 10:
                foreign.append(printable(entry.name))
    if foreign:
        raise UserError(
            f"The folder '{form.folder}' holds what is none of these samples: "
            f"{and_more(sorted(foreign))}. Move it away, or choose another --out."
        )
    for unit, number in enumerate(found):
        if number > form.size_of(unit):
            start, stop = form.bounds(unit)
            raise UserError(
                f"The folder '{form.folder}' holds {number} files of the {form.size_of(unit)} that "
                f"images {start} to {stop - 1} have: some are there twice. Move the copies away, "
                "or choose another --out."
            )
    return [number == form.size_of(unit) for unit, number in enumerate(found)]


def images_in(form: Form, there: list[bool]) -> int:
    """How many images the units have that are there."""
    bounds = (form.bounds(unit) for unit, is_there in enumerate(there) if is_there)
    return sum(stop - start for start, stop in bounds)


def wait_for_others(form: Form) -> None:
    """Wait until every unit is there.

    Raises:
        UserError: the folder holds what is none of it.
        OSError: it cannot be listed.
    """
    began = time.monotonic()
    while not all(look(form)):
        # Listing a million files takes a second: be idle for longer than that.
        time.sleep(max(PAUSE, 4 * (time.monotonic() - began)))
        began = time.monotonic()


def sweep(form: Form) -> None:
    """Remove what killed processes left half written, once every unit is there.

    Raises:
        OSError: the folder cannot be listed or changed.
    """
    for name in [each.name for each in os.scandir(form.folder) if is_unfinished(each.name)]:
        (form.folder / name).unlink(missing_ok=True)


def remove_set(form: Form) -> None:
    """Remove a set of parts that has become one file, and its folder if nothing else is in it."""
    with suppress(OSError):
        for name in [each.name for each in os.scandir(form.folder)]:
            if form.unit_of(name) is not None or name == RECORD:
                (form.folder / name).unlink(missing_ok=True)
        form.folder.rmdir()


def told(pieces: Iterator[Sampled], advance: Callable[[int], None]) -> Iterator[Sampled]:
    """The same samples, whose number is told as they pass."""
    for piece in pieces:
        yield piece
        advance(len(piece.samples))
