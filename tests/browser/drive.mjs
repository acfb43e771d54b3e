// Opens a page in a real browser and does there what a JSON job on standard input says:
//
//   { browser, executable, page, width, height, dark, timeout, steps: [step, ...] }
//
// The page is a file, or an address that begins with http:.
// A step is one of { click }, { set: [selector, value] }, { press: [selector, key] },
// { drag: [selector, [[x, y], ...]] } in shares of the element's sides, { upload: [selector, file] },
// { evaluate: "expression" }, { idle: true }, { axe: true }, { screenshot: file, selector },
// { resize: [width, height] }. One JSON line on standard output says what came of it: { results,
// errors, requests }, a result for each step.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

const job = JSON.parse(readFileSync(0, "utf-8"));
const limit = job.timeout ?? 60_000;
const { width = 1280, height = 900 } = job;
const isFirefox = job.browser === "firefox";

const alarm = setTimeout(() => {
  console.error(`gave up after ${2 * limit} ms`);
  process.exit(3);
}, 2 * limit);

const browser = await puppeteer.launch({
  browser: job.browser === "firefox" ? "firefox" : "chrome",
  executablePath: job.executable,
  headless: true,
  timeout: limit,
  protocolTimeout: limit,
  args: isFirefox ? [] : ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  extraPrefsFirefox: { "layout.css.prefers-color-scheme.content-override": job.dark ? 0 : 1 },
});
const errors = [];
const requests = [];
const results = [];

function watch(page) {
  page.on("console", (message) => {
    if (["error", "warn", "warning"].includes(message.type())) errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(String(error.message ?? error)));
  page.on("request", (request) => requests.push(request.url().slice(0, 200)));
}

async function idle(page) {
  const still = `document.documentElement.dataset.busy === "0"
    && document.documentElement.dataset.worst !== undefined
    || document.querySelector(".check.bad") !== null`;
  const until = Date.now() + limit;
  // Polled from here: under the page's policy nothing may be compiled from text inside it.
  for (let calm = 0; calm < 3; ) {
    if (Date.now() > until) throw new Error("the page was never done");
    calm = (await page.evaluate(still)) ? calm + 1 : 0;
    await new Promise((done) => setTimeout(done, 40));
  }
}

const doings = {
  click: async (page, selector) => void (await (await page.waitForSelector(selector)).click()),
  set: async (page, [selector, value]) =>
    page.evaluate(
      (where, given) => {
        const field = document.querySelector(where);
        field.value = given;
        field.dispatchEvent(new Event("input", { bubbles: true }));
        field.dispatchEvent(new Event("change", { bubbles: true }));
      },
      selector,
      value,
    ),
  press: async (page, [selector, key]) => {
    await page.focus(selector);
    await page.keyboard.press(key);
  },
  drag: async (page, [selector, places]) => {
    const element = await page.$(selector);
    await element.evaluate((each) => each.scrollIntoView({ block: "center" }));
    const box = await element.boundingBox();
    const at = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
    await page.mouse.move(...at(places[0]));
    await page.mouse.down();
    for (const place of places.slice(1)) await page.mouse.move(...at(place), { steps: 4 });
    await page.mouse.up();
  },
  upload: async (page, [selector, file]) => (await page.$(selector)).uploadFile(file),
  evaluate: (page, expression) => page.evaluate(expression),
  idle,
  resize: (page, [wide, high]) => page.setViewport({ width: wide, height: high }),
  axe: async (page) => {
    const path = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
    await page.evaluate(readFileSync(path, "utf-8"));
    const found = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })");
    return found.violations.map(({ id, help, nodes }) => {
      return `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`;
    });
  },
  screenshot: async (page, path, { whole = true }) => {
    await page.screenshot({ path, fullPage: whole });
  },
};

let failure = null;
try {
  const page = await browser.newPage();
  watch(page);
  await page.setViewport({ width, height });
  if (!isFirefox) {
    const value = job.dark ? "dark" : "light";
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value }]);
  }
  const address = job.page.startsWith("http:") ? job.page : pathToFileURL(job.page).href;
  await page.goto(address, { timeout: limit, waitUntil: "load" });
  for (const step of job.steps) {
    const [name] = Object.keys(step).filter((key) => key in doings);
    if (!name) throw new Error(`no such step: ${JSON.stringify(step)}`);
    results.push((await doings[name](page, step[name], step)) ?? null);
  }
} catch (error) {
  failure = String(error?.stack ?? error);
}
await Promise.race([browser.close(), new Promise((done) => setTimeout(done, 5000))]);
clearTimeout(alarm);
// Not console.log: exit would cut off what a pipe has not taken yet.
process.stdout.write(`${JSON.stringify({ results, errors, requests, failure })}\n`, () => {
  process.exit(0);
});
