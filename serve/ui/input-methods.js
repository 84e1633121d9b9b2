// The ways to fill in a request. Each is { name, view, text() }: text() is JSON, an object of inputs or of one tf.Example's
// features, or a promise of it.
import { element } from "./dom.js";
import { pictureWidgets } from "./image-inputs.js";
import { count, initial, isInteger, isString, literal, nested, object, sizes } from "./tensors.js";

const MOST_FIELDS = 64;

/** The ways that fit the inputs `tensors`, the likeliest first. JSON always does. `strings`: what string inputs hold. */
export function waysFor(verb, tensors, strings) {
  if (verb !== "predict") {
    const features = Object.entries(Object.values(strings)[0].features).map(feature);
    return [...form(features, features.map((one) => [fields(one)])), json(features)];
  }
  const widgets = tensors.map((tensor) => {
    const pictures = pictureWidgets(tensor, strings[tensor.name]);
    return pictures.length ? pictures : [fields(tensor)];
  });
  if (tensors.length === 1 && widgets[0][0]?.name !== "Fields") return [...widgets[0].map((one) => alone(tensors[0], one)), json(tensors)];
  return [...form(tensors, widgets), json(tensors)];
}

/** A feature as a tensor: its values are a flat list, one alone stands for itself. */
const feature = ([name, { dtype, shape }]) => ({
  name, dtype, shape: shape?.length === 0 ? [] : [(shape ?? [1]).reduce((product, size) => product * (size ?? 1), 1)],
});

const alone = (tensor, widget) => ({ ...widget, text: async () => object([[tensor.name, await widget.text()]]) });

/** One widget below the other, if every tensor has one that is not too long. */
function form(tensors, widgets) {
  const chosen = widgets.map((fitting) => fitting[0]);
  if (!tensors.length || chosen.some((widget) => !widget)) return [];
  const framed = tensors.map((tensor, at) => element("fieldset", {}, element("legend", {}, tensor.name), chosen[at].view));
  return [{
    name: "Form",
    view: element("div", {}, ...framed),
    text: async () => object(await Promise.all(tensors.map(async (tensor, at) => [tensor.name, await chosen[at].text()]))),
  }];
}

/** A field for each value; nothing if they are too many. */
function fields(tensor) {
  if (count(tensor) > MOST_FIELDS) return undefined;
  const kind = isString(tensor) ? { type: "text" } : { type: "number", step: isInteger(tensor) ? "1" : "any" };
  const label = (at) => (count(tensor) > 1 ? `${tensor.name} ${at}` : tensor.name);
  const inputs = Array.from({ length: count(tensor) }, (_, at) => element("input", { ...kind, value: initial(tensor), "aria-label": label(at) }));
  return {
    name: "Fields",
    view: element("div", { class: isString(tensor) ? "texts" : "numbers" }, ...inputs),
    text: () => nested(inputs.map((field) => literal(tensor, field.value)), sizes(tensor)),
  };
}

/** Sent as typed: 0.0 stays a float, large integers stay exact. */
function json(tensors) {
  const area = element("textarea", { "aria-label": "Request as JSON", spellcheck: "false" });
  area.value = object(tensors.map((tensor) => [tensor.name, nested(Array(count(tensor)).fill(literal(tensor, initial(tensor))), sizes(tensor))]));
  return { name: "JSON", view: area, text: () => area.value };
}
