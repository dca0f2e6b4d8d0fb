// From the network's maps to points: what model/decode.py and model/suppression.py do in Python.
// Positions are pixels (x, y), whole numbers at pixel centres.

import { CELL } from "./pyramid.js";

const NMS_RADIUS = 4; // in both x and y
const SCORE_THRESHOLD = 0.02;
const EDGE = 4; // pixels of border without points
const FRAME = 4; // of zeros around the heat map, so that windows never leave it

/**
 * Find the strongest points of a heat map by greedy non-maximum suppression.
 *
 * @param {Float32Array} heat - probability of a point at each pixel, `columns` to a row
 * @param {number} columns - a row of the heat map, in pixels: `width` in whole cells
 * @param {number} width - of the image, in pixels
 * @param {number} height - of the image, in pixels
 * @param {number} limit - how many points at most
 * @returns {{x: number, y: number, score: number}[]} the strongest first
 */
export function findPoints(heat, columns, width, height, limit) {
  const pitch = width + 2 * FRAME;
  const framed = new Float32Array(pitch * (height + 2 * FRAME));
  for (let y = 0; y < height; y++) {
    framed.set(heat.subarray(y * columns, y * columns + width), (y + FRAME) * pitch + FRAME);
  }
  const score = sum3x3(framed, pitch, height);
  const points = [];
  const taken = new Uint8Array(framed.length);
  for (const place of strongestFirst(score)) {
    if (taken[place]) continue;
    for (let dy = -NMS_RADIUS; dy <= NMS_RADIUS; dy++) {
      const middle = place + dy * pitch;
      taken.fill(1, middle - NMS_RADIUS, middle + NMS_RADIUS + 1);
    }
    const { x, y } = refine(framed, place, pitch, width, height);
    const inside = x >= EDGE && x <= width - 1 - EDGE && y >= EDGE && y <= height - 1 - EDGE;
    if (!inside) continue;
    points.push({ x, y, score: score[place] });
    if (points.length === limit) break;
  }
  return points;
}

/** Sum the 3x3 pixels around each: a corner between pixels shares its probability among them. */
function sum3x3(framed, pitch, height) {
  const rows = new Float32Array(framed.length);
  const sums = new Float32Array(framed.length);
  for (let i = 1; i < framed.length - 1; i++) rows[i] = framed[i - 1] + framed[i] + framed[i + 1];
  for (let y = FRAME; y < height + FRAME; y++) {
    for (let x = FRAME; x < pitch - FRAME; x++) {
      const i = y * pitch + x;
      sums[i] = rows[i - pitch] + rows[i] + rows[i + pitch];
    }
  }
  return sums;
}

/** Return the places above the threshold; equal ones row by row. */
function strongestFirst(score) {
  const places = [];
  for (let i = 0; i < score.length; i++) if (score[i] > SCORE_THRESHOLD) places.push(i);
  return Uint32Array.from(places).sort((a, b) => score[b] - score[a] || a - b);
}

/** Move a peak to the hottest pixel next to it, then to the centre of mass of the 5x5 around that. */
function refine(framed, peak, pitch, width, height) {
  let hottest = peak;
  for (let dy = -1; dy <= 1; dy++) {
    for (let dx = -1; dx <= 1; dx++) {
      const i = peak + dy * pitch + dx;
      if (framed[i] > framed[hottest]) hottest = i;
    }
  }
  let total = Number.MIN_VALUE, right = 0, down = 0;
  for (let dy = -2; dy <= 2; dy++) {
    for (let dx = -2; dx <= 2; dx++) {
      const weight = framed[hottest + dy * pitch + dx];
      total += weight;
      right += weight * dx;
      down += weight * dy;
    }
  }
  const x = (hottest % pitch) - FRAME + right / total;
  const y = Math.floor(hottest / pitch) - FRAME + down / total;
  return { x: clamp(x, width - 1), y: clamp(y, height - 1) };
}

/**
 * Interpolate the map of descriptors at a point, and scale the result to unit length.
 *
 * @param {Float32Array} maps - `(D, rows, columns)`, a value for each cell
 * @param {number} rows - of cells
 * @param {number} columns - of cells
 * @param {{x: number, y: number}} point - in pixels of the level
 * @param {Float32Array} into - receives the D values
 */
export function describe(maps, rows, columns, { x, y }, into) {
  const plane = rows * columns;
  const u = clamp((x + 0.5) / CELL - 0.5, columns - 1);
  const v = clamp((y + 0.5) / CELL - 0.5, rows - 1);
  const left = Math.floor(u), top = Math.floor(v);
  const right = Math.min(left + 1, columns - 1) - left;
  const down = (Math.min(top + 1, rows - 1) - top) * columns;
  const fx = u - left, fy = v - top;
  let squares = 0;
  for (let k = 0, i = top * columns + left; k < into.length; k++, i += plane) {
    const above = maps[i] * (1 - fx) + maps[i + right] * fx;
    const below = maps[i + down] * (1 - fx) + maps[i + down + right] * fx;
    into[k] = above * (1 - fy) + below * fy;
    squares += into[k] ** 2;
  }
  const length = Math.sqrt(squares) || 1;
  for (let k = 0; k < into.length; k++) into[k] /= length;
}

function clamp(value, most) {
  return Math.min(Math.max(value, 0), most);
}
