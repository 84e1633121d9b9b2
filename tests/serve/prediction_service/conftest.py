"""Stubs of tensorflow-serving-api for a server of all models."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from tests.support.server import Server


@pytest.fixture(scope="module")
def channel(any_server: Server) -> Iterator[grpc.Channel]:
    with any_server.channel() as opened:
        yield opened


@pytest.fixture(scope="module")
def predictions(channel: grpc.Channel) -> Any:
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def models(channel: grpc.Channel) -> Any:
    from tensorflow_serving.apis import model_service_pb2_grpc

    return model_service_pb2_grpc.ModelServiceStub(channel)
