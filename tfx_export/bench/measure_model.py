"""Measures a user's model with each engine and front, compared with the echo server and the plain signature."""

import base64
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import numpy as np

from tfx_export import wire
from tfx_export.bench.comparison import Comparison, in_turn
from tfx_export.bench.echo_server import echo_server
from tfx_export.bench.plain_signature import plain_signature_ms
from tfx_export.client import Client
from tfx_export.load.generator import PREDICT, Load, measure
from tfx_export.savedmodel.tensor import decode
from tfx_export.server_program import Server, running_server
from tfx_export.tuning.requests import acceptable_requests

MODEL = "model"
FRONTS = ("native", "python")


def measure_model(
    version: Path,
    engines: Sequence[str],
    *,
    signature: str,
    probe: Path | None,
    clients: int,
    seconds: float,
    rounds: int,
    step: Callable[[str], None],
) -> Iterator[Comparison]:
    """Measures the version folder `version` with requests of one row. Raises TfxExportError."""
    with tempfile.TemporaryDirectory(prefix="tfx-export-bench-") as name:
        folder = Path(name)
        (folder / MODEL).mkdir()
        (folder / MODEL / "1").symlink_to(version.absolute(), target_is_directory=True)
        message = b""
        for engine in engines:
            for front in FRONTS:
                step(f"Measuring {engine}, {front} front")
                with ExitStack() as stack:
                    server = stack.enter_context(_server(folder, engine, front))
                    if not message:
                        with Client(server.grpc) as client:
                            message = acceptable_requests(client, MODEL, version, signature, probe)[0]
                    echo = stack.enter_context(echo_server())
                    yield from _rates(server, echo, message, f"{engine}, {front}", clients, seconds, rounds)
                    if front == FRONTS[0]:
                        request = folder / "request"
                        request.write_bytes(message)
                        yield _latency(server, version, request, engine, seconds, rounds)


def _server(folder: Path, engine: str, front: str) -> AbstractContextManager[Server]:
    flags = f"--model_base_path={folder / MODEL}", f"--model_name={MODEL}", f"--engine={engine}", f"--front={front}"
    return running_server(folder, *flags, "--port=auto", "--rest_api_port=auto", "--max_num_load_retries=0")


def _rates(
    server: Server, echo: str, message: bytes, name: str, clients: int, seconds: float, rounds: int
) -> Iterator[Comparison]:
    body = _json_body(message)

    def grpc(address: str) -> float:
        return measure(Load("grpc", address, PREDICT, (message,), clients, seconds=seconds)).requests_per_second

    def rest() -> float:
        load = Load("rest", server.rest, f"/v1/models/{MODEL}:predict", (body,), clients, seconds=seconds)
        return measure(load).requests_per_second

    grpc_rates, rest_rates, echo_rates = in_turn(rounds, lambda: grpc(server.grpc), rest, lambda: grpc(echo))
    yield Comparison(f"gRPC, {name}, {clients} clients", "grpc.aio echo", "requests/s", grpc_rates, echo_rates)
    yield Comparison(f"REST, {name}, {clients} clients", "grpc.aio echo", "requests/s", rest_rates, echo_rates)


def _json_body(message: bytes) -> bytes:
    """Returns the body of the REST request that is equivalent to a serialized PredictRequest."""
    request = wire.PredictRequest.FromString(message)
    inputs = {name: _to_json(decode(tensor)) for name, tensor in request.inputs.items()}
    return json.dumps({"signature_name": request.model_spec.signature_name, "inputs": inputs}).encode()


def _to_json(array: np.ndarray) -> object:
    if array.dtype != object:
        return array.tolist()
    return [_to_json(row) for row in array] if array.ndim else {"b64": base64.b64encode(array.item()).decode()}


def _latency(server: Server, version: Path, request: Path, engine: str, seconds: float, rounds: int) -> Comparison:
    load = Load("grpc", server.grpc, PREDICT, (request.read_bytes(),), clients=1, seconds=seconds)
    served, plain = in_turn(rounds, lambda: measure(load).p50_ms, lambda: plain_signature_ms(version, request, seconds))
    return Comparison(f"gRPC, {engine}, one client", "plain signature in process", "ms", served, plain, at_least=False)
