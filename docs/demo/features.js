// From the pixels of a picture to its features: the steps of the Python package's Extractor.

import { describe, findPoints } from "./decode.js";
import { levels, toGrey, toInput } from "./pyramid.js";

/**
 * Find and describe the strongest points of all levels of a picture.
 *
 * @param {{run: Function}} network - from `loadNetwork`
 * @param {ImageData} image
 * @param {{nfeatures: number, nlevels: number}} settings
 * @returns {Promise<Features>} `xy` in pixels of the picture, the strongest point first
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
    describe(maps.descriptors, input.rows / 8, input.columns / 8, point, row);
  });
  features.milliseconds = { network: networkTime, rest: performance.now() - began - networkTime };
  return features;
}

/** Turn a position on a level into one on the picture. */
function toImage(position, levelSide, side) {
  const scaled = ((position + 0.5) * side) / levelSide - 0.5;
  return Math.min(Math.max(scaled, 0), side - 1);
}
