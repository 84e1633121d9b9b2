"""Ask a served segmentation network, waiting for each answer and with several in flight, and draw the mask.

python client.py HOST:PORT scene.npy mask.png
"""

import asyncio
import sys
import time

import numpy as np
from PIL import Image

from tfx_export.client import AsyncClient, Client

COLOURS = np.array([[30, 30, 30], [240, 180, 40], [60, 190, 170]], np.uint8)
TIMES = 8


def inputs(image: np.ndarray) -> dict[str, np.ndarray]:
    height, width = image.shape[:2]
    return {"images": image[None], "height": np.array(height, np.int32), "width": np.array(width, np.int32)}


def one_by_one(target: str, image: np.ndarray) -> np.ndarray:
    with Client(target) as client:
        for _ in range(TIMES):
            answer = client.predict("deeplab", inputs(image))
    return answer["segmentation_map"][0]


async def in_flight(target: str, image: np.ndarray) -> np.ndarray:
    async with AsyncClient(target) as client:
        answers = await asyncio.gather(*(client.predict("deeplab", inputs(image)) for _ in range(TIMES)))
    return answers[-1]["segmentation_map"][0]


if __name__ == "__main__":
    target, image = sys.argv[1], np.load(sys.argv[2])
    start = time.perf_counter()
    mask = one_by_one(target, image)
    between = time.perf_counter()
    again = asyncio.run(in_flight(target, image))
    end = time.perf_counter()
    if not np.array_equal(mask, again):
        sys.exit("the two clients got different masks")
    print(f"{TIMES} images: one by one {between - start:.3f} s, in flight together {end - between:.3f} s")
    shares = np.bincount(mask.ravel(), minlength=len(COLOURS)) / mask.size
    print("share of ground, disc, square: " + ", ".join(f"{share:.1%}" for share in shares))
    Image.fromarray(np.hstack([image, COLOURS[mask]])).save(sys.argv[3])
    print(f"scene and mask: {sys.argv[3]}")
