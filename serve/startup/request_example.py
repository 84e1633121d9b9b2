"""The request that the start-up table shows. Apart from the table, whose process runs no model and needs no arrays."""

import json

from tfx_export.errors import SavedModelError
from tfx_export.sample import sample
from tfx_export.savedmodel.signature import Signature
from tfx_export.savedmodel.string_inputs import StringInputs

# What still fits on a line.
MAX_EXAMPLE_ELEMENTS = 16


def request_example(signature: Signature | None, uses: StringInputs | None) -> tuple[str, str]:
    """Verb and body of a REST request for `signature`; both empty if there is none that is short enough to type."""
    if signature is None or not signature.inputs:
        return "", ""
    if any(spec.shape is None for spec in signature.inputs.values()):
        return "", ""
    try:
        asked = sample(signature, uses)
    except (SavedModelError, ValueError):
        return "", ""
    return (asked.verb, json.dumps(asked.body())) if asked.size <= MAX_EXAMPLE_ELEMENTS else ("", "")
