import re

import pytest

from zerosum.pages import text_of
from zerosum.report.words import LANGUAGES, texts, words_of


def blanks(text):
    return set(re.findall(r"\{(\w+)\}", text))


def test_every_language_says_the_same_things():
    english = texts("en")
    assert len(english) > 150
    for language in LANGUAGES:
        others = texts(language)
        assert others.keys() == english.keys()
        for key, text in english.items():
            assert blanks(others[key]) == blanks(text), key
            assert others[key].strip(), key


def test_chinese_is_chinese():
    same = {key for key, text in texts("zh").items() if text == texts("en")[key]}
    names = {"losses.D", "losses.G", "losses.real", "losses.fake", "data.shape.images"}
    assert same == names | {"machine.zerosum", "machine.torch", "machine.python"}


def test_no_text_is_said_nowhere():
    """Keys in templates and modules, and those that are put together of two halves."""
    from pathlib import Path

    import zerosum

    code = "".join(
        path.read_text("utf-8") for path in (Path(zerosum.__file__).parent / "report").glob("*.py")
    )
    code += text_of("report.html.jinja") + text_of("report_main.html.jinja")
    composed = ("verdict.", "signal.", "state.", "pictures.", "better.", "metric.", "machine.")
    for key in texts("en"):
        assert key in code or key.startswith(composed), key


def test_a_missing_blank_is_an_error():
    with pytest.raises(KeyError):
        words_of("en")("epoch")
