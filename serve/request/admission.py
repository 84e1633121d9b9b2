"""Admission: the checks and records common to all requests, over any protocol and front.

Before: tokens, the limit on concurrent requests, the deadline. After: metrics, the access log, the trace.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import TypeAlias

from serve import metrics
from serve.config import Config
from serve.errors import Code, ServeError, from_unexpected
from serve.request import tracing
from serve.request.auth import Tokens
from serve.request.call_record import CURRENT, CallRecord
from serve.request.deadline import Deadline, DeadlineTimer

logger = logging.getLogger("serve.access")

# How many characters of an error message are logged: it may quote the request.
MAX_LOGGED = 1000
# Codes of failures that the server caused, not the client.
_SERVER_FAILURES = frozenset({Code.INTERNAL, Code.UNKNOWN, Code.DATA_LOSS})

# Returns the value of a request header, given its name in lower case; None if the request has no such header.
Header: TypeAlias = Callable[[str], str | None]


class Admission:
    """One per process, so that the limit on concurrent requests covers both protocols."""

    def __init__(self, config: Config) -> None:
        """Raises INVALID_ARGUMENT if the token file cannot be used."""
        self._tokens = Tokens(config.auth_token_file) if config.auth_token_file else None
        self._limit = config.max_concurrent_requests
        self.in_flight = {entrypoint: metrics.in_flight[(entrypoint,)] for entrypoint in ("GRPC", "REST")}
        self.log_all = config.access_log
        # `with admission.deadline(seconds)` raises DEADLINE_EXCEEDED if the block takes longer; 0 means no limit.
        self.deadline = partial(Deadline, DeadlineTimer())
        # `with admission.request_context(call, header, counted=...)`: see RequestContext.
        self.request_context = partial(RequestContext, self)

    def authorize(self, header: Header) -> None:
        """Raises UNAUTHENTICATED unless the token is valid or the server requires none."""
        if self._tokens is not None:
            self._tokens.check(header("authorization"))

    def admit(self) -> None:
        """Raises RESOURCE_EXHAUSTED if too many requests are in flight. Call it inside the RequestContext."""
        if self._limit and self.in_flight["GRPC"].value + self.in_flight["REST"].value > self._limit:
            raise ServeError(
                Code.RESOURCE_EXHAUSTED,
                f"{self._limit} requests are being answered already (--max_concurrent_requests); try again later",
            )


class RequestContext:
    """A context manager around the handling of one request.

    Inside, the call is the current one and counts as in flight; the exit records its outcome. A ServeError that passes
    through is that outcome. Any other exception is a bug: it is logged with its traceback; the client gets INTERNAL.
    """

    __slots__ = ("_call", "_cell", "_counted", "_log", "_span", "_token")

    def __init__(self, admission: Admission, call: CallRecord, header: Header, *, counted: bool) -> None:
        """`counted`: whether upstream's metrics count calls of this kind."""
        self._call = call
        self._cell = admission.in_flight[call.entrypoint]
        self._counted = counted
        self._log = admission.log_all
        self._span: AbstractContextManager[object] | None = (
            tracing.request_span(call, header("traceparent")) if tracing.tracer else None
        )

    def __enter__(self) -> CallRecord:
        # No lock is needed, here and in __exit__: both run only on the event loop.
        self._cell.value += 1
        self._token = CURRENT.set(self._call)
        if self._span is not None:
            self._span.__enter__()
        return self._call

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                failure = _outcome(error, self._call.api)
                self._call.failed(failure.code, failure.message)
                if failure is not error and isinstance(error, Exception):
                    raise failure from None
        finally:
            self._cell.value -= 1
            self._call.record(self._counted)
            if self._log or self._call.code in _SERVER_FAILURES:
                _log(self._call)
            if self._span is not None:
                tracing.record_outcome(self._call)
                self._span.__exit__(None, None, None)
            CURRENT.reset(self._token)


def _outcome(error: BaseException, api: str) -> ServeError:
    match error:
        case ServeError():
            return error
        case asyncio.CancelledError():
            return ServeError(Code.CANCELLED, "The client went away")
        case _:
            return from_unexpected(error, api)


def _log(call: CallRecord) -> None:
    version = f"/{call.version}" if call.version is not None else ""
    logger.log(
        logging.WARNING if call.code in _SERVER_FAILURES else logging.INFO,
        "%s %s %s%s %s %.1f ms%s",
        call.entrypoint,
        call.api,
        call.model or "-",
        version,
        call.code.name,
        call.micros / 1e3,
        f" {call.message[:MAX_LOGGED]}" if call.message else "",
        extra={
            "entrypoint": call.entrypoint,
            "api": call.api,
            "model": call.model,
            "version": call.version,
            "signature": call.signature,
            "code": call.code.name,
            "millis": round(call.micros / 1e3, 3),
            "peer": call.peer(),
        },
    )
