"""The batching flags when the server starts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.server import RunningServer, starting


def test_the_parameters_file_is_for_all_models(
    batched_model: Path, tmp_path: Path, start_server: Callable[..., RunningServer]
) -> None:
    file = tmp_path / "batching.txt"
    file.write_text("max_batch_size { value: 8 } allowed_batch_sizes: [4, 8] num_batch_threads { value: 1 }")
    server = start_server(
        f"--model_base_path={batched_model.parent}", "--enable_batching", f"--batching_parameters_file={file}"
    )
    with server.client as client:
        assert client.predict("default", {"x": np.ones((1, 1), np.float32)})["rows"].tolist() == [4]


@pytest.mark.parametrize(
    ("flags", "text", "message"),
    [
        (["--enable_batching"], "max_batch_size: 4", "Error parsing text-format tensorflow.serving.BatchingParameters"),
        (["--enable_batching"], "max_batch_size { value: 0 }", "max_batch_size must be positive; was 0"),
        (["--enable_batching"], None, "No such file"),
        ([], "", "batching_parameters_file is set without setting server_options.enable_batching to true"),
    ],
)
def test_what_cannot_be_used_ends_the_start(
    batched_model: Path, tmp_path: Path, flags: list[str], text: str | None, message: str
) -> None:
    file = tmp_path / "batching.txt"
    if text is not None:
        file.write_text(text)
    arguments = [f"--model_base_path={batched_model.parent}", *flags, f"--batching_parameters_file={file}"]
    with starting(tmp_path, *arguments) as (process, _, log):
        assert process.wait(60) == 1
        assert message in log.read_text()
        assert "Traceback" not in log.read_text()
