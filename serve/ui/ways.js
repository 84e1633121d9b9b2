// The ways to give an input. Each is { name, view, inputs() }: inputs() gives { name: nested arrays } for one batch of one.
import { element } from "./dom.js";
import { pad } from "./pad.js";

const MOST_FIELDS = 64;
const isString = (tensor) => tensor.dtype === "DT_STRING";
const sizes = (tensor) => (tensor.shape ?? [1]).map((size) => size ?? 1);
const count = (tensor) => sizes(tensor).reduce((product, size) => product * size, 1);

/** A flat list in the shape of `dims`. */
export function shaped(values, dims) {
  if (!dims.length) return values[0];
  if (dims.length === 1) return values;
  const width = values.length / dims[0];
  return Array.from({ length: dims[0] }, (_, row) => shaped(values.slice(row * width, (row + 1) * width), dims.slice(1)));
}

const sample = (tensor) => {
  const value = isString(tensor) ? "" : tensor.dtype === "DT_BOOL" ? false : tensor.dtype.startsWith("DT_INT") || tensor.dtype.startsWith("DT_UINT") ? 0 : 0.5;
  return shaped(Array(count(tensor)).fill(value), sizes(tensor));
};

function json(tensors) {
  const text = JSON.stringify(Object.fromEntries(tensors.map((tensor) => [tensor.name, sample(tensor)])), null, 1).replace(/\n\s+(?=[\d\]\-"tf])/g, " ");
  const area = element("textarea", { "aria-label": "Inputs as JSON", spellcheck: "false" });
  area.value = text;
  // Sent as typed: 0.0 stays a float, large integers stay exact.
  return { name: "JSON", view: area, raw: () => area.value };
}

function numbers(tensors) {
  const fields = tensors.map((tensor) => ({
    tensor,
    inputs: Array.from({ length: count(tensor) }, (_, at) =>
      element("input", { type: isString(tensor) ? "text" : "number", step: "any", value: isString(tensor) ? "" : "0", "aria-label": `${tensor.name} ${at}` })),
  }));
  const read = (tensor, field) => (isString(tensor) ? field.value : tensor.dtype === "DT_BOOL" ? Number(field.value) !== 0 : Number(field.value));
  return {
    name: "Numbers",
    view: element("div", {}, ...fields.map(({ tensor, inputs }) => element("fieldset", {}, element("legend", {}, tensor.name), element("div", { class: "numbers" }, ...inputs)))),
    inputs: () => Object.fromEntries(fields.map(({ tensor, inputs }) => [tensor.name, shaped(inputs.map((field) => read(tensor, field)), sizes(tensor))])),
  };
}

function scaleChoice(first) {
  const choices = { "0 to 1": [1, 0], "0 to 16": [16, 0], "0 to 255": [255, 0], "-1 to 1": [2, -1] };
  const select = element("select", {}, ...Object.keys(choices).map((name) => element("option", { selected: name === first }, name)));
  const scale = (value) => {
    const [factor, offset] = choices[select.value];
    return value * factor + offset;
  };
  return { view: element("label", {}, "Values ", select), scale };
}

/** [height, width, channels] of an input that can be a picture, else null. Flat 784 and 64 are squares. */
function picture(tensor) {
  const [, ...rest] = tensor.shape ?? [];
  if (isString(tensor) || tensor.shape?.[0] !== null) return null;
  if (rest.length === 1 && [64, 784].includes(rest[0])) return [Math.sqrt(rest[0]), Math.sqrt(rest[0]), 1];
  if (rest.length === 2 && rest[0] && rest[0] === rest[1]) return [rest[0], rest[1], 1];
  if (rest.length === 3 && [1, 3].includes(rest[2])) return [rest[0] ?? 224, rest[1] ?? 224, rest[2]];
  return null;
}

const pictureDims = (tensor, [height, width, channels]) =>
  tensor.shape.length === 2 ? [1, height * width] : tensor.shape.length === 3 ? [1, height, width] : [1, height, width, channels];

function draw(tensor, dims) {
  const board = pad(dims[0]);
  const choice = scaleChoice(dims[0] === 8 ? "0 to 16" : "0 to 1");
  return {
    name: "Draw",
    view: element("div", {}, board.canvas, element("p", {}, element("button", { type: "button", onclick: board.clear }, "Clear"), " ", choice.view)),
    inputs: () => ({ [tensor.name]: shaped(board.cells().map(choice.scale), pictureDims(tensor, dims)) }),
  };
}

/** A file by drop or by choice; `read(file)` is awaited before the form is sent. */
function dropZone(read) {
  const shown = element("img", { alt: "The chosen picture", hidden: true });
  const words = element("span", {}, "Drop a picture here, or choose one");
  const zone = element("label", { class: "drop" }, words, " ");
  const take = async (file) => {
    if (!file) return;
    shown.src = URL.createObjectURL(file);
    shown.hidden = false;
    words.textContent = file.name;
    await read(file);
  };
  zone.append(element("input", { type: "file", accept: "image/*", onchange: (event) => take(event.target.files[0]) }), shown);
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    take(event.dataTransfer.files[0]);
  });
  return zone;
}

function imageBytes(tensor) {
  let b64 = null;
  const read = async (file) => {
    const bytes = new Uint8Array(await file.arrayBuffer());
    b64 = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  };
  return {
    name: "Image file",
    view: dropZone(read),
    inputs: () => {
      if (b64 === null) throw new Error("Choose a picture first.");
      return { [tensor.name]: shaped([{ b64 }], sizes(tensor)) };
    },
  };
}

function imagePixels(tensor, dims) {
  const [height, width, channels] = dims;
  const choice = scaleChoice("0 to 1");
  let pixels = null;
  const read = async (file) => {
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d");
    context.drawImage(await createImageBitmap(file), 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    pixels = [];
    for (let at = 0; at < data.length; at += 4) {
      const [red, green, blue] = data.subarray(at, at + 3);
      pixels.push(...(channels === 3 ? [red / 255, green / 255, blue / 255] : [(0.299 * red + 0.587 * green + 0.114 * blue) / 255]));
    }
  };
  return {
    name: "Image",
    view: element("div", {}, dropZone(read), element("p", {}, choice.view)),
    inputs: () => {
      if (!pixels) throw new Error("Choose a picture first.");
      return { [tensor.name]: shaped(pixels.map(choice.scale), pictureDims(tensor, dims)) };
    },
  };
}

/** The ways that fit `tensors`, the likeliest first. JSON always does. */
export function waysFor(tensors) {
  const ways = [];
  if (tensors.length === 1) {
    const [tensor] = tensors;
    const dims = picture(tensor);
    if (dims && [8, 28].includes(dims[0]) && dims[2] === 1) ways.push(draw(tensor, dims));
    if (dims) ways.push(imagePixels(tensor, dims));
    if (isString(tensor) && (tensor.shape === null || tensor.shape.length <= 1)) ways.push(imageBytes(tensor));
  }
  const fields = tensors.reduce((sum, tensor) => sum + count(tensor), 0);
  if (fields <= MOST_FIELDS && !ways.some(({ name }) => name === "Draw")) ways.unshift(numbers(tensors));
  ways.push(json(tensors));
  return ways;
}
