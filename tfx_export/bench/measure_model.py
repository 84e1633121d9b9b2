"""The user's own model: each engine and front beside a server that only echoes, and beside the plain signature."""

import base64
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from tfx_export import wire
from tfx_export.bench.comparison import Comparison, in_turn
from tfx_export.bench.echo_server import echo_server
from tfx_export.bench.plain_signature import plain_signature_ms
from tfx_export.client import Client
from tfx_export.load.generator import PREDICT, Load, Measured, measure
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
    """Measure the version folder `version`, a row of it a request. Raises TfxExportError."""
    with tempfile.TemporaryDirectory(prefix="tfx-export-bench-") as name:
        folder = Path(name)
        (folder / MODEL).mkdir()
        (folder / MODEL / "1").symlink_to(version.absolute(), target_is_directory=True)
        for engine in engines:
            for front in FRONTS:
                step(f"Measuring {engine}, {front} front")
                with ExitStack() as stack:
                    server = stack.enter_context(_server(folder, engine, front))
                    request, body = _requests(server, folder, version, signature, probe)
                    echo = stack.enter_context(echo_server())
                    yield from _rates(server, echo, request, body, f"{engine}, {front}", clients, seconds, rounds)
                    if front == FRONTS[0]:
                        yield _latency(server, version, request, engine, seconds, rounds)


def _server(folder: Path, engine: str, front: str) -> Any:
    flags = f"--model_base_path={folder / MODEL}", f"--model_name={MODEL}", f"--engine={engine}", f"--front={front}"
    return running_server(folder, *flags, "--port=auto", "--rest_api_port=auto", "--max_num_load_retries=0")


def _requests(server: Server, folder: Path, version: Path, signature: str, probe: Path | None) -> tuple[Path, Path]:
    """Files with one request, for each protocol."""
    message, body = folder / "request", folder / "request.json"
    if not message.exists():
        with Client(server.grpc) as client:
            message.write_bytes(acceptable_requests(client, MODEL, version, signature, probe)[0])
        request = wire.PredictRequest.FromString(message.read_bytes())
        inputs = {name: _plain(decode(tensor)) for name, tensor in request.inputs.items()}
        body.write_text(json.dumps({"signature_name": request.model_spec.signature_name, "inputs": inputs}))
    return message, body


def _plain(array: np.ndarray) -> Any:
    if array.dtype != object:
        return array.tolist()
    return [_plain(row) for row in array] if array.ndim else {"b64": base64.b64encode(array.item()).decode()}


def _rates(
    server: Server, echo: str, request: Path, body: Path, name: str, clients: int, seconds: float, rounds: int
) -> Iterator[Comparison]:
    connections = min(4, clients)

    def grpc(address: str) -> Measured:
        return measure(Load("grpc", address, PREDICT, str(request), connections, clients // connections, seconds))

    def rest() -> Measured:
        return measure(Load("rest", server.rest, f"/v1/models/{MODEL}:predict", str(body), clients, 1, seconds))

    over_grpc, over_rest, echoed = in_turn(
        rounds, lambda: grpc(server.grpc).rate, lambda: rest().rate, lambda: grpc(echo).rate
    )
    yield Comparison(f"gRPC, {name}, {clients} clients", "grpc.aio echo", "requests/s", over_grpc, echoed)
    yield Comparison(f"REST, {name}, {clients} clients", "grpc.aio echo", "requests/s", over_rest, echoed)


def _latency(server: Server, version: Path, request: Path, engine: str, seconds: float, rounds: int) -> Comparison:
    load = Load("grpc", server.grpc, PREDICT, str(request), 1, 1, seconds)
    served, plain = in_turn(
        rounds, lambda: measure(load).median_ms, lambda: plain_signature_ms(version, request, seconds)
    )
    return Comparison(f"gRPC, {engine}, one client", "plain signature in process", "ms", served, plain, at_least=False)
