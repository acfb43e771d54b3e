// Images from noise: a grid of them, the chosen one with its neighbours, a walk between two.

import { bytesOf, normals, onGreatCircle, toByte, toPixels, turned } from "./play_maths.js";
import { Latents } from "./play_latents.js";
import {
  arrowKeys, byId, facts, latest, make, paint, player, saveCanvas, say, slider, stateName,
  tellCheck, worstDifference,
} from "./play_page.js";

const NEIGHBOURS = 9;

export async function playWithNoise(nets) {
  const { about, count } = facts;
  const shape = [about.channels, ...about.image_size];
  const [, height, width] = shape;
  const columns = Math.round(Math.sqrt(count));
  let chosen = 0;
  let draws = 0;
  let neighbours = [];
  let walk = null;

  const latents = new Latents(
    () => {
      grid();
      details();
      walking();
    },
    () => startWalk(),
  );
  const labelled = (row, label) => ({ row, label });
  const at = (index) =>
    labelled(latents.rows[index], about.classes.length ? latents.labelOf(index) : 0);

  async function images(wanted, state = latents.state) {
    const fed = latents.feeds(wanted.map(({ row }) => row), wanted.map(({ label }) => label));
    const { data } = await nets.run(`model-${state}`, fed);
    return wanted.map((_, index) => toPixels(data, index, shape));
  }

  const cells = cellsIn(byId("grid"), count, (index) => {
    chosen = index;
    details();
  });
  byId("grid").style.setProperty("--columns", columns);
  arrowKeys(byId("grid"), columns);

  const grid = latest(async () => {
    const wanted = latents.rows.map((_, index) => at(index));
    const made = await images(wanted);
    made.forEach((pixels, index) => {
      paint(cells[index].firstChild, pixels, height, width);
      cells[index].setAttribute("aria-label", nameOf(index));
    });
    byId("z-note").textContent = latents.command("command_sample");
  });

  function nameOf(index) {
    const name = about.classes[latents.labelOf(index)];
    return say(about.classes.length ? "sample_of_class" : "sample", { number: index + 1, name });
  }

  const around = cellsIn(byId("neighbours"), NEIGHBOURS, (index) => {
    latents.rows[chosen] = neighbours[index].row;
    grid();
    details();
  });
  around.forEach((cell, index) => {
    cell.setAttribute("aria-label", say("neighbour", { number: index + 1 }));
  });
  arrowKeys(byId("neighbours"), 3);

  const history = facts.states.map((state, index) => ({ state, index }));
  const past = history.map(({ state }) => {
    const canvas = make("canvas", { role: "img" });
    canvas.setAttribute("aria-label", stateName(state));
    const caption = make("figcaption", { textContent: stateName(state) });
    byId("history").append(make("figure", {}, canvas, caption));
    return canvas;
  });
  byId("history-box").hidden = history.length < 2;

  const distance = slider("distance", (degrees) => `${degrees}°`, () => details());
  const details = latest(async () => {
    const here = at(chosen);
    const angle = (distance.value * Math.PI) / 180;
    neighbours = around.map((_, index) => {
      const towards = normals(1 + draws * NEIGHBOURS + index, here.row.length);
      return labelled(turned(here.row, towards, angle), here.label);
    });
    const [middle, ...others] = await images([here, ...neighbours]);
    paint(byId("chosen"), middle, height, width);
    others.forEach((pixels, index) => paint(around[index].firstChild, pixels, height, width));
    cells.forEach((cell, index) => cell.setAttribute("aria-pressed", index === chosen));
    byId("chosen-name").textContent = nameOf(chosen);
    if (history.length < 2) return;
    for (const { index } of history) {
      const [pixels] = await images([here], index);
      paint(past[index], pixels, height, width);
    }
  });
  byId("other-neighbours").addEventListener("click", () => {
    draws += 1;
    details();
  });

  function startWalk() {
    walk = { from: at(0), to: at(Math.min(1, count - 1)) };
  }
  startWalk();
  const way = slider("walk", (share) => `${Math.round(100 * share)} %`, () => walking());
  const walking = latest(async () => {
    const { from, to } = walk;
    const now = { row: onGreatCircle(from.row, to.row, way.value) };
    now.label = way.value < 0.5 ? from.label : to.label;
    const shown = ["walk-a", "walk-now", "walk-b"];
    const made = await images([from, now, to]);
    made.forEach((pixels, index) => paint(byId(shown[index]), pixels, height, width));
  });
  for (const [id, end] of [["from-here", "from"], ["to-here", "to"]]) {
    byId(id).addEventListener("click", () => {
      walk[end] = at(chosen);
      walking();
    });
  }
  let onward = 1;
  player(byId("walk-play"), (milliseconds) => {
    const next = way.value + (onward * milliseconds) / 4000;
    if (next >= 1 || next <= 0) onward = -onward;
    way.value = Math.round(100 * Math.min(1, Math.max(0, next + onward * 0.005))) / 100;
  });

  byId("save-grid").addEventListener("click", () => {
    const gap = 2;
    const sheet = make("canvas", {
      width: columns * (width + gap) + gap,
      height: Math.ceil(count / columns) * (height + gap) + gap,
    });
    const context = sheet.getContext("2d");
    context.fillStyle = "#ffffff";
    context.fillRect(0, 0, sheet.width, sheet.height);
    cells.forEach((cell, index) => {
      const [x, y] = [index % columns, Math.floor(index / columns)];
      context.drawImage(cell.firstChild, gap + x * (width + gap), gap + y * (height + gap));
    });
    saveCanvas(sheet, "samples.png");
  });
  byId("save-chosen").addEventListener("click", () => saveCanvas(byId("chosen"), "sample.png"));
  byId("save-z").addEventListener("click", () => latents.save());

  const first = latents.rows.map((_, index) => at(index));
  const fed = latents.feeds(first.map(({ row }) => row), first.map(({ label }) => label));
  const { data } = await nets.run("model-0", fed);
  const worst = worstDifference(bytesOf(facts.expected), data, toByte);
  tellCheck("check_noise", worst, facts.half ? 8 : 1, worst, facts.checked);
  grid();
  details();
  walking();
}

// Buttons with a canvas in each.
function cellsIn(box, count, chosen) {
  const cells = Array.from({ length: count }, (_, index) => {
    const cell = make("button", { type: "button", className: "cell" }, make("canvas"));
    cell.addEventListener("click", () => chosen(index));
    return cell;
  });
  box.append(...cells);
  return cells;
}
