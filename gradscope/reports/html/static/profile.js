// The depth profile: what one step looked like from the first layer to the last.

import { Chart, drawable, lineColors, logAxis, short } from "./charts.js";
import { choice, el, number, steps } from "./dom.js";
import { color } from "./theme.js";

const KINDS = [
  ["activation_gradient", "activation gradient"],
  ["gradient", "gradient"],
  ["activation", "activation"],
];

const MANY = 60; // layers: beyond it their points run into each other

export class Profile {
  /** `select(layer, column)` is called when the slider moves. */
  constructor(root, select) {
    this.root = root;
    this.kind = null; // until one is chosen: the first that was recorded
    this.slider = el("input", { type: "range", min: 0, oninput: () => select(null, Number(this.slider.value)) });
    this.slider.setAttribute("aria-label", "step of the depth profile");
    this.said = el("output", {});
    this.level = new Chart(root, "Level across depth");
    this.bands = new Chart(root, "Spread across depth");
    const kinds = choice("spread of", KINDS, KINDS[0][0], (kind) => {
      this.kind = kind;
      this.draw(this.view);
    });
    this.kinds = kinds.querySelector("select");
    const controls = el("div", { className: "controls" }, el("label", { className: "field grow" }, "step ", this.slider), this.said, kinds);
    this.node = el("div", {}, controls, el("div", { className: "panels" }, this.level.node, this.bands.node));
  }

  /** Draw `view`: `{run, pack, grid, series, vocabulary, column, other: view | null}`. */
  draw(view) {
    this.view = view;
    const { pack, column } = view;
    this.slider.max = pack.columns - 1;
    this.slider.value = column ?? 0;
    this.said.textContent = steps(pack.first[column ?? 0], pack.last[column ?? 0]);
    this.slider.setAttribute("aria-valuetext", `step ${this.said.textContent}`);
    this.#drawLevel();
    this.#drawBands();
  }

  #drawLevel() {
    const { run, grid, series, other } = this.view;
    const isLog = series.scale === "log";
    const values = drawable(valuesAt(this.view), isLog).map(known);
    this.level.title.textContent = `Across depth: ${series.label}`;
    if (!values.some((value) => value !== null)) return this.level.explain("At this step there is no number to draw.");
    const lines = [{ label: "layer", value: (_, place) => nameAt(run, grid, place) }, line(run.label, lineColors(this.root)[0], grid.rows.length)];
    const data = [grid.rows.map((_, i) => i), values];
    if (other) {
      // Runs are compared layer by layer, by name: their depths may differ.
      const theirs = new Map(other.grid.rows.map((layer, i) => [other.run.layers[layer].label, valuesAt(other)[i]]));
      lines.push({ ...line(other.run.label, lineColors(this.root)[1], grid.rows.length), dash: [6, 3] });
      data.push(drawable(grid.rows.map((layer) => theirs.get(run.layers[layer].label) ?? NaN), isLog).map(known));
    }
    const corridor = this.#corridor(values);
    const shade = (plot) => {
      if (!corridor) return;
      const clip = (value) => Math.min(Math.max(plot.valToPos(value, "y", true), plot.bbox.top), plot.bbox.top + plot.bbox.height);
      const [low, high] = corridor.range.map((value) => (value > 0 || !isLog ? clip(value) : plot.bbox.top + plot.bbox.height));
      plot.ctx.fillStyle = color(this.root, "--healthy-shade");
      plot.ctx.fillRect(plot.bbox.left, high, plot.bbox.width, low - high);
    };
    if (corridor) this.level.title.append(el("span", { className: "quiet" }, ` shaded: ${corridor.says}`));
    const y = isLog ? { distr: 3 } : { range: [0, 1] };
    const axes = [this.#layerAxis(), isLog ? logAxis() : { values: (_, ticks) => short(ticks) }];
    this.level.draw({ series: lines, axes, scales: { x: layerScale(grid), y }, hooks: { drawClear: [shade] } }, data);
  }

