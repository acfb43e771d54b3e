"""Valid files made slightly or grossly wrong, by what they are made of.

Each function takes the content of a valid file and a source of chance, and gives another content:
its parts are dropped, doubled, exchanged, renamed or told to be of another length or type, while
checksums and lengths around them mostly stay right, so that what reads them does not stop at the
door. `hypothesis` and `atheris` both drive the chance.
"""

from __future__ import annotations

import ast
import copy
import csv
import gzip
import io
import json
import random
import string
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

Chance = random.Random
Mutation = Callable[[bytes, Chance], bytes]

WHOLE = [
    *(0, -1, 1, 2, 3, 255, 256, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1, 2**32),
    *(2**53 + 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**31), -(2**63), -(2**64)),
    *(10**18, 10**30, 10**308, 10**310, -(10**400)),
]
REAL = [0.0, -0.0, 0.5, 1e-320, 1e-30, 1e30, 1e308, -1e308, float("nan"), float("inf")]
TEXTS = [
    *("", " ", "0", "-1", "nan", "None", "true", ".", "..", "../../x", "/", "/etc/passwd", "~root"),
    *("a\0b", "\n", "\x1b[2J", "\u202e", "\ud800", "\U0001f600", "a" * 300, "x" * 70_000, "1e999"),
    *("con", "*", "%s%n", "{}", "{0.__class__}", "<script>", "'", '"', "\\", "C:\\x", "http://x"),
    *("cuda", "mps", "cpu", "vanilla", "wgan-gp", "cyclegan", "digits", "mnist", "1,2", "9" * 5000),
]


def odd_whole(chance: Chance) -> int:
    """A whole number that somebody may not have thought of."""
    return chance.choice(WHOLE) if chance.random() < 0.7 else chance.randint(-70_000, 70_000)


def odd_text(chance: Chance) -> str:
    """A text of the same kind."""
    if chance.random() < 0.8:
        return chance.choice(TEXTS)
    letters = string.printable + "éß中\u0301\0\x7f\u2028"
    return "".join(chance.choice(letters) for _ in range(chance.randint(1, 20)))


def odd_value(chance: Chance, depth: int = 0) -> Any:
    """Anything that JSON can say, and NaN."""
    kind = chance.randrange(8 if depth < 3 else 6)
    if kind < 2:
        return odd_whole(chance)
    if kind == 2:
        return chance.choice(REAL)
    if kind == 3:
        return odd_text(chance)
    if kind < 6:
        return chance.choice([None, True, False, [], {}])
    inside = [odd_value(chance, depth + 1) for _ in range(chance.randint(0, 4))]
    return inside if kind == 6 else {odd_text(chance): each for each in inside}


def places_in(value: Any) -> list[tuple[Any, Any]]:
    """Every entry inside a value: its container and its key or index."""
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = list(range(len(value)))
    found = [(value, key) for key in keys]
    for key in keys:
        found += places_in(value[key])
    return found


def changed_value(value: Any, chance: Chance) -> Any:
    """Change one to four entries of a value as JSON holds it."""
    value = copy.deepcopy(value)
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        places = places_in(value)
        if not places or chance.random() < 0.02:
            return odd_value(chance)
        container, key = chance.choice(places)
        old = container[key]
        how = chance.randrange(8)
        if how == 0:
            del container[key]
        elif how == 1 and isinstance(container, dict):
            container[chance.choice([odd_text(chance), *container])] = container.pop(key)
        elif how == 2:
            other, at = chance.choice(places)
            with suppress(LookupError):
                container[key], other[at] = copy.deepcopy(other[at]), copy.deepcopy(old)
        elif how == 3:
            container[key] = chance.choice([[old], {"x": old}, str(old), [old] * 50, [[old]]])
        elif how == 4 and isinstance(old, int | float):
            container[key] = chance.choice([-old, old + 1, old - 1, old * 2, float(old), old / 3])
        elif how == 4 and isinstance(old, str):
            container[key] = chance.choice([old[1:], old + odd_text(chance), old.upper(), old * 2])
        elif how == 5 and isinstance(container, list):
            container.insert(key, odd_value(chance))
        else:
            container[key] = odd_value(chance)
    return value


