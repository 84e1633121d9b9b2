// Charts: bars for scores, and a line for the traffic of the last minutes.
import { element } from "./dom.js";

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";
const MAX_BARS = 20;

/** Returns bars for one row of scores. Shows the MAX_BARS largest if there are more. */
export function barChart(title, scores, labels) {
  const rows = scores.map((score, index) => ({ score, label: labels[index] }));
  if (rows.length > MAX_BARS) rows.sort((first, second) => second.score - first.score).splice(MAX_BARS);
  const largest = Math.max(...rows.map(({ score }) => Math.abs(score)), Number.EPSILON);
  const chart = element("div", {
    class: "bars",
    role: "img",
    "aria-label": `${title}: ${rows.map(({ label, score }) => `${label} ${score}`).join(", ")}`,
  });
  for (const { label, score } of rows) {
    const bar = element("div", { class: "bar" });
    bar.style.width = `${(Math.abs(score) / largest) * 100}%`;
    chart.append(element("span", {}, label), bar, element("span", {}, score.toPrecision(4)));
  }
  return chart;
}

/** Returns a line chart of `values`, scaled to their maximum. */
export function lineChart(values, label) {
  const svg = document.createElementNS(SVG_NAMESPACE, "svg");
  svg.setAttribute("viewBox", "0 0 100 40");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  const largest = Math.max(...values, Number.EPSILON);
  const points = values.map(
    (value, index) => `${(index / Math.max(1, values.length - 1)) * 100},${39 - (value / largest) * 37}`,
  );
  const polyline = document.createElementNS(SVG_NAMESPACE, "polyline");
  polyline.setAttribute("points", points.join(" "));
  svg.append(polyline);
  return svg;
}
