"""The requests of `tfx-export predict`: arrays from files or rows from JSON, over gRPC or REST."""

import base64
import re
from pathlib import Path
from typing import Any

import numpy as np

from tfx_export.cli.array_json import array_to_json
from tfx_export.cli.connection import Connection
from tfx_export.client import Client, Model
from tfx_export.errors import SpecError
from tfx_export.json_value import JsonValue
from tfx_export.savedmodel.dtypes import numpy_dtype
from tfx_export.savedmodel.signature import Signature, TensorSpec


def predict_arrays(server: Connection, model: Model, files: dict[str, str], rest: bool) -> dict[str, object]:
    """Sends inputs from files. Returns `{"outputs": ...}`."""
    arrays = {name: _load(file) for name, file in files.items()}
    if rest:
        return server.rest().predict(model, {"inputs": {name: array_to_json(array) for name, array in arrays.items()}})
    with server.grpc() as client:
        outputs = client.predict(model, arrays)
    return {"outputs": {name: array_to_json(array) for name, array in outputs.items()}}


def predict_rows(server: Connection, model: Model, rows: list[JsonValue], rest: bool) -> dict[str, object]:
    """Sends rows: values if the signature has one input, else objects by input name. Returns `{"predictions": ...}`."""
    if rest:
        return server.rest().predict(model, {"instances": rows})
    with server.grpc() as client:
        signature = _signature(client, model)
        outputs = client.predict(model, _columns(rows, signature))
    columns = {name: array_to_json(array) for name, array in outputs.items()}
    if len(columns) == 1:
        return {"predictions": next(iter(columns.values()))}
    return {"predictions": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]}


def _signature(client: Client, model: Model) -> Signature:
    signatures = client.metadata(model)
    if model.signature not in signatures:
        names = sorted(name for name in signatures if not name.startswith("__"))
        raise SpecError(f"{model.name} has no signature {model.signature}.", hint=f"It has: {', '.join(names)}")
    return signatures[model.signature]


def _columns(rows: list[Any], signature: Signature) -> dict[str, np.ndarray]:
    names = list(signature.inputs)
    if not all(isinstance(row, dict) and "b64" not in row for row in rows):
        if len(names) != 1:
            raise SpecError(
                f"Signature {signature.name} has the inputs {', '.join(names)}: "
                "each row should be an object with these keys."
            )
        rows = [{names[0]: row} for row in rows]
    for number, row in enumerate(rows):
        if row.keys() != signature.inputs.keys():
            raise SpecError(
                f"Row {number} has the inputs {', '.join(sorted(row))}.",
                hint=f"Signature {signature.name} takes: {', '.join(names)}",
            )
    return {name: _array([row[name] for row in rows], name, spec) for name, spec in signature.inputs.items()}


def _array(values: list[JsonValue], name: str, spec: TensorSpec) -> np.ndarray:
    try:
        return np.array(_bytes(values), dtype=numpy_dtype(spec.dtype))
    except (ValueError, TypeError, OverflowError) as error:
        raise SpecError(f"Input {name} is {spec.dtype}, and the rows do not fit it: {error}") from None


def _bytes(value: Any) -> object:
    """Converts strings and REST's `{"b64": ...}` objects to bytes, in lists of any depth."""
    if isinstance(value, list):
        return [_bytes(each) for each in value]
    if isinstance(value, dict) and value.keys() == {"b64"}:
        return base64.b64decode(value["b64"])
    return value.encode() if isinstance(value, str) else value


def _load(file: str) -> np.ndarray:
    found = re.fullmatch(r"(.+\.npz)\[(.+)\]", file)
    path = Path(found[1] if found else file)
    try:
        loaded = np.load(path, allow_pickle=False)
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise SpecError(f"{path} is not a valid numpy file: {error}") from None
    if isinstance(loaded, np.ndarray):
        return loaded
    if found is None or found[2] not in loaded:
        raise SpecError(f"{path} holds several arrays.", hint=f"Choose one: {path}[{next(iter(loaded), 'KEY')}]")
    chosen: np.ndarray = loaded[found[2]]
    return chosen
