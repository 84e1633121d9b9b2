"""Spans of a running server, as a collector receives them."""

import gzip
import io
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import numpy as np
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.fronts import one_front
from tests.support.rest import send_request
from tests.support.server import RunningServer
from tfx_export import wire
from tfx_export.client import Model, calls
from tfx_export.savedmodel import tensor

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def collector() -> Iterator[tuple[str, list[Span]]]:
    """The endpoint of a collector, and the spans that it has received."""
    spans: list[Span] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", spans
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
def test_a_request_is_a_trace(
    collector: tuple[str, list[Span]], served_models: Path, tmp_path: Path, start_server: Callable[..., RunningServer]
) -> None:
    endpoint, spans = collector
    (tmp_path / "batching").write_text("batch_timeout_micros { value: 1000 }")
    server = start_server(
        f"--model_base_path={served_models}/plus",
        "--model_name=plus",
        f"--otlp_endpoint={endpoint}",
        "--enable_batching",
        f"--batching_parameters_file={tmp_path / 'batching'}",
    )
    call = calls.predict(calls.Model("plus"), {"x": np.ones(1, np.float32)})
    bad = calls.predict(calls.Model("plus"), {"y": np.ones(1, np.float32)})
    with grpc.insecure_channel(server.grpc) as channel:
        send = channel.unary_unary(call.path, wire.PredictRequest.SerializeToString, wire.PredictResponse.FromString)
        send(call.request, metadata=[("traceparent", f"00-{TRACE}-{PARENT}-01")], timeout=30)
        with pytest.raises(grpc.RpcError):
            send(bad.request, timeout=30)
    assert server.stop() == 0

    traced = {span.name: span for span in spans if span.trace_id.hex() == TRACE}
    assert traced.keys() == {"GRPC Predict", "decode", "queue", "run", "encode"}
    whole = traced["GRPC Predict"]
    assert whole.parent_span_id.hex() == PARENT
    attributes = {pair.key: pair.value.string_value or pair.value.int_value for pair in whole.attributes}
    assert {key: attributes[key] for key in ("model", "version", "signature", "code")} == {
        "model": "plus",
        "version": 4,
        "signature": "serving_default",
        "code": "OK",
    }
    assert traced["decode"].parent_span_id == traced["run"].parent_span_id == whole.span_id
    assert traced["queue"].parent_span_id == traced["run"].span_id
    (failed,) = [span for span in spans if span.name == "GRPC Predict" and span.trace_id.hex() != TRACE]
    assert failed.status.code == failed.status.STATUS_CODE_ERROR
    assert "input" in failed.status.message


@pytest.mark.slow
@one_front
def test_every_api_has_spans_of_its_parts(
    collector: tuple[str, list[Span]], served_models: Path, tmp_path: Path, start_server: Callable[..., RunningServer]
) -> None:
    endpoint, spans = collector
    for name in ("words", "plus"):
        shutil.copytree(served_models / name, tmp_path / name)
    server = start_server(str(tmp_path), f"--otlp_endpoint={endpoint}")
    path, examples = "/v1/models/words", [{"word": "apple"}]
    request = wire.PredictRequest()
    request.inputs["word"].CopyFrom(tensor.encode(np.array([b"apple"], np.object_)))
    multi = wire.MultiInferenceRequest()
    for name in ("classify", "regress"):
        task = multi.tasks.add(method_name=f"tensorflow/serving/{name}")
        task.model_spec.name, task.model_spec.signature_name = "words", name
    multi.input.example_list.examples.add().features.feature["word"].bytes_list.value.append(b"apple")
    with server.client as client, grpc.insecure_channel(server.grpc) as channel:
        client.predict("words", {"word": np.array([b"apple"], np.object_)})
        client.classify(Model("words", signature="classify"), examples)
        client.regress(Model("words", signature="regress"), examples)
        channel.unary_unary("/tensorflow.serving.PredictionService/MultiInference")(multi.SerializeToString())
    assert server.post(f"{path}:predict", {"instances": ["apple"]}).status == 200
    for name in ("classify", "regress"):
        body = {"signature_name": name, "examples": examples}
        assert server.post(f"{path}:{name}", body).status == 200
    protobuf = send_request(
        server.rest, "POST", f"{path}:predict", request.SerializeToString(), content_type="application/x-protobuf"
    )
    assert protobuf.status == 200
    npy = npy_bytes(np.ones(2, np.float32))
    assert server.request("POST", "/v1/models/plus:predict", npy, content_type="application/x-npy").status == 200
    assert server.stop() == 0

    traces: dict[bytes, list[str]] = {}
    for span in sorted(spans, key=lambda span: span.end_time_unix_nano):
        traces.setdefault(span.trace_id, []).append(span.name)
    parts = {tuple(sorted(names[:-1])) for names in traces.values() if names[-1] != "GRPC MultiInference"}
    assert parts == {("decode", "encode", "run")}
    assert [sorted(names) for names in traces.values() if "GRPC MultiInference" in names] == [
        ["GRPC MultiInference", "decode", "encode", "run", "run"]
    ]
    assert len(traces) == 9


def npy_bytes(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()
