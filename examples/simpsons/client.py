"""Sends the test images over REST and gRPC, and counts how many characters are recognized.

python client.py GRPC_PORT REST_PORT FOLDER
"""

import json
import sys
import urllib.request
from pathlib import Path

import numpy as np

from tfx_export.client import Client


def over_rest(port: int, images: np.ndarray) -> list[str]:
    url = f"http://127.0.0.1:{port}/v1/models/simpsons:predict"
    body = json.dumps({"instances": images.tolist()}).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body)) as response:
        return [row["classes"][0] for row in json.load(response)["predictions"]]


def over_grpc(port: int, images: np.ndarray) -> list[str]:
    with Client(f"127.0.0.1:{port}") as client:
        return [row[0].decode() for row in client.predict("simpsons", {"image": images})["classes"]]


if __name__ == "__main__":
    grpc_port, rest_port, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    names = (folder / "characters.txt").read_text().split("\n")
    with np.load(folder / "test.npz") as file:
        images, truth = file["images"], [names[label] for label in file["labels"]]
    for protocol, found in (("REST", over_rest(rest_port, images)), ("gRPC", over_grpc(grpc_port, images))):
        correct = sum(name == expected for name, expected in zip(found, truth, strict=True))
        print(f"{protocol}: {correct} of {len(images)} correct, the first is {found[0]}")
