"""Spans for OpenTelemetry, where the extra `otel` is installed and tracing is switched on; else nothing, at no cost."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

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


def request_span(name: str, headers: Mapping[str, str]) -> AbstractContextManager[Any]:
    """A whole request; a child of the client's span if `headers` carry a `traceparent`."""
    if _tracer is None:
        return _OFF
    from opentelemetry.propagate import extract
    from opentelemetry.trace import SpanKind

    span: AbstractContextManager[Any] = _tracer.start_as_current_span(
        name, context=extract(headers), kind=SpanKind.SERVER
    )
    return span
