"""The playground's page as one file: its scripts, the runtime, the weights, the facts."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from markupsafe import Markup

from zerosum._version import __version__
from zerosum.config.specs import Language
from zerosum.errors import UserError
from zerosum.export.card import data_name, recipe_name
from zerosum.inference.run import Run
from zerosum.pages import allowed, environment, text_of

RUNTIME = "onnxruntime"
SCRIPTS = (
    *("play_maths.js", "play_page.js", "play_latents.js", "play_noise.js", "play_points.js"),
    *("play_translate.js", "play_main.js"),
)


@dataclass(frozen=True, kw_only=True)
class State:
    """One state of the weights that the page can switch to.

    Attributes:
        seen: images that G had seen.
        ema: whether these are the averaged weights.
        reverse: whether G goes from target to source.
        best: whether it is the best checkpoint.
        model: G's ONNX file.
        opinion: D's, where points are made; else None.
    """

    seen: int
    ema: bool
    reverse: bool
    best: bool
    model: bytes
    opinion: bytes | None = None


def packed_size(content: bytes) -> int:
    """Bytes of it in a page, but for base64."""
    return len(packed(content)) if content else 0


def packed(content: bytes) -> bytes:
    """Compressed, so that equal content gives equal bytes."""
    return gzip.compress(content, 9, mtime=0)


@cache
def runtime(name: str) -> bytes:
    """One of the runtime's files, gzipped, held to the sha256 that its tool wrote down.

    Raises:
        UserError: the installation was changed.
    """
    folder = resources.files("zerosum").joinpath(f"pages/{RUNTIME}")
    content = folder.joinpath(f"{name}.gz").read_bytes()
    known = json.loads(folder.joinpath(f"{RUNTIME}.json").read_text("utf-8"))["sha256"]
    if hashlib.sha256(gzip.decompress(content)).hexdigest() != known[name]:
        raise UserError(f"The file {name} of zerosum's own was changed. Install zerosum anew.")
    return content


def runtime_script() -> str:
    """onnxruntime-web's module as a plain script, which leaves its exports in `ort`.

    A page in a file has no other file to import, and Firefox no `import.meta` outside a module.
    """
    code = gzip.decompress(runtime("ort.wasm.bundle.min.mjs")).decode()
    code = code.replace("import.meta.url", '"blob:zerosum"')
    code = re.sub(r"\n//# sourceMappingURL=.*\s*$", "", code)
    exports = re.search(r"export\{([^{}]*)\};?\s*$", code)
    assert exports is not None
    pairs = [each.split(" as ") for each in exports[1].split(",")]
    names = ",".join(f"{theirs}:{ours}" for ours, theirs in pairs)
    return f"var ort=(()=>{{{code[: exports.start()]}return{{{names}}}}})();\n"


def inlined(names: tuple[str, ...]) -> str:
    """Our own modules as one script, in this order; each imports from those before it."""
    parts = []
    for name in names:
        code = text_of(name)
        code = re.sub(r'^import \{[^}]*\} from "\./[\w.]+";\n', "", code, flags=re.M)
        parts.append(re.sub(r"^export (?=(async )?function|const|class)", "", code, flags=re.M))
    return '"use strict";\n(() => {\n' + "\n".join(parts) + "\n})();\n"


def render(run: Run, facts: dict[str, Any], states: list[State], *, language: Language) -> str:
    """Fill in the template."""
    texts: dict[str, str] = json.loads(text_of(f"play_{language}.json"))
    script, engine, css = (
        inlined(SCRIPTS),
        runtime_script() + text_of("play_engine.js"),
        text_of("play.css"),
    )
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {allowed(script)} {allowed(engine)} 'wasm-unsafe-eval'",
            f"style-src {allowed(css)}",
            "img-src data: blob:",
            "worker-src blob:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    files = {"engine": packed(engine.encode()), "wasm": runtime("ort-wasm-simd-threaded.wasm")}
    for index, state in enumerate(states):
        files[f"model-{index}"] = packed(state.model)
        if state.opinion:
            files[f"opinion-{index}"] = packed(state.opinion)
    facts = facts | {"texts": texts}
    return (
        environment()
        .get_template("play.html.jinja")
        .render(
            language=language,
            policy=policy,
            css=Markup(css),
            script=Markup(script),
            t=texts.__getitem__,
            kind=facts["kind"],
            facts=facts,
            facts_json=Markup(as_script_json(facts)),
            files={key: Markup(base64.b64encode(each).decode()) for key, each in files.items()},
            recipe=recipe_name(run.recipe).rpartition(":")[2],
            data=data_name(run.config.data),
            classes=facts["about"]["classes"],
            version=__version__,
            licence=Markup.escape(text_of(f"{RUNTIME}/LICENSE")),
        )
    )


def as_script_json(facts: dict[str, Any]) -> str:
    """JSON that cannot end the element it stands in, whatever users have named."""
    text = json.dumps(facts, allow_nan=False, sort_keys=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
