"""Events of a production server: many models, a config replaced under load, a crash."""

import shutil
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.serve.test_model_config import config_of, entry, reload
from tests.support.server import RunningServer, running, wait_for_cpu, wait_until
from tests.support.slow_model import SECOND
from tfx_export.client import Client, Model, ServerError

X = {"x": np.array([1.0], np.float32)}
MODELS = [f"m{number:02}" for number in range(20)]


def specific(model: str, plus: Path) -> str:
    """Returns an entry with one of the versions 1 to 4 in turn, so that models answer differently."""
    version = int(model[1:]) % 4 + 1
    return entry(model, plus, f"model_version_policy {{ specific {{ versions: {version} }} }}")


def expected(model: str) -> float:
    return 1.0 + int(model[1:]) % 4 + 1


def test_20_models_at_once_and_half_of_them_removed_under_load(
    served_models: Path, start_server: Callable[..., RunningServer], tmp_path: Path
) -> None:
    plus = served_models / "plus"
    file = tmp_path / "models.config"
    file.write_text(config_of(*(specific(model, plus) for model in MODELS)))
    server = start_server(f"--model_config_file={file}", "--num_load_threads=4")
    failures: list[str] = []
    stay, leave = MODELS[:10], MODELS[10:]
    answered = dict.fromkeys(MODELS, 0)
    done = threading.Event()

    def send_requests(models: list[str]) -> None:
        with server.client as client:
            while not done.is_set() or min(answered[model] for model in models) < 20:
                for model in models:
                    try:
                        answer = float(client.predict(model, X)["y"][0])
                    except ServerError as error:
                        failures.append(f"{model}: {error}")
                        return
                    if answer != expected(model):
                        failures.append(f"{model}: {answer}")
                    answered[model] += 1

    with server.client as client:
        assert {model: float(client.predict(model, X)["y"][0]) for model in leave} == {
            model: expected(model) for model in leave
        }
    threads = [threading.Thread(target=send_requests, args=(stay[start::3],)) for start in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert reload(server, config_of(*(specific(model, plus) for model in stay))) == ("OK", "")
        wait_until(lambda: all(set(server.states(model).values()) <= {"END"} for model in leave))
        # The same config again, and an invalid one: clients notice neither.
        assert reload(server, config_of(*(specific(model, plus) for model in stay))) == ("OK", "")
        assert reload(server, config_of(entry("m00", Path("relative"))))[0] == "INVALID_ARGUMENT"
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert failures == []
    with server.client as client, pytest.raises(ServerError, match="NOT_FOUND"):
        client.predict("m15", X)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def test_a_killed_server_starts_again_on_the_same_ports(front: str, served_models: Path, tmp_path: Path) -> None:
    grpc_port, rest_port = free_ports(2)
    for name in ("plus", "slow"):
        shutil.copytree(served_models / name, tmp_path / "models" / name)
    flags = (
        f"--model_base_path={tmp_path}/models",
        f"--front={front}",
        f"--port={grpc_port}",
        f"--rest_api_port={rest_port}",
        f"--grpc_socket_path={tmp_path / 'grpc.sock'}",
    )
    for kill in (True, False):
        with running(tmp_path, *flags) as server:
            assert server.grpc.endswith(f":{grpc_port}")
            for target in (server.grpc, f"unix:{tmp_path / 'grpc.sock'}"):
                with Client(target) as client:
                    assert client.predict(Model("plus"), X)["y"].tolist() == [5.0]
            if kill:
                with server.client as client:
                    cut = threading.Thread(target=_run_until_killed, args=(client,))
                    cut.start()
                    wait_for_cpu(server.process.pid)
                    assert server.stop(signal.SIGKILL) == -signal.SIGKILL
                    cut.join()
            else:
                assert server.stop() == 0


def _run_until_killed(client: Client) -> None:
    with pytest.raises(ServerError):
        client.predict("slow", {"loops": np.array(60 * SECOND, np.int32)})
