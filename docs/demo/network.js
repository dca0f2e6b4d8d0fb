// The network in ONNX Runtime: on the GPU by WebGPU where the browser can, else by WebAssembly.

const RUNTIME = new URL("assets/ort/", import.meta.url).href;
const MODEL = new URL("assets/superpoint-lite.onnx", import.meta.url).href;
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
 * @returns {Promise<{name: string, run: Function}>}
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
  const [ort, model] = await Promise.all([import(RUNTIME + file), fetchBytes(MODEL)]);
  const threads = crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
  ort.env.wasm.wasmPaths = RUNTIME;
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  const session = await ort.InferenceSession.create(model, { executionProviders: [provider] });

  async function run({ values, rows, columns }) {
    const image = new ort.Tensor("float32", values, [1, 1, rows, columns]);
    const { heat, descriptors } = await session.run({ image });
    return { heat: heat.data, descriptors: descriptors.data, size: descriptors.dims[1] };
  }

  await run({ values: new Float32Array(64 * 64), rows: 64, columns: 64 }); // fails here, if at all
  const name = provider === "webgpu" ? "WebGPU" : `WebAssembly, ${threads} thread${threads > 1 ? "s" : ""}`;
  return { name, run };
}

async function fetchBytes(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}
