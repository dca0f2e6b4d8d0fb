// Images as the network wants them: grey, at the sizes of the pyramid, in whole cells.
// The arithmetic is that of the Python package, to the last rounding.

export const CELL = 8;
const SCALE_FACTOR = Math.SQRT2;

/** Turn RGBA bytes into grey, rounded as OpenCV's cvtColor does. */
export function toGrey(rgba) {
  const grey = new Uint8Array(rgba.length / 4);
  for (let i = 0, k = 0; i < grey.length; i++, k += 4) {
    grey[i] = (9798 * rgba[k] + 19235 * rgba[k + 1] + 3735 * rgba[k + 2] + 16384) >> 15;
  }
  return grey;
}

/** Yield the levels of an image: each has half the pixels of the one before. */
export function* levels(grey, width, height, count) {
  for (let level = 0; level < count; level++) {
    const scale = SCALE_FACTOR ** level;
    const across = Math.max(1, Math.round(width / scale));
    const down = Math.max(1, Math.round(height / scale));
    const pixels = level ? resize(grey, width, height, across, down) : grey;
    yield { level, width: across, height: down, pixels };
  }
}

/** Return float pixels in [0, 1], padded to whole cells by repeating the last ones. */
export function toInput({ pixels, width, height }) {
  const columns = Math.ceil(width / CELL) * CELL;
  const rows = Math.ceil(height / CELL) * CELL;
  const values = new Float32Array(rows * columns);
  for (let y = 0; y < rows; y++) {
    const line = Math.min(y, height - 1) * width;
    for (let x = 0; x < columns; x++) {
      values[y * columns + x] = pixels[line + Math.min(x, width - 1)] / 255;
    }
  }
  return { values, rows, columns };
}

/** Resize with anti-aliasing: first along rows, then along columns. */
function resize(pixels, width, height, newWidth, newHeight) {
  const across = triangles(width, newWidth);
  const narrow = new Uint8Array(newWidth * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < newWidth; x++) {
      const { start, weights } = across[x];
      let sum = 0.5;
      for (let i = 0; i < weights.length; i++) sum += weights[i] * pixels[y * width + start + i];
      narrow[y * newWidth + x] = sum;
    }
  }
  const down = triangles(height, newHeight);
  const result = new Uint8Array(newWidth * newHeight);
  for (let y = 0; y < newHeight; y++) {
    const { start, weights } = down[y];
    for (let x = 0; x < newWidth; x++) {
      let sum = 0.5;
      for (let i = 0; i < weights.length; i++) sum += weights[i] * narrow[(start + i) * newWidth + x];
      result[y * newWidth + x] = sum;
    }
  }
  return result;
}

/** Return, for each pixel of a shorter line, the weights of the longer line's pixels. */
function triangles(full, side) {
  const ratio = full / side;
  return Array.from({ length: side }, (_, i) => {
    const centre = (i + 0.5) * ratio;
    const start = Math.max(0, Math.floor(centre - ratio + 0.5));
    const stop = Math.min(full, Math.floor(centre + ratio + 0.5));
    const weights = [];
    for (let k = start; k < stop; k++) weights.push(1 - Math.abs(k + 0.5 - centre) / ratio);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { start, weights: weights.map((weight) => weight / total) };
  });
}
