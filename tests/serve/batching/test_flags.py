"""The batching flags."""

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.serve.batching.conftest import LONG_TIMEOUT
from tests.support.server import PATIENCE, RunningServer, starting, wait_until
from tfx_export.client import ServerError


def test_parameters_file_is_for_all_models_and_rest_requests_time_out_in_the_queue(
    batched_model: Path, tmp_path: Path, start_server: Callable[..., RunningServer]
) -> None:
    file = tmp_path / "batching.txt"
    file.write_text(f"max_batch_size {{ value: 4 }} max_enqueued_batches {{ value: 1 }} {LONG_TIMEOUT}")
    server = start_server(
        f"--model_base_path={batched_model.parent}",
        "--enable_batching",
        f"--batching_parameters_file={file}",
        "--rest_api_timeout_in_ms=300",
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{server.rest}/v1/models/default:predict", b'{"instances": [[1.0]]}')
    with caught.value as error:
        assert error.code == 504

    def full_batch_fits() -> bool:
        """Whether a full batch is accepted: not while the request that timed out is in the only batch that may wait."""
        with server.client as client:
            try:
                rows = client.predict("default", {"x": np.ones((4, 1), np.float32)})["rows"]
            except ServerError as error:
                if error.code != "UNAVAILABLE":
                    raise
                return False
        return bool((rows == 4).all())

    wait_until(full_batch_fits)


@pytest.mark.parametrize(
    ("flags", "text", "message"),
    [
        (["--enable_batching"], "max_batch_size: 4", "Error parsing text-format tensorflow.serving.BatchingParameters"),
        (["--enable_batching"], "max_batch_size { value: 0 }", "max_batch_size must be positive; was 0"),
        (["--enable_batching"], None, "No such file"),
        ([], "", "batching_parameters_file is set without setting server_options.enable_batching to true"),
    ],
)
def test_invalid_flags_fail_the_start(
    batched_model: Path, tmp_path: Path, flags: list[str], text: str | None, message: str
) -> None:
    file = tmp_path / "batching.txt"
    if text is not None:
        file.write_text(text)
    arguments = [f"--model_base_path={batched_model.parent}", *flags, f"--batching_parameters_file={file}"]
    with starting(tmp_path, *arguments) as (process, _, log):
        assert process.wait(PATIENCE) == 1
        assert message in log.read_text()
        assert "Traceback" not in log.read_text()
