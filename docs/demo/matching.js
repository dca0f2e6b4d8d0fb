// Mutual nearest neighbours of descriptors of unit length.

/**
 * Match two sets of descriptors.
 *
 * @param {Float32Array} a - descriptors one after another, `size` numbers each
 * @param {Float32Array} b - likewise
 * @returns {{a: number, b: number, distance: number, ratio: number}[]} pairs that are each other's
 *   nearest; `ratio` compares the distance with that of the second nearest in `b`
 */
export function mutualMatches(a, b, size) {
  const rows = a.length / size, columns = b.length / size;
  const bestOfColumn = new Float32Array(columns).fill(-2);
  const rowOfColumn = new Int32Array(columns).fill(-1);
  const nearest = [];
  for (let i = 0; i < rows; i++) {
    let best = -2, second = -2, at = -1;
    for (let j = 0; j < columns; j++) {
      const likeness = dot(a, i * size, b, j * size, size);
      if (likeness > best) [second, best, at] = [best, likeness, j];
      else if (likeness > second) second = likeness;
      if (likeness > bestOfColumn[j]) [bestOfColumn[j], rowOfColumn[j]] = [likeness, i];
    }
    nearest.push({ best, second, at });
  }
  const matches = [];
  nearest.forEach(({ best, second, at }, i) => {
    if (at < 0 || rowOfColumn[at] !== i) return;
    const distance = toDistance(best);
    matches.push({ a: i, b: at, distance, ratio: distance / (toDistance(second) || 1) });
  });
  return matches;
}

/** Sum products in four chains, which the processor computes side by side. */
function dot(a, i, b, j, size) {
  let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  for (let k = 0; k < size; k += 4) {
    s0 += a[i + k] * b[j + k];
    s1 += a[i + k + 1] * b[j + k + 1];
    s2 += a[i + k + 2] * b[j + k + 2];
    s3 += a[i + k + 3] * b[j + k + 3];
  }
  return s0 + s1 + s2 + s3;
}

function toDistance(likeness) {
  return Math.sqrt(Math.max(0, 2 - 2 * likeness));
}
