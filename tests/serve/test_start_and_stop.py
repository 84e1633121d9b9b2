"""The server as a process: when its ports open, how it ends, and its messages when it cannot start."""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.support.server import PATIENCE, RunningServer, publish, running, starting, wait_for_cpu, wait_until
from tests.support.slow_model import SECOND
from tfx_export.client import Client, ServerError

SLOW = {"loops": np.int32(SECOND)}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_after_a_signal_the_request_in_flight_finishes_and_the_exit_code_is_0(
    served_models: Path, start_server: Callable[..., RunningServer], number: int
) -> None:
    server = start_server(str(served_models / "slow"))
    answers: list[dict[str, np.ndarray]] = []
    with server.client as client:
        client.predict("slow", {"loops": np.int32(1)})
        thread = threading.Thread(target=lambda: answers.append(client.predict("slow", SLOW)))
        thread.start()
        wait_for_cpu(server.process.pid)
        assert server.stop(number) == 0
        thread.join()
    assert len(answers) == 1
    assert "Traceback" not in server.log.read_text()


def test_drain_ends_at_its_time_limit(served_models: Path, start_server: Callable[..., RunningServer]) -> None:
    server = start_server(str(served_models / "slow"), "--drain_seconds=0.1")
    with server.client as client:
        client.predict("slow", {"loops": np.int32(1)})
        thread = threading.Thread(target=expect_no_answer, args=(client,))
        thread.start()
        wait_for_cpu(server.process.pid)
        assert server.stop() == 0
        thread.join()
    assert "still in flight" in server.log.read_text()


def test_a_second_signal_ends_at_once(served_models: Path, start_server: Callable[..., RunningServer]) -> None:
    server = start_server(str(served_models / "slow"))
    with server.client as client:
        client.predict("slow", {"loops": np.int32(1)})
        thread = threading.Thread(target=expect_no_answer, args=(client,))
        thread.start()
        wait_for_cpu(server.process.pid)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "Draining" in server.log.read_text())
        assert server.stop() == 128 + signal.SIGTERM
        thread.join()


def test_the_server_waits_for_a_missing_base_path(served_models: Path, tmp_path: Path, front: str) -> None:
    with starting(tmp_path, f"--front={front}", str(tmp_path / "later" / "plus")) as (process, ready, _):
        publish(served_models / "plus" / "1", tmp_path / "later" / "plus")
        wait_until(lambda: ready.exists() or process.poll() is not None)
        assert ready.exists()


def test_a_signal_ends_the_wait_for_a_model(tmp_path: Path, front: str) -> None:
    with starting(tmp_path, f"--front={front}", str(tmp_path / "never")) as (process, ready, log):
        wait_until(lambda: "Waiting for" in log.read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        assert not ready.exists()


def test_a_model_whose_only_version_does_not_load_fails_the_start(tmp_path: Path, front: str) -> None:
    (tmp_path / "m" / "1").mkdir(parents=True)
    with starting(tmp_path, f"--front={front}", str(tmp_path / "m")) as (process, _, log):
        assert process.wait(PATIENCE) == 1
        text = log.read_text()
        assert (
            "Failed to start server. Error: UNKNOWN: 1 model(s) did not become available: {name: m version: 1}" in text
        )
        assert "Traceback" not in text


@pytest.mark.parametrize(("flag", "protocol"), [("--port", "gRPC"), ("--rest_api_port", "REST")])
def test_a_port_in_use_fails_the_start_before_a_model_is_loaded(
    tmp_path: Path, front: str, flag: str, protocol: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        # Without a model, a server that loads first would wait.
        with starting(tmp_path, f"--front={front}", str(tmp_path / "never"), f"{flag}={port}") as (process, _, log):
            assert process.wait(PATIENCE) == 1
            reason = f"Cannot listen for {protocol} on 127.0.0.1:{port}: Address already in use. Choose another {flag}."
            assert f"Failed to start server. Error: UNAVAILABLE: {reason}" in log.read_text()


def test_while_the_server_loads_its_ports_are_reserved_and_refuse_connections(tmp_path: Path, front: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with starting(tmp_path, f"--front={front}", str(tmp_path / "never"), f"--port={port}") as (process, _, log):
        wait_until(lambda: "Waiting for" in log.read_text())
        with pytest.raises(OSError, match="Address already in use"):
            socket.create_server(("127.0.0.1", port))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--help"], 0, "--model_config_file"),
        (["--version"], 0, "TensorFlow ModelServer: "),
        ([], 1, "Nothing to serve"),
        (["--prot=1"], 1, "Did you mean --port?"),
        (
            ["gs://bucket/m"],
            1,
            "INVALID_ARGUMENT: --model_base_path: gs://bucket/m is not a local folder or file: copy",
        ),
        (["--model_config_file=s3://b/c"], 1, "INVALID_ARGUMENT: --model_config_file: s3://b/c is not a local folder"),
        (["models", "--port=0", "--rest_api_port=0"], 1, "Nowhere to listen"),
    ],
)
def test_help_and_version_start_no_server(arguments: list[str], code: int, text: str) -> None:
    done = subprocess.run([sys.executable, "-m", "tfx_export", "serve", *arguments], capture_output=True, text=True)
    assert done.returncode == code
    assert text in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_help_ends_quietly_if_nobody_reads_it() -> None:
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "serve", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""


def test_command_lines_of_tensorflow_serving_work_as_they_are(served_models: Path, tmp_path: Path, front: str) -> None:
    command = str(Path(sys.executable).with_name("tensorflow_model_server"))
    flags = ["--model_name=mnist", f"--model_base_path={served_models / 'half_plus_two'}", "--a_flag_of_tomorrow=3"]
    with running(tmp_path, *flags, f"--front={front}", program=[command]) as server:
        assert command in psutil.Process(server.process.pid).cmdline()  # for `ps | grep`
        with server.client as client:
            assert client.predict("mnist", {"x": np.array([[2.0]], np.float32)})["y"].tolist() == [[3.0]]
        assert "--a_flag_of_tomorrow" in server.log.read_text()
        assert server.stop() == 0
    done = subprocess.run([command, "--help"], capture_output=True, text=True)
    assert done.stdout.startswith("Usage: tensorflow_model_server")


def test_a_serve_module_in_the_working_folder_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "serve.py").write_text("raise SystemExit(77)")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tfx_export", "serve", "--version"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.splitlines()[0][:24]) == (0, "TensorFlow ModelServer: ")


