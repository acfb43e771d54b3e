"""Makes docs/reference/ of the settings, the recipes and the docstrings; a test holds it to them.

    python tools/reference.py     # writes the pages that have changed

Nothing there is written by hand: options come from the parser and the fields of the configs,
recipes from their table, the Python API from signatures and docstrings.
"""

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
MADE = "<!-- made by tools/reference.py: change the source, not this page -->"
SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields):\n((?:(?: +.*)?\n)+)", re.MULTILINE)
ENTRY = re.compile(r"^(\*{0,2}[\w.]+)(?: \([^)]*\))?:\s*", re.MULTILINE)
Rows = Iterable[tuple[object, ...]]


def pages() -> dict[str, str]:
    """Every page of docs/reference/ by its name."""
    return {
        "options.md": options_page(),
        "recipes.md": recipes_page(),
        "python.md": python_page(),
    }


# Options


def options_page() -> str:
    """Flags of every command, and the settings of `zerosum train`."""
    from zerosum.cli.main import app
    from zerosum.cli.sweep import sweep_app
    from zerosum.cli.train import train_app
    from zerosum.config.base import Settings
    from zerosum.config.gan import AdversarialSettings, GanSettings
    from zerosum.config.translation import CycleGANSettings, Pix2PixSettings, TranslationSettings

    lines = [
        "# Options",
        MADE,
        "Every setting is a flag of `zerosum train RECIPE`, a line of a TOML file (`--config`), a "
        "keyword of `zerosum.train` and an entry of the run's config.json. The defaults here are "
        "those of the settings' classes; what each recipe puts in their place is in "
        "[recipes](recipes.md), and `zerosum train RECIPE --help` names those that will be used. A "
        "setting that nothing would read is refused.",
    ]
    groups = [
        ("Of every recipe", Settings, None),
        ("Objective and optimizer, of every recipe", AdversarialSettings, Settings),
        ("Of recipes that make images from noise", GanSettings, AdversarialSettings),
        ("Of recipes that translate", TranslationSettings, AdversarialSettings),
        ("Of Pix2Pix", Pix2PixSettings, TranslationSettings),
        ("Of CycleGAN", CycleGANSettings, TranslationSettings),
    ]
    lines.append("## Settings of a training")
    for title, settings, base in groups:
        lines += [f"### {title}", settings_table(settings, base)]
    named = {flag_of(name) for name in GanSettings.model_fields}
    of_recipes = {"train": train_app, "sweep": sweep_app}
    for words, app_of in of_recipes.items():
        lines += [f"## `zerosum {words}`", "Beside the settings:"]
        parser = app_of(["dcgan"])["dcgan"]
        flags = [flag for flag in shown_flags(parser) if flag.names[0] not in named]
        lines.append(table(("flag", "what", "default"), map(flag_row, flags)))
    for words, parser in sorted(commands_of(app)):
        if words in of_recipes:
            continue
        lines += [f"## `zerosum {words}`", summary_of(parser.default_command)]
        helps = sections_of(parser.default_command.__doc__ or "").get("Args", "")
        rows = [flag_row(flag, dict(entries_of(helps))) for flag in shown_flags(parser)]
        if rows:
            lines.append(table(("flag", "what", "default"), rows))
    return "\n\n".join(lines) + "\n"


def settings_table(settings: Any, base: Any) -> str:
    """The fields of a class of settings that it adds to another, or has otherwise."""
    rows = []
    for name, field in settings.model_fields.items():
        before = base.model_fields.get(name) if base is not None else None
        if before is None or before.default != field.default:
            default = spelled(field.default)
            text = str(field.description)
            if field.default is None and "[default:" in text:
                text, _, default = text.rstrip("]").partition(" [default: ")
            read_by = "; ".join(marker.reader for marker in readers_of(field))
            rows.append(
                (f"`{flag_of(name)}`", text, ", ".join(choices_of(field)), default, read_by)
            )
    return table(("flag", "what", "values", "default", "read by"), rows)


def readers_of(field: FieldInfo) -> list[Any]:
    """The marks that say who reads a setting."""
    from zerosum.config.base import ReadBy

    return [marker for marker in field.metadata if isinstance(marker, ReadBy)]


def choices_of(field: FieldInfo) -> list[str]:
    """The words, or numbers, that a setting can be, where it can be nothing else but unset."""

    def leaves(kind: Any) -> Iterator[Any]:
        if get_origin(kind) is Annotated:
            yield from leaves(get_args(kind)[0])
        elif get_origin(kind) in (Union, UnionType):
            for each in get_args(kind):
                yield from leaves(each)
        else:
            yield kind

    kinds = [kind for kind in leaves(field.annotation) if kind is not NoneType]
    if not all(get_origin(kind) is Literal for kind in kinds):
        return []
    return [f"`{value}`" for kind in kinds for value in get_args(kind)]


