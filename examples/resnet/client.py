"""Sends photographs as JPEG bytes over REST and gRPC, and prints the average latency.

python client.py GRPC_PORT REST_PORT NUMBER PHOTOGRAPH...
"""

import base64
import json
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tfx_export.client import Client

Predict = Callable[[bytes], int]  # takes a photograph, returns the number of its class


def over_rest(port: int) -> Predict:
    url = f"http://127.0.0.1:{port}/v1/models/resnet:predict"

    def predict(photograph: bytes) -> int:
        body = json.dumps({"instances": [{"b64": base64.b64encode(photograph).decode()}]}).encode()
        with urllib.request.urlopen(urllib.request.Request(url, body)) as response:
            return int(json.load(response)["predictions"][0]["classes"])

    return predict


def over_grpc(port: int) -> Predict:
    client = Client(f"127.0.0.1:{port}")
    return lambda photograph: int(
        client.predict("resnet", {"image_bytes": np.array([photograph], object)})["classes"][0]
    )


if __name__ == "__main__":
    grpc_port, rest_port, number = map(int, sys.argv[1:4])
    photographs = [Path(name).read_bytes() for name in sys.argv[4:]]
    for protocol, predict in (("REST", over_rest(rest_port)), ("gRPC", over_grpc(grpc_port))):
        classes = [predict(photograph) for photograph in photographs]  # the first requests warm the model up
        start = time.perf_counter()
        for index in range(number):
            predict(photographs[index % len(photographs)])
        average = (time.perf_counter() - start) / number * 1000
        print(f"{protocol}: classes {classes}, average latency {average:.1f} ms over {number} requests")
