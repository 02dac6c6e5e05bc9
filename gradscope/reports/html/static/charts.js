// uPlot in our theme: one chart that is drawn anew when data or theme change and that keeps to the width of its box.

import { el } from "./dom.js";
import { color } from "./theme.js";

const LIGHT = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
const DARK = ["#6cb9f0", "#ff9a5c", "#3fd0a4", "#eaa6cc", "#f5c542", "#b8a9ff"];

/** Colours of lines that the colour-blind can tell apart (after Okabe and Ito), in the theme of `root`. */
export function lineColors(root) {
  return root.dataset.theme === "dark" ? DARK : LIGHT;
}

export class Chart {
  constructor(root, title, height = 220) {
    this.root = root;
    this.height = height;
    this.box = el("div", { className: "chart" });
    this.title = el("figcaption", {}, title);
    this.node = el("figure", {}, this.title, this.box);
    new ResizeObserver(() => {
      if (this.plot && this.box.clientWidth > 0) this.plot.setSize({ width: this.box.clientWidth, height: this.height });
    }).observe(this.box);
  }

  /** Draw `data` with uPlot's `options`; size and colours are added. */
  draw(options, data) {
    this.plot?.destroy();
    const text = color(this.root, "--quiet");
    const grid = { stroke: color(this.root, "--line"), width: 1 };
    const axes = options.axes.map((axis) => ({
      stroke: text,
      grid,
      ticks: grid,
      font: "11px system-ui, sans-serif",
      labelFont: "11px system-ui, sans-serif",
      labelSize: 16,
      size: 52,
      ...axis,
      ...(axis.filter && { grid: { ...grid, filter: axis.filter }, ticks: { ...grid, filter: axis.filter } }),
    }));
    axes[0].size = options.axes[0].size ?? 30;
    this.box.replaceChildren();
    const width = Math.max(this.box.clientWidth, 200);
    const common = { width, height: this.height, legend: { live: true }, cursor: { drag: { x: true, y: false } } };
    this.plot = new globalThis.uPlot({ ...common, ...options, axes }, data, this.box);
  }

  /** Say in words why there is nothing to draw. */
  explain(text) {
    this.plot?.destroy();
    this.plot = null;
    this.box.replaceChildren(el("p", { className: "empty" }, text));
  }
}

/** Numbers of an axis, short. */
export function short(values) {
  return values.map((value) => {
    if (value === null || value === undefined) return "";
    const size = Math.abs(value);
    return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(0).replace("+", "") : `${Number(value.toPrecision(4))}`;
  });
}

/** A logarithmic axis that shows powers of ten only, thinned where they are many; below `linear` only zero. */
export function logAxis(linear = 0) {
  return {
    filter: (_, values) => powers(values, linear),
    values: (_, values) => values.map((value) => (value ? value.toExponential(0).replace("+", "") : value === 0 ? "0" : "")),
  };
}

/** The values to be shown, null in place of the others. */
function powers(values, linear) {
  const power = (value) => Math.log10(Math.abs(value));
  const isWhole = (value) => Math.abs(value) > 3 * linear && Math.abs(power(value) - Math.round(power(value))) < 1e-6;
  const whole = new Set(values.filter(isWhole).map((value) => Math.round(power(value))));
  const every = Math.max(1, Math.ceil(whole.size / 7));
  return values.map((value) => (value === 0 || (isWhole(value) && Math.round(power(value)) % every === 0) ? value : null));
}

/** A hook that shades a range of the x axis; `bands` is a list of `[from, to, css colour]`. */
export function shading(bands) {
  return (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    for (const [from, to, style] of bands) {
      const left = Math.max(plot.valToPos(from, "x", true), bbox.left);
      const right = Math.min(plot.valToPos(to, "x", true), bbox.left + bbox.width);
      if (!(right >= left)) continue;
      ctx.fillStyle = style;
      ctx.fillRect(left, bbox.top, Math.max(right - left, 2), bbox.height);
    }
    ctx.restore();
  };
}

/** Values for uPlot, which wants null where nothing is; with `positive` also for what a log axis cannot show. */
export function drawable(values, positive = false) {
  return Array.from(values, (value) => (Number.isFinite(value) && (!positive || value > 0) ? value : null));
}
