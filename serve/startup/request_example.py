"""The request that the start-up table shows. Apart from the table, whose process has no models and no numpy."""

import json

from tfx_export.errors import SavedModelError
from tfx_export.sample_request import sample_request
from tfx_export.savedmodel.signature import Signature
from tfx_export.savedmodel.string_inputs import StringInputs

# A body with more elements does not fit on a line.
MAX_EXAMPLE_ELEMENTS = 16


def request_example(signature: Signature | None, uses: StringInputs | None) -> tuple[str, str]:
    """Returns verb and body of a REST request for `signature`; both are empty if the body is too long to type."""
    if signature is None or not signature.inputs:
        return "", ""
    if any(spec.shape is None for spec in signature.inputs.values()):
        return "", ""
    try:
        request = sample_request(signature, uses)
    except (SavedModelError, ValueError):
        return "", ""
    return (request.verb, json.dumps(request.body())) if request.size <= MAX_EXAMPLE_ELEMENTS else ("", "")
