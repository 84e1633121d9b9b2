"""Arrays as JSON, in the format of REST."""

import base64
from typing import Any

import numpy as np


def array_to_json(array: np.ndarray) -> Any:
    """Converts `array` to nested lists. Bytes that are not valid UTF-8 become `{"b64": ...}`."""
    if array.dtype.kind == "V":  # bfloat16
        return array.astype(np.float64).tolist()
    return _decoded(array.tolist()) if array.dtype.kind in "OS" else array.tolist()


def _decoded(value: object) -> object:
    if isinstance(value, list):
        return [_decoded(each) for each in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"b64": base64.b64encode(value).decode("ascii")}
    return value
