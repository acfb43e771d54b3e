import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zerosum
from zerosum.report.facts import collect
from zerosum.report.page import page, report
from zerosum.report.words import LANGUAGES, words_of

OLD = Path(__file__).parent.parent / "fixtures/v0.1"
VOID = {"meta", "img", "br", "input"}
EVIL = "<img src=x onerror=alert(1)>\"'&{{ 7*7 }}</script>"


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
        if not {"style", "script"} & set(self.open):
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]

    def ids(self):
        return [attributes["id"] for _, attributes in self.found if "id" in attributes]


def damage(directory, **changes):
    saved = json.loads(directory.config_path.read_text())
    directory.config_path.write_text(json.dumps({**saved, **changes}))


def shown(directory, language="en"):
    return Elements(page(collect(directory), None, language=language))


def test_a_run_from_its_verdict_to_its_command(run):
    html = report(run, language="en")
    found = Elements(html)
    sections = [attributes["id"] for attributes in found.all("section")]
    assert sections == [
        *("summary", "curve", "pictures", "walk", "losses", "health", "cards", "settings"),
        *("data", "machine"),
    ]
    best = run.directory.history().best(next(iter(run.directory.history().metrics)))
    assert f"{best[1]:.4g}" in found.text
    assert "zerosum train vanilla --data" in found.text
    assert "--hidden 12 20" in found.text
    assert "120 of 120 images" in found.text
    assert run.directory.read_config()["data_sha256"] in found.text
    captions = re.findall(r"<figcaption>(epoch \d)</figcaption>", html)
    assert captions == ["epoch 1", "epoch 2", "epoch 3"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_stands_by_itself_and_runs_our_script_alone(run, language):
    html = report(run, language=language)
    found = Elements(html)
    assert found.all("html") == [{"lang": words_of(language)("lang")}]
    assert not found.all("link")
    assert all(
        re.match(r"data:image/(png|webp);base64,", image["src"]) for image in found.all("img")
    )
    assert not any(name.startswith("on") or name == "style" for _, a in found.found for name in a)
    (policy,) = [m["content"] for m in found.all("meta") if m.get("http-equiv")]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "connect" not in policy
    for tag in ("style", "script"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_it_can_be_read_by_those_who_see_no_pictures(run):
    found = Elements(report(run, language="en"))
    assert all(image["alt"] for image in found.all("img"))
    drawings = [attributes for attributes in found.all("svg") if attributes.get("role") == "img"]
    assert len(drawings) == 4
    assert all("Last:" in each["aria-label"] or "best" in each["aria-label"] for each in drawings)
    levels = [int(tag[1]) for tag, _ in found.found if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(found.all("caption")) == len(found.all("table")) > 1
    assert len(found.ids()) == len(set(found.ids()))


def test_made_twice_it_is_the_same(run):
    first = report(run, language="en")
    (run.path / "data.png").touch()
    assert report(zerosum.load(run.path), language="en") == first


def test_no_date_and_no_path_of_the_machine(run, tmp_path):
    html = report(run, language="en").replace(str(run.config.data), "")
    assert str(tmp_path) not in html


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["vanilla", "acgan", "r3gan", "cyclegan"])
def test_old_runs(name, language):
    run = zerosum.load(OLD / name / "run")
    found = Elements(report(run, language=language))
    sections = {attributes["id"] for attributes in found.all("section")}
    assert {"summary", "pictures", "losses", "settings", "data"} <= sections
    assert ("classes" in sections) == (name == "acgan")
    assert ("walk" in sections) == (name != "cyclegan")


def test_points(tmp_path):
    run = zerosum.train(
        "vanilla", data="ring", images=600, hidden=(8,), out=tmp_path / "ring", quiet=True
    )
    found = Elements(report(run, language="en"))
    assert "over the modes of the data" in found.text
    assert "points in the plane" in found.text
    assert run.directory.examples_path.is_file()


def test_pairs(pairs, tmp_path):
    run = zerosum.train(
        "pix2pix",
        data=str(pairs),
        epochs=1,
        width=2,
        d_layers=1,
        size=16,
        out=tmp_path / "p",
        quiet=True,
    )
    found = Elements(report(run, language="en"))
    assert "val_psnr" in found.text
    assert "their targets, pair by pair" in found.text
    assert "3 source channels and 3 target channels" in found.text


def test_a_run_that_was_only_begun(make_run):
    directory = make_run("a")
    directory.log_path.unlink()
    for path in directory.pictures():
        path.unlink()
    found = shown(directory)
    assert "Begun; nothing is logged yet." in found.text
    assert "No picture has been drawn yet." in found.text
    assert "no verdict" in found.text


def test_a_single_tick(make_run):
    directory = make_run("a")
    first = directory.log_path.read_text().splitlines(keepends=True)[0]
    directory.log_path.write_text(first)
    found = shown(directory)
    assert "No metric was logged." in found.text
    assert any(attributes.get("class") == "dot c0" for attributes in found.all("circle"))


def test_damage_is_said_and_left_out(make_run):
    directory = make_run("a")
    with directory.log_path.open("a") as log:
        log.write("{ no JSON\n[]\n")
        odd = {"epoch": 5, "seen": 50, "loss_D": "x", "metrics": 3, "health": {"verdict": 1}}
        log.write(json.dumps(odd) + "\n")
    (directory.path / "generated_epoch_9.png").write_bytes(b"\x89PNG no more")
    directory.data_path.write_text("[]")
    directory.examples_path.write_bytes(b"")
    found = shown(directory)
    assert "3 damaged lines of the log are left out." in found.text
    assert "epoch 4" in found.text
    assert [image["alt"] for image in found.all("img")] == ["Samples at epoch 4"] * 2


def test_what_users_name_is_escaped(make_run):
    name = EVIL.replace("/", "")
    directory = make_run(name, health=EVIL, seed=1)
    damage(directory, classes=[EVIL], zerosum=EVIL, machine={"processor": EVIL})
    directory.data_path.write_text(
        json.dumps({"classes": {EVIL: 3}, "warnings": [EVIL], "origin": EVIL})
    )
    record = {"epoch": 5, "seen": 50, "loss_D": 1.0, f"D/{EVIL}": 1.0, "metrics": {EVIL: 1.0}}
    directory.append_log(record)
    found = shown(directory)
    assert all(image["src"].startswith("data:") for image in found.all("img"))
    assert len(found.all("script")) == 1
    assert found.text.count(EVIL) > 5
    assert name in found.text
    assert "49" not in found.text


def test_alarms_are_shaded_and_told(make_run):
    directory = make_run("a", health="collapsing")
    directory.append_log(
        {
            "epoch": 5,
            "seen": 50,
            "metrics": {"frechet_digits": 3.0},
            "health": {"verdict": "healthy", "why": "", "alarm": False},
        }
    )
    found = shown(directory)
    assert len([each for each in found.all("rect") if each.get("class") == "band"]) == 1
    assert "Earlier alarms: collapsing, epochs 2 to 4" in found.text
    assert "正在发生模式坍塌" in shown(directory, "zh").text


def test_many_large_pictures_stay_a_light_page(make_run):
    directory = make_run("a", epochs=100)
    numbers = np.random.default_rng(0)
    small = Image.fromarray(numbers.integers(0, 256, (30, 30, 3), np.uint8))
    directory.save_picture(small.resize((900, 600), Image.Resampling.BICUBIC), 4)
    for epoch in range(5, 104):
        path = directory.path / f"generated_epoch_{epoch}.png"
        shutil.copy(directory.path / "generated_epoch_4.png", path)
    found = shown(directory)
    frames = [image for image in found.all("img") if image["alt"].startswith("Samples at epoch")]
    assert len(frames) == 25  # the newest is above, too
    assert all(image["width"] == "480" for image in frames)
    assert "24 of 100 pictures" in found.text
    assert len(page(collect(directory), None, language="en")) < 2_000_000


def test_a_vanilla_run_of_a_hundred_epochs_is_below_500_kb(make_run):
    directory = make_run("a", epochs=100)
    numbers = np.random.default_rng(0)
    for epoch in range(10, 101, 10):
        noisy = Image.fromarray(numbers.integers(0, 256, (122, 122), np.uint8))
        directory.save_picture(noisy.resize((366, 366), Image.Resampling.NEAREST), epoch)
    for epoch in range(5, 101):
        directory.append_log(
            {"epoch": epoch, "seen": 10 * epoch, "loss_D": epoch**0.5, "loss_G": 1 / epoch}
        )
    assert len(page(collect(directory), None, language="en")) < 500_000


def test_restarts_are_told(make_run):
    directory = make_run("a")
    entry = {"verdict": "D has won", "at": 30, "back_to": 10, "seed": 1, "attempt": 0}
    damage(directory, restarts=[entry, entry])
    text = shown(directory).text
    assert "Restarted 2 times after a collapse, the last time at 30 images: back to 10" in text
    assert "重新开始 2 次" in shown(directory, "zh").text
    damage(directory, restarts=[{"at": "<b>"}])
    assert "Restarted" not in shown(directory).text


def test_without_an_average_there_is_no_word_of_one(make_run):
    assert "moving average" in shown(make_run("a")).text
    assert "moving average" not in shown(make_run("b", ema_half_life=0)).text


def test_damaged_checkpoints_leave_their_pictures_out(run):
    for tensors in run.directory.checkpoints.directory.rglob("*.safetensors"):
        tensors.write_bytes(tensors.read_bytes()[:-1])
    notices = []
    found = Elements(report(run, language="en", notice=notices.append))
    assert "without pictures that G would make" in notices[0]
    assert "walk" not in [attributes["id"] for attributes in found.all("section")]


def test_more_images_than_the_budget_are_not_counted_against_it(make_run):
    directory = make_run("a")
    directory.append_log({"epoch": 5, "seen": 48, "loss_D": 1.0, "loss_G": 1.0})
    text = shown(directory).text
    assert "48 images" in text
    assert "of 40 images" not in text


def test_names_do_not_turn_the_text_round(make_run):
    directory = make_run("a")
    damage(directory, classes=["cat\u202egnp", "dog\u2066"])
    html = page(collect(directory), None, language="en")
    assert not {"\u202e", "\u2066"} & set(html)
    assert "cat\\u202egnp" in html
