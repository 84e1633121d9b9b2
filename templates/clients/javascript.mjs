// $title, over REST: Node 18 or later, or a browser (start the server with --rest_api_enable_cors_support).
const filled = (shape, value) =>
  shape.length ? Array.from({ length: shape[0] }, () => filled(shape.slice(1), value)) : value;

const $noun = {
$javascript_values
};
const response = await fetch("$url", {
  method: "POST",
  body: JSON.stringify({ signature_name: $signature, $key: $request }),
});
// TensorFlow Serving's REST API writes NaN and Infinity without quotes, which is not valid JSON.
const text = (await response.text()).replace(/(?<=[[,:\s])(NaN|-?Infinity)(?=[\],}\s])/g, '"$$1"');
const answer = JSON.parse(text);
if (!response.ok) throw new Error(answer.error);
console.log(JSON.stringify(answer.$answer));