def raw(content: bytes, chance: Chance) -> bytes:
    """Change bytes of whatever it is: bits, numbers of all lengths, pieces."""
    changed = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 3, 8])):
        size = len(changed)
        # As often in the first bytes, where headers are, as in all of them.
        at = chance.randrange(min(size, chance.choice([16, 128, size])) if size else 1)
        how = chance.randrange(7)
        if not size or how == 0:
            changed[at:at] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 8)))
        elif how == 1:
            changed[at] ^= 1 << chance.randrange(8)
        elif how == 2:
            changed[at] = chance.choice([0, 1, 127, 128, 255])
        elif how == 3:
            width, order = chance.choice([2, 4, 8]), chance.choice(["little", "big"])
            number = odd_whole(chance) % 2 ** (8 * width)
            changed[at : at + width] = number.to_bytes(width, order)  # type: ignore[arg-type]
        elif how == 4:
            del changed[at : at + chance.choice([1, 4, 64, size])]
        elif how == 5:
            changed[at:at] = changed[at : at + chance.choice([1, 8, 64])]
        else:
            other = chance.randrange(size)
            changed[at : at + 16] = changed[other : other + 16]
    return bytes(changed)


def json_text(content: bytes, chance: Chance) -> bytes:
    """Change JSON: mostly what it says, sometimes how."""
    how = chance.random()
    if how < 0.05:
        return raw(content, chance)
    if how < 0.1:
        depth = chance.choice([100, 1000, 100_000])
        opened, closed = chance.choice([("[", "]"), ('{"a":', "}")])
        return (opened * depth + chance.choice(["", "1" + closed * depth])).encode()
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return raw(content, chance)
    text = json.dumps(changed_value(value, chance), ensure_ascii=chance.random() < 0.5)
    if how < 0.15:
        text = text.replace(": ", ": " + chance.choice(["-", "1e999, ", "9" * 6000, "NaN"]), 1)
    encoding = "utf-8" if how < 0.97 else chance.choice(["utf-16", "utf-8-sig", "latin-1"])
    return text.encode(encoding, "surrogatepass" if encoding == "utf-8" else "replace")


def json_lines(content: bytes, chance: Chance) -> bytes:
    """Change lines of JSON, or their order and number."""
    lines = content.splitlines(keepends=True) or [b"{}\n"]
    for _ in range(chance.choice([1, 1, 2])):
        at = chance.randrange(len(lines))
        how = chance.randrange(6)
        if how == 0 and len(lines) > 1:
            del lines[at]
        elif how == 1:
            lines.insert(at, chance.choice(lines))
        elif how == 2:
            chance.shuffle(lines)
        elif how == 3:
            lines[at] = raw(lines[at], chance)
        else:
            lines[at] = json_text(lines[at], chance) + b"\n"
    return b"".join(lines)


