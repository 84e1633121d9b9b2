// Tensors as JSON text. A tensor is { name, dtype, shape }. A feature of a tf.Example has the same form.

export const isString = (tensor) => tensor.dtype === "DT_STRING";
export const isInteger = (tensor) => /^DT_U?INT/.test(tensor.dtype);
export const sizes = (tensor) => (tensor.shape ?? [1]).map((size) => size ?? 1);
export const count = (tensor) => sizes(tensor).reduce((product, size) => product * size, 1);

/** Returns nested JSON arrays of shape `dims` with the texts in `parts` as values. */
export function nested(parts, dims) {
  if (!dims.length) return parts[0];
  const rowLength = parts.length / dims[0];
  const rows = Array.from({ length: dims[0] }, (_, row) =>
    nested(parts.slice(row * rowLength, (row + 1) * rowLength), dims.slice(1)),
  );
  return `[${rows.join(", ")}]`;
}

/** Returns the typed text as a JSON literal of the tensor's dtype. Integers stay exact, floats get a decimal point. */
export function literal(tensor, typed) {
  if (isString(tensor)) return JSON.stringify(typed);
  if (tensor.dtype === "DT_BOOL") return String(Number(typed) !== 0);
  const number = typed.trim() || "0";
  return isInteger(tensor) || /[.e]/i.test(number) ? number : `${number}.0`;
}

/** Returns the initial text of a field. A scalar integer is often a size, so it starts as 1. */
export function initialText(tensor) {
  if (isString(tensor)) return "";
  if (tensor.dtype === "DT_BOOL") return "0";
  if (isInteger(tensor)) return tensor.shape?.length === 0 ? "1" : "0";
  return "0.5";
}

/** Returns a JSON object with one line per [name, text] entry. */
export const jsonObject = (entries) =>
  `{\n${entries.map(([name, text]) => ` ${JSON.stringify(name)}: ${text}`).join(",\n")}\n}`;
