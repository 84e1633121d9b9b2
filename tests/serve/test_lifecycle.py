"""What clients of a running server see while versions appear, fail to load and disappear."""

import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.fronts import in_memory_only, memory_and_native
from tests.support.server import RunningServer, Server, publish, wait_until
from tests.support.slow_model import SECOND
from tfx_export.client import Model

X = {"x": np.array([1.0, 2.0], np.float32)}


def test_no_request_of_2000_fails_while_a_version_is_replaced(
    served_models: Path, start_server: Callable[..., RunningServer], tmp_path: Path
) -> None:
    model = tmp_path / "plus"
    publish(served_models / "plus" / "2", model)
    server = start_server(str(model))
    answers: list[float] = []
    errors: list[Exception] = []
    swapped = threading.Event()

    def send_requests(requests: int) -> None:
        with server.client as client:
            done = 0
            while done < requests or not swapped.is_set():
                try:
                    answers.append(float(client.predict("plus", X)["y"][0]))
                except Exception as error:
                    errors.append(error)
                    return
                done += 1

    threads = [threading.Thread(target=send_requests, args=(500,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(answers) > 200)
    publish(served_models / "plus" / "3", model)
    shutil.rmtree(model / "2")
    wait_until(lambda: bool(errors) or server.states("plus") == {3: "AVAILABLE", 2: "END"})
    swapped.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(answers) >= 2000
    assert answers[0] == 3.0
    assert answers[-1] == 4.0
    assert set(answers) == {3.0, 4.0}


@memory_and_native
def test_a_broken_version_shows_its_error_and_the_older_one_still_serves(
    served_models: Path, start_any_server: Callable[..., Server], tmp_path: Path
) -> None:
    model = tmp_path / "plus"
    publish(served_models / "plus" / "1", model)
    server = start_any_server(str(model))
    (model / "2").mkdir()
    (model / "2" / "saved_model.pb").write_bytes(b"no model")
    with server.client as client:
        wait_until(lambda: len(server.states("plus")) == 2 and server.states("plus")[2] == "END")
        broken, serving = client.status("plus")
        assert (broken.version, broken.state) == (2, "END")
        assert broken.error.startswith(f"The SavedModel file in {model / '2'} is damaged: ")
        (status, _) = server.request("GET", "/v1/models/plus").json["model_version_status"]
        assert status["status"]["error_code"] == "DATA_LOSS"
        assert (serving.version, serving.state, serving.error) == (1, "AVAILABLE", "")
        assert client.predict("plus", X)["y"].tolist() == [2.0, 3.0]
        # Repaired in place, it is loaded.
        shutil.copytree(served_models / "plus" / "2", model / "2", dirs_exist_ok=True)
        wait_until(lambda: server.states("plus") == {2: "AVAILABLE", 1: "END"})
        assert client.predict("plus", X)["y"].tolist() == [3.0, 4.0]


@memory_and_native
def test_at_the_start_the_newest_version_that_loads_is_served(
    served_models: Path, start_any_server: Callable[..., Server], tmp_path: Path
) -> None:
    model = tmp_path / "plus"
    publish(served_models / "plus" / "1", model)
    publish(served_models / "plus" / "2", model)
    publish(served_models / "plus" / "3", model)
    (model / "3" / "variables" / "variables.index").write_bytes(b"")
    (model / "notes").mkdir()
    server = start_any_server(str(model))
    wait_until(lambda: server.states("plus") == {3: "END", 2: "AVAILABLE"})
    with server.client as client:
        assert client.predict("plus", X)["y"].tolist() == [3.0, 4.0]


@in_memory_only
def test_a_folder_with_a_number_beyond_int64_is_ignored_with_one_line(
    served_models: Path,
    start_any_server: Callable[..., Server],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    large, model = "20261130162640123456", tmp_path / "plus"
    publish(served_models / "plus" / "1", model)
    shutil.copytree(model / "1", model / large)
    with caplog.at_level("INFO", "serve"):
        server = start_any_server(str(model), "--file_system_poll_wait_seconds=0.05")
        publish(served_models / "plus" / "2", model)
        wait_until(lambda: server.states("plus") == {2: "AVAILABLE", 1: "END"})
    lines = [record.message for record in caplog.records if large in record.message]
    assert lines == [f"Ignored in {model}: {large}. The largest version number is 9223372036854775807"]
    with server.client as client:
        assert client.predict("plus", X)["y"].tolist() == [3.0, 4.0]
        assert client.metadata("plus").keys() == {"serving_default"}
    reply = server.request("GET", f"/v1/models/plus/versions/{large}")
    assert (reply.status, reply.json["error"]) == (400, f"Failed to convert version: {large} to numeric.")


@in_memory_only
@pytest.mark.parametrize(
    ("folder", "hint", "repaired"),
    [
        (".", "{m} holds a SavedModel, but each version must be in a folder with a number", 1),
        ("v3", "{m} holds v3, but the name of a version folder must be a whole number", 3),
        ("0.1", "{m} holds 0.1, but the name of a version folder must be a whole number", 1),
        ("latest", "{m} holds latest, but the name of a version folder must be a whole number", 1),
        ("other/1", "{m} holds models, not versions: other. The base path of a model is a folder such as ", 0),
    ],
    ids=["base path", "v3", "0.1", "latest", "models"],
)
def test_the_status_of_a_model_that_waits_says_which_folder_to_move(
    served_models: Path,
    start_any_server: Callable[..., Server],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    folder: str,
    hint: str,
    repaired: int,
) -> None:
    model, file = tmp_path / "my model", tmp_path / "models.config"
    shutil.copytree(served_models / "plus" / "1", model / folder)
    entry = 'config { name: "%s" base_path: "%s" model_platform: "tensorflow" } '
    file.write_text("model_config_list { %s }" % (entry % ("m", model) + entry % ("good", served_models / "plus")))
    with caplog.at_level("INFO", "serve"):
        server = start_any_server(f"--model_config_file={file}", "--file_system_poll_wait_seconds=0.05")
    reply = server.request("GET", "/v1/models/m")
    start = "Could not find any versions of model m. " + hint.format(m=model)
    assert (reply.status, reply.json["error"][: len(start)]) == (404, start)
    said = reply.json["error"].removeprefix("Could not find any versions of model m. ")
    assert f"Waiting for a version of m to appear in {model}. {said}" in caplog.messages
    if repaired:
        subprocess.run(said.partition("Type: ")[2], shell=True, check=True)
        wait_until(lambda: server.states("m") == {repaired: "AVAILABLE"})


def test_removing_every_version_unloads_the_model_but_losing_the_base_path_does_not(
    served_models: Path, start_server: Callable[..., RunningServer], tmp_path: Path
) -> None:
    model = tmp_path / "plus"
    publish(served_models / "plus" / "1", model)
    server = start_server(str(model))
    with server.client as client:
        client.predict("plus", X)  # LiteRT logs a line at its first run
        model.rename(tmp_path / "moved")
        for _ in range(3):  # three scans of the disk
            seen = server.log.stat().st_size
            client.predict("plus", X)
            assert server.states("plus") == {1: "AVAILABLE"}
            assert server.log.stat().st_size == seen
    (tmp_path / "moved").rename(model)
    shutil.rmtree(model / "1")
    wait_until(lambda: server.states("plus") == {1: "END"})
    publish(served_models / "plus" / "1", model)
    wait_until(lambda: server.states("plus") == {1: "AVAILABLE"})


def test_a_version_is_unloaded_only_after_its_last_request(
    served_models: Path, start_server: Callable[..., RunningServer], tmp_path: Path
) -> None:
    model = tmp_path / "slow"
    publish(served_models / "slow" / "1", model)
    server = start_server(str(model))
    answered: list[dict[str, np.ndarray]] = []

    def send_request() -> None:
        with server.client as client:
            answered.append(client.predict(Model("slow", version=1), {"loops": np.int32(2 * SECOND)}))

    with server.client as client:
        client.predict("slow", {"loops": np.int32(1)})
    thread = threading.Thread(target=send_request)
    thread.start()
    publish(served_models / "plus" / "1", model, version=2)
    wait_until(lambda: server.states("slow").get(1) in ("UNLOADING", "END"))
    thread.join()
    assert len(answered) == 1
    wait_until(lambda: server.states("slow") == {2: "AVAILABLE", 1: "END"})
