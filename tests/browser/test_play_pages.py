"""Pages of `zerosum play` in real browsers, from a file: parity, every control, no request."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow  # runs are trained, exported and opened in browsers

CONTROLS = """[...document.querySelectorAll("button, input, summary, canvas[tabindex]")]
  .filter((each) => each.offsetParent !== null || each.type === "file")
  .map((each) => each.id || each.name || each.parentElement.id || each.tagName)"""
"""What a user can use: ids, or the names of radio buttons, or the box that they are in."""

KEPT = """window.kept = []; const before = URL.createObjectURL;
  URL.createObjectURL = (blob) => { window.kept.push(blob); return before.call(URL, blob); }; 0"""
"""Remember what is saved."""

SAVED = """(async () => { const bytes = new Uint8Array(await window.kept.at(-1).arrayBuffer());
  let text = ""; for (const each of bytes) text += String.fromCharCode(each);
  return btoa(text); })()"""


def shown(selector):
    """An expression: the RGBA bytes of each canvas, in base64."""
    return f"""[...document.querySelectorAll({selector!r})].map((each) => {{
      const copy = document.createElement("canvas");
      Object.assign(copy, {{ width: each.width, height: each.height }});
      const context = copy.getContext("2d", {{ willReadFrequently: true }});
      context.drawImage(each, 0, 0);
      const {{ data }} = context.getImageData(0, 0, each.width, each.height);
      let text = ""; for (const byte of data) text += String.fromCharCode(byte);
      return btoa(text); }})"""


def look(selector):
    """A step that waits and looks at canvases."""
    return ({"idle": True}, {"evaluate": shown(selector)})


def pixels(text, height, width):
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)


def worst(found, expected):
    return np.abs(np.asarray(found).astype(int) - np.asarray(expected).astype(int)).max()


def read_npy(text):
    return np.load(io.BytesIO(base64.b64decode(text)))


def test_the_first_images_are_those_of_sample(drive, noise):
    run, page = noise
    expected = run.sample(64, seed=0, device="cpu")
    _, found = drive(page, *look("#grid canvas"))
    assert len(found) == 64
    for text, image in zip(found, expected, strict=True):
        made = pixels(text, 16, 16)
        assert worst(made[..., :3], image) <= 1
        assert (made[..., 3] == 255).all()


def test_it_says_that_it_checked_itself_in_a_worker(drive, noise):
    _, page = noise
    *_, words, engine = drive(
        page,
        {"idle": True},
        {"evaluate": "document.getElementById('check').innerText"},
        {"evaluate": "document.documentElement.dataset.engine"},
    )
    assert "Checked: the first 16 images are those of zerosum sample" in words
    assert engine == "worker"


def test_without_workers_the_nets_run_in_the_page(drive, points, tmp_path):
    _, page = points
    without = tmp_path / "without.html"
    without.write_text(page.read_text().replace("worker-src blob:", "worker-src &#39;none&#39;"))
    _, check, engine = drive(
        without,
        {"idle": True},
        {"evaluate": "document.getElementById('check').className"},
        {"evaluate": "document.documentElement.dataset.engine"},
        allowed="worker-src",
    )
    assert (check, engine) == ("check good", "page")


@pytest.mark.parametrize("seen", ["noise", "points", "translation"])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_amiss_for_screen_readers(drive, request, seen, dark):
    _, page = request.getfixturevalue(seen)
    _, violations, _, narrow, wide = drive(
        page,
        {"idle": True},
        {"axe": True},
        {"resize": [360, 740]},
        {"axe": True},
        {"evaluate": "document.documentElement.scrollWidth"},
        dark=dark,
    )
    assert violations == []
    assert narrow == []
    assert wide <= 360


def test_a_page_that_was_changed_says_so(drive, noise, tmp_path):
    _, page = noise
    text = page.read_text()
    start = text.index('"expected": "') + len('"expected": "')
    changed = tmp_path / "changed.html"
    changed.write_text(text[:start] + "AAAA" * 50 + text[start + 200 :])
    _, words = drive(
        changed,
        {"idle": True},
        {"evaluate": "document.querySelector('.check.bad')?.innerText ?? ''"},
    )
    assert "does not make what zerosum made" in words


def test_every_control_of_a_page_of_noise(drive, noise):
    run, page = noise
    grid, chosen, walk = "#grid canvas", "#chosen", "#walk-now"
    steps = [
        *[{"idle": True}, {"evaluate": CONTROLS}, {"evaluate": KEPT}, *look(grid)],
        *[{"click": "#grid .cell:nth-child(3)"}, *look(chosen)],
        *[{"press": ["#grid .cell:nth-child(3)", "ArrowRight"]}],
        *[{"evaluate": "document.activeElement.getAttribute('aria-label')"}],
        *[{"click": "#neighbours .cell:nth-child(2)"}, *look(chosen)],
        *[{"click": "#other-neighbours"}, *look("#neighbours canvas")],
        *[{"set": ["#distance", 90]}, *look("#neighbours canvas")],
        *[{"click": "#from-here"}, *look(walk)],
        *[{"click": "#grid .cell:nth-child(8)"}, {"click": "#to-here"}, *look(walk)],
        *[{"set": ["#walk", 0.9]}, *look(walk)],
        *[{"click": "#walk-play"}, {"evaluate": "new Promise(done => setTimeout(done, 400))"}],
        *[{"click": "#walk-play"}, *look(walk)],
        *[{"set": ["#truncation", 0.5]}, *look(grid)],
        *[{"click": "#classes label:nth-child(3)"}, *look(grid)],
        *[{"click": "#states label:nth-child(2)"}, *look(grid)],
        *[{"set": ["#direction-0", 3]}, *look(grid)],
        *[{"click": "#save-z"}, {"idle": True}, {"evaluate": SAVED}],
        *[{"evaluate": "document.getElementById('z-note').innerText"}],
        *[{"click": "#directions-reset"}, *look(grid)],
        *[{"set": ["#seed", 7]}, *look(grid), {"click": "#reseed"}, *look(grid)],
        *[{"click": "#save-grid"}, {"evaluate": "new Promise(done => setTimeout(done, 300))"}],
        *[{"evaluate": SAVED}, {"click": "#save-chosen"}, {"click": "summary"}],
    ]
    results = drive(page, *steps)
    found = dict(enumerate(result for result in results if result is not None))
    controls, _, first, third, label, neighbour, other, far, *rest = found.values()
    assert set(controls) == {
        *("grid", "neighbours", "other-neighbours", "distance", "from-here", "to-here"),
        *("walk", "walk-play", "truncation", "class", "state", "save-z", "save-grid"),
        *("save-chosen", "seed", "reseed", "directions-reset", "SUMMARY"),
        *(f"direction-{index}" for index in range(5)),
    }
    assert third[0] == first[2]
    assert label == "Sample 4, class " + run.classes[1]
    assert neighbour != third
    assert len({*other, *far}) == 18
    from_here, to_here, further, played, *rest = rest
    assert len({each[0] for each in (from_here, to_here, further, played)}) == 4
    truncated, of_class, raw, moved, z, command, back, seven, anew, sheet = rest
    grids = [first, truncated, of_class, raw, moved, seven, anew]
    assert len({tuple(each) for each in grids}) == len(grids)
    assert back == raw
    latents = read_npy(z)
    assert latents.shape == (64, 5)
    shown_flags = f"--label '{run.classes[1]}' --checkpoint 48 --no-ema"
    assert command.endswith(shown_flags)
    made = run.sample(z=latents, label=run.classes[1], ema=False, checkpoint=48, device="cpu")
    for text, image in zip(moved, made, strict=True):
        assert worst(pixels(text, 16, 16)[..., :3], image) <= 1
    with Image.open(io.BytesIO(base64.b64decode(sheet))) as picture:
        assert picture.size == (8 * 18 + 2, 8 * 18 + 2)


def test_every_control_of_a_page_of_points(drive, points):
    run, page = points
    words = {"evaluate": "document.getElementById('plane-words').innerText"}
    steps = [
        *[{"idle": True}, {"evaluate": CONTROLS}, {"evaluate": KEPT}, *look("#plane"), words],
        *[{"press": ["#plane", "ArrowRight"]}, {"idle": True}, words],
        *[{"set": ["#path", 90]}, {"idle": True}, words],
        *[{"click": "#path-other"}, *look("#plane")],
        *[{"drag": ["#plane", [[0.2, 0.2]]]}, {"idle": True}, words],
        *[{"click": "#opinion"}, *look("#plane"), {"click": "#opinion"}, {"idle": True}],
        *[{"click": "#modes"}, *look("#plane")],
        *[{"click": "#path-play"}, {"evaluate": "new Promise(done => setTimeout(done, 400))"}],
        *[{"click": "#path-play"}, *look("#plane")],
        *[{"set": ["#truncation", 0.4]}, *look("#plane")],
        *[{"set": ["#direction-0", 2]}, *look("#plane"), {"click": "#directions-reset"}],
        *[{"click": "#states label:nth-child(2)"}, *look("#plane")],
        *[{"click": "#reseed"}, *look("#plane"), {"set": ["#seed", 0]}, *look("#plane")],
        *[{"click": "#save-z"}, {"evaluate": SAVED}, {"click": "#save-plane"}],
        *[{"click": "summary"}],
    ]
    controls, _, first, one, two, turned, *rest = [
        each for each in drive(page, *steps) if each is not None
    ]
    assert set(controls) == {
        *("plane", "save-plane", "save-z", "path", "path-play", "path-other", "opinion", "modes"),
        *("seed", "reseed", "truncation", "state", "directions-reset", "SUMMARY"),
        *("direction-0", "direction-1"),
    }
    (place,) = run.sample(1, seed=0, device="cpu")
    assert f"Point 1 lies at ({place[0]:.2f}, {place[1]:.2f})".replace("-0.00", "0.00") in one
    assert "of 8 centres are reached. D there: 0." in one
    assert "Point 2 lies at" in two
    assert turned != two
    *pictures, z = rest
    other, clicked, *pictures = pictures
    assert clicked.startswith("Point ")
    *_, raw, _, raw_again = pictures
    assert raw_again == raw
    assert len({each[0] for each in (first, other, *pictures)}) == 1 + len(pictures)
    drawn = run.sample_with_inputs(1, truncation=0.4, device="cpu")
    assert read_npy(z)[0] == pytest.approx(drawn.z[0])


def test_every_control_of_a_page_that_translates(drive, translation, tmp_path):
    run, page = translation
    Image.new("RGB", (40, 60), (255, 255, 255)).save(tmp_path / "white.png")
    source, result = "#source", "#result"
    drop = """(() => { const given = new DataTransfer();
      given.items.add(new File([new Uint8Array([1])], "a.txt", { type: "text/plain" }));
      for (const kind of ["dragover", "drop"]) document.getElementById("drop").dispatchEvent(
        new DragEvent(kind, { dataTransfer: given, bubbles: true, cancelable: true }));
      return 0; })()"""
    steps = [
        *[{"idle": True}, {"evaluate": CONTROLS}, {"evaluate": KEPT}],
        *[*look(source), *look(result)],
        *[{"drag": [source, [[0.2, 0.2], [0.8, 0.8]]]}, *look(source), *look(result)],
        *[{"click": "#undo"}, *look(source), *look(result)],
        *[{"click": "#clear"}, *look(source), {"set": ["#pen-size", 3]}],
        *[{"press": [source, " "]}, {"press": [source, "ArrowRight"]}, *look(source)],
        *[{"click": "label:has(#eraser)"}, {"drag": [source, [[0.1, 0.1], [0.9, 0.9]]]}],
        *look(source),
        *[{"click": "#examples .cell:nth-child(2)"}, *look(source), *look(result)],
        *[{"set": ["#before-after", 100]}, *look(result), {"set": ["#before-after", 0]}],
        *[{"set": ["#seed", 5]}, *look(result), {"click": "#reseed"}, *look(result)],
        *[{"click": "#states label:nth-child(2)"}, *look(result)],
        *[{"upload": ["#file", str(tmp_path / "white.png")]}, {"idle": True}],
        *[{"evaluate": "new Promise(done => setTimeout(done, 400))"}, *look(source)],
        *[{"click": ".swatch:nth-child(1)"}, {"click": "label:has(#pen)"}],
        *[{"set": ["#colors input", "#808080"]}, {"evaluate": drop}],
        *[{"drag": [source, [[0.5, 0.5], [0.6, 0.6]]]}, *look(source)],
        *[{"click": "#save-result"}, {"evaluate": "new Promise(done => setTimeout(done, 300))"}],
        *[{"evaluate": SAVED}, {"evaluate": "document.documentElement.lang"}],
        *[{"evaluate": "document.getElementById('clear').innerText"}, {"click": "summary"}],
    ]
    controls, _, *found = [each for each in drive(page, *steps) if each is not None]
    assert set(controls) == {
        *("source", "before-after", "tool", "pen", "eraser", "colors", "pen-size", "undo"),
        *("clear", "examples", "file", "open", "save-result", "seed", "reseed", "state"),
        *("SUMMARY",),
    } - {"tool"}
    *pictures, _, dotted, saved, language, clear = found
    pictures = [each[0] for each in pictures]
    first, made, drawn, drawn_made, undone, undone_made, cleared, typed, erased, *rest = pictures
    second, second_made, before, five, anew, raw, opened = rest
    example = pixels(first, 20, 20)[None, ..., :1]
    expected = run.translate(np.ascontiguousarray(example), device="cpu")
    assert worst(pixels(made, 20, 20)[..., :3], expected[0]) <= 1
    assert drawn != first
    assert drawn_made != made
    assert (undone, undone_made) == (first, made)
    assert set(pixels(cleared, 20, 20)[..., 0].ravel()) == {0}
    assert (pixels(typed, 20, 20)[..., 0] == 255).sum() in range(9, 40)
    assert erased != typed
    assert (
        worst(
            pixels(second_made, 20, 20)[..., :3],
            run.translate(pixels(second, 20, 20)[None, ..., :1].copy(), device="cpu")[0],
        )
        <= 1
    )
    assert before == second
    assert len({second_made, five, anew, raw}) == 4
    assert set(pixels(opened, 20, 20)[..., 0].ravel()) == {255}
    assert 128 in pixels(dotted[0], 20, 20)[..., 0]
    with Image.open(io.BytesIO(base64.b64decode(saved))) as picture:
        assert picture.size == (20, 20)
    assert (language, clear) == ("zh", "清空")


def test_hostile_names_stay_words(drive, noise):
    _, page = noise
    _, scripts, labels = drive(
        page,
        {"idle": True},
        {"evaluate": "document.querySelectorAll('b, i, script:not([type])').length"},
        {"evaluate": "document.getElementById('classes').innerText"},
    )
    assert scripts == 1  # the page's own
    assert "<script>alert(1)<" in labels


def test_an_image_is_dropped_or_pasted_as_it_is_opened(drive, translation, tmp_path):
    _, page = translation
    path = tmp_path / "white.png"
    Image.new("RGB", (40, 60), (255, 255, 255)).save(path)
    content = base64.b64encode(path.read_bytes()).decode()

    def given(event):
        return f"""(() => {{ const given = new DataTransfer();
          const bytes = Uint8Array.from(atob("{content}"), (each) => each.charCodeAt(0));
          given.items.add(new File([bytes], "white.png", {{ type: "image/png" }}));
          {event};
          return new Promise((done) => setTimeout(() => done(0), 400)); }})()"""

    drop = given("""document.getElementById("drop").dispatchEvent(
      new DragEvent("drop", { dataTransfer: given, bubbles: true, cancelable: true }))""")
    # Firefox lets no script fill the clipboard of an event that it makes.
    paste = given("""const event = new Event("paste", { bubbles: true });
      Object.defineProperty(event, "clipboardData", { value: given });
      document.dispatchEvent(event)""")
    upload = [
        {"upload": ["#file", str(path)]},
        {"evaluate": "new Promise(done => setTimeout(() => done(0), 400))"},
    ]
    source = "#source"
    steps = [{"idle": True}, *look(source)]
    for way in ([{"evaluate": drop}], [{"evaluate": paste}], upload):
        steps += [{"click": "#clear"}, *look(source), *way, {"idle": True}, *look(source)]
    found = [each[0] for each in drive(page, *steps) if isinstance(each, list)]
    first, *pairs = found
    cleared, given_there = pairs[::2], pairs[1::2]
    assert len(given_there) == 3
    assert len(set(given_there)) == 1
    assert not set(given_there) & {first, *cleared}
