"""A client for servers with TensorFlow Serving's gRPC API. It needs numpy and grpcio, but not TensorFlow.

    with Client("localhost:8500") as client:
        scores = client.predict("mnist", {"image": images})["scores"]

`AsyncClient` has the same methods for asyncio.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TypeVar

import grpc
import numpy as np
import numpy.typing as npt

from tfx_export import wire
from tfx_export.client import calls
from tfx_export.client.calls import FeatureValue, LoadReport, Model, UnaryCall, VersionState
from tfx_export.errors import TfxExportError
from tfx_export.savedmodel.signature import Signature

__all__ = ["AsyncClient", "Client", "Model", "ServerError", "VersionState"]

T = TypeVar("T")

# No size limit, because tensors can have any size. A single batch of images can exceed grpc's default of 4 MB.
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class ServerError(TfxExportError):
    """A server refused a gRPC request or did not answer.

    `code`: the name of the gRPC status, e.g. `NOT_FOUND`.
    """

    exit_code = 6

    def __init__(self, error: grpc.RpcError) -> None:
        self.code: str = error.code().name
        super().__init__(f"{self.code}: {error.details() or ''}")


def _model(model: str | Model) -> Model:
    return Model(model) if isinstance(model, str) else model


def _metadata(token: str | None) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")] if token else []


class Client:
    """A synchronous client: each method sends one request and waits for the response.

    `target`: `host:port` or `unix:PATH`.
    `credentials`: from `grpc.ssl_channel_credentials`, for TLS; without them the connection is not encrypted.
    `token`: sent with each request as a bearer token.
    `timeout`: the maximum duration of one call in seconds; None means no limit.

    The argument `model` of the methods is a name, which selects the newest version and the signature
    `serving_default`, or a `Model` with a version, a label or another signature.

    Each method raises ServerError if the server refuses the request or does not answer in time.
    """

    def __init__(
        self,
        target: str,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        token: str | None = None,
        timeout: float | None = 60.0,
    ) -> None:
        self._channel = (
            grpc.secure_channel(target, credentials, _OPTIONS)
            if credentials
            else grpc.insecure_channel(target, _OPTIONS)
        )
        self._metadata = _metadata(token)
        self._timeout = timeout

    def send(self, call: UnaryCall[T]) -> T:
        """Sends the request of `call` and returns what `call.read` makes of the response.

        The other methods use this one with a call from `tfx_export.client.calls`.
        """
        method = self._channel.unary_unary(
            call.path, type(call.request).SerializeToString, call.response_class.FromString
        )
        try:
            return call.read(method(call.request, timeout=self._timeout, metadata=self._metadata))
        except grpc.RpcError as error:
            raise ServerError(error) from None

    def predict(
        self, model: str | Model, inputs: Mapping[str, npt.ArrayLike], outputs: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """Returns the outputs of a Predict request as arrays, by output name.

        `inputs`: an array, or anything that `numpy.asarray` accepts, for each input name. Its dtype and shape must fit
        the signature, usually `[batch, ...]`. `outputs`: the names of the outputs to return; all by default.
        """
        return self.send(calls.predict(_model(model), inputs, outputs))

    def classify(
        self, model: str | Model, examples: Iterable[Mapping[str, FeatureValue]]
    ) -> list[list[tuple[str, float]]]:
        """Returns the list of (label, score) for each example.

        Each example maps feature names to a number, a string, bytes, or a sequence of one of these.
        """
        return self.send(calls.classify(_model(model), examples))

    def regress(self, model: str | Model, examples: Iterable[Mapping[str, FeatureValue]]) -> list[float]:
        """Returns the predicted value for each example. Examples as for `classify`."""
        return self.send(calls.regress(_model(model), examples))

    def metadata(self, model: str | Model) -> dict[str, Signature]:
        """Returns the signatures of the model by name."""
        return self.send(calls.metadata(_model(model)))

    def status(self, model: str | Model) -> list[VersionState]:
        """Returns the versions of the model with their states, newest first."""
        return self.send(calls.status(_model(model)))

    def load_report(self, model: str | Model) -> LoadReport:
        """Returns the memory and the load time of the version, by name: `memory_bytes`, `load_seconds`, ...

        TensorFlow Serving refuses the request (ServerError with INVALID_ARGUMENT).
        """
        return self.send(calls.load_report(_model(model)))

    def reload_config(self, config: wire.ModelServerConfig) -> None:
        """Replaces the models of the server by those in `config`; returns when they are available."""
        return self.send(calls.reload_config(config))

    def close(self) -> None:
        """Closes the connection. `with Client(...)` calls it."""
        self._channel.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class AsyncClient:
    """A client for asyncio, with the arguments, methods and errors of `Client`."""

    def __init__(
        self,
        target: str,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        token: str | None = None,
        timeout: float | None = 60.0,
    ) -> None:
        if credentials:
            self._channel = grpc.aio.secure_channel(target, credentials, _OPTIONS)
        else:
            self._channel = grpc.aio.insecure_channel(target, _OPTIONS)
        self._metadata = _metadata(token)
        self._timeout = timeout

    async def send(self, call: UnaryCall[T]) -> T:
        """See `Client.send`."""
        method = self._channel.unary_unary(
            call.path, type(call.request).SerializeToString, call.response_class.FromString
        )
        try:
            return call.read(await method(call.request, timeout=self._timeout, metadata=self._metadata))
        except grpc.RpcError as error:
            raise ServerError(error) from None

    async def predict(
        self, model: str | Model, inputs: Mapping[str, npt.ArrayLike], outputs: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """See `Client.predict`."""
        return await self.send(calls.predict(_model(model), inputs, outputs))

    async def classify(
        self, model: str | Model, examples: Iterable[Mapping[str, FeatureValue]]
    ) -> list[list[tuple[str, float]]]:
        """See `Client.classify`."""
        return await self.send(calls.classify(_model(model), examples))

    async def regress(self, model: str | Model, examples: Iterable[Mapping[str, FeatureValue]]) -> list[float]:
        """See `Client.regress`."""
        return await self.send(calls.regress(_model(model), examples))

    async def metadata(self, model: str | Model) -> dict[str, Signature]:
        """See `Client.metadata`."""
        return await self.send(calls.metadata(_model(model)))

    async def status(self, model: str | Model) -> list[VersionState]:
        """See `Client.status`."""
        return await self.send(calls.status(_model(model)))

    async def load_report(self, model: str | Model) -> LoadReport:
        """See `Client.load_report`."""
        return await self.send(calls.load_report(_model(model)))

    async def reload_config(self, config: wire.ModelServerConfig) -> None:
        """See `Client.reload_config`."""
        return await self.send(calls.reload_config(config))

    async def close(self) -> None:
        """Closes the connection. `async with AsyncClient(...)` calls it."""
        await self._channel.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()
