// Points in the plane: where G lays them, what D thinks of each place, where one z can go.

import { floatsOf, normals, turned } from "./play_maths.js";
import { Latents, oneHot } from "./play_latents.js";
import {
  byId, facts, latest, player, saveCanvas, say, slider, tellCheck, worstDifference,
} from "./play_page.js";

const PIXELS = 720; // of the canvas's side
const CELLS = 72; // of the heat map's side
const STEPS = 120; // of a path

export async function playWithPoints(nets) {
  const { about, count, reach, modes } = facts;
  const canvas = byId("plane");
  Object.assign(canvas, { width: PIXELS, height: PIXELS });
  let chosen = 0;
  let circle = 1;
  let points = new Float32Array(2 * count);
  let path = new Float32Array(0);
  let heat = null; // scores from the top left, row after row
  let here = null; // D's score at the marker

  const latents = new Latents(() => {
    cloud();
    road();
    opinion();
  });
  const labels = (length, label) => new Array(length).fill(label);
  const labelOf = (index) => (about.classes.length ? latents.labelOf(index) : 0);

  const cloud = latest(async () => {
    const fed = latents.feeds(latents.rows, latents.rows.map((_, index) => labelOf(index)));
    points = (await nets.run(`model-${latents.state}`, fed)).data;
    byId("z-note").textContent = latents.command("command_points");
    draw();
  });

  const angle = slider("path", (degrees) => `${degrees}°`, () => road());
  const road = latest(async () => {
    const row = latents.rows[chosen];
    const towards = normals(circle * 7919 + chosen, row.length);
    const rows = Array.from({ length: STEPS + 1 }, (_, step) =>
      turned(row, towards, (2 * Math.PI * step) / STEPS),
    );
    rows.push(turned(row, towards, (angle.value * Math.PI) / 180));
    const fed = latents.feeds(rows, labels(rows.length, labelOf(chosen)));
    path = (await nets.run(`model-${latents.state}`, fed)).data;
    const { opinion: judged } = facts.states[latents.state];
    here = judged ? (await scores(path.slice(-2), labelOf(chosen)))[0] : null;
    draw();
  });

  // D's scores of points, for one class; for all of them where a label is below 0, on average.
  async function scores(places, label) {
    const length = places.length / 2;
    const fed = { points: { data: places, dims: [length, 2] } };
    const asked = facts.opinion_classes
      ? label < 0 ? about.classes.map((_, index) => index) : [label]
      : [null];
    const total = new Float32Array(length);
    for (const each of asked) {
      if (each !== null) fed.classes = oneHot(labels(length, each));
      const { data } = await nets.run(`opinion-${latents.state}`, fed);
      data.forEach((value, index) => {
        total[index] += (facts.probability ? 1 / (1 + Math.exp(-value)) : value) / asked.length;
      });
    }
    return total;
  }

  const opinion = latest(async () => {
    const { opinion: judged } = facts.states[latents.state];
    byId("opinion-box").hidden = !judged;
    byId("legend").hidden = !judged || !byId("opinion").checked;
    heat = null;
    if (judged && byId("opinion").checked) {
      const places = new Float32Array(2 * CELLS * CELLS);
      for (let index = 0; index < CELLS * CELLS; index++) {
        places[2 * index] = (((index % CELLS) + 0.5) / CELLS) * 2 * reach - reach;
        places[2 * index + 1] = reach - ((Math.floor(index / CELLS) + 0.5) / CELLS) * 2 * reach;
      }
      heat = await scores(places, latents.label);
    }
    draw();
  });

  const toX = (x) => ((x + reach) / (2 * reach)) * PIXELS;
  const toY = (y) => ((reach - y) / (2 * reach)) * PIXELS;

  function draw() {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(`--${name}`).trim();
    const context = canvas.getContext("2d");
    context.fillStyle = color("card");
    context.fillRect(0, 0, PIXELS, PIXELS);
    if (heat) drawHeat(context, color);
    if (byId("modes").checked) {
      context.strokeStyle = color("edge");
      context.lineWidth = 2;
      for (const [x, y] of modes) {
        const radius = Math.max(9, ((3 * facts.deviation) / (2 * reach)) * PIXELS);
        disc(context, toX(x), toY(y), radius);
        context.stroke();
      }
    }
    context.fillStyle = color("text");
    context.globalAlpha = 0.55;
    for (let index = 0; index < count; index++) {
      disc(context, toX(points[2 * index]), toY(points[2 * index + 1]), 2.5);
      context.fill();
    }
    context.globalAlpha = 1;
    if (path.length) drawPath(context, color);
    tell();
  }

  function drawHeat(context, color) {
    const low = facts.probability ? 0 : Math.min(...heat);
    const high = facts.probability ? 1 : Math.max(...heat);
    const ends = [color("fake"), color("card"), color("real")].map((hex) =>
      [1, 3, 5].map((from) => parseInt(hex.slice(from, from + 2), 16)),
    );
    const small = document.createElement("canvas");
    Object.assign(small, { width: CELLS, height: CELLS });
    const image = new ImageData(CELLS, CELLS);
    heat.forEach((score, index) => {
      const place = 2 * Math.min(1, Math.max(0, (score - low) / (high - low || 1)));
      const [from, to, share] =
        place < 1 ? [ends[0], ends[1], place] : [ends[1], ends[2], place - 1];
      for (let part = 0; part < 3; part++) {
        image.data[4 * index + part] = from[part] + share * (to[part] - from[part]);
      }
      image.data[4 * index + 3] = 255;
    });
    small.getContext("2d").putImageData(image, 0, 0);
    context.globalAlpha = 0.75;
    context.drawImage(small, 0, 0, PIXELS, PIXELS);
    context.globalAlpha = 1;
    const blanks = { low: low.toPrecision(2), high: high.toPrecision(2) };
    const kind = facts.probability ? "probability" : "score";
    byId("legend-low").textContent = say(`${kind}_low`, blanks);
    byId("legend-high").textContent = say(`${kind}_high`, blanks);
  }

  function drawPath(context, color) {
    context.strokeStyle = color("accent");
    context.lineWidth = 3;
    context.beginPath();
    for (let step = 0; step <= STEPS; step++) {
      context.lineTo(toX(path[2 * step]), toY(path[2 * step + 1]));
    }
    context.stroke();
    const [x, y] = path.slice(-2);
    disc(context, toX(x), toY(y), 9);
    context.fillStyle = color("accent");
    context.fill();
    context.strokeStyle = color("card");
    context.stroke();
  }

  function disc(context, x, y, radius) {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
  }

  function tell() {
    if (!path.length) return;
    const [x, y] = path.slice(-2);
    const reached = new Set();
    let near = 0;
    for (let index = 0; index < count; index++) {
      const mode = modes.findIndex(
        ([a, b]) =>
          Math.hypot(points[2 * index] - a, points[2 * index + 1] - b) <= 3 * facts.deviation,
      );
      if (mode < 0) continue;
      near += 1;
      reached.add(mode);
    }
    const blanks = { number: chosen + 1, x: x.toFixed(2), y: y.toFixed(2), near, count };
    Object.assign(blanks, { modes: reached.size, all: modes.length });
    const text = say(modes.length ? "plane_words" : "plane_words_bare", blanks);
    const judged =
      here === null ? "" : ` ${say("plane_opinion", { opinion: here.toPrecision(2) })}`;
    byId("plane-words").textContent = text + judged;
  }

  function choose(index) {
    chosen = (index + count) % count;
    angle.value = 0; // which asks for the path
  }
  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * 2 * reach - reach;
    const y = reach - ((event.clientY - box.top) / box.height) * 2 * reach;
    let nearest = 0;
    const far = (index) => Math.hypot(points[2 * index] - x, points[2 * index + 1] - y);
    for (let index = 1; index < count; index++) if (far(index) < far(nearest)) nearest = index;
    choose(nearest);
  });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    choose(chosen + step);
  });
  byId("path-other").addEventListener("click", () => {
    circle += 1;
    road();
  });
  let turn = 0;
  player(byId("path-play"), (milliseconds) => {
    turn = (turn + (360 * milliseconds) / 8000) % 360;
    angle.value = 2 * Math.round(turn / 2);
  });
  byId("opinion").addEventListener("change", opinion);
  byId("modes").addEventListener("change", draw);
  byId("modes-box").hidden = !modes.length;
  byId("save-plane").addEventListener("click", () => saveCanvas(canvas, "points.png"));
  byId("save-z").addEventListener("click", () => latents.save());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

  const fed = latents.feeds(latents.rows, latents.rows.map((_, index) => labelOf(index)));
  const { data } = await nets.run("model-0", fed);
  const worst = worstDifference(floatsOf(facts.expected), data, (value) => value);
  tellCheck("check_points", worst, facts.half ? 0.05 : 1e-3, worst.toPrecision(1), count);
  cloud();
  road();
  opinion();
}
