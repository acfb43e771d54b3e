// Images of images: a sheet to draw on, and what the generator makes of it with every stroke.

import { bytesOf, cropped, fromPixels, padded, toByte, toPixels, uniforms } from "./play_maths.js";
import {
  byId, facts, latest, make, paint, saveCanvas, say, seedField, slider, stateChoice,
  tellCheck, worstDifference,
} from "./play_page.js";

const MOST_UNDOS = 40;

export async function playWithImages(nets) {
  let state = 0;
  let seed = 0;
  const wayOf = (index) => facts.ways[facts.states[index].reverse ? "reverse" : "forward"];
  const way = () => wayOf(state);
  const [height, width] = facts.about.image_size;
  const canvas = byId("source");
  Object.assign(canvas, { width, height });
  const paper = canvas.getContext("2d", { willReadFrequently: true });
  const undos = [];
  let color = null;
  let output = null; // RGBA bytes of the last result

  // The masks of G's noise: torch's own for seed 0, this page's for others.
  function masks({ about, masks: given }, tall, wide) {
    const torchs = bytesOf(given);
    const next = uniforms(seed);
    let start = 0;
    return Object.fromEntries(
      about.noise.map(({ name, channels, divisor, keep }) => {
        const dims = [1, channels, tall / divisor, wide / divisor];
        const data = new Float32Array(dims.reduce((product, each) => product * each));
        for (let index = 0; index < data.length; index++) {
          const kept =
            seed === 0
              ? (torchs[start + (index >> 3)] >> (7 - (index & 7))) & 1
              : Number(next() < keep);
          data[index] = kept / keep;
        }
        start += Math.ceil(data.length / 8);
        return [name, { data, dims }];
      }),
    );
  }

  // Floats (c, h, w) -> floats of the result, and how long it took.
  async function translate(data, index) {
    const { about } = wayOf(index);
    const { source_channels: channels, multiple, least_side: least } = about;
    const [tall, wide] = [height, width].map((side) =>
      Math.max(Math.ceil(side / multiple) * multiple, least),
    );
    const images = padded(data, [channels, height, width], [tall, wide]);
    const fed = { images: { data: images, dims: [1, channels, tall, wide] } };
    Object.assign(fed, masks(wayOf(index), tall, wide));
    const made = await nets.run(`model-${index}`, fed);
    const result = cropped(made.data, [about.channels, tall, wide], [height, width]);
    return { result, milliseconds: made.milliseconds };
  }

  const update = latest(async () => {
    const { about } = way();
    const source = paper.getImageData(0, 0, width, height);
    const { result, milliseconds } = await translate(
      fromPixels(source.data, about.source_channels), state,
    );
    output = toPixels(result, 0, [about.channels, height, width]);
    show();
    byId("speed").textContent = say("speed", { milliseconds: Math.max(1, Math.round(milliseconds)) });
  });

  const share = slider("before-after", (percent) => `${percent} %`, () => show());
  function show() {
    if (!output) return;
    paint(byId("result"), output, height, width);
    const columns = Math.round((width * share.value) / 100);
    if (columns) {
      byId("result").getContext("2d").drawImage(canvas, 0, 0, columns, height, 0, 0, columns, height);
    }
  }

  // Drawing, without soft edges, so that every pixel has one of the source's colours.
  const thickness = slider("pen-size", (pixels) => `${pixels} px`, () => {});
  thickness.value = Math.max(1, Math.round(Math.min(height, width) / 24));

  function stamp(x, y) {
    const erases = byId("eraser").checked;
    const size = thickness.value * (erases ? 3 : 1);
    paper.fillStyle = erases ? way().background : color;
    const radius = size / 2;
    const rows = Math.ceil(radius);
    for (let row = -rows; row <= rows; row++) {
      const half = Math.sqrt(Math.max(0, radius * radius - row * row));
      if (Math.abs(row) > radius) continue;
      const from = Math.round(x - half);
      paper.fillRect(from, Math.round(y) + row, Math.max(1, Math.round(2 * half)), 1);
    }
  }

  function stroke(from, to) {
    const steps = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y)));
    for (let step = 0; step <= steps; step++) {
      const share = step / steps;
      stamp(from.x + share * (to.x - from.x), from.y + share * (to.y - from.y));
    }
    update();
  }

  function remember() {
    undos.push(paper.getImageData(0, 0, width, height));
    if (undos.length > MOST_UNDOS) undos.shift();
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * width - 0.5,
      y: ((event.clientY - box.top) / box.height) * height - 0.5,
    };
  }

  let pen = null; // where the pointer has drawn last
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    remember();
    pen = place(event);
    stroke(pen, pen);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!pen) return;
    const to = place(event);
    stroke(pen, to);
    pen = to;
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, () => (pen = null));
  }

  // By keyboard: a cursor that the arrow keys move, and a pen that the space bar lowers.
  const cursor = { x: Math.floor(width / 2), y: Math.floor(height / 2), down: false };
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key === " ") {
      cursor.down = !cursor.down;
      if (cursor.down) {
        remember();
        stroke(cursor, cursor);
      }
    } else if (step[event.key]) {
      const [x, y] = step[event.key];
      const from = { ...cursor };
      cursor.x = Math.min(width - 1, Math.max(0, cursor.x + x * thickness.value));
      cursor.y = Math.min(height - 1, Math.max(0, cursor.y + y * thickness.value));
      if (cursor.down) stroke(from, cursor);
    } else return;
    event.preventDefault();
  });

  byId("undo").addEventListener("click", () => {
    const last = undos.pop();
    if (!last) return;
    paper.putImageData(last, 0, 0);
    update();
  });
  byId("clear").addEventListener("click", () => {
    remember();
    clear();
    update();
  });
  function clear() {
    paper.fillStyle = way().background;
    paper.fillRect(0, 0, width, height);
  }

  // Images: examples of the data, and the user's own.
  function put(image) {
    const scale = Math.max(width / image.width, height / image.height);
    const [wide, tall] = [image.width * scale, image.height * scale];
    remember();
    clear();
    paper.imageSmoothingEnabled = scale !== 1;
    paper.imageSmoothingQuality = "high";
    paper.drawImage(image, (width - wide) / 2, (height - tall) / 2, wide, tall);
    if (way().about.source_channels === 1) {
      const gray = toPixels(
        fromPixels(paper.getImageData(0, 0, width, height).data, 1), 0, [1, height, width],
      );
      paper.putImageData(new ImageData(gray, width, height), 0, 0);
    }
    update();
  }

  async function take(files) {
    const file = [...files].find(({ type }) => type.startsWith("image/"));
    if (file) put(await createImageBitmap(file));
  }
  byId("open").addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", () => take(byId("file").files));
  document.addEventListener("paste", (event) => take(event.clipboardData.files));
  const sheet = byId("drop");
  sheet.addEventListener("dragover", (event) => {
    event.preventDefault();
    sheet.classList.add("over");
  });
  sheet.addEventListener("dragleave", () => sheet.classList.remove("over"));
  sheet.addEventListener("drop", (event) => {
    event.preventDefault();
    sheet.classList.remove("over");
    take(event.dataTransfer.files);
  });
  byId("open").closest("section").querySelector(".note").textContent = say("open_note", {
    width, height,
  });
  byId("save-result").addEventListener("click", () => {
    share.value = 0;
    saveCanvas(byId("result"), "translated.png");
  });

  // What belongs to one way to translate: colours, examples, the first image.
  function enter() {
    const { colors, background, examples, source, about } = way();
    const swatches = colors.map((each) => {
      const button = make("button", { type: "button", className: "swatch", title: each });
      button.style.background = each;
      button.setAttribute("aria-label", say("color_word", { name: each }));
      button.addEventListener("click", () => choose(each));
      return button;
    });
    const own = make("input", { type: "color", value: colors.at(-1) });
    own.setAttribute("aria-label", say("color_own"));
    own.addEventListener("input", () => choose(own.value));
    byId("colors").replaceChildren(...swatches, own);
    function choose(next) {
      color = next;
      byId("pen").checked = true;
      swatches.forEach((each) => each.setAttribute("aria-pressed", each.title === next));
    }
    choose(colors.find((each) => each !== background) ?? background);
    byId("examples").replaceChildren(
      ...examples.map((url, index) => {
        const image = make("img", { src: url, alt: "" });
        const button = make("button", { type: "button", className: "cell" }, image);
        button.setAttribute("aria-label", say("example", { number: index + 1 }));
        button.addEventListener("click", () => put(image));
        return button;
      }),
    );
    byId("noise-box").hidden = !about.noise.length;
    const floats = Float32Array.from(bytesOf(source), (byte) => Math.fround(byte / 127.5) - 1);
    const pixels = toPixels(floats, 0, [about.source_channels, height, width]);
    paper.putImageData(new ImageData(pixels, width, height), 0, 0);
    undos.length = 0;
    return floats;
  }

  stateChoice((next) => {
    const turned = facts.states[next].reverse !== facts.states[state].reverse;
    state = next;
    if (turned) enter();
    update();
  });
  seedField((next) => {
    seed = next;
    update();
  });

  const first = enter();
  const { result } = await translate(first, 0);
  const worst = worstDifference(bytesOf(way().expected), result, toByte);
  tellCheck("check_translation", worst, facts.half ? 8 : 1, worst, 1);
  update();
}
