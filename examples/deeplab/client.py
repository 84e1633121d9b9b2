"""Sends requests to a served segmentation network one by one and concurrently, and draws the mask.

python client.py HOST:PORT scene.npy mask.png
"""

import asyncio
import sys
import time

import numpy as np
from PIL import Image

from tfx_export.client import AsyncClient, Client

COLORS = np.array([[30, 30, 30], [240, 180, 40], [60, 190, 170]], np.uint8)
REQUESTS = 8


def inputs(image: np.ndarray) -> dict[str, np.ndarray]:
    height, width = image.shape[:2]
    return {"images": image[None], "height": np.array(height, np.int32), "width": np.array(width, np.int32)}


def one_by_one(target: str, image: np.ndarray) -> np.ndarray:
    with Client(target) as client:
        for _ in range(REQUESTS):
            answer = client.predict("deeplab", inputs(image))
    return answer["segmentation_map"][0]


async def concurrently(target: str, image: np.ndarray) -> np.ndarray:
    async with AsyncClient(target) as client:
        answers = await asyncio.gather(*(client.predict("deeplab", inputs(image)) for _ in range(REQUESTS)))
    return answers[-1]["segmentation_map"][0]


if __name__ == "__main__":
    target, image = sys.argv[1], np.load(sys.argv[2])
    start = time.perf_counter()
    mask = one_by_one(target, image)
    middle = time.perf_counter()
    concurrent_mask = asyncio.run(concurrently(target, image))
    end = time.perf_counter()
    if not np.array_equal(mask, concurrent_mask):
        sys.exit("the two clients got different masks")
    print(f"{REQUESTS} images: one by one {middle - start:.3f} s, concurrently {end - middle:.3f} s")
    shares = np.bincount(mask.ravel(), minlength=len(COLORS)) / mask.size
    print("share of background, disc, square: " + ", ".join(f"{share:.1%}" for share in shares))
    Image.fromarray(np.hstack([image, COLORS[mask]])).save(sys.argv[3])
    print(f"scene and mask: {sys.argv[3]}")
