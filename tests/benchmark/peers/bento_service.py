"""A BentoML service of the SavedModel in $MODEL, written as in its documentation: `bentoml serve FILE:Predictor`."""

# mypy: disable-error-code="untyped-decorator"

import os
from typing import Any

import bentoml
import numpy as np
import tensorflow as tf


@bentoml.service(workers=1)
class Predictor:
    """POST /predict {"instances": [[...], ...]}."""

    def __init__(self) -> None:
        self.loaded: Any = tf.saved_model.load(os.environ["MODEL"])
        self.call = self.loaded.signatures["serving_default"]
        (self.name,) = self.call.structured_input_signature[1]

    @bentoml.api
    def predict(self, instances: list[Any]) -> dict[str, Any]:
        """Returns the signature's outputs, as lists."""
        outputs = self.call(**{self.name: tf.constant(np.asarray(instances, np.float32))})
        return {name: value.numpy().tolist() for name, value in outputs.items()}
