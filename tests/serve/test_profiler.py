"""A trace of the running server, requested as TensorFlow's profiler client does."""

import threading
from pathlib import Path

import grpc
import numpy as np

from tests.support.server import RunningServer
from tfx_export import wire


def test_a_trace_is_written_where_the_client_expects_it(server: RunningServer, tmp_path: Path) -> None:
    request = wire.ProfileRequest(
        duration_ms=100, repository_root=str(tmp_path / "plugins" / "profile"), session_id="s", host_name="h:1"
    )
    over = threading.Event()

    def request_trace() -> None:
        with server.client as client:
            while not over.is_set():
                client.predict("half_plus_two", {"x": np.ones((1, 1), np.float32)})

    requesting = threading.Thread(target=request_trace)
    requesting.start()
    with grpc.insecure_channel(server.grpc) as channel:
        profile = channel.unary_unary(
            "/tensorflow.ProfilerService/Profile",
            request_serializer=type(request).SerializeToString,
            response_deserializer=wire.ProfileResponse.FromString,
        )
        try:
            assert not profile(request, timeout=60).empty_trace
        finally:
            over.set()
            requesting.join()
    # It contains the names of the operators.
    assert b"AddV2" in (tmp_path / "plugins" / "profile" / "s" / "h_1.xplane.pb").read_bytes()
