import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from zerosum.comparison.compare import compare
from zerosum.comparison.page import MOST_PIXELS, embedded, page, write_page
from zerosum.errors import UserError

VOID = {"meta", "img", "br"}


class Elements(HTMLParser):
    """The elements of a page, each closed where it should be, and its text."""

    def __init__(self, html):
        super().__init__()
        self.found, self.open, self.text = [], [], ""
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture
def comparison(make_run):
    """Three seeds of two settings, one of them better throughout; one seed collapsed."""
    for seed in range(3):
        make_run(f"base-seed-{seed}", seed=seed, metrics=(9.0 + seed, 19.5))
        health = "collapsing" if seed == 1 else "healthy"
        metrics = (5.0 + 1.01 * seed, 16.0)
        make_run(f"half-seed-{seed}", seed=seed, metrics=metrics, precision="bf16", health=health)
    return compare([*sorted(Path().glob("base-*")), *sorted(Path().glob("half-*"))])


def test_verdicts_figures_curves_and_pictures(comparison):
    shown = Elements(page(comparison))
    assert "precision=bf16 is better by 3.99" in shown.text
    assert "Better in 3 of 3 pairs" in shown.text
    assert re.search(r"0: 9\s+1: 10\s+2: 11", shown.text)
    labels = [svg["aria-label"] for svg in shown.all("svg")]
    assert {"frechet_digits", "loss D, means over the epoch"} <= set(labels)
    assert len(shown.all("img")) == 6
    assert all(image["alt"] for image in shown.all("img"))
    assert "half-seed-1, seed 1, epoch 4" in shown.text
    assert "collapsing" in shown.text


def test_it_stands_by_itself_and_runs_nothing(comparison):
    html = page(comparison)
    shown = Elements(html)
    assert not shown.all("script")
    assert not shown.all("link")
    loaded = [image["src"] for image in shown.all("img")]
    assert all(source.startswith("data:image/png;base64,") for source in loaded)
    assert not any(name.startswith("on") or name == "style" for _, a in shown.found for name in a)
    (policy,) = [m["content"] for m in shown.all("meta") if m.get("http-equiv")]
    assert policy.startswith("default-src 'none';")
    css = re.search(r"<style>(.*?)</style>", html, re.S)[1]
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_what_users_name_is_escaped(make_run):
    evil = "<img src=x onerror=alert(1)>\"'&{{ 7*7 }}"
    for seed in range(2):
        make_run(f"{evil}-seed-{seed}", seed=seed, health=evil)
    make_run("other", seed=0, device="cpu", precision="bf16")
    shown = Elements(page(compare(sorted(Path().iterdir()))))
    assert all(image["src"].startswith("data:") for image in shown.all("img"))
    assert evil in shown.text


def test_damaged_pictures_give_way_to_older_ones(make_run):
    directory = make_run("a")
    (directory.path / "generated_epoch_9.png").write_bytes(b"\x89PNG no more")
    for path in make_run("b", seed=1).pictures():
        path.write_bytes(b"")
    shown = Elements(page(compare([Path("a"), Path("b")])))
    assert "a, seed 0, epoch 4" in shown.text
    assert "b, seed 1: no picture" in shown.text
    assert len(shown.all("img")) == 1


def test_large_pictures_are_made_smaller():
    from PIL import Image

    def width(picture):
        import io

        content = base64.b64decode(embedded(picture).partition(",")[2])
        with Image.open(io.BytesIO(content)) as shown:
            return shown.size

    assert width(Image.new("L", (2 * MOST_PIXELS, 100))) == (MOST_PIXELS, 50)
    assert width(Image.new("RGBA", (30, 20))) == (30, 20)


def test_it_is_written_whole_or_not_at_all(comparison, tmp_path):
    out = tmp_path / "new" / "page.html"
    write_page(comparison, out)
    assert out.read_text("utf-8") == page(comparison)
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("out", ["page", "config.json", "runs/base-seed-0"])
def test_only_html_is_written_over(comparison, out):
    with pytest.raises(UserError, match=r"ends in \.html"):
        write_page(comparison, Path(out))


def test_a_place_that_cannot_be_written_is_said(comparison, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Could not write"):
        write_page(comparison, tmp_path / "file" / "page.html")
