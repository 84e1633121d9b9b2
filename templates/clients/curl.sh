# $title, over REST.
# Python builds the body, so this script stays short for large tensors.
python3 - <<'BODY' | curl --silent --show-error --fail-with-body --data @- "$url"
import json

def filled(shape, value):
    return [filled(shape[1:], value) for _ in range(shape[0])] if shape else value

$noun = {
$python_values
}
print(json.dumps({"signature_name": $signature, "$key": $request}))
BODY
