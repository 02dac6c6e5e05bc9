// The flow heatmap: layers x columns of steps on a canvas, drawn by hand because chart libraries take seconds for it.

import { statePaint, viridis } from "./colors.js";
import { el, elided, number, sized, steps } from "./dom.js";
import { stateInWords, stateOf, thinned } from "./grids.js";
import { color } from "./theme.js";

const NAMED_ROW = 14; // pixels: the least in which a name can be read
const TALLEST_ROW = 36;
const FITTED = 600; // pixels for all rows at once
const AXIS = 22;
const PATTERNED = 5;

export class Heatmap {
  /** `select(layer, column)` is called when a cell is chosen by mouse or keyboard. */
  constructor(root, select) {
    this.root = root;
    this.select = select;
    this.canvas = el("canvas", { tabIndex: 0, onkeydown: (event) => this.#key(event) });
    this.canvas.setAttribute("role", "application");
    this.canvas.onmousemove = (event) => this.#hover(event);
    this.canvas.onmouseleave = () => (this.tip.hidden = true);
    this.canvas.onclick = (event) => {
      const cell = this.cellAt(event.clientX, event.clientY);
      if (cell) this.select(cell.layer, cell.column);
    };
    this.axis = el("canvas", { className: "axis" });
    this.axis.setAttribute("aria-hidden", "true");
    this.tip = el("div", { className: "tip", hidden: true });
    this.spoken = el("p", { className: "spoken", role: "status" });
    this.box = el("div", { className: "scroll rows" }, this.canvas);
    this.title = el("figcaption", { hidden: true });
    this.node = el("figure", { className: "heatmap" }, this.title, this.box, this.axis, this.tip, this.spoken);
  }

  /** Draw `view`: `{run, pack, grid, series, scale, layer, column, marked: {layers, first, last} | null, fit, isNamed}`. */
  draw(view) {
    this.view = view;
    const { grid, run, pack } = view;
    this.title.hidden = !view.isNamed;
    this.title.replaceChildren(el("bdi", {}, run.label));
    const wide = Math.max(this.node.clientWidth, 240);
    this.rowHeight = rowHeight(grid.rows.length, view.fit);
    const height = Math.max(grid.rows.length * this.rowHeight, 1);
    const measure = this.canvas.getContext("2d");
    measure.font = this.#font(true);
    const longest = Math.max(0, ...grid.rows.map((layer) => measure.measureText(run.layers[layer].label).width));
    this.gutter = Math.min(Math.ceil(longest) + 24, Math.round(wide * 0.34));
    this.box.style.maxHeight = view.fit ? "none" : "";
    const width = Math.min(wide, this.box.clientWidth || wide);
    this.cellWidth = (width - this.gutter) / pack.columns;
    const context = sized(this.canvas, width, height);
    this.#paintCells(context, width, height);
    this.#paintNames(context);
    this.#paintMarks(context);
    this.#paintAxis(width);
    const what = `${view.series.label} of ${run.label}: ${grid.rows.length} layers, ${pack.columns} columns of steps`;
    this.canvas.setAttribute("aria-label", `${what}; arrow keys move the selection`);
  }

  /** `{layer, column, value}` under a point of the window, or null. */
  cellAt(clientX, clientY) {
    const { grid, pack } = this.view;
    const bounds = this.canvas.getBoundingClientRect();
    const column = Math.floor((clientX - bounds.left - this.gutter) / this.cellWidth);
    const row = Math.floor((clientY - bounds.top) / this.rowHeight);
    if (row < 0 || row >= grid.rows.length || column >= pack.columns) return null;
    const place = Math.max(column, 0); // on its name: the row's first column
    return { layer: grid.rows[row], column: place, value: grid.values[row * pack.columns + place] };
  }

  /** Bring the row of `layer` into sight. */
  reveal(layer) {
    const row = this.view.grid.rows.indexOf(layer);
    if (row >= 0) this.box.scrollTop = (row + 0.5) * this.rowHeight - this.box.clientHeight / 2;
  }

  #paintCells(context, width, height) {
    const { grid, pack, scale } = this.view;
    if (!grid.rows.length || !pack.columns) return;
    const ratio = this.canvas.width / width;
    const cells = thinned(grid, Math.max(1, Math.floor((width - this.gutter) * ratio)), Math.max(1, Math.floor(height * ratio)));
    const image = new ImageData(cells.columns, cells.height);
    const patterned = this.rowHeight >= PATTERNED;
    const plain = {};
    for (let i = 0; i < cells.values.length; i++) {
      const value = cells.values[i];
      let rgb;
      let alpha = 255;
      if (value > 0) rgb = viridis(scale.place(value));
      else if (value === 0 && this.view.series.scale === "share") rgb = viridis(0);
      else {
        const state = stateOf(value);
        if (state === "none" || patterned) alpha = 0;
        rgb = plain[state] ??= rgbOf(statePaint(context, state, true));
      }
      image.data.set([...rgb, alpha], 4 * i);
    }
    const picture = document.createElement("canvas");
    picture.width = cells.columns;
    picture.height = cells.height;
    picture.getContext("2d").putImageData(image, 0, 0);
    if (!patterned) {
      context.fillStyle = statePaint(context, "none");
      context.fillRect(this.gutter, 0, width - this.gutter, height);
    }
    context.imageSmoothingEnabled = false;
    context.drawImage(picture, this.gutter, 0, width - this.gutter, height);
    if (patterned) this.#paintStates(context);
  }

  /** Patterns over all cells that are no number, neighbours of a row at once. */
  #paintStates(context) {
    const { grid, pack, series } = this.view;
    const paints = {};
    grid.rows.forEach((_, row) => {
      let start = 0;
      const state = (column) => {
        const found = stateOf(grid.values[row * pack.columns + column]);
        return found === "zero" && series.scale === "share" ? "number" : found;
      };
      for (let column = 1; column <= pack.columns; column++) {
        if (column < pack.columns && state(column) === state(start)) continue;
        if (state(start) !== "number") {
          context.fillStyle = paints[state(start)] ??= statePaint(context, state(start));
          const x = this.gutter + start * this.cellWidth;
          const width = (column - start) * this.cellWidth;
          const isBroken = state(start) === "nan" || state(start) === "infinite"; // one column of it has to be seen
          context.fillRect(x, row * this.rowHeight, isBroken ? Math.max(width, 3) : width, this.rowHeight);
        }
        start = column;
      }
    });
  }

