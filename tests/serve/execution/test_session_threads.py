"""The flags and the file that set the number of TensorFlow's threads, counted from outside the server."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.support.fronts import one_front
from tests.support.server import RunningServer, starting

# Servers with equal flags differ by up to TOLERANCE threads, because gRPC starts a varying number of them.
MORE, TOLERANCE = 60, 8

# TensorFlow is the same behind both fronts, so the native front is tested once.
FLAGS = [
    ("python", "--tensorflow_intra_op_parallelism={many} --tensorflow_inter_op_parallelism=2", MORE),
    ("python", "--tensorflow_intra_op_parallelism=2 --tensorflow_inter_op_parallelism={many}", MORE),
    ("python", "--tensorflow_session_config_file={file}", MORE),
    ("python", "--tensorflow_session_config_file={file} --tensorflow_intra_op_parallelism=2", 0),
    ("native", "--tensorflow_session_parallelism={many}", 2 * MORE),
]


def thread_count(server: RunningServer) -> int:
    """Returns the number of threads of the server and its child processes after a first request."""
    with server.client as client:
        client.predict("half_plus_two", {"x": np.ones((1, 1), np.float32)})
    process = psutil.Process(server.process.pid)
    return sum(each.num_threads() for each in (process, *process.children(recursive=True)))


@pytest.fixture(scope="module")
def few() -> dict[str, int]:
    """Front -> the number of threads of a server with two threads in each pool. Filled when first needed."""
    return {}


@pytest.mark.slow
@pytest.mark.parametrize(("front", "flags", "more"), FLAGS, indirect=["front"])
def test_the_operator_sets_the_number_of_threads(
    served_models: Path,
    start_server: Callable[..., RunningServer],
    tmp_path: Path,
    front: str,
    flags: str,
    more: int,
    few: dict[str, int],
) -> None:
    model, many = str(served_models / "half_plus_two"), 2 + MORE
    file = tmp_path / "session.txt"
    file.write_text(f"intra_op_parallelism_threads: {many} inter_op_parallelism_threads: 2")
    if front not in few:
        few[front] = thread_count(start_server(model, "--tensorflow_session_parallelism=2"))
    count = thread_count(start_server(model, *flags.format(many=many, file=file).split()))
    assert abs(count - few[front] - more) <= TOLERANCE


@pytest.mark.slow
@one_front
@pytest.mark.parametrize(
    ("content", "text"), [("nonsense: 1", '1:1 : Message type "tensorflow.ConfigProto" has no'), (None, "No such file")]
)
def test_a_bad_session_config_file_fails_the_start(
    served_models: Path, tmp_path: Path, front: str, content: str | None, text: str
) -> None:
    file = tmp_path / "session.txt"
    if content is not None:
        file.write_text(content)
    flag = f"--tensorflow_session_config_file={file}"
    with starting(tmp_path, f"--front={front}", str(served_models / "plus"), flag) as (process, _, log):
        assert process.wait(60) == 1
        last = log.read_text().splitlines()[-1]
    assert last.startswith("Failed to start server. Error: INVALID_ARGUMENT: Error parsing text-format ")
    assert f"tensorflow.ConfigProto: {file}: " in last
    assert text in last
