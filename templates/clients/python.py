# $model, signature $signature, over REST: the standard library is enough.
import json
import urllib.request


def filled(shape, value):
    return [filled(shape[1:], value) for _ in range(shape[0])] if shape else value


inputs = {
$python_inputs
}
body = json.dumps({"signature_name": "$signature", "inputs": inputs}).encode()
request = urllib.request.Request("$rest/v1/models/$model:predict", body, {"Content-Type": "application/json"})
with urllib.request.urlopen(request) as response:
    print(json.load(response)["outputs"])
