// The homography that most matches agree with, by RANSAC.

const CONFIDENCE = 0.999;
const MOST_ROUNDS = 1000;

/**
 * Fit a homography to pairs of points of which many may be wrong.
 *
 * @param {number[][]} source - [x, y]
 * @param {number[][]} target - as many
 * @param {number} threshold - pixels in the target within which a pair agrees
 * @returns {{matrix: number[], inliers: boolean[], count: number} | null} row by row, last entry 1
 */
export function findHomography(source, target, threshold = 3) {
  if (source.length < 4) return null;
  const random = generator(1);
  let best = null;
  for (let round = 0, rounds = MOST_ROUNDS; round < rounds; round++) {
    const chosen = fourOf(source.length, random);
    const from = chosen.map((i) => source[i]), to = chosen.map((i) => target[i]);
    if (!sameOrientation(from, to)) continue;
    const found = agree(fit(from, to), source, target, threshold);
    if (found && found.count > (best?.count ?? 3)) {
      best = found;
      const share = (best.count / source.length) ** 4; // of draws with no wrong pair
      rounds = Math.min(rounds, Math.log(1 - CONFIDENCE) / Math.log(1 - Math.min(share, 0.9999)));
    }
  }
  for (let i = 0; i < 3 && best; i++) {
    const inside = (_, k) => best.inliers[k];
    const matrix = fit(source.filter(inside), target.filter(inside));
    const found = agree(matrix, source, target, threshold);
    if (!found || found.count < best.count) break;
    best = found;
  }
  return best;
}

/** Map a point. */
export function project(m, [x, y]) {
  const w = m[6] * x + m[7] * y + m[8];
  return [(m[0] * x + m[1] * y + m[2]) / w, (m[3] * x + m[4] * y + m[5]) / w];
}

function agree(matrix, source, target, threshold) {
  if (!matrix) return null;
  const inliers = source.map((point, i) => {
    const [x, y] = project(matrix, point);
    return Math.hypot(x - target[i][0], y - target[i][1]) <= threshold;
  });
  return { matrix, inliers, count: inliers.filter(Boolean).length };
}

/** Least squares over four or more pairs, around their centres and in their scales. */
function fit(source, target) {
  const a = scaling(source), b = scaling(target);
  const normal = Array.from({ length: 8 }, () => new Float64Array(9));
  source.forEach(([px, py], i) => {
    const x = (px - a.x) / a.s, y = (py - a.y) / a.s;
    const u = (target[i][0] - b.x) / b.s, v = (target[i][1] - b.y) / b.s;
    for (const row of [[x, y, 1, 0, 0, 0, -u * x, -u * y, u], [0, 0, 0, x, y, 1, -v * x, -v * y, v]]) {
      for (let j = 0; j < 8; j++) for (let k = 0; k < 9; k++) normal[j][k] += row[j] * row[k];
    }
  });
  const h = solve(normal);
  if (!h) return null;
  const inner = [h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], 1];
  const before = [1 / a.s, 0, -a.x / a.s, 0, 1 / a.s, -a.y / a.s, 0, 0, 1];
  const matrix = multiply(multiply([b.s, 0, b.x, 0, b.s, b.y, 0, 0, 1], inner), before);
  return matrix.map((value) => value / matrix[8]);
}

function scaling(points) {
  const mean = (k) => points.reduce((sum, point) => sum + point[k], 0) / points.length;
  const x = mean(0), y = mean(1);
  const distance = points.reduce((sum, p) => sum + Math.hypot(p[0] - x, p[1] - y), 0);
  return { x, y, s: distance / points.length || 1 };
}

/** Gaussian elimination with pivots; null if singular. */
function solve(rows) {
  const n = rows.length;
  for (let i = 0; i < n; i++) {
    let pivot = i;
    for (let j = i + 1; j < n; j++) if (Math.abs(rows[j][i]) > Math.abs(rows[pivot][i])) pivot = j;
    [rows[i], rows[pivot]] = [rows[pivot], rows[i]];
    if (Math.abs(rows[i][i]) < 1e-12) return null;
    for (let j = 0; j < n; j++) {
      if (j === i) continue;
      const factor = rows[j][i] / rows[i][i];
      for (let k = i; k <= n; k++) rows[j][k] -= factor * rows[i][k];
    }
  }
  return rows.map((row, i) => row[n] / row[i]);
}

function multiply(a, b) {
  return [0, 1, 2].flatMap((i) =>
    [0, 1, 2].map((j) => a[3 * i] * b[j] + a[3 * i + 1] * b[3 + j] + a[3 * i + 2] * b[6 + j]),
  );
}

/** Tell whether all triangles of four points keep their orientation, as those of a visible plane do. */
function sameOrientation(from, to) {
  const area = ([a, b, c]) => (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
  return [0, 1, 2, 3].every((skip) => {
    const three = (points) => points.filter((_, i) => i !== skip);
    return area(three(from)) * area(three(to)) > 0;
  });
}

function fourOf(count, random) {
  const chosen = new Set();
  while (chosen.size < 4) chosen.add(Math.floor(random() * count));
  return [...chosen];
}

/** Return a generator of the same random numbers every time, so that results do not flicker. */
function generator(seed) {
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
}
