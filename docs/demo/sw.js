// WebAssembly may use threads only on pages served with the two headers below, which hosts of static
// files do not send. This service worker adds them to what the host sends. It keeps nothing.

addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
addEventListener("fetch", (event) => {
  if (new URL(event.request.url).origin === location.origin) {
    event.respondWith(isolated(event.request));
  }
});

async function isolated(request) {
  const response = await fetch(request);
  if (response.type !== "basic" || !response.body) return response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}
