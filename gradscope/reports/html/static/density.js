// The density plot: shares of a tensor's entries on a signed log axis, over the steps at which histograms were taken.

import { statePaint, viridis } from "./colors.js";
import { el, number, sized, steps } from "./dom.js";
import { color } from "./theme.js";

const HEIGHT = 260;
const ZERO = 14; // pixels for the band of exact zeros
const GUTTER = 64;
const AXIS = 22;
const NEGLIGIBLE = 5e-4;

/** The edge of a quarter-octave bucket of magnitudes, as gradscope.histograms numbers them. */
export function edge(bucket) {
  return 2 ** ((bucket >> 2) - 127) * (1 + (bucket & 3) / 4);
}

export class Density {
  constructor(root) {
    this.root = root;
    this.canvas = el("canvas", { role: "img" });
    this.title = el("figcaption", {});
    this.said = el("p", { className: "quiet" }, " ");
    this.canvas.onmousemove = (event) => this.#hover(event);
    this.node = el("figure", {}, this.title, this.canvas, this.said);
  }

  /** Draw a density of `pack`, with `step` marked. */
  draw({ pack, density, label, step }) {
    this.view = { pack, density, label };
    this.title.replaceChildren("Distribution over time: ", el("bdi", {}, label));
    const width = Math.max(this.node.clientWidth, 240);
    const context = sized(this.canvas, width, HEIGHT + AXIS);
    this.canvas.setAttribute("aria-label", `share of the entries of ${label} per magnitude and step`);
    const rows = (this.rows = shownRows(density, pack.columns));
    this.cellWidth = (width - GUTTER) / pack.columns;
    const most = density.values.reduce((a, b) => (b > a ? b : a), 0) || 1;
    context.fillStyle = statePaint(context, "none");
    context.fillRect(GUTTER, 0, width - GUTTER, HEIGHT);
    for (const row of rows) {
      for (let column = 0; column < pack.columns; column++) {
        const share = density.values[row.index * pack.columns + column];
        if (!(share >= 0)) continue;
        context.fillStyle = share > 0 ? `rgb(${viridis(Math.sqrt(share / most)).join()})` : color(this.root, "--panel");
        context.fillRect(GUTTER + column * this.cellWidth, row.top, this.cellWidth + 0.5, row.height + 0.5);
      }
    }
    this.#paintAxes(context, width, pack);
    this.#paintBroken(context);
    const column = pack.first.findLastIndex((first) => first <= step);
    context.fillStyle = color(this.root, "--accent");
    context.fillRect(GUTTER + (Math.max(column, 0) + 0.5) * this.cellWidth - 1, 0, 2, HEIGHT);
    this.#say(Math.max(column, 0), null);
  }

  /** Marks on top of the columns in which NaN or infinite entries were seen. */
  #paintBroken(context) {
    const { pack, density } = this.view;
    for (let column = 0; column < pack.columns; column++) {
      const state = density.nan_counts[column] ? "nan" : density.inf_counts[column] ? "infinite" : null;
      if (!state) continue;
      context.fillStyle = statePaint(context, state);
      context.fillRect(GUTTER + column * this.cellWidth, 0, Math.max(this.cellWidth, 2), 8);
    }
  }

  #paintAxes(context, width, pack) {
    context.font = "11px system-ui, sans-serif";
    context.fillStyle = color(this.root, "--quiet");
    context.textAlign = "right";
    context.textBaseline = "middle";
    let above = -Infinity;
    for (const row of this.rows) {
      const [text, y] = row.sign === 0 ? ["0", row.top + row.height / 2] : decade(row);
      const near = row.sign !== 0 && this.rows.some((r) => r.sign === 0 && Math.abs(r.top + r.height / 2 - y) < 13);
      if (!text || near || y < above + 13 || y < 6 || y > HEIGHT - 4) continue;
      context.fillText(text, GUTTER - 8, y);
      context.fillRect(GUTTER - 5, y, 5, 1);
      above = y;
    }
    context.textBaseline = "top";
    context.textAlign = "left";
    context.fillText(pack.first[0].toLocaleString("en-GB"), GUTTER, HEIGHT + 6);
    context.textAlign = "right";
    if (pack.columns > 1) context.fillText(pack.last[pack.columns - 1].toLocaleString("en-GB"), width, HEIGHT + 6);
    context.textAlign = "center";
    context.fillText("step", (width + GUTTER) / 2, HEIGHT + 6);
  }

  #hover(event) {
    const bounds = this.canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - bounds.left - GUTTER) / this.cellWidth);
    const y = event.clientY - bounds.top;
    const row = this.rows?.find((each) => y >= each.top && y < each.top + each.height);
    if (column >= 0 && column < this.view.pack.columns && row) this.#say(column, row);
  }

  #say(column, row) {
    const { pack, density } = this.view;
    const at = (index) => density.values[index * pack.columns + column];
    const zeros = at((density.height - 1) / 2);
    const when = `step ${steps(pack.first[column], pack.last[column])}: `;
    const where = row && row.sign !== 0 ? `${percent(at(row.index))} in ${row.sign < 0 ? "−" : ""}[${number(row.low)}, ${number(row.high)}), ` : "";
    const finite = Number.isNaN(zeros) ? "no finite entries" : `${where}${percent(zeros)} exactly zero`;
    const broken = `${number(density.nan_counts[column])} NaN, ${number(density.inf_counts[column])} infinite entries`;
    this.said.textContent = `${when}${finite}; ${broken}`;
  }
}

function percent(share) {
  return `${number(100 * share)} %`;
}

/** Rows from the top (greatest) to the bottom; magnitudes and signs that hardly occur are left out. */
function shownRows(density, columns) {
  const size = (density.height - 1) / 2;
  const peak = (index) => {
    let most = 0;
    for (let column = 0; column < columns; column++) most = Math.max(most, density.values[index * columns + column] || 0);
    return most;
  };
  const [below, above] = [size - 1, size + 1];
  let first = 0;
  while (first < size && Math.max(peak(below - first), peak(above + first)) < NEGLIGIBLE) first++;
  const signs = [1, -1].filter((sign) => {
    for (let i = 0; i < size; i++) if (peak(sign > 0 ? above + i : below - i) > 0) return true;
    return false;
  });
  const height = size > first ? (HEIGHT - ZERO) / ((size - first) * signs.length) : 0;
  const rows = [];
  const add = (index, sign, magnitude) => {
    const top = rows.length ? rows.at(-1).top + rows.at(-1).height : 0;
    const bucket = density.low + magnitude;
    const range = sign === 0 ? { low: 0, high: 0 } : { low: edge(bucket), high: edge(bucket + 1) };
    rows.push({ index, sign, bucket, top, height: sign === 0 ? ZERO : height, ...range });
  };
  if (signs.includes(1)) for (let i = size - 1; i >= first; i--) add(above + i, 1, i);
  add(size, 0, 0);
  if (signs.includes(-1)) for (let i = first; i < size; i++) add(below - i, -1, i);
  return rows;
}

/** Text and height of the power of ten inside a row, if there is one. */
function decade({ low, high, sign, top, height }) {
  const power = Math.ceil(Math.log10(low) - 1e-9);
  if (10 ** power >= high) return [null, 0];
  const share = (Math.log(10 ** power) - Math.log(low)) / (Math.log(high) - Math.log(low));
  const text = `${sign < 0 ? "−" : ""}1e${power}`;
  return [text, sign > 0 ? top + (1 - share) * height : top + share * height];
}
