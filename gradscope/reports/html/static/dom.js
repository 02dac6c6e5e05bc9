// Elements and numbers as text. Names come from users' models: they are only ever set as text, never as markup.

/** An element with properties, listeners (`onclick`), attributes (`aria-…`, `data-…`, `role`) and children. */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue;
    if (/^(aria-|data-|role$|for$)/.test(name)) node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return node;
}

/** A labelled `<select>`; `choices` is a list of `[value, text]`. */
export function choice(label, choices, value, onchange) {
  const options = choices.map(([key, text]) => el("option", { value: key, selected: key === value }, text));
  const select = el("select", { onchange: () => onchange(select.value) }, options);
  return el("label", { className: "field" }, `${label} `, select);
}

/** Three significant digits; whole numbers up to a million in full. */
export function number(value) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  const size = Math.abs(value);
  if (size >= 999.5 && size < 1e6) return Math.round(value).toLocaleString("en-GB");
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2).replace(/\.?0+e/, "e");
  return String(Number(value.toPrecision(3)));
}

/** `0 to 9,990`, or the one step. */
export function steps(first, last) {
  const [from, to] = [first, last].map((step) => step.toLocaleString("en-GB"));
  return first === last ? from : `${from} to ${to}`;
}

/** A text shortened in its middle, where names of layers differ least, to fit `width` as `context` draws it. */
export function elided(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  const characters = Array.from(text);
  for (let kept = characters.length - 1; kept > 2; kept--) {
    const head = Math.floor(kept / 3);
    const shorter = `${characters.slice(0, head).join("")}…${characters.slice(characters.length - (kept - head)).join("")}`;
    if (context.measureText(shorter).width <= width) return shorter;
  }
  return "…";
}

/** Set a canvas to a size in CSS pixels; returns its 2-D context, cleared, with CSS pixels as unit. */
export function sized(canvas, width, height) {
  const ratio = globalThis.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}
