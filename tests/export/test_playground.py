import base64
import json
import re

import numpy as np
import pytest

import zerosum
from zerosum.data.spec import DataSpec
from zerosum.errors import UserError
from zerosum.export import playground as module
from zerosum.export.onnx_model import describe
from zerosum.export.playground import (
    examples_told,
    palette,
    pattern,
    playground,
    require_drawable,
    require_small,
    states_of,
)
from zerosum.inference.description import Description

SCRIPT = re.compile(r'<script type="application/json" id="facts">(.*?)</script>', re.S)


def facts_of(page):
    return json.loads(SCRIPT.search(page)[1])


@pytest.fixture
def page(run):
    return playground(run, language="en", notice=lambda _: None)


@pytest.mark.slow
def test_it_knows_what_sample_makes(run, page):
    facts = facts_of(page)
    made = run.sample_with_inputs(64, seed=0, device="cpu")
    z = np.frombuffer(base64.b64decode(facts["z"]), "<f4").reshape(64, 4)
    assert (z == made.z).all()
    expected = np.frombuffer(base64.b64decode(facts["expected"]), np.uint8)
    assert (expected.reshape(16, 1, 8, 8) == made.samples[:16].transpose(0, 3, 1, 2)).all()
    # Three checkpoints are kept or two, of which one is the best; and the raw weights.
    states = [(each["seen"], each["ema"]) for each in facts["states"]]
    kept = run.directory.checkpoints.seen()
    assert states == [(120, True), (120, False), *((seen, True) for seen in kept[-2::-1])]


@pytest.mark.slow
def test_it_holds_no_path_of_this_machine(run, page, tmp_path):
    assert str(tmp_path) not in page
    assert "<title>vanilla · tiny · zerosum</title>" in page  # the data's name alone
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert "default-src &#39;none&#39;" in policy
    assert "unsafe-inline" not in policy
    assert "http" not in policy


@pytest.mark.slow
def test_the_same_run_gives_the_same_page(run, page):
    assert playground(run, language="en", notice=lambda _: None) == page


@pytest.mark.slow
def test_it_stops_at_a_small_page_and_says_so(run, monkeypatch):
    monkeypatch.setattr(module, "SMALL", 1)
    notices = []
    states = facts_of(playground(run, notice=notices.append))["states"]
    assert [each["seen"] for each in states] == [120]
    assert "The page holds 1 of the run's states" in notices[0]


def test_too_large_a_page_is_refused_before_any_work(run, monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 1_000_000)
    with pytest.raises(UserError, match=r"would have 5 MB: expected at most 0 MB. Halve .* --half"):
        playground(run, notice=lambda _: None)


def test_the_advice_does_not_name_what_was_done_already():
    with pytest.raises(UserError, match=r"Train narrower nets \(--width"):
        require_small(65 * 2**20, half=True)
    require_small(64 * 2**20, half=False)


def test_sources_that_no_browser_can_draw_are_refused():
    about = Description(channels=3, image_size=(8, 8), source_channels=7)
    with pytest.raises(UserError, match="images of 7 channels"):
        require_drawable(about)


def test_few_colours_are_kept_and_many_are_reduced():
    few = np.zeros((2, 4, 4, 3), np.uint8)
    few[0, 0, 0] = (255, 0, 16)
    assert palette(few) == {"colors": ["#000000", "#ff0010"], "background": "#000000"}
    many = pattern(32, 32, 3)[None]
    assert 2 <= len(palette(many)["colors"]) <= module.NUM_COLORS


def test_a_pattern_has_the_shape_that_was_asked_for():
    assert pattern(5, 7, 4).shape == (5, 7, 4)
    assert (pattern(5, 7, 1)[0, 0], pattern(5, 7, 1)[4, 6]) == (0, 255)


def test_without_an_average_there_are_no_two_states(save_run_anew, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "checked_onnx", lambda *_, **__: b"")
    spec = DataSpec(shape=(1, 8, 8))
    run = save_run_anew(tmp_path / "run", "vanilla", spec=spec, ema_half_life=0)
    assert [each.ema for each in states_of(run, 640, half=False)] == [False]


@pytest.mark.slow
def test_data_that_is_gone_leaves_a_page_without_examples(tmp_path):
    from PIL import Image

    for domain in "AB":
        (tmp_path / "data" / domain).mkdir(parents=True)
        for index in range(4):
            picture = Image.new("L", (16, 16), 50 * index)
            picture.save(tmp_path / "data" / domain / f"{index}.png")
    run = zerosum.train(
        "cyclegan", data=str(tmp_path / "data"), out=tmp_path / "run", size="16", width=2,
        d_layers=1, images=8, batch_size=2, device="cpu", evaluate_every=0, blocks=1, quiet=True,
    )  # fmt: skip
    notices = []
    assert examples_told(run, notices.append, reverse=False).shape == (4, 16, 16, 1)
    assert "4 training images as examples: of domain A" in notices.pop()
    for picture in (tmp_path / "data").rglob("*.png"):
        picture.unlink()
    facts = facts_of(playground(run, notice=notices.append))
    assert "no examples" in notices[0]
    assert facts["ways"].keys() == {"forward", "reverse"}
    assert facts["ways"]["forward"]["examples"] == []
    assert {each["reverse"] for each in facts["states"]} == {False, True}
    assert facts["about"] == json.loads(
        json.dumps(describe(run.generator(device="cpu"), run.spec).to_json())
    )
