"""`tfx-export predict` and `tfx-export status` with a real server."""

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from tests.support.command_line import tfx_export
from tests.support.fronts import one_front
from tests.support.server import RunningServer
from tests.support.terminal import on_a_terminal
from tfx_export import wire


@pytest.fixture
def column(tmp_path: Path) -> Path:
    path = tmp_path / "x.npy"
    np.save(path, np.array([[1.0], [2.0]], np.float32))
    return path


def rows(tmp_path: Path, document: object) -> Path:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(document))
    return path


@one_front
def test_inputs_are_read_from_npy_files(server: RunningServer, column: Path) -> None:
    done = tfx_export("predict", "half_plus_two", "--server", server.grpc, "--inputs", f"x={column}")
    assert json.loads(done.stdout) == {"outputs": {"y": [[2.5], [3.0]]}}


@one_front
def test_an_input_can_be_one_array_of_an_npz_archive(server: RunningServer, tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", a=np.zeros(1, np.float32), b=np.full(1, 8, np.float32))
    arguments = ("--signature", "vector", "--inputs", f"x={tmp_path}/all.npz[b]")
    done = tfx_export("predict", "half_plus_two", "--server", server.grpc, *arguments)
    assert json.loads(done.stdout)["outputs"] == {"y": [6.0], "x2": [16.0]}


@pytest.mark.parametrize(
    ("model", "options", "document", "predictions"),
    [
        ("half_plus_two", [], [[1.0], [2]], [[2.5], [3.0]]),
        ("half_plus_two", [], {"instances": [{"x": [1.0]}]}, [[2.5]]),
        ("half_plus_two", ["--signature", "vector"], [2.0], [{"x2": 4.0, "y": 3.0}]),
        ("plus", ["--version", "4"], [1.0], [5.0]),
        (
            "words",
            [],
            ["banana", {"b64": base64.b64encode(b"\xff").decode()}],
            [
                {"price": 2.0, "length": 6, "echo_bytes": "banana"},
                {"price": 0.0, "length": 1, "echo_bytes": {"b64": base64.b64encode(b"\xff").decode()}},
            ],
        ),
    ],
)
@one_front
def test_instances_are_rows_in_a_json_file(
    server: RunningServer, tmp_path: Path, model: str, options: list[str], document: object, predictions: object
) -> None:
    file = rows(tmp_path, document)
    done = tfx_export("predict", model, "--server", server.grpc, "--instances", file, *options)
    assert json.loads(done.stdout) == {"predictions": predictions}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["half_plus_two"], 2, "Give either --inputs NAME=FILE or --instances FILE."),
        (["half_plus_two", "--inputs", "x"], 2, "takes NAME=FILE"),
        (["half_plus_two", "--inputs", "x=none.npy"], 2, "none.npy: No such file"),
        (["half_plus_two", "--instances", "none.json"], 2, "none.json: No such file"),
        (["half_plus_two", "--version", "1", "--label", "a", "--instances", "{rows}"], 2, "not both"),
        (["nothing", "--instances", "{rows}"], 6, "NOT_FOUND: Servable not found"),
        (["half_plus_two", "--signature", "none", "--instances", "{rows}"], 2, "It has: serving_default, vector"),
        (["words", "--signature", "none", "--instances", "{rows}"], 2, "words has no signature none"),
        (["defaulted", "--instances", "{rows}"], 2, "each row should be an object"),
        (["half_plus_two", "--instances", "{ragged}"], 2, "Input x is DT_FLOAT"),
        (["half_plus_two", "--instances", "{broken}"], 2, "is not JSON"),
        (["half_plus_two", "--instances", "{empty}"], 2, "should hold a list of rows"),
        (["half_plus_two", "--inputs", "x={pickle}"], 2, "is not a valid numpy file"),
    ],
)  # fmt: skip
@one_front
def test_an_invalid_request_gives_a_helpful_message(
    server: RunningServer, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    files = {"rows": "[[1.0]]", "ragged": "[[1.0], [[2.0]]]", "broken": "[1.0", "empty": "[]"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    np.save(tmp_path / "pickle.npy", np.array([{}], object), allow_pickle=True)
    places = {name: str(tmp_path / name) for name in files} | {"pickle": str(tmp_path / "pickle.npy")}
    filled = [argument.format(**places) for argument in arguments]
    assert message in tfx_export("predict", *filled, "--server", server.grpc, code=code).stderr


def test_an_unreachable_server_gives_exit_code_6() -> None:
    done = tfx_export("status", "mnist", "--server", "127.0.0.1:1", code=6)
    assert "UNAVAILABLE" in done.stderr


@one_front
def test_status_shows_versions_and_its_exit_code_shows_whether_one_is_available(server: RunningServer) -> None:
    done = tfx_export("status", "plus", "--server", server.grpc)
    assert re.fullmatch(r"plus/4  AVAILABLE  litert, .* MB, loaded in .*s\n", done.stdout)
    document = json.loads(tfx_export("status", "plus", "--server", server.grpc, "--json").stdout)
    (version,) = document["versions"]
    assert (document["model"], version["version"], version["state"], version["error"]) == ("plus", 4, "AVAILABLE", "")
    report = version["load_report"]
    assert report.keys() >= {"engine", "memory_bytes", "mapped_bytes", "load_seconds", "preparation"}
    assert isinstance(report["memory_bytes"], int)
    assert "NOT_FOUND" in tfx_export("status", "nothing", "--server", server.grpc, code=6).stderr


@one_front
@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (["--instances", "{rows}"], {"predictions": [[2.5]]}),
        (["--inputs", "x={column}"], {"outputs": [[2.5], [3.0]]}),
    ],
)
def test_predict_gives_the_same_result_over_rest(
    server: RunningServer, tmp_path: Path, column: Path, options: list[str], answer: object
) -> None:
    file = rows(tmp_path, [[1.0]])
    filled = [option.format(rows=file, column=column) for option in options]
    done = tfx_export("predict", "half_plus_two", "--rest", "--server", server.rest, *filled)
    assert json.loads(done.stdout) == answer


