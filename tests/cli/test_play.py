import webbrowser

import pytest

from zerosum.cli.main import run as command


@pytest.mark.slow
def test_a_page_is_written_and_opened(run, tmp_path, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    out = tmp_path / "new" / "mine.html"
    words = ["play", str(run.path), "--out", str(out), "--open", "--half", "--language", "zh"]
    assert command(words) == 0
    assert capsys.readouterr().out.startswith(f"Wrote {out} (4.8 MB)")
    assert opened == [out.resolve().as_uri()]
    text = out.read_text(encoding="utf-8")
    assert '<html lang="zh">' in text
    assert '"half": true' in text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--out", "play.pdf"], "expected a name that ends in .html"),
        (["--checkpoint", "77"], "no checkpoint '77'"),
        (["--language", "fr"], "language"),
    ],
)
def test_what_cannot_be_is_refused(run, capsys, words, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command(["play", str(run.path), *words]) == 2
    assert told in capsys.readouterr().err
    assert not list(tmp_path.glob("play.*"))


def test_without_a_run_it_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command(["play", "nothing"]) == 2
    assert "nothing" in capsys.readouterr().err


def test_by_default_it_lies_in_the_run(run, monkeypatch, tmp_path):
    """Where it overwrites nothing of somebody's, and `--fresh` removes it."""
    monkeypatch.chdir(tmp_path)
    assert command(["play", str(run.path)]) == 0
    assert not (tmp_path / "play.html").exists()
    assert (run.path / "play.html").stat().st_size > 2**20
    run.directory.remove()
    assert not (run.path / "play.html").exists()
