// Packed grids: what gradscope/reports/html/packing.py writes.

/** What a cell of a series can be besides a number >= 0; NaN is "not recorded". */
export const STATES = { infinite: -1, nan: -2, frozen: -3 };

const WORDS = { infinite: "infinite entries", nan: "NaN entries", frozen: "frozen: not trained", none: "not recorded" };

/** `number`, `zero`, or the name of the state that a cell is in. */
export function stateOf(value) {
  if (Number.isNaN(value)) return "none";
  if (value > 0) return "number";
  if (value === 0) return "zero";
  return Object.keys(STATES).find((name) => STATES[name] === value) ?? "none";
}

/** The state in words; empty for a number. */
export function stateInWords(value) {
  return WORDS[stateOf(value)] ?? "";
}

/** Decode a pack: `{first, last, columns, grids: Map(name -> {name, rows, columns, values, …})}`. */
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const numbers = header.dtype === "bfloat16" ? widened(buffer, 4 + length) : new Float32Array(buffer, 4 + length);
  const columns = header.first.length;
  const grids = new Map();
  let offset = 0;
  for (const about of header.grids) {
    const size = (about.height ?? about.rows.length) * columns;
    grids.set(about.name, { ...about, columns, values: numbers.subarray(offset, offset + size) });
    offset += size;
  }
  return { first: header.first, last: header.last, columns, grids };
}

/** One row of a grid by the layer it is of, or undefined. */
export function rowOf(grid, layer) {
  const row = grid ? grid.rows.indexOf(layer) : -1;
  return row < 0 ? undefined : grid.values.subarray(row * grid.columns, (row + 1) * grid.columns);
}

/** The column that holds `step`, or the last before it; 0 where the step lies before all. */
export function columnOf(pack, step) {
  let low = 0;
  let high = pack.columns - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (pack.first[middle] <= step) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The values at no more than `width` x `height` cells: a NaN or infinite one is kept, else the middle one is. */
export function thinned({ values, columns, rows }, width, height) {
  const [across, down] = [Math.min(columns, width), Math.min(rows.length, height)];
  if (across === columns && down === rows.length) return { values, columns, height: down };
  const kept = new Float32Array(across * down);
  for (let y = 0; y < down; y++) {
    const [top, bottom] = [Math.floor((y * rows.length) / down), Math.ceil(((y + 1) * rows.length) / down)];
    for (let x = 0; x < across; x++) {
      const [left, right] = [Math.floor((x * columns) / across), Math.ceil(((x + 1) * columns) / across)];
      let cell = values[((top + bottom - 1) >> 1) * columns + ((left + right - 1) >> 1)];
      for (let row = top; row < bottom && cell !== STATES.nan; row++) {
        for (let column = left; column < right; column++) {
          const value = values[row * columns + column];
          if (value === STATES.nan || value === STATES.infinite) cell = value;
          if (value === STATES.nan) break;
        }
      }
      kept[y * across + x] = cell;
    }
  }
  return { values: kept, columns: across, height: down };
}

function widened(buffer, offset) {
  const halves = new Uint16Array(buffer.slice(offset));
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i] << 16;
  return new Float32Array(bits.buffer);
}