@one_front
def test_status_works_over_rest(server: RunningServer) -> None:
    over_rest = tfx_export("status", "plus", "--rest", "--server", server.rest, "--json")
    assert over_rest.stdout == tfx_export("status", "plus", "--server", server.grpc, "--json").stdout
    done = tfx_export("status", "nothing", "--rest", "--server", server.rest, code=6)
    assert "404: Could not find any versions of model nothing" in done.stderr


@one_front
def test_status_says_how_a_version_was_prepared_or_why_it_was_not(server: RunningServer) -> None:
    prepared = tfx_export("status", "image", "--server", server.grpc).stdout
    assert re.fullmatch(
        r"image/1  AVAILABLE  tensorflow, .* MB, loaded in .* \((.* to prepare|found prepared)\)\n", prepared
    )
    (line,) = tfx_export("status", "counter", "--server", server.grpc).stdout.splitlines()
    assert "served as it is, which is slower: a signature uses Assign" in line
    drawn = on_a_terminal("status", "counter", "--server", server.grpc)
    headings, row = drawn.splitlines()[:2]
    assert headings.split() == ["version", "state", "engine", "memory", "mapped", "load", "prepare"]
    assert row.strip().startswith("counter/1  AVAILABLE  tensorflow")
    assert row.endswith("as it is")
    assert "counter/1 is served as it is, which is slower: a signature uses Assign" in drawn


def stock_status(request: wire.GetModelStatusRequest, context: grpc.ServicerContext) -> wire.GetModelStatusResponse:
    response = wire.GetModelStatusResponse()
    response.model_version_status.add(version=2, state=50).status.error_message = "broken"
    response.model_version_status.add(version=1, state=30)
    return response


def stock_metadata(request: wire.GetModelMetadataRequest, context: grpc.ServicerContext) -> None:
    context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Metadata field {request.metadata_field[0]} is not supported")


def stock_service(service: str, method: str, handler: Callable[..., Any]) -> grpc.GenericRpcHandler:
    rpc = next(each for each in wire.SERVICES[service] if each.name == method)
    handlers = {
        method: grpc.unary_unary_rpc_method_handler(handler, rpc.request.FromString, rpc.response.SerializeToString)
    }
    return grpc.method_handlers_generic_handler(service, handlers)


class StockRest(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # the name that BaseHTTPRequestHandler calls
        known = self.path == "/v1/models/stock"
        status: list[Any] = [{"version": "2", "state": "END", "status": {"error_message": "broken"}}]
        status.append({"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}})
        body = {"model_version_status": status} if known else {"error": f"Malformed request: GET {self.path}"}
        self.send_response(200 if known else 400)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(params=["grpc", "rest"])
def stock_server(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """The options that connect to a server with the messages of TensorFlow Serving and without load reports."""
    if request.param == "rest":
        with ThreadingHTTPServer(("127.0.0.1", 0), StockRest) as rest:
            threading.Thread(target=rest.serve_forever, daemon=True).start()
            yield ["--rest", "--server", f"127.0.0.1:{rest.server_port}"]
            rest.shutdown()
        return
    with ThreadPoolExecutor(2) as pool:
        started = grpc.server(pool)
        models = stock_service("tensorflow.serving.ModelService", "GetModelStatus", stock_status)
        predictions = stock_service("tensorflow.serving.PredictionService", "GetModelMetadata", stock_metadata)
        started.add_generic_rpc_handlers((models, predictions))
        port = started.add_insecure_port("127.0.0.1:0")
        started.start()
        yield ["--server", f"127.0.0.1:{port}"]
        started.stop(None)


def test_status_of_tensorflow_serving_has_no_load_reports(stock_server: list[str]) -> None:
    assert tfx_export("status", "stock", *stock_server).stdout == "stock/2  END  broken\nstock/1  AVAILABLE\n"
    versions = json.loads(tfx_export("status", "stock", *stock_server, "--json").stdout)["versions"]
    assert versions[1] == {"version": 1, "state": "AVAILABLE", "error": ""}
    drawn = on_a_terminal("status", "stock", *stock_server)
    assert drawn.split() == ["version", "state", "stock/2", "END", "stock/1", "AVAILABLE", "stock/2:", "broken"]
