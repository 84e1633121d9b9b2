"""RayCall: the `serve.transport.grpc.CallContext` of a call that came through Ray's proxy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import grpc

from serve.errors import ServeError
from serve.transport.grpc.method import status_message

if TYPE_CHECKING:
    from ray.serve.grpc_util import RayServegRPCContext

_STATUS: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


class RayCall:
    """Wraps Ray's gRPC context, which travels to the replica with the request and back with the response."""

    def __init__(self, context: "RayServegRPCContext") -> None:
        self._context = context

    def time_remaining(self) -> float | None:
        """Returns None: the proxy handles the client's deadline, and cancels the call when it has passed."""
        return None

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]]:
        metadata: Sequence[tuple[str, str | bytes]] = self._context.invocation_metadata()
        return metadata

    def set_trailing_metadata(self, trailing_metadata: tuple[tuple[str, str], ...]) -> None:
        self._context.set_trailing_metadata(list(trailing_metadata))

    def peer(self) -> str:
        return str(self._context.peer())

    def fail(self, error: ServeError) -> None:
        """Sets the status that the client gets."""
        self._context.set_code(_STATUS[error.code])
        self._context.set_details(status_message(error))
