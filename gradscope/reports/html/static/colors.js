// Colours that say the same to the colour-blind: viridis for numbers, and a pattern beside the colour for what is none.

const VIRIDIS = ["440154", "482878", "3e4a89", "31688e", "26828e", "1f9e89", "35b779", "6dcd59", "b4de2c", "fde725"];
const STOPS = VIRIDIS.map((hex) => [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16)));

/** Colours of states, and of the stripes over them; `none` follows the theme. */
const PAINT = {
  nan: { fill: "#d4006a", line: "#ffffff", slope: 1 },
  infinite: { fill: "#ff7b00", line: "#000000", slope: -1 },
  zero: { fill: "#000000", line: "#9a9a9a", slope: 2 },
  frozen: { fill: "#a8b0ba", line: "#6d7680", slope: 0 },
  none: { fill: "rgba(128,128,128,0.10)", line: "rgba(128,128,128,0.35)", slope: 1 },
};

/** States in the order of the legend, in words. */
export const LEGEND = [
  ["nan", "NaN"],
  ["infinite", "infinite"],
  ["zero", "exactly 0"],
  ["frozen", "frozen"],
  ["none", "not recorded"],
];

/** `[r, g, b]` of viridis at `share` in [0, 1]; beyond it the colour of the nearer end. */
export function viridis(share) {
  const place = Math.min(Math.max(share, 0), 1) * (STOPS.length - 1);
  const index = Math.min(Math.floor(place), STOPS.length - 2);
  return STOPS[index].map((from, i) => Math.round(from + (STOPS[index + 1][i] - from) * (place - index)));
}

/** The fill style of a state: a striped pattern, or its plain colour where cells are too small for one. */
export function statePaint(context, state, plain = false) {
  const paint = PAINT[state];
  if (plain) return paint.fill;
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const ink = tile.getContext("2d");
  ink.fillStyle = paint.fill;
  ink.fillRect(0, 0, 8, 8);
  ink.strokeStyle = ink.fillStyle = paint.line;
  ink.lineWidth = 1.5;
  ink.beginPath();
  if (paint.slope === 2) ink.arc(4, 4, 1.2, 0, 7);
  else if (paint.slope === 0) ink.rect(0, 3.5, 8, 1);
  else for (const x of [-8, 0, 8]) {
    ink.moveTo(x, paint.slope > 0 ? 8 : 0);
    ink.lineTo(x + 8, paint.slope > 0 ? 0 : 8);
  }
  if (paint.slope === 2) ink.fill();
  else ink.stroke();
  return context.createPattern(tile, "repeat");
}

/** The colour scale of a series over the grids shown: `{low, high, place(value) -> [0, 1], ticks}`. */
export function scaleOf(series, grids) {
  if (series.scale === "share") {
    return { low: 0, high: 1, place: (value) => value, ticks: [0, 0.25, 0.5, 0.75, 1] };
  }
  const [least, greatest] = decades(grids);
  const place = (value) => (Math.log10(value) - least) / (greatest - least);
  const every = Math.ceil((greatest - least) / 8);
  const ticks = [];
  for (let power = least; power <= greatest; power += every) ticks.push(10 ** power);
  return { low: 10 ** least, high: 10 ** greatest, place, ticks };
}

/** Whole powers of ten around all but the most extreme hundredth of the numbers, at least two decades apart. */
function decades(grids) {
  const logs = [];
  for (const { values } of grids) {
    const stride = Math.max(1, Math.floor(values.length / 50000));
    for (let i = 0; i < values.length; i += stride) {
      if (values[i] > 0 && values[i] < Infinity) logs.push(Math.log10(values[i]));
    }
  }
  if (!logs.length) return [-1, 1];
  logs.sort((a, b) => a - b);
  const at = (share) => logs[Math.round(share * (logs.length - 1))];
  const [least, greatest] = [Math.floor(at(0.005)), Math.ceil(at(0.995))];
  return greatest - least >= 2 ? [least, greatest] : [least - (greatest - least === 0), least + 2 - (greatest === least)];
}
