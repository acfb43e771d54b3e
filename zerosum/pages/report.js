// What a report does beyond being read: the pictures of the epochs behind a slider; and on a page
// that is served live, asking for what is new and putting it in place. Without it all can be read.
"use strict";

const say = document.body.dataset;
const FRAME_MILLISECONDS = 400, ASK_MILLISECONDS = 1000, LOST_MILLISECONDS = 4000;
// Which epoch's picture was chosen; null for the last one, which moves on in a live page.
let chosen = null;
let playing = 0;

function film(strip) {
  const frames = [...strip.querySelectorAll("figure")];
  if (frames.length < 2) return;
  const box = document.createElement("div");
  box.className = "player";
  const slider = Object.assign(document.createElement("input"), {
    type: "range", id: "film-slider", min: 0, max: frames.length - 1, step: 1,
  });
  slider.setAttribute("aria-label", say.slider);
  const button = Object.assign(document.createElement("button"), {
    type: "button", id: "film-play", textContent: playing ? say.pause : say.play,
  });
  const captions = frames.map((frame) => frame.querySelector("figcaption").textContent);

  function show(index) {
    frames.forEach((frame, at) => frame.classList.toggle("now", at === index));
    slider.value = index;
    slider.setAttribute("aria-valuetext", captions[index]);
  }
  function pause() {
    clearInterval(playing);
    playing = 0;
    button.textContent = say.play;
  }
  slider.addEventListener("input", () => {
    pause();
    const index = Number(slider.value);
    chosen = index === frames.length - 1 ? null : captions[index];
    show(index);
  });
  button.addEventListener("click", () => {
    if (playing) return pause();
    let index = Number(slider.value) === frames.length - 1 ? 0 : Number(slider.value);
    button.textContent = say.pause;
    show(index);
    playing = setInterval(() => {
      index += 1;
      show(index);
      if (index === frames.length - 1) pause();
    }, FRAME_MILLISECONDS);
  });
  strip.classList.add("one");
  box.append(button, slider);
  strip.after(box);
  const before = captions.indexOf(chosen);
  show(before < 0 ? frames.length - 1 : before);
}

const sections = new Map();  // by id, as the server sent them

function remember(main) {
  for (const section of main.querySelectorAll("section")) {
    sections.set(section.id, section.outerHTML);
  }
}

// Only what has changed is put in place, so that the page stays where it was scrolled to; what was
// opened stays open, and the keyboard where it was.
function update(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").body;
  const main = document.getElementById("main");
  const opened = [...main.querySelectorAll("details[open]")].map((each) => each.id);
  const focused = main.contains(document.activeElement) ? document.activeElement.id : "";
  const ids = new Set();
  let last = null;
  for (const section of [...fresh.querySelectorAll("section")]) {
    ids.add(section.id);
    const text = section.outerHTML;
    const old = document.getElementById(section.id);
    if (old && sections.get(section.id) === text) {
      last = old;
      continue;
    }
    if (section.querySelector(".film")) {
      clearInterval(playing);
      playing = 0;
    }
    if (old) old.replaceWith(section);
    else if (last) last.after(section);
    else main.prepend(section);
    sections.set(section.id, text);
    section.querySelectorAll(".film").forEach(film);
    last = section;
  }
  for (const section of main.querySelectorAll("section")) {
    if (!ids.has(section.id)) section.remove();
  }
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  if (focused && document.activeElement.id !== focused) {
    document.getElementById(focused)?.focus({ preventScroll: true });
  }
}

function put(id, text) {
  const there = document.getElementById(id);
  if (there.textContent !== text) there.textContent = text;  // said aloud only when it changes
}

async function ask() {
  const live = document.getElementById("live");
  let wait = ASK_MILLISECONDS;
  if (!document.hidden) {
    try {
      const answer = await fetch(`data?have=${live.dataset.have}`, { cache: "no-cache" });
      if (!answer.ok) throw new Error(answer.statusText);
      const news = await answer.json();
      document.title = news.title;
      put("live-state", news.state);
      put("live-detail", news.detail);
      live.classList.toggle("running", news.running);
      document.getElementById("live-bar").value = news.done;
      if (news.main !== undefined) update(news.main);
      live.dataset.have = news.have;
    } catch {
      put("live-state", say.lost);
      live.classList.remove("running");
      wait = LOST_MILLISECONDS;
    }
  }
  setTimeout(ask, wait);
}

remember(document.getElementById("main"));
document.querySelectorAll(".film").forEach(film);
if ("live" in say) ask();
