// The page's requests to the server: TensorFlow Serving's REST API, and the server's own extensions.

async function get(path) {
  const response = await fetch(path);
  const text = await response.text();
  if (!response.ok) throw new Error(errorMessage(text) ?? `${response.status} ${response.statusText}`);
  return text;
}

function errorMessage(text) {
  try {
    return JSON.parse(text).error;
  } catch {
    return undefined;
  }
}

/**
 * Returns [{ name, versions: [{ version, state, error, report }] }], the largest version first. The report of a loaded
 * version has the members engine, memory_bytes, load_seconds, preparation and, where they apply, prepare_seconds and
 * reason; it is undefined for other versions.
 */
export async function models() {
  const models = JSON.parse(await get("v1/models")).models ?? [];
  return models.map(({ name, model_version_status: statuses }) => ({
    name,
    versions: (statuses ?? []).map(({ version, state, status, load_report: report }) => ({
      version,
      state,
      error: status.error_message,
      report,
    })),
  }));
}

/** Returns `ready`, or the reason why the server is not ready. */
export async function readiness() {
  const response = await fetch("readyz");
  return response.ok ? "ready" : (await response.text()).trim();
}

export const metrics = () => get("metrics");

/**
 * Returns { verb, strings, programs } for a signature. strings describes the string inputs:
 * { input: { image, features: { name: { dtype, shape } } } }. programs is { language: text }. The programs call this
 * server.
 */
export const signatureDetails = async (model, version, signature) =>
  JSON.parse(await get(`ui/signature?${new URLSearchParams({ model, version, signature, rest: location.origin })}`));

/** Returns { name: { method, inputs, outputs } } of one version. Inputs and outputs list { name, dtype, shape }. */
export async function signatures(model, version) {
  const metadata = JSON.parse(await get(`v1/models/${encodeURIComponent(model)}/versions/${version}/metadata`));
  const signatureDefs = metadata.metadata.signature_def.signature_def;
  return Object.fromEntries(
    Object.entries(signatureDefs).map(([name, { method_name: method, inputs, outputs }]) => [
      name,
      { method, inputs: tensors(inputs), outputs: tensors(outputs) },
    ]),
  );
}

/** Returns [{ name, dtype, shape }]. An unknown size in a shape is null. The shape is null if the rank is unknown. */
function tensors(infos) {
  return Object.entries(infos ?? {}).map(([name, { dtype, tensor_shape: shape }]) => ({
    name,
    dtype,
    shape: shape.unknown_rank ? null : (shape.dim ?? []).map(({ size }) => (Number(size) < 0 ? null : Number(size))),
  }));
}

/** Returns { answer, text, milliseconds }: the response, parsed and as text. Throws Error with the server's message. */
export async function send(model, version, verb, body) {
  const start = performance.now();
  const response = await fetch(`v1/models/${encodeURIComponent(model)}/versions/${version}:${verb}`, {
    method: "POST",
    body,
  });
  const text = await response.text();
  const milliseconds = performance.now() - start;
  if (!response.ok) throw new Error(errorMessage(text) ?? text);
  // This protocol writes NaN and Infinity without quotes, which is not valid JSON.
  const json = text.replace(/(?<=[[,:\s])(NaN|-?Infinity)(?=[\],}\s])/g, '"$1"');
  return { answer: JSON.parse(json), text, milliseconds };
}