  #paintNames(context) {
    const { grid, run, layer, marked } = this.view;
    const every = Math.max(1, Math.ceil(NAMED_ROW / this.rowHeight));
    context.textBaseline = "middle";
    grid.rows.forEach((index, row) => {
      const chosen = index === layer;
      const ill = marked?.layers.includes(index);
      if (row % every && !chosen) return;
      const y = Math.min(Math.max((row + 0.5) * this.rowHeight, 7), grid.rows.length * this.rowHeight - 7);
      context.font = this.#font(chosen);
      context.fillStyle = color(this.root, chosen ? "--accent" : "--text");
      if (every > 1 && chosen) {
        context.clearRect(0, y - 9, this.gutter - 4, 18);
      }
      const name = elided(context, run.layers[index].label, this.gutter - 20);
      context.fillText(name, 12, y);
      if (ill) {
        context.fillStyle = color(this.root, "--error");
        context.fillRect(2, y - Math.min(this.rowHeight, 12) / 2 + 1, 4, Math.min(this.rowHeight, 12) - 2);
      }
    });
  }

  #paintMarks(context) {
    const { grid, pack, layer, column, marked } = this.view;
    const outline = (x, y, width, height, style, dash) => {
      context.setLineDash(dash);
      context.lineWidth = 2;
      context.strokeStyle = style;
      context.strokeRect(x, y, Math.max(width, 2), Math.max(height, 2));
      context.setLineDash([]);
    };
    if (marked) {
      const from = pack.first.findLastIndex((step) => step <= marked.first);
      const to = pack.last.findIndex((step) => step >= marked.last);
      const first = Math.max(from, 0);
      const last = to < 0 ? pack.columns - 1 : to;
      for (const index of marked.layers) {
        const row = grid.rows.indexOf(index);
        if (row < 0) continue;
        const x = this.gutter + first * this.cellWidth + 1;
        outline(x, row * this.rowHeight + 1, (last - first + 1) * this.cellWidth - 2, this.rowHeight - 2, color(this.root, "--error"), [5, 3]);
      }
    }
    const row = grid.rows.indexOf(layer);
    if (row >= 0 && column !== null && column < pack.columns) {
      const x = this.gutter + column * this.cellWidth;
      outline(x, row * this.rowHeight, Math.max(this.cellWidth, 4), this.rowHeight, "#ffffff", []);
      context.lineWidth = 1;
      context.strokeStyle = "#000000";
      context.strokeRect(x - 1.5, row * this.rowHeight - 1.5, Math.max(this.cellWidth, 4) + 3, this.rowHeight + 3);
    }
  }

  #paintAxis(width) {
    const { pack } = this.view;
    const context = sized(this.axis, width, AXIS);
    context.font = this.#font();
    context.fillStyle = color(this.root, "--quiet");
    context.textBaseline = "top";
    context.textAlign = "right";
    context.fillText("step", this.gutter - 8, 6);
    const most = Math.max(2, Math.floor((width - this.gutter) / 90));
    const count = Math.min(most, pack.columns);
    for (let i = 0; i < count; i++) {
      const column = count === 1 ? 0 : Math.round((i * (pack.columns - 1)) / (count - 1));
      const x = this.gutter + (column + 0.5) * this.cellWidth;
      context.textAlign = i === 0 ? "left" : i === count - 1 ? "right" : "center";
      context.fillRect(x, 0, 1, 4);
      const step = i === count - 1 ? pack.last[column] : pack.first[column];
      context.fillText(step.toLocaleString("en-GB"), i === 0 ? this.gutter : i === count - 1 ? width : x, 6);
    }
  }

  #hover(event) {
    const cell = this.cellAt(event.clientX, event.clientY);
    this.tip.hidden = !cell;
    if (!cell) return;
    this.tip.replaceChildren(...this.#inWords(cell).map((line) => el("div", {}, el("bdi", {}, line))));
    const bounds = this.node.getBoundingClientRect();
    const x = event.clientX - bounds.left;
    const left = x + this.tip.offsetWidth + 24 > bounds.width ? x - this.tip.offsetWidth - 12 : x + 14;
    this.tip.style.left = `${Math.max(left, 0)}px`;
    this.tip.style.top = `${event.clientY - bounds.top + 14}px`;
  }

  #inWords({ layer, column, value }) {
    const { run, pack, series } = this.view;
    const about = run.layers[layer];
    const tensor = series.kinds.map((kind) => about.tensors[kind]).find((name) => name) ?? about.label;
    const many = pack.first[column] !== pack.last[column];
    const word = stateInWords(value) || `${series.label} ${number(value)}${many ? " (median)" : ""}`;
    const kind = [about.kind, about.activation !== "linear" && about.activation].filter(Boolean).join(", ");
    return [tensor, kind, `${many ? "steps" : "step"} ${steps(pack.first[column], pack.last[column])}`, word].filter(Boolean);
  }

  #key(event) {
    const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const { grid, pack, layer, column } = this.view;
    if (!grid.rows.length) return;
    let row = Math.max(grid.rows.indexOf(layer), 0);
    let place = column ?? 0;
    if (move) [row, place] = [row + move[0], place + move[1] * (event.shiftKey ? 10 : 1)];
    else if (event.key === "Home") place = 0;
    else if (event.key === "End") place = pack.columns - 1;
    else return;
    event.preventDefault();
    row = Math.min(Math.max(row, 0), grid.rows.length - 1);
    place = Math.min(Math.max(place, 0), pack.columns - 1);
    this.select(grid.rows[row], place);
    const value = grid.values[row * pack.columns + place];
    this.spoken.textContent = this.#inWords({ layer: grid.rows[row], column: place, value }).join(", ");
    this.reveal(grid.rows[row]);
  }

  #font(bold = false) {
    return `${bold ? "bold " : ""}12px system-ui, sans-serif`;
  }
}

/** Whether so many rows can only be shown at once without every name. */
export function areCrowded(rows) {
  return rows * NAMED_ROW > FITTED;
}

function rowHeight(rows, fit) {
  const fitted = Math.min(FITTED / Math.max(rows, 1), TALLEST_ROW);
  return fit ? fitted : Math.max(fitted, NAMED_ROW);
}

function rgbOf(hex) {
  return hex.startsWith("#") ? [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)) : [128, 128, 128];
}
