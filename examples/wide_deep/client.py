"""Sends customers as JSON over REST (:classify, :regress) and as tf.Examples over gRPC.

python client.py GRPC_PORT REST_PORT
"""

import json
import sys
import urllib.request

from tfx_export.client import Client, Model

CUSTOMERS = [
    {"age": 41.0, "income": 60.0, "job": "engineer"},
    {"age": 70.0, "income": 25.0, "job": "retired"},
    {"age": 35.0, "job": "nurse"},  # no income: the signature's default is used
]


def over_rest(port: int, verb: str, body: dict[str, object]) -> list[object]:
    url = f"http://127.0.0.1:{port}/v1/models/customers:{verb}"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode())) as response:
        results: list[object] = json.load(response)["results"]
    return results


if __name__ == "__main__":
    grpc_port, rest_port = int(sys.argv[1]), int(sys.argv[2])
    print("REST :classify", over_rest(rest_port, "classify", {"examples": CUSTOMERS}))
    print("REST :regress ", over_rest(rest_port, "regress", {"signature_name": "amount", "examples": CUSTOMERS}))
    with Client(f"127.0.0.1:{grpc_port}") as client:
        for customer, classes in zip(CUSTOMERS, client.classify("customers", CUSTOMERS), strict=True):
            label, score = max(classes, key=lambda scored: scored[1])
            print(f"gRPC Classify  {customer}: {label} ({score:.1%})")
        print("gRPC Regress  ", client.regress(Model("customers", signature="amount"), CUSTOMERS))
