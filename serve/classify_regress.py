"""Classify and Regress: which signatures support them, and what the outputs mean.

The error texts are TensorFlow Serving's (`servables/tensorflow/classifier.cc`, `regressor.cc`): clients match on them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serve.errors import invalid_argument
from serve.loaded_model import LoadedModel
from tfx_export import wire
from tfx_export.savedmodel.dtypes import from_numpy
from tfx_export.savedmodel.signature import CLASSIFY, DEFAULT_SIGNATURE, REGRESS, Signature

INPUTS = "inputs"
CLASSES = "classes"
SCORES = "scores"
OUTPUTS = "outputs"

Outputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class InferenceTask:
    """One task of a MultiInference request: a signature, and CLASSIFY or REGRESS."""

    signature: str
    method: str


@dataclass(frozen=True)
class Classification:
    """Labels (bytes), scores or both, as arrays `[examples, classes]`."""

    labels: NDArray[np.object_] | None
    scores: NDArray[np.float32] | None


@dataclass(frozen=True)
class Regression:
    """One value for each example, `[examples]`."""

    values: NDArray[np.float32]


def find_signature(model: LoadedModel, name: str, text: str = "No signature was found with the name: {}") -> Signature:
    """Returns the signature `name` (empty: `serving_default`). Raises INVALID_ARGUMENT with `text` if it is missing."""
    name = name or DEFAULT_SIGNATURE
    signature = model.signatures.get(name)
    if signature is None:
        existing = ", ".join(sorted(model.signatures)) or "none"
        raise invalid_argument(f"{text.format(name)}. Signatures of the model: {existing}")
    return signature


def classify_outputs(signature: Signature, *, check_method: bool) -> tuple[str, ...]:
    """Returns the outputs to compute. Raises INVALID_ARGUMENT if `signature` cannot classify."""
    if check_method and signature.method != CLASSIFY:
        raise invalid_argument(
            f"Expected classification signature method_name to be {CLASSIFY}. Was: {signature.method}"
        )
    if len(signature.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise invalid_argument(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if INPUTS not in signature.inputs:
        raise invalid_argument(f"No classification inputs found in SignatureDef: {_described(signature)}")
    outputs = tuple(name for name in (CLASSES, SCORES) if name in signature.outputs)
    if not outputs:
        raise invalid_argument(
            f'Expected classification signature outputs to contain at least one of "{CLASSES}" or "{SCORES}". '
            f"Signature was: {_described(signature)}"
        )
    return outputs


def classification(outputs: Outputs, examples: int) -> Classification:
    """Returns the model's result for `examples` examples. Raises INVALID_ARGUMENT if it is not a classification."""
    labels, scores = outputs.get(CLASSES), outputs.get(SCORES)
    for name, array, dtype in ((CLASSES, labels, "DT_STRING"), (SCORES, scores, "DT_FLOAT")):
        if array is None:
            continue
        if array.ndim != 2:
            raise invalid_argument(f"Expected Tensor shape: [batch_size num_classes] but got {_shape(array)}")
        if from_numpy(array.dtype) != dtype:
            raise invalid_argument(f"Expected {name} Tensor of {dtype}. Got: {from_numpy(array.dtype)}")
        if len(array) != examples:
            raise invalid_argument(f"Expected {name} output batch size of {examples}. Got: {len(array)}")
    if labels is not None and scores is not None and labels.shape[1] != scores.shape[1]:
        raise invalid_argument(
            f"Tensors class and score should match in dim_size(1). Got {labels.shape[1]} vs. {scores.shape[1]}"
        )
    return Classification(labels, scores)


def regress_outputs(signature: Signature, *, check_method: bool) -> tuple[str, ...]:
    """Returns the outputs to compute. Raises INVALID_ARGUMENT if `signature` cannot regress."""
    if check_method and signature.method != REGRESS:
        raise invalid_argument(f"Expected regression signature method_name to be {REGRESS}. Was: {signature.method}")
    if len(signature.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise invalid_argument("Expected one output Tensor.")
    if INPUTS not in signature.inputs:
        raise invalid_argument(f"No regression inputs found in SignatureDef: {_described(signature)}")
    if OUTPUTS not in signature.outputs:
        raise invalid_argument(f"No regression outputs found in SignatureDef: {_described(signature)}")
    return (OUTPUTS,)


def regression(outputs: Outputs, examples: int) -> Regression:
    """Returns the model's result for `examples` examples. Raises INVALID_ARGUMENT if it is not a regression."""
    values = outputs[OUTPUTS]
    if not (values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1)):
        raise invalid_argument(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {_shape(values)}"
        )
    if len(values) != examples:
        raise invalid_argument(f"Input batch size did not match output batch size: {examples} vs. {len(values)}")
    if from_numpy(values.dtype) != "DT_FLOAT":
        raise invalid_argument(f"Expected output Tensor of DT_FLOAT.  Got: {from_numpy(values.dtype)}")
    return Regression(values.reshape(-1))


def _described(signature: Signature) -> str:
    return f"{signature.name} (inputs {', '.join(signature.inputs)}; outputs {', '.join(signature.outputs)})"


def _shape(array: np.ndarray) -> str:
    return f"[{','.join(map(str, array.shape))}]"


def fill_classification(message: wire.ClassificationResult, result: Classification) -> None:
    """Fills `message` with one Classifications for each example and one Class for each label or score."""
    labels = result.labels.tolist() if result.labels is not None else None
    scores = result.scores.tolist() if result.scores is not None else None
    for row in range(len(labels if labels is not None else scores or ())):
        classes = message.classifications.add().classes
        if labels is None:
            for score in scores[row] if scores is not None else ():
                classes.add(score=score)
        else:
            for column, label in enumerate(labels[row]):
                # The field is text: bytes that are not valid UTF-8 cannot be sent unchanged.
                added = classes.add(label=label if isinstance(label, str) else label.decode("utf-8", "replace"))
                if scores is not None:
                    added.score = scores[row][column]


def fill_regression(message: wire.RegressionResult, result: Regression) -> None:
    """Fills `message` with one Regression for each example."""
    for value in result.values.tolist():
        message.regressions.add(value=value)
