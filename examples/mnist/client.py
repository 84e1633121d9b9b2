"""Send test images to a served MNIST model, one at a time and several in flight, and count the errors.

python client.py HOST:PORT test.npz [NUMBER]
"""

import asyncio
import sys
from pathlib import Path

import numpy as np

from tfx_export.client import AsyncClient, Model

IN_FLIGHT = 16
PREDICT = Model("mnist", signature="predict_images")


async def error_rates(target: str, images: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """The share of wrong answers of `predict_images`, and of `serving_default` asked with tf.Examples."""
    gate = asyncio.Semaphore(IN_FLIGHT)
    async with AsyncClient(target) as client:

        async def predicted(image: np.ndarray) -> int:
            async with gate:
                return int((await client.predict(PREDICT, {"images": image[None]}))["scores"].argmax())

        async def classified(image: np.ndarray) -> int:
            async with gate:
                ((best, _), *_) = (await client.classify("mnist", [{"x": image}]))[0]
                return int(best)

        by_tensor = np.array(await asyncio.gather(*map(predicted, images)))
        by_example = np.array(await asyncio.gather(*map(classified, images)))
    return float((by_tensor != labels).mean()), float((by_example != labels).mean())


if __name__ == "__main__":
    with np.load(Path(sys.argv[2])) as file:
        number = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
        images, labels = file["images"][:number], file["labels"][:number]
    predict, classify = asyncio.run(error_rates(sys.argv[1], images, labels))
    print(f"Inference error rate: {predict:.2%}")
    print(f"Inference error rate of Classify: {classify:.2%}")
