"""Sends test images to a served MNIST model, several concurrently, and prints the error rate.

python client.py HOST:PORT test.npz [NUMBER]
"""

import asyncio
import sys
from pathlib import Path

import numpy as np

from tfx_export.client import AsyncClient, Model

CONCURRENCY = 16
PREDICT = Model("mnist", signature="predict_images")


async def error_rates(target: str, images: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Returns the share of wrong results of `predict_images`, and of `serving_default` with tf.Examples."""
    limit = asyncio.Semaphore(CONCURRENCY)
    async with AsyncClient(target) as client:

        async def predict(image: np.ndarray) -> int:
            async with limit:
                return int((await client.predict(PREDICT, {"images": image[None]}))["scores"].argmax())

        async def classify(image: np.ndarray) -> int:
            async with limit:
                ((best, _), *_) = (await client.classify("mnist", [{"x": image}]))[0]
                return int(best)

        by_tensor = np.array(await asyncio.gather(*map(predict, images)))
        by_example = np.array(await asyncio.gather(*map(classify, images)))
    return float((by_tensor != labels).mean()), float((by_example != labels).mean())


if __name__ == "__main__":
    with np.load(Path(sys.argv[2])) as file:
        number = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
        images, labels = file["images"][:number], file["labels"][:number]
    predict_errors, classify_errors = asyncio.run(error_rates(sys.argv[1], images, labels))
    print(f"Inference error rate: {predict_errors:.2%}")
    print(f"Inference error rate of Classify: {classify_errors:.2%}")
