"""One server of all test models for each front, and every way to ask it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.example_protocols import ExampleAsker, GrpcExamples, RestExamples
from tests.support.protocols import Asker, GrpcAsker, JsonAsker, NpyAsker, ProtobufAsker
from tests.support.server import RunningServer, running

ASKERS: dict[str, Callable[[RunningServer], Asker]] = {
    "grpc-values": lambda server: GrpcAsker(server, as_content=False),
    "grpc-content": lambda server: GrpcAsker(server, as_content=True),
    "json-rows": lambda server: JsonAsker(server, row_format=True),
    "json-columns": lambda server: JsonAsker(server, row_format=False),
    "rest-protobuf": ProtobufAsker,
    "rest-npy": NpyAsker,
}


@pytest.fixture(scope="package")
def models(served_models: Path, built: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("conformance") / "models"
    for source in (served_models, built("tests.support.echo_models"), built("tests.support.rated_models")):
        shutil.copytree(source, folder, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="package")
def conforming(front: str, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("server"), f"--model_base_path={models}", f"--front={front}") as server:
        yield server


@pytest.fixture(scope="package", params=list(ASKERS))
def asker(request: pytest.FixtureRequest, conforming: RunningServer) -> Asker:
    return ASKERS[request.param](conforming)


@pytest.fixture(scope="package")
def grpc_examples(conforming: RunningServer) -> GrpcExamples:
    return GrpcExamples(conforming)


@pytest.fixture(scope="package", params=[GrpcExamples, RestExamples])
def examples(request: pytest.FixtureRequest, conforming: RunningServer) -> ExampleAsker:
    asker: ExampleAsker = request.param(conforming)
    return asker
