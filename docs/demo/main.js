// The page: what the visitor chooses, and what is shown.

import { openCamera } from "./camera.js";
import { draw } from "./drawing.js";
import { startEngine } from "./engine.js";
import { findHomography } from "./homography.js";
import { isolate } from "./isolation.js";
import { readFile, readUrl, toCanvas, toPixels } from "./pictures.js";

const ENOUGH = 12; // matches on one plane, to believe that it is one
const SIDE_ON_CPU = 320; // of camera frames, in pixels
const $ = (id) => document.getElementById(id);
const setBusy = (busy) => document.querySelector("main").setAttribute("aria-busy", busy);

const backend = new URLSearchParams(location.search).get("backend");
const canvas = document.querySelector("#stage canvas");
const controls = $("controls");
const sources = [null, null]; // pictures as the visitor gave them
const pictures = [null, null]; // as the network sees them: canvases
const features = [null, null];
let engine, matched, camera, onGpu;
let latest = 0; // number of the newest request; older ones stop

/** Run a task that the visitor asked for; a newer one makes it stop at the next `await`. */
async function perform(task) {
  const mine = ++latest;
  setBusy(true);
  try {
    await task(() => mine === latest);
  } catch (error) {
    say(error.message, true);
  }
  if (mine === latest) setBusy(false);
}

function say(text, wrong = false) {
  $("status").textContent = text;
  $("status").classList.toggle("wrong", wrong);
}

// Pictures -----------------------------------------------------------------------------------------

async function show(side, source) {
  sources[side] = source;
  await refresh([side]);
}

/** Extract from some of the pictures again, then match. */
function refresh(sides) {
  return perform(async (current) => {
    for (const side of sides) {
      if (!sources[side] || sources[side] === camera?.video) continue;
      say(`Finding points in picture ${"AB"[side]}…`);
      const picture = toCanvas(sources[side], Number($("side").value));
      const found = await engine.extract(toPixels(picture), settings(Number($("nlevels").value)));
      if (!current()) return;
      [pictures[side], features[side]] = [picture, found];
    }
    if (camera) return follow(current);
    await match(current);
  });
}

async function match(current) {
  if (!features[0] || !features[1]) return;
  const found = await engine.match(...features);
  if (!current()) return;
  matched = found;
  redraw();
}

function settings(nlevels) {
  return { nfeatures: Number($("nfeatures").value), nlevels };
}

async function showExample(name) {
  setBusy(true);
  closeCamera();
  $("plane").checked = name !== "motorcycle"; // that scene is no plane
  const files = ["a", "b"].map((side) => readUrl(new URL(`assets/${name}-${side}.jpg`, import.meta.url)));
  [sources[0], sources[1]] = await Promise.all(files);
  press(name);
  await refresh([0, 1]);
}

function press(name) {
  for (const button of document.querySelectorAll("[data-example]")) {
    button.setAttribute("aria-pressed", button.dataset.example === name);
  }
}

async function take(side, file) {
  if (!file) return;
  setBusy(true);
  let picture;
  try {
    picture = await readFile(file);
  } catch (error) {
    say(error.message, true);
    setBusy(false);
    return;
  }
  if (side === 1) closeCamera();
  press(null);
  await show(side, picture);
}

// Camera -------------------------------------------------------------------------------------------

async function toggleCamera() {
  if (camera) {
    closeCamera();
    await show(1, pictures[1]);
    return;
  }
  say("Waiting for the camera…");
  setBusy(true);
  $("camera").disabled = true; // lest it be opened twice
  try {
    camera = await openCamera();
  } catch (error) {
    say(error.message, true);
    setBusy(false);
    return;
  } finally {
    $("camera").disabled = false;
  }
  press(null);
  setCamera(true);
  await show(1, camera.video);
}

function closeCamera() {
  if (!camera) return;
  camera.stop();
  camera = null;
  setCamera(false);
}

function setCamera(on) {
  $("camera").setAttribute("aria-pressed", on);
  $("camera").textContent = on ? "Stop the camera" : "Camera";
  $("keep").hidden = $("rate-box").hidden = !on;
}

/** Match one frame after another with picture A, until something else is asked for. */
async function follow(current) {
  say("Live. Hold something flat before the camera, keep a frame of it as A, then move it.");
  let before = performance.now();
  let interval = null;
  while (camera && current()) {
    const side = Number($("side").value);
    const frame = toCanvas(camera.video, onGpu ? side : Math.min(side, SIDE_ON_CPU));
    const found = await engine.extract(toPixels(frame), settings(1));
    if (!camera || !current()) return;
    [pictures[1], features[1]] = [frame, found];
    const now = performance.now();
    interval = interval === null ? now - before : 0.8 * interval + 0.2 * (now - before);
    before = now;
    $("rate").textContent = (1000 / interval).toFixed(1);
    await match(current);
    setBusy(false);
    await new Promise(requestAnimationFrame);
  }
}

