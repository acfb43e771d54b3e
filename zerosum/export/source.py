"""A generator's own source as one readable Python file that needs torch and safetensors alone.

The net's class and all that it uses in zerosum are copied word by word, with their comments, in an
order in which Python can run them. So there is one source of every net, and no template of it that
could differ; whether the file makes what G makes is checked at each export.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.util
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from torch import nn

from zerosum.errors import UserError

OWN = "zerosum"


@dataclass(frozen=True)
class Call:
    """How a net was made: its class, and what that was given."""

    made: type[nn.Module]
    args: tuple[Any, ...]
    named: Mapping[str, Any]


@contextmanager
def recorded_calls(*kinds: type[nn.Module]) -> Iterator[dict[int, Call]]:
    """Note how nets of these classes are made meanwhile, by their `id`."""
    calls: dict[int, Call] = {}
    originals = {kind: kind.__init__ for kind in kinds}

    def noting(kind: type[nn.Module]) -> Callable[..., None]:
        original = originals[kind]

        def note(self: nn.Module, *args: Any, **named: Any) -> None:
            calls[id(self)] = Call(type(self), args, named)
            original(self, *args, **named)

        return note

    try:
        for kind in kinds:
            kind.__init__ = noting(kind)  # type: ignore[method-assign]
        yield calls
    finally:
        for kind, original in originals.items():
            kind.__init__ = original  # type: ignore[method-assign]


def is_ours(kind: type) -> bool:
    """Whether a class is one of zerosum's, whose source may be given away."""
    return kind.__module__.split(".")[0] == OWN


def written_call(call: Call) -> str:
    """The call as Python writes it, without spectral norm, which is folded into the weights."""
    signature = inspect.signature(call.made.__init__)
    bound = signature.bind(None, *call.args, **call.named).arguments
    own_name, *names = signature.parameters
    bound.pop(own_name)
    named = {name: bound[name] for name in names if name in bound}
    texts = [
        written(without_spectral_norm(name, value))
        if signature.parameters[name].kind is not inspect.Parameter.KEYWORD_ONLY
        else f"{name}={written(without_spectral_norm(name, value))}"
        for name, value in named.items()
    ]
    inside = ",\n".join(textwrap.indent(text, " " * 8) for text in texts)
    return f"{call.made.__name__}(\n{inside},\n    )"


def without_spectral_norm(name: str, value: Any) -> Any:
    """An argument, but for what asks for spectral norm."""
    if name == "spectral_norm":
        return False
    if dataclasses.is_dataclass(value) and hasattr(value, "spectral_norm"):
        return dataclasses.replace(value, spectral_norm=False)  # type: ignore[type-var]
    return value


def written(value: Any) -> str:
    """A value as Python reads it: numbers, texts, tuples of them, and dataclasses of zerosum's."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = ", ".join(
            f"{each.name}={written(getattr(value, each.name))}"
            for each in dataclasses.fields(value)
            if getattr(value, each.name) != each.default
        )
        return f"{type(value).__name__}({fields})"
    if isinstance(value, tuple | list):
        inside = ", ".join(map(written, value))
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    raise UserError(f"This net cannot be written as source: it was made with {value!r:.60}.")


@dataclass(frozen=True)
class Module:
    """A module of zerosum's, taken apart.

    Attributes:
        lines: of its source.
        definitions: by name, the nodes at its top that define it, its remark behind it among them.
        imported: by the name that it has here, the module and the name there; "" for a module.
    """

    lines: list[str]
    definitions: dict[str, list[ast.stmt]]
    imported: dict[str, tuple[str, str]]


@cache
def take_apart(name: str) -> Module:
    """Read a module's source."""
    path = Path(str(importlib.import_module(name).__file__))
    text = path.read_text(encoding="utf-8")
    found = Module(text.splitlines(), {}, {})
    body = ast.parse(text).body
    for index, node in enumerate(body):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.definitions[node.name] = [node]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            remarks = [each for each in body[index + 1 : index + 2] if isinstance(each, ast.Expr)]
            for name_node in (each for target in targets for each in names_in(target)):
                found.definitions[name_node.id] = [node, *remarks]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                found.imported[alias.asname or alias.name.split(".")[0]] = (alias.name, "")
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                found.imported[alias.asname or alias.name] = (node.module, alias.name)
    return found


def names_in(node: ast.AST) -> list[ast.Name]:
    """All names in a part of a program."""
    return [each for each in ast.walk(node) if isinstance(each, ast.Name)]


