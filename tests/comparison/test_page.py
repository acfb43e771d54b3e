import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from zerosum.comparison.compare import compare
from zerosum.comparison.page import page

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


def test_verdicts_metrics_curves_and_pictures(comparison):
    shown = Elements(page(comparison))
    assert "precision=bf16 is better by 3.99" in shown.text
    assert "Better in 3 of 3 pairs" in shown.text
    assert re.search(r"0: 9\s+1: 10\s+2: 11", shown.text)
    charts = [image for image in shown.all("img") if image["src"].startswith("data:image/svg")]
    assert [chart["alt"] for chart in charts] == [
        "frechet_digits, best logged (lower is better): a dot a run",
        "frechet_digits, last logged (lower is better): a dot a run",
        "frechet_digits over the epochs, a line a run",
        "loss D over the epochs, a line a run",
        "loss G over the epochs, a line a run",
    ]
    for chart in charts:
        content = base64.b64decode(chart["src"].partition(",")[2]).decode()
        assert "precision=bf16" in content
        assert content.count("<title>") == 1
    assert len(shown.all("img")) == len(charts) + 6
    assert all(image["alt"] for image in shown.all("img"))
    assert "half-seed-1, seed 1, epoch 4" in shown.text
    assert "collapsing" in shown.text


def test_it_stands_by_itself_and_runs_nothing(comparison):
    html = page(comparison)
    shown = Elements(html)
    assert not shown.all("script")
    assert not shown.all("link")
    loaded = [image["src"] for image in shown.all("img")]
    assert all(re.match(r"data:image/(png|svg\+xml);base64,", source) for source in loaded)
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
    pictures = [image for image in shown.all("img") if "image/png" in image["src"]]
    assert len(pictures) == 1
