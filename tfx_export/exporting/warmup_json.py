"""Reads warmup requests from JSON: bodies of TensorFlow Serving's REST API, or only the instances of one."""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfx_export import wire
from tfx_export.errors import SpecError
from tfx_export.exporting.verification.isolated_run import Arrays
from tfx_export.json_value import JsonValue
from tfx_export.savedmodel.dtypes import numpy_dtype
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE, Signature, TensorSpec


def read(path: Path, signatures: Mapping[str, Signature]) -> Iterator[tuple[str, Arrays]]:
    """Yields the requests in `path`, each as the name of its signature and its inputs.

    The file holds one body (`{"signature_name": ..., "instances": [...]}`, or with `inputs` or `examples`), a list of
    bodies, or a list of instances for the default signature, one per request. Raises SpecError if a request does not
    fit its signature.
    """
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise SpecError(f"{path} is not valid JSON: {error}") from None
    bodies = content if isinstance(content, list) else [content]
    for number, item in enumerate(bodies, 1):
        body: dict[str, Any] = item if _is_body(item) else {"instances": [item]}
        name: str = body.get("signature_name") or DEFAULT_SIGNATURE
        if name not in signatures:
            raise SpecError(
                f"Request {number} in {path} names the signature {name!r}, which the model does not have.",
                hint=f"Signatures: {', '.join(sorted(signatures))}",
            )
        try:
            yield name, _inputs(body, signatures[name])
        except (ValueError, TypeError, KeyError, binascii.Error) as error:
            raise SpecError(f"Request {number} in {path} does not fit the signature {name!r}: {error}") from None


def _is_body(item: object) -> bool:
    return isinstance(item, dict) and bool({"instances", "inputs", "examples"} & set(item))


def _inputs(body: dict[str, Any], signature: Signature) -> dict[str, np.ndarray]:
    specs = signature.inputs
    if "examples" in body:
        context = body.get("context", {})
        rows = [_example({**context, **example}) for example in body["examples"]]
        return dict.fromkeys(specs, np.array(rows, dtype=object))
    if "inputs" in body:
        columns = body["inputs"]
    else:
        rows = body["instances"]
        named = all(isinstance(row, dict) and set(row) == set(specs) for row in rows)
        columns = {alias: [row[alias] for row in rows] for alias in specs} if named else rows
    if not isinstance(columns, dict) or set(columns) != set(specs):
        if len(specs) != 1:
            raise ValueError(f"it needs the inputs {', '.join(sorted(specs))}")
        columns = dict.fromkeys(specs, columns)
    return {alias: _array(columns[alias], spec) for alias, spec in specs.items()}


def _array(value: JsonValue, spec: TensorSpec) -> np.ndarray:
    if spec.dtype != "DT_STRING":
        return np.array(value, numpy_dtype(spec.dtype))
    shape: list[int] = []
    level = value
    while isinstance(level, list):
        shape.append(len(level))
        level = level[0] if level else None
    flat = list(_flatten(value))
    array = np.empty(len(flat), dtype=object)
    array[:] = [_bytes(item) for item in flat]
    return array.reshape(shape)


def _flatten(value: JsonValue) -> Iterator[JsonValue]:
    if isinstance(value, list):
        for item in value:
            yield from _flatten(item)
    else:
        yield value


def _bytes(item: Any) -> bytes:
    if isinstance(item, dict) and set(item) == {"b64"}:
        return base64.b64decode(item["b64"], validate=True)
    if not isinstance(item, str):
        raise ValueError(f"{item!r} is not a string")
    return item.encode()


def _example(features: Mapping[str, Any]) -> bytes:
    """Serializes a tf.Example as REST does: int64 for whole numbers, float for others, bytes for strings and `b64`."""
    example = wire.Example()
    for name, value in features.items():
        values = value if isinstance(value, list) else [value]
        feature = example.features.feature[name]
        if all(isinstance(item, str | dict) for item in values):
            feature.bytes_list.value.extend(_bytes(item) for item in values)
        elif all(isinstance(item, int) for item in values):
            feature.int64_list.value.extend(map(int, values))
        else:
            feature.float_list.value.extend(values)
    serialized: bytes = example.SerializeToString(deterministic=True)
    return serialized
