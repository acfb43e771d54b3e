// What is drawn from z, be it images or points: seed, truncation, class, directions, weights.

import { floatsOf, normals, npy } from "./play_maths.js";
import {
  byId, choices, facts, make, save, say, seedField, slider, stateChoice,
} from "./play_page.js";

const size = facts.about.latent_size;
const classes = facts.about.classes;

// Holds what the user has set, and calls `changed` when it is another.
export class Latents {
  state = 0;
  seed = 0;
  label = -1; // all in turn
  rows = [];
  #truncation;
  #sliders = [];
  #directions = facts.directions ? floatsOf(facts.directions) : new Float32Array(0);
  #given = floatsOf(facts.z);

  constructor(changed, reseeded) {
    this.#draw();
    seedField((seed) => {
      this.seed = seed;
      this.#draw();
      reseeded?.();
      changed();
    });
    this.#truncation = slider("truncation", (value) => value.toFixed(2), changed);
    if (classes.length) {
      const options = classes.map((text, value) => ({ value, text }));
      options.unshift({ value: -1, text: say("all_in_turn") });
      choices(byId("classes"), "class", options, -1, (label) => {
        this.label = label;
        changed();
      });
    }
    stateChoice((state) => {
      this.state = state;
      changed();
    });
    facts.shares.forEach((share, index) => {
      const id = `direction-${index}`;
      const about = say("direction_share", { share: (100 * share).toFixed(share < 0.1 ? 1 : 0) });
      const label = make("label", { htmlFor: id }, say("direction", { number: index + 1 }));
      label.append(" ", make("span", { className: "quiet", textContent: `· ${about}` }));
      const input = make("input", { type: "range", id, min: -6, max: 6, step: 0.1, value: 0 });
      const output = make("output", { id: `${id}-value`, htmlFor: id });
      byId("directions").append(make("div", { className: "slider" }, label, output, input));
      this.#sliders.push(slider(id, (value) => value.toFixed(1), changed));
    });
    byId("directions-reset").addEventListener("click", () => {
      for (const each of this.#sliders) each.value = 0;
    });
  }

  #draw() {
    const drawn = this.seed === 0 ? this.#given : normals(this.seed, facts.count * size);
    this.rows = Array.from({ length: facts.count }, (_, index) =>
      drawn.slice(index * size, (index + 1) * size),
    );
    byId("seed-note").textContent = say(this.seed === 0 ? "seed_torch" : "seed_other", {
      seed: this.seed,
    });
  }

  // The class of a row, where there are classes.
  labelOf(index) {
    return this.label < 0 ? index % classes.length : this.label;
  }

  // z as G gets it: moved along the directions, then truncated.
  moved(row) {
    const truncation = this.#truncation.value;
    const output = new Float32Array(row);
    this.#sliders.forEach((each, direction) => {
      for (let index = 0; each.value && index < size; index++) {
        output[index] += each.value * this.#directions[direction * size + index];
      }
    });
    return truncation === 1 ? output : output.map((value) => value * truncation);
  }

  // What G is fed for some rows; `labels` are their classes.
  feeds(rows, labels) {
    const z = new Float32Array(rows.length * size);
    rows.forEach((row, index) => z.set(this.moved(row), index * size));
    const fed = { z: { data: z, dims: [rows.length, size] } };
    if (classes.length) fed.classes = oneHot(labels);
    return fed;
  }

  // All rows as a file for `zerosum sample --z`, and the command that takes it.
  save() {
    const data = new Float32Array(this.rows.length * size);
    this.rows.forEach((row, index) => data.set(this.moved(row), index * size));
    save(npy(data, this.rows.length, size), "z.npy");
  }

  command(key) {
    const { seen, ema } = facts.states[this.state];
    const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
    const label = this.label < 0 ? "" : ` --label ${quoted(classes[this.label])}`;
    return say(key, { flags: `${label} --checkpoint ${seen}${ema ? "" : " --no-ema"}` });
  }
}

export function oneHot(labels) {
  const data = new Float32Array(labels.length * classes.length);
  labels.forEach((label, index) => (data[index * classes.length + label] = 1));
  return { data, dims: [labels.length, classes.length] };
}
