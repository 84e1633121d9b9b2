"""Runs the server under test on a free port."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfx_export.errors import SavedModelError
from tfx_export.server_program import running_server
from tfx_export.tuning.setting import Setting

MODEL = "tuned"


@contextmanager
def serving(version: Path, setting: Setting, clients: int, folder: Path) -> Iterator[str]:
    """Serves the version folder `version` as the model MODEL. Yields the `host:port` of the gRPC port.

    `folder` takes the server's files. Raises SavedModelError with the server's last line of log if it does not start.
    """
    base = folder / MODEL
    parameters = folder / "batching.txt"
    if not base.exists():
        base.mkdir()
        (base / "1").symlink_to(version, target_is_directory=True)
    flags = [
        f"--model_base_path={base}",
        f"--model_name={MODEL}",
        f"--engine={setting.engine}",
        "--port=auto",
        "--rest_api_port=0",
        "--max_num_load_retries=0",
    ]
    if setting.max_batch_size:
        parameters.write_text(setting.parameters(clients))
        flags += ["--enable_batching", f"--batching_parameters_file={parameters}"]
    try:
        with running_server(folder, *flags) as server:
            yield server.grpc
    except SavedModelError as error:
        raise SavedModelError(f"{error.message} ({setting})") from None
