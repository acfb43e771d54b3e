"""Real browsers, driven by one script of Node's, and small runs whose pages they open."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zerosum
from zerosum.export.playground import write_playground

HERE = Path(__file__).parent
BROWSERS = {
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "firefox": ("firefox-esr", "firefox"),
}
SECONDS = 240
"""After which a browser is given up, whatever it does."""

CLASSES = ("</b><script>alert(1)<", 'two "quoted"')


def missing(browser):
    """What is not installed that tests in this browser need, or ""."""
    if not shutil.which("node"):
        return "node"
    if not (HERE / "node_modules").is_dir():
        return "tests/browser/node_modules (make browsers)"
    return "" if any(map(shutil.which, BROWSERS[browser])) else f"{browser} (make browsers)"


@pytest.fixture(scope="session", params=BROWSERS)
def browser(request):
    """A browser's name."""
    if lacking := missing(request.param):
        pytest.skip(f"needs {lacking}")
    return request.param


@pytest.fixture(scope="session")
def drive(browser):
    """Make a function that opens a page and does steps there, as drive.mjs describes them.

    It gives what `drive.mjs` tells, and fails on an error in the page, but for
    those that have `allowed` in them, or a request to anywhere but the page's own server, if it
    has one, and what begins with `also`.
    """
    executable = next(filter(None, map(shutil.which, BROWSERS[browser])))

    def do(page, *steps, allowed=None, also=None, **how):
        job = {"browser": browser, "executable": executable, "page": str(page), "steps": steps}
        done = subprocess.run(
            ["node", str(HERE / "drive.mjs")],
            input=json.dumps(job | {"timeout": SECONDS / 2 * 1000 - 5000} | how),
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["failure"] is None
        errors = [each for each in told["errors"] if allowed is None or allowed not in each]
        assert errors == []
        own = str(page) if str(page).startswith("http:") else also
        local = ("file:", "blob:", "data:", *([own] if own else []))
        assert [each for each in told["requests"] if not each.startswith(local)] == []
        return told["results"]

    return do


def save_images(folder, count, *, seed=0, mode="L", side=16):
    """Write images of a bright square somewhere."""
    folder.mkdir(parents=True)
    numbers = np.random.default_rng(seed)
    for index in range(count):
        pixels = np.zeros((side, side, 3), np.uint8)
        y, x = numbers.integers(0, side - 5, 2)
        pixels[y : y + 5, x : x + 5] = (255, 255, 255) if mode == "L" else (220, 60, 20)
        Image.fromarray(pixels).convert(mode).save(folder / f"{index}.png")


def train(recipe, folder, **settings):
    common = {"device": "cpu", "quiet": True, "evaluate_every": 0, "checkpoint_every": 1}
    return zerosum.train(recipe, out=folder / "run", **(common | settings))


def page_of(run, folder, **how):
    """Write a run's page."""
    out = folder / "play.html"
    write_playground(run, out, notice=lambda _: None, **how)
    return out


@pytest.fixture(scope="session")
def noise(tmp_path_factory):
    """A run that makes images of two classes with bad names, and its page."""
    folder = tmp_path_factory.mktemp("noise")
    for index, name in enumerate(CLASSES):
        save_images(folder / "<i>data" / name.replace("/", "∕"), 12, seed=index, mode="RGB")
    run = train(
        "vanilla", folder, data=str(folder / "<i>data"), conditioning="concat", epochs=2,
        batch_size=8, hidden=(12, 20), latent_size=5, ema_half_life=16,
    )  # fmt: skip
    return run, page_of(run, folder, language="en")


@pytest.fixture(scope="session")
def points(tmp_path_factory):
    """A run that makes points in the plane, and its page."""
    folder = tmp_path_factory.mktemp("points")
    run = train("vanilla", folder, data="ring", images=4096, checkpoint_every=None)
    return run, page_of(run, folder, language="en")


@pytest.fixture(scope="session")
def translation(tmp_path_factory):
    """A run that translates gray into colour, with noise, and its page, which is Chinese."""
    folder = tmp_path_factory.mktemp("translation")
    save_images(folder / "data/A", 6, side=20)
    save_images(folder / "data/B", 6, side=20, mode="RGB")
    run = train(
        "pix2pix", folder, data=str(folder / "data"), size="20", width=4, d_layers=1, epochs=1,
        batch_size=2, learning_rate=0.02, lr_end=1.0, ema_half_life=1000,
    )  # fmt: skip
    return run, page_of(run, folder, language="zh")
