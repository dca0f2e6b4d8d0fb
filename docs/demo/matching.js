// Mutual nearest neighbours of descriptors of unit length.

/**
 * Match two sets of descriptors by their products, one row for each of the first set.
 *
 * @param {Float32Array} products
 * @param {number} rows
 * @param {number} columns
 * @returns {{a: number, b: number, distance: number, ratio: number}[]} pairs that are each other's
 *   nearest; `ratio` compares the distance with that of the second nearest in the second set
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
