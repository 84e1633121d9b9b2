"""The server under test: a process of its own, on a free port, always ended."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfx_export.errors import SavedModelError
from tfx_export.server_program import SERVER_PROGRAM
from tfx_export.tuning.setting import Setting

MODEL = "tuned"
START_SECONDS = 120.0
STOP_SECONDS = 10.0


@contextmanager
def serving(version: Path, setting: Setting, clients: int, folder: Path) -> Iterator[str]:
    """Serve the version folder `version` as the model MODEL; yields `host:port` of its gRPC port.

    `folder` takes the server's files. Raises SavedModelError with the server's last words if it does not start.
    """
    base = folder / MODEL
    ready, log, parameters = folder / "ready.json", folder / "server.log", folder / "batching.txt"
    ready.unlink(missing_ok=True)
    if not base.exists():
        base.mkdir()
        (base / "1").symlink_to(version, target_is_directory=True)
    flags = [
        f"--model_base_path={base}",
        f"--model_name={MODEL}",
        f"--engine={setting.engine}",
        f"--ready_file={ready}",
        "--port=auto",
        "--rest_api_port=0",
        "--max_num_load_retries=0",
        "--log_level=warning",
    ]
    if setting.max_batch_size:
        parameters.write_text(setting.parameters(clients))
        flags += ["--enable_batching", f"--batching_parameters_file={parameters}"]
    with log.open("wb") as output:
        process = subprocess.Popen([*SERVER_PROGRAM, *flags], stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                words = log.read_text(errors="replace").strip().splitlines()
                raise SavedModelError(f"The server does not start with {setting}: {words[-1] if words else 'no log'}")
            time.sleep(0.02)
        yield str(json.loads(ready.read_text())["addresses"]["grpc"])
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
