"""Sends requests to a served segmentation network one by one and all at once, and draws the mask.

python client.py HOST:PORT scene.npy mask.png
"""

import sys
import time

import grpc
import numpy as np
from PIL import Image

from tfx_export.client import Model, calls

COLORS = np.array([[30, 30, 30], [240, 180, 40], [60, 190, 170]], np.uint8)
REQUESTS = 8


def main(target: str, image: np.ndarray, picture: str) -> None:
    height, width = image.shape[:2]
    # The sizes have the shape [1], as the clients of the public walk-through send them.
    inputs = {"images": image[None], "height": np.array([height], np.int32), "width": np.array([width], np.int32)}
    call = calls.predict(Model("deeplab"), inputs)
    with grpc.insecure_channel(target) as channel:
        predict = channel.unary_unary(call.path, type(call.request).SerializeToString, call.response_class.FromString)
        start = time.perf_counter()
        answers = [predict(call.request, timeout=60) for _ in range(REQUESTS)]
        middle = time.perf_counter()
        futures = [predict.future(call.request, timeout=60) for _ in range(REQUESTS)]
        answers += [future.result() for future in futures]
        end = time.perf_counter()
    masks = [call.read(answer)["segmentation_map"][0] for answer in answers]
    if not all(np.array_equal(mask, masks[0]) for mask in masks):
        sys.exit("the answers differ")
    print(f"{REQUESTS} images: one by one {middle - start:.3f} s, with futures {end - middle:.3f} s")
    shares = np.bincount(masks[0].ravel(), minlength=len(COLORS)) / masks[0].size
    print("share of background, disc, square: " + ", ".join(f"{share:.1%}" for share in shares))
    Image.fromarray(np.hstack([image, COLORS[masks[0]]])).save(picture)
    print(f"scene and mask: {picture}")


if __name__ == "__main__":
    main(sys.argv[1], np.load(sys.argv[2]), sys.argv[3])
