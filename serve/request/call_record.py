"""CallRecord: the facts about one request that logs, metrics and traces need."""

import random
import time
from collections.abc import Callable
from contextvars import ContextVar

from serve import metrics
from serve.errors import Code

MAX_REQUEST_ID = 128
_OK = Code.OK.name


class CallRecord:
    """Created where a request enters the server; the layers below fill in the model, signature and version."""

    __slots__ = (
        "_request_id",
        "api",
        "code",
        "entrypoint",
        "message",
        "model",
        "peer",
        "signature",
        "started",
        "version",
    )

    def __init__(self, entrypoint: str, api: str, given_id: str | None, peer: Callable[[], str]) -> None:
        """`entrypoint` is GRPC or REST. `api` is Predict, Classify, ..., over REST in lower case as upstream.

        `given_id` is the client's x-request-id. `peer` returns its address, and is called only if the call is logged.
        """
        self.entrypoint = entrypoint
        self.api = api
        self.peer = peer
        self.model = ""
        self.signature = ""
        self.version: int | None = None
        self.code = Code.OK
        self.message = ""
        self.started = time.perf_counter()
        self._request_id = given_id if given_id and _printable(given_id) else ""

    @property
    def request_id(self) -> str:
        """The client's request id if it is short and printable, otherwise a generated one."""
        # An id is not a secret, so it needs no randomness from the kernel.
        self._request_id = self._request_id or f"{random.getrandbits(64):016x}"
        return self._request_id

    @property
    def micros(self) -> float:
        """Microseconds since the request arrived."""
        return (time.perf_counter() - self.started) * 1e6

    def failed(self, code: Code, message: str) -> None:
        self.code = code
        self.message = message

    def record(self, counted: bool) -> None:
        """Records the finished call in the metrics. `counted`: whether upstream's metrics count calls of this kind."""
        succeeded = self.code is Code.OK
        # Looking up the name of an enum member is slow.
        code = _OK if succeeded else self.code.name
        if counted:
            metrics.request_count[self.model, code].add()
        if not succeeded:
            metrics.errors.add(self.model, self.signature, self.api, self.entrypoint, code)
        elif counted:
            metrics.request_latency[self.model, self.api, self.entrypoint].observe(
                (time.perf_counter() - self.started) * 1e6
            )


# The call that the running task answers; None outside of requests.
CURRENT: ContextVar[CallRecord | None] = ContextVar("call", default=None)


def _printable(given_id: str) -> bool:
    return len(given_id) <= MAX_REQUEST_ID and given_id.isascii() and given_id.isprintable()
