// The view: what is selected, and which parts show it. Hosts differ only in the source they hand over.

import { scaleOf } from "./colors.js";
import { Distribution } from "./distribution.js";
import { choice, el } from "./dom.js";
import { columnOf, stateOf } from "./grids.js";
import { Heatmap, areCrowded } from "./heatmap.js";
import { legend } from "./legend.js";
import { Lines } from "./lines.js";
import { Profile } from "./profile.js";
import { followTheme } from "./theme.js";
import { verdictPanel } from "./verdict.js";

const BADNESS = ["sick", "warnings", "not judged", "notes", "healthy"];

export class App {
  /**
   * `source` gives what is shown: `vocabulary()`, `runs()` (name, label and health of each), `describe(run)`,
   * `grids(run)` and `densities(run, kind)`, all promises; the last two are null where a run has nothing of the kind.
   */
  constructor(root, source) {
    this.root = root;
    this.source = source;
    this.state = { run: "", other: "", series: "", layer: null, step: null, marked: null, fit: null };
    root.classList.add("gradscope");
    const select = (layer, column) => this.select(layer, column);
    this.parts = {
      own: new Heatmap(root, select),
      other: new Heatmap(root, select),
      profile: new Profile(root, select),
      distribution: new Distribution(root, (run, kind) => this.source.densities(run, kind)),
      lines: new Lines(root),
    };
    this.turnTheme = followTheme(root, () => this.redraw());
    let width = 0;
    new ResizeObserver(() => {
      if (root.clientWidth === width || !root.clientWidth || !root.clientHeight) return;
      width = root.clientWidth;
      cancelAnimationFrame(this.waiting);
      this.waiting = requestAnimationFrame(() => this.redraw());
    }).observe(root);
  }

