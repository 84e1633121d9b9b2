// Throughput and latency from the server's own metrics: what happened between two readings.
import { line } from "./charts.js";
import { metrics } from "./api.js";

const KEPT = 90;
const history = { throughput: [], latency: [] };
let before = null;

/** Requests so far and their microseconds, over all models and protocols. */
async function totals() {
  let count = 0;
  let micros = 0;
  for (const row of (await metrics()).split("\n")) {
    const found = /^:tensorflow:serving:request_latency_(count|sum)\{[^}]*\} (\S+)$/.exec(row);
    if (found?.[1] === "count") count += Number(found[2]);
    if (found?.[1] === "sum") micros += Number(found[2]);
  }
  return { count, micros, time: performance.now() };
}

function show(name, text) {
  document.getElementById(`${name}-now`).textContent = text;
  document.getElementById(name).replaceChildren(line(history[name], `${name}, last ${history[name].length} readings, now ${text}`));
}

export async function readTraffic() {
  const now = await totals();
  if (before) {
    const requests = now.count - before.count;
    history.throughput.push(requests / ((now.time - before.time) / 1000));
    history.latency.push(requests ? (now.micros - before.micros) / requests / 1000 : 0);
    for (const values of Object.values(history)) values.splice(0, values.length - KEPT);
    show("throughput", history.throughput.at(-1).toFixed(1));
    show("latency", requests ? `${history.latency.at(-1).toFixed(2)} ms` : "–");
  }
  before = now;
}
