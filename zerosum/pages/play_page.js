// What all kinds of page share: facts and texts, the engine's other side, small parts of the page.

import { bytesOf } from "./play_maths.js";

export const byId = (id) => document.getElementById(id);
export const facts = JSON.parse(byId("facts").textContent);

// A text in the page's language, its blanks filled in.
export function say(key, blanks = {}) {
  return facts.texts[key].replace(/\{(\w+)\}/g, (_, name) => blanks[name]);
}

export function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// One of the compressed files in the page.
function packedFile(name) {
  return bytesOf(byId(`file-${name}`).textContent);
}

const root = document.documentElement;
let working = 0;

function nowWorking(change) {
  working += change;
  root.dataset.busy = working; // read by the tests
}

export function fail(error) {
  byId("check").className = "check bad";
  byId("check-text").textContent = say("error", { reason: error?.message ?? error });
}

// Does work again and again, never twice at once; asked meanwhile, it begins anew once.
export function latest(work) {
  let running = false;
  let wanted = false;
  return async () => {
    wanted = true;
    if (running) return;
    running = true;
    nowWorking(1);
    try {
      while (wanted) {
        wanted = false;
        await work();
      }
    } catch (error) {
      fail(error);
    } finally {
      running = false;
      nowWorking(-1);
    }
  };
}

// The nets: in a worker, so that the page stays quick; in the page where there can be none.
export class Nets {
  #worker = null;
  #waiting = new Map();
  #count = 0;
  #loaded = new Map();

  async begin() {
    const packed = new Blob([packedFile("engine")]).stream();
    const code = await new Response(packed.pipeThrough(new DecompressionStream("gzip"))).text();
    try {
      await this.#inWorker(code);
      root.dataset.engine = "worker";
    } catch (error) {
      console.info(`No worker, so the nets run in the page: ${error?.message ?? error}`);
      this.#worker = null;
      document.head.append(make("script", { textContent: code }));
      await this.#ask("start", { wasm: packedFile("wasm") });
      root.dataset.engine = "page";
    }
  }

  async #inWorker(code) {
    const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    this.#worker = new Worker(url);
    const broken = new Promise((_, reject) => {
      this.#worker.onerror = (event) => reject(new Error(event.message || "it did not start"));
    });
    this.#worker.onmessage = ({ data: { id, result, error } }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) resolve(result);
      else reject(new Error(error));
    };
    await Promise.race([broken, this.#ask("start", { wasm: packedFile("wasm") })]);
    URL.revokeObjectURL(url);
  }

  #ask(task, given) {
    if (!this.#worker) return globalThis.zerosumEngine?.[task](given);
    return new Promise((resolve, reject) => {
      const id = this.#count++;
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, task, given });
    });
  }

  // Run a net, which is unpacked when it is asked for first.
  async run(name, feeds) {
    if (!this.#loaded.has(name)) {
      this.#loaded.set(name, this.#ask("load", { name, bytes: packedFile(name) }));
    }
    await this.#loaded.get(name);
    return this.#ask("run", { name, feeds });
  }
}

// A slider with its value in words beside it.
export function slider(id, inWords, changed) {
  const input = byId(id);
  const show = () => {
    byId(`${id}-value`).textContent = inWords(Number(input.value));
    input.setAttribute("aria-valuetext", inWords(Number(input.value)));
  };
  input.addEventListener("input", () => {
    show();
    changed(Number(input.value));
  });
  show();
  return {
    get value() {
      return Number(input.value);
    },
    set value(value) {
      input.value = value;
      show();
      changed(Number(input.value));
    },
  };
}

// A choice of one: options are { value, text }.
export function choices(box, name, options, chosen, changed) {
  box.replaceChildren(
    ...options.map(({ value, text }) => {
      const input = make("input", { type: "radio", name, value, checked: value === chosen });
      input.addEventListener("change", () => changed(value));
      return make("label", {}, input, make("span", { textContent: text }));
    }),
  );
}

// A button that starts and stops what is called for each picture of the screen, with the
// milliseconds since the last one.
export function player(button, step) {
  let playing = false;
  let before = 0;
  const next = (now) => {
    if (!playing) return;
    step(Math.min(100, now - before));
    before = now;
    requestAnimationFrame(next);
  };
  button.addEventListener("click", () => {
    playing = !playing;
    button.setAttribute("aria-pressed", playing);
    button.textContent = say(playing ? "walk_stop" : "walk_play");
    before = performance.now();
    if (playing) requestAnimationFrame(next);
  });
}

// The seed: its field, and the button for another one.
export function seedField(changed) {
  const field = byId("seed");
  const take = () => {
    const seed = Math.min(4294967295, Math.max(0, Math.floor(Number(field.value)) || 0));
    field.value = seed;
    changed(seed);
  };
  field.addEventListener("change", take);
  byId("reseed").addEventListener("click", () => {
    field.value = crypto.getRandomValues(new Uint32Array(1))[0] % 1000000;
    take();
  });
}

// What the states of the weights are called.
export function stateName({ seen, ema, reverse, best }) {
  const kind = say(ema ? "average" : "raw") + (best && ema ? ` · ${say("best")}` : "");
  return say(reverse ? "state_reverse" : "state", {
    kind,
    seen: seen.toLocaleString(root.lang),
  });
}

export function stateChoice(changed) {
  byId("states-box").hidden = facts.states.length < 2;
  const options = facts.states.map((state, value) => ({ value, text: stateName(state) }));
  choices(byId("states"), "state", options, 0, changed);
}

// Move among buttons with arrow keys; one of them is in the order of the Tab key.
export function arrowKeys(box, columns) {
  const buttons = [...box.children];
  const enter = (index) => {
    buttons.forEach((button, other) => (button.tabIndex = other === index ? 0 : -1));
  };
  enter(0);
  box.addEventListener("focusin", ({ target }) => enter(buttons.indexOf(target)));
  box.addEventListener("keydown", (event) => {
    const from = buttons.indexOf(document.activeElement);
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    const to = { Home: 0, End: buttons.length - 1 }[event.key] ?? (step ? from + step : NaN);
    if (!buttons[to]) return;
    event.preventDefault();
    buttons[to].focus();
  });
}

// Show one image of RGBA bytes.
export function paint(canvas, pixels, height, width) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
}

export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = make("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
  root.dataset.saved = `${name} ${blob.size}`; // read by the tests
}

export function saveCanvas(canvas, name) {
  canvas.toBlob((blob) => save(blob, name), "image/png");
}

// Say how far what was made is from what zerosum made of the same, at most `limit` if all is well.
export function tellCheck(key, worst, limit, shown, count) {
  const good = worst <= limit; // which NaN is not
  root.dataset.worst = worst;
  const text = say(good ? key : "check_bad", { worst: shown, count });
  const half = facts.half ? ` (${say("check_half")})` : "";
  byId("check").className = good ? "check good" : "check bad";
  byId("check-text").textContent = text + half;
}

// How far bytes are from floats that become bytes.
export function worstDifference(expected, made, convert) {
  let worst = made.length < expected.length ? NaN : 0;
  for (let index = 0; index < expected.length; index++) {
    const difference = Math.abs(convert(made[index]) - expected[index]);
    if (!(difference <= worst)) worst = difference;
  }
  return worst;
}
