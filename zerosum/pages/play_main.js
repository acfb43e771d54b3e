// Begins the page.

import { playWithNoise } from "./play_noise.js";
import { playWithPoints } from "./play_points.js";
import { playWithImages } from "./play_translate.js";
import { Nets, facts, fail } from "./play_page.js";

const KINDS = { noise: playWithNoise, points: playWithPoints, translation: playWithImages };

async function begin() {
  try {
    const nets = new Nets();
    await nets.begin();
    await KINDS[facts.kind](nets);
  } catch (error) {
    fail(error);
  }
}

begin();
