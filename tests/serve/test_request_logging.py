"""`logging_config` in a config file: the files that a running server writes, and their replay."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.command_line import tfx_export
from tests.support.fronts import in_memory_only, memory_and_native
from tests.support.server import RunningServer, Server, wait_until
from tfx_export import wire
from tfx_export.client import Model, ServerError
from tfx_export.savedmodel import tensor
from tfx_export.wire.tfrecord import read_records

StartServer = Callable[..., RunningServer]


def config(served_models: Path, prefix: Path, *, rate: float = 1.0, collector: str = "") -> str:
    def model(name: str, extra: str = "") -> str:
        return f'config {{ name: "{name}" base_path: "{served_models}/{name}" model_platform: "tensorflow" {extra} }}'

    logging = (
        f'logging_config {{ log_collector_config {{ type: "{collector}" filename_prefix: "{prefix}" }} '
        f"sampling_config {{ sampling_rate: {rate} }} }}"
    )
    return f"model_config_list {{ {model('words', logging)} {model('plus')} }}"


def records(folder: Path) -> list[wire.PredictionLog]:
    return [wire.PredictionLog.FromString(data) for path in sorted(folder.iterdir()) for data in read_records(path)]


def test_requests_are_logged_and_replayed(
    served_models: Path, tmp_path: Path, start_server: StartServer, server: RunningServer
) -> None:
    logs = tmp_path / "logs"
    file = tmp_path / "models.config"
    file.write_text(config(served_models, logs / "words"))
    logging = start_server(f"--model_config_file={file}")
    with logging.client as client:
        client.predict("words", {"word": np.array([b"banana"], object)}, ["price"])
        client.predict("plus", {"x": np.ones(1, np.float32)})
        client.classify(Model("words", signature="classify"), [{"word": "apple"}])
        client.regress(Model("words", signature="regress"), [{"word": "cherry", "times": 2.0}])
    assert logging.stop() == 0
    predicted, classified, regressed = records(logs)
    request, response = predicted.predict_log.request, predicted.predict_log.response
    assert predicted.log_metadata.model_spec.version.value == 1
    assert tensor.decode(request.inputs["word"]).tolist() == [b"banana"]
    assert list(request.output_filter) == ["price"]
    assert tensor.decode(response.outputs["price"]).tolist() == [2.0]
    assert classified.classify_log.response.result.classifications[0].classes[0].score == 1.0
    example = regressed.regress_log.request.input.example_list.examples[0]
    assert example.features.feature["word"].bytes_list.value == [b"cherry"]
    assert regressed.regress_log.response.result.regressions[0].value == 6.0

    (log,) = logs.iterdir()
    assert tfx_export("replay", log, "--server", server.grpc).stdout.startswith("3 requests: 3 equal")


@memory_and_native
def test_a_reload_changes_what_is_logged(
    served_models: Path, tmp_path: Path, start_any_server: Callable[..., Server]
) -> None:
    logs = tmp_path / "logs"
    file = tmp_path / "models.config"
    file.write_text(config(served_models, logs / "words", rate=0.0))
    server = start_any_server(f"--model_config_file={file}")
    wanted = wire.parse_text(wire.ModelServerConfig, config(served_models, logs / "words"))
    with server.client as client:
        client.predict("words", {"word": np.array([b"apple"], object)})
        client.reload_config(wanted)
        client.predict("words", {"word": np.array([b"cherry"], object)})
    wait_until(lambda: logs.exists() and bool(records(logs)))
    (only,) = records(logs)
    assert tensor.decode(only.predict_log.request.inputs["word"]).tolist() == [b"cherry"]


@in_memory_only
def test_an_unsupported_config_is_rejected(
    served_models: Path, tmp_path: Path, start_any_server: Callable[..., Server]
) -> None:
    file = tmp_path / "models.config"
    file.write_text(config(served_models, tmp_path / "words"))
    server = start_any_server(f"--model_config_file={file}")
    bad = wire.parse_text(wire.ModelServerConfig, config(served_models, tmp_path / "words", collector="kafka"))
    with server.client as client:
        with pytest.raises(ServerError, match='"kafka" is not known') as caught:
            client.reload_config(bad)
        assert caught.value.code == "INVALID_ARGUMENT"
        client.predict("words", {"word": np.array([b"apple"], object)})