// Results ------------------------------------------------------------------------------------------

/** Apply the ratio test and the plane, then draw and write what was found. */
function redraw() {
  if (!matched) return;
  const ratio = Number($("ratio").value);
  const kept = matched.matches.filter((match) => match.ratio <= ratio);
  const positions = (side, key) =>
    kept.map((match) => [...features[side].xy.subarray(2 * match[key], 2 * match[key] + 2)]);
  let plane = $("plane").checked ? findHomography(positions(0, "a"), positions(1, "b")) : null;
  if (plane && plane.count < ENOUGH) plane = null;
  draw(canvas, { pictures, features, matches: kept, plane, showPoints: $("show-points").checked });

  const counts = features.map((found) => found.score.length);
  $("points").textContent = counts.join(" + ");
  $("matches").textContent = kept.length;
  $("inliers").textContent = plane ? plane.count : "–";
  const timed = camera ? [features[1]] : features;
  const mean = (key) => timed.reduce((sum, f) => sum + f.milliseconds[key], 0) / timed.length;
  $("network").textContent = milliseconds(mean("network"));
  $("decoding").textContent = milliseconds(mean("rest"));
  $("matching").textContent = milliseconds(matched.milliseconds);
  $("network-label").textContent = camera ? "network, per frame" : "network, per picture";
  const sizes = pictures.map(({ width, height }) => `${width}×${height}`).join(" and ");
  const summary = `${kept.length} matches between pictures of ${sizes} pixels.`;
  canvas.setAttribute("aria-label", summary);
  if (!camera) say(summary);
  // For visitors who open the console.
  window.superpoint = { features: [...features], matches: kept, homography: plane?.matrix ?? null };
}

/** Say what runs the network, and offer the other if there is one. */
function showBackend(name) {
  const link = $("backend");
  link.textContent = name;
  link.hidden = false;
  if (!onGpu && backend !== "wasm") return;
  link.href = onGpu ? "?backend=wasm" : "?";
  link.title = onGpu ? "Use WebAssembly instead" : "Use WebGPU where there is one";
}

function milliseconds(value) {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

function writeSettings() {
  for (const output of controls.querySelectorAll("output")) {
    output.value = $(output.htmlFor.value).value;
  }
  $("python").textContent = `${$("nfeatures").value}, nlevels=${$("nlevels").value}, precision="float32"`;
}

// Events -------------------------------------------------------------------------------------------

function listen() {
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.addEventListener("input", writeSettings);
  for (const id of ["ratio", "show-points", "plane"]) {
    $(id).addEventListener("input", () => requestAnimationFrame(redraw));
  }
  for (const id of ["nfeatures", "nlevels", "side"]) {
    $(id).addEventListener("change", () => refresh([0, 1]));
  }
  for (const button of document.querySelectorAll("[data-example]")) {
    button.addEventListener("click", () => showExample(button.dataset.example));
  }
  for (const input of document.querySelectorAll("input[type=file]")) {
    input.addEventListener("change", () => {
      take(Number(input.dataset.side), input.files[0]);
      input.value = ""; // so that the same file can be chosen again
    });
  }
  $("camera").addEventListener("click", toggleCamera);
  $("keep").addEventListener("click", () => show(0, toCanvas(camera.video, 4096)));
  new ResizeObserver(() => requestAnimationFrame(redraw)).observe($("stage"));

  // Files dropped anywhere must not replace the page.
  let depth = 0;
  const over = (shown) => $("stage").classList.toggle("over", shown);
  addEventListener("dragenter", () => over(++depth > 0));
  addEventListener("dragleave", () => over(--depth > 0));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    over(Boolean((depth = 0)));
    const zone = event.target.closest?.(".drop");
    if (zone) take(Number(zone.dataset.side), event.dataTransfer.files[0]);
  });
}

async function start() {
  if (await isolate(backend)) return;
  writeSettings();
  engine = startEngine(backend);
  try {
    const name = await engine.load();
    onGpu = name === "WebGPU";
    showBackend(name);
  } catch (error) {
    say(`The network does not start here: ${error.message}`, true);
    setBusy(false);
    return;
  }
  listen();
  await showExample("coffee");
}

start();
