"""Many models on one server: config files, reloads, labels, a watched folder."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import grpc
import numpy as np
import pytest

from serve.core import Core
from serve.errors import ServeError
from serve.flags import parse
from serve.models import catalog
from tests.support.fronts import memory_and_native
from tests.support.server import PATIENCE, RunningServer, Server, publish, starting, wait_until
from tfx_export import wire
from tfx_export.client import Model, ServerError

X = {"x": np.array([1.0], np.float32)}
PLATFORM = 'model_platform: "tensorflow"'


def entry(name: str, base_path: Path | str, more: str = "") -> str:
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


def reload_bytes(server: Server, request: bytes) -> tuple[str, str]:
    """Sends the bytes of a ReloadConfigRequest and returns code and message."""
    with server.channel() as channel:
        try:
            channel.unary_unary("/tensorflow.serving.ModelService/HandleReloadConfigRequest")(request, timeout=30)
        except grpc.RpcError as error:
            return error.code().name, error.details()
    return "OK", ""


@memory_and_native
def test_policies_and_labels_of_a_config_file(
    served_models: Path, start_any_server: Callable[..., Server], tmp_path: Path
) -> None:
    plus = served_models / "plus"
    file = tmp_path / "models.config"
    labelled = "model_version_policy { specific { versions: 1 versions: 3 versions: 99 } } "
    for label in (2, 99):  # a version that the policy does not load, and one that is not on disk
        file.write_text(config_of(entry("chosen", plus, labelled + f'version_labels {{ key: "x" value: {label} }}')))
        core = Core(parse([f"--model_config_file={file}"])[0])
        with pytest.raises(ServeError) as caught:
            core.start()
        core.stop()
        text = (
            f"version {label} of model chosen, which is not currently available for inference. The config loads: 1, 3"
        )
        assert str(caught.value) == f"FAILED_PRECONDITION: Request to assign label to {text}"
    file.write_text(
        config_of(
            entry("newest", plus),
            entry("two", plus, "model_version_policy { latest { num_versions: 2 } }"),
            entry("every", plus, "model_version_policy { all {} }"),
            entry(
                "chosen",
                plus,
                labelled + 'version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 3 }',
            ),
        )
    )
    server = start_any_server(f"--model_config_file={file}", "--num_load_threads=2")
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
        entry(
            "plus", "gs://bucket/plus"
        ): "INVALID_ARGUMENT: The base_path of model plus cannot be used: gs://bucket/plus",
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


def test_a_changed_config_file_is_reloaded_but_an_emptied_one_keeps_the_models(
    served_models: Path, start_server: Callable[..., RunningServer], tmp_path: Path
) -> None:
    plus = served_models / "plus"
    file = tmp_path / "models.config"
    file.write_text("")
    server = start_server(f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=1")
    assert f"No models yet: {file} lists none" in server.log.read_text()
    file.write_text(config_of(entry("a", plus, 'version_labels { key: "stable" value: 4 }')))
    wait_until(lambda: server.states("a") == {4: "AVAILABLE"})
    assert answers(server, {"stable": Model("a", label="stable")}) == {"stable": 5.0}
    for content, error in (
        ("model_config_list {", "Error parsing text-format tensorflow.serving.ModelServerConfig"),
        ("", "FAILED_PRECONDITION: Cannot transition to requested config. It is only legal to transition from one "),
        ("custom_model_config {}", "INVALID_ARGUMENT: ServerModelConfig type not supported by HandleReloadConfigReq"),
    ):
        file.write_text(content)
        wait_until(lambda error=error: error in server.log.read_text())  # type: ignore[misc]
        assert answers(server, {"a": Model("a")}) == {"a": 5.0}
    file.write_text(config_of(entry("b", plus)))
    wait_until(lambda: server.states("b") == {4: "AVAILABLE"} and server.states("a") == {4: "END"})


@memory_and_native
def test_a_server_without_models_waits_for_a_reload(
    served_models: Path, start_any_server: Callable[..., Server], tmp_path: Path
) -> None:
    file = tmp_path / "models.config"
    file.write_text("model_config_list {}")
    server = start_any_server(f"--model_config_file={file}")
    ready = server.request("GET", "/readyz")
    assert (ready.status, ready.body) == (503, b"no models yet\n")
    assert server.request("GET", "/healthz").status == 200
    assert server.states("plus") == {}
    assert reload(server, config_of(entry("plus", served_models / "plus"))) == ("OK", "")
    assert answers(server, {"plus": Model("plus")}) == {"plus": 5.0}
    refused = "INVALID_ARGUMENT", catalog.UNSUPPORTED_CONFIG
    for request in (b"", b"\x0a\x00", b"\x0a\x02\x12\x00", b"\x0a\x02\x1a\x00"):  # no config, empty, custom, unknown
        assert reload_bytes(server, request) == refused
        assert answers(server, {"plus": Model("plus")}) == {"plus": 5.0}
    assert reload(server, "model_config_list {}") == ("OK", "")
    wait_until(lambda: server.states("plus") == {4: "END"})


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
def test_a_watched_folder_may_be_missing_or_empty(
    served_models: Path, start_any_server: Callable[..., Server], tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    server = start_any_server(str(folder), "--watch", "--file_system_poll_wait_seconds=0.1")
    assert server.request("GET", "/readyz").status == 503
    publish(served_models / "plus" / "1", folder / "plus")
    wait_until(lambda: server.states("plus") == {1: "AVAILABLE"})
    folder.rename(tmp_path / "away")  # as a base path that vanishes: nothing is unloaded
    publish(served_models / "plus" / "2", tmp_path / "away" / "plus")
    assert answers(server, {"plus": Model("plus")}) == {"plus": 2.0}
    (tmp_path / "away").rename(folder)
    wait_until(lambda: server.states("plus") == {2: "AVAILABLE", 1: "END"})


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
