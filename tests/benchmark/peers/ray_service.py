"""A Ray Serve deployment of the SavedModel in $MODEL on $PORT, written as in its documentation.

It ends with SIGTERM or SIGINT.
"""

import os
import signal
from typing import Any

import numpy as np
from ray import serve
from starlette.requests import Request


class Predictor:
    """POST /predict {"instances": [[...], ...]}."""

    def __init__(self, folder: str) -> None:
        import tensorflow as tf

        self.tensorflow = tf
        self.loaded: Any = tf.saved_model.load(folder)
        self.call = self.loaded.signatures["serving_default"]
        (self.name,) = self.call.structured_input_signature[1]

    async def __call__(self, request: Request) -> dict[str, Any]:
        instances = np.asarray((await request.json())["instances"], np.float32)
        outputs = self.call(**{self.name: self.tensorflow.constant(instances)})
        return {name: value.numpy().tolist() for name, value in outputs.items()}


if __name__ == "__main__":
    deployment: Any = serve.deployment(ray_actor_options={"num_cpus": 1})(Predictor)
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])})
    serve.run(deployment.bind(os.environ["MODEL"]), route_prefix="/predict")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
