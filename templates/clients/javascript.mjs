// $model, signature $signature, over REST: Node 18 or later, or a browser (start the server with --rest_api_enable_cors_support).
const filled = (shape, value) =>
  shape.length ? Array.from({ length: shape[0] }, () => filled(shape.slice(1), value)) : value;

const inputs = {
$javascript_inputs
};
const response = await fetch("$rest/v1/models/$model:predict", {
  method: "POST",
  body: JSON.stringify({ signature_name: "$signature", inputs }),
});
const answer = await response.json();
if (!response.ok) throw new Error(answer.error);
console.log(JSON.stringify(answer.outputs));
