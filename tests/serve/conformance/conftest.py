"""Clients of the shared servers for every protocol."""

from collections.abc import Callable

import pytest

from tests.support.example_protocols import ExampleClient, GrpcExampleClient, RestExampleClient
from tests.support.protocols import GrpcClient, JsonClient, NpyClient, PredictClient, ProtobufClient
from tests.support.server import Server

PREDICT_CLIENTS: dict[str, Callable[[Server], PredictClient]] = {
    "grpc-values": lambda server: GrpcClient(server, as_content=False),
    "grpc-content": lambda server: GrpcClient(server, as_content=True),
    "json-rows": lambda server: JsonClient(server, row_format=True),
    "json-columns": lambda server: JsonClient(server, row_format=False),
    "rest-protobuf": ProtobufClient,
    "rest-npy": NpyClient,
}


@pytest.fixture(scope="package", params=list(PREDICT_CLIENTS))
def predict_client(request: pytest.FixtureRequest, any_server: Server) -> PredictClient:
    return PREDICT_CLIENTS[request.param](any_server)


@pytest.fixture(scope="package")
def grpc_examples(any_server: Server) -> GrpcExampleClient:
    return GrpcExampleClient(any_server)


@pytest.fixture(scope="package", params=[GrpcExampleClient, RestExampleClient])
def examples(request: pytest.FixtureRequest, any_server: Server) -> ExampleClient:
    client: ExampleClient = request.param(any_server)
    return client
