"""The request that the start-up table shows. Apart from the table, whose process has no models and no numpy."""

import json
from collections.abc import Mapping

from serve.codec.json.arrays import JSON_DTYPES
from tfx_export.errors import SavedModelError
from tfx_export.sample_request import sample_request
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE, Signature, TensorSpec
from tfx_export.savedmodel.string_inputs import StringInputs

# A body with more elements does not fit on a line.
MAX_EXAMPLE_ELEMENTS = 16


def request_example(signatures: Mapping[str, Signature], uses: StringInputs | None) -> tuple[str, str]:
    """Returns verb and body of a REST request, for the default signature if possible, else for another one.

    Both are empty if there is no signature whose request is short enough to type and certain to be accepted.
    """
    for name in sorted(signatures, key=lambda name: (name != DEFAULT_SIGNATURE, name)):
        verb, body = _example(signatures[name], uses)
        if verb:
            return verb, body
    return "", ""


def _example(signature: Signature, uses: StringInputs | None) -> tuple[str, str]:
    specs = [*signature.inputs.values(), *signature.outputs.values()]
    if not signature.inputs or not all(map(_is_json, specs)):
        return "", ""
    # The graph may need a rank that the signature does not state.
    if any(spec.shape is None for spec in signature.inputs.values()):
        return "", ""
    try:
        request = sample_request(signature, uses)
    except (SavedModelError, ValueError):
        return "", ""
    if request.size > MAX_EXAMPLE_ELEMENTS:
        return "", ""
    named = {} if signature.name == DEFAULT_SIGNATURE else {"signature_name": signature.name}
    return request.verb, json.dumps({**named, **request.body()})


def _is_json(spec: TensorSpec) -> bool:
    return spec.encoding == "dense" and spec.dtype in JSON_DTYPES
