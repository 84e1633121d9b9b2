// Widgets that give a tensor by a picture. A widget is { name, view, text() }: text() is the tensor's JSON, or a promise of it.
import { element } from "./dom.js";
import { pad } from "./drawing-pad.js";
import { isInteger, isString, nested, sizes } from "./tensors.js";

/** The widgets that fit one tensor, the likeliest first. `use`: what the tensor holds if it holds strings. */
export function pictureWidgets(tensor, use) {
  if (use?.image) return [fileBytes(tensor)];
  const dims = pictureDims(tensor);
  if (!dims) return [];
  const [height, , channels] = dims;
  return [...([8, 28].includes(height) && channels === 1 ? [drawing(tensor, dims)] : []), pixels(tensor, dims)];
}

/** [height, width, channels] of an input that can be a picture, else null. Flat 784 and 64 are squares. */
function pictureDims(tensor) {
  const [, ...rest] = tensor.shape ?? [];
  if (isString(tensor) || tensor.shape?.[0] !== null) return null;
  if (rest.length === 1 && [64, 784].includes(rest[0])) return [Math.sqrt(rest[0]), Math.sqrt(rest[0]), 1];
  if (rest.length === 2 && rest[0] && rest[0] === rest[1]) return [rest[0], rest[1], 1];
  if (rest.length === 3 && [1, 3].includes(rest[2])) return [rest[0] ?? 224, rest[1] ?? 224, rest[2]];
  return null;
}

/** One batch of one, of values between 0 and 1. */
function pixelsText(tensor, [height, width, channels], values, scale) {
  const dims = { 2: [1, height * width], 3: [1, height, width], 4: [1, height, width, channels] }[tensor.shape.length];
  return nested(values.map((value) => String(scale(value))), dims);
}

/** Which numbers stand for black and white. Nobody can tell from the signature of a model that computes in floats. */
function scaleChoice(tensor, side) {
  const usual = isInteger(tensor) ? "0 to 255" : side === 8 ? "0 to 16" : "0 to 1";
  const choices = { "0 to 1": [1, 0], "0 to 16": [16, 0], "0 to 255": [255, 0], "-1 to 1": [2, -1] };
  const select = element("select", {}, ...Object.keys(choices).map((name) => element("option", { selected: name === usual }, name)));
  const scale = (value) => {
    const [factor, offset] = choices[select.value];
    const scaled = value * factor + offset;
    return isInteger(tensor) ? Math.round(scaled) : scaled;
  };
  return { view: element("label", {}, "Values ", select), scale };
}

function drawing(tensor, dims) {
  const board = pad(dims[0]);
  const choice = scaleChoice(tensor, dims[0]);
  return {
    name: "Draw",
    view: element("div", {}, board.canvas, element("p", {}, element("button", { type: "button", onclick: board.clear }, "Clear"), " ", choice.view)),
    text: () => pixelsText(tensor, dims, board.cells(), choice.scale),
  };
}

/** A file by drop or by choice: { view, content() }. content() is what read(file) gives; an Error if there is no picture. */
function dropZone(read) {
  const shown = element("img", { alt: "The chosen picture", hidden: true });
  const words = element("span", {}, "Drop a picture here, or choose one");
  const zone = element("label", { class: "drop" }, words, " ");
  let reading = null;
  const take = (file) => {
    if (!file) return;
    shown.src = URL.createObjectURL(file);
    shown.hidden = false;
    words.textContent = file.name;
    reading = read(file).catch(() => {
      throw new Error(`${file.name} is no picture that this browser can read.`);
    });
    reading.catch(() => {}); // told when the form is sent
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
  const content = () => {
    if (!reading) throw new Error("Choose a picture first.");
    return reading;
  };
  return { view: zone, content };
}

function fileBytes(tensor) {
  const zone = dropZone(async (file) => {
    const bytes = new Uint8Array(await file.arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  });
  return {
    name: "Image file",
    view: zone.view,
    text: async () => nested([JSON.stringify({ b64: await zone.content() })], sizes(tensor).map(() => 1)),
  };
}

function pixels(tensor, dims) {
  const [height, width, channels] = dims;
  const choice = scaleChoice(tensor, height);
  const zone = dropZone(async (file) => {
    const context = new OffscreenCanvas(width, height).getContext("2d");
    context.drawImage(await createImageBitmap(file), 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    const found = [];
    for (let at = 0; at < data.length; at += 4) {
      const [red, green, blue] = data.subarray(at, at + 3);
      found.push(...(channels === 3 ? [red / 255, green / 255, blue / 255] : [(0.299 * red + 0.587 * green + 0.114 * blue) / 255]));
    }
    return found;
  });
  return {
    name: "Image",
    view: element("div", {}, zone.view, element("p", {}, choice.view)),
    text: async () => pixelsText(tensor, dims, await zone.content(), choice.scale),
  };
}