def expect_no_answer(client: Client) -> None:
    with pytest.raises(ServerError):
        client.predict("slow", {"loops": np.int32(2**31 - 1)})


def test_a_unix_socket_in_place_of_ports(
    served_models: Path, front: str, start_server: Callable[..., RunningServer], tmp_path: Path
) -> None:
    """A later server takes over the socket, as upstream's tests expect."""
    flags = f"--grpc_socket_path={tmp_path / 's'}", "--port=0", "--model_name=m"
    x = {"x": np.array([1.0], np.float32)}
    first = start_server(
        str(served_models / "plus"), *flags, "--grpc_channel_arguments=grpc.max_connection_age_ms=60000"
    )
    with Client(f"unix:{tmp_path / 's'}") as client:
        assert client.predict("m", x)["y"].tolist() == [5.0]
    start_server(str(served_models / "half"), *flags)
    with Client(f"unix:{tmp_path / 's'}") as client:
        assert client.predict("m", x)["y"].tolist() == [2.5]
    assert first.stop() == 0
    if front == "native":  # on exit gRPC removes the socket, even if another server has it by now, here and upstream
        with Client(f"unix:{tmp_path / 's'}") as client:
            assert client.predict("m", x)["y"].tolist() == [2.5]


def test_channel_arguments_have_an_effect_or_a_warning(
    served_models: Path, front: str, start_server: Callable[..., RunningServer]
) -> None:
    server = start_server(
        str(served_models / "plus"), "--grpc_channel_arguments=grpc.max_receive_message_length=1000,grpc.so_reuseport=0"
    )
    line = "--grpc_channel_arguments has no effect: only --front=python uses gRPC's own server"
    assert (line in server.log.read_text()) == (front == "native")
    with server.client as client:
        client.predict("plus", {"x": np.ones(1, np.float32)})
        if front == "python":
            with pytest.raises(ServerError) as caught:
                client.predict("plus", {"x": np.ones(1000, np.float32)})
            assert caught.value.code == "RESOURCE_EXHAUSTED"


def test_an_unregistered_operator_is_named_with_the_flag_that_loads_it(served_models: Path, tmp_path: Path) -> None:
    publish(served_models / "words" / "1", tmp_path / "words")
    file = tmp_path / "words" / "1" / "saved_model.pbtxt"
    file.write_text(file.read_text().replace('op: "LookupTableFindV2"', 'op: "NoSuchOp"'))
    with starting(tmp_path, str(tmp_path / "words")) as (process, _, log):
        assert process.wait(PATIENCE) == 1
        text = log.read_text()
        assert "NoSuchOp" in text
        assert "--op_library" in text
