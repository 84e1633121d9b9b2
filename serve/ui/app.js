// The page: the models on the left, one signature of one model on the right.
import { bars } from "./charts.js";
import { element, tabs } from "./dom.js";
import * as server from "./server.js";
import { readTraffic } from "./traffic.js";
import { waysFor } from "./ways.js";

const EVERY = 2000; // milliseconds between two looks at the server
const $ = (id) => document.getElementById(id);
const state = { models: [], model: null, version: null, signatures: {}, signature: null, way: null };

const shapeText = (shape) => (shape === null ? "any" : `(${shape.map((size) => size ?? "?").join(", ")})`);
const availableVersions = (model) => model.versions.filter(({ state: now }) => now === "AVAILABLE").map(({ version }) => version);

function listModels() {
  const focused = document.activeElement?.dataset?.model;
  $("models").replaceChildren(
    ...state.models.map((model) => {
      const rows = model.versions.flatMap(({ version, state: now, error }) => [
        element("dt", {}, `version ${version}`),
        element("dd", { class: now }, now),
        ...(error ? [element("dd", { class: "error" }, error)] : []),
      ]);
      const choose = () => chooseModel(model.name);
      return element("li", {}, element("button", { type: "button", "data-model": model.name, "aria-current": model.name === state.model, onclick: choose }, model.name), element("dl", {}, ...rows));
    }),
  );
  if (focused) document.querySelector(`[data-model="${CSS.escape(focused)}"]`)?.focus();
}

async function chooseModel(name) {
  const model = state.models.find((one) => one.name === name);
  const versions = model ? availableVersions(model) : [];
  if (!versions.length) return;
  state.model = name;
  await chooseVersion(versions.includes(state.version) ? state.version : versions[0]);
}

// The latest choice wins: what an earlier one was still waiting for must not be shown over it.
let choice = 0;

async function chooseVersion(version) {
  const mine = ++choice;
  state.version = version;
  const signatures = await server.signatures(state.model, version);
  if (mine !== choice) return;
  state.signatures = signatures;
  const names = Object.keys(state.signatures).sort((one, other) => (other === "serving_default") - (one === "serving_default"));
  $("empty").hidden = true;
  $("chosen").hidden = false;
  $("model-name").textContent = state.model;
  const versions = availableVersions(state.models.find(({ name }) => name === state.model));
  $("version").replaceChildren(...versions.map((one) => element("option", { selected: one === version }, one)));
  $("signature-name").replaceChildren(...names.map((name) => element("option", {}, name)));
  listModels();
  await chooseSignature(names[0]);
}

async function chooseSignature(name) {
  const mine = ++choice;
  state.signature = name;
  const { method, inputs, outputs } = state.signatures[name];
  $("method").textContent = method;
  const row = ({ name: tensor, dtype, shape }) => element("tr", {}, element("td", {}, tensor), element("td", {}, dtype.replace("DT_", "").toLowerCase()), element("td", {}, shapeText(shape)));
  $("inputs").replaceChildren(...inputs.map(row));
  $("outputs").replaceChildren(...outputs.map(row));
  $("answer").replaceChildren();
  $("timing").textContent = "";
  const ways = waysFor(inputs);
  tabs($("ways"), ways.map((way) => way.name), (chosen) => {
    state.way = ways.find((way) => way.name === chosen);
    $("way").replaceChildren(state.way.view);
  });
  const programs = await server.snippets(state.model, name);
  if (mine !== choice) return;
  tabs($("languages"), Object.keys(programs), (language) => ($("snippet").textContent = programs[language]));
}

function body() {
  const inputs = state.way.raw ? state.way.raw() : JSON.stringify(state.way.inputs());
  return `{"signature_name": ${JSON.stringify(state.signature)}, "inputs": ${inputs}}`;
}

/** Rows of at least two numbers, of an output or of the only one. */
function scoreRows(outputs) {
  const named = outputs !== null && typeof outputs === "object" && !Array.isArray(outputs) ? outputs : { answer: outputs };
  const labels = Object.values(named).find((value) => Array.isArray(value?.[0]) && typeof value[0][0] === "string");
  return Object.entries(named)
    .map(([name, value]) => [name, Array.isArray(value?.[0]) ? value[0] : null])
    .filter(([, row]) => row && row.length > 1 && row.every((score) => typeof score === "number"))
    .map(([name, row]) => bars(name, row, labels?.[0]?.length === row.length ? labels[0] : undefined));
}

async function predict(event) {
  event.preventDefault();
  $("ask").disabled = true;
  try {
    const { answer, text, milliseconds } = await server.ask(state.model, state.version, "predict", body());
    $("timing").textContent = `${milliseconds.toFixed(1)} ms`;
    $("answer").replaceChildren(...scoreRows(answer.outputs), element("pre", { tabindex: 0, "aria-label": "Answer as JSON" }, text));
  } catch (error) {
    $("timing").textContent = "";
    $("answer").replaceChildren(element("p", { class: "error", role: "alert" }, error.message));
  } finally {
    $("ask").disabled = false;
  }
}

async function refresh() {
  try {
    state.models = await server.models();
    $("health").textContent = (await server.ready()) ? "ready" : "not ready";
    listModels();
    const chosen = state.models.find(({ name }) => name === state.model);
    const versions = chosen ? availableVersions(chosen) : [];
    if (!versions.includes(state.version)) await chooseModel(versions.length ? state.model : state.models.find((model) => availableVersions(model).length)?.name);
    await readTraffic();
  } catch (error) {
    $("health").textContent = `no answer: ${error.message}`;
  }
  setTimeout(refresh, EVERY);
}

async function copy() {
  await navigator.clipboard.writeText($("snippet").textContent);
  $("copy").textContent = "Copied";
  setTimeout(() => ($("copy").textContent = "Copy"), EVERY);
}

$("form").addEventListener("submit", predict);
$("version").addEventListener("change", (event) => chooseVersion(event.target.value));
$("signature-name").addEventListener("change", (event) => chooseSignature(event.target.value));
$("copy").addEventListener("click", copy);
refresh();
