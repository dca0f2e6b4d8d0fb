// Mutual nearest neighbours of descriptors of unit length.

/**
 * @typedef {{a: number, b: number, distance: number, ratio: number}} Match of point `a` of the first
 *   set and `b` of the second; `ratio` is the distance over that of the second nearest to `a`
 */

/**
 * Match two sets of descriptors by their dot products.
 *
 * @param {Float32Array} products - `(rows, columns)`
 * @param {number} rows - descriptors of the first set
 * @param {number} columns - descriptors of the second set
 * @returns {Match[]} pairs that are each other's nearest
 */
export function mutualMatches(products, rows, columns) {
  const bestOfColumn = new Float32Array(columns).fill(-Infinity);
  const rowOfColumn = new Int32Array(columns);
  const nearest = [];
  for (let a = 0; a < rows; a++) {
    let best = -Infinity, second = -Infinity, b = -1;
    for (let j = 0; j < columns; j++) {
      const product = products[a * columns + j];
      if (product > best) {
        second = best;
        best = product;
        b = j;
      } else if (product > second) second = product;
      if (product > bestOfColumn[j]) {
        bestOfColumn[j] = product;
        rowOfColumn[j] = a;
      }
    }
    nearest.push({ a, b, best, second });
  }
  return nearest
    .filter(({ a, b }) => b >= 0 && rowOfColumn[b] === a)
    .map(({ a, b, best, second }) => {
      const distance = toDistance(best);
      return { a, b, distance, ratio: distance / (toDistance(second) || 1) };
    });
}

function toDistance(product) {
  return Math.sqrt(Math.max(0, 2 - 2 * product));
}
