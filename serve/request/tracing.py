"""OpenTelemetry spans, if tracing is switched on (with the extra `otel`). Otherwise it costs nothing."""

from collections.abc import Awaitable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from serve.errors import Code, ServeError
from serve.request.call_record import CallRecord

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

T = TypeVar("T")

_OFF: AbstractContextManager[None] = nullcontext()

# Creates spans; None if tracing is off. Code that runs for every request checks this before it calls a function here.
tracer: Any = None
_provider: "TracerProvider | None" = None


def setup(endpoint: str) -> None:
    """Sends spans to the OTLP collector at `endpoint` (`http://localhost:4318`). INVALID_ARGUMENT without the extra."""
    global _provider, tracer
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
    tracer = provider.get_tracer("serve")


def flush() -> None:
    """Sends the spans that have not been sent. Blocks for at most 3 seconds."""
    if _provider is not None:
        _provider.force_flush(timeout_millis=3000)


def span(name: str) -> AbstractContextManager[object]:
    """Returns a context manager: a span of the current request around the block."""
    return _OFF if tracer is None else tracer.start_as_current_span(name)


def record_span(name: str, began: int) -> None:
    """Records a span that ends now and began at `began`, in nanoseconds of time.time_ns(). Only if tracing is on."""
    tracer.start_span(name, start_time=began).end()


def start_span(name: str) -> "Span":
    """Starts a span of the current request. The caller ends it with `end()`. Only if tracing is on."""
    started: Span = tracer.start_span(name)
    return started


async def traced(name: str, work: Awaitable[T]) -> T:
    """Awaits `work` in a span of the current request, which may have child spans. Only if tracing is on."""
    with tracer.start_as_current_span(name):
        return await work


def request_span(call: CallRecord, traceparent: str | None) -> AbstractContextManager["Span"]:
    """Returns the span of a whole request, a child of the client's span if there is one."""
    from opentelemetry.propagate import extract
    from opentelemetry.trace import SpanKind

    parent = extract({"traceparent": traceparent} if traceparent else {})
    found: AbstractContextManager[Span] = tracer.start_as_current_span(
        f"{call.entrypoint} {call.api}".strip(), context=parent, kind=SpanKind.SERVER
    )
    return found


def record_outcome(call: CallRecord) -> None:
    """Sets the outcome of the request on its span, which is the current span."""
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
