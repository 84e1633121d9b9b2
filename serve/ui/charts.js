// Charts without a library: bars of scores, and a line of the last minutes.
import { element } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const MOST_BARS = 20;

/** Bars for one row of scores, largest first where there are many. */
export function bars(title, scores, labels) {
  const rows = scores.map((score, at) => ({ score, label: labels[at] }));
  if (rows.length > MOST_BARS) rows.sort((one, other) => other.score - one.score).splice(MOST_BARS);
  const top = Math.max(...rows.map(({ score }) => Math.abs(score)), Number.EPSILON);
  const chart = element("div", { class: "bars", role: "img", "aria-label": `${title}: ${rows.map(({ label, score }) => `${label} ${score}`).join(", ")}` });
  for (const { label, score } of rows) {
    const bar = element("div", { class: "bar" });
    bar.style.width = `${(Math.abs(score) / top) * 100}%`;
    chart.append(element("span", {}, label), bar, element("span", {}, score.toPrecision(4)));
  }
  return chart;
}

/** A line through `values`, scaled to its own maximum. */
export function line(values, label) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 100 40");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  const top = Math.max(...values, Number.EPSILON);
  const points = values.map((value, at) => `${(at / Math.max(1, values.length - 1)) * 100},${39 - (value / top) * 37}`);
  const drawn = document.createElementNS(SVG, "polyline");
  drawn.setAttribute("points", points.join(" "));
  svg.append(drawn);
  return svg;
}
