"""Every way to ask a server the same thing: one interface over gRPC and REST, so that a behaviour is tested once."""

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import numpy as np
from numpy.typing import NDArray

from tests.support.rest import Reply, ask
from tests.support.server import RunningServer
from tfx_export import wire
from tfx_export.savedmodel import tensor

# TensorFlow's names of the dtypes a client can send; numpy's, but for two.
DTYPES = (
    "float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
    "uint64", "bool", "complex64", "complex128", "string",
)  # fmt: skip

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Target:
    """What is asked: a model, perhaps one version or label of it, and a signature (empty: the default one)."""

    model: str
    signature: str = ""
    version: int | None = None
    label: str | None = None


class RefusedError(Exception):
    """The server said no. `code`: gRPC's name, or the HTTP status."""

    def __init__(self, code: str | int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Asker(Protocol):
    """One way to ask."""

    # What the way cannot say.
    unspeakable: frozenset[str]
    is_rest: bool
    tells_dtypes: bool

    def predict(self, target: Target, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """The outputs, of the dtypes and shapes that the way can tell. Raises RefusedError."""
        ...


class GrpcAsker:
    """Predict over gRPC, tensors as values or as content."""

    is_rest = False
    tells_dtypes = True
    unspeakable: frozenset[str] = frozenset()

    def __init__(self, server: RunningServer, as_content: bool) -> None:
        self._channel = grpc.insecure_channel(server.grpc)
        self._as_content = as_content

    def predict(self, target: Target, inputs: Arrays) -> dict[str, NDArray[Any]]:
        send = self._channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict",
            wire.PredictRequest.SerializeToString,
            wire.PredictResponse.FromString,
        )
        try:
            response = send(predict_request(target, inputs, self._as_content), timeout=60)
        except grpc.RpcError as error:
            raise RefusedError(error.code().name, error.details() or "") from None
        assert response.model_spec.name == target.model
        return {name: tensor.decode(proto) for name, proto in response.outputs.items()}


class JsonAsker:
    """REST with JSON, in row or columnar format."""

    is_rest = True
    tells_dtypes = False
    unspeakable = frozenset({"complex64", "complex128"})

    def __init__(self, server: RunningServer, row_format: bool) -> None:
        self._url = server.rest
        self._row_format = row_format

    def predict(self, target: Target, inputs: Arrays) -> dict[str, NDArray[Any]]:
        content: dict[str, Any] = {"signature_name": target.signature} if target.signature else {}
        values = {name: plain(array) for name, array in inputs.items()}
        if self._row_format:
            content["instances"] = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
        else:
            content["inputs"] = values
        reply = checked(ask(self._url, "POST", f"{path(target)}:predict", json.dumps(content)))
        if not self._row_format:
            outputs = reply.json["outputs"]
            named = outputs if isinstance(outputs, dict) and "b64" not in outputs else {"y": outputs}
            return {name: array_of(value) for name, value in named.items()}
        rows = reply.json["predictions"]
        if rows and isinstance(rows[0], dict) and "b64" not in rows[0]:
            return {name: array_of([row[name] for row in rows]) for name in rows[0]}
        return {"y": array_of(rows)}


class ProtobufAsker:
    """REST with a PredictRequest."""

    is_rest = True
    tells_dtypes = True
    unspeakable: frozenset[str] = frozenset()

    def __init__(self, server: RunningServer) -> None:
        self._url = server.rest

    def predict(self, target: Target, inputs: Arrays) -> dict[str, NDArray[Any]]:
        body = predict_request(target, inputs, as_content=True).SerializeToString()
        reply = checked(ask(self._url, "POST", f"{path(target)}:predict", body, content_type="application/x-protobuf"))
        response = wire.PredictResponse.FromString(reply.body)
        return {name: tensor.decode(proto) for name, proto in response.outputs.items()}


class NpyAsker:
    """REST with one array in numpy's format."""

    is_rest = True
    tells_dtypes = True
    unspeakable = frozenset({"bfloat16", "string", "several outputs"})

    def __init__(self, server: RunningServer) -> None:
        self._url = server.rest

    def predict(self, target: Target, inputs: Arrays) -> dict[str, NDArray[Any]]:
        (array,) = inputs.values()
        file = io.BytesIO()
        np.save(file, array)
        query = f"?output=y&signature_name={target.signature}"
        body = file.getvalue()
        reply = checked(
            ask(self._url, "POST", f"{path(target)}:predict{query}", body, content_type="application/x-npy")
        )
        return {"y": np.load(io.BytesIO(reply.body))}


def predict_request(target: Target, inputs: Arrays, as_content: bool) -> wire.Message:
    request = wire.PredictRequest()
    request.model_spec.name = target.model
    request.model_spec.signature_name = target.signature
    if target.version is not None:
        request.model_spec.version.value = target.version
    if target.label is not None:
        request.model_spec.version_label = target.label
    for name, array in inputs.items():
        request.inputs[name].CopyFrom(tensor.encode(array, as_content=as_content))
    return request


def path(target: Target) -> str:
    version = f"/versions/{target.version}" if target.version is not None else ""
    label = f"/labels/{target.label}" if target.label is not None else ""
    return f"/v1/models/{target.model}{version}{label}"


def checked(reply: Reply) -> Reply:
    if reply.status != 200:
        raise RefusedError(reply.status, reply.error)
    return reply


def plain(array: NDArray[Any]) -> Any:
    """An array as JSON values; bytes as base64."""
    if array.dtype == np.object_:
        flat = [{"b64": base64.b64encode(value).decode()} for value in array.ravel().tolist()]
        nested = np.empty(len(flat), np.object_)
        nested[:] = flat
        return nested.reshape(array.shape).tolist()
    return array.astype(np.float64).tolist() if array.dtype.name == "bfloat16" else array.tolist()


def array_of(value: Any) -> NDArray[Any]:
    """JSON values as an array; text as bytes."""
    leaves: NDArray[Any] = np.array(value, np.object_)
    flat = leaves.ravel().tolist()
    if any(isinstance(leaf, str) for leaf in flat):
        leaves.ravel()[:] = [leaf.encode("utf-8", "surrogateescape") for leaf in flat]
        return leaves
    if flat and all(type(leaf) is int for leaf in flat):
        return leaves.astype(np.uint64 if max(flat) >= 2**63 else np.int64)
    return np.array(value)
