"""Many models on one server: config files, reloads, labels, a watched folder."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import grpc
import numpy as np
import pytest

from tests.support.fronts import memory_and_native
from tests.support.server import PATIENCE, RunningServer, Server, publish, starting, wait_until
from tfx_export import wire
from tfx_export.client import Model, ServerError

X = {"x": np.array([1.0], np.float32)}
PLATFORM = 'model_platform: "tensorflow"'


def entry(name: str, base_path: Path, more: str = "") -> str:
    return f'config {{ name: "{name}" base_path: "{base_path}" {PLATFORM} {more} }}'


def config_of(*entries: str) -> str:
    return f"model_config_list {{ {' '.join(entries)} }}"


def reload(server: Server, config: str) -> tuple[str, str]:
    """Calls HandleReloadConfigRequest and returns code and message."""
    request = wire.ReloadConfigRequest(config=wire.parse_text(wire.ModelServerConfig, config))
    try:
        assert server_reload(server, request).status.error_code == 0
    except grpc.RpcError as error:
        return error.code().name, error.details()
    return "OK", ""


def server_reload(server: Server, request: wire.ReloadConfigRequest) -> wire.ReloadConfigResponse:
    with server.channel() as channel:
        call = channel.unary_unary(
            "/tensorflow.serving.ModelService/HandleReloadConfigRequest",
            request_serializer=wire.ReloadConfigRequest.SerializeToString,
            response_deserializer=wire.ReloadConfigResponse.FromString,
        )
        response: wire.ReloadConfigResponse = call(request, timeout=30)
    return response


def answers(server: Server, models: Mapping[str, Model]) -> dict[str, float]:
    with server.client as client:
        return {name: float(client.predict(model, X)["y"][0]) for name, model in models.items()}


@memory_and_native
def test_policies_and_labels_of_a_config_file(
    served_models: Path, start_any_server: Callable[..., Server], tmp_path: Path
) -> None:
    plus = served_models / "plus"
    file = tmp_path / "models.config"
    file.write_text(
        config_of(
            entry("newest", plus),
            entry("two", plus, "model_version_policy { latest { num_versions: 2 } }"),
            entry("every", plus, "model_version_policy { all {} }"),
            entry(
                "chosen",
                plus,
                "model_version_policy { specific { versions: 1 versions: 3 versions: 99 } } "
                'version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 3 }',
            ),
        )
    )
    flags = (f"--model_config_file={file}", "--num_load_threads=2")
    with starting(tmp_path, *flags) as (process, _, log):
        assert process.wait(PATIENCE) == 1
        assert (
            "Request to assign label to version 3 of model chosen, which is not currently available for inference"
            in log.read_text()
        )
    server = start_any_server(*flags, "--allow_version_labels_for_unavailable_models")
    assert server.states("newest") == {4: "AVAILABLE"}
    assert server.states("two") == {4: "AVAILABLE", 3: "AVAILABLE"}
    assert server.states("every") == dict.fromkeys((4, 3, 2, 1), "AVAILABLE")
    assert server.states("chosen") == {3: "AVAILABLE", 1: "AVAILABLE"}
    models = {
        "newest": Model("newest"),
        "older": Model("two", version=3),
        "first": Model("every", version=1),
        "stable": Model("chosen", label="stable"),
        "canary": Model("chosen", label="canary"),
    }
    assert answers(server, models) == {"newest": 5.0, "older": 4.0, "first": 2.0, "stable": 2.0, "canary": 4.0}
    with (
        server.client as client,
        pytest.raises(ServerError, match=r"Unrecognized servable version label: x\. .*canary, stable"),
    ):
        client.predict(Model("chosen", label="x"), X)


@memory_and_native
def test_reload_adds_removes_and_relabels_and_rejects_errors(
    served_models: Path, start_any_server: Callable[..., Server]
) -> None:
    plus, half = served_models / "plus", served_models / "half"
    server = start_any_server(f"--model_base_path={half}", "--model_name=half")
    every = "model_version_policy { all {} }"
    assert reload(server, config_of(entry("plus", plus, every), entry("half", half))) == ("OK", "")
    assert server.states("plus") == dict.fromkeys((4, 3, 2, 1), "AVAILABLE") or 4 in server.states("plus")
    wait_until(lambda: server.states("plus") == dict.fromkeys((4, 3, 2, 1), "AVAILABLE"))
    labelled = every + ' version_labels { key: "stable" value: %d }'
    assert reload(server, config_of(entry("plus", plus, labelled % 1))) == ("OK", "")
    assert answers(server, {"stable": Model("plus", label="stable")}) == {"stable": 2.0}
    wait_until(lambda: server.states("half") == {1: "END"})
    assert reload(server, config_of(entry("plus", plus, labelled % 2))) == ("OK", "")
    assert answers(server, {"stable": Model("plus", label="stable")}) == {"stable": 3.0}
    rejections = {
        entry("plus", plus, labelled % 9): "FAILED_PRECONDITION: Request to assign label to version 9 of model plus",
        entry("plus", plus) * 2: "INVALID_ARGUMENT: Illegal to list model plus multiple times in config list",
        entry("plus", Path("plus")): "INVALID_ARGUMENT: Expected model plus to have an absolute path or URI",
        f'config {{ name: "p" base_path: "{plus}" }}': "INVALID_ARGUMENT: Illegal setting neither ModelServerConfig",
        entry("p", plus, "model_type: TENSORFLOW"): "INVALID_ARGUMENT: Illegal setting both ModelServerConfig",
    }
    for config, expected in rejections.items():
        code, message = reload(server, config_of(config))
        assert f"{code}: {message}".startswith(expected)
        assert answers(server, {"stable": Model("plus", label="stable")}) == {"stable": 3.0}


@memory_and_native
def test_reload_reports_a_new_model_that_does_not_load_and_keeps_the_others(
    served_models: Path, start_any_server: Callable[..., Server], tmp_path: Path
) -> None:
    plus = served_models / "plus"
    server = start_any_server(str(plus))
    (tmp_path / "broken" / "1").mkdir(parents=True)
    code, message = reload(server, config_of(entry("plus", plus), entry("broken", tmp_path / "broken")))
    assert code == "UNKNOWN"
    assert message.startswith("1 model(s) did not become available: {name: broken version: 1} due to error: ")
    assert answers(server, {"plus": Model("plus")}) == {"plus": 5.0}


@memory_and_native
def test_reload_returns_the_growth_of_metrics(served_models: Path, start_any_server: Callable[..., Server]) -> None:
    server = start_any_server(f"--model_base_path={served_models / 'half'}", "--model_name=half")
    names = [":tensorflow:cc:saved_model:load_attempt_count", ":tensorflow:serving:request_latency", "no_such_metric"]
    config = config_of(entry("half", served_models / "half"), entry("plus", served_models / "plus"))
    request = wire.ReloadConfigRequest(config=wire.parse_text(wire.ModelServerConfig, config), metric_names=names)
    response = server_reload(server, request)
    grown = {metric.name: metric.int64_value_increase for metric in response.metric}
    assert sorted(grown) == sorted(names)
    assert grown["no_such_metric"] == grown[":tensorflow:serving:request_latency"] == 0


def test_a_changed_config_file_is_reloaded(
    served_models: Path, start_server: Callable[..., RunningServer], tmp_path: Path
) -> None:
    plus = served_models / "plus"
    file = tmp_path / "models.config"
    file.write_text(config_of(entry("a", plus)))
    server = start_server(f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=1")
    file.write_text("model_config_list {")
    wait_until(lambda: "Error parsing text-format tensorflow.serving.ModelServerConfig" in server.log.read_text())
    assert answers(server, {"a": Model("a")}) == {"a": 5.0}
    file.write_text(config_of(entry("b", plus)))
    wait_until(lambda: server.states("b") == {4: "AVAILABLE"} and server.states("a") == {4: "END"})


@pytest.mark.parametrize(
    "text", ["model_config_list {", "nonsense: 1", 'model_config_list { config { name: "m" x: 1 } }']
)
def test_a_bad_config_file_fails_the_start(tmp_path: Path, text: str) -> None:
    file = tmp_path / "models.config"
    file.write_text(text)
    with starting(tmp_path, f"--model_config_file={file}") as (process, _, log):
        assert process.wait(PATIENCE) == 1
        assert "Error parsing text-format tensorflow.serving.ModelServerConfig: 1:" in log.read_text()


@memory_and_native
def test_a_watched_folder_adds_and_removes_models(
    served_models: Path, start_any_server: Callable[..., Server], tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    publish(served_models / "plus" / "1", folder / "first")
    publish(served_models / "plus" / "1", folder / ".half-copied")
    server = start_any_server(str(folder), "--watch")
    assert server.states(".half-copied") == {}
    assert server.states("first") == {1: "AVAILABLE"}
    publish(served_models / "plus" / "2", folder / "second")
    wait_until(lambda: server.states("second") == {2: "AVAILABLE"})
    shutil.rmtree(folder / "first")
    wait_until(lambda: server.states("first") == {1: "END"})
    assert answers(server, {"second": Model("second")}) == {"second": 3.0}
