// The page: the models on the left, one signature of one model on the right.
import { bars } from "./charts.js";
import { element, tabs } from "./dom.js";
import * as server from "./api.js";
import { readTraffic } from "./traffic.js";
import { waysFor } from "./input-methods.js";

const EVERY = 2000; // milliseconds between two looks at the server
const $ = (id) => document.getElementById(id);
const state = { models: [], model: null, version: null, signatures: {}, signature: null, verb: null, way: null, asked: null, holds: null };

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
      const button = element("button", {
        type: "button", "data-model": model.name, "aria-current": model.name === state.model,
        disabled: !availableVersions(model).length, onclick: () => chooseModel(model.name),
      }, model.name);
      return element("li", {}, button, element("dl", {}, ...rows));
    }),
  );
  if (focused) document.querySelector(`[data-model="${CSS.escape(focused)}"]`)?.focus();
}

async function chooseModel(name) {
  const model = state.models.find((one) => one.name === name);
  const versions = model ? availableVersions(model) : [];
  if (!versions.length) return;
  const kept = name === state.model && versions.includes(state.version);
  state.model = name;
  await chooseVersion(kept ? state.version : versions[0]);
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
  const kept = $("model-name").textContent === state.model && names.includes(state.signature) ? state.signature : names[0];
  $("model-name").textContent = state.model;
  listVersions();
  $("signature-name").replaceChildren(...names.map((name) => element("option", { selected: name === kept }, name)));
  listModels();
  await chooseSignature(kept);
}

/** As far as they changed: who is choosing must not lose the list. */
function listVersions() {
  const versions = availableVersions(state.models.find(({ name }) => name === state.model));
  if ([...$("version").options].map(({ value }) => value).join() !== versions.join()) {
    $("version").replaceChildren(...versions.map((one) => element("option", {}, one)));
  }
  $("version").value = state.version;
}

async function chooseSignature(name) {
  const mine = ++choice;
  state.signature = name;
  const { method, inputs, outputs } = state.signatures[name];
  $("method").textContent = method;
  const row = ({ name: tensor, dtype, shape }) => element("tr", {}, element("td", {}, tensor), element("td", {}, dtype.replace("DT_", "").toLowerCase()), element("td", {}, shapeText(shape)));
  $("inputs").replaceChildren(...inputs.map(row));
  $("outputs").replaceChildren(...outputs.map(row));
  // What was typed or drawn stays when another version asks for the same.
  const asked = JSON.stringify([state.model, name, inputs]);
  if (asked !== state.asked) clearForm();
  const { verb, strings, programs } = await server.asking(state.model, state.version, name);
  const holds = JSON.stringify([verb, strings]);
  if (mine !== choice || (asked === state.asked && holds === state.holds)) return;
  clearForm();
  Object.assign(state, { asked, holds, verb });
  $("ask").disabled = false;
  $("ask").textContent = verb[0].toUpperCase() + verb.slice(1);
  const ways = waysFor(verb, inputs, strings);
  tabs($("ways"), $("way"), ways.map((way) => way.name), (chosen) => {
    state.way = ways.find((way) => way.name === chosen);
    $("way").replaceChildren(state.way.view);
  });
  tabs($("languages"), $("program"), Object.keys(programs), (language) => ($("snippet").textContent = programs[language]));
}

/** Until the form of the new choice is there, nothing can be sent. */
function clearForm() {
  state.asked = null;
  $("ask").disabled = true;
  $("timing").textContent = "";
  for (const part of ["ways", "way", "answer"]) $(part).replaceChildren();
}

async function body() {
  const given = await state.way.text();
  const named = `"signature_name": ${JSON.stringify(state.signature)}`;
  return state.verb === "predict" ? `{${named}, "inputs": ${given}}` : `{${named}, "examples": [${given}]}`;
}

/** Rows of scores in an answer, [title, scores, labels]: the first of each output that has two numbers or more. */
function scoreRows({ outputs, results }) {
  if (Array.isArray(results?.[0])) return [["scores", results[0].map(([, score]) => score), results[0].map(([label]) => label)]];
  const named = outputs !== null && typeof outputs === "object" && !Array.isArray(outputs) ? outputs : { answer: outputs };
  const labels = Object.values(named).find((value) => Array.isArray(value?.[0]) && typeof value[0][0] === "string");
  return Object.entries(named)
    .map(([name, value]) => [name, Array.isArray(value?.[0]) ? value[0] : null])
    .filter(([, row]) => row && row.length > 1 && row.every((score) => typeof score === "number"))
    .map(([name, row]) => [name, row, labels?.[0]?.length === row.length ? labels[0] : row.map((_, at) => String(at))]);
}

/** For those who cannot see the bars, and for those who only want the winner. */
function summary(rows, milliseconds) {
  const best = rows.map(([, scores, labels]) => {
    const at = scores.indexOf(Math.max(...scores));
    return `, highest: ${labels[at]} (${scores[at].toPrecision(4)})`;
  });
  return `${milliseconds.toFixed(1)} ms${best.join("")}`;
}

async function predict(event) {
  event.preventDefault();
  $("ask").disabled = true;
  const { asked } = state;
  try {
    const { answer, text, milliseconds } = await server.ask(state.model, state.version, state.verb, await body());
    if (asked !== state.asked) return; // it answers what is no longer shown
    const rows = scoreRows(answer);
    $("timing").textContent = summary(rows, milliseconds);
    $("answer").replaceChildren(...rows.map((row) => bars(...row)), element("pre", { tabindex: 0, "aria-label": "Answer as JSON" }, text));
  } catch (error) {
    $("timing").textContent = "";
    $("answer").replaceChildren(element("p", { class: "error", role: "alert" }, error.message));
  } finally {
    $("ask").disabled = state.asked === null;
  }
}

async function refresh() {
  try {
    state.models = await server.models();
    showHealth(await server.readiness());
    listModels();
    const chosen = state.models.find(({ name }) => name === state.model);
    const versions = chosen ? availableVersions(chosen) : [];
    if (versions.includes(state.version)) listVersions();
    else await chooseModel(versions.length ? state.model : state.models.find((model) => availableVersions(model).length)?.name);
    await readTraffic();
  } catch (error) {
    showHealth(`no answer: ${error.message}`);
  }
  setTimeout(refresh, EVERY);
}

function showHealth(text) {
  // Read aloud when it is written: only if it changed.
  if ($("health").textContent === text) return;
  $("health").textContent = text;
  $("health").classList.toggle("error", text !== "ready");
}

async function copy() {
  try {
    await navigator.clipboard.writeText($("snippet").textContent);
    $("copy").textContent = "Copied";
  } catch {
    // Pages that come neither from this machine nor over TLS may not write to the clipboard.
    getSelection().selectAllChildren($("snippet"));
    $("copy").textContent = "Selected: press Ctrl+C";
  }
  setTimeout(() => ($("copy").textContent = "Copy"), EVERY);
}

$("form").addEventListener("submit", predict);
$("version").addEventListener("change", (event) => chooseVersion(event.target.value));
$("signature-name").addEventListener("change", (event) => chooseSignature(event.target.value));
$("copy").addEventListener("click", copy);
refresh();
