// Tensors as JSON text. A tensor is { name, dtype, shape }; a feature of a tf.Example is one too.

export const isString = (tensor) => tensor.dtype === "DT_STRING";
export const isInteger = (tensor) => /^DT_U?INT/.test(tensor.dtype);
export const sizes = (tensor) => (tensor.shape ?? [1]).map((size) => size ?? 1);
export const count = (tensor) => sizes(tensor).reduce((product, size) => product * size, 1);

/** JSON of the texts in `parts`, in the shape of `dims`. */
export function nested(parts, dims) {
  if (!dims.length) return parts[0];
  const width = parts.length / dims[0];
  const rows = Array.from({ length: dims[0] }, (_, row) => nested(parts.slice(row * width, (row + 1) * width), dims.slice(1)));
  return `[${rows.join(", ")}]`;
}

/** What was typed, as a JSON literal of the tensor's dtype: integers stay exact, floats have a point. */
export function literal(tensor, typed) {
  if (isString(tensor)) return JSON.stringify(typed);
  if (tensor.dtype === "DT_BOOL") return String(Number(typed) !== 0);
  const number = typed.trim() || "0";
  return isInteger(tensor) || /[.e]/i.test(number) ? number : `${number}.0`;
}

/** What stands in a field before somebody types. A lone integer is mostly a size, and none of nothing. */
export const initial = (tensor) => (isString(tensor) ? "" : tensor.dtype === "DT_BOOL" ? "0" : isInteger(tensor) ? (tensor.shape?.length === 0 ? "1" : "0") : "0.5");

/** `{"name": text, ...}` of [name, text] pairs, a pair a line. */
export const object = (pairs) => `{\n${pairs.map(([name, text]) => ` ${JSON.stringify(name)}: ${text}`).join(",\n")}\n}`;
