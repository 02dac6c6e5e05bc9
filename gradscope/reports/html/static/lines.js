// Time lines: loss and learning rate of the run, and all statistics of the selected layer, with findings marked.

import { Chart, drawable, lineColors, logAxis, shading, short } from "./charts.js";
import { el, number } from "./dom.js";
import { rowOf } from "./grids.js";
import { color } from "./theme.js";

export class Lines {
  constructor(root) {
    this.root = root;
    this.progress = new Chart(root, "Loss and learning rate");
    this.sizes = new Chart(root, "Sizes");
    this.shares = new Chart(root, "Shares");
    this.node = el("div", { className: "panels three" }, this.progress.node, this.sizes.node, this.shares.node);
  }

  /** Draw `view`: `{run, pack, vocabulary, layer, column, other: {run, pack} | null}`. */
  draw(view) {
    const { run, pack, vocabulary, layer } = view;
    const marks = { drawClear: [shading([...findings(view, this.root), ...cursor(view, this.root)])] };
    this.#drawProgress(view, marks);
    const label = run.layers[layer]?.label ?? "";
    for (const [chart, scale, title] of [
      [this.sizes, "log", `Sizes of ${label}`],
      [this.shares, "share", `Shares of ${label}`],
    ]) {
      chart.title.replaceChildren(el("bdi", {}, title));
      const known = vocabulary.series
        .filter((series) => series.scale === scale)
        .map((series) => [series, rowOf(pack.grids.get(series.name), layer)])
        .filter(([, row]) => row?.some((value) => (scale === "log" ? value > 0 : value >= 0)));
      if (!known.length) chart.explain("Nothing of this kind was recorded of this layer.");
      else this.#drawSeries(chart, pack, known, scale, marks);
    }
  }

  #drawProgress({ pack, run, other }, marks) {
    const [loss, rate] = [progress(run, pack, "loss"), progress(run, pack, "learning_rate")];
    const theirs = other && progress(other.run, other.pack, "loss");
    if (!loss && !rate) return this.progress.explain("Neither loss nor learning rate was recorded.");
    const series = [stepSeries()];
    const data = [pack.first];
    const add = (values, label, scale, stroke) => {
      if (!values) return;
      series.push({ label, scale, stroke, width: 1.5, value: (_, value) => said(value) });
      data.push(drawable(values));
    };
    add(loss, "loss", "loss", lineColors(this.root)[0]);
    add(rate, "learning rate", "rate", lineColors(this.root)[1]);
    const axes = [{}, { scale: loss ? "loss" : "rate", values: (_, values) => short(values) }];
    if (loss && rate) axes.push({ scale: "rate", side: 1, grid: { show: false }, values: (_, values) => short(values) });
    const options = { series, axes, scales: { x: { time: false } }, hooks: marks };
    if (!loss || !theirs) return this.progress.draw(options, data);
    const scale = { label: `loss of ${other.run.label}`, scale: "loss", width: 1.5, dash: [6, 3] };
    series.push({ ...scale, stroke: lineColors(this.root)[2], value: (_, value) => said(value) });
    this.progress.draw(options, globalThis.uPlot.join([data, [other.pack.first, drawable(theirs)]]));
  }

  #drawSeries(chart, pack, known, scale, marks) {
    const isLog = scale === "log";
    const colors = lineColors(this.root);
    const series = known.map(([{ label }], i) => ({
      label,
      stroke: colors[i % colors.length],
      width: 1.5,
      value: (_, value) => said(value),
    }));
    const axis = isLog ? logAxis() : { values: (_, values) => short(values) };
    const y = isLog ? { distr: 3 } : { range: [0, 1] };
    const options = { series: [stepSeries(), ...series], axes: [{}, axis], scales: { x: { time: false }, y }, hooks: marks };
    chart.draw(options, [pack.first, ...known.map(([, row]) => drawable(row, isLog).map((v) => (v < 0 ? null : v)))]);
  }
}

/** What was recorded per step under `name`, by column; undefined if it was not. */
function progress(run, pack, name) {
  const index = run.progress.indexOf(name);
  return index < 0 ? undefined : rowOf(pack.grids.get("progress"), index);
}

function stepSeries() {
  return { label: "step", value: (_, value) => (value === null ? "–" : value.toLocaleString("en-GB")) };
}

function said(value) {
  return value === null || value === undefined ? "–" : number(value);
}

/** The steps of every finding that speaks of the layer, or of the whole network. */
function findings({ run, layer }, root) {
  const all = run.causes.flatMap((cause) => [cause.root, ...cause.consequences]);
  const bands = new Map();
  for (const { layers, first_step: first, last_step: last, severity } of all) {
    if (layers.length && !layers.includes(layer)) continue;
    // Of findings that speak of the same steps one shade is enough: the gravest's.
    const known = bands.get(`${first} ${last}`);
    if (known !== "error") bands.set(`${first} ${last}`, severity === "error" ? severity : (known ?? severity));
  }
  return [...bands].map(([range, severity]) => [...range.split(" ").map(Number), color(root, `--${severity}-shade`)]);
}

function cursor({ pack, column }, root) {
  const step = column === null ? undefined : pack.first[column];
  return step === undefined ? [] : [[step, step, color(root, "--accent")]];
}
