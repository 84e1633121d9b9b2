# $title, over REST.
# The body is made by Python, so that tensors of any size fit on the screen.
python3 - <<'BODY' | curl --silent --show-error --fail-with-body --data @- "$url"
import json

def filled(shape, value):
    return [filled(shape[1:], value) for _ in range(shape[0])] if shape else value

$noun = {
$python_values
}
print(json.dumps({"signature_name": $signature, "$key": $request}))
BODY
