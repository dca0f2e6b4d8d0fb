// Everything that takes long happens here, off the page's own thread.

import { extract } from "./features.js";
import { mutualMatches } from "./matching.js";
import { loadNetwork } from "./network.js";

const network = loadNetwork(new URLSearchParams(location.search).get("backend"));

const tasks = {
  load: async () => (await network).name,
  extract: async ({ image, settings }) => extract(await network, image, settings),
  match: async ({ a, b }) => {
    const [rows, columns] = [a.score.length, b.score.length];
    if (!rows || !columns) return { matches: [], milliseconds: 0 };
    const start = performance.now();
    const products = await (await network).multiply(a, b);
    const matches = mutualMatches(products, rows, columns);
    return { matches, milliseconds: performance.now() - start };
  },
};

addEventListener("message", async ({ data: { id, task, argument } }) => {
  try {
    postMessage({ id, result: await tasks[task](argument) });
  } catch (error) {
    postMessage({ id, error: error.message });
  }
});