  /** Read the runs anew and draw; keeps what is selected where it still exists. */
  async refresh() {
    try {
      this.vocabulary ??= await this.source.vocabulary();
      this.runs = await this.source.runs();
      await this.#load();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Select a layer, a column of the axis, or both. */
  select(layer, column) {
    if (layer !== null) this.state.layer = layer;
    if (column !== null) this.state.step = this.pack.first[column];
    this.state.marked = null;
    this.redraw();
  }

  /** Follow a link of the verdict: mark layers and steps, and choose a statistic in which the layer has a row. */
  show(layers, first, last) {
    const { state } = this;
    state.marked = { layers, first, last };
    state.step = this.pack.first[columnOf(this.pack, first)];
    if (layers.length) state.layer = layers[0];
    const hasRow = (series) => this.pack.grids.get(series).rows.includes(state.layer);
    if (layers.length && !hasRow(state.series)) {
      state.series = this.#offered().find((series) => hasRow(series.name))?.name ?? state.series;
      this.#keepingPlace(() => this.#build());
    }
    this.redraw();
    this.parts.own.node.scrollIntoView({ block: "center", behavior: "smooth" });
    if (layers.length) this.parts.own.reveal(layers[0]);
  }

  /** Draw all parts for the present state. */
  redraw() {
    if (!this.pack) return;
    const view = this.#view(this.run, this.pack);
    const other = this.otherPack ? this.#view(this.otherRun, this.otherPack) : null;
    const { series } = view;
    const scale = scaleOf(series, [view.grid, ...(other ? [other.grid] : [])]);
    const present = statesIn([view, ...(other ? [other] : [])]);
    this.legendBox.replaceChildren(legend(this.root, series, scale, present));
    this.parts.own.draw({ ...view, scale, isNamed: other !== null });
    if (other) this.parts.other.draw({ ...other, scale, isNamed: true });
    this.parts.profile.draw({ ...view, other });
    this.parts.distribution.draw(view);
    this.parts.lines.draw({ ...view, other });
    this.root.dataset.drawn = Number(this.root.dataset.drawn ?? 0) + 1; // how often, for whoever waits for it
  }

  #fail(error) {
    this.root.replaceChildren(el("p", { className: "empty", role: "alert" }, `The data cannot be shown: ${error.message}`));
  }

  async #load() {
    const { state } = this;
    const named = (name) => this.runs.find((run) => run.name === name);
    const own = named(state.run) ?? [...this.runs].sort((a, b) => badness(a) - badness(b))[0];
    if (!own) {
      this.pack = null;
      const text = "There is no run with gradscope's data yet: train with gradscope.Recorder, and it appears here.";
      this.root.replaceChildren(el("p", { className: "empty" }, text));
      return;
    }
    const other = named(state.other) === own ? undefined : named(state.other);
    const asked = (this.asked = {});
    const loaded = await Promise.all([own, other].map((run) => (run ? this.source.describe(run) : undefined)));
    const packs = await Promise.all(loaded.map((run) => (run ? this.source.grids(run) : null)));
    if (this.asked !== asked) return; // another run was chosen meanwhile
    if (this.pack && state.step === this.pack.first.at(-1)) state.step = null; // goes on with the newest step
    [this.run, this.otherRun] = loaded;
    [this.pack, this.otherPack] = packs;
    state.run = own.name;
    state.other = other?.name ?? "";
    this.#keepingPlace(() => {
      this.#build();
      this.redraw();
    });
  }

  /** Do something that builds the page anew, and leave it scrolled and unfolded as it was. */
  #keepingPlace(change) {
    const { scrollX, scrollY } = globalThis;
    const folds = () => [...this.root.querySelectorAll("details")];
    const before = new Map(folds().map((fold, i) => [`${i} ${fold.firstChild.textContent}`, fold.open]));
    change();
    folds().forEach((fold, i) => (fold.open = before.get(`${i} ${fold.firstChild.textContent}`) ?? fold.open));
    globalThis.scrollTo(scrollX, scrollY);
  }

  #choose(change) {
    Object.assign(this.state, change);
    this.#load().catch((error) => this.#fail(error));
  }

  #build() {
    const { run, state, otherRun } = this;
    const verdict = verdictPanel(run, this.vocabulary, (...link) => this.show(...link));
    if (!this.pack) {
      const text = "This run holds no sampled step, so there is nothing to draw.";
      this.root.replaceChildren(this.#header(), verdict, run.drawn ? el("p", { className: "empty" }, text) : "");
      return;
    }
    const offered = this.#offered();
    if (!offered.some((series) => series.name === state.series)) {
      const first = offered.find((series) => series.name === "activation_gradient_rms") ?? offered[0];
      state.series = (first ?? this.vocabulary.series[0]).name;
    }
    state.layer = run.layers[state.layer] ? state.layer : firstIll(run);
    state.step ??= this.pack.first.at(-1);
    const { own, other, profile, distribution, lines } = this.parts;
    this.root.replaceChildren(
      this.#header(),
      verdict,
      otherRun ? el("p", { className: "quiet" }, el("bdi", {}, otherRun.label), `: ${otherRun.error || otherRun.sentence}`) : "",
      part("Layers and steps", this.#controls(offered), el("div", { className: this.otherPack ? "panels" : "" }, own.node, this.otherPack && other.node)),
      part("One step, all layers", profile.node),
      part("One layer, all steps", lines.node, distribution.node),
    );
  }

  #header() {
    const { runs, state } = this;
    const names = runs.map((run) => [run.name, run.health ? `${run.label} (${run.health})` : run.label]);
    const others = [["", "no other"], ...names.filter(([name]) => name !== state.run)];
    return el(
      "header",
      {},
      el("h1", {}, "Gradient flow"),
      choice("Run", names, state.run, (run) => this.#choose({ run, layer: null, step: null, marked: null })),
      runs.length > 1 && choice("compare with", others, state.other, (other) => this.#choose({ other })),
      el("button", { type: "button", onclick: () => this.turnTheme() }, "Light / dark"),
    );
  }

  #controls(offered) {
    const set = (change) => {
      Object.assign(this.state, change);
      this.redraw();
    };
    const names = offered.map((series) => [series.name, series.label]);
    const fit = el("input", { type: "checkbox", checked: this.#isFitted(), onchange: () => set({ fit: fit.checked }) });
    this.legendBox = el("div", {});
    return el(
      "div",
      { className: "controls" },
      choice("Colour shows", names, this.state.series, (series) => set({ series })),
      this.legendBox,
      el("label", { className: "field" }, fit, " all layers at once"),
    );
  }

  /** The statistics of which this run has anything. */
  #offered() {
    return this.vocabulary.series.filter((series) => this.pack.grids.get(series.name)?.rows.length);
  }

  #isFitted() {
    return this.state.fit ?? areCrowded(this.run.layers.length);
  }

  #view(run, pack) {
    const { state, vocabulary } = this;
    const series = vocabulary.series.find((each) => each.name === state.series);
    const empty = { name: series.name, rows: [], columns: pack.columns, values: new Float32Array(0) };
    const layer = run === this.run ? state.layer : sameLayer(this.run.layers[state.layer], run);
    const marked = run === this.run ? state.marked : null;
    const column = columnOf(pack, state.step);
    return { run, pack, series, vocabulary, grid: pack.grids.get(series.name) ?? empty, layer, column, marked, fit: this.#isFitted() };
  }
}

function part(title, ...content) {
  return el("section", {}, el("h2", {}, title), content);
}

function badness(run) {
  const known = BADNESS.indexOf(run.health);
  return run.error || known < 0 ? BADNESS.length : known;
}

/** The layer the gravest cause speaks of; without one the first. */
function firstIll(run) {
  return run.causes.flatMap((cause) => cause.root.layers)[0] ?? 0;
}

function sameLayer(layer, run) {
  return run.layers.findIndex((each) => each.label === layer?.label);
}

function statesIn(views) {
  const states = new Set();
  for (const { grid, series } of views) {
    for (const value of grid.values) if (!(value > 0)) states.add(stateOf(value));
    if (series.scale === "share") states.delete("zero");
  }
  return states;
}
