"""Runs one signature of a SavedModel on given inputs, as a server does."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfx_export.errors import SavedModelError, SpecError, VerificationError
from tfx_export.exporting.verification.isolated_run import predict_request, run_isolated
from tfx_export.savedmodel import tensor
from tfx_export.savedmodel.dtypes import from_numpy, numpy_dtype
from tfx_export.savedmodel.reader import choose_meta_graph, find_signature, read_index
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE, Signature, TensorSpec


def run(
    folder: Path | str, inputs: Mapping[str, object], *, signature: str = DEFAULT_SIGNATURE, tag_set: str | None = None
) -> dict[str, np.ndarray]:
    """Runs a signature of the SavedModel in `folder`, and returns its outputs by alias.

    The model runs in a fresh process, loaded by the Session loader.

    Args:
        folder: The folder of the SavedModel (a version folder).
        inputs: Arrays by alias, or values that numpy turns into arrays. They are cast to the dtypes of the signature
            where the cast loses no values. Inputs with a default may be left out.
        signature: The name of the signature.
        tag_set: The tags of the graph, separated by commas; needed if the SavedModel has several graphs.

    Raises SpecError if the inputs do not fit the signature, SavedModelError if the model does not load or fails.
    """
    folder = Path(folder)
    meta_graph = choose_meta_graph(read_index(folder), tag_set)
    found = Signature.from_proto(signature, find_signature(meta_graph, signature))
    request = predict_request(signature, prepare(found, inputs))
    try:
        results = run_isolated(folder, [request], tags=sorted(meta_graph.meta_info_def.tags))
    except VerificationError as error:
        raise SavedModelError(error.message, hint=error.hint) from None
    if results.errors:
        raise SavedModelError(f"The model refuses these inputs: {results.errors[0]}")
    return results.outputs[0]


def prepare(signature: Signature, inputs: Mapping[str, object]) -> dict[str, np.ndarray]:
    """Returns `inputs` as arrays of the signature's dtypes, with its defaults. Raises SpecError if they do not fit."""
    takes = ", ".join(f"{key} ({spec})" for key, spec in signature.inputs.items()) or "nothing"
    hint = f"{signature.name} takes: {takes}"
    if unknown := sorted(set(inputs) - set(signature.inputs)):
        raise SpecError(f"Signature {signature.name!r} has no input {unknown[0]!r}.", hint=hint)
    if missing := sorted(set(signature.inputs) - set(inputs) - set(signature.defaults)):
        raise SpecError(f"Input {missing[0]!r} of signature {signature.name!r} is missing.", hint=hint)
    arrays = {key: tensor.decode(proto) for key, proto in signature.defaults.items()}
    for key, value in inputs.items():
        arrays[key] = _array(key, value, signature.inputs[key], hint)
    return arrays


def _array(key: str, value: object, spec: TensorSpec, hint: str) -> np.ndarray:
    if spec.encoding != "dense":
        raise SpecError(f"Input {key!r} is a {spec.encoding} tensor, which cannot be given as one array.", hint=hint)
    try:
        array = np.asarray(value)
        fits = _same_kind(array, spec.dtype)
    except (KeyError, ValueError):
        fits = False
    if not fits:
        raise SpecError(f"Input {key!r} takes {spec.dtype}; the given values cannot be converted to it.", hint=hint)
    if spec.shape is not None and (
        len(spec.shape) != array.ndim
        or any(want not in (None, size) for want, size in zip(spec.shape, array.shape, strict=True))
    ):
        raise SpecError(f"Input {key!r} has shape {list(array.shape)}; it takes {spec}.", hint=hint)
    return array.astype(numpy_dtype(spec.dtype))


def _same_kind(array: np.ndarray, dtype: str) -> bool:
    if dtype == "DT_STRING" or from_numpy(array.dtype) == "DT_STRING":
        return dtype == from_numpy(array.dtype)
    return not array.size or np.can_cast(array.dtype, numpy_dtype(dtype), "same_kind")