def commands_of(app: Any, *before: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something itself, as it is typed, and its parser."""
    for name in app:
        if not name.startswith("-"):
            parser, words = app[name], (*before, name)
            if parser.default_command is not None:
                yield " ".join(words), parser
            yield from commands_of(parser, *words)


def shown_flags(parser: Any) -> list[Any]:
    """The arguments of a command that its help shows."""
    return [flag for flag in parser.assemble_argument_collection() if flag.show]


def flag_row(flag: Any, helps: Mapping[str, str] | None = None) -> tuple[str, str, str]:
    """A row on an argument of a command."""
    names = [name for name in flag.names if not name.startswith(("--no-", "--empty-"))]
    names += [name for name in flag.names if name == "--no-ema"]
    text = flag.parameter.help or (helps or {}).get(flag.field_info.name, "")
    default = flag.field_info.default
    shown = "" if default is inspect.Parameter.empty else spelled(default)
    if "[default:" in text:
        text, _, rest = text.partition("[default: ")
        shown = rest.rstrip("]")
    if flag.field_info.is_positional:
        names = [names[0].removeprefix("--").upper()]
    return ", ".join(f"`{name}`" for name in names), text.strip(), shown


# Recipes


def recipes_page() -> str:
    """What every recipe sets, on each kind of data."""
    from zerosum.recipes import RECIPES

    lines = [
        "# Recipes, setting by setting",
        MADE,
        "Where a recipe differs from [the defaults](options.md): its paper's settings, which hold "
        "for images of your own, and what differs on digits such as MNIST, on photographs such as "
        "CIFAR-10, and for points in the plane. On your own images some follow from their number "
        "and from the device as well ([few images](../few-images.md)). An empty cell is as the "
        "first. How each fares is in [recipes](../recipes.md).",
    ]
    for name, recipe in RECIPES.items():
        if recipe.origin is not None:  # a user's own, which this process has met
            continue
        kinds = KINDS if recipe.task == "generation" else TRANSLATED
        configs = {title: recipe.configure({"data": data}) for title, data in kinds.items()}
        rows = []
        for setting, field in recipe.config.model_fields.items():
            values = [getattr(config, setting) for config in configs.values()]
            if setting != "data" and any(value != field.default for value in values):
                shown = [spelled(values[0])]
                shown += [spelled(v) if v != values[0] else "" for v in values[1:]]
                rows.append((f"`{flag_of(setting)}`", *shown))
        lines += [
            f"## `{name}`",
            f"{recipe.summary} {recipe.source}.",
            table(("setting", *configs), rows) if rows else "Its class's defaults.",
        ]
    return "\n\n".join(lines) + "\n"


KINDS = {"the paper's": "photos/", "digits": "mnist", "photographs": "cifar10", "points": "ring"}
"""Data of each kind, by the head of its column."""
TRANSLATED = {"the paper's": "pairs/", "digits": "mnist-edges"}


# Python


def python_page() -> str:
    """What a Python program uses, of signatures and docstrings."""
    import zerosum
    from zerosum import callbacks, errors
    from zerosum.data import sources
    from zerosum.game import core, sampling
    from zerosum.inference import directions, inversion, model
    from zerosum.metrics import evaluate, features, registry
    from zerosum.recipes import table as recipe_table
    from zerosum.sweeps import results

    lines = [
        "# Python",
        MADE,
        "Importing `zerosum` does not import torch; the first use does. Settings are those of "
        "[options](options.md), by their names with underscores: `--batch-size 64` is "
        "`batch_size=64`.",
        "## Train, load, evaluate, compare, sweep",
    ]
    for function in (zerosum.train, zerosum.load, zerosum.evaluate, zerosum.compare, zerosum.sweep):
        lines += entry(function, "zerosum")
    lines += ["## A run"]
    lines += entry(zerosum.Run, "zerosum")
    lines += members(zerosum.Run)
    lines += ["## What they return and take"]
    for module, name in (
        (model, "Sampled"),
        (directions, "Directions"),
        (inversion, "Inverted"),
        (sampling, "Generator"),
        (core, "GeneratorInput"),
        (evaluate, "MetricResult"),
        (results, "SweepResult"),
        (results, "TrialResult"),
        (results, "Candidate"),
        (callbacks, "Callback"),
        (errors, "UserError"),
    ):
        lines += entry(getattr(module, name), module.__name__)
        if name == "Callback":
            lines += members(callbacks.Callback)
    lines += ["## Your own recipes, metrics, nets and readers"]
    lines += entry(recipe_table.Recipe, "zerosum.recipes")
    for module, name in ((registry, "register"), (features, "register"), (sources, "Reader")):
        lines += entry(getattr(module, name), module.__name__)
    lines += entry(sources.register_reader, "zerosum.data")
    return "\n\n".join(lines) + "\n"


def entry(thing: Callable[..., Any], module: str, *, level: int = 3) -> list[str]:
    """The heading, signature and docstring of a function or class."""
    name = thing.__name__
    if not module or module == "zerosum":
        title, home = f"{module}.{name}".lstrip("."), []
    else:  # in a list of contents the whole path would be cut off before the name
        parent = module.rpartition(".")[2]
        title = f"{parent}.{name}" if inspect.isfunction(thing) else name
        home = [f"`from {module} import {name}`"]
    lines = [f"{'#' * level} `{title}`", *home]
    if not (inspect.isclass(thing) and issubclass(thing, Exception)):
        made = f"<!-- not run: a signature -->\n```python\n{signature(thing)}\n```"
        lines.append(made)
    return lines + text_of(inspect.getdoc(thing) or "")


def members(kind: type) -> list[str]:
    """The public methods and properties of a class, those that it inherits first."""
    lines = []
    ours = [each for each in reversed(kind.__mro__) if each.__module__.startswith("zerosum.")]
    found = {name: member for each in ours for name, member in vars(each).items()}
    for name, member in found.items():
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            lines += [f"#### `{name}`", *text_of(inspect.getdoc(member) or "")]
        elif inspect.isfunction(member):
            lines += entry(member, "", level=4)
    return lines


def signature(thing: Callable[..., Any]) -> str:
    """A signature as it is written in the source, without `self`."""
    found = inspect.signature(thing)
    shown, starred = [], False
    for name, parameter in found.parameters.items():
        if name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            shown.append("*")
        starred |= parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        # Annotations are texts already; only a default has quotes that are its own.
        bare = str(parameter.replace(annotation=parameter.empty, default=parameter.empty))
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        default = " = ..." if callable(parameter.default) and default else default
        kind = "" if parameter.annotation is parameter.empty else f": {parameter.annotation}"
        shown.append(f"{bare}{kind}{default}")
    arrow = "" if found.return_annotation is found.empty else f" -> {found.return_annotation}"
    line = f"{thing.__name__}({', '.join(shown)}){arrow}"
    if len(line) <= 88:
        return line
    return f"{thing.__name__}(\n" + "".join(f"    {each},\n" for each in shown) + f"){arrow}"


def text_of(docstring: str) -> list[str]:
    """A docstring of Google's form as markdown."""
    lines = []
    body = SECTION.sub("", docstring + "\n").strip()
    if body:
        lines.append(body)
    for title, text in sections_of(docstring).items():
        entries = list(entries_of(text))
        if title in ("Args", "Attributes") or (title == "Raises" and entries):
            items = "\n".join(f"- `{name}`: {what}" for name, what in entries)
            lines.append(f"**{title.replace('Args', 'Arguments')}**\n\n{items}")
        else:
            lines.append(f"**{title}** {flowing(text)}")
    return lines


def sections_of(docstring: str) -> dict[str, str]:
    """The sections of a docstring by their titles, their text unindented."""
    text = inspect.cleandoc(docstring) + "\n"
    return {title: textwrap.dedent(body) for title, body in SECTION.findall(text)}


def entries_of(section: str) -> Iterator[tuple[str, str]]:
    """The names of a section and what is said of each."""
    starts = list(ENTRY.finditer(section))
    ends = [following.start() for following in starts[1:]] + [len(section)]
    for start, end in zip(starts, ends, strict=False):
        yield start.group(1), flowing(section[start.end() : end])


def summary_of(function: Callable[..., Any]) -> str:
    """The first paragraph of a docstring."""
    return flowing((inspect.getdoc(function) or "").partition("\n\n")[0])


def flowing(text: str) -> str:
    """A text in one line."""
    return " ".join(text.split())


# Tables


def flag_of(name: str) -> str:
    """A setting as a flag."""
    return f"--{name.replace('_', '-')}"


def spelled(value: object) -> str:
    """A default as a user would write it."""
    from zerosum.config.base import as_flag

    return "" if value is None or value == "" else as_flag(value)


def table(head: tuple[str, ...], rows: Rows) -> str:
    """A table of markdown, without columns in which there is nothing."""
    filled = [tuple(str(cell).replace("|", "\\|") for cell in row) for row in rows]
    kept = [n for n in range(len(head)) if n == 0 or any(row[n] for row in filled)]
    lines = [[head[n] for n in kept], ["---"] * len(kept)]
    lines += [[row[n] for n in kept] for row in filled]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Write what has changed."""
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages().items():
        path = REFERENCE / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"wrote {path.relative_to(REFERENCE.parent.parent)}")


if __name__ == "__main__":
    main()
