"""The methods of TensorFlow Serving (predict, classify, regress), and its rules for signatures of each."""

from collections.abc import Mapping
from typing import NoReturn

from tfx_export.errors import SpecError
from tfx_export.savedmodel.signature import CLASSIFY, REGRESS, Signature, TensorSpec

METHODS = {"predict": "tensorflow/serving/predict", "classify": CLASSIFY, "regress": REGRESS}


def full_method_name(method: str) -> str:
    """Returns `tensorflow/serving/classify` for `classify`; full names stay. Raises SpecError for other texts."""
    if method in METHODS.values():
        return method
    if method not in METHODS:
        raise SpecError(f"{method!r} is not a method.", hint=f"Methods: {', '.join(METHODS)}")
    return METHODS[method]


def check_serving_method(signature: Signature) -> None:
    """Raises SpecError, with the broken rule, if a server could not answer requests to `signature` by its method."""
    if signature.method == CLASSIFY:
        _check_examples(signature, "Classify")
        allowed = {"classes": "DT_STRING", "scores": "DT_FLOAT"}
        if not signature.outputs or set(signature.outputs) - set(allowed):
            _refuse(signature, "Classify returns 'classes', 'scores', or both", "outputs", signature.outputs)
        for key, spec in signature.outputs.items():
            if spec.dtype != allowed[key] or (spec.shape is not None and len(spec.shape) != 2):
                _refuse(signature, f"Classify needs {key!r} as {allowed[key]} of rank 2", "outputs", signature.outputs)
    elif signature.method == REGRESS:
        _check_examples(signature, "Regress")
        if set(signature.outputs) != {"outputs"}:
            _refuse(signature, "Regress returns exactly one output, 'outputs'", "outputs", signature.outputs)
        spec = signature.outputs["outputs"]
        if spec.dtype != "DT_FLOAT" or (spec.shape is not None and not _is_column(spec.shape)):
            _refuse(signature, "Regress needs 'outputs' as DT_FLOAT [N] or [N,1]", "outputs", signature.outputs)


def _check_examples(signature: Signature, method: str) -> None:
    if set(signature.inputs) != {"inputs"} or signature.inputs["inputs"].dtype != "DT_STRING":
        rule = f"{method} takes exactly one input, 'inputs', of serialized tf.Example (DT_STRING)"
        _refuse(signature, rule, "inputs", signature.inputs)


def _is_column(shape: tuple[int | None, ...]) -> bool:
    return len(shape) == 1 or (len(shape) == 2 and shape[1] in (1, None))


def _refuse(signature: Signature, rule: str, what: str, tensors: Mapping[str, TensorSpec]) -> NoReturn:
    found = ", ".join(f"{key} ({spec})" for key, spec in tensors.items()) or "none"
    raise SpecError(
        f"{rule}; signature {signature.name!r} has {what}: {found}.", hint="Rename them, or use the method predict."
    )