@dataclass
class Bundle:
    """Definitions of several modules, brought together in one.

    Attributes:
        parts: their source, in an order in which each finds what it needs.
        imports: lines.
        names: what each definition, (module, name), is called here.
    """

    parts: list[str] = field(default_factory=list)
    imports: set[tuple[str, str, str]] = field(default_factory=set)
    names: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, module: str, name: str) -> str:
        """Add a definition and all that it uses, unless it is there; say what it is called here."""
        if (module, name) in self.names:
            return self.names[module, name]
        taken = set(self.names.values()) | {here for *_, here in self.imports}
        called = name
        while called in taken:
            called = f"{module.rpartition('.')[2]}_{called}"
        apart = take_apart(module)
        nodes = apart.definitions[name]
        same = [each for each, others in apart.definitions.items() if others[0] is nodes[0]]
        self.names |= {(module, each): each for each in same} | {(module, name): called}
        edits: list[tuple[int, int, int, str]] = []  # line, from and to in bytes, text
        for node in nodes:
            edits += self._edits(node, module, apart)
        text = source_of(nodes, apart.lines, edits)
        if called != name:
            text = re.sub(
                rf"^(class |def |){re.escape(name)}\b", rf"\g<1>{called}", text, flags=re.M
            )
        self.parts.append(text)
        return called

    def _edits(
        self, node: ast.stmt, module: str, apart: Module
    ) -> Iterator[tuple[int, int, int, str]]:
        """Add what a definition uses; give the places where it is called otherwise here."""
        of_modules = set()
        for each in ast.walk(node):
            if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
                where = apart.imported.get(each.value.id)
                if where and where[0].split(".")[0] == OWN and is_module(*where):
                    of_modules.add(each.value)
                    called = self.add(".".join(where).strip("."), each.attr)
                    assert each.end_col_offset is not None
                    yield each.lineno, each.col_offset, each.end_col_offset, called
        local = local_names(node)
        for each in names_in(node):
            if each in of_modules or each.id in local:
                continue
            called = each.id
            if each.id in apart.definitions:
                called = self.add(module, each.id)
            elif each.id in apart.imported:
                source, name = apart.imported[each.id]
                if source.split(".")[0] == OWN:
                    called = self.add(source, name)
                else:
                    self.imports.add((source, name, each.id))
            if called != each.id:
                assert each.end_col_offset is not None
                yield each.lineno, each.col_offset, each.end_col_offset, called


def is_module(source: str, name: str) -> bool:
    """Whether what is imported, `from source import name`, is a module."""
    return not name or (
        name not in take_apart(source).definitions
        and importlib.util.find_spec(f"{source}.{name}") is not None
    )


def local_names(node: ast.stmt) -> set[str]:
    """Names that a definition binds itself, which mean nothing at the top of its module."""
    bound = {each.arg for each in ast.walk(node) if isinstance(each, ast.arg)}
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        bound |= {each.id for each in names_in(node) if isinstance(each.ctx, ast.Store)}
    return bound


def source_of(
    nodes: list[ast.stmt], lines: list[str], edits: list[tuple[int, int, int, str]]
) -> str:
    """The lines of a definition, decorators included, with some names changed."""
    first = nodes[0]
    decorators = getattr(first, "decorator_list", [])
    start = min([first.lineno, *(each.lineno for each in decorators)])
    stop = nodes[-1].end_lineno
    changed = {number: lines[number - 1].encode() for number in range(start, (stop or start) + 1)}
    for line, begin, end, text in sorted(edits, reverse=True):
        changed[line] = changed[line][:begin] + text.encode() + changed[line][end:]
    return "\n".join(line.decode() for line in changed.values())


def import_lines(imports: set[tuple[str, str, str]]) -> str:
    """Import statements, sorted as ruff sorts them."""
    plain = sorted({source for source, name, _ in imports if not name})
    grouped: dict[str, set[str]] = {}
    for source, name, here in imports:
        if name:
            grouped.setdefault(source, set()).add(name if name == here else f"{name} as {here}")
    lines = [f"import {source}" for source in plain]
    for source in sorted(grouped):
        lines.append(f"from {source} import {', '.join(sorted(grouped[source]))}")
    own_first = [line for line in lines if not re.match(r"(import|from) (torch|safetensors)", line)]
    others = [line for line in lines if line not in own_first]
    return "\n\n".join("\n".join(each) for each in (own_first, others) if each)


def model_source(call: Call, *, title: str, usage: str, weights: str) -> str:
    """Write the Python file that makes a net anew and loads its weights.

    Args:
        call: how the net was made, by a class of zerosum's.
        title: what the file is, a line of plain text.
        usage: an example, Python.
        weights: the name of the file of weights beside it.

    Raises:
        UserError: the net was made with something that cannot be written as source.
    """
    bundle = Bundle()
    bundle.imports |= {
        ("pathlib", "Path", "Path"),
        ("safetensors.torch", "load_file", "load_file"),
        ("torch", "", "torch"),
    }
    called = bundle.add(call.made.__module__, call.made.__name__)
    for value in [*call.args, *call.named.values()]:
        if dataclasses.is_dataclass(value):
            bundle.add(type(value).__module__, type(value).__name__)
    making = written_call(call)
    making = called + making.removeprefix(call.made.__name__)
    bundle.imports.add(("torch", "nn", "nn"))
    title = re.sub(r'[\\"\x00-\x1f]', " ", title)
    head = f'''"""{title}

It needs torch and safetensors, and not zerosum, whose MIT licence the code in it is under:
Copyright (c) 2026 The zerosum authors.

{textwrap.indent(usage, " " * 4)}
"""

from __future__ import annotations

{import_lines(bundle.imports)}
'''
    tail = f'''
def load(path: str | Path = Path(__file__).with_name({weights!r})) -> nn.Module:
    """Make G and load its weights, in eval mode."""
    with torch.random.fork_rng(devices=[]):  # the first weights are drawn, and overwritten
        G = {making}
    G.load_state_dict(load_file(path))
    return G.eval()
'''
    return "\n\n".join([head, *(f"{part}\n" for part in bundle.parts), tail.lstrip()])
