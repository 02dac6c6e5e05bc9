// The legend of the heatmap: a colour bar with numbers, and the patterns of cells that are no number.

import { LEGEND, statePaint, viridis } from "./colors.js";
import { el, number, sized } from "./dom.js";
import { color } from "./theme.js";

const BAR = 260;

/** The legend of a series; `present` is the set of states that occur in what is shown. */
export function legend(root, series, scale, present) {
  const canvas = el("canvas", { className: "bar" });
  const context = sized(canvas, BAR + 40, 30);
  for (let x = 0; x < BAR; x++) {
    context.fillStyle = `rgb(${viridis(x / (BAR - 1)).join()})`;
    context.fillRect(20 + x, 0, 1, 12);
  }
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = color(root, "--text");
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const tick of scale.ticks) {
    const x = 20 + scale.place(tick) * BAR;
    context.fillRect(x, 12, 1, 3);
    context.fillText(series.scale === "log" ? tick.toExponential(0).replace("+", "") : number(tick), x, 17);
  }
  const states = LEGEND.filter(([state]) => present.has(state)).map(([state, text]) => {
    const swatch = el("canvas", { className: "swatch" });
    const ink = sized(swatch, 18, 12);
    ink.fillStyle = statePaint(ink, state);
    ink.fillRect(0, 0, 18, 12);
    return el("span", { className: "state" }, swatch, ` ${text}`);
  });
  const healthy = series.healthy
    ? el("span", { className: "quiet" }, `healthy: ${number(series.healthy[0])} to ${number(series.healthy[1])}`)
    : null;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `colours from ${number(scale.low)} to ${number(scale.high)}`);
  return el("div", { className: "legend" }, canvas, states, healthy);
}
