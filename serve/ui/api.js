// What the page asks the server: TensorFlow Serving's REST calls, and the list of models.

async function get(path) {
  const response = await fetch(path);
  const text = await response.text();
  if (!response.ok) throw new Error(errorOf(text) ?? `${response.status} ${response.statusText}`);
  return text;
}

function errorOf(text) {
  try {
    return JSON.parse(text).error;
  } catch {
    return undefined;
  }
}

/** [{ name, versions: [{ version, state, error }] }], the largest version first. */
export async function models() {
  const listed = JSON.parse(await get("v1/models")).models ?? [];
  return listed.map(({ name, model_version_status: statuses }) => ({
    name,
    versions: (statuses ?? []).map(({ version, state, status }) => ({ version, state, error: status.error_message })),
  }));
}

/** `ready`, or what is in the way. */
export async function readiness() {
  const response = await fetch("readyz");
  return response.ok ? "ready" : (await response.text()).trim();
}
export const metrics = () => get("metrics");
/**
 * How to ask a signature: { verb, strings, programs }. strings: { input: { image, features: { name: { dtype, shape } } } };
 * programs: { language: text }, with the address that this page came from.
 */
export const asking = async (model, version, signature) =>
  JSON.parse(await get(`ui/signature?${new URLSearchParams({ model, version, signature, rest: location.origin })}`));

/** Signatures of one version: { name: { method, inputs: [tensor], outputs: [tensor] } }, tensor = { name, dtype, shape }. */
export async function signatures(model, version) {
  const answer = JSON.parse(await get(`v1/models/${encodeURIComponent(model)}/versions/${version}/metadata`));
  const found = answer.metadata.signature_def.signature_def;
  return Object.fromEntries(
    Object.entries(found).map(([name, one]) => [
      name,
      { method: one.method_name, inputs: tensors(one.inputs), outputs: tensors(one.outputs) },
    ]),
  );
}

/** A shape is a list of sizes, null where the size is free; a free rank is null. */
function tensors(infos) {
  return Object.entries(infos ?? {}).map(([name, { dtype, tensor_shape: shape }]) => ({
    name,
    dtype,
    shape: shape.unknown_rank ? null : (shape.dim ?? []).map(({ size }) => (Number(size) < 0 ? null : Number(size))),
  }));
}

/** The answer as parsed JSON and as sent, with the milliseconds it took. Throws an Error with the server's message. */
export async function ask(model, version, verb, body) {
  const start = performance.now();
  const response = await fetch(`v1/models/${encodeURIComponent(model)}/versions/${version}:${verb}`, { method: "POST", body });
  const text = await response.text();
  const milliseconds = performance.now() - start;
  if (!response.ok) throw new Error(errorOf(text) ?? text);
  // NaN and the infinities are bare tokens in this protocol, and no JSON.
  const plain = text.replace(/(?<=[[,:\s])(NaN|-?Infinity)(?=[\],}\s])/g, '"$1"');
  return { answer: JSON.parse(plain), text, milliseconds };
}
