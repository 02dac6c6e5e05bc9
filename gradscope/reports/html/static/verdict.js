// The verdict and its causes, each with links to the layers and steps it speaks of.

import { el, steps } from "./dom.js";

/** The panel of one run; `show(layers, first, last)` is called where a link is followed. */
export function verdictPanel(run, vocabulary, show) {
  const badge = el("span", { className: "badge", "data-health": run.health }, run.state);
  const head = el("h2", {}, badge, " ", el("bdi", {}, run.label));
  if (run.error) {
    return el("section", { className: "verdict" }, head, el("p", { className: "lead" }, "This run cannot be shown: ", run.error));
  }
  return el(
    "section",
    { className: "verdict" },
    head,
    run.sentence && el("p", { className: "lead" }, run.sentence),
    run.sampled && el("p", { className: "quiet" }, `${run.sampled}.`),
    run.causes.map((cause, index) => causeCard(cause, index, run, vocabulary, show)),
    more("Notes", run.notes, (note) => findingLine(note, run, show)),
    more("Suppressed", run.suppressed, (text) => text),
    more("Missing from the log", run.missing, (text) => text),
    coverage(run),
  );
}

function causeCard(cause, index, run, vocabulary, show) {
  const title = [el("span", { className: "severity", "data-severity": cause.severity }, cause.severity), " "];
  const summary = el("summary", {}, title, el("b", {}, `${index + 1}. ${cause.root.headline}`));
  return el(
    "details",
    { className: "cause", open: index === 0 },
    summary,
    findingLine(cause.root, run, show, false),
    cause.certainty.map((line) => el("p", { className: "quiet" }, line)),
    cause.consequences.length > 0 && el("p", { className: "quiet" }, "What follows from it"),
    cause.consequences.length > 0 &&
      el("ul", {}, cause.consequences.map((finding) => el("li", {}, findingLine(finding, run, show)))),
    more("Evidence", cause.evidence, null, evidenceTable(cause.evidence, vocabulary.evidence_columns)),
    more("What to change", cause.remedies, null, el("ol", {}, cause.remedies.map(remedyItem))),
  );
}

function findingLine(finding, run, show, named = true) {
  const text = [named && el("b", {}, `${finding.headline}: `), finding.account];
  if (!run.drawn) return el("div", { className: "finding" }, text); // there is nothing that a link could show
  const go = (layers) => () => show(layers, finding.first_step, finding.last_step);
  const shown = finding.layers.slice(0, 6).map((layer) =>
    el("button", { type: "button", className: "link", onclick: go([layer]) }, el("bdi", {}, run.layers[layer].label)),
  );
  if (finding.layers.length > 6) {
    shown.push(el("button", { type: "button", className: "link", onclick: go(finding.layers) }, `all ${finding.layers.length} layers`));
  }
  const range = `steps ${steps(finding.first_step, finding.last_step)}`;
  return el(
    "div",
    { className: "finding" },
    text,
    el("span", { className: "links" }, shown, el("button", { type: "button", className: "link", onclick: go(finding.layers) }, range)),
  );
}

function remedyItem(remedy) {
  return el(
    "li",
    {},
    remedy.title,
    remedy.reason && el("span", { className: "quiet" }, ` ${remedy.reason}`),
    remedy.code && el("pre", { tabIndex: 0 }, el("code", {}, remedy.code)),
  );
}

function evidenceTable(rows, columns) {
  const used = columns.map((_, i) => i).filter((i) => rows.some((row) => row[i]));
  const head = el("tr", {}, used.map((i) => el("th", {}, columns[i])));
  const body = rows.map((row) => el("tr", {}, used.map((i) => el("td", {}, row[i]))));
  return el("div", { className: "scroll" }, el("table", {}, el("thead", {}, head), el("tbody", {}, body)));
}

function more(title, items, line, content) {
  if (!items.length) return null;
  const inner = content ?? el("ul", {}, items.map((item) => el("li", {}, line(item))));
  return el("details", { className: "more" }, el("summary", {}, `${title} (${items.length})`), inner);
}

function coverage(run) {
  if (!run.clear.length && !run.not_judged.length) return null;
  const judged = run.clear.length ? el("p", {}, `Clear: ${run.clear.join(", ")}.`) : null;
  const silent = run.not_judged.map(([rule, reason]) => el("li", {}, el("b", {}, rule), `: ${reason}`));
  const title = `Rules that found nothing (${run.clear.length}) or could not judge (${run.not_judged.length})`;
  return el("details", { className: "more" }, el("summary", {}, title), judged, el("ul", {}, silent));
}
