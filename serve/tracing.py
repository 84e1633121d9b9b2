"""Spans for OpenTelemetry, where the extra `otel` is installed and tracing is switched on; else nothing, at no cost."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from serve.call import Call
from serve.errors import Code, ServeError

_OFF: AbstractContextManager[None] = nullcontext()
_tracer: Any = None
_provider: Any = None


def setup(endpoint: str) -> None:
    """Send spans to the OTLP collector at `endpoint` (`http://localhost:4318`). INVALID_ARGUMENT without the extra."""
    global _provider
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ServeError(
            Code.INVALID_ARGUMENT, f"--otlp_endpoint needs OpenTelemetry ({error}): pip install 'tfx-export[otel]'"
        ) from None
    provider = TracerProvider(resource=Resource.create({"service.name": "tfx-export-serve"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")))
    trace.set_tracer_provider(provider)
    _provider = provider
    use(provider.get_tracer("serve"))


def use(tracer: Any) -> None:
    """Make spans with `tracer`; None makes none."""
    global _tracer
    _tracer = tracer


def flush() -> None:
    """Send the spans that have not been sent. Blocking, for some seconds at most."""
    if _provider is not None:
        _provider.force_flush(timeout_millis=3000)


def span(name: str) -> AbstractContextManager[Any]:
    """A part of the current request: decode, queue, run, encode."""
    return _OFF if _tracer is None else _tracer.start_as_current_span(name)


def begin(name: str) -> "Ended":
    """A part of the current request that ends elsewhere: by `end()`, once, on what this returns."""
    if _tracer is None:
        return _NOTHING
    started: Ended = _tracer.start_span(name)
    return started


def request_span(call: Call, traceparent: str | None) -> AbstractContextManager[Any] | None:
    """A whole request, a child of the client's span if there is one; None where tracing is off."""
    if _tracer is None:
        return None
    from opentelemetry.propagate import extract
    from opentelemetry.trace import SpanKind

    parent = extract({"traceparent": traceparent} if traceparent else {})
    found: AbstractContextManager[Any] = _tracer.start_as_current_span(
        f"{call.entrypoint} {call.api}".strip(), context=parent, kind=SpanKind.SERVER
    )
    return found


def describe(call: Call) -> None:
    """Write on the span of the current request, which is the current span, what became of it."""
    from opentelemetry.trace import StatusCode, get_current_span

    span = get_current_span()
    span.set_attributes(
        {
            "model": call.model,
            "version": call.version or 0,
            "signature": call.signature,
            "code": call.code.name,
            "request_id": call.request_id,
        }
    )
    if call.code is not Code.OK:
        span.set_status(StatusCode.ERROR, call.message)


class Ended(Protocol):
    """What `begin` returns."""

    def end(self) -> None: ...


class _Nothing:
    def end(self) -> None:
        pass


_NOTHING = _Nothing()
