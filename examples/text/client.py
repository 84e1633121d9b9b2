"""Sends sentences and prints the labels: over REST with the standard library, over gRPC with tfx_export.client.

python client.py GRPC_PORT REST_PORT
"""

import json
import sys
import urllib.request

import numpy as np

from tfx_export.client import Client

SENTENCES = ["a lovely film with wonderful music", "the plot was dull and terribly slow, really boring"]

if __name__ == "__main__":
    grpc_port, rest_port = int(sys.argv[1]), int(sys.argv[2])
    body = json.dumps({"instances": [{"text": [sentence]} for sentence in SENTENCES]}).encode()
    url = f"http://127.0.0.1:{rest_port}/v1/models/mood:predict"
    with urllib.request.urlopen(urllib.request.Request(url, body)) as response:
        rows = json.load(response)["predictions"]
    with Client(f"127.0.0.1:{grpc_port}") as client:
        answer = client.predict("mood", {"text": np.array(SENTENCES, object)[:, None]})
    for row, sentence in enumerate(SENTENCES):
        print(f"{sentence!r}")
        print(f"  REST: {rows[row]['classes'][0]} {rows[row]['scores'][0]:.1%}")
        print(f"  gRPC: {answer['classes'][row, 0].decode()} {answer['scores'][row, 0]:.1%}")
