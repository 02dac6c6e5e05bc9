// TensorBoard loads this module into the tab's frame and calls `render`.

import { App } from "./app.js";
import { serverSource } from "./server.js";

const COLUMNS = 1000;
const PAUSE = 10_000; // ms between looks for new steps

export async function render() {
  const here = (file) => new URL(file, import.meta.url).href;
  const style = (file) => document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: here(file) }));
  style("./uPlot.min.css");
  style("./style.css");
  await script(here("./uPlot.iife.min.js"));
  const root = document.body.appendChild(document.createElement("main"));
  const source = serverSource(COLUMNS);
  const app = new App(root, source);
  globalThis.gradscope = app;
  await app.refresh();
  // A hidden tab keeps its frame alive at height 0.
  setInterval(async () => {
    const isSeen = globalThis.innerHeight > 0 && document.visibilityState === "visible";
    if (isSeen && (await source.changed().catch(() => false))) await app.refresh();
  }, PAUSE);
}

function script(address) {
  return new Promise((resolve, reject) => {
    const node = document.createElement("script");
    node.onload = resolve;
    node.onerror = () => reject(new Error(`cannot load ${address}`));
    node.src = address;
    document.head.append(node);
  });
}