  /** What counts as healthy: the limits of the rules, for a gradient relative to the last layer's. */
  #corridor(values) {
    const { series, vocabulary } = this.view;
    if (series.healthy) {
      const [low, high] = series.healthy;
      return { range: series.healthy, says: `healthy, ${number(low)} to ${number(high)}` };
    }
    const last = values.findLast((value) => value !== null);
    if (series.name !== "activation_gradient_rms" || !last) return null;
    const ratio = vocabulary.least_gradient_ratio;
    return { range: [last * ratio, last / ratio], says: `within a factor of ${number(1 / ratio)} of the last layer` };
  }

  #drawBands() {
    const { run, pack, column } = this.view;
    const recorded = KINDS.find(([name]) => pack.grids.get(`${name}.quantile_50`)?.values.some((value) => !Number.isNaN(value)));
    const kind = this.kind ?? recorded?.[0] ?? KINDS[0][0];
    this.kinds.value = kind;
    const at = (statistic) => {
      const grid = pack.grids.get(`${kind}.${statistic}`);
      return grid ? grid.rows.map((_, row) => grid.values[row * pack.columns + (column ?? 0)]) : [];
    };
    const grid = pack.grids.get(`${kind}.quantile_50`);
    const label = KINDS.find(([name]) => name === kind)[1];
    this.bands.title.textContent = `Across depth: ${label}, p5 to p95, p25 to p75 and median`;
    const quantiles = ["95", "75", "50", "25", "05"].map((q) => at(`quantile_${q}`).map((v) => (Number.isFinite(v) ? v : null)));
    const sizes = quantiles.flat().filter((value) => value).map(Math.abs);
    if (!grid || !quantiles.flat().some((value) => value !== null)) return this.bands.explain(`No quantiles of the ${label} were recorded at this step.`);
    const lines = ["p95", "p75", "median", "p25", "p5"].map((name) => ({
      ...line(name, lineColors(this.root)[0], grid.rows.length),
      width: name === "median" ? 2 : 0.5,
    }));
    const fill = (alpha) => `rgba(0,114,178,${alpha})`;
    const bands = [
      { series: [1, 2], fill: fill(0.2) },
      { series: [2, 3], fill: fill(0.45) },
      { series: [3, 4], fill: fill(0.45) },
      { series: [4, 5], fill: fill(0.2) },
    ];
    // Linear around zero, logarithmic beyond the least number that matters: layers may lie many decades apart.
    const linear = Math.max(Math.min(...sizes), Math.max(...sizes) * 1e-8, 1e-30);
    const scales = { x: layerScale(grid), y: { distr: 4, asinh: sizes.length ? linear : 1 } };
    const series = [{ label: "layer", value: (_, place) => nameAt(run, grid, place) }, ...lines];
    const axes = [this.#layerAxis(grid), { ...logAxis(linear), size: 60 }];
    this.bands.draw({ series, axes, scales, bands }, [grid.rows.map((_, i) => i), ...quantiles]);
  }

  #layerAxis(grid = this.view.grid) {
    const { run } = this.view;
    const shown = (place) => (Number.isInteger(place) ? nameAt(run, grid, place) : "");
    const clipped = (name) => (Array.from(name).length > 14 ? `…${Array.from(name).slice(-13).join("")}` : name);
    return {
      space: 70,
      incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
      values: (_, places) => places.map((place) => clipped(shown(place))),
    };
  }
}

function line(label, stroke, count) {
  return { label, stroke, width: 1.5, points: { show: count < MANY, size: 5 }, value: (_, value) => (value === null ? "–" : number(value)) };
}

function layerScale(grid) {
  return { time: false, range: [-0.3, Math.max(grid.rows.length - 0.7, 0.3)] };
}

function nameAt(run, grid, place) {
  return run.layers[grid.rows[place]]?.label ?? "";
}

function valuesAt({ pack, grid, column }) {
  const place = Math.min(column ?? 0, pack.columns - 1);
  return grid.rows.map((_, row) => grid.values[row * pack.columns + place]);
}

/** States of cells are negative; they are no numbers to draw. */
function known(value) {
  return value !== null && value < 0 ? null : value;
}
