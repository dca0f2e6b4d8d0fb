// Threads for WebAssembly: see sw.js.

import { hasWebGpu } from "./network.js";

const KEY = "isolation-tried";

/**
 * Reload the page once with the headers that threads need, if they are missing and would help.
 *
 * @param {string | null} backend - as of `startEngine`
 * @returns {Promise<boolean>} whether the page is about to reload
 */
export async function isolate(backend) {
  if (crossOriginIsolated || !navigator.serviceWorker || sessionStorage.getItem(KEY)) return false;
  if (navigator.hardwareConcurrency < 2) return false;
  if (backend === "webgpu" || (backend !== "wasm" && (await hasWebGpu()))) return false;
  sessionStorage.setItem(KEY, "yes"); // once, lest it go round in circles
  try {
    await navigator.serviceWorker.register(new URL("sw.js", import.meta.url));
    await navigator.serviceWorker.ready;
  } catch {
    return false; // private windows of some browsers; one thread will do
  }
  location.reload();
  return true;
}
