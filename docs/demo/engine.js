// The worker, as functions that return promises.

/**
 * Start the worker.
 *
 * @param {string | null} backend - "webgpu", "wasm", or null for the faster one that works
 */
export function startEngine(backend) {
  const url = new URL("worker.js", import.meta.url);
  if (backend) url.searchParams.set("backend", backend);
  const worker = new Worker(url, { type: "module" });
  const waiting = new Map();
  let next = 0;

  worker.addEventListener("message", ({ data: { id, result, error } }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) resolve(result);
    else reject(new Error(error));
  });
  worker.addEventListener("error", (event) => {
    const error = new Error(event.message || "the worker did not start");
    waiting.forEach(({ reject }) => reject(error));
    waiting.clear();
  });

  function ask(task, argument) {
    return new Promise((resolve, reject) => {
      waiting.set(next, { resolve, reject });
      worker.postMessage({ id: next++, task, argument });
    });
  }

  return {
    load: () => ask("load"),
    extract: (image, settings) => ask("extract", { image, settings }),
    match: (a, b) => ask("match", { a, b }),
  };
}
