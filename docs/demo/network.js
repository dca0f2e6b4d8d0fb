// The network in ONNX Runtime: on the GPU by WebGPU where the browser can, else by WebAssembly.

const RUNTIME = new URL("assets/ort/", import.meta.url).href;
const MODELS = ["superpoint-lite", "products"].map(
  (name) => new URL(`assets/${name}.onnx`, import.meta.url).href,
);
const MOST_THREADS = 4;

/** Tell whether the browser has WebGPU on real hardware, and what ONNX Runtime needs to use it. */
export async function hasWebGpu() {
  if (!("Suspending" in WebAssembly) || !navigator.gpu) return false;
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  return adapter !== null && !adapter.info?.isFallbackAdapter;
}

/**
 * Load the network.
 *
 * @param {"webgpu" | "wasm" | null} wanted - where it runs; null: the faster one that works
 * @returns {Promise<{name: string, run: Function, multiply: Function}>} `run` returns the maps of an
 *   image, and `multiply` the dot products of all descriptors of two pictures
 */
export async function loadNetwork(wanted) {
  if (wanted !== "wasm" && (wanted === "webgpu" || (await hasWebGpu()))) {
    try {
      return await load("webgpu", "ort.jspi.min.mjs");
    } catch (error) {
      if (wanted) throw error;
      console.warn("WebGPU does not work here; WebAssembly instead.", error);
    }
  }
  return load("wasm", "ort.wasm.min.mjs");
}

async function load(provider, file) {
  const ort = await import(RUNTIME + file);
  const threads = crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
  ort.env.wasm.wasmPaths = RUNTIME;
  ort.env.wasm.numThreads = threads;
  const options = { executionProviders: [provider], logSeverityLevel: 3 }; // errors
  const files = await Promise.all(MODELS.map(fetchBytes));
  const network = await ort.InferenceSession.create(files[0], options); // WebGPU allows no two at once
  const products = await ort.InferenceSession.create(files[1], options);

  async function run({ values, rows, columns }) {
    const image = new ort.Tensor("float32", values, [1, 1, rows, columns]);
    const { heat, descriptors } = await network.run({ image });
    return { heat: heat.data, descriptors: descriptors.data, size: descriptors.dims[1] };
  }

  async function multiply(...pictures) {
    const [a, b] = pictures.map(
      ({ descriptors, size }) =>
        new ort.Tensor("float32", descriptors, [descriptors.length / size, size]),
    );
    return (await products.run({ a, b })).products.data;
  }

  await run({ values: new Float32Array(64 * 64), rows: 64, columns: 64 }); // fails here, if at all
  const cores = threads > 1 ? `${threads} threads` : "1 thread";
  return { name: provider === "webgpu" ? "WebGPU" : `WebAssembly, ${cores}`, run, multiply };
}

async function fetchBytes(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}
