"""The software bill of materials of zerosum, in CycloneDX's JSON.

    python tools/sbom.py FILE

In it are zerosum, the packages of requirements-hashed.txt with their hashes and with what needs
them, torch, and what zerosum bundles, from LICENSES.md. What comes without an extra is required,
the rest optional. Licences are read from the packages of the environment that this runs in; for
those it lacks none is given. Equal input gives equal bytes; the time is SOURCE_DATE_EPOCH's.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
import uuid
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import (
    ExternalReference,
    ExternalReferenceType,
    HashAlgorithm,
    HashType,
    XsUri,
)
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
SAYS_NOTHING = ("UNKNOWN", "Dual License", "OSI Approved")
"""What stands in the metadata of some packages in place of a licence."""
LONGEST_LICENCE = 60
"""A longer one is its text."""


def packages() -> dict[str, tuple[str, list[str], set[str]]]:
    """Each package that is pinned: its version, its hashes and what needs it, "zerosum" too."""
    found: dict[str, tuple[str, list[str], set[str]]] = {}
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        name, version = line.split("==")
        found[canonicalize_name(name)] = (version, [], set())
    name = ""
    for line in (ROOT / "requirements-hashed.txt").read_text("utf-8").splitlines():
        if match := re.match(r"([a-z0-9-]+)==", line):
            name = match[1]
        elif match := re.search(r"--hash=sha256:([0-9a-f]+)", line):
            found[name][1].append(match[1])
        elif match := re.match(r" +# +(?:via )?([a-z0-9-]+)", line):
            found[name][2].add(match[1])
    return found


def required(needed_by: dict[str, set[str]]) -> set[str]:
    """What comes with zerosum when no extra is asked for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    todo = [canonicalize_name(Requirement(each).name) for each in project["dependencies"]]
    found: set[str] = set()
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [other for other, by in needed_by.items() if name in by]
    return found


def licence_of(name: str) -> str | None:
    """What an installed package calls its licence."""
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    if expression := about.get("License-Expression"):
        return str(expression)
    kinds = [
        each.split(" :: ")[-1] for each in about.get_all("Classifier", []) if "License" in each
    ]
    said = [each for each in [*kinds, about.get("License") or ""] if each not in SAYS_NOTHING]
    short = [each for each in said if 0 < len(each) <= LONGEST_LICENCE and "\n" not in each]
    return short[0] if short else None


def component(
    name: str,
    *,
    kind: ComponentType = ComponentType.LIBRARY,
    version: str | None = None,
    licence: str | None = None,
    home: str = "",
    hashes: list[str] | None = None,
    scope: ComponentScope | None = None,
    description: str | None = None,
) -> Component:
    """One part. `home` is the kind of registry that has it, such as pypi."""
    purl = PackageURL(home, name=name, version=version) if home else None
    sums = [HashType(alg=HashAlgorithm.SHA_256, content=each) for each in hashes or []]
    files = [
        ExternalReference(
            type=ExternalReferenceType.DISTRIBUTION, url=XsUri(str(purl)), hashes=sums
        )
    ]
    return Component(
        name=name,
        type=kind,
        version=version,
        bom_ref=str(purl) if purl else name,
        purl=purl,
        scope=scope,
        description=description,
        licenses=[LicenseFactory().make_from_string(licence)] if licence else None,
        # A package is several files, any of which may be what is installed.
        external_references=files if purl and sums else None,
        hashes=None if purl else sums,
    )


def bundled() -> list[Component]:
    """What lies in the package and is not zerosum's, from LICENSES.md."""
    text = (ROOT / "LICENSES.md").read_text("utf-8")
    rows = re.findall(
        r"^\| `(zerosum/[^`]+)` \| (.+) \| (.+) \| `(\w{64})` \|$", text, re.MULTILINE
    )
    files = [
        component(
            path, kind=ComponentType.FILE, licence=licence, hashes=[digest],
            description=re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", what),
        )
        for path, what, licence, digest in rows
    ]  # fmt: skip
    runtime = json.loads((ROOT / "zerosum/pages/onnxruntime/onnxruntime.json").read_text("utf-8"))
    name, version = runtime["package"], runtime["version"]
    return [*files, component(name, version=version, licence=runtime["licence"], home="npm")]


def bill(version: str) -> str:
    """The whole bill of one version of zerosum, as JSON."""
    pinned = packages()
    needed_by = {name: by for name, (_, _, by) in pinned.items()}
    always = required(needed_by)
    root = component(
        "zerosum", kind=ComponentType.APPLICATION, version=version, licence="MIT", home="pypi"
    )
    parts = {
        name: component(
            name,
            version=number,
            licence=licence_of(name),
            home="pypi",
            hashes=hashes,
            scope=ComponentScope.REQUIRED if name in always else ComponentScope.OPTIONAL,
        )
        for name, (number, hashes, _) in pinned.items()
    }
    inside = bundled()
    moment = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), UTC)
    made = Bom(
        components=[*parts.values(), *inside],
        metadata=BomMetaData(component=root, timestamp=moment),
        serial_number=uuid.UUID(int=0),
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    direct = {canonicalize_name(Requirement(each).name) for each in project["dependencies"]}
    direct |= {name for name, by in needed_by.items() if "zerosum" in by}
    made.register_dependency(root, [parts[name] for name in direct] + inside)
    for name, part in parts.items():
        made.register_dependency(
            part, [parts[other] for other in parts if name in needed_by[other]]
        )
    made.serial_number = uuid.uuid5(uuid.NAMESPACE_OID, JsonV1Dot6(made).output_as_string())
    return JsonV1Dot6(made).output_as_string(indent=2) + "\n"


def main(out: str) -> None:
    """Write the bill of the version that is here."""
    text = (ROOT / "zerosum/_version.py").read_text("utf-8")
    version = re.search(r'__version__ = "(.+)"', text)
    assert version is not None
    Path(out).write_text(bill(version[1]), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
