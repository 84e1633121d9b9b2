"""Predict over every protocol: clients for gRPC and REST with one interface, so that each behaviour has one test."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import numpy as np
from numpy.typing import NDArray

from tests.support.rest import Reply
from tests.support.server import Server
from tfx_export import wire
from tfx_export.savedmodel import tensor

# TensorFlow's names of the dtypes that a client can send; numpy has the same names except for bfloat16 and string.
DTYPES = (
    "float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
    "uint64", "bool", "complex64", "complex128", "string",
)  # fmt: skip
# Dtypes that JSON has no form for; numpy's files hold some of them without their name.
RARE_DTYPES = (
    "qint8", "quint8", "qint16", "quint16", "qint32", "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz",
    "float8_e4m3b11fnuz", "float8_e5m2fnuz", "float4_e2m1fn", "int4", "uint4", "int2", "uint2",
)  # fmt: skip

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Target:
    """A model, optionally one version or label of it, and a signature (empty: the default signature)."""

    model: str
    signature: str = ""
    version: int | None = None
    label: str | None = None


class RefusedError(Exception):
    """The server refused a request. `code`: gRPC's name of the status, or the HTTP status."""

    def __init__(self, code: str | int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class PredictClient(Protocol):
    """Sends Predict requests over one protocol."""

    # Dtypes, and features, that the protocol cannot express.
    unsupported: frozenset[str]
    is_rest: bool
    # Whether responses state the dtypes of the outputs.
    returns_dtypes: bool

    def predict(self, target: Target, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Returns the outputs, as far as the protocol states their dtypes and shapes. Raises RefusedError."""
        ...


class GrpcClient:
    """Predict over gRPC, with tensors as typed values or as `tensor_content`."""

    is_rest = False
    returns_dtypes = True
    unsupported: frozenset[str] = frozenset()

    def __init__(self, server: Server, as_content: bool) -> None:
        self._channel = server.channel()
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


class JsonClient:
    """Predict over REST with JSON, in row or columnar format."""

    is_rest = True
    returns_dtypes = False
    unsupported = frozenset({"complex64", "complex128", *RARE_DTYPES})

    def __init__(self, server: Server, row_format: bool) -> None:
        self._server = server
        self._row_format = row_format

    def predict(self, target: Target, inputs: Arrays) -> dict[str, NDArray[Any]]:
        content: dict[str, Any] = {"signature_name": target.signature} if target.signature else {}
        values = {name: plain(array) for name, array in inputs.items()}
        if self._row_format:
            content["instances"] = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
        else:
            content["inputs"] = values
        reply = checked(self._server.post(f"{path(target)}:predict", content))
        if not self._row_format:
            outputs = reply.json["outputs"]
            named = outputs if isinstance(outputs, dict) and "b64" not in outputs else {"y": outputs}
            return {name: array_of(value) for name, value in named.items()}
        rows = reply.json["predictions"]
        if rows and isinstance(rows[0], dict) and "b64" not in rows[0]:
            return {name: array_of([row[name] for row in rows]) for name in rows[0]}
        return {"y": array_of(rows)}


class ProtobufClient:
    """Predict over REST with a serialized PredictRequest."""

    is_rest = True
    returns_dtypes = True
    unsupported: frozenset[str] = frozenset()

    def __init__(self, server: Server) -> None:
        self._server = server

    def predict(self, target: Target, inputs: Arrays) -> dict[str, NDArray[Any]]:
        body = predict_request(target, inputs, as_content=True).SerializeToString()
        request_path = f"{path(target)}:predict"
        reply = checked(self._server.request("POST", request_path, body, content_type="application/x-protobuf"))
        response = wire.PredictResponse.FromString(reply.body)
        return {name: tensor.decode(proto) for name, proto in response.outputs.items()}


class NpyClient:
    """Predict over REST with one array in numpy's file format."""

    is_rest = True
    returns_dtypes = True
    unsupported = frozenset({"bfloat16", "string", "several outputs", *RARE_DTYPES})

    def __init__(self, server: Server) -> None:
        self._server = server

    def predict(self, target: Target, inputs: Arrays) -> dict[str, NDArray[Any]]:
        (array,) = inputs.values()
        file = io.BytesIO()
        np.save(file, array)
        request_path = f"{path(target)}:predict?output=y&signature_name={target.signature}"
        reply = checked(self._server.request("POST", request_path, file.getvalue(), content_type="application/x-npy"))
        return {"y": np.load(io.BytesIO(reply.body))}


def predict_request(target: Target, inputs: Arrays, as_content: bool) -> wire.PredictRequest:
    """Returns a PredictRequest for gRPC, or for REST as protobuf."""
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
    """Returns the REST path of `target`, without a verb."""
    version = f"/versions/{target.version}" if target.version is not None else ""
    label = f"/labels/{target.label}" if target.label is not None else ""
    return f"/v1/models/{target.model}{version}{label}"


def checked(reply: Reply) -> Reply:
    """Returns `reply`. Raises RefusedError if its status is not 200."""
    if reply.status != 200:
        raise RefusedError(reply.status, reply.error)
    return reply


def plain(array: NDArray[Any]) -> Any:
    """Returns an array as JSON values, bytes as base64."""
    if array.dtype == np.object_:
        flat = [{"b64": base64.b64encode(value).decode()} for value in array.ravel().tolist()]
        nested = np.empty(len(flat), np.object_)
        nested[:] = flat
        return nested.reshape(array.shape).tolist()
    return array.astype(np.float64).tolist() if array.dtype.name == "bfloat16" else array.tolist()


def array_of(value: Any) -> NDArray[Any]:
    """Returns JSON values as an array, text as bytes."""
    leaves: NDArray[Any] = np.array(value, np.object_)
    flat = leaves.ravel().tolist()
    if any(isinstance(leaf, str) for leaf in flat):
        leaves.ravel()[:] = [leaf.encode("utf-8", "surrogateescape") for leaf in flat]
        return leaves
    if flat and all(type(leaf) is int for leaf in flat):
        return leaves.astype(np.uint64 if max(flat) >= 2**63 else np.int64)
    return np.array(value)
