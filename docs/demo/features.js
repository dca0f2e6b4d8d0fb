// From the pixels of a picture to its features: the steps of the Python package's Extractor.

import { describe, findPoints } from "./decode.js";
import { CELL, levels, toGrey, toInput } from "./pyramid.js";

/**
 * @typedef {object} Features - of the N points of a picture, the strongest first
 * @property {number} width - of the picture, in pixels
 * @property {number} height - of the picture, in pixels
 * @property {number} size - D, the length of a descriptor
 * @property {Float32Array} xy - `(N, 2)`, pixels of the picture, whole numbers at their centres
 * @property {Float32Array} score - `(N,)`
 * @property {Uint8Array} octave - `(N,)`, levels of the pyramid
 * @property {Float32Array} descriptors - `(N, D)`, rows of unit length
 * @property {{network: number, rest: number}} milliseconds
 */

/**
 * Find and describe the strongest points of all levels of a picture.
 *
 * @param {{run: Function}} network - from `loadNetwork`
 * @param {ImageData} image
 * @param {{nfeatures: number, nlevels: number}} settings
 * @returns {Promise<Features>}
 */
export async function extract(network, image, { nfeatures, nlevels }) {
  const { width, height } = image;
  const began = performance.now();
  let networkTime = 0, size = 0;
  const found = [];
  for (const level of levels(toGrey(image.data), width, height, nlevels)) {
    const input = toInput(level);
    const start = performance.now();
    const maps = await network.run(input);
    networkTime += performance.now() - start;
    size = maps.size;
    for (const point of findPoints(maps.heat, input.columns, level.width, level.height, nfeatures)) {
      found.push({ point, level, maps, input });
    }
  }
  found.sort((a, b) => b.point.score - a.point.score); // stable: of equal ones, the larger level's
  found.length = Math.min(found.length, nfeatures);

  const features = {
    width, height, size,
    xy: new Float32Array(2 * found.length),
    score: new Float32Array(found.length),
    octave: new Uint8Array(found.length),
    descriptors: new Float32Array(size * found.length),
  };
  found.forEach(({ point, level, maps, input }, i) => {
    features.xy[2 * i] = toImage(point.x, level.width, width);
    features.xy[2 * i + 1] = toImage(point.y, level.height, height);
    features.score[i] = point.score;
    features.octave[i] = level.level;
    const row = features.descriptors.subarray(i * size, (i + 1) * size);
    describe(maps.descriptors, input.rows / CELL, input.columns / CELL, point, row);
  });
  features.milliseconds = { network: networkTime, rest: performance.now() - began - networkTime };
  return features;
}

/** Turn a position on a level into one on the picture. */
function toImage(position, levelSide, side) {
  const scaled = ((position + 0.5) * side) / levelSide - 0.5;
  return Math.min(Math.max(scaled, 0), side - 1);
}
