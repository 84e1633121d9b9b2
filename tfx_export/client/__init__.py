"""A client for any server that speaks TensorFlow Serving's gRPC protocol: numpy and grpcio, no TensorFlow.

    with Client("localhost:8500") as client:
        scores = client.predict("mnist", {"image": images})["scores"]

`AsyncClient` has the same methods, to be awaited.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TypeVar

import grpc
import numpy as np
import numpy.typing as npt

from tfx_export import wire
from tfx_export.client import calls
from tfx_export.client.calls import FeatureValue, Model, UnaryCall, VersionState
from tfx_export.errors import TfxExportError
from tfx_export.savedmodel.signature import Signature

__all__ = ["AsyncClient", "Client", "Model", "ServerError", "VersionState"]

T = TypeVar("T")

# Tensors have no natural size limit; grpc's default of 4 MB is one image batch.
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
    """Asks and waits for the answer.

    `target`: `host:port` or `unix:PATH`. `credentials`: from `grpc.ssl_channel_credentials` for TLS. `token`: sent as a
    bearer token. `timeout`: seconds that one call may take. Methods raise ServerError.
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
        """What `call` reads from the answer; the other methods are this one with a call of `calls`."""
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
        """The outputs by name (all, or those in `outputs`) for `inputs`, arrays by input name."""
        return self.send(calls.predict(_model(model), inputs, outputs))

    def classify(
        self, model: str | Model, examples: Iterable[Mapping[str, FeatureValue]]
    ) -> list[list[tuple[str, float]]]:
        """For each example, a dictionary of features, its (label, score) pairs."""
        return self.send(calls.classify(_model(model), examples))

    def regress(self, model: str | Model, examples: Iterable[Mapping[str, FeatureValue]]) -> list[float]:
        """For each example its value."""
        return self.send(calls.regress(_model(model), examples))

    def metadata(self, model: str | Model) -> dict[str, Signature]:
        """The signatures by name."""
        return self.send(calls.metadata(_model(model)))

    def status(self, model: str | Model) -> list[VersionState]:
        """The versions and their states, newest first."""
        return self.send(calls.status(_model(model)))

    def reload_config(self, config: wire.ModelServerConfig) -> None:
        """Replace the server's models by those of `config`, a ModelServerConfig."""
        return self.send(calls.reload_config(config))

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class AsyncClient:
    """`Client` for asyncio: the same methods and errors, awaited."""

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
        """As `Client.send`."""
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
        """As `Client.predict`."""
        return await self.send(calls.predict(_model(model), inputs, outputs))

    async def classify(
        self, model: str | Model, examples: Iterable[Mapping[str, FeatureValue]]
    ) -> list[list[tuple[str, float]]]:
        """As `Client.classify`."""
        return await self.send(calls.classify(_model(model), examples))

    async def regress(self, model: str | Model, examples: Iterable[Mapping[str, FeatureValue]]) -> list[float]:
        """As `Client.regress`."""
        return await self.send(calls.regress(_model(model), examples))

    async def metadata(self, model: str | Model) -> dict[str, Signature]:
        """As `Client.metadata`."""
        return await self.send(calls.metadata(_model(model)))

    async def status(self, model: str | Model) -> list[VersionState]:
        """As `Client.status`."""
        return await self.send(calls.status(_model(model)))

    async def reload_config(self, config: wire.ModelServerConfig) -> None:
        """As `Client.reload_config`."""
        return await self.send(calls.reload_config(config))

    async def close(self) -> None:
        await self._channel.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()
