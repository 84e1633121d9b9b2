// Widgets that turn an image into a tensor. A widget is { name, view, text() }. text() returns the tensor as JSON text,
// or a promise of it.
import { element } from "./dom.js";
import { drawingPad } from "./drawing-pad.js";
import { isInteger, isString, nested, sizes } from "./tensors.js";

/** Returns the widgets that fit a tensor, the most likely first. `content` describes the content of a string tensor. */
export function imageWidgets(tensor, content) {
  if (content?.image) return [encodedImage(tensor)];
  const dims = imageDims(tensor);
  if (!dims) return [];
  const [height, , channels] = dims;
  return [...([8, 28].includes(height) && channels === 1 ? [drawing(tensor, dims)] : []), decodedImage(tensor, dims)];
}

/** Returns [height, width, channels] if the input can be an image, otherwise null. Flat 64 and 784 are square. */
function imageDims(tensor) {
  const [, ...rest] = tensor.shape ?? [];
  if (isString(tensor) || tensor.shape?.[0] !== null) return null;
  if (rest.length === 1 && [64, 784].includes(rest[0])) return [Math.sqrt(rest[0]), Math.sqrt(rest[0]), 1];
  if (rest.length === 2 && rest[0] && rest[0] === rest[1]) return [rest[0], rest[1], 1];
  if (rest.length === 3 && [1, 3].includes(rest[2])) return [rest[0] ?? 224, rest[1] ?? 224, rest[2]];
  return null;
}

/** Returns a batch of one image as JSON text. `scale` converts the `values`, which are between 0 and 1. */
function pixelsText(tensor, [height, width, channels], values, scale) {
  const dims = { 2: [1, height * width], 3: [1, height, width], 4: [1, height, width, channels] }[tensor.shape.length];
  return nested(
    values.map((value) => String(scale(value))),
    dims,
  );
}

/** Lets the user choose the range of pixel values, because the signature of a float model does not tell it. */
function rangeSelect(tensor, side) {
  const initial = isInteger(tensor) ? "0 to 255" : side === 8 ? "0 to 16" : "0 to 1";
  const ranges = { "0 to 1": [1, 0], "0 to 16": [16, 0], "0 to 255": [255, 0], "-1 to 1": [2, -1] };
  const select = element(
    "select",
    {},
    ...Object.keys(ranges).map((name) => element("option", { selected: name === initial }, name)),
  );
  const scale = (value) => {
    const [factor, offset] = ranges[select.value];
    const scaled = value * factor + offset;
    return isInteger(tensor) ? Math.round(scaled) : scaled;
  };
  return { view: element("label", {}, "Values ", select), scale };
}

function drawing(tensor, dims) {
  const pad = drawingPad(dims[0]);
  const range = rangeSelect(tensor, dims[0]);
  return {
    name: "Draw",
    view: element(
      "div",
      {},
      pad.canvas,
      element("p", {}, element("button", { type: "button", onclick: pad.clear }, "Clear"), " ", range.view),
    ),
    text: () => pixelsText(tensor, dims, pad.cells(), range.scale),
  };
}

/** Returns { view, content() } for a file that is dropped or chosen. content() returns the promise of read(file), and
 * throws an Error if there is no file. */
function dropZone(read) {
  const preview = element("img", { alt: "Selected image", hidden: true });
  const caption = element("span", {}, "Drop an image here or choose a file");
  const zone = element("label", { class: "drop-zone" }, caption, " ");
  let reading = null;
  const load = (file) => {
    if (!file) return;
    preview.src = URL.createObjectURL(file);
    preview.hidden = false;
    caption.textContent = file.name;
    reading = read(file).catch(() => {
      throw new Error(`${file.name} is not an image that this browser can read.`);
    });
    reading.catch(() => {}); // shown when the form is sent
  };
  zone.append(
    element("input", { type: "file", accept: "image/*", onchange: (event) => load(event.target.files[0]) }),
    preview,
  );
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    load(event.dataTransfer.files[0]);
  });
  const content = () => {
    if (!reading) throw new Error("Choose an image first.");
    return reading;
  };
  return { view: zone, content };
}

/** A widget for string tensors that hold encoded images. */
function encodedImage(tensor) {
  const zone = dropZone(async (file) => {
    const bytes = new Uint8Array(await file.arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  });
  return {
    name: "Image file",
    view: zone.view,
    text: async () =>
      nested(
        [JSON.stringify({ b64: await zone.content() })],
        sizes(tensor).map(() => 1),
      ),
  };
}

/** A widget for number tensors. Resizes the image in the browser. */
function decodedImage(tensor, dims) {
  const [height, width, channels] = dims;
  const range = rangeSelect(tensor, height);
  const zone = dropZone(async (file) => {
    const context = new OffscreenCanvas(width, height).getContext("2d");
    context.drawImage(await createImageBitmap(file), 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    const values = [];
    for (let offset = 0; offset < data.length; offset += 4) {
      const [red, green, blue] = data.subarray(offset, offset + 3);
      values.push(
        ...(channels === 3
          ? [red / 255, green / 255, blue / 255]
          : [(0.299 * red + 0.587 * green + 0.114 * blue) / 255]),
      );
    }
    return values;
  });
  return {
    name: "Image",
    view: element("div", {}, zone.view, element("p", {}, range.view)),
    text: async () => pixelsText(tensor, dims, await zone.content(), range.scale),
  };
}
