# $title, over REST, with the standard library.
import json
import urllib.request


def filled(shape, value):
    return [filled(shape[1:], value) for _ in range(shape[0])] if shape else value


$noun = {
$python_values
}
body = json.dumps({"signature_name": $signature, "$key": $request}).encode()
request = urllib.request.Request("$url", body, {"Content-Type": "application/json"})
with urllib.request.urlopen(request) as response:
    print(json.load(response)["$answer"])
