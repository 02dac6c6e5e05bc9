// Distributions: the density plot of the selected layer's tensor, and plain histograms of the layers side by side.

import { Chart, lineColors, short } from "./charts.js";
import { Density, edge } from "./density.js";
import { choice, el, number } from "./dom.js";
import { columnOf } from "./grids.js";

const KINDS = [
  ["gradient", "gradient"],
  ["activation_gradient", "activation gradient"],
  ["activation", "activation"],
  ["weight", "weight"],
  ["update", "update"],
];
const BINS = 41;
const MOST_LAYERS = 6;
const COVERED = 0.98;

export class Distribution {
  /** `load(run, kind)` promises a pack of densities, or null where there is none. */
  constructor(root, load) {
    this.root = root;
    this.load = load;
    this.kind = KINDS[0][0];
    this.density = new Density(root);
    this.plain = new Chart(root, "", 260);
    const kinds = choice("distribution of", KINDS, this.kind, (kind) => {
      this.kind = kind;
      this.draw(this.view);
    });
    this.empty = el("p", { className: "empty", hidden: true });
    this.panels = el("div", { className: "panels" }, this.density.node, this.plain.node);
    this.node = el("div", {}, el("div", { className: "controls" }, kinds), this.empty, this.panels);
  }

  /** Draw `view`: `{run, pack, layer, column}`. */
  async draw(view) {
    this.view = view;
    const { run, layer } = view;
    const kind = this.kind;
    const pack = await this.load(run, kind);
    if (this.view !== view || this.kind !== kind) return; // something else was chosen meanwhile
    const density = pack?.grids.get(`${kind}/${layer}`);
    this.empty.hidden = Boolean(density);
    this.panels.hidden = !density;
    const word = KINDS.find(([name]) => name === kind)[1];
    if (!density) {
      const name = run.layers[layer]?.label ?? "this run";
      this.empty.replaceChildren(`No histograms of the ${word} of `, el("bdi", {}, name), " were recorded.");
      return;
    }
    const step = view.pack.first[view.column ?? 0] ?? 0;
    const label = `${word} of ${run.layers[layer].tensors[kind] ?? run.layers[layer].label}`;
    this.density.draw({ pack, density, label, step });
    this.#drawPlain(pack, density, kind, word, columnOf(pack, step));
  }

  /** Normalised histograms as Glorot and Bengio (2010) draw them, on the scale of the selected layer. */
  #drawPlain(pack, density, kind, word, column) {
    const { run, layer } = this.view;
    const reach = reachOf(density, pack.columns, column);
    if (!(reach > 0)) return this.plain.explain("At this step all entries are zero or not finite.");
    const others = [...pack.grids.values()].filter((each) => each.name.startsWith(`${kind}/`) && each !== density);
    const every = Math.max(1, Math.ceil(others.length / (MOST_LAYERS - 1)));
    const shown = [density, ...others.filter((_, i) => i % every === 0)];
    const centres = Array.from({ length: BINS }, (_, i) => ((2 * i + 1) / BINS - 1) * reach);
    const colors = lineColors(this.root);
    const series = shown.map((each, i) => ({
      label: run.layers[each.rows[0]].label,
      stroke: colors[i % colors.length],
      points: { show: false },
      width: each.rows[0] === layer ? 2.5 : 1,
      value: (_, value) => (value === null ? "–" : `${number(100 * value)} %`),
    }));
    this.plain.title.textContent = `Plain histogram at step ${pack.first[column].toLocaleString("en-GB")}: ${word}, share per bin`;
    const options = {
      series: [{ label: "value", value: (_, value) => (value === null ? "–" : number(value)) }, ...series],
      axes: [{ values: (_, values) => short(values) }, { values: (_, values) => short(values) }],
      scales: { x: { time: false } },
    };
    this.plain.draw(options, [centres, ...shown.map((each) => binned(each, pack.columns, column, reach))]);
  }
}

/** The magnitude that holds 98 % of the entries that are not zero. */
function reachOf(density, columns, column) {
  const size = (density.height - 1) / 2;
  const share = (i) => at(density, columns, column, size + 1 + i) + at(density, columns, column, size - 1 - i);
  let total = 0;
  for (let i = 0; i < size; i++) total += share(i);
  let sum = 0;
  for (let i = 0; i < size; i++) {
    sum += share(i);
    if (sum >= COVERED * total && total > 0) return edge(density.low + i + 1);
  }
  return 0;
}

/** Shares per linear bin of [-reach, reach]; each log bucket is spread evenly over its width. */
function binned(density, columns, column, reach) {
  const size = (density.height - 1) / 2;
  const bins = new Array(BINS).fill(0);
  const width = (2 * reach) / BINS;
  const spread = (low, high, share) => {
    const first = Math.max(Math.floor((low + reach) / width), 0);
    const last = Math.min(Math.floor((high + reach) / width), BINS - 1);
    for (let bin = first; bin <= last; bin++) {
      const [from, to] = [Math.max(low, bin * width - reach), Math.min(high, (bin + 1) * width - reach)];
      if (to > from) bins[bin] += (share * (to - from)) / (high - low);
    }
  };
  for (let i = 0; i < size; i++) {
    const [low, high] = [edge(density.low + i), edge(density.low + i + 1)];
    spread(low, high, at(density, columns, column, size + 1 + i));
    spread(-high, -low, at(density, columns, column, size - 1 - i));
  }
  bins[(BINS - 1) / 2] += at(density, columns, column, size);
  return bins;
}

function at(density, columns, column, row) {
  return density.values[row * columns + column] || 0;
}
