"""CallRecord: what is known of one request on its way through the server. Logs, metrics and traces read it."""

import random
import time
from collections.abc import Callable
from contextvars import ContextVar

from serve import metrics
from serve.errors import Code

MAX_REQUEST_ID = 128
_OK = Code.OK.name


class CallRecord:
    """Made where a request enters; the layers below fill in what they learn."""

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
        """`entrypoint`: GRPC or REST. `api`: Predict, Classify, ... or, over REST as upstream, predict, classify, ...

        `given_id`: the client's x-request-id. `peer`: asked only if the call is logged.
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
        """The client's request id if it is fit to be printed and sent back, else one of our own."""
        # To be found again in a log, not to be kept secret: the kernel need not be asked.
        self._request_id = self._request_id or f"{random.getrandbits(64):016x}"
        return self._request_id

    @property
    def micros(self) -> float:
        """Microseconds since the request came in."""
        return (time.perf_counter() - self.started) * 1e6

    def failed(self, code: Code, message: str) -> None:
        self.code = code
        self.message = message

    def record(self, counted: bool) -> None:
        """Enter the finished call into the metrics. `counted`: upstream counts calls of this kind."""
        succeeded = self.code is Code.OK
        # An enumeration's member takes long to tell its name.
        code = _OK if succeeded else self.code.name
        if counted:
            metrics.request_count[self.model, code].add()
        if not succeeded:
            metrics.errors.add(self.model, self.signature, self.api, self.entrypoint, code)
        elif counted:
            metrics.request_latency[self.model, self.api, self.entrypoint].observe(
                (time.perf_counter() - self.started) * 1e6
            )


# The call being answered by the running task; None outside of requests.
CURRENT: ContextVar[CallRecord | None] = ContextVar("call", default=None)


def _printable(given_id: str) -> bool:
    return len(given_id) <= MAX_REQUEST_ID and given_id.isascii() and given_id.isprintable()
