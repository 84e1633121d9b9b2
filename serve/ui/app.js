// The web page: the list of models on the left, the chosen signature on the right.
import * as api from "./api.js";
import { barChart } from "./charts.js";
import { element, tabs } from "./dom.js";
import { inputMethods } from "./input-methods.js";
import { refreshTraffic } from "./traffic.js";

const REFRESH_MS = 2000;
const COPIED_MS = 2000;
const $ = (id) => document.getElementById(id);
const state = {
  models: [],
  model: null,
  version: null,
  signatures: {},
  signature: null,
  verb: null,
  inputMethod: null,
  formKey: null,
};

const shapeText = (shape) => (shape === null ? "any" : `(${shape.map((size) => size ?? "?").join(", ")})`);
// Numbers stay on one line with their units.
const size = (bytes) => {
  if (bytes < 1e6) return "<\u00a01\u00a0MB"; // an estimate of less says nothing
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)}\u00a0MB` : `${(bytes / 1e9).toFixed(1)}\u00a0GB`;
};
const duration = (seconds) =>
  seconds < 1 ? `${(1000 * seconds).toFixed(0)}\u00a0ms` : `${seconds.toFixed(seconds < 10 ? 1 : 0)}\u00a0s`;
const asItIsText = ({ reason }) => `Served as it is, which is slower: ${reason}`;

/** Returns text like `tensorflow, 371.0 MB, loaded in 0.4 s (found prepared)`. */
function reportText({ engine, memory_bytes, load_seconds, preparation, prepare_seconds }) {
  const loaded = `${engine}, ${size(memory_bytes)}, loaded in ${duration(load_seconds)}`;
  if (preparation === "prepared") return `${loaded} (${duration(prepare_seconds)} to prepare)`;
  return preparation === "found prepared" ? `${loaded} (found prepared)` : loaded;
}

const availableVersions = (model) =>
  model.versions.filter((version) => version.state === "AVAILABLE").map(({ version }) => version);

function showModels() {
  const focused = document.activeElement?.dataset?.model;
  $("models").replaceChildren(
    ...state.models.map((model) => {
      const rows = model.versions.flatMap(({ version, state: versionState, error, report }) => [
        element("dt", {}, `version ${version}`),
        element("dd", { class: versionState }, versionState),
        ...(error ? [element("dd", { class: "error" }, error)] : []),
        ...(report ? [element("dd", { class: "report" }, reportText(report))] : []),
        ...(report?.reason ? [element("dd", { class: "warning" }, asItIsText(report))] : []),
      ]);
      const button = element(
        "button",
        {
          type: "button",
          "data-model": model.name,
          "aria-current": model.name === state.model,
          disabled: !availableVersions(model).length,
          onclick: () => selectModel(model.name),
        },
        model.name,
      );
      return element("li", {}, button, element("dl", {}, ...rows));
    }),
  );
  if (focused) document.querySelector(`[data-model="${CSS.escape(focused)}"]`)?.focus();
}

async function selectModel(name) {
  const model = state.models.find((candidate) => candidate.name === name);
  const versions = model ? availableVersions(model) : [];
  if (!versions.length) return;
  const keepVersion = name === state.model && versions.includes(state.version);
  state.model = name;
  await selectVersion(keepVersion ? state.version : versions[0]);
}

// Counts the selections. A response for an earlier selection is dropped, because it must not replace a later one.
let latestSelection = 0;

async function selectVersion(version) {
  const selection = ++latestSelection;
  state.version = version;
  const signatures = await api.signatures(state.model, version);
  if (selection !== latestSelection) return;
  state.signatures = signatures;
  const names = Object.keys(state.signatures).sort(
    (first, second) => (second === "serving_default") - (first === "serving_default"),
  );
  $("empty").hidden = true;
  $("chosen").hidden = false;
  const signature =
    $("model-name").textContent === state.model && names.includes(state.signature) ? state.signature : names[0];
  $("model-name").textContent = state.model;
  showVersions();
  $("signature-name").replaceChildren(
    ...names.map((name) => element("option", { selected: name === signature }, name)),
  );
  showModels();
  await selectSignature(signature);
}

/** Rebuilds the list only if it changed, because a rebuild closes an open list. */
function showVersions() {
  const versions = availableVersions(state.models.find(({ name }) => name === state.model));
  if ([...$("version").options].map(({ value }) => value).join() !== versions.join()) {
    $("version").replaceChildren(...versions.map((version) => element("option", {}, version)));
  }
  $("version").value = state.version;
}

async function selectSignature(name) {
  const selection = ++latestSelection;
  state.signature = name;
  const { method, inputs, outputs } = state.signatures[name];
  $("method").textContent = method;
  const row = (tensor) =>
    element(
      "tr",
      {},
      element("td", {}, tensor.name),
      element("td", {}, tensor.dtype.replace("DT_", "").toLowerCase()),
      element("td", {}, shapeText(tensor.shape)),
    );
  $("inputs").replaceChildren(...inputs.map(row));
  $("outputs").replaceChildren(...outputs.map(row));
  // The form with its content stays if another version has the same inputs.
  const inputsKey = JSON.stringify([state.model, name, inputs]);
  if (state.formKey?.inputs !== inputsKey) clearForm();
  const { verb, strings, programs } = await api.signatureDetails(state.model, state.version, name);
  const detailsKey = JSON.stringify([verb, strings]);
  if (selection !== latestSelection || (state.formKey?.inputs === inputsKey && state.formKey.details === detailsKey))
    return;
  clearForm();
  Object.assign(state, { formKey: { inputs: inputsKey, details: detailsKey }, verb });
  $("send").disabled = false;
  $("send").textContent = verb[0].toUpperCase() + verb.slice(1);
  const methods = inputMethods(verb, inputs, strings);
  tabs(
    $("input-methods"),
    $("input-panel"),
    methods.map((inputMethod) => inputMethod.name),
    (selected) => {
      state.inputMethod = methods.find((inputMethod) => inputMethod.name === selected);
      $("input-panel").replaceChildren(state.inputMethod.view);
    },
  );
  tabs(
    $("languages"),
    $("program"),
    Object.keys(programs),
    (language) => ($("snippet").textContent = programs[language]),
  );
}

/** Removes the form and disables sending until the new form is complete. */
function clearForm() {
  state.formKey = null;
  $("send").disabled = true;
  $("timing").textContent = "";
  for (const id of ["input-methods", "input-panel", "answer"]) $(id).replaceChildren();
}

async function requestBody() {
  const input = await state.inputMethod.text();
  const signature = `"signature_name": ${JSON.stringify(state.signature)}`;
  return state.verb === "predict" ? `{${signature}, "inputs": ${input}}` : `{${signature}, "examples": [${input}]}`;
}

/** Returns [title, scores, labels] for the first row of each output that has at least two numbers per row. */
function scoreRows({ outputs, results }) {
  if (Array.isArray(results?.[0]))
    return [["scores", results[0].map(([, score]) => score), results[0].map(([label]) => label)]];
  const byName =
    outputs !== null && typeof outputs === "object" && !Array.isArray(outputs) ? outputs : { answer: outputs };
  const labels = Object.values(byName).find((value) => Array.isArray(value?.[0]) && typeof value[0][0] === "string");
  return Object.entries(byName)
    .map(([name, value]) => [name, Array.isArray(value?.[0]) ? value[0] : null])
    .filter(([, row]) => row && row.length > 1 && row.every((score) => typeof score === "number"))
    .map(([name, row]) => [
      name,
      row,
      labels?.[0]?.length === row.length ? labels[0] : row.map((_, index) => String(index)),
    ]);
}

/** Returns the latency and the highest score of each row as text, for screen readers and as a short summary. */
function summary(rows, milliseconds) {
  const highest = rows.map(([, scores, labels]) => {
    const index = scores.indexOf(Math.max(...scores));
    return `, highest: ${labels[index]} (${scores[index].toPrecision(4)})`;
  });
  return `${milliseconds.toFixed(1)} ms${highest.join("")}`;
}

async function send(event) {
  event.preventDefault();
  $("send").disabled = true;
  const { formKey } = state;
  try {
    const { answer, text, milliseconds } = await api.send(state.model, state.version, state.verb, await requestBody());
    if (formKey !== state.formKey) return; // another form is shown by now
    const rows = scoreRows(answer);
    $("timing").textContent = summary(rows, milliseconds);
    $("answer").replaceChildren(
      ...rows.map((row) => barChart(...row)),
      element("pre", { tabindex: 0, "aria-label": "Answer as JSON" }, text),
    );
  } catch (error) {
    $("timing").textContent = "";
    $("answer").replaceChildren(element("p", { class: "error", role: "alert" }, error.message));
  } finally {
    $("send").disabled = state.formKey === null;
  }
}

async function refresh() {
  try {
    state.models = await api.models();
    showHealth(await api.readiness());
    showModels();
    const selected = state.models.find(({ name }) => name === state.model);
    const versions = selected ? availableVersions(selected) : [];
    if (versions.includes(state.version)) showVersions();
    else
      await selectModel(
        versions.length ? state.model : state.models.find((model) => availableVersions(model).length)?.name,
      );
    await refreshTraffic();
  } catch (error) {
    showHealth(`no response: ${error.message}`);
  }
  setTimeout(refresh, REFRESH_MS);
}

function showHealth(text) {
  // Screen readers announce every write, so this writes only changes.
  if ($("health").textContent === text) return;
  $("health").textContent = text;
  $("health").classList.toggle("error", text !== "ready");
}

async function copy() {
  try {
    await navigator.clipboard.writeText($("snippet").textContent);
    $("copy").textContent = "Copied";
  } catch {
    // Browsers allow access to the clipboard only for pages from localhost or over TLS.
    getSelection().selectAllChildren($("snippet"));
    $("copy").textContent = "Selected: press Ctrl+C";
  }
  setTimeout(() => ($("copy").textContent = "Copy"), COPIED_MS);
}

$("form").addEventListener("submit", send);
$("version").addEventListener("change", (event) => selectVersion(event.target.value));
$("signature-name").addEventListener("change", (event) => selectSignature(event.target.value));
$("copy").addEventListener("click", copy);
refresh();
