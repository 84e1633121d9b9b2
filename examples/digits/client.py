"""Sends the held-out digits to a running server over gRPC and REST, and prints the error rate and the latency.

python client.py FOLDER GRPC_PORT REST_PORT
"""

import json
import statistics
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tfx_export.client import Client

Predict = Callable[[np.ndarray], np.ndarray]


def over_grpc(port: int) -> Predict:
    client = Client(f"127.0.0.1:{port}")
    return lambda image: client.predict("digits", {"image": image[None]})["scores"][0]


def over_rest(port: int) -> Predict:
    url = f"http://127.0.0.1:{port}/v1/models/digits:predict"

    def predict(image: np.ndarray) -> np.ndarray:
        body = json.dumps({"instances": [image.tolist()]}).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as response:
            return np.asarray(json.load(response)["predictions"][0])

    return predict


def measure(protocol: str, predict: Predict, images: np.ndarray, labels: np.ndarray) -> None:
    wrong, seconds = 0, []
    for image, label in zip(images, labels, strict=True):
        start = time.perf_counter()
        scores = predict(image)
        seconds.append(time.perf_counter() - start)
        wrong += int(scores.argmax()) != label
    error_rate, latency = wrong / len(images), statistics.median(seconds) * 1000
    print(f"{protocol}: {len(images)} digits, error rate {error_rate:.2%}, median latency {latency:.2f} ms")


if __name__ == "__main__":
    folder, grpc_port, rest_port = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    with np.load(folder / "held_out.npz") as held_out:
        images, labels = held_out["image"], held_out["label"]
    measure("gRPC", over_grpc(grpc_port), images, labels)
    measure("REST", over_rest(rest_port), images, labels)
