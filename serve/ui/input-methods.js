// The methods to enter a request: a form, an image, JSON. Each is { name, view, text() }. text() returns JSON text, an
// object with the inputs or with the features of one tf.Example, or a promise of it.
import { element } from "./dom.js";
import { imageWidgets } from "./image-inputs.js";
import { count, initialText, isInteger, isString, jsonObject, literal, nested, sizes } from "./tensors.js";

const MAX_FIELDS = 64;

/** Returns the methods that fit the inputs, the most likely first, JSON last. `strings` describes the string inputs. */
export function inputMethods(verb, tensors, strings) {
  if (verb !== "predict") {
    const features = Object.entries(Object.values(strings)[0].features).map(featureTensor);
    return [
      ...form(
        features,
        features.map((feature) => [fields(feature)]),
      ),
      json(features),
    ];
  }
  const widgets = tensors.map((tensor) => {
    const images = imageWidgets(tensor, strings[tensor.name]);
    return images.length ? images : [fields(tensor)];
  });
  if (tensors.length === 1 && widgets[0][0]?.name !== "Fields")
    return [...widgets[0].map((widget) => singleInput(tensors[0], widget)), json(tensors)];
  return [...form(tensors, widgets), json(tensors)];
}

/** Returns a feature as a tensor: a scalar if it has one value, otherwise a flat list. */
const featureTensor = ([name, { dtype, shape }]) => ({
  name,
  dtype,
  shape: shape?.length === 0 ? [] : [(shape ?? [1]).reduce((product, size) => product * (size ?? 1), 1)],
});

const singleInput = (tensor, widget) => ({
  ...widget,
  text: async () => jsonObject([[tensor.name, await widget.text()]]),
});

/** Returns a list with one method, the first widget of every tensor, or an empty list if a tensor has no widget. */
function form(tensors, widgets) {
  const first = widgets.map((candidates) => candidates[0]);
  if (!tensors.length || first.some((widget) => !widget)) return [];
  const fieldsets = tensors.map((tensor, index) =>
    element("fieldset", {}, element("legend", {}, tensor.name), first[index].view),
  );
  return [
    {
      name: "Form",
      view: element("div", {}, ...fieldsets),
      text: async () =>
        jsonObject(await Promise.all(tensors.map(async (tensor, index) => [tensor.name, await first[index].text()]))),
    },
  ];
}

/** Returns a widget with one field per value, or undefined if there are more than MAX_FIELDS. */
function fields(tensor) {
  if (count(tensor) > MAX_FIELDS) return undefined;
  const attributes = isString(tensor) ? { type: "text" } : { type: "number", step: isInteger(tensor) ? "1" : "any" };
  const label = (index) => (count(tensor) > 1 ? `${tensor.name} ${index}` : tensor.name);
  const inputs = Array.from({ length: count(tensor) }, (_, index) =>
    element("input", { ...attributes, value: initialText(tensor), "aria-label": label(index) }),
  );
  return {
    name: "Fields",
    view: element("div", { class: isString(tensor) ? "texts" : "numbers" }, ...inputs),
    text: () =>
      nested(
        inputs.map((field) => literal(tensor, field.value)),
        sizes(tensor),
      ),
  };
}

/** A text area. The text is sent as typed: 0.0 stays a float, large integers stay exact. */
function json(tensors) {
  const area = element("textarea", { "aria-label": "Request as JSON", spellcheck: "false" });
  area.value = jsonObject(
    tensors.map((tensor) => [
      tensor.name,
      nested(Array(count(tensor)).fill(literal(tensor, initialText(tensor))), sizes(tensor)),
    ]),
  );
  return { name: "JSON", view: area, text: () => area.value };
}
