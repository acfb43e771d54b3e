import json
import re

import pytest

from zerosum.errors import UserError
from zerosum.export import play_page as module
from zerosum.export.play_page import SCRIPTS, as_script_json, inlined, runtime, runtime_script
from zerosum.pages import text_of


def test_the_runtime_is_held_to_its_sum(monkeypatch, tmp_path):
    script = runtime_script()
    assert "import.meta" not in script
    assert "export{" not in script
    assert "InferenceSession:" in script
    runtime.cache_clear()
    monkeypatch.setattr(module.gzip, "decompress", lambda _: b"another")
    with pytest.raises(UserError, match=r"wasm of zerosum's own was changed"):
        runtime("ort-wasm-simd-threaded.wasm")
    runtime.cache_clear()


def test_modules_become_one_script():
    script = inlined(SCRIPTS)
    assert not re.search(r"^(import|export) ", script, re.M)
    assert "</script" not in script
    # Each imports from those before it alone, so that their order is right.
    for index, name in enumerate(SCRIPTS):
        needed = re.findall(r'from "\./(\w+\.js)"', text_of(name))
        assert set(needed) <= set(SCRIPTS[:index])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_text_is_there_and_used(language):
    texts = json.loads(text_of(f"play_{language}.json"))
    english = json.loads(text_of("play_en.json"))
    assert texts.keys() == english.keys()
    for key, text in texts.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", english[key]))
    code = text_of("play.html.jinja") + "".join(map(text_of, SCRIPTS))
    made = {"lead_noise", "lead_points", "lead_translation"}
    made |= {f"{kind}_{end}" for kind in ("probability", "score") for end in ("low", "high")}
    assert [key for key in texts if key not in made and f'"{key}"' not in code] == []


def test_json_cannot_end_its_element():
    text = as_script_json({"name": "</script><!--&"})
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"name": "</script><!--&"}
