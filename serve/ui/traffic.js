// Throughput and latency, computed from two successive readings of the server's metrics.
import { metrics } from "./api.js";
import { lineChart } from "./charts.js";

const MAX_READINGS = 90;
const history = { throughput: [], latency: [] };
let previous = null;

/** Returns the number of requests so far and their total latency in microseconds, over all models and protocols. */
async function totals() {
  let count = 0;
  let micros = 0;
  for (const row of (await metrics()).split("\n")) {
    const match = /^:tensorflow:serving:request_latency_(count|sum)\{[^}]*\} (\S+)$/.exec(row);
    if (match?.[1] === "count") count += Number(match[2]);
    if (match?.[1] === "sum") micros += Number(match[2]);
  }
  return { count, micros, time: performance.now() };
}

function show(name, text) {
  document.getElementById(`${name}-now`).textContent = text;
  document
    .getElementById(name)
    .replaceChildren(lineChart(history[name], `${name}, last ${history[name].length} readings, now ${text}`));
}

/** Reads the metrics and updates both charts. */
export async function refreshTraffic() {
  const current = await totals();
  if (previous) {
    const requests = current.count - previous.count;
    history.throughput.push(requests / ((current.time - previous.time) / 1000));
    history.latency.push(requests ? (current.micros - previous.micros) / requests / 1000 : 0);
    for (const values of Object.values(history)) values.splice(0, values.length - MAX_READINGS);
    show("throughput", history.throughput.at(-1).toFixed(1));
    show("latency", requests ? `${history.latency.at(-1).toFixed(2)} ms` : "–");
  }
  previous = current;
}