def toml(content: bytes, chance: Chance) -> bytes:
    """Change TOML."""
    import tomllib

    how = chance.random()
    try:
        value = tomllib.loads(content.decode())
    except (ValueError, RecursionError):
        how = 0.0
    if how < 0.15:
        return raw(content, chance)
    if how < 0.2:
        depth = chance.choice([100, 1000, 50_000])
        return chance.choice(
            [b"a = " + b"[" * depth, b"a." * (depth // 7) + b"b = 1", b"[a]\n" * depth]
        )
    changed = changed_value(value, chance)
    if not isinstance(changed, dict):
        changed = {"epochs": changed}
    lines = [f"{chance.choice([k, json.dumps(k)])} = {toml_of(v)}" for k, v in changed.items()]
    if how < 0.3:
        lines.append(chance.choice(["[table]", "[[many]]", "a.b = 1", "x = 1979-05-27T07:32:00Z"]))
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def toml_of(value: Any) -> str:
    """A value as TOML writes it, or nearly."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {toml_of(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml_of, value))}]"
    return json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf")


def safetensors_file(content: bytes, chance: Chance) -> bytes:
    """Change the header of a safetensors file, its length, or the tensors behind it."""
    if len(content) < 8 or chance.random() < 0.1:
        return raw(content, chance)
    length = int.from_bytes(content[:8], "little")
    header, data = content[8 : 8 + length], content[8 + length :]
    how = chance.randrange(5)
    if how == 0:
        data = raw(data, chance)
    elif how == 1:
        data = chance.choice([data[:-1], data + b"\0", b"", data[: len(data) // 2]])
    else:
        header = json_text(header, chance)
    told = odd_whole(chance) % 2**64 if chance.random() < 0.05 else len(header)
    return told.to_bytes(8, "little") + header + data


def npy(content: bytes, chance: Chance) -> bytes:
    """Change the header of an .npy file, or the array behind it."""
    if content[:6] != b"\x93NUMPY" or chance.random() < 0.1:
        return raw(content, chance)
    version, start = content[6:8], 10 if content[6] == 1 else 12
    length = int.from_bytes(content[8:start], "little")
    header, data = content[start : start + length], content[start + length :]
    how = chance.randrange(6)
    try:
        told = ast.literal_eval(header.decode("latin-1"))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        how = 0
    if how == 0:
        header = raw(header, chance)
    elif how == 1:
        data = chance.choice([raw(data, chance), data[:-1], data + b"\0" * 64, b""])
    else:
        shape = list(told["shape"]) if isinstance(told.get("shape"), tuple) else []
        if how < 4:
            changed = changed_value(shape, chance)
            told["shape"] = tuple(changed) if isinstance(changed, list) else changed
        elif how == 4:
            kinds = ["|u1", "<u2", ">i4", "<i8", "<f2", "<f4", "<f8", "|b1", "<c8", "|O", "<M8[s]"]
            kinds += ["<m8[D]", "|S4", "<U3", "|V8", "|S0", "<U0", "|V0", "<f16", "x", "<u1,<u1"]
            told["descr"] = chance.choice([*kinds, [("a", "<i4"), ("b", "<f4")], [("a", "|O")]])
            if chance.random() < 0.5:
                with suppress(TypeError, ValueError):
                    size = np.dtype(told["descr"]).itemsize * int(np.prod(shape)) % 2**18
                    data = (data * (size // max(1, len(data)) + 1))[:size]
        else:
            told = changed_value(told, chance)
        header = (repr(told) + "\n").encode("utf-8", "replace")
    if chance.random() < 0.05:
        version = bytes((chance.choice([0, 1, 2, 3, 9]), chance.choice([0, 1])))
    told_length = len(header) if chance.random() < 0.95 else odd_whole(chance)
    width = start - 8
    return (
        content[:6]
        + version
        + (told_length % 2 ** (8 * width)).to_bytes(width, "little")
        + header
        + data
    )


def zipped(inner: Mutation) -> Mutation:
    """A change of a zip: of a member by `inner`, of names, of their number, of its own bytes."""

    def change(content: bytes, chance: Chance) -> bytes:
        members = []
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members = [(name, archive.read(name)) for name in archive.namelist()]
        except Exception:  # of what was changed before, there is no end
            return raw(content, chance)
        if not members or chance.random() < 0.2:
            return raw(content, chance)
        for _ in range(chance.choice([1, 1, 2])):
            if not members:
                break
            at = chance.randrange(len(members))
            name, inside = members[at]
            how = chance.randrange(8)
            if how == 0:
                del members[at]
            elif how == 1:
                members.insert(at, members[at])
            elif how == 2:
                renamed = chance.choice([odd_text(chance), name.upper(), f"a/{name}", f"../{name}"])
                members[at] = renamed, inside
            elif how == 3:
                members[at] = chance.choice(members)[0], inside
            else:
                members[at] = name, inner(inside, chance)
        packing = chance.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED] * 3 + [12, 14])
        written = io.BytesIO()
        with warnings.catch_warnings(), zipfile.ZipFile(written, "w", packing) as archive:
            warnings.simplefilter("ignore")  # of names that come twice
            for name, inside in members:
                info = zipfile.ZipInfo(name)
                info.compress_type = packing
                info.external_attr = chance.choice([0, 0, 0, 0o120777 << 16, 0o010644 << 16, 16])
                with suppress(ValueError, UnicodeError, struct.error):
                    archive.writestr(info, inside)
        found = written.getvalue()
        return raw(found, chance) if chance.random() < 0.1 else found

    return change


def tarred(inner: Mutation) -> Mutation:
    """A change of a tar: of members, headers with sums that are right, order, its own bytes."""

    def change(content: bytes, chance: Chance) -> bytes:
        try:
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                members = []
                for info in archive:
                    file = archive.extractfile(info) if info.isreg() else None
                    members.append((info, file.read() if file else b""))
        except Exception:  # of what was changed before, there is no end
            return raw(content, chance)
        if not members or chance.random() < 0.2:
            return raw(content, chance)
        wrong_size = False
        for _ in range(chance.choice([1, 1, 2])):
            at = chance.randrange(len(members))
            info, inside = copy.copy(members[at][0]), members[at][1]
            how = chance.randrange(9)
            if how == 0:
                info.name = odd_text(chance)
            elif how == 1:
                info.type = chance.choice([b"0", b"1", b"2", b"3", b"5", b"6", b"L", b"x", b"S"])
            elif how == 2:
                info.size, wrong_size = odd_whole(chance) % 2**33, True
            elif how == 3:
                info.linkname = odd_text(chance)
            elif how == 4:
                info.pax_headers = {
                    chance.choice(["path", "size", "mtime", "GNU.sparse.map", odd_text(chance)]): (
                        odd_text(chance)
                    )
                }
            elif how == 5:
                info.mtime, info.mode = odd_whole(chance), odd_whole(chance) % 2**20
            elif how == 6:
                members.append(members[at])
            else:
                inside = inner(inside, chance)
            members[at] = info, inside
        written = bytearray()
        form = chance.choice([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
        for info, inside in members:
            if not wrong_size:
                info.size = len(inside)
            with suppress(ValueError, UnicodeError, OverflowError, TypeError):
                written += info.tobuf(form, errors="surrogateescape")
                written += inside + b"\0" * (-len(inside) % 512)
        found = bytes(written + bytes(1024))
        return raw(found, chance) if chance.random() < 0.1 else found

    return change


def png(content: bytes, chance: Chance) -> bytes:
    """Change chunks of a PNG, whose sums stay right."""
    chunks, at = [], 8
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    if not chunks or chance.random() < 0.15:
        return raw(content, chance)
    for _ in range(chance.choice([1, 1, 2])):
        at = chance.randrange(len(chunks))
        kind, data = chunks[at]
        how = chance.randrange(7)
        if how == 0 and len(chunks) > 1:
            del chunks[at]
        elif how == 1:
            chunks.insert(at, chunks[at])
        elif how == 2:
            chance.shuffle(chunks)
        elif how == 3:
            names = [
                b"tEXt",
                b"zTXt",
                b"iTXt",
                b"iCCP",
                b"tRNS",
                b"PLTE",
                b"acTL",
                b"fcTL",
                b"eXIf",
            ]
            inside = chance.choice(
                [data, b"a\0\0" + zlib.compress(bytes(5000)), b"", b"Software\0x"]
            )
            chunks.insert(at, (chance.choice(names), inside))
        elif how == 4 and kind == b"IDAT":
            with suppress(zlib.error):
                data = zlib.compress(raw(zlib.decompress(data), chance))
            chunks[at] = kind, data
        else:
            chunks[at] = kind, raw(data, chance)
    found = bytearray(content[:8])
    for kind, data in chunks:
        found += struct.pack(">I", len(data)) + kind + data
        found += struct.pack(">I", zlib.crc32(kind + data))
    return bytes(found)


def jpeg(content: bytes, chance: Chance) -> bytes:
    """Change segments of a JPEG, whose lengths mostly stay right."""
    segments, at = [], 2
    while at + 4 <= len(content) and content[at] == 255 and content[at + 1] != 0xDA:
        length = int.from_bytes(content[at + 2 : at + 4], "big")
        segments.append((content[at + 1], content[at + 4 : at + 2 + length]))
        at += 2 + length
    rest = content[at:]
    if not segments or chance.random() < 0.2:
        return raw(content, chance)
    for _ in range(chance.choice([1, 1, 2])):
        at = chance.randrange(len(segments))
        marker, data = segments[at]
        how = chance.randrange(6)
        if how == 0 and len(segments) > 1:
            del segments[at]
        elif how == 1:
            segments.insert(at, segments[at])
        elif how == 2:
            segments[at] = chance.choice([0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xE1, 0xE2, 0xFE]), data
        elif how == 3:
            rest = raw(rest, chance)
        else:
            segments[at] = marker, raw(data, chance)
    found = bytearray(b"\xff\xd8")
    for marker, data in segments:
        found += bytes((255, marker)) + struct.pack(">H", (len(data) + 2) % 65_536) + data
    return bytes(found) + rest


def idx(content: bytes, chance: Chance) -> bytes:
    """Change an IDX file: type, number of dimensions, sides, values."""
    if len(content) < 4 or chance.random() < 0.1:
        return raw(content, chance)
    kind, count = content[2], content[3]
    sides = [int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(count)]
    data = content[4 + 4 * count :]
    how = chance.randrange(5)
    if how == 0:
        kind = chance.choice([0, 8, 9, 11, 12, 13, 14, 255])
    elif how == 1 and sides:
        sides[chance.randrange(len(sides))] = odd_whole(chance) % 2**32
    elif how == 2:
        sides = chance.choice([sides[1:], [*sides, 1], sides * 3, [0] * 40, sides[::-1]])
    elif how == 3:
        data = chance.choice([data[:-1], data + b"\0", b"", data * 2])
    else:
        data = raw(data, chance)
    number = len(sides) if chance.random() < 0.9 else chance.randrange(256)
    head = content[:2] + bytes((kind, number % 256))
    return head + b"".join(side.to_bytes(4, "big") for side in sides) + data


def gzipped(inner: Mutation) -> Mutation:
    """A change of what is in a .gz, or of it."""

    def change(content: bytes, chance: Chance) -> bytes:
        if chance.random() < 0.2:
            return raw(content, chance)
        try:
            inside = gzip.decompress(content)
        except (OSError, EOFError, zlib.error, struct.error):
            return raw(content, chance)
        return gzip.compress(inner(inside, chance), mtime=0)

    return change


def table(content: bytes, chance: Chance) -> bytes:
    """Change a table with commas: cells, rows, columns."""
    try:
        rows = list(csv.reader(io.StringIO(content.decode())))
    except (ValueError, csv.Error):
        rows = []
    if not rows or chance.random() < 0.15:
        return raw(content, chance)
    changed = changed_value(rows, chance)
    written = io.StringIO()
    writer = csv.writer(written, delimiter=chance.choice([",", ",", ";", "\t"]))
    for row in changed if isinstance(changed, list) else [[changed]]:
        with suppress(csv.Error):
            writer.writerow(row if isinstance(row, list) else [row])
    return written.getvalue().encode("utf-8", "surrogatepass")


def protobuf(content: bytes, chance: Chance) -> bytes:
    """Change a field of a protocol buffer, inside its messages too; JSON in it as JSON."""
    fields = fields_of(content)
    if not fields or chance.random() < 0.05:
        return raw(content, chance)
    at = chance.randrange(len(fields))
    number, wire, value = fields[at]
    how = chance.randrange(10)
    if how == 0:
        del fields[at]
    elif how == 1:
        fields.insert(chance.randrange(len(fields) + 1), fields[at])
    elif isinstance(value, int):
        fields[at] = number, wire, odd_whole(chance) % 2**64
    elif value[:1] in (b"{", b"["):
        fields[at] = number, wire, json_text(value, chance)
    elif how == 2 or not fields_of(value):
        fields[at] = number, wire, raw(value, chance)
    else:
        fields[at] = number, wire, protobuf(value, chance)
    found = bytearray()
    for number, wire, value in fields:
        found += varint(number << 3 | wire)
        if isinstance(value, int):
            found += varint(value)
        else:
            found += (varint(len(value)) if wire == 2 else b"") + value
    return bytes(found)


def varint(value: int) -> bytes:
    """A number as protocol buffers write it."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes((*found, value))


def fields_of(content: bytes) -> list[tuple[int, int, Any]]:
    """Number, wire type and value of each field; [] of what is no message."""
    found, at = [], 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = content[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    try:
        while at < len(content):
            key = number()
            wire = key & 7
            if wire == 0:
                found.append((key >> 3, wire, number()))
                continue
            length = {1: 8, 5: 4}.get(wire) or (number() if wire == 2 else None)
            if length is None or at + length > len(content) or key < 8:
                return []
            found.append((key >> 3, wire, content[at : at + length]))
            at += length
    except IndexError:
        return []
    return found


def http_request(content: bytes, chance: Chance) -> bytes:
    """Change a request: its line, its headers, their breaks and number."""
    if chance.random() < 0.15:
        return raw(content, chance)
    lines = content.split(b"\r\n")
    for _ in range(chance.choice([1, 1, 2, 3])):
        how = chance.randrange(8)
        at = chance.randrange(len(lines))
        if how == 0:
            words = lines[0].split(b" ")
            words[chance.randrange(len(words))] = chance.choice(
                [
                    *(b"GET", b"HEAD", b"POST", b"OPTIONS", b"TRACE", b"PRI", b"\0", b"HTTP/9.9"),
                    *(b"HTTP/0.9", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1", b"HTTP/-1.1", b"", b"//"),
                    *(
                        b"/../../etc/passwd",
                        b"/%2e%2e/",
                        b"/data?have=%ff",
                        b"*",
                        b"/?" + b"a" * 9000,
                    ),
                    *(b"http://evil/", b"http://[::1", b"/data?" + b"a&" * 4000, b"/\xff", b"/;x"),
                    odd_text(chance).encode("utf-8", "surrogatepass"),
                ]
            )
            lines[0] = b" ".join(words)
        elif how == 1:
            lines.insert(at, lines[at])
        elif how == 2 and len(lines) > 1:
            del lines[at]
        elif how == 3:
            names = ["Host", "Origin", "Content-Length", "Transfer-Encoding", "If-None-Match"]
            names += ["Connection", "Expect", "Cookie", "X" * 2000, "", " Host", "Upgrade", "Range"]
            values = ["chunked", "keep-alive", "100-continue", "-1", "evil.example", "a, b", "*"]
            value = chance.choice([*values, odd_text(chance)])
            line = f"{chance.choice(names)}{chance.choice([': ', ':', ' : ', ''])}{value}"
            lines.insert(1, line.encode("utf-8", "surrogatepass"))
        elif how == 4:
            lines[1:1] = [b"X-%d: 1" % each for each in range(chance.choice([10, 99, 101, 500]))]
        elif how == 5:
            lines[at] = raw(lines[at], chance)
        elif how == 6:
            lines[at] = b" " + lines[at]
        else:
            lines += [*lines]
    return chance.choice([b"\r\n"] * 8 + [b"\n", b"\r", b"\r\n\r\n"]).join(lines)
