# $model, signature $signature, over REST.
# The body is made by Python, so that tensors of any size fit on the screen.
python3 - <<'BODY' | curl --silent --show-error --fail-with-body --data @- $rest/v1/models/$model:predict
import json

def filled(shape, value):
    return [filled(shape[1:], value) for _ in range(shape[0])] if shape else value

inputs = {
$python_inputs
}
print(json.dumps({"signature_name": "$signature", "inputs": inputs}))
BODY
